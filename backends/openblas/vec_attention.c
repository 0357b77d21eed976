// SPDX-License-Identifier: Apache-2.0
/* Attention of one tile (vec_attention.h). Tiles of sums are kept in registers by vector types. */
#include "backends/openblas/vec_attention.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "backends/openblas/vec.h"
#include "backends/openblas/vec_math.h"

#if defined(__AVX512F__)
enum { WIDTH = 16, VECTORS = 4 };
#elif defined(__AVX2__)
enum { WIDTH = 8, VECTORS = 2 };
#else
enum { WIDTH = 4, VECTORS = 2 };
#endif
enum { NARROW = 8 }; /* tiles of at most this many lanes keep o as rows */

typedef float vf __attribute__((vector_size(WIDTH * 4)));

static const float NOTHING = -1e30f; /* maximum before the first key; finite, so that differences are */

/* ---- products ------------------------------------------------------------- */

static inline vf load(const float *x)
{
	vf v;

	memcpy(&v, x, sizeof v);
	return v;
}

static inline void store(float *y, vf v)
{
	memcpy(y, &v, sizeof v);
}

/* Element (i, p) is at[i * row + p * col]. */
struct strided {
	const float *at;
	int64_t row, col;
};

/* c[rows, vectors] (+)= a[rows, depth] b[depth, vectors] */
static inline __attribute__((always_inline)) void product(float *c, int64_t ldc, const float *a, int64_t row,
							  int64_t col, const float *b, int64_t ldb, int64_t depth,
							  int rows, int vectors, bool add)
{
	vf sum[12][4];

	for (int r = 0; r < rows; r++)
		for (int x = 0; x < vectors; x++)
			sum[r][x] = add ? load(c + r * ldc + x * WIDTH) : (vf){0};
	for (int64_t p = 0; p < depth; p++, a += col, b += ldb) {
		vf line[4];

		for (int x = 0; x < vectors; x++)
			line[x] = load(b + x * WIDTH);
		for (int r = 0; r < rows; r++)
			for (int x = 0; x < vectors; x++)
				sum[r][x] += a[r * row] * line[x];
	}
	for (int r = 0; r < rows; r++)
		for (int x = 0; x < vectors; x++)
			store(c + r * ldc + x * WIDTH, sum[r][x]);
}

#define ROWS(rows, vectors)                                                                                            \
	for (; i + (rows) <= m; i += (rows))                                                                           \
		product(c + i * ldc, ldc, a.at + i * a.row, a.row, a.col, b, ldb, depth, rows, vectors, add);

#define STRIP(vectors, rows)                                                                                           \
	static void strip##vectors(float *c, int64_t ldc, struct strided a, const float *b, int64_t ldb,              \
				   int64_t depth, int64_t m, bool add)                                                 \
	{                                                                                                              \
		int64_t i = 0;                                                                                         \
                                                                                                                       \
		ROWS(rows, vectors)                                                                                    \
		ROWS(4, vectors)                                                                                       \
		ROWS(2, vectors)                                                                                       \
		ROWS(1, vectors)                                                                                       \
	}

typedef void strip(float *c, int64_t ldc, struct strided a, const float *b, int64_t ldb, int64_t depth, int64_t m,
		   bool add);

/* Sums in registers: 24 of 32, or 12 of 16. */
STRIP(1, 12)
#if defined(__AVX512F__)
STRIP(2, 12)
STRIP(3, 8)
STRIP(4, 6)
static strip *const strips[] = {strip1, strip2, strip3, strip4};
#else
STRIP(2, 6)
static strip *const strips[] = {strip1, strip2};
#endif

/* c[m, n] (+)= a[m, depth] b[depth, n] */
static void multiply(float *c, int64_t ldc, struct strided a, const float *b, int64_t ldb, int64_t depth, int64_t m,
		     int64_t n, bool add)
{
	int64_t j = 0;

	while (j + WIDTH <= n) {
		int64_t vectors = (n - j) / WIDTH < VECTORS ? (n - j) / WIDTH : VECTORS;

		strips[vectors - 1](c + j, ldc, a, b + j, ldb, depth, m, add);
		j += vectors * WIDTH;
	}
	for (int64_t i = 0; j < n && i < m; i++)
		for (int64_t x = j; x < n; x++) {
			float sum = add ? c[i * ldc + x] : 0.0f;

			for (int64_t p = 0; p < depth; p++)
				sum += a.at[i * a.row + p * a.col] * b[p * ldb + x];
			c[i * ldc + x] = sum;
		}
}

/* ---- keys ------------------------------------------------------------------ */

/* Row of key j, and how many keys of the next n lie in consecutive rows. */
static int64_t key_run(const struct attn_keys *keys, int64_t j, int64_t n, int64_t *run)
{
	*run = n;
	if (!keys->pages)
		return keys->row + j;
	int64_t rest = keys->page_size - j % keys->page_size;

	if (rest < n)
		*run = rest;
	return keys->pages[j / keys->page_size] * keys->page_size + j % keys->page_size;
}

/* s[n, width] = x x_t of the keys j … j + n - 1; x is k or v, x_t [D, width] */
static void scores(float *s, const struct attn_tile *tile, const struct attn_keys *keys, int64_t j, int64_t n,
		   const float *x, int64_t ld, const float *x_t, int64_t width)
{
	for (int64_t i = 0, run; i < n; i += run) {
		int64_t row = key_run(keys, j + i, n - i, &run);

		multiply(s + i * ATTN_LANES, ATTN_LANES, (struct strided){x + row * ld, ld, 1}, x_t, ATTN_LANES,
			 tile->head_dim, run, width, false);
	}
}

/* Set what a lane does not see to `value`. */
static void hide(float *s, const struct attn_keys *keys, int64_t j, int64_t n, int64_t width, float value)
{
	for (int64_t i = 0; i < n; i++, s += ATTN_LANES) {
		int32_t key = (int32_t)(j + i);

		if (key >= keys->all_begin && key < keys->all_end)
			continue;
#pragma omp simd
		for (int64_t lane = 0; lane < width; lane++)
			s[lane] = key >= keys->lane_begin[lane] && key < keys->lane_end[lane] ? s[lane] : value;
	}
}

/* ---- rows to lanes and back ------------------------------------------------- */

typedef float four __attribute__((vector_size(16)));

#if defined(__clang__) || __GNUC__ >= 12
#define PICK(a, b, i, j, k, l) __builtin_shufflevector(a, b, i, j, k, l)
#else
#define PICK(a, b, i, j, k, l) __builtin_shuffle(a, b, (int __attribute__((vector_size(16)))){i, j, k, l})
#endif

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

/* x_t[d, lane] = scale * x[lane][d] */
static void transpose_in(float *x_t, float *const x[], int64_t dim, float scale, int64_t width)
{
	int64_t whole = dim - dim % 4;

	for (int64_t lane = 0; lane < width; lane += 4)
		for (int64_t d = 0; d < whole; d += 4) {
			struct square part;

			for (int i = 0; i < 4; i++) {
				memcpy(&part.row[i], x[lane + i] + d, sizeof part.row[i]);
				part.row[i] *= (four){scale, scale, scale, scale};
			}
			part = transpose(part);
			for (int i = 0; i < 4; i++)
				memcpy(x_t + (d + i) * ATTN_LANES + lane, &part.row[i], sizeof part.row[i]);
		}
	for (int64_t d = whole; d < dim; d++)
		for (int64_t lane = 0; lane < width; lane++)
			x_t[d * ATTN_LANES + lane] = scale * x[lane][d];
}

/* x[lane][d] = factor[lane] * x_t[d, lane]; lanes that share a row hold the same */
static void transpose_out(float *const x[], const float *x_t, const float *factor, int64_t dim, int64_t width)
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

static int64_t whole_vectors(int lanes)
{
	return (lanes + WIDTH - 1) / WIDTH * WIDTH;
}

/* ---- forward ----------------------------------------------------------------- */

struct forward {
	float *q_t, *s;    /* [D, LANES], [KEYS, LANES] */
	float *o;          /* [D, LANES], or, of narrow tiles, [LANES, D] */
	float *max, *sum;  /* of each lane so far */
	float *shrink;     /* factor of the sums before this block */
	int64_t width;
	bool narrow;
};

/* s becomes e^(s - max), max and sum go on, shrink says by what the sums before are to be multiplied */
static void softmax(struct forward *f, int64_t n)
{
	float *s = f->s, *max = f->max, *sum = f->sum, *shrink = f->shrink;

	memcpy(shrink, max, ATTN_LANES * sizeof *max);
	for (int64_t i = 0; i < n; i++)
#pragma omp simd
		for (int64_t lane = 0; lane < f->width; lane++)
			max[lane] = s[i * ATTN_LANES + lane] > max[lane] ? s[i * ATTN_LANES + lane] : max[lane];
#pragma omp simd
	for (int64_t lane = 0; lane < f->width; lane++) {
		shrink[lane] = vec_exp(shrink[lane] - max[lane]);
		sum[lane] *= shrink[lane];
	}
	for (int64_t i = 0; i < n; i++)
#pragma omp simd
		for (int64_t lane = 0; lane < f->width; lane++) {
			float e = vec_exp(s[i * ATTN_LANES + lane] - max[lane]);

			s[i * ATTN_LANES + lane] = e;
			sum[lane] += e;
		}
}

static void shrink_sums(struct forward *f, const struct attn_tile *tile)
{
	int64_t dim = tile->head_dim;

	for (int64_t lane = 0; f->narrow && lane < tile->lanes; lane++)
#pragma omp simd
		for (int64_t d = 0; d < dim; d++)
			f->o[lane * dim + d] *= f->shrink[lane];
	for (int64_t d = 0; !f->narrow && d < dim; d++)
#pragma omp simd
		for (int64_t lane = 0; lane < f->width; lane++)
			f->o[d * ATTN_LANES + lane] *= f->shrink[lane];
}

static void forward_block(struct forward *f, const struct attn_tile *tile, const struct attn_keys *keys, int64_t j,
			  int64_t n)
{
	int64_t dim = tile->head_dim;

	scores(f->s, tile, keys, j, n, tile->k, tile->ld_k, f->q_t, f->width);
	hide(f->s, keys, j, n, f->width, -INFINITY);
	softmax(f, n);
	shrink_sums(f, tile);
	for (int64_t i = 0, run; i < n; i += run) {
		const float *v = tile->v + key_run(keys, j + i, n - i, &run) * tile->ld_v;
		const float *s = f->s + i * ATTN_LANES;

		if (f->narrow)
			multiply(f->o, dim, (struct strided){s, 1, ATTN_LANES}, v, tile->ld_v, run, tile->lanes, dim, true);
		else
			multiply(f->o, ATTN_LANES, (struct strided){v, 1, tile->ld_v}, s, ATTN_LANES, run, dim, f->width,
				 true);
	}
}

static void forward_end(struct forward *f, const struct attn_tile *tile)
{
	float *inverse = f->shrink;

	for (int64_t lane = 0; lane < f->width; lane++)
		inverse[lane] = 1.0f / f->sum[lane];
	for (int64_t lane = 0; tile->lse[0] && lane < tile->lanes; lane++)
		*tile->lse[lane] = f->max[lane] + logf(f->sum[lane]);
	if (!f->narrow)
		transpose_out(tile->o, f->o, inverse, tile->head_dim, f->width);
	for (int64_t lane = 0; f->narrow && lane < tile->lanes; lane++)
		for (int64_t d = 0; d < tile->head_dim; d++)
			tile->o[lane][d] = inverse[lane] * f->o[lane * tile->head_dim + d];
}

static void forward(const struct attn_tile *tile, float *scratch)
{
	int64_t dim = tile->head_dim, square = dim * ATTN_LANES;
	float *lanes = scratch + 2 * square + ATTN_KEYS * ATTN_LANES;
	struct forward f = {.q_t = scratch, .o = scratch + square, .s = scratch + 2 * square, .max = lanes,
			    .sum = lanes + ATTN_LANES, .shrink = lanes + 2 * ATTN_LANES,
			    .width = whole_vectors(tile->lanes), .narrow = tile->lanes <= NARROW};

	transpose_in(f.q_t, tile->q, dim, tile->scale, f.width);
	memset(f.o, 0, (size_t)square * sizeof *f.o);
	for (int64_t lane = 0; lane < ATTN_LANES; lane++) {
		f.max[lane] = NOTHING;
		f.sum[lane] = 0.0f;
	}
	for (const struct attn_keys *keys = tile->keys; keys < tile->keys + 2; keys++)
		for (int64_t j = keys->begin; j < keys->end; j += ATTN_KEYS)
			forward_block(&f, tile, keys, j, keys->end - j < ATTN_KEYS ? keys->end - j : ATTN_KEYS);
	forward_end(&f, tile);
}

/* ---- backward ------------------------------------------------------------------ */

struct backward {
	float *q, *d_o;         /* rows [LANES, D]; q times scale */
	float *q_t, *do_t;      /* the same transposed */
	float *dq_t;            /* [D, LANES] */
	float *p, *ds;          /* [KEYS, LANES] */
	float *lse, *delta;     /* [LANES]; delta = sum of d_o * o */
	int64_t width;
};

static void backward_begin(struct backward *b, const struct attn_tile *tile)
{
	int64_t dim = tile->head_dim;
	float *q[ATTN_LANES], *d_o[ATTN_LANES];

	for (int64_t lane = 0; lane < b->width; lane++) {
		const float *o = tile->o[lane];
		float delta = 0.0f;

		q[lane] = memcpy(b->q + lane * dim, tile->q[lane], (size_t)dim * sizeof(float));
		d_o[lane] = memcpy(b->d_o + lane * dim, tile->d_o[lane], (size_t)dim * sizeof(float));
#pragma omp simd reduction(+ : delta)
		for (int64_t d = 0; d < dim; d++) {
			delta += d_o[lane][d] * o[d];
			q[lane][d] *= tile->scale;
		}
		b->delta[lane] = delta;
		b->lse[lane] = *tile->lse[lane];
	}
	transpose_in(b->q_t, q, dim, 1.0f, b->width);
	transpose_in(b->do_t, d_o, dim, 1.0f, b->width);
	memset(b->dq_t, 0, (size_t)(dim * ATTN_LANES) * sizeof *b->dq_t);
}

/* p = e^(s - lse), ds = p * (dp - delta); p holds s before, ds holds dp */
static void softmax_backward(struct backward *b, int64_t n)
{
	float *p = b->p, *ds = b->ds;

	for (int64_t i = 0; i < n; i++, p += ATTN_LANES, ds += ATTN_LANES)
#pragma omp simd
		for (int64_t lane = 0; lane < b->width; lane++) {
			p[lane] = vec_exp(p[lane] - b->lse[lane]);
			ds[lane] = p[lane] * (ds[lane] - b->delta[lane]);
		}
}

static void backward_block(struct backward *b, const struct attn_tile *tile, const struct attn_keys *keys, int64_t j,
			   int64_t n)
{
	int64_t dim = tile->head_dim, row = keys->row + j;

	scores(b->p, tile, keys, j, n, tile->k, tile->ld_k, b->q_t, b->width);
	scores(b->ds, tile, keys, j, n, tile->v, tile->ld_v, b->do_t, b->width);
	hide(b->p, keys, j, n, b->width, -INFINITY);
	softmax_backward(b, n);
	multiply(tile->dv + row * tile->ld_dv, tile->ld_dv, (struct strided){b->p, ATTN_LANES, 1}, b->d_o, dim,
		 tile->lanes, n, dim, true);
	multiply(tile->dk + row * tile->ld_dk, tile->ld_dk, (struct strided){b->ds, ATTN_LANES, 1}, b->q, dim,
		 tile->lanes, n, dim, true);
	multiply(b->dq_t, ATTN_LANES, (struct strided){tile->k + row * tile->ld_k, 1, tile->ld_k}, b->ds, ATTN_LANES, n,
		 dim, b->width, true);
}

static void backward(const struct attn_tile *tile, float *scratch)
{
	int64_t square = (int64_t)tile->head_dim * ATTN_LANES, block = ATTN_KEYS * ATTN_LANES;
	struct backward b = {.q_t = scratch, .do_t = scratch + square, .dq_t = scratch + 2 * square,
			     .q = scratch + 3 * square, .d_o = scratch + 4 * square, .p = scratch + 5 * square,
			     .ds = scratch + 5 * square + block, .lse = scratch + 5 * square + 2 * block,
			     .delta = scratch + 5 * square + 2 * block + ATTN_LANES,
			     .width = whole_vectors(tile->lanes)};
	float scale[ATTN_LANES];

	backward_begin(&b, tile);
	for (const struct attn_keys *keys = tile->keys; keys < tile->keys + 2; keys++)
		for (int64_t j = keys->begin; j < keys->end; j += ATTN_KEYS)
			backward_block(&b, tile, keys, j, keys->end - j < ATTN_KEYS ? keys->end - j : ATTN_KEYS);
	for (int lane = 0; lane < ATTN_LANES; lane++)
		scale[lane] = tile->scale;
	transpose_out(tile->dq, b.dq_t, scale, tile->head_dim, b.width);
}

const struct vec_attention VEC_NAME(vec_attention);
const struct vec_attention VEC_NAME(vec_attention) = {
	.forward = forward,
	.backward = backward,
};
