// SPDX-License-Identifier: Apache-2.0
/* One tensor: its shape, the rows of it, and whether values are finite. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/base/text.h"
#include "src/model/safetensors_table.h"

enum {
	CONVERT = 16 * 1024, /* elements converted at a time */
	COMPARE = 1 << 20,   /* elements of each of two compared at a time */
	BLOCK = 64           /* elements looked at together: a fixed number, so that vectors are used */
};

int64_t tensor_rows(const struct tensor_info *info)
{
	return info->rank ? info->shape[0] : 1;
}

int64_t tensor_row_elements(const struct tensor_info *info)
{
	int64_t n = 1;

	for (int i = 1; i < info->rank; i++)
		n *= info->shape[i]; /* fits: checked with the table */
	return n;
}

int64_t tensor_elements(const struct tensor_info *info)
{
	return tensor_rows(info) * tensor_row_elements(info);
}

/* "[49152, 576]" */
static const char *show_shape(char *out, size_t room, int rank, const int64_t shape[])
{
	size_t n = (size_t)snprintf(out, room, "[");

	for (int i = 0; i < rank && n < room; i++)
		n += (size_t)snprintf(out + n, room - n, "%s%lld", i ? ", " : "", (long long)shape[i]);
	if (n < room)
		snprintf(out + n, room - n, "]");
	return out;
}

static int check_weight(const struct tensor_info *info, struct err *err)
{
	if (info->weight)
		return 0;
	return err_set(err, ERR_DATA, "%s: tensor '%s' has dtype %s; weights must be F32, BF16 or F16",
		       safetensors_path(info->file), info->name, info->type);
}

int tensor_expect(const struct tensor_info *info, int rank, const int64_t shape[], struct err *err)
{
	char found[200], wanted[200];

	if (check_weight(info, err))
		return -1;
	if (info->rank == rank && !memcmp(info->shape, shape, (size_t)rank * sizeof *shape))
		return 0;
	return err_set(err, ERR_DATA, "%s: tensor '%s' has shape %s; config.json asks for %s",
		       safetensors_path(info->file), info->name,
		       show_shape(found, sizeof found, info->rank, info->shape),
		       show_shape(wanted, sizeof wanted, rank, shape));
}

static int check_range(const struct tensor_info *info, int64_t row, int64_t rows, struct err *err)
{
	int64_t all = tensor_rows(info);

	if (row < 0 || rows < 0 || row > all || rows > all - row)
		return err_set(err, ERR_INTERNAL, "%lld rows from %lld on were asked of tensor '%s'; it has %lld",
			       (long long)rows, (long long)row, info->name, (long long)all);
	return 0;
}

/* What is asked for must be rows of a weight. */
static int check_rows(const struct tensor_info *info, int64_t row, int64_t rows, struct err *err)
{
	return check_range(info, row, rows, err) || check_weight(info, err) ? -1 : 0;
}

int tensor_read_bytes(const struct tensor_info *info, int64_t row, int64_t rows, void *out, struct err *err)
{
	uint64_t all = (uint64_t)tensor_rows(info);

	if (check_range(info, row, rows, err) || !rows)
		return rows ? -1 : 0;
	if (info->bytes % all)
		return err_set(err, ERR_DATA, "%s: tensor '%s' has dtype %s and rows that end inside a byte",
			       safetensors_path(info->file), info->name, info->type);
	uint64_t row_bytes = info->bytes / all;
	if (safetensors_pread(info->file, info->begin + (uint64_t)row * row_bytes, out, (size_t)rows * row_bytes, err))
		return -1;
	return safetensors_unchanged(info->file, err);
}

int tensor_read(const struct tensor_info *info, int64_t row, int64_t rows, void *out, struct err *err)
{
	return check_rows(info, row, rows, err) ? -1 : tensor_read_bytes(info, row, rows, out, err);
}

/* bf16 is the upper half of an f32. */
static float bf16_value(uint16_t bits)
{
	uint32_t word = (uint32_t)bits << 16;
	float f;

	memcpy(&f, &word, sizeof f);
	return f;
}

/* f16: the exponents' biases differ by 127 - 15; all exponent bits set stays so. */
static float f16_value(uint16_t bits)
{
	uint32_t word = (uint32_t)(bits & 0x7FFF) << 13, sign = (uint32_t)(bits & 0x8000) << 16;
	float f;

	memcpy(&f, &word, sizeof f);
	f *= 0x1p112f;
	memcpy(&word, &f, sizeof word);
	word |= sign | ((bits & 0x7C00) == 0x7C00 ? 0x7F800000 : 0);
	memcpy(&f, &word, sizeof f);
	return f;
}

/* Whole blocks of bf16; how many elements those are. */
static size_t convert_blocks(float *restrict out, const uint16_t *restrict in, size_t n)
{
	size_t whole = n - n % BLOCK;

	for (size_t at = 0; at < whole; at += BLOCK)
		for (size_t i = 0; i < BLOCK; i++)
			out[at + i] = bf16_value(in[at + i]);
	return whole;
}

static void convert(float *out, const uint16_t *in, size_t n, enum dtype dtype)
{
	if (dtype == DTYPE_BF16)
		for (size_t i = convert_blocks(out, in, n); i < n; i++)
			out[i] = bf16_value(in[i]);
	else
		for (size_t i = 0; i < n; i++)
			out[i] = f16_value(in[i]);
}

int tensor_read_f32(const struct tensor_info *info, int64_t row, int64_t rows, float *out, struct err *err)
{
	uint16_t piece[CONVERT];

	if (info->weight && info->dtype == DTYPE_F32)
		return tensor_read(info, row, rows, out, err);
	if (check_rows(info, row, rows, err))
		return -1;
	size_t width = (size_t)tensor_row_elements(info), n = (size_t)rows * width;
	uint64_t place = info->begin + (size_t)row * width * sizeof *piece;
	for (size_t done = 0, step; done < n; done += step) {
		step = n - done < CONVERT ? n - done : CONVERT;
		if (safetensors_pread(info->file, place + done * sizeof *piece, piece, step * sizeof *piece, err))
			return -1;
		convert(out + done, piece, step, info->dtype);
	}
	return safetensors_unchanged(info->file, err);
}

int tensor_same(bool *same, const struct tensor_info *a, const struct tensor_info *b, struct err *err)
{
	int64_t width = tensor_row_elements(a), rows = tensor_rows(a), step = COMPARE / (width ? width : 1);
	size_t n = (size_t)width * (size_t)(step = step < 1 ? 1 : step);
	float *piece = mem_array(n, 2 * sizeof *piece, err);
	int rc = piece ? 0 : -1;

	*same = true;
	for (int64_t row = 0; !rc && *same && row < rows; row += step) {
		int64_t some = rows - row < step ? rows - row : step;
		rc = tensor_read_f32(a, row, some, piece, err);
		rc = rc ? rc : tensor_read_f32(b, row, some, piece + n, err);
		*same = !rc && !memcmp(piece, piece + n, (size_t)(some * width) * sizeof *piece);
	}
	free(piece);
	return rc;
}

/* Exponent and fraction of each type as bits of an element: all exponent bits set is NaN or infinity. */
static const struct {
	uint32_t exponent, fraction;
} parts[DTYPE_COUNT] = {
	[DTYPE_F32] = {0x7F800000, 0x007FFFFF},
	[DTYPE_BF16] = {0x7F80, 0x007F},
	[DTYPE_F16] = {0x7C00, 0x03FF},
};

/* Index of the first element that is not finite, or n: blocks without one are passed over whole. */
#define FIND(name, type)                                                                                               \
	static size_t name(const type *values, size_t n, uint32_t exponent)                                            \
	{                                                                                                              \
		type wanted = (type)exponent, found = 0;                                                               \
		size_t i = 0;                                                                                          \
                                                                                                                       \
		for (; i + BLOCK <= n; i += BLOCK) {                                                                   \
			for (size_t j = 0; j < BLOCK; j++)                                                             \
				found |= (type)-((values[i + j] & wanted) == wanted);                                  \
			if (found)                                                                                     \
				break;                                                                                 \
		}                                                                                                      \
		while (i < n && (values[i] & wanted) != wanted)                                                        \
			i++;                                                                                           \
		return i;                                                                                              \
	}
FIND(find_32, uint32_t)
FIND(find_16, uint16_t)

int tensor_check_finite(const char *name, enum dtype dtype, const void *values, size_t n, struct err *err)
{
	uint32_t exponent = parts[dtype].exponent, bits;
	char shown[LIMIT_NAME_BYTES];
	size_t i;

	if (!exponent)
		return err_set(err, ERR_INTERNAL, "tensor '%s': finite values were asked of %s", name,
			       dtype_name(dtype));
	i = dtype == DTYPE_F32 ? find_32(values, n, exponent) : find_16(values, n, exponent);
	if (i == n)
		return 0;
	bits = dtype == DTYPE_F32 ? ((const uint32_t *)values)[i] : ((const uint16_t *)values)[i];
	return err_set(err, ERR_DATA, "tensor '%s': element %zu is %s",
		       text_escape(shown, sizeof shown, name, strlen(name)), i,
		       bits & parts[dtype].fraction ? "NaN" : "infinite");
}
