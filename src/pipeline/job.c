// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE /* strchrnul */
#include "src/pipeline/job.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "src/model/directory.h"

/* ---- options ---------------------------------------------------------------------- */

void job_defaults(struct job *job)
{
	*job = (struct job){.backend = "auto", .dtype = "float32", .seed = 1};
}

static const struct {
	const char *word;
	enum dtype dtype;
} words[] = {{"float32", DTYPE_F32}, {"bfloat16", DTYPE_BF16}};

const char *job_dtype_word(enum dtype dtype)
{
	return words[dtype == words[1].dtype].word;
}

int job_read_dtype(const char *word, enum dtype *dtype, struct err *err)
{
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
	return job_read_dtype(job->dtype, dtype, err);
}

/* ---- begin and end --------------------------------------------------------------------- */

/* The model's warnings, one a line. */
static void say_notes(const struct job *job)
{
	const struct model *model = job->student->model;
	if (!model)
		return;
	for (const char *at = model->notes, *end; *at; at = end + (*end != 0)) {
		end = strchrnul(at, '\n');
		voice_say(&job->voice, "%.*s", (int)(end - at), at);
	}
	if (job->verbose)
		voice_say(&job->voice, "%s: backend %s, %zu MiB of weights stored, %zu MiB prepared", job->model,
			  job->student->dev->name, model->stored >> 20, job->student->dev->prepared >> 20);
}

/* What cannot be created is told before the work. */
static int open_output(struct job *job, struct err *err)
{
	if (file_expect_apart(job->output, job->data, err))
		return -1;
	if (job->in_blocks)
		return file_check_output(job->output, err);
	job->writing = !file_writer_open(&job->writer, job->output, 0666, err);
	return job->writing ? 0 : -1;
}

/* The student, with its weights unless text_only. */
static int open_student(struct job *job, enum dtype dtype, bool text_only, struct err *err)
{
	const struct student_options options = {
		.directory = job->model, .backend = job->backend, .chat_template = job->chat, .dtype = dtype,
		.threads = (int)job->threads, .batch_invariant = job->batch_invariant, .memory = job->memory,
		.text_only = text_only, .random = job->random, .seed = job->seed, .adapter = job->adapter,
	};
	job->student = student_open(&options, err);
	if (!job->student)
		return -1;
	say_notes(job);
	return 0;
}

int job_begin(struct job *job, bool text_only, struct err *err)
{
	enum dtype dtype;
	if (check_options(job, &dtype, err))
		return -1;
	if (!job->data)
		return err_set(err, ERR_USAGE, "'--data' is missing");
	if (rows_load(&job->rows, job->data, err) || (job->output && open_output(job, err)))
		return -1;
	return open_student(job, dtype, text_only, err);
}

int job_begin_model(struct job *job, struct err *err)
{
	enum dtype dtype;
	return check_options(job, &dtype, err) || open_student(job, dtype, false, err) ? -1 : 0;
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
	return job->put ? job->put(job->context, text, n, err) : err_set(err, ERR_USAGE, "'--output' is missing");
}

int job_write(struct job *job, struct json_writer *w, struct err *err)
{
	size_t n;
	const char *text = json_writer_text(w, &n, err);
	return text && !job_put(job, text, n, err) && !job_put(job, "\n", 1, err) ? 0 : -1;
}
