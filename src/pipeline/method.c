// SPDX-License-Identifier: Apache-2.0
#include "src/pipeline/method.h"

#include <stdio.h>
#include <string.h>

const struct method methods[] = {
	{.name = "baldistill-adaptive", .draw = DRAW_ADAPTIVE, .staged = true, .ifd = true, .tail = TAIL_SYNTHESIS, .teacher = true},
	{.name = "baldistill-naive", .draw = DRAW_NAIVE, .staged = true, .ifd = true, .tail = TAIL_SYNTHESIS, .teacher = true},
	{.name = "zero-shot-cot", .draw = DRAW_NONE},
	{.name = "random-finetune", .draw = DRAW_UNIFORM},
	{.name = "random-finetune-cot", .draw = DRAW_UNIFORM, .teacher = true},
	{.name = "duplicate-finetune-cot", .draw = DRAW_NAIVE, .tail = TAIL_REPEAT, .teacher = true},
	{.name = "balance-finetune-cot", .draw = DRAW_NAIVE, .tail = TAIL_SYNTHESIS, .teacher = true},
	{.name = "active-finetune-cot", .draw = DRAW_HARDEST, .ifd = true, .first_ifd = true, .teacher = true},
	{.name = "active-finetune-cot-staged", .draw = DRAW_HARDEST, .staged = true, .ifd = true, .first_ifd = true, .teacher = true},
	{.name = "mftcoder", .refused = true},
	{.name = "glee", .refused = true},
	{0},
};

const struct method *method_find(const char *name, struct err *err)
{
	char known[512] = "";
	for (const struct method *m = methods; m->name; m++) {
		size_t n = strlen(known);
		if (strcmp(m->name, name)) {
			snprintf(known + n, sizeof known - n, "%s%s", m->refused || !n ? "" : ", ", m->refused ? "" : m->name);
			continue;
		}
		if (m->refused)
			err_set(err, ERR_CONFIG, "method '%s' is not yet here; choose another", name);
		return m->refused ? NULL : m;
	}
	err_set(err, ERR_CONFIG, "there is no method '%s'; choose one of %s", name, known);
	return NULL;
}
