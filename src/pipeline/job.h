// SPDX-License-Identifier: Apache-2.0
/*
 * job.h - work of a student over a file of rows: rows in, rows out.
 *
 *     struct job job;
 *     job_defaults(&job);
 *     job.model = directory;
 *     job.data = "rows.jsonl";
 *     job.output = "scores.jsonl";              // or job.put: where rows go without a file
 *     rc = score_rows(&job, &err);              // score_rows.h, generate_rows.h, train_rows.h: they begin the job
 *     rc = job_close(&job, rc, &err);           // always
 *
 * Others begin it themselves with job_begin and write with job_write. Options
 * have the names of the commands' in messages. A struct job borrows its texts.
 */
#ifndef BALDISTILL_PIPELINE_JOB_H
#define BALDISTILL_PIPELINE_JOB_H

#include "src/base/file.h"
#include "src/dataset/rows.h"
#include "src/pipeline/voice.h"
#include "src/student/student.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Options, to be set between job_defaults and the work, and what the work opens. */
struct job {
	const char *model, *data, *output, *backend, *dtype, *chat, *adapter; /* NULL: not given */
	uint64_t memory, seed, slots, threads;
	bool batch_invariant;
	bool random;    /* the model's weights are drawn, none read */
	bool in_blocks; /* the output is written block after block (part.h), not by job_put */
	bool verbose;   /* say which backend and how many weights */
	struct voice voice;
	int (*put)(void *context, const char *text, size_t n, struct err *err); /* n bytes of rows; needed without output */
	void *context;  /* of put */
	struct rows rows;
	struct student *student;
	struct file_writer writer;
	bool writing;
};

/* Backend auto, float32, seed 1; everything else 0. */
void job_defaults(struct job *job);

/*
 * Check the options, read the rows, make sure that the output can be created,
 * open the student (with its weights unless text_only). ERR_USAGE where model
 * or data are missing, ERR_CONFIG, and the failures of rows.h, file.h,
 * student.h; job_close releases what was opened.
 */
int job_begin(struct job *job, bool text_only, struct err *err);
/* The same without rows and output: options that name a model alone. */
int job_begin_model(struct job *job, struct err *err);
/* Finish the output where rc is 0, drop it otherwise, release all; rc, or -1 where the output could not be finished. */
int job_close(struct job *job, int rc, struct err *err);

/* "float32" or "bfloat16", as --dtype takes them. */
int job_read_dtype(const char *word, enum dtype *dtype, struct err *err);
const char *job_dtype_word(enum dtype dtype);

/* A directory for results: made, or there already; ERR_CANTCREATE. */
int job_make_directory(const char *directory, bool *made, struct err *err);

/* Output: n bytes, or one finished row. */
int job_put(struct job *job, const char *text, size_t n, struct err *err);
int job_write(struct job *job, struct json_writer *w, struct err *err);

/* job_text.c */

/* Refuse row i where its tokens are more than the model has positions. */
int job_check_length(const struct job *job, size_t i, size_t tokens, struct err *err);

/* Member `key` of a row, a list of token ids; *ids is released with free(), also after a failure. */
int job_ids(struct json_value row, const char *key, int32_t **ids, size_t *n, struct err *err);

/* The texts of a row. needs_completion: refuse rows without one. Released with job_text_release. */
struct job_text {
	struct example_text text;
	struct chat_message *messages;
	int32_t *ids;
};
int job_text(const struct rows *rows, size_t i, bool needs_completion, struct job_text *out, struct err *err);
void job_text_release(struct job_text *text);

#ifdef __cplusplus
}
#endif
#endif
