// SPDX-License-Identifier: Apache-2.0
/*
 * job.h - what commands over rows share: options of the student, and a job
 * (src/pipeline/job.h) that writes to standard output and speaks on standard
 * error.
 */
#ifndef BALDISTILL_CMD_JOB_H
#define BALDISTILL_CMD_JOB_H

#include "src/cmd/cmd.h"
#include "src/pipeline/job.h"

/* Rows of an option table, to be written into a command's own. */
#define JOB_ROWS(job)                                                                                                  \
	{"model", OPTION_TEXT, &(job)->model, "DIR", "Hugging Face model directory"},                                  \
	{"data", OPTION_TEXT, &(job)->data, "FILE", "rows to read, JSON Lines"}
#define JOB_INPUT(job)                                                                                                 \
	JOB_ROWS(job),                                                                                                 \
	{"chat-template", OPTION_TEXT, &(job)->chat, "NAME", "auto, none, chatml, llama2, llama3, mistral or zephyr (none)"}
#define JOB_OUTPUT(job)                                                                                                \
	{"output", OPTION_TEXT, &(job)->output, "FILE", "rows to write, JSON Lines (standard output)"}
#define JOB_FILES(job) JOB_INPUT(job), JOB_OUTPUT(job)
#define JOB_COMPUTE(job)                                                                                               \
	{"backend", OPTION_TEXT, &(job)->backend, "NAME", "backend (auto)"},                                           \
	{"dtype", OPTION_TEXT, &(job)->dtype, "TYPE", "weights, and products where it can, in float32 or bfloat16 (float32)"},            \
	{"memory", OPTION_SIZE, &(job)->memory, "SIZE", "bound of weights and arrays, such as 8GiB (none)"},           \
	{"threads", OPTION_NUMBER, &(job)->threads, "N", "threads (all of the machine's)"}
#define JOB_DEVICE(job)                                                                                                \
	JOB_COMPUTE(job),                                                                                              \
	{"batch-invariant", OPTION_FLAG, &(job)->batch_invariant, NULL, "rows do not depend on their neighbours, exactly"}, \
	{"adapter", OPTION_TEXT, &(job)->adapter, "DIR", "run with this PEFT adapter"}

/* After options_parse: rows without --output go to standard output; notes and progress to standard error, unless --quiet. */
void job_connect(struct job *job, const struct arguments *args);

/* job_connect, then job_begin of the text alone, or job_begin_model. */
int job_open_text(struct job *job, const struct arguments *args, struct err *err);
int job_open_model(struct job *job, const struct arguments *args, struct err *err);

#endif
