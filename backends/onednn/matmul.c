// SPDX-License-Identifier: Apache-2.0
/* The library, its primitives, and products through them. */
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/onednn/internal.h"
#include "src/base/mem.h"

enum {
	KEPT = 1024,     /* primitives of a lane; a power of two */
	MOST_KEPT = 768, /* then all are made again: shapes that come once */
	DENSE_ROWS = 128 /* of a thread, that are copied at a time */
};

/* What a primitive is made for. */
struct key {
	int64_t rows, n, k, ldx, ldy, ldb[2];
	int32_t dtype, add;
};

struct primitive {
	struct key key;
	dnnl_primitive_t run; /* NULL: free */
	dnnl_memory_t x, y;
};

struct lane {
	dnnl_stream_t stream;
	struct primitive kept[KEPT];
	int used;
	char *dense; /* copies without gaps; grown when needed */
	size_t dense_n;
};

struct matmul {
	dnnl_engine_t engine;
	int threads;
	struct lane *lanes; /* the team's, then one for each thread */
};

dnnl_engine_t matmul_engine(const struct matmul *mm)
{
	return mm->engine;
}

dnnl_stream_t matmul_stream(const struct matmul *mm)
{
	return mm->lanes[0].stream;
}

int matmul_threads(const struct matmul *mm)
{
	return mm->threads;
}

struct matmul *matmul_new(int threads, struct err *err)
{
	struct matmul *mm = mem_array(1, sizeof *mm, err);

	if (!mm)
		return NULL;
	mm->threads = threads;
	mm->lanes = mem_array((size_t)threads + 1, sizeof *mm->lanes, err);
	bool bad = !mm->lanes || dnnl_engine_create(&mm->engine, dnnl_cpu, 0);

	for (int i = 0; !bad && i <= threads; i++)
		bad = dnnl_stream_create(&mm->lanes[i].stream, mm->engine, dnnl_stream_default_flags);
	if (!bad)
		return mm;
	err_set(err, ERR_MEMORY, "oneDNN cannot be started");
	matmul_free(mm);
	return NULL;
}

static void primitive_release(struct primitive *p)
{
	if (p->run)
		dnnl_primitive_destroy(p->run);
	if (p->x)
		dnnl_memory_destroy(p->x);
	if (p->y)
		dnnl_memory_destroy(p->y);
	*p = (struct primitive){0};
}

static void lane_clear(struct lane *lane)
{
	for (int i = 0; i < KEPT; i++)
		primitive_release(&lane->kept[i]);
	lane->used = 0;
}

void matmul_free(struct matmul *mm)
{
	if (!mm)
		return;
	for (int i = 0; mm->lanes && i <= mm->threads; i++) {
		lane_clear(&mm->lanes[i]);
		free(mm->lanes[i].dense);
		if (mm->lanes[i].stream)
			dnnl_stream_destroy(mm->lanes[i].stream);
	}
	if (mm->engine)
		dnnl_engine_destroy(mm->engine);
	free(mm->lanes);
	free(mm);
}

/* ---- primitives, by shape ----------------------------------------------------- */

static int primitive_make(struct primitive *p, const struct matmul *mm, const struct key *key, const layout *b)
{
	layout x = {0}, y = {0};
	dnnl_primitive_desc_t desc = NULL;
	int bad = layout_plain(&x, key->rows, key->k, library_type((enum dtype)key->dtype), key->ldx, 1) ||
		  layout_plain(&y, key->rows, key->n, dnnl_f32, key->ldy, 1) ||
		  product_of(&desc, mm->engine, &x, b, &y, key->add) || dnnl_primitive_create(&p->run, desc) ||
		  dnnl_memory_create(&p->x, LAYOUT(x), mm->engine, DNNL_MEMORY_NONE) ||
		  dnnl_memory_create(&p->y, LAYOUT(y), mm->engine, DNNL_MEMORY_NONE);

	if (desc)
		dnnl_primitive_desc_destroy(desc);
	layout_release(&x);
	layout_release(&y);
	p->key = *key;
	if (bad)
		primitive_release(p);
	return bad;
}

/* FNV-1a over the key, which has no padding. */
static uint64_t hash(const struct key *key)
{
	uint64_t h = 0xcbf29ce484222325;

	for (size_t i = 0; i < sizeof *key; i++)
		h = (h ^ ((const unsigned char *)key)[i]) * 0x100000001b3;
	return h;
}

static struct primitive *primitive_of(const struct matmul *mm, struct lane *lane, const struct key *key,
				      const layout *b)
{
	if (lane->used > MOST_KEPT)
		lane_clear(lane);
	uint64_t at = hash(key) % KEPT;

	for (; lane->kept[at].run; at = (at + 1) % KEPT)
		if (!memcmp(&lane->kept[at].key, key, sizeof *key))
			return &lane->kept[at];
	if (primitive_make(&lane->kept[at], mm, key, b))
		return NULL;
	lane->used++;
	return &lane->kept[at];
}

static int execute(struct matmul *mm, int lane_number, const struct key *key, float *y, const void *x, dnnl_memory_t b,
		   const layout *b_layout)
{
	struct lane *lane = &mm->lanes[lane_number + 1];

	/* The library plans for as many threads as it may start, even inside a parallel region, where it gets one. */
	if (lane_number >= 0 && omp_get_max_threads() != 1)
		omp_set_num_threads(1);
	struct primitive *p = primitive_of(mm, lane, key, b_layout);

	if (!p || dnnl_memory_set_data_handle(p->x, (void *)(uintptr_t)x) || dnnl_memory_set_data_handle(p->y, y))
		return -1;
	dnnl_exec_arg_t args[] = {{DNNL_ARG_SRC, p->x}, {DNNL_ARG_WEIGHTS, b}, {DNNL_ARG_DST, p->y}};

	return dnnl_primitive_execute(p->run, lane->stream, 3, args) || dnnl_stream_wait(lane->stream) ? -1 : 0;
}

static int run(struct matmul *mm, int lane, float *y, int64_t ldy, const void *x, int64_t ldx, int64_t rows,
	       const struct tile *tile, bool add)
{
	struct key key = {rows, tile->n, tile->k, ldx, ldy, {tile->ld[0], tile->ld[1]}, (int32_t)tile->dtype, add};

	return execute(mm, lane, &key, y, x, tile->memory, &tile->layout);
}

/* ---- rows with gaps -------------------------------------------------------------- */

/*
 * With a packed B the fast products of oneDNN before 3.6 take no gap between
 * rows: a plain loop of the library's would run instead, a hundred times slower.
 * Later ones take them, but for a single column.
 */
static bool wants_dense(const struct tile *tile, int64_t ldx, int64_t ldy)
{
	const dnnl_version_t *version = dnnl_version();
	bool old = version->major < 3 || (version->major == 3 && version->minor < 6);

	if (tile->ld[1])
		return false;
	return old ? ldx != tile->k || ldy != tile->n : tile->n == 1 && ldy != 1;
}

static char *dense_of(struct lane *lane, size_t bytes)
{
	if (lane->dense_n >= bytes)
		return lane->dense;
	free(lane->dense);
	lane->dense = aligned_alloc(64, (bytes + 63) / 64 * 64);
	lane->dense_n = lane->dense ? bytes : 0;
	return lane->dense;
}

/* Rows of a matrix, `bytes` of each, on as many threads as the lane has; ld in bytes. */
static void copy_rows(int lane, char *to, int64_t to_ld, const char *from, int64_t from_ld, int64_t rows, int64_t bytes)
{
#pragma omp parallel for if (lane == MATMUL_TEAM)
	for (int64_t t = 0; t < rows; t++)
		memcpy(to + t * to_ld, from + t * from_ld, (size_t)bytes);
}

/* The same product on copies of x and y, so many rows at a time. */
static int run_dense(struct matmul *mm, int lane, float *y, int64_t ldy, const void *from, int64_t ldx, int64_t rows,
		     const struct tile *tile, bool add)
{
	const char *x = from;
	int64_t step = DENSE_ROWS * (lane == MATMUL_TEAM ? mm->threads : 1), size = (int64_t)dtype_size(tile->dtype);
	int64_t x_bytes = tile->k * size, y_bytes = tile->n * (int64_t)sizeof *y;
	size_t x_room = (size_t)(step * x_bytes + 63) / 64 * 64;
	char *xs = dense_of(&mm->lanes[lane + 1], x_room + (size_t)(step * y_bytes)), *ys = xs + x_room;
	int bad = !xs;

	for (int64_t base = 0; base < rows && !bad; base += step) {
		int64_t n = rows - base < step ? rows - base : step;
		char *out = (char *)(y + base * ldy);

		copy_rows(lane, xs, x_bytes, x + base * ldx * size, ldx * size, n, x_bytes);
		if (add)
			copy_rows(lane, ys, y_bytes, out, ldy * (int64_t)sizeof *y, n, y_bytes);
		bad = run(mm, lane, (float *)ys, tile->n, xs, tile->k, n, tile, add);
		if (!bad)
			copy_rows(lane, out, ldy * (int64_t)sizeof *y, ys, y_bytes, n, y_bytes);
	}
	return bad ? -1 : 0;
}

int matmul_run(struct matmul *mm, int lane, float *y, int64_t ldy, const void *x, int64_t ldx, int64_t rows,
	       const struct tile *tile, bool add)
{
	if (tile->pieces) {
		tile_pieces_run(tile, lane == MATMUL_TEAM ? mm->threads : 1, y, ldy, x, rows, add);
		return 0;
	}
	return (wants_dense(tile, ldx, ldy) ? run_dense : run)(mm, lane, y, ldy, x, ldx, rows, tile, add);
}

int matmul_square(struct matmul *mm, int64_t n, float *c, const void *a, const void *b, enum dtype dtype)
{
	struct tile *tile = tile_new(mm, n, n, dtype, NULL);
	int bad = !tile || tile_fill(mm, tile, b, n, true, true) ||
		  matmul_run(mm, MATMUL_TEAM, c, n, a, n, n, tile, false);

	tile_free(tile);
	return bad ? -1 : 0;
}

int matmul_gemm(char trans_a, char trans_b, int64_t m, int64_t n, int64_t k, float alpha, const float *a, int64_t lda,
		const float *b, int64_t ldb, float beta, float *c, int64_t ldc)
{
	return dnnl_sgemm(trans_a, trans_b, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc) == dnnl_success ? 0 : -1;
}

/* ---- what the library is -------------------------------------------------------- */

/* Its names are x86's: on aarch64 the same bits are widths of SVE, and 256 of them would pass for AVX2. */
static unsigned x86_isa(void)
{
#if defined(__x86_64__) || defined(ONEDNN_ON_HOST)
	return dnnl_get_effective_cpu_isa();
#else
	return 0;
#endif
}

bool matmul_has_bf16(void)
{
	return (x86_isa() & dnnl_cpu_isa_avx512_core_bf16) == dnnl_cpu_isa_avx512_core_bf16;
}

const char *matmul_isa(void)
{
	static const struct {
		dnnl_cpu_isa_t isa;
		const char *name;
	} known[] = {
		{dnnl_cpu_isa_avx512_core_amx, "AMX"}, {dnnl_cpu_isa_avx512_core_bf16, "AVX512-BF16"},
		{dnnl_cpu_isa_avx512_core, "AVX-512"}, {dnnl_cpu_isa_avx2, "AVX2"},
		{dnnl_cpu_isa_sse41, "SSE4.1"},
	};
	unsigned isa = x86_isa();

	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if ((isa & known[i].isa) == known[i].isa)
			return known[i].name;
	return "plain";
}

void matmul_version(char *out, size_t size)
{
	const dnnl_version_t *version = dnnl_version();

	snprintf(out, size, "oneDNN %d.%d.%d", version->major, version->minor, version->patch);
}
