// SPDX-License-Identifier: Apache-2.0
/* What comes behind the model: post-processors and decoders of tokenizer.json. */
#include <string.h>

#include "src/text/read.h"

/* ---- post-processors ---- */

/* The ids of a special token of a template. */
static int put_template_token(struct tokenizer *tok, struct json_value special, const char *name, bool after,
			      struct err *err)
{
	struct json_value ids = json_in(json_in(special, name), "ids");
	struct around *around = &tok->around;
	uint64_t id;
	size_t n;

	if (json_get_length(ids, &n, err))
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (json_get_uint64(json_at(ids, i), &id, err))
			return -1;
		if (id >= tok->vocab.n)
			return err_set(err, ERR_DATA, "id %ju of the template's token '%.60s' has no token",
				       (uintmax_t)id, name);
		if ((after ? around->n_after : around->n_before) == TOKENIZER_MAX_AROUND)
			return err_set(err, ERR_DATA, "more than %d tokens before or behind a text",
				       TOKENIZER_MAX_AROUND);
		if (after ? put_id(&around->after, &around->n_after, &around->after_room, (int32_t)id, err)
			  : put_id(&around->before, &around->n_before, &around->before_room, (int32_t)id, err))
			return -1;
	}
	return 0;
}

static int read_template_item(struct tokenizer *tok, struct json_value item, struct json_value special, bool *seen,
			      struct err *err)
{
	struct json_value sequence = json_in(item, "Sequence");
	const char *name;

	if (json_kind(sequence) == JSON_ABSENT)
		return json_get_string(json_in(json_in(item, "SpecialToken"), "id"), &name, NULL, err) ||
				       put_template_token(tok, special, name, *seen, err)
			       ? -1
			       : 0;
	if (json_get_string(json_in(sequence, "id"), &name, NULL, err))
		return -1;
	if (strcmp(name, "A") || *seen)
		return err_set(err, ERR_DATA, "'single' must hold sequence 'A' once and no other");
	*seen = true;
	return 0;
}

static int read_template(struct tokenizer *tok, struct json_value value, int detail, struct err *err)
{
	struct json_value single = json_in(value, "single"), special = json_in(value, "special_tokens");
	bool seen = false;
	size_t n;

	(void)detail;
	if (tok->around.n_before || tok->around.n_after)
		return err_set(err, ERR_DATA, "more than one 'TemplateProcessing' is not supported");
	if (json_get_length(single, &n, err))
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (read_template_item(tok, json_at(single, i), special, &seen, err))
			return -1;
	}
	return seen ? 0 : err_set(err, ERR_DATA, "'single' must hold sequence 'A'");
}

/* It changes offsets alone. */
static int read_byte_offsets(struct tokenizer *tok, struct json_value value, int detail, struct err *err)
{
	(void)tok;
	(void)value;
	(void)detail;
	(void)err;
	return 0;
}

const struct component known_processors[] = {
	{"TemplateProcessing", read_template, 0},
	{"ByteLevel", read_byte_offsets, 0},
	{0},
};

/* ---- decoders ---- */

static struct decoder *new_decoder(struct tokenizer *tok, int kind, struct err *err)
{
	if (tok->n_decoders == TOKENIZER_MAX_STEPS) {
		no_room("decoder", err);
		return NULL;
	}
	tok->decoders[tok->n_decoders].kind = (enum decoder_kind)kind;
	return &tok->decoders[tok->n_decoders++];
}

static int read_plain_decoder(struct tokenizer *tok, struct json_value value, int detail, struct err *err)
{
	(void)value;
	return new_decoder(tok, detail, err) ? 0 : -1;
}

static int read_replace_decoder(struct tokenizer *tok, struct json_value value, int detail, struct err *err)
{
	struct decoder *step = new_decoder(tok, detail, err);

	if (!step || read_content(tok, &step->content, json_in(value, "content"), err))
		return -1;
	return read_pattern(&step->pattern, json_in(value, "pattern"), err);
}

static int read_strip_decoder(struct tokenizer *tok, struct json_value value, int detail, struct err *err)
{
	struct decoder *step = new_decoder(tok, detail, err);
	uint64_t start, stop;

	if (!step || read_character(tok, &step->content, json_in(value, "content"), err) ||
	    json_get_uint64(json_in(value, "start"), &start, err) ||
	    json_get_uint64(json_in(value, "stop"), &stop, err))
		return -1;
	step->start = start;
	step->stop = stop;
	return 0;
}

static int read_metaspace_decoder(struct tokenizer *tok, struct json_value value, int detail, struct err *err)
{
	struct decoder *step = new_decoder(tok, detail, err);
	enum prepend scheme;

	if (!step || read_character(tok, &step->content, json_in(value, "replacement"), err) ||
	    read_prepend_scheme(&scheme, value, err))
		return -1;
	step->prepended = scheme != PREPEND_NEVER;
	return 0;
}

const struct component known_decoders[] = {
	{"ByteLevel", read_plain_decoder, DECODER_BYTE_LEVEL},
	{"ByteFallback", read_plain_decoder, DECODER_BYTE_FALLBACK},
	{"Fuse", read_plain_decoder, DECODER_FUSE},
	{"Replace", read_replace_decoder, DECODER_REPLACE},
	{"Strip", read_strip_decoder, DECODER_STRIP},
	{"Metaspace", read_metaspace_decoder, DECODER_METASPACE},
	{0},
};
