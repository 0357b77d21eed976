// SPDX-License-Identifier: Apache-2.0
/* What `plan --defaults` prints. */
#include "src/pipeline/plan_keys.h"

#include <stdlib.h>
#include <string.h>

static const char head[] =
	"# Every key of a plan with its default; baldistill-plan(5) says more.\n"
	"# Fill in what is REQUIRED. Keys left out or left empty have their defaults; keys that method.preset\n"
	"# sets, and those of other kinds of teacher, stand as comments; for another kind of teacher leave out the keys\n"
	"# of (openai). ${NAME} is replaced from the environment.\n";

static const struct train_key *training_key(const struct plan_key *key)
{
	const struct train_key *train = train_keys;
	while (train->name && strcmp(train->name, plan_key_name(key)))
		train++;
	return train;
}

/* The default behind a training key's help stands before it already. */
static void put_training_help(struct grown *out, const char *help)
{
	const char *end = strrchr(help, '(');
	grown_add(out, help, end && end > help ? (size_t)(end - help) - 1 : strlen(help));
}

/* A default that is none of the words is one all the same. */
static void put_words(struct grown *out, const struct plan_key *key)
{
	if (!key->words)
		return;
	bool found = !key->value;
	for (size_t i = 0; key->words[i] && !found; i++)
		found = !strcmp(key->words[i], key->value);
	grown_put(out, found ? "" : key->value);
	for (size_t i = 0; key->words[i]; i++) {
		grown_put(out, i || !found ? " | " : "");
		grown_put(out, key->words[i]);
	}
	grown_put(out, "; ");
}

static void put_kinds(struct grown *out, const struct plan_key *key)
{
	const char *between = "";
	grown_put(out, key->kinds ? "(" : "");
	for (size_t i = 0; plan_teacher_kinds[i] && key->kinds; i++)
		if (key->kinds & 1u << i) {
			grown_put(out, between);
			grown_put(out, plan_teacher_kinds[i]);
			between = ", ";
		}
	grown_put(out, key->kinds ? ") " : "");
}

static void put_presets(struct grown *out, const struct plan_key *key)
{
	if (key->paper) {
		grown_put(out, "; preset paper: ");
		grown_put(out, key->paper);
	}
	if (key->authors) {
		grown_put(out, key->paper ? ", authors: " : "; preset authors: ");
		grown_put(out, key->authors);
	}
}

static void put_key(struct grown *out, const struct plan_key *key, int indent)
{
	bool other_kind = key->kinds && !(key->kinds & 1u << TEACHER_OPENAI);
	bool required = key->flags & KEY_REQUIRED, comment = key->paper || key->authors || other_kind;
	grown_add(out, "    ", (size_t)indent);
	grown_put(out, comment ? "# " : "");
	grown_put(out, plan_key_name(key));
	grown_put(out, ":");
	if (key->value) {
		grown_put(out, " ");
		grown_put(out, key->value);
	}
	grown_put(out, required ? "  # REQUIRED: " : "  # ");
	put_kinds(out, key);
	put_words(out, key);
	if (key->kind == PLAN_TRAINING)
		put_training_help(out, training_key(key)->help);
	else
		grown_put(out, key->help);
	put_presets(out, key);
	grown_put(out, "\n");
}

char *plan_defaults(struct err *err)
{
	const struct plan_key *before = NULL;
	struct grown out = {0};
	grown_put(&out, head);
	for (const struct plan_key *key = plan_keys; key->path; key++) {
		put_key(&out, key, plan_put_sections(&out, before, key));
		before = key;
	}
	return grown_take(&out, err);
}
