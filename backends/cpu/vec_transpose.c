// SPDX-License-Identifier: Apache-2.0
/* Rows to lanes and back (vec_tile.h). */
#include "backends/cpu/vec_tile.h"

typedef float four __attribute__((vector_size(16)));

struct square {
	four row[4];
};

static inline struct square transpose(struct square x)
{
	four low01 = PICK(x.row[0], x.row[1], 0, 4, 1, 5), high01 = PICK(x.row[0], x.row[1], 2, 6, 3, 7);
	four low23 = PICK(x.row[2], x.row[3], 0, 4, 1, 5), high23 = PICK(x.row[2], x.row[3], 2, 6, 3, 7);

	return (struct square){{PICK(low01, low23, 0, 1, 4, 5), PICK(low01, low23, 2, 3, 6, 7),
				PICK(high01, high23, 0, 1, 4, 5), PICK(high01, high23, 2, 3, 6, 7)}};
}

void transpose_in(float *x_t, float *const x[], float factor, int64_t dim, int64_t width)
{
	int64_t whole = dim - dim % 4;

	for (int64_t lane = 0; lane < width; lane += 4)
		for (int64_t d = 0; d < whole; d += 4) {
			struct square part;

			for (int i = 0; i < 4; i++) {
				memcpy(&part.row[i], x[lane + i] + d, sizeof part.row[i]);
				part.row[i] *= (four){factor, factor, factor, factor};
			}
			part = transpose(part);
			for (int i = 0; i < 4; i++)
				memcpy(x_t + (d + i) * ATTN_LANES + lane, &part.row[i], sizeof part.row[i]);
		}
	for (int64_t d = whole; d < dim; d++)
		for (int64_t lane = 0; lane < width; lane++)
			x_t[d * ATTN_LANES + lane] = factor * x[lane][d];
}

void transpose_out(float *const x[], const float *x_t, const float *factor, int64_t dim, int64_t width)
{
	int64_t whole = dim - dim % 4;

	for (int64_t lane = 0; lane < width; lane += 4)
		for (int64_t d = 0; d < whole; d += 4) {
			struct square part;
			four by;

			memcpy(&by, factor + lane, sizeof by);
			for (int i = 0; i < 4; i++) {
				memcpy(&part.row[i], x_t + (d + i) * ATTN_LANES + lane, sizeof part.row[i]);
				part.row[i] *= by;
			}
			part = transpose(part);
			for (int i = 0; i < 4; i++)
				memcpy(x[lane + i] + d, &part.row[i], sizeof part.row[i]);
		}
	for (int64_t d = whole; d < dim; d++)
		for (int64_t lane = 0; lane < width; lane++)
			x[lane][d] = factor[lane] * x_t[d * ATTN_LANES + lane];
}
