// SPDX-License-Identifier: Apache-2.0
#include "backends/measure_far.h"

#include <stdlib.h>

#include "src/base/mem.h"

/* Calls of one measurement, as waiting for a device takes its time too; parts of what is read. */
enum { PRODUCTS = 32, PASSES = 8, PARTS = 32, FAR_ARRAYS = 5 };

struct measure_far {
	struct device *dev;
	const struct kernels *k;
	struct buffer *buffer[FAR_ARRAYS];
	int buffers;
	struct view from, to, x, y, sum; /* [1, n]; [2048, 2048] of act_dtype; [1, 1] */
	struct weight w;
};

static struct view far_array(struct measure_far *far, int64_t rows, int64_t cols, enum dtype dtype)
{
	struct buffer *buffer = far->k->alloc(far->dev, (size_t)(rows * cols) * dtype_size(dtype));
	if (!buffer)
		return view_none();
	far->buffer[far->buffers++] = buffer;
	return view_of(buffer, rows, cols, dtype);
}

/* x and the weight are the measure's a and b. */
static void far_fill(struct measure_far *far, const struct measure *measure)
{
	int64_t n = MEASURE_PRODUCT;
	struct buffer b = {measure->b, (size_t)(n * n) * sizeof *measure->b};
	struct view host = view_of(&b, n, n, DTYPE_F32), wide = far->from;
	const struct shape shape = {.rows = n, .hidden = n, .ffn = n};
	wide.rows = wide.cols = wide.ld = n;
	far->k->upload(far->dev, wide, measure->a);
	far->k->copy(far->dev, far->x, wide);
	far->k->fill(far->dev, far->from, 0.5f);
	far->k->reserve(far->dev, far->k->scratch_bytes(far->dev, OP_linear, &shape));
	if (!far->dev->failure[0])
		far->k->prepare(far->dev, &far->w, 1, &host, far->dev->act_dtype, WEIGHT_FORWARD);
}

struct measure_far *measure_far_new(const struct measure *measure, struct err *err)
{
	int64_t n = (int64_t)measure->n, square = MEASURE_PRODUCT;
	struct measure_far *far = mem_array(1, sizeof *far, err);
	if (!far)
		return NULL;
	far->dev = measure->dev;
	far->k = measure->dev->k;
	far->from = far_array(far, 1, n, DTYPE_F32);
	far->to = far_array(far, 1, n, DTYPE_F32);
	far->sum = far_array(far, 1, 1, DTYPE_F32);
	far->x = far_array(far, square, square, far->dev->act_dtype);
	far->y = far_array(far, square, square, far->dev->act_dtype);
	if (!far->dev->failure[0])
		far_fill(far, measure);
	const char *failure = device_sync(far->dev);
	if (!failure)
		return far;
	err_set(err, ERR_MEMORY, "%s", failure);
	measure_far_free(far);
	return NULL;
}

void measure_far_free(struct measure_far *far)
{
	if (!far)
		return;
	if (far->w.n)
		far->k->release(far->dev, &far->w);
	while (far->buffers > 0)
		far->k->free(far->dev, far->buffer[--far->buffers]);
	free(far);
}

double measure_far_product(struct measure_far *far)
{
	double n = MEASURE_PRODUCT, begin = measure_now();
	for (int i = 0; i < PRODUCTS; i++)
		far->k->linear(far->dev, far->y, far->x, &far->w, 0, view_none(), false);
	device_sync(far->dev);
	return PRODUCTS * 2 * n * n * n / (measure_now() - begin);
}

double measure_far_read(struct measure_far *far)
{
	double bytes = (double)far->from.cols * sizeof(float);
	struct view part[PARTS]; /* one alone may not keep a device busy */
	for (int64_t i = 0, n = far->from.cols; i < PARTS; i++)
		part[i] = view_cols(far->from, n * i / PARTS, n * (i + 1) / PARTS - n * i / PARTS);
	double begin = measure_now();
	for (int i = 0; i < PASSES; i++)
		far->k->norm2(far->dev, far->sum, part, PARTS);
	device_sync(far->dev);
	return PASSES * bytes / (measure_now() - begin);
}

double measure_far_copy(struct measure_far *far)
{
	double bytes = 2 * (double)far->from.cols * sizeof(float), begin = measure_now();
	for (int i = 0; i < PASSES; i++)
		far->k->copy(far->dev, far->to, far->from);
	device_sync(far->dev);
	return PASSES * bytes / (measure_now() - begin);
}
