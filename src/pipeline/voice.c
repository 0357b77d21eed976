// SPDX-License-Identifier: Apache-2.0
#include "src/pipeline/voice.h"

#include <stdarg.h>
#include <stdio.h>

void voice_say(const struct voice *voice, const char *format, ...)
{
	char message[1024];
	va_list args;
	if (!voice || !voice->say)
		return;
	va_start(args, format);
	vsnprintf(message, sizeof message, format, args);
	va_end(args);
	voice->say(voice->context, message);
}
