// SPDX-License-Identifier: Apache-2.0
/* Pre-tokenizers of tokenizer.json. */
#include <string.h>

#include "src/base/text.h"
#include "src/text/read.h"

static struct splitter *new_splitter(struct tokenizer *tok, struct err *err)
{
	if (tok->byte_level) {
		err_set(err, ERR_DATA, "a pre-tokenizer behind 'ByteLevel' is not supported");
		return NULL;
	}
	if (tok->n_splitters == TOKENIZER_MAX_STEPS) {
		no_room("pre-tokenizer", err);
		return NULL;
	}
	return &tok->splitters[tok->n_splitters++];
}

static int read_behaviour(enum behaviour *out, struct json_value value, struct err *err)
{
	static const char *const names[] = {"Isolated", "Removed", "MergedWithPrevious", "MergedWithNext",
					    "Contiguous"};
	const char *name;
	char shown[60];

	if (json_get_string(value, &name, NULL, err))
		return -1;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		if (!strcmp(name, names[i])) {
			*out = (enum behaviour)i;
			return 0;
		}
	}
	return err_set(err, ERR_DATA, "unknown behavior '%s'", text_escape(shown, sizeof shown, name, strlen(name)));
}

static int read_split(struct tokenizer *tok, struct json_value value, int detail, struct err *err)
{
	struct splitter *step = new_splitter(tok, err);

	(void)detail;
	if (!step || read_behaviour(&step->behaviour, json_in(value, "behavior"), err) ||
	    json_opt_bool(json_in(value, "invert"), false, &step->invert, err))
		return -1;
	return read_pattern(&step->pattern, json_in(value, "pattern"), err);
}

static int set_native(struct splitter *step, const char *pattern, enum behaviour behaviour, struct err *err)
{
	step->behaviour = behaviour;
	step->pattern = pattern_new(pattern, strlen(pattern), PATTERN_NATIVE, err);
	return step->pattern ? 0 : -1;
}

static int read_punctuation(struct tokenizer *tok, struct json_value value, int detail, struct err *err)
{
	struct splitter *step = new_splitter(tok, err);
	struct json_value behaviour = json_in(value, "behavior");
	enum behaviour chosen = SPLIT_ISOLATED;

	(void)detail;
	if (!step || (json_kind(behaviour) != JSON_ABSENT && read_behaviour(&chosen, behaviour, err)))
		return -1;
	return set_native(step, "[\\p{P}!-/:-@\\[-`{-~]", chosen, err);
}

static int read_digits(struct tokenizer *tok, struct json_value value, int detail, struct err *err)
{
	struct splitter *step = new_splitter(tok, err);
	bool individual;

	(void)detail;
	if (!step || json_opt_bool(json_in(value, "individual_digits"), false, &individual, err))
		return -1;
	return set_native(step, "\\p{N}", individual ? SPLIT_ISOLATED : SPLIT_CONTIGUOUS, err);
}

static int read_whitespace_split(struct tokenizer *tok, struct json_value value, int detail, struct err *err)
{
	struct splitter *step = new_splitter(tok, err);

	(void)value;
	(void)detail;
	return step ? set_native(step, "[\\t-\\r\\x{85}\\p{Z}]", SPLIT_REMOVED, err) : -1;
}

/* Words and runs of signs: \w+|[^\w\s]+, with the \w of UTS 18. */
static int read_whitespace(struct tokenizer *tok, struct json_value value, int detail, struct err *err)
{
#define WORD                                                                                                           \
	"\\p{L}\\p{M}\\p{Nl}\\p{Nd}\\p{Pc}\\x{200C}\\x{200D}\\x{24B6}-\\x{24E9}\\x{1F130}-\\x{1F149}"                  \
	"\\x{1F150}-\\x{1F169}\\x{1F170}-\\x{1F189}"
	struct splitter *step = new_splitter(tok, err);

	(void)value;
	(void)detail;
	if (!step)
		return -1;
	step->invert = true;
	return set_native(step, "[" WORD "]+|[^" WORD "\\t-\\r\\x{85}\\p{Z}]+", SPLIT_REMOVED, err);
#undef WORD
}

/* prepend_scheme, and the older add_prefix_space, which must not contradict it. */
int read_prepend_scheme(enum prepend *out, struct json_value value, struct err *err)
{
	static const char *const names[] = {"never", "first", "always"};
	const char *name;
	bool prefix;

	if (json_opt_bool(json_in(value, "add_prefix_space"), true, &prefix, err) ||
	    json_opt_string(json_in(value, "prepend_scheme"), prefix ? "always" : "never", &name, NULL, err))
		return -1;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		if (!strcmp(name, names[i]) && (prefix || i == PREPEND_NEVER)) {
			*out = (enum prepend)i;
			return 0;
		}
	}
	return err_set(err, ERR_DATA,
		       "'prepend_scheme' must be 'never', 'first' or 'always', and 'never' where "
		       "'add_prefix_space' is false");
}

static int read_metaspace(struct tokenizer *tok, struct json_value value, int detail, struct err *err)
{
	struct splitter *step = new_splitter(tok, err);
	bool cut;

	(void)detail;
	if (!step || read_character(tok, &step->mark, json_in(value, "replacement"), err) ||
	    read_prepend_scheme(&step->prepend, value, err) || json_opt_bool(json_in(value, "split"), true, &cut, err))
		return -1;
	step->replace_spaces = true;
	step->behaviour = SPLIT_NEXT;
	if (!cut)
		return 0;
	step->pattern = pattern_new(step->mark.bytes, step->mark.n, PATTERN_LITERAL, err);
	return step->pattern ? 0 : -1;
}

static int read_byte_level(struct tokenizer *tok, struct json_value value, int detail, struct err *err)
{
	/* the words of GPT-2 */
	static const char words[] =
		"'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
	struct splitter *step = new_splitter(tok, err);
	bool prefix, regex;

	(void)detail;
	if (!step || json_opt_bool(json_in(value, "add_prefix_space"), true, &prefix, err) ||
	    json_opt_bool(json_in(value, "use_regex"), true, &regex, err))
		return -1;
	tok->byte_level = true;
	if (prefix) {
		step->mark = (struct slice){" ", 1};
		step->prepend = PREPEND_ALWAYS;
	}
	if (!regex)
		return 0;
	step->pattern = pattern_new(words, sizeof words - 1, PATTERN_REGEX, err);
	return step->pattern ? 0 : -1;
}

const struct component known_splitters[] = {
	{"Split", read_split, 0},
	{"Punctuation", read_punctuation, 0},
	{"Digits", read_digits, 0},
	{"Whitespace", read_whitespace, 0},
	{"WhitespaceSplit", read_whitespace_split, 0},
	{"Metaspace", read_metaspace, 0},
	{"ByteLevel", read_byte_level, 0},
	{0},
};
