// SPDX-License-Identifier: Apache-2.0
#include "src/student/schedule.h"

#include <math.h>
#include <stdlib.h>

#include "reference/philox.h"
#include "src/base/mem.h"

static int64_t rows_per_step(const struct train_options *o)
{
	return o->per_device_train_batch_size * o->gradient_accumulation_steps;
}

int64_t train_epoch_steps(const struct train_options *options, size_t n)
{
	return ((int64_t)n + rows_per_step(options) - 1) / rows_per_step(options);
}

int64_t train_steps(const struct train_options *options, size_t n)
{
	return options->num_train_epochs * train_epoch_steps(options, n);
}

double train_rate(const struct train_options *options, int64_t step, int64_t steps)
{
	double warm = ceil(options->warmup_ratio * (double)steps), done = (double)step - 1;
	if (done < warm)
		return options->learning_rate * done / warm;
	double x = (done - warm) / fmax(1, (double)steps - warm);
	switch (options->lr_scheduler_type) {
	case SCHEDULE_LINEAR:
		return options->learning_rate * (1 - x);
	case SCHEDULE_COSINE:
		return options->learning_rate * (1 + cos(M_PI * x)) / 2;
	case SCHEDULE_CONSTANT:
		break;
	}
	return options->learning_rate;
}

int row_order_open(struct row_order *order, const struct train_options *options, size_t n, struct err *err)
{
	*order = (struct row_order){.options = options, .n = n, .at = mem_array(n, sizeof *order->at, err), .epoch = -1};
	return order->at ? 0 : -1;
}

/* Fisher and Yates, from one stream for each epoch. */
static void shuffle(struct row_order *order, int64_t epoch)
{
	struct philox_key key = philox_stream(order->options->seed, PHILOX_SHUFFLE, (uint32_t)epoch, 0, 0);
	for (size_t i = 0; i < order->n; i++)
		order->at[i] = i;
	for (size_t i = order->n; order->options->shuffle && i > 1; i--) {
		size_t j = (size_t)(philox_uniform(philox_at(key, (uint32_t)i, 0)) * (double)i), kept = order->at[j];
		order->at[j] = order->at[i - 1];
		order->at[i - 1] = kept;
	}
	order->epoch = epoch;
}

const size_t *row_order_step(struct row_order *order, int64_t step, size_t *n)
{
	int64_t per = rows_per_step(order->options), of_epoch = train_epoch_steps(order->options, order->n);
	int64_t epoch = (step - 1) / of_epoch;
	size_t first = (size_t)((step - 1) % of_epoch * per), left = order->n - first;
	if (order->epoch != epoch)
		shuffle(order, epoch);
	*n = left < (size_t)per ? left : (size_t)per;
	return order->at + first;
}

void row_order_close(struct row_order *order)
{
	free(order->at);
	order->at = NULL;
}
