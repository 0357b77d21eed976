// SPDX-License-Identifier: Apache-2.0
/* tokenize: token ids of text, and back. */
#include <stdlib.h>

#include "src/cmd/job.h"

struct settings {
	bool decode, no_special;
};

/* {"text"} to {"ids"} */
static int encode_row(struct job *job, size_t i, const struct settings *s, struct json_writer *w, struct err *err)
{
	const char *text;
	size_t n;
	struct token_list list = {0};
	struct json_value row = json_root(job->rows.row[i].doc);
	int rc = json_get_string(json_in(row, "text"), &text, &n, err) ||
		 encoder_encode(job->student->encoder, &list, text, n, !s->no_special, err);
	json_put_key(w, "ids");
	json_begin_array(w);
	for (size_t t = 0; !rc && t < list.n; t++)
		json_put_int(w, list.ids[t]);
	json_end_array(w);
	token_list_release(&list);
	return rc ? -1 : 0;
}

/* {"ids"} to {"text"}; special tokens are written out */
static int decode_row(struct job *job, size_t i, const struct settings *s, struct json_writer *w, struct err *err)
{
	int32_t *ids = NULL;
	size_t n, length;
	char *text = NULL;
	if (!job_ids(json_root(job->rows.row[i].doc), "ids", &ids, &n, err))
		text = tokenizer_decode(job->student->tokenizer, ids, n, s->no_special, &length, err);
	if (text) {
		json_put_key(w, "text");
		json_put_string(w, text, length);
	}
	free(ids);
	free(text);
	return text ? 0 : -1;
}

static int tokenize_row(struct job *job, size_t i, const struct settings *s, struct err *err)
{
	static const char *const own[] = {"text", "ids", NULL};
	struct json_writer w;
	json_writer_init(&w, 0);
	json_begin_object(&w);
	row_put_id(&w, &job->rows.row[i].id);
	row_put_others(&w, &job->rows.row[i], own, err);
	int rc = s->decode ? decode_row(job, i, s, &w, err) : encode_row(job, i, s, &w, err);
	json_end_object(&w);
	rc = rc ? row_refuse(&job->rows, i, err) : job_write(job, &w, err);
	json_writer_release(&w);
	return rc;
}

static int run(struct arguments *args, struct err *err)
{
	struct job job;
	struct settings s = {0};
	job_defaults(&job);
	const struct option_row rows[] = {
		JOB_ROWS(&job),
		JOB_OUTPUT(&job),
		{"decode", OPTION_FLAG, &s.decode, NULL, "from ids to text"},
		{"no-special-tokens", OPTION_FLAG, &s.no_special, NULL, "add none, or leave them out of decoded text"},
		{0},
	};
	int go = options_parse(&cmd_tokenize, rows, args, err);
	if (go <= 0)
		return go;
	int rc = options_expect(&cmd_tokenize, args, 0, 0, err) || job_open_text(&job, args, err) ? -1 : 0;
	for (size_t i = 0; !rc && i < job.rows.n; i++)
		rc = tokenize_row(&job, i, &s, err);
	return job_close(&job, rc, err);
}

const struct command cmd_tokenize = {"tokenize", "token ids of text, and back", NULL, run, 0};
