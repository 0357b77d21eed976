// SPDX-License-Identifier: Apache-2.0
#include "src/cmd/print.h"

#include <stdio.h>

int print_document(struct json_writer *w, struct err *err)
{
	const char *text = json_writer_text(w, NULL, err);
	if (text)
		puts(text);
	json_writer_release(w);
	return text ? 0 : -1;
}
