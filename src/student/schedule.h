// SPDX-License-Identifier: Apache-2.0
/*
 * schedule.h - the steps of a training: how many, at what rate, on which rows.
 *
 *     struct row_order order;
 *     if (row_order_open(&order, &options, n, &err))
 *             return -1;
 *     for (int64_t step = 1; step <= train_steps(&options, n); step++)
 *             at = row_order_step(&order, step, &rows);   // at[0..rows): until the next call
 *     row_order_close(&order);
 *
 * Steps count from 1. Any step may be asked for first, so a resumed training
 * sees the rows that it would have seen. Failure: ERR_MEMORY.
 */
#ifndef BALDISTILL_STUDENT_SCHEDULE_H
#define BALDISTILL_STUDENT_SCHEDULE_H

#include <stddef.h>
#include <stdint.h>

#include "src/base/err.h"
#include "src/student/train.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Steps of a whole training, and of one epoch, on n rows. */
int64_t train_steps(const struct train_options *options, size_t n);
int64_t train_epoch_steps(const struct train_options *options, size_t n);

/* Learning rate of step `step` of `steps`. */
double train_rate(const struct train_options *options, int64_t step, int64_t steps);

/* The rows of each epoch, shuffled anew in each. */
struct row_order {
	const struct train_options *options; /* borrowed */
	size_t n, *at;                       /* [n], of `epoch` */
	int64_t epoch;                       /* -1: none yet */
};

int row_order_open(struct row_order *order, const struct train_options *options, size_t n, struct err *err);
const size_t *row_order_step(struct row_order *order, int64_t step, size_t *n);
void row_order_close(struct row_order *order);

#ifdef __cplusplus
}
#endif
#endif
