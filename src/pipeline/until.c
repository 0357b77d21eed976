// SPDX-License-Identifier: Apache-2.0
#include "src/pipeline/until.h"

#include <stdlib.h>
#include <string.h>

#include "src/pipeline/stage.h"

int until_read(struct run_until *until, const char *text, struct err *err)
{
	char *end;
	*until = (struct run_until){0};
	if (!text)
		return 0;
	if (*text >= '0' && *text <= '9') {
		until->stage = strtol(text, &end, 10);
		if (*end != '.')
			return err_set(err, ERR_CONFIG, "'--until' takes [STAGE.]STEP, such as 0.select, not '%s'", text);
		text = end + 1;
	}
	if (!strcmp(text, "collect"))
		text = "synthesise";
	until->step = stage_step(text);
	return until->step ? 0
			   : err_set(err, ERR_CONFIG, "'--until' knows select, annotate, synthesise, train and evaluate, not '%s'", text);
}
