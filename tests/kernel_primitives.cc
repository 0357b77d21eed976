// SPDX-License-Identifier: Apache-2.0
/* Differential tests of the primitives: norm, products, low-rank products, rotary, SwiGLU, log-softmax. */
#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

#include "reference/philox.h"
#include "tests/kernel_problem.h"
#ifdef CUDA_ON_HOST
#include "tests/true_blocks.h"
#endif

struct Size {
	int64_t rows, cols;
};

/* Every row count of interest, with widths of one, of primes, of whole vectors and of models. */
static const Size sizes[] = {
	{1, 1},    {1, 64},   {2, 3},   {3, 7},    {5, 31},   {7, 64},   {17, 97}, {64, 17},  {127, 5},
	{128, 64}, {129, 13}, {256, 2}, {257, 33}, {512, 16}, {1025, 9}, {3, 576}, {2, 2048}, {0, 8},
};

/* ---- rmsnorm ---------------------------------------------------------------- */

static void rmsnorm(const Size &s, As in, As out, const char *name, bool strided)
{
	Problem p(OP_rmsnorm, "R %lld C %lld%s", (long long)s.rows, (long long)s.cols, strided ? " strided" : "");
	p.length = (double)s.cols;
	p.strided = strided;
	p.dtype = name;
	Array x = p.normal(s.rows, s.cols, in, 2, 0.3), w = p.normal(1, s.cols, As::F32, 0.5, 1);
	expect_equal(p, [&](Runner &run) {
		struct view y = run.out("y", s.rows, s.cols, out);
		run.reserve(OP_rmsnorm, sized({{&shape::rows, s.rows}, {&shape::hidden, s.cols}}));
		run.k->rmsnorm(run.dev, y, run.in(x), run.in(w), 1e-5f);
	});
}

TEST(Rmsnorm, Forward)
{
	for (const Size &s : sizes) {
		rmsnorm(s, As::RESID, As::ACT, "f32", false);
		rmsnorm(s, As::RESID, As::ACT, "f32", true);
		rmsnorm(s, As::BF16, As::BF16, "bf16", s.rows % 2);
		rmsnorm(s, As::F32, As::F16, "f16", s.rows % 2 == 0);
	}
}

static void rmsnorm_backward(const Size &s, bool want_dx, bool want_dw, bool strided)
{
	Problem p(OP_rmsnorm_backward, "R %lld C %lld%s%s%s", (long long)s.rows, (long long)s.cols,
		  want_dx ? " dx" : "", want_dw ? " dw" : "", strided ? " strided" : "");
	p.length = (double)std::max(s.rows, s.cols);
	p.strided = strided;
	Array x = p.normal(s.rows, s.cols, As::RESID, 2, 0.3), w = p.normal(1, s.cols, As::F32, 0.5, 1);
	Array dy = p.normal(s.rows, s.cols, As::ACT), dx, dw;
	if (want_dx)
		dx = p.normal(s.rows, s.cols, As::RESID);
	if (want_dw)
		dw = p.normal(1, s.cols, As::F32);
	expect_equal(p, [&](Runner &run) {
		struct view out = run.inout("dx", dx), out_w = run.inout("dw", dw);
		run.reserve(OP_rmsnorm_backward, sized({{&shape::rows, s.rows}, {&shape::hidden, s.cols}}));
		run.k->rmsnorm_backward(run.dev, out, out_w, run.in(dy), run.in(x), run.in(w), 1e-5f);
	});
}

/* With C = 1 the Jacobian is 0 but for eps, and dx holds nothing but rounding. */
TEST(Rmsnorm, Backward)
{
	for (const Size &s : sizes) {
		if (s.cols == 1)
			continue;
		rmsnorm_backward(s, true, true, false);
		rmsnorm_backward(s, true, false, true);
		rmsnorm_backward(s, false, true, s.rows % 2);
	}
}

/* ---- linear ----------------------------------------------------------------- */

struct Product {
	int64_t rows, n, m;
};

static const Product products[] = {
	{1, 1, 1},     {1, 64, 64},  {1, 192, 576}, {2, 3, 5},     {3, 576, 64},   {5, 7, 11},     {7, 33, 129},
	{17, 97, 31},  {64, 64, 64}, {127, 17, 3},  {128, 16, 96}, {129, 48, 65},  {256, 24, 100}, {257, 31, 17},
	{513, 13, 40}, {1025, 6, 8}, {2, 1031, 9},  {4, 2, 4099},  {33, 576, 576}, {0, 4, 8},
};

static void linear(const Product &s, const Named &type, int group, bool biased, bool add, bool strided)
{
	Problem p(OP_linear, "R %lld N %lld M %lld, matrix %d%s%s%s", (long long)s.rows, (long long)s.n, (long long)s.m,
		  group, biased ? " bias" : "", add ? " add" : "", strided ? " strided" : "");
	p.length = (double)s.m;
	p.dtype = type.name;
	p.strided = strided;
	Array x = p.normal(s.rows, s.m, As::ACT), y = p.normal(s.rows, s.n, As::ACT), bias;
	Array w0 = p.normal(s.n, s.m, type.as), w1 = p.normal(5, s.m, type.as), w2 = p.normal(1, s.m, type.as);
	if (biased)
		bias = p.normal(1, s.n, As::F32);
	std::vector<const Array *> matrices = {&w0};
	for (int before = 0; before < group; before++)
		matrices.insert(matrices.begin(), before ? &w2 : &w1);
	expect_equal(p, [&](Runner &run) {
		struct weight *w = run.weight(matrices, WEIGHT_FORWARD);
		struct view out = add ? run.inout("y", y) : run.out("y", s.rows, s.n, As::ACT);
		run.reserve(OP_linear, sized({{&shape::rows, s.rows}, {&shape::hidden, s.m}, {&shape::ffn, s.n}}));
		run.k->linear(run.dev, out, run.in(x), w, group, run.in(bias), add);
	});
}

TEST(Linear, Forward)
{
	int at = 0;
	for (const Product &s : products)
		for (const Named &type : weight_types) {
			linear(s, type, at % 3, at % 2, false, at % 5 < 2);
			linear(s, type, 0, at % 2 == 0, true, at % 5 >= 2);
			at++;
		}
}

static void linear_dx(const Product &s, const Named &type, int group, bool add, bool strided)
{
	Problem p(OP_linear_dx, "R %lld N %lld M %lld, matrix %d%s%s", (long long)s.rows, (long long)s.n,
		  (long long)s.m, group, add ? " add" : "", strided ? " strided" : "");
	p.length = (double)s.n;
	p.dtype = type.name;
	p.strided = strided;
	Array dy = p.normal(s.rows, s.n, As::ACT), dx = p.normal(s.rows, s.m, As::ACT);
	Array w0 = p.normal(s.n, s.m, type.as), w1 = p.normal(5, s.m, type.as);
	std::vector<const Array *> matrices = {&w0};
	if (group)
		matrices = {&w1, &w0};
	expect_equal(p, [&](Runner &run) {
		struct weight *w = run.weight(matrices, WEIGHT_FORWARD | WEIGHT_DX);
		struct view out = add ? run.inout("dx", dx) : run.out("dx", s.rows, s.m, As::ACT);
		run.reserve(OP_linear_dx, sized({{&shape::rows, s.rows}, {&shape::hidden, s.m}, {&shape::ffn, s.n}}));
		run.k->linear_dx(run.dev, out, run.in(dy), w, group, add);
	});
}

TEST(Linear, Dx)
{
	int at = 0;
	for (const Product &s : products)
		for (const Named &type : weight_types) {
			linear_dx(s, type, at % 2, false, at % 3 == 0);
			linear_dx(s, type, 0, true, at % 3 != 0);
			at++;
		}
}

static void linear_dw(const Product &s, bool want_dw, bool want_bias, bool strided)
{
	Problem p(OP_linear_dw, "R %lld N %lld M %lld%s%s%s", (long long)s.rows, (long long)s.n, (long long)s.m,
		  want_dw ? " dw" : "", want_bias ? " dbias" : "", strided ? " strided" : "");
	p.length = (double)s.rows;
	p.strided = strided;
	Array dy = p.normal(s.rows, s.n, As::ACT), x = p.normal(s.rows, s.m, As::ACT), dw, dbias;
	if (want_dw)
		dw = p.normal(s.n, s.m, As::F32);
	if (want_bias)
		dbias = p.normal(1, s.n, As::F32);
	expect_equal(p, [&](Runner &run) {
		struct view out = run.inout("dw", dw), bias = run.inout("dbias", dbias);
		run.reserve(OP_linear_dw, sized({{&shape::rows, s.rows}, {&shape::hidden, s.m}, {&shape::ffn, s.n}}));
		run.k->linear_dw(run.dev, out, bias, run.in(dy), run.in(x));
	});
}

TEST(Linear, Dw)
{
	for (const Product &s : products) {
		linear_dw(s, true, true, s.rows % 2);
		linear_dw(s, true, false, s.rows % 2 == 0);
		linear_dw(s, false, true, s.rows % 2);
	}
}

/* A weight that changed is followed after refresh. */
TEST(Linear, RefreshFollowsAChange)
{
	for (const Named &type : weight_types) {
		Problem p(OP_linear, "R 5 N 33 M 64 refreshed");
		p.length = 64;
		p.dtype = type.name;
		Array x = p.normal(5, 64, As::ACT), before = p.normal(33, 64, type.as),
		      after = p.normal(33, 64, type.as);
		expect_equal(p, [&](Runner &run) {
			struct weight *w = run.weight({&before}, WEIGHT_FORWARD | WEIGHT_DX);
			struct weight *other = run.weight({&after}, WEIGHT_FORWARD);
			struct view y = run.out("y", 5, 33, As::ACT), dx = run.out("dx", 5, 64, As::ACT);
			run.k->copy(run.dev, w->w[0], other->w[0]);
			run.k->refresh(run.dev, w);
			run.reserve(OP_linear, sized({{&shape::rows, 5}, {&shape::hidden, 64}, {&shape::ffn, 33}}));
			run.k->linear(run.dev, y, run.in(x), w, 0, view_none(), false);
			run.reserve(OP_linear_dx, sized({{&shape::rows, 5}, {&shape::hidden, 64}, {&shape::ffn, 33}}));
			run.k->linear_dx(run.dev, dx, y, w, 0, false);
		});
	}
}

struct Alone {
	int64_t n, m, gap; /* gap: columns of x's array that are no part of it */
};

static void expect_rows_alone(const Lane &lane, const Alone &s)
{
	const int64_t MOST = 130, N = s.n, M = s.m;
	Problem p(OP_linear, "alone and among others");
	Array x = p.normal(MOST, M + s.gap, As::ACT), w = p.normal(N, M, As::F32), bias = p.normal(1, N, As::F32);
	auto run = [&](int64_t first, int64_t rows) {
		return solve(
			p,
			[&](Runner &r) {
				struct view y = r.out("y", rows, N, As::F32);
				struct view in = view_cols(r.in(x), s.gap, M);
				r.reserve(OP_linear,
					  sized({{&shape::rows, rows}, {&shape::hidden, M}, {&shape::ffn, N}}));
				r.k->linear(r.dev, y, view_rows(in, first, rows),
					    r.weight({&w}, WEIGHT_FORWARD), 0, r.in(bias), false);
			},
			lane)[0].value;
	};
	const std::vector<double> all = run(0, MOST);
	for (int64_t rows : {1, 2, 63, 64, 65, 129})
		for (int64_t first : {(int64_t)0, MOST - rows})
			EXPECT_EQ(run(first, rows),
				  std::vector<double>(all.begin() + first * N, all.begin() + (first + rows) * N))
				<< lane.name << " rows " << rows << " from " << first << " N " << N << " M " << M
				<< " gap " << s.gap;
}

/* A library may take other kernels for the matrices of a large model: a GPU's is asked for those too. */
static void expect_large_rows_alone(const Lane &lane)
{
#ifndef CUDA_ON_HOST
	if (lane.dev->remote)
		for (const Alone &s : {Alone{4096, 14336, 0}, Alone{14336, 4096, 0}})
			expect_rows_alone(lane, s);
#endif
	(void)lane;
}

/* With batch_invariant a row comes out the same, bit for bit, alone and among others. */
TEST(Linear, RowsDoNotDependOnOthers)
{
	static const Alone sizes[] = {{24, 40, 0}, {24, 40, 8}, {33, 57, 3}, {192, 256, 16}};
	for (const Lane &named : fast_lanes()) {
		if (named.once)
			continue;
		Lane lane = open_invariant(named);
		for (const Alone &s : sizes)
			expect_rows_alone(lane, s);
		expect_large_rows_alone(lane);
		close_again(lane);
	}
}

/* ---- low rank ----------------------------------------------------------------- */

struct LowRank {
	int64_t rows, n, m, rank;
};

static const LowRank low_ranks[] = {
	{1, 1, 1, 1},    {1, 64, 64, 8},  {2, 5, 3, 2},     {3, 33, 17, 3},  {5, 64, 576, 8}, {7, 7, 100, 16},
	{17, 9, 31, 4},  {64, 64, 64, 1}, {127, 8, 12, 7},  {129, 5, 20, 5}, {257, 6, 9, 2},  {16, 96, 48, 64},
	{9, 13, 70, 33}, {1025, 3, 4, 1}, {24, 40, 40, 17}, {0, 8, 8, 4},
};
static const float dropouts[] = {-1, 0, 0.1f, 0.5f}; /* -1: no struct dropout */

static LoraArrays lora_arrays(Problem &p, const LowRank &s, float dropout)
{
	LoraArrays l;
	l.a = p.normal(s.rank, s.m, As::F32, 1 / std::sqrt((double)s.m));
	l.b = p.normal(s.n, s.rank, As::F32);
	l.da = p.normal(s.rank, s.m, As::F32);
	l.db = p.normal(s.n, s.rank, As::F32);
	l.scale = 2;
	l.p = dropout < 0 ? 0.3f : dropout;
	l.module = MODULE_UP;
	return l;
}

static void lora(const LowRank &s, float dropout, bool strided)
{
	Problem p(OP_lora, "R %lld N %lld M %lld r %lld p %g%s", (long long)s.rows, (long long)s.n, (long long)s.m,
		  (long long)s.rank, (double)dropout, strided ? " strided" : "");
	p.length = (double)std::max(s.m, s.rank);
	p.strided = strided;
	Array x = p.normal(s.rows, s.m, As::ACT), y = p.normal(s.rows, s.n, As::ACT);
	LoraArrays l = lora_arrays(p, s, dropout);
	DropoutArrays d;
	if (dropout >= 0)
		d = dropout_arrays(p, s.rows, 3);
	expect_equal(p, [&](Runner &run) {
		struct view out = run.inout("y", y), xa = run.out("xa", s.rows, s.rank, As::F32);
		run.reserve(OP_lora, sized({{&shape::rows, s.rows},
					    {&shape::hidden, s.m},
					    {&shape::ffn, s.n},
					    {&shape::rank, s.rank}}));
		run.k->lora(run.dev, out, xa, run.in(x), run.lora("lora", l), run.dropout(d));
	});
}

TEST(Lora, Forward)
{
	for (const LowRank &s : low_ranks)
		for (float dropout : dropouts)
			lora(s, dropout, (s.rows + (dropout > 0)) % 2);
}

enum Wanted { WANT_DX = 1, WANT_DA = 2, WANT_DB = 4 };

static void lora_backward(const LowRank &s, float dropout, int wanted, bool strided)
{
	Problem p(OP_lora_backward, "R %lld N %lld M %lld r %lld p %g wanted %d%s", (long long)s.rows, (long long)s.n,
		  (long long)s.m, (long long)s.rank, (double)dropout, wanted, strided ? " strided" : "");
	p.length = (double)std::max({s.rows, s.n, s.rank});
	p.strided = strided;
	Array x = p.normal(s.rows, s.m, As::ACT), dy = p.normal(s.rows, s.n, As::ACT), dx;
	Array xa = p.normal(s.rows, s.rank, As::F32);
	LoraArrays l = lora_arrays(p, s, dropout);
	l.da.present = wanted & WANT_DA;
	l.db.present = wanted & WANT_DB;
	if (wanted & WANT_DX)
		dx = p.normal(s.rows, s.m, As::ACT);
	DropoutArrays d;
	if (dropout >= 0)
		d = dropout_arrays(p, s.rows, 3);
	expect_equal(p, [&](Runner &run) {
		struct view out = run.inout("dx", dx);
		const struct lora *adapter = run.lora("lora", l, true);
		run.reserve(OP_lora_backward, sized({{&shape::rows, s.rows},
						     {&shape::hidden, s.m},
						     {&shape::ffn, s.n},
						     {&shape::rank, s.rank}}));
		run.k->lora_backward(run.dev, out, run.in(dy), run.in(x), run.in(xa), adapter, run.dropout(d));
	});
}

TEST(Lora, Backward)
{
	int at = 0;
	for (const LowRank &s : low_ranks)
		for (float dropout : dropouts) {
			lora_backward(s, dropout, WANT_DX | WANT_DA | WANT_DB, at++ % 2);
			if (s.rank % 2)
				lora_backward(s, dropout, 1 << at % 3, at % 2);
		}
}

/* With A = 1 the low-rank input is the dropped x itself: which features stay is the same bit for bit. */
TEST(Lora, MaskIsExact)
{
	const int64_t R = 37, M = 53;
	Problem p(OP_lora, "R 37 M 53 A = 1");
	std::vector<float> one((size_t)(M * M)), ones((size_t)(R * M), 1.0f);
	for (int64_t i = 0; i < M; i++)
		one[(size_t)(i * M + i)] = 1;
	LoraArrays l;
	l.a = p.floats(M, M, As::F32, one);
	l.b = p.normal(2, M, As::F32);
	l.p = 0.1f;
	l.module = MODULE_DOWN;
	Array x = p.floats(R, M, As::F32, ones), y = p.normal(R, 2, As::F32);
	DropoutArrays d = dropout_arrays(p, R, 29);
	struct philox_key stream = philox_stream(d.state.n[0], PHILOX_DROPOUT, (uint32_t)d.state.n[1], 29, MODULE_DOWN);
	std::vector<Lane> lanes = fast_lanes();
	lanes.push_back(reference_lane());
	for (const Lane &lane : lanes) {
		std::vector<Output> outputs = solve(
			p,
			[&](Runner &run) {
				struct view out = run.inout("y", y), xa = run.out("xa", R, M, As::F32);
				run.reserve(OP_lora, sized({{&shape::rows, R},
							    {&shape::hidden, M},
							    {&shape::ffn, 2},
							    {&shape::rank, M}}));
				run.k->lora(run.dev, out, xa, run.in(x), run.lora("lora", l), run.dropout(d));
			},
			lane);
		ASSERT_EQ(outputs.size(), 2u);
		int64_t kept = 0;
		for (int64_t at = 0; at < R * M; at++) {
			struct philox_words words =
				philox_at(stream, (uint32_t)(at % M / 4), d.row_key.n[(size_t)(at / M)]);
			bool keep = words.w[at % M % 4] >= dropout_threshold(0.1f);
			ASSERT_EQ(outputs[1].value[(size_t)at] != 0, keep) << lane.name << " element " << at;
			kept += keep;
		}
		EXPECT_NEAR((double)kept / (double)(R * M), 0.9, 0.03);
	}
}

/* ---- rotary --------------------------------------------------------------------- */

static void rope(int64_t rows, int64_t heads, int dim, As as, const char *name, bool inverse, bool strided)
{
	const int64_t positions = 50;
	Problem p(OP_rope, "R %lld heads %lld D %d%s%s", (long long)rows, (long long)heads, dim,
		  inverse ? " inverse" : "", strided ? " strided" : "");
	p.dtype = name;
	p.strided = strided;
	struct rope_config config = {};
	config.theta = 10000;
	std::vector<float> c((size_t)(positions * dim / 2)), s = c;
	rope_table(c.data(), s.data(), positions, dim, &config);
	Array cos = p.floats(positions, dim / 2, As::F32, c), sin = p.floats(positions, dim / 2, As::F32, s);
	Array x = p.normal(rows, heads * dim, as), pos = p.ids(rows, positions);
	expect_equal(p, [&](Runner &run) {
		struct view v = run.inout("x", x);
		const struct rope tables = {run.in(cos), run.in(sin)};
		run.reserve(OP_rope, sized({{&shape::rows, rows}, {&shape::heads, heads}, {&shape::head_dim, dim}}));
		run.k->rope(run.dev, v, run.in(pos), &tables, dim, inverse);
	});
}

TEST(Rope, ForwardAndInverse)
{
	static const int64_t rows[] = {1, 2, 17, 129, 0}, heads[] = {1, 3, 9};
	static const int dims[] = {2, 6, 8, 64, 128};
	for (int64_t r : rows)
		for (int64_t h : heads)
			for (int d : dims) {
				rope(r, h, d, As::ACT, "f32", false, (r + h) % 2);
				rope(r, h, d, As::ACT, "f32", true, (r + h) % 2 == 0);
			}
	rope(7, 3, 64, As::BF16, "bf16", false, true);
	rope(7, 3, 64, As::F16, "f16", true, false);
}

/* ---- SwiGLU ----------------------------------------------------------------------- */

static void swiglu(const Size &s, As as, const char *name, double scale, bool strided)
{
	Problem p(OP_swiglu, "R %lld F %lld scale %g%s", (long long)s.rows, (long long)s.cols, scale,
		  strided ? " strided" : "");
	p.dtype = name;
	p.strided = strided;
	Array g = p.normal(s.rows, s.cols, as, scale), u = p.normal(s.rows, s.cols, as);
	expect_equal(p, [&](Runner &run) {
		struct view y = run.out("y", s.rows, s.cols, as);
		run.reserve(OP_swiglu, sized({{&shape::rows, s.rows}, {&shape::ffn, s.cols}}));
		run.k->swiglu(run.dev, y, run.in(g), run.in(u));
	});
}

static void swiglu_backward(const Size &s, As as, const char *name, double scale, bool in_place, bool strided)
{
	Problem p(OP_swiglu_backward, "R %lld F %lld scale %g%s%s", (long long)s.rows, (long long)s.cols, scale,
		  in_place ? " in place" : "", strided ? " strided" : "");
	p.dtype = name;
	p.strided = strided;
	Array g = p.normal(s.rows, s.cols, as, scale), u = p.normal(s.rows, s.cols, as);
	Array dy = p.normal(s.rows, s.cols, as);
	expect_equal(p, [&](Runner &run) {
		struct view dg = in_place ? run.inout("dg", g) : run.out("dg", s.rows, s.cols, as);
		struct view du = in_place ? run.inout("du", u) : run.out("du", s.rows, s.cols, as);
		run.reserve(OP_swiglu_backward, sized({{&shape::rows, s.rows}, {&shape::ffn, s.cols}}));
		run.k->swiglu_backward(run.dev, dg, du, run.in(dy), in_place ? dg : run.in(g),
				       in_place ? du : run.in(u));
	});
}

/* e^90 leaves the range of f32: large gates must saturate, not overflow. */
TEST(Swiglu, ForwardAndBackward)
{
	for (const Size &s : sizes) {
		for (double scale : {1.0, 8.0, 40.0}) {
			swiglu(s, As::ACT, "f32", scale, s.cols % 2);
			swiglu_backward(s, As::ACT, "f32", scale, scale > 1, s.cols % 2 == 0);
		}
		swiglu(s, As::BF16, "bf16", 2, s.cols % 2 == 0);
		swiglu_backward(s, As::F16, "f16", 2, false, s.cols % 2);
	}
}

/* ---- log-softmax -------------------------------------------------------------------- */

static void log_softmax(const Size &s, double scale, double mean, bool in_place, bool strided)
{
	Problem p(OP_log_softmax, "R %lld V %lld scale %g mean %g%s%s", (long long)s.rows, (long long)s.cols, scale,
		  mean, in_place ? " in place" : "", strided ? " strided" : "");
	p.length = (double)s.cols;
	p.strided = strided;
	Array x = p.normal(s.rows, s.cols, As::F32, scale, mean);
	expect_equal(p, [&](Runner &run) {
		struct view y = in_place ? run.inout("y", x) : run.out("y", s.rows, s.cols, As::F32);
		run.reserve(OP_log_softmax, sized({{&shape::rows, s.rows}, {&shape::vocab, s.cols}}));
		run.k->log_softmax(run.dev, y, in_place ? y : run.in(x));
	});
}

TEST(LogSoftmax, Forward)
{
	static const Size vocabularies[] = {{1, 128256}, {2, 49152}, {3, 32003}};
	for (const Size &s : sizes)
		for (double scale : {1.0, 30.0})
			log_softmax(s, scale, 0, s.rows % 2, s.cols % 2);
	for (const Size &s : vocabularies)
		log_softmax(s, 3, 0, s.rows % 2, true);
	log_softmax({17, 97}, 2, 1000, false, false);
	log_softmax({17, 97}, 2, -1000, true, false);
}

#ifdef CUDA_ON_HOST
/* Rows of one turn of a block's threads and of more, an element at a time and eight. */
TEST_F(TrueBlocks, Rows)
{
	for (const Size &s : {Size{3, 1031}, Size{2, 2056}, Size{5, 24}}) {
		rmsnorm(s, As::RESID, As::ACT, "f32", false);
		rmsnorm_backward(s, true, true, false);
		log_softmax(s, 3, 0, true, false);
		linear_dw({s.rows, 40, s.cols}, true, true, false);
	}
}

TEST_F(TrueBlocks, LowRank)
{
	lora({5, 72, 40, 8}, 0.1f, false);
	lora_backward({35, 72, 40, 16}, 0.1f, WANT_DX | WANT_DA | WANT_DB, false);
	lora_backward({9, 7, 31, 3}, -1, WANT_DX | WANT_DA | WANT_DB, true);
}
#endif
