// SPDX-License-Identifier: Apache-2.0
#include "src/pipeline/completions_parts.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/file.h"

static int read_numbers(struct completion *row, int64_t vocabulary, struct json_value root, struct err *err)
{
	struct json_value ids = json_in(root, "ids"), logp = json_in(root, "logp");
	size_t n, m;
	if (json_get_length(ids, &n, err) || json_get_length(logp, &m, err))
		return -1;
	row->tokens = (int64_t)n;
	row->ids = mem_array(n, sizeof *row->ids, err);
	row->logp = mem_array(n, sizeof *row->logp, err);
	if (!row->ids || !row->logp || m != n)
		return m != n ? err_set(err, ERR_DATA, "'ids' and 'logp' differ in length") : -1;
	for (size_t i = 0; i < n; i++) {
		int64_t id;
		double value;
		if (json_get_int64(json_at(ids, i), &id, err) || json_get_double(json_at(logp, i), &value, err))
			return -1;
		if (id < 0 || id >= vocabulary)
			return err_set(err, ERR_DATA, "%lld is no token of the student", (long long)id);
		row->ids[i] = (int32_t)id;
		row->logp[i] = (float)value;
	}
	if (json_get_bool(json_in(root, "stop"), &row->stopped, err))
		return -1;
	return row->stopped && !n ? err_set(err, ERR_DATA, "it stopped before its first token") : 0;
}

static int read_row(struct completions *done, struct student *student, struct json_value root, struct err *err)
{
	uint64_t of;
	if (json_get_uint64(json_in(root, "of"), &of, err))
		return -1;
	if (of >= done->n || done->row[of].ids)
		return err_set(err, ERR_DATA, "row %llu is not expected", (unsigned long long)of);
	struct completion *row = &done->row[of];
	if (read_numbers(row, student->model->config.vocab_size, root, err))
		return -1;
	row->text = tokenizer_decode(student->tokenizer, row->ids, (size_t)(row->tokens - row->stopped), true, &row->n, err);
	return row->text ? 0 : -1;
}

static int read_line(struct completions *done, struct student *student, const char *line, size_t n, struct err *err)
{
	struct json *doc = json_parse(line, n, NULL, err);
	int rc = doc ? read_row(done, student, json_root(doc), err) : -1;
	json_free(doc);
	return rc;
}

int completions_parse(struct completions *done, const struct completions_job *job, const char *text, size_t n,
		      struct err *err)
{
	for (const char *at = text, *end; n && at < text + n; at = end + 1) {
		end = memchr(at, '\n', (size_t)(text + n - at));
		if (!end)
			return err_set(err, ERR_DATA, "its last line is cut");
		if (read_line(done, job->student, at, (size_t)(end - at), err))
			return -1;
	}
	return 0;
}

int completions_read(struct completions *done, const struct completions_job *job, struct err *err)
{
	size_t n;
	char *text = file_read(job->path, SIZE_MAX / 2, &n, err);
	int rc = text ? completions_parse(done, job, text, n, err) : -1;
	if (text && rc)
		err_prefix(err, "%s", job->path);
	free(text);
	return rc;
}
