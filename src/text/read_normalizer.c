// SPDX-License-Identifier: Apache-2.0
/* Normalizers of tokenizer.json. */
#include "src/text/read.h"

static struct normalizer *new_normalizer(struct tokenizer *tok, int kind, struct err *err)
{
	if (tok->n_normalizers == TOKENIZER_MAX_STEPS) {
		no_room("normalizer", err);
		return NULL;
	}
	tok->normalizers[tok->n_normalizers].kind = (enum normalizer_kind)kind;
	return &tok->normalizers[tok->n_normalizers++];
}

static int read_form(struct tokenizer *tok, struct json_value value, int detail, struct err *err)
{
	struct normalizer *step = new_normalizer(tok, NORMALIZER_FORM, err);

	(void)value;
	if (step)
		step->form = (enum unicode_form)detail;
	return step ? 0 : -1;
}

static int read_plain_normalizer(struct tokenizer *tok, struct json_value value, int detail, struct err *err)
{
	(void)value;
	return new_normalizer(tok, detail, err) ? 0 : -1;
}

static int read_strip(struct tokenizer *tok, struct json_value value, int detail, struct err *err)
{
	struct normalizer *step = new_normalizer(tok, detail, err);

	return !step || json_get_bool(json_in(value, "strip_left"), &step->left, err) ||
			       json_get_bool(json_in(value, "strip_right"), &step->right, err)
		       ? -1
		       : 0;
}

static int read_prepend(struct tokenizer *tok, struct json_value value, int detail, struct err *err)
{
	struct normalizer *step = new_normalizer(tok, detail, err);

	return step ? read_content(tok, &step->content, json_in(value, "prepend"), err) : -1;
}

static int read_replace(struct tokenizer *tok, struct json_value value, int detail, struct err *err)
{
	struct normalizer *step = new_normalizer(tok, detail, err);

	if (!step || read_content(tok, &step->content, json_in(value, "content"), err))
		return -1;
	return read_pattern(&step->pattern, json_in(value, "pattern"), err);
}

const struct component known_normalizers[] = {
	{"NFC", read_form, UNICODE_NFC},
	{"NFD", read_form, UNICODE_NFD},
	{"NFKC", read_form, UNICODE_NFKC},
	{"NFKD", read_form, UNICODE_NFKD},
	{"Lowercase", read_plain_normalizer, NORMALIZER_LOWERCASE},
	{"StripAccents", read_plain_normalizer, NORMALIZER_STRIP_ACCENTS},
	{"Strip", read_strip, NORMALIZER_STRIP},
	{"Prepend", read_prepend, NORMALIZER_PREPEND},
	{"Replace", read_replace, NORMALIZER_REPLACE},
	{0},
};
