// SPDX-License-Identifier: Apache-2.0
/*
 * train_rows.h - fine-tuning on the rows of a job, LoRA or full, safe to kill.
 *
 *     const char *value[TRAIN_ROWS_KEYS] = {NULL};        // of train_keys[i], where it is given
 *     struct train_rows_options options = {.output = "adapter", .value = value};
 *     rc = train_rows(&job, &options, &err);
 *     rc = job_close(&job, rc, &err);
 *
 * Rows in: {"prompt" or "messages", "completion"} or {"text"}, and "domain".
 * Out: a directory with the adapter or checkpoint, README.md and
 * trainer_log.jsonl. The same call goes on from the newest checkpoint
 * (student/train.h); a finished directory is refused. The job's output stays
 * unset: this writes no rows.
 */
#ifndef BALDISTILL_PIPELINE_TRAIN_ROWS_H
#define BALDISTILL_PIPELINE_TRAIN_ROWS_H

#include "src/pipeline/job.h"
#include "src/student/train_config.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { TRAIN_ROWS_KEYS = 32 }; /* room for one value of each of train_keys */

struct train_rows_options {
	const char *output;         /* directory */
	const char *config_file;    /* YAML with train_keys; NULL: none */
	const char *init;           /* "random", or NULL */
	const char *init_adapter;   /* directory of first values, or NULL */
	const char *dump_gradients; /* file, or NULL */
	uint64_t save_steps;        /* 0: every epoch */
	uint64_t tokens;            /* 0: train.h */
	bool no_shuffle;
	const char *const *value;   /* [of train_keys] over the file's; NULL: not given */
};

/*
 * The job begins here and ends with the caller's job_close. ERR_USAGE,
 * ERR_CONFIG, ERR_CANTCREATE, and the failures of job_begin and train.h.
 */
int train_rows(struct job *job, const struct train_rows_options *options, struct err *err);

#ifdef __cplusplus
}
#endif
#endif
