// SPDX-License-Identifier: Apache-2.0
/*
 * Fuzz target: any text as a plan. What is refused is refused as bad
 * configuration, in one printable line; what is accepted is written out in a
 * form that is accepted too, means the same, and is written out so again.
 */
#define _GNU_SOURCE /* fuzz_check.h */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/text.h"
#include "src/pipeline/plan_keys.h"
#include "tests/fuzz_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What the variable ${FUZZ} holds; an input that says it itself proves nothing. */
static const char secret[] = "fuzzing-secret";
static bool said;

static void check_refused(const struct err *err)
{
	char shown[4 * sizeof err->message + 1];

	require(err->code == ERR_CONFIG && *err->message, "a refusal is of the configuration", err);
	require(!strcmp(text_escape(shown, sizeof shown, err->message, strlen(err->message)), err->message) &&
			!strpbrk(err->message, "\n\t"),
		"a refusal is one printable line", err);
	require(said || !strstr(err->message, secret), "a refusal shows no variable's value", err);
}

static void check_plan(const struct plan *plan)
{
	unsigned char digest[HASH_SIZE], same[HASH_SIZE];
	struct err err = {0};
	struct plan again;
	struct plan_changes changes;

	require(plan->budget >= 1 && plan->stages >= 1 && plan->resolved && plan->method.method, "a plan is whole",
		&err);
	require(said || !strstr(plan->resolved, secret), "a plan is kept without its variables' values", &err);
	require(!plan_read(&again, yaml_parse("f", plan->resolved, strlen(plan->resolved), &err), NULL, "f", &err),
		"what is written is read", &err);
	require(!strcmp(plan->resolved, again.resolved), "what is read is written alike", &err);
	require(!plan_hash(digest, plan, &err) && !plan_hash(same, &again, &err) &&
			!memcmp(digest, same, sizeof digest),
		"it means the same", &err);
	require(!plan_compare(plan, again.resolved, &changes, &err) && !changes.backend && !changes.moved, "it is the same run", &err);
	plan_release(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = {0};
	struct plan plan;

	setenv("FUZZ", secret, 1);
	said = memmem(data, size, "fuzzing", 7) || memmem(data, size, "secret", 6);
	if (plan_read(&plan, yaml_parse("f", (const char *)data, size, &err), NULL, "f", &err)) {
		check_refused(&err);
		return 0;
	}
	check_plan(&plan);
	plan_release(&plan);
	return 0;
}
