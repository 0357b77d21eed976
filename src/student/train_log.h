// SPDX-License-Identifier: Apache-2.0
/*
 * train_log.h - trainer_log.jsonl, one line a step. Private to the room.
 *
 * {"step", "epoch", "loss", "learning_rate", "grad_norm", "tokens",
 * "target_tokens", "tokens_per_second"} and, where rows carry a domain,
 * "domain_loss": {domain: mean loss of its targets}. Clock time is in the one
 * field named *_per_second. Going on after a checkpoint cuts the steps behind it.
 */
#ifndef BALDISTILL_STUDENT_TRAIN_LOG_H
#define BALDISTILL_STUDENT_TRAIN_LOG_H

#include "src/student/train.h"

/* Sums of one step. */
struct train_tally {
	double loss;            /* sum over targets of -log p */
	int64_t tokens, targets;
	double *domain_loss;    /* [domains] */
	int64_t *domain_targets;
};

struct train_log {
	int fd;                 /* -1: no file */
	char *path;
	const char **domain;    /* names, each once, borrowed from the rows */
	size_t domains;
	size_t *domain_of;      /* [rows]; `domains` where a row has none */
	struct train_tally tally;
	double kept_loss;       /* of the last line that was kept; NaN: none was */
};

/*
 * Keep the lines of steps 1 … done of an older file; ERR_IO, ERR_CANTCREATE, ERR_MEMORY. directory NULL: steps are
 * tallied, no line is written.
 */
int train_log_open(struct train_log *log, const char *directory, const struct train_row *rows, size_t n, int64_t done,
		   struct err *err);
void train_log_close(struct train_log *log);

/* A call's targets into the tally of the step. */
void train_log_clear(struct train_log *log);
void train_log_add(struct train_log *log, const float *logp, const size_t *owner, int64_t targets, int64_t tokens);

struct train_line {
	int64_t step;
	double epoch, learning_rate, grad_norm, seconds;
};
int train_log_write(struct train_log *log, const struct train_line *line, struct err *err);
/* Before a checkpoint, whose steps' lines must outlive a power cut as it does. */
int train_log_sync(const struct train_log *log, struct err *err);

#endif
