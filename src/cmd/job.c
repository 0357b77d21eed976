// SPDX-License-Identifier: Apache-2.0
#include "src/cmd/job.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "src/base/mem.h"
#include "src/cmd/progress.h"
#include "src/model/directory.h"

/* ---- options ---------------------------------------------------------------------- */

void job_defaults(struct job *job)
{
	*job = (struct job){.backend = "auto", .dtype = "float32", .seed = 1};
}

static int read_dtype(const char *word, enum dtype *dtype, struct err *err)
{
	static const struct {
		const char *word;
		enum dtype dtype;
	} words[] = {{"float32", DTYPE_F32}, {"bfloat16", DTYPE_BF16}};
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (!strcmp(words[i].word, word)) {
			*dtype = words[i].dtype;
			return 0;
		}
	return err_set(err, ERR_CONFIG, "'--dtype' takes float32 or bfloat16, not '%s'", word);
}

static int check_options(const struct job *job, enum dtype *dtype, struct err *err)
{
	if (!job->model)
		return err_set(err, ERR_USAGE, "'--model' is missing");
	if (job->threads > 4096 || job->slots > 1 << 20)
		return err_set(err, ERR_CONFIG, "'--threads' takes at most 4096, '--slots' at most 1048576");
	return read_dtype(job->dtype, dtype, err);
}

/* ---- begin and end --------------------------------------------------------------------- */

static void say_notes(const struct job *job, const struct arguments *args)
{
	const struct model *model = job->student->model;
	if (args->quiet || !model)
		return;
	fputs(model->notes, stderr);
	if (args->verbose)
		fprintf(stderr, "%s: backend %s, %zu MiB of weights stored, %zu MiB prepared\n", job->model,
			job->student->dev->name, model->stored >> 20, job->student->dev->prepared >> 20);
}

/* What cannot be created is told before the work. */
static int open_output(struct job *job, struct err *err)
{
	if (file_writer_open(&job->writer, job->output, 0666, err))
		return -1;
	if (job->in_blocks)
		file_writer_abort(&job->writer);
	job->writing = !job->in_blocks;
	return 0;
}

/* The student, with its weights unless text_only. */
static int open_student(struct job *job, const struct arguments *args, enum dtype dtype, bool text_only, struct err *err)
{
	const struct student_options options = {
		.directory = job->model, .backend = job->backend, .chat_template = job->chat, .dtype = dtype,
		.threads = (int)job->threads, .batch_invariant = job->batch_invariant, .memory = job->memory,
		.text_only = text_only, .random = job->random, .seed = job->seed, .adapter = job->adapter,
	};
	job->student = student_open(&options, err);
	if (!job->student)
		return -1;
	say_notes(job, args);
	return 0;
}

int job_open(struct job *job, const struct arguments *args, bool text_only, struct err *err)
{
	enum dtype dtype;
	job->progress = progress_of(args->quiet);
	if (check_options(job, &dtype, err))
		return -1;
	if (!job->data)
		return err_set(err, ERR_USAGE, "'--data' is missing");
	if (rows_load(&job->rows, job->data, err) || (job->output && open_output(job, err)))
		return -1;
	return open_student(job, args, dtype, text_only, err);
}

int job_open_model(struct job *job, const struct arguments *args, struct err *err)
{
	enum dtype dtype;
	return check_options(job, &dtype, err) || open_student(job, args, dtype, false, err) ? -1 : 0;
}

int job_close(struct job *job, int rc, struct err *err)
{
	if (job->writing && !rc)
		rc = file_writer_commit(&job->writer, err);
	else if (job->writing)
		file_writer_abort(&job->writer);
	student_close(job->student);
	rows_release(&job->rows);
	return rc;
}

int job_make_directory(const char *directory, bool *made, struct err *err)
{
	*made = !mkdir(directory, 0777);
	if (!*made && errno != EEXIST)
		return err_set_errno(err, ERR_CANTCREATE, "cannot create '%s'", directory);
	return directory_check(directory, err);
}

int job_put(struct job *job, const char *text, size_t n, struct err *err)
{
	if (job->writing)
		return file_writer_write(&job->writer, text, n, err);
	return fwrite(text, 1, n, stdout) == n ? 0 : err_set_errno(err, ERR_IO, "cannot write standard output");
}

int job_write(struct job *job, struct json_writer *w, struct err *err)
{
	size_t n;
	const char *text = json_writer_text(w, &n, err);
	return text && !job_put(job, text, n, err) && !job_put(job, "\n", 1, err) ? 0 : -1;
}

/* ---- rows --------------------------------------------------------------------------------- */

int job_ids(struct json_value row, const char *key, int32_t **ids, size_t *n, struct err *err)
{
	struct json_value list = json_in(row, key);
	*ids = NULL;
	if (json_get_length(list, n, err))
		return -1;
	*ids = mem_array(*n, sizeof **ids, err);
	for (size_t i = 0; *ids && i < *n; i++) {
		int64_t id;
		if (json_get_int64(json_at(list, i), &id, err))
			return -1;
		if (id < 0 || id > INT32_MAX)
			return err_set(err, ERR_DATA, "'%s' holds %lld, which is no id", key, (long long)id);
		(*ids)[i] = (int32_t)id;
	}
	return *ids ? 0 : -1;
}

static int read_ids(struct json_value row, struct job_text *out, struct err *err)
{
	int rc = job_ids(row, "completion_ids", &out->ids, &out->text.completion_ids_n, err);
	out->text.completion_ids = out->ids;
	return rc;
}

static int read_messages(struct json_value list, struct job_text *out, struct err *err)
{
	size_t n;
	if (json_get_length(list, &n, err))
		return -1;
	out->messages = mem_array(n, sizeof *out->messages, err);
	for (size_t i = 0; out->messages && i < n; i++) {
		struct chat_message *m = &out->messages[i];
		if (json_get_string(json_in(json_at(list, i), "role"), &m->role, NULL, err) ||
		    json_get_string(json_in(json_at(list, i), "content"), &m->content, &m->n, err))
			return -1;
	}
	out->text.messages = out->messages;
	out->text.messages_n = n;
	return out->messages ? 0 : -1;
}

static int read_text(struct json_value row, bool needs_completion, struct job_text *out, struct err *err)
{
	struct example_text *text = &out->text;
	const char *reason;
	if (json_kind(json_in(row, "messages")) != JSON_ABSENT) {
		text->completion = needs_completion ? "" : NULL;
		return read_messages(json_in(row, "messages"), out, err);
	}
	if (json_get_string(json_in(row, "prompt"), &text->prompt, &text->prompt_n, err))
		return -1;
	if (!needs_completion)
		return 0;
	if (json_opt_string(json_in(row, "finish_reason"), "stop", &reason, NULL, err))
		return -1;
	text->cut = !strcmp(reason, "length");
	if (json_kind(json_in(row, "completion_ids")) != JSON_ABSENT)
		return read_ids(row, out, err);
	return json_get_string(json_in(row, "completion"), &text->completion, &text->completion_n, err);
}

int job_text(const struct rows *rows, size_t i, bool needs_completion, struct job_text *out, struct err *err)
{
	*out = (struct job_text){0};
	if (!read_text(json_root(rows->row[i].doc), needs_completion, out, err))
		return 0;
	job_text_release(out);
	return row_refuse(rows, i, err);
}

int job_check_length(const struct job *job, size_t i, size_t tokens, struct err *err)
{
	int64_t positions = job->student->model->positions;
	if (tokens <= (size_t)positions)
		return 0;
	err_set(err, ERR_DATA, "the row's %zu tokens are more than the model's %lld positions", tokens, (long long)positions);
	return row_refuse(&job->rows, i, err);
}

void job_text_release(struct job_text *text)
{
	free(text->messages);
	free(text->ids);
	*text = (struct job_text){0};
}
