// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/vec_amx.h"

#include <string.h>

#include "backends/cpu/vec_width.h"

void amx_prepare(void)
{
	static const struct amx_shapes whole = {
		.palette = 1, .bytes = {64, 64, 64, 64, 64, 64, 64, 64}, .rows = {16, 16, 16, 16, 16, 16, 16, 16}};

	amx_begin(&whole);
}

void piece_rows(piece out, const float *const rows[PIECE_SIDE], int64_t offset, int64_t n)
{
	for (int i = 0; i < PIECE_SIDE; i++)
		if (rows[i])
			amx_round_row(out[i], rows[i] + offset, n);
		else
			memset(out[i], 0, sizeof out[i]);
}

void piece_pairs(piece out, const float *const rows[PIECE_TERMS], int64_t offset, int64_t n)
{
	for (int i = 0; i < PIECE_SIDE; i++) {
		const float *a = rows[2 * i], *b = rows[2 * i + 1];

		if (a || b)
			amx_round_pair(out[i], (a ? a : b) + offset, a ? n : 0, (b ? b : a) + offset, b ? n : 0);
		else
			memset(out[i], 0, sizeof out[i]);
	}
}

/* Exchange blocks of `size` dwords across the diagonal of blocks of twice that. */
#define EXCHANGE(size, ...)                                                                                            \
	for (int i = 0; i < PIECE_SIDE; i++)                                                                           \
		if (!(i & (size))) {                                                                                   \
			line upper = PICK(row[i], row[i + (size)], __VA_ARGS__);                                       \
			line lower = PICK(row[i], row[i + (size)], EXCHANGE_LOWER_##size);                             \
			row[i] = upper;                                                                                \
			row[i + (size)] = lower;                                                                       \
		}
#define EXCHANGE_LOWER_1 1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31
#define EXCHANGE_LOWER_2 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31
#define EXCHANGE_LOWER_4 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31
#define EXCHANGE_LOWER_8 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31

void piece_transpose(piece out)
{
	typedef int32_t line __attribute__((vector_size(PIECE_SIDE * 4)));
	line row[PIECE_SIDE];

	memcpy(row, out, sizeof row);
	EXCHANGE(1, 0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30)
	EXCHANGE(2, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29)
	EXCHANGE(4, 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27)
	EXCHANGE(8, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23)
	memcpy(out, row, sizeof row);
}

void piece_product(float *c, int64_t ldc, struct piece_operand a, struct piece_operand b, int64_t steps, int64_t rows,
		   int64_t cols, bool add)
{
	for (int64_t i = 0; i < rows; i += 2)
		for (int64_t j = 0; j < cols; j += 2)
			piece_block(c + i * PIECE_SIDE * ldc + j * PIECE_SIDE, ldc,
				    (struct piece_operand){a.at + i * a.strip, a.strip, a.step},
				    (struct piece_operand){b.at + j * b.strip, b.strip, b.step}, steps, 0, add);
}

void piece_product_into(float *c, int64_t ldc, int64_t m, int64_t n, struct piece_operand a, struct piece_operand b,
			int64_t steps)
{
	for (int64_t i = 0; i < m; i += PIECE_BLOCK)
		for (int64_t j = 0; j < n; j += PIECE_BLOCK)
			piece_part(c + i * ldc + j, ldc, m - i, n - j,
				   (struct piece_operand){a.at + i / PIECE_SIDE * a.strip, a.strip, a.step},
				   (struct piece_operand){b.at + j / PIECE_SIDE * b.strip, b.strip, b.step}, steps, 0,
				   true);
}
