// SPDX-License-Identifier: Apache-2.0
/*
 * job.h - what commands over rows share: options of the student, rows in,
 * rows out, progress on standard error.
 */
#ifndef BALDISTILL_CMD_JOB_H
#define BALDISTILL_CMD_JOB_H

#include "src/base/file.h"
#include "src/base/progress.h"
#include "src/cmd/cmd.h"
#include "src/dataset/rows.h"
#include "src/student/student.h"

/* Values of the options that several commands have; job_defaults, then options_parse. */
struct job {
	const char *model, *data, *output, *backend, *dtype, *chat, *adapter;
	uint64_t memory, seed, slots, threads;
	bool batch_invariant;
	bool random;    /* set before job_open: the model's weights are drawn, none read */
	bool in_blocks; /* set before job_open: the command writes the output itself, block after block (part.h) */
	struct progress_output progress;
	struct rows rows;
	struct student *student;
	struct file_writer writer;
	bool writing;
};

/* Rows of an option table, to be written into a command's own. */
#define JOB_INPUT(job)                                                                                                 \
	{"model", OPTION_TEXT, &(job)->model, "DIR", "Hugging Face model directory"},                                  \
	{"data", OPTION_TEXT, &(job)->data, "FILE", "rows to read, JSON Lines"},                                       \
	{"chat-template", OPTION_TEXT, &(job)->chat, "NAME", "auto, none, chatml, llama2, llama3, mistral or zephyr (none)"}
#define JOB_FILES(job)                                                                                                 \
	JOB_INPUT(job),                                                                                                \
	{"output", OPTION_TEXT, &(job)->output, "FILE", "rows to write, JSON Lines (standard output)"}
#define JOB_COMPUTE(job)                                                                                               \
	{"backend", OPTION_TEXT, &(job)->backend, "NAME", "backend (auto)"},                                           \
	{"dtype", OPTION_TEXT, &(job)->dtype, "TYPE", "base weights as float32 or bfloat16 (float32)"},                \
	{"memory", OPTION_SIZE, &(job)->memory, "SIZE", "bound of weights and arrays, such as 8GiB (none)"},           \
	{"threads", OPTION_NUMBER, &(job)->threads, "N", "threads (all of the machine's)"}
#define JOB_DEVICE(job)                                                                                                \
	JOB_COMPUTE(job),                                                                                              \
	{"batch-invariant", OPTION_FLAG, &(job)->batch_invariant, NULL, "rows do not depend on their neighbours, exactly"}, \
	{"adapter", OPTION_TEXT, &(job)->adapter, "DIR", "run with this PEFT adapter"}

void job_defaults(struct job *job);

/* Check the options, read the rows, open the student (with its weights unless text_only) and the output. */
int job_open(struct job *job, const struct arguments *args, bool text_only, struct err *err);
/* The same without rows and output: options that name a model alone. */
int job_open_model(struct job *job, const struct arguments *args, struct err *err);
/* Finish the output where rc is 0, drop it otherwise, release all; rc, or -1 where the output could not be finished. */
int job_close(struct job *job, int rc, struct err *err);

/* A directory for results: made, or there already; ERR_CANTCREATE. */
int job_make_directory(const char *directory, bool *made, struct err *err);

/* Output: n bytes, or one finished row. */
int job_put(struct job *job, const char *text, size_t n, struct err *err);
int job_write(struct job *job, struct json_writer *w, struct err *err);

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

#endif
