// SPDX-License-Identifier: Apache-2.0
/* Matrices and vectors: read from the files or drawn, rounded, and given to the device. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "reference/philox.h"
#include "src/base/mem.h"
#include "src/model/load.h"

enum { READ_BYTES = 32 << 20 /* f32 rows held while a matrix is rounded */ };

void model_note(struct model *model, const char *format, ...)
{
	size_t n = strlen(model->notes);
	va_list args;
	va_start(args, format);
	vsnprintf(model->notes + n, sizeof model->notes - n, format, args);
	va_end(args);
}

/* ---- matrices on the host ------------------------------------------------- */

/* f32 to bf16, to nearest even; a NaN stays one. */
static uint16_t bf16_of(float f)
{
	uint32_t bits;
	memcpy(&bits, &f, sizeof bits);
	if ((bits & 0x7fffffff) > 0x7f800000)
		return (uint16_t)(bits >> 16 | 0x40);
	return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/* Rows of a tensor rounded to bf16 through a bounded piece of f32. */
static int read_rounded(const struct tensor_info *info, uint16_t *out, struct err *err)
{
	int64_t cols = tensor_row_elements(info), rows = tensor_rows(info);
	int64_t step = READ_BYTES / (int64_t)sizeof(float) / (cols ? cols : 1);
	step = step < 1 ? 1 : step;
	float *piece = mem_array((size_t)(step < rows ? step : rows), (size_t)cols * sizeof *piece, err);
	int rc = piece ? 0 : -1;
	for (int64_t row = 0; !rc && row < rows; row += step) {
		int64_t n = rows - row < step ? rows - row : step;
		rc = tensor_read_f32(info, row, n, piece, err);
		for (int64_t i = 0; !rc && i < n * cols; i++)
			out[row * cols + i] = bf16_of(piece[i]);
	}
	free(piece);
	return rc;
}

static int read_matrix(const struct tensor_info *info, enum dtype dtype, void *out, struct err *err)
{
	if (info->dtype == dtype)
		return tensor_read(info, 0, tensor_rows(info), out, err);
	return dtype == DTYPE_F32 ? tensor_read_f32(info, 0, tensor_rows(info), out, err)
				  : read_rounded(info, out, err);
}

/* A host matrix [rows, cols] of the model; its struct buffer does not move. */
static int new_host(struct loader *l, struct view *out, int64_t rows, int64_t cols)
{
	struct model_arrays *arrays = l->model->arrays;
	size_t n = (size_t)rows * (size_t)cols, bytes = n * dtype_size(l->options->dtype);
	size_t taken = (bytes + LOAD_ALIGNMENT - 1) / LOAD_ALIGNMENT * LOAD_ALIGNMENT;
	if (arrays->hosts == arrays->host_room || taken > arrays->room - arrays->used)
		return err_set(l->err, ERR_INTERNAL, "too many matrices");
	arrays->host[arrays->hosts] = (struct buffer){arrays->block + arrays->used, bytes};
	arrays->used += taken;
	*out = view_of(&arrays->host[arrays->hosts++], rows, cols, l->options->dtype);
	l->model->stored += bytes;
	return 0;
}

static void warn_not_finite(struct model *model, const struct tensor_info *info, struct view v)
{
	struct err err = {0};
	if (tensor_check_finite(info->name, v.dtype, view_row(v, 0), (size_t)(v.rows * v.cols), &err))
		model_note(model, "%s\n", err.message);
}

/* ---- drawn weights ---------------------------------------------------------- */

/* A number for a tensor's name: FNV-1a, 32 bits. */
static uint32_t name_number(const char *name)
{
	uint32_t h = 2166136261u;
	for (; *name; name++)
		h = (h ^ (uint32_t)(unsigned char)*name) * 16777619u;
	return h;
}

/* Normal numbers, two from each pair of uniform ones (Box and Muller 1958). */
static float draw_normal(struct philox_key key, int64_t i)
{
	static const double deviation = 0.02; /* transformers' initializer_range */
	struct philox_words w = philox_at(key, (uint32_t)(i / 2), (uint64_t)(i / 2) >> 32);
	double radius = sqrt(-2 * log(((double)w.w[0] + 1) / 4294967296.0)), angle = 2 * M_PI * (double)w.w[1] / 4294967296.0;
	return (float)(deviation * radius * (i % 2 ? sin(angle) : cos(angle)));
}

static int draw_matrix(struct loader *l, struct view *out, int64_t rows, int64_t cols, const char *name)
{
	struct philox_key key = philox_stream(l->options->seed, PHILOX_INIT, name_number(name), 0, 1);
	if (l->check)
		return 0;
	if (new_host(l, out, rows, cols))
		return -1;
	for (int64_t i = 0; i < rows * cols; i++) {
		float value = draw_normal(key, i);
		if (out->dtype == DTYPE_F32)
			((float *)view_row(*out, 0))[i] = value;
		else
			((uint16_t *)view_row(*out, 0))[i] = bf16_of(value);
	}
	return 0;
}

/* ---- tensors of the files ---------------------------------------------------- */

int load_matrix(struct loader *l, struct view *out, int64_t rows, int64_t cols, const char *name)
{
	const int64_t shape[2] = {rows, cols};
	struct tensor_info info;
	if (l->options->random)
		return draw_matrix(l, out, rows, cols, name);
	if (shards_expect(l->shards, name, 2, shape, &info, l->err))
		return -1;
	if (l->check)
		return 0;
	if (new_host(l, out, rows, cols) || read_matrix(&info, l->options->dtype, view_row(*out, 0), l->err))
		return -1;
	warn_not_finite(l->model, &info, *out);
	return 0;
}

/* ---- arrays on the device -------------------------------------------------- */

int load_array(struct loader *l, struct view *out, int64_t rows, int64_t cols, const float *host)
{
	struct model_arrays *arrays = l->model->arrays;
	struct device *dev = l->model->dev;
	struct buffer *buffer = dev->k->alloc(dev, (size_t)rows * (size_t)cols * sizeof(float));
	if (!buffer)
		return device_finish(dev, ERR_MEMORY, l->err);
	arrays->device[arrays->devices++] = buffer;
	*out = view_of(buffer, rows, cols, DTYPE_F32);
	dev->k->upload(dev, *out, host);
	return device_finish(dev, ERR_MEMORY, l->err);
}

int load_vector(struct loader *l, struct view *out, int64_t n, const char *name)
{
	struct tensor_info info;
	bool random = l->options->random;
	if (!random && shards_expect(l->shards, name, 1, &n, &info, l->err))
		return -1;
	if (l->check)
		return 0;
	float *host = mem_array((size_t)n, sizeof *host, l->err);
	if (!host)
		return -1;
	for (int64_t i = 0; random && i < n; i++)
		host[i] = strstr(name, "norm") ? 1 : 0;
	/* a vector of n is n rows of one element */
	int rc = (!random && tensor_read_f32(&info, 0, tensor_rows(&info), host, l->err)) || load_array(l, out, 1, n, host)
			 ? -1 : 0;
	free(host);
	return rc;
}

/* Give a matrix's memory back to the system; pages at its ends that others share stay. */
static void drop(struct buffer *host)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), begin = (uintptr_t)host->data;
	uintptr_t first = (begin + page - 1) / page * page, end = (begin + host->bytes) / page * page;
	if (first < end)
		madvise((void *)first, end - first, MADV_DONTNEED);
	host->data = NULL;
}

/* Told while they grow: what a backend lays out can be twice what is stored. */
static int check_copies(const struct loader *l)
{
	uint64_t held = l->model->stored + l->model->dev->prepared, bound = l->options->memory;
	if (!bound || held <= bound)
		return 0;
	return err_set(l->err, ERR_MEMORY, "weights as %s and the copies of them that %s multiplies with need more than the %.1f MiB "
		       "allowed; raise --memory (in a plan student.memory), or take another backend",
		       dtype_name(l->options->dtype), l->model->dev->name, (double)bound / 0x1p20);
}

int load_weight(struct loader *l, struct weight *w, int n, const struct view host[], unsigned uses)
{
	struct device *dev = l->model->dev;
	if (l->check)
		return 0;
	if (dev->k->prepare(dev, w, n, host, l->options->dtype, uses))
		return device_finish(dev, ERR_MEMORY, l->err);
	for (int i = 0; i < n; i++)
		if (w->w[i].buffer != host[i].buffer) {
			l->model->stored -= host[i].buffer->bytes;
			drop(host[i].buffer);
		}
	return check_copies(l);
}
