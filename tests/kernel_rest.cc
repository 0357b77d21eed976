// SPDX-License-Identifier: Apache-2.0
/* Differential tests of what moves rows, of the optimizer step, of merge, and of rounding. */
#include <algorithm>
#include <cmath>
#include <cstring>

#include <gtest/gtest.h>

#include "tests/kernel_problem.h"
#ifdef CUDA_ON_HOST
#include "tests/true_blocks.h"
#endif

struct Size {
	int64_t rows, cols;
};

static const Size sizes[] = {
	{1, 1},   {1, 64},   {2, 3},   {3, 129},  {7, 64},   {17, 31},
	{127, 5}, {128, 16}, {257, 3}, {1025, 2}, {5, 1031}, {0, 4},
};

/* ---- rows ---------------------------------------------------------------------- */

/* Distinct rows of 0 … limit - 1, every fourth one negative. */
static Array some_rows(Problem &p, int64_t n, int64_t limit)
{
	Array rows = p.distinct(n, limit);
	for (int64_t i = 3; i < n; i += 4)
		rows.n[(size_t)i] = (uint32_t)(-1 - (int32_t)i);
	return rows;
}

static void move_rows(enum op op, const Size &s, As as, const char *name, bool strided)
{
	const int64_t many = s.rows + s.rows / 2 + 1;
	Problem p(op, "R %lld of %lld C %lld%s", (long long)s.rows, (long long)many, (long long)s.cols,
		  strided ? " strided" : "");
	p.dtype = name;
	p.strided = strided;
	Array big = p.normal(many, s.cols, as), small = p.normal(s.rows, s.cols, as), row = some_rows(p, s.rows, many);
	expect_equal(p, [&](Runner &run) {
		bool gather = op == OP_gather_rows;
		struct view out = gather ? run.out("y", s.rows, s.cols, as) : run.out("dx", many, s.cols, as);
		run.reserve(op, sized({{&shape::rows, s.rows}, {&shape::hidden, s.cols}}));
		if (gather)
			run.k->gather_rows(run.dev, out, run.in(big), run.in(row));
		else
			run.k->scatter_rows(run.dev, out, run.in(small), run.in(row));
	});
}

TEST(Rows, GatherAndScatter)
{
	for (const Size &s : sizes)
		for (enum op op : {OP_gather_rows, OP_scatter_rows}) {
			move_rows(op, s, As::RESID, "f32", s.rows % 2);
			move_rows(op, s, As::BF16, "bf16", s.rows % 2 == 0);
		}
}

/* Several rows may gather from one. */
TEST(Rows, GatherRepeats)
{
	Problem p(OP_gather_rows, "R 40 of 3, repeated");
	Array x = p.normal(3, 33, As::RESID), row = p.ids(40, 3);
	expect_equal(p, [&](Runner &run) {
		struct view y = run.out("y", 40, 33, As::RESID);
		run.k->gather_rows(run.dev, y, run.in(x), run.in(row));
	});
}

static void kv_append(const Size &s, As from, As to, const char *name, bool strided)
{
	const int64_t rows = s.rows + 9;
	Problem p(OP_kv_append, "R %lld of %lld columns %lld%s%s", (long long)s.rows, (long long)rows,
		  (long long)s.cols, from == to ? "" : " from f32", strided ? " strided" : "");
	p.dtype = name;
	p.strided = strided;
	Array cache_k = p.normal(rows, s.cols, to), cache_v = p.normal(rows, s.cols, to);
	Array k = p.normal(s.rows, s.cols, from), v = p.normal(s.rows, s.cols, from), dst = some_rows(p, s.rows, rows);
	expect_equal(p, [&](Runner &run) {
		struct view kk = run.inout("cache_k", cache_k), vv = run.inout("cache_v", cache_v);
		run.reserve(OP_kv_append, sized({{&shape::rows, s.rows}}));
		run.k->kv_append(run.dev, kk, vv, run.in(k), run.in(v), run.in(dst));
	});
}

TEST(Rows, KvAppend)
{
	for (const Size &s : sizes) {
		kv_append(s, As::ACT, As::ACT, "f32", s.rows % 2);
		kv_append(s, As::F32, As::BF16, "bf16", s.rows % 2 == 0);
		kv_append(s, As::F16, As::F16, "f16", false);
	}
}

/* ---- copy and fill: rounding is exact ------------------------------------------------ */

static float from_bits(uint32_t bits)
{
	float value;
	memcpy(&value, &bits, sizeof value);
	return value;
}

/* Zeros, halves of the last place up and down, subnormals, limits, infinities, NaN, and random patterns. */
static std::vector<float> awkward_values(Random *random)
{
	std::vector<float> values = {
		0.0f,           -0.0f,         INFINITY,      -INFINITY,    NAN,           -NAN,          1e-45f,
		1.1754944e-38f, 3.4028235e38f, 65504,         65519.996f,   65520,         65536,         5.9604645e-8f,
		2.9802322e-8f,  2.9802326e-8f, 6.1035156e-5f, 6.097555e-5f, 3.3895314e38f, 3.3961775e38f, 3.396e38f};
	for (uint32_t low : {0x0u, 0x1u, 0x7fffu, 0x8000u, 0x8001u, 0xffffu}) /* around bf16's ties */
		for (uint32_t high : {0x0000u, 0x0001u, 0x007fu, 0x0080u, 0x3f80u, 0x3f81u, 0x7f7fu, 0x8001u, 0xff7fu})
			values.push_back(from_bits(high << 16 | low));
	for (uint32_t low : {0x0u, 0xfffu, 0x1000u, 0x1001u, 0x1fffu, 0x2000u, 0x3000u}) /* around f16's */
		for (uint32_t exponent = 100; exponent < 145; exponent++)
			values.push_back(from_bits(exponent << 23 | 0x2a6000u | low));
	while (values.size() < 4096)
		values.push_back(from_bits((uint32_t)random->bits()));
	return values;
}

static enum dtype dtype_of(As as)
{
	return as == As::F32 ? DTYPE_F32 : as == As::BF16 ? DTYPE_BF16 : DTYPE_F16;
}

/* Every backend and the reference against a search in the list of all values. */
static void copy_is_exact(const Named &from, const Named &to)
{
	Problem p(OP_copy, "from %s to %s", from.name, to.name);
	p.dtype = to.name;
	p.strided = to.as == As::BF16;
	Array x = p.floats(64, 64, from.as, awkward_values(&p.random));
	Body body = [&](Runner &run) {
		struct view y = run.out("y", 64, 64, to.as);
		run.reserve(OP_copy, sized({{&shape::rows, 64}, {&shape::hidden, 64}}));
		run.k->copy(run.dev, y, run.in(x));
	};
	expect_equal(p, body);
	Output got = solve(p, body, reference_lane())[0];
	for (size_t at = 0; at < x.f.size(); at++) {
		float value = x.f[at];
		for (As as : {from.as, to.as})
			if (as != As::F32)
				value = value_of_bits(nearest_bits(value, dtype_of(as)), dtype_of(as));
		EXPECT_TRUE(got.value[at] == value || (std::isnan(got.value[at]) && std::isnan(value)))
			<< p.shape << ": " << x.f[at] << " became " << got.value[at] << ", expected " << value;
		EXPECT_TRUE(std::isnan(value) || std::signbit(got.value[at]) == std::signbit(value))
			<< p.shape << x.f[at];
	}
}

TEST(Copy, RoundsToNearestEven)
{
	for (const Named &from : weight_types)
		for (const Named &to : weight_types)
			copy_is_exact(from, to);
}

/* The search that the tests round with, at places known from the formats' definitions. */
TEST(Copy, TheTestsOwnRounding)
{
	EXPECT_EQ(nearest_bits(1.0f, DTYPE_BF16), 0x3f80);
	EXPECT_EQ(nearest_bits(1.00390625f, DTYPE_BF16), 0x3f80); /* tie: 1 + 2^-8 */
	EXPECT_EQ(nearest_bits(1.01171875f, DTYPE_BF16), 0x3f82); /* tie: 1 + 3 * 2^-8 */
	EXPECT_EQ(nearest_bits(1.0f, DTYPE_F16), 0x3c00);
	EXPECT_EQ(nearest_bits(65519.996f, DTYPE_F16), 0x7bff);
	EXPECT_EQ(nearest_bits(65520.0f, DTYPE_F16), 0x7c00);
	EXPECT_EQ(nearest_bits(-5.9604645e-8f, DTYPE_F16), 0x8001);
	EXPECT_EQ(nearest_bits(2.9802322e-8f, DTYPE_F16), 0x0000); /* tie with 0 */
	EXPECT_EQ(nearest_bits(-INFINITY, DTYPE_BF16), 0xff80);
}

TEST(Copy, Shapes)
{
	for (const Size &s : sizes)
		for (const Named &from : weight_types)
			for (const Named &to : weight_types) {
				Problem p(OP_copy, "R %lld C %lld from %s", (long long)s.rows, (long long)s.cols,
					  from.name);
				p.dtype = to.name;
				p.strided = (s.rows + (from.as == to.as)) % 2;
				Array x = p.normal(s.rows, s.cols, from.as);
				expect_equal(p, [&](Runner &run) {
					struct view y = run.out("y", s.rows, s.cols, to.as);
					run.k->copy(run.dev, y, run.in(x));
				});
			}
}

TEST(Fill, Rounds)
{
	for (const Size &s : sizes)
		for (const Named &type : weight_types)
			for (float value : {0.0f, -1.00390625f, 3.14159265f}) {
				Problem p(OP_fill, "R %lld C %lld with %g", (long long)s.rows, (long long)s.cols,
					  (double)value);
				p.dtype = type.name;
				p.strided = s.rows % 2;
				expect_equal(p, [&](Runner &run) {
					run.k->fill(run.dev, run.out("y", s.rows, s.cols, type.as), value);
				});
			}
}

/* upload and download of a part with gaps leave the gaps alone. */
TEST(Transfer, StridedRows)
{
	std::vector<Lane> lanes = fast_lanes();
	lanes.push_back(reference_lane());
	for (const Lane &lane : lanes) {
		std::vector<float> whole(7 * 11), part(3 * 4), back(3 * 4);
		for (size_t i = 0; i < whole.size(); i++)
			whole[i] = (float)i;
		for (size_t i = 0; i < part.size(); i++)
			part[i] = 1000 + (float)i;
		struct buffer *buffer = lane.dev->k->alloc(lane.dev, whole.size() * sizeof(float));
		ASSERT_NE(buffer, nullptr);
		struct view all = view_of(buffer, 7, 11, DTYPE_F32);
		struct view middle = view_cols(view_rows(all, 2, 3), 5, 4);
		lane.dev->k->upload(lane.dev, all, whole.data());
		lane.dev->k->upload(lane.dev, middle, part.data());
		lane.dev->k->download(lane.dev, back.data(), middle);
		std::vector<float> now(whole.size());
		lane.dev->k->download(lane.dev, now.data(), all);
		EXPECT_EQ(device_sync(lane.dev), nullptr);
		EXPECT_EQ(back, part) << lane.name;
		for (int64_t i = 0; i < 3; i++)
			for (int64_t j = 0; j < 4; j++)
				whole[(size_t)((i + 2) * 11 + j + 5)] = part[(size_t)(i * 4 + j)];
		EXPECT_EQ(now, whole) << lane.name;
		lane.dev->k->free(lane.dev, buffer);
	}
}

/* A fresh buffer holds zeros. */
TEST(Transfer, AllocatedMemoryIsZero)
{
	std::vector<Lane> lanes = fast_lanes();
	lanes.push_back(reference_lane());
	for (const Lane &lane : lanes) {
		size_t before = lane.dev->allocated;
		struct buffer *buffer = lane.dev->k->alloc(lane.dev, 4099);
		ASSERT_NE(buffer, nullptr);
		std::vector<uint8_t> bytes(4099, 1);
		lane.dev->k->download(lane.dev, bytes.data(), view_of(buffer, 1, 4099, DTYPE_U8));
		EXPECT_EQ(bytes, std::vector<uint8_t>(4099, 0)) << lane.name;
		EXPECT_GE(lane.dev->allocated, before + 4099) << lane.name;
		lane.dev->k->free(lane.dev, buffer);
		EXPECT_EQ(lane.dev->allocated, before) << lane.name;
	}
}

/* ---- the optimizer step ------------------------------------------------------------------ */

static void norm2(const std::vector<Size> &list, As as, const char *name, bool strided)
{
	int64_t elements = 0;
	for (const Size &s : list)
		elements += s.rows * s.cols;
	Problem p(OP_norm2, "%zu arrays, %lld elements%s", list.size(), (long long)elements, strided ? " strided" : "");
	p.length = (double)std::max<int64_t>(elements, 1);
	p.dtype = name;
	p.strided = strided;
	std::vector<Array> arrays;
	for (const Size &s : list)
		arrays.push_back(p.normal(s.rows, s.cols, as, 0.01));
	expect_equal(p, [&](Runner &run) {
		struct view out = run.out("out", 1, 1, As::F32);
		std::vector<struct view> views;
		for (const Array &a : arrays)
			views.push_back(run.in(a));
		run.reserve(OP_norm2, {});
		run.k->norm2(run.dev, out, views.data(), (int)views.size());
	});
}

TEST(Norm2, Lists)
{
	const std::vector<std::vector<Size>> lists = {
		{},
		{{1, 1}},
		{{3, 5}},
		{{0, 7}, {2, 2}},
		{{8, 576}, {576, 8}, {8, 576}, {192, 8}},
		{{1031, 97}},
		{{1, 100000}, {1, 1}},
		std::vector<Size>(100, Size{3, 7}),
	};
	for (const auto &list : lists)
		for (bool strided : {false, true}) {
			norm2(list, As::F32, "f32", strided);
			norm2(list, As::BF16, "bf16", !strided);
		}
}

struct Step {
	float decay, max_norm, gradient; /* gradient: its size */
	int step;
	bool norm;
};

static std::vector<float> hyper_of(const Step &s)
{
	std::vector<float> hyper(ADAMW_HYPER);
	hyper[ADAMW_LR] = 2e-4f;
	hyper[ADAMW_BETA1] = 0.9f;
	hyper[ADAMW_BETA2] = 0.999f;
	hyper[ADAMW_EPS] = 1e-8f;
	hyper[ADAMW_DECAY] = s.decay;
	hyper[ADAMW_CORRECTION1] = (float)(1 - std::pow(0.9, s.step));
	hyper[ADAMW_CORRECTION2] = (float)(1 - std::pow(0.999, s.step));
	hyper[ADAMW_MAX_NORM] = s.max_norm;
	return hyper;
}

static void adamw(const std::vector<Size> &list, const Step &s, const Named *shadow, bool strided)
{
	Problem p(OP_adamw, "%zu tensors of %lld, step %d, decay %g, clip %g%s, gradients %g%s%s%s", list.size(),
		  list.empty() ? 0LL : (long long)(list[0].rows * list[0].cols), s.step, (double)s.decay,
		  (double)s.max_norm, s.norm ? "" : " unused", (double)s.gradient, shadow ? " shadow " : "",
		  shadow ? shadow->name : "", strided ? " strided" : "");
	p.dtype = shadow ? shadow->name : "f32";
	p.strided = strided;
	struct Tensor {
		Array p, g, m, v, shadow;
	};
	std::vector<Tensor> tensors;
	for (const Size &size : list) {
		Tensor t = {p.normal(size.rows, size.cols, As::F32),
			    p.normal(size.rows, size.cols, As::F32, s.gradient),
			    p.normal(size.rows, size.cols, As::F32, s.gradient),
			    {},
			    {}};
		t.v = p.normal(size.rows, size.cols, As::F32, s.gradient);
		for (float &value : t.v.f)
			value *= value;
		for (size_t i = 0; s.step == 1 && i < t.v.f.size(); i++)
			t.m.f[i] = t.v.f[i] = 0;
		if (shadow)
			t.shadow = p.normal(size.rows, size.cols, shadow->as);
		tensors.push_back(t);
	}
	Array hyper = p.floats(1, ADAMW_HYPER, As::F32, hyper_of(s)), norm;
	if (s.norm)
		norm = p.floats(1, 1, As::F32, {17.5f * s.gradient * s.gradient});
	expect_equal(p, [&](Runner &run) {
		std::vector<struct adamw_item> items;
		for (const Tensor &t : tensors)
			items.push_back({run.inout("p", t.p), run.in(t.g), run.inout("m", t.m), run.inout("v", t.v),
					 run.inout("shadow", t.shadow), items.size() % 2 == 0});
		struct view h = run.in(hyper), n = run.in(norm);
		run.reserve(OP_adamw, {});
		run.k->adamw(run.dev, items.data(), (int)items.size(), h, n);
	});
}

TEST(AdamW, Steps)
{
	const std::vector<std::vector<Size>> lists = {
		{}, {{1, 1}}, {{8, 64}, {1, 97}, {0, 3}}, {{257, 33}, {64, 8}, {3, 5}}};
	static const Step steps[] = {
		{0.03f, 1, 1, 1, true},       {0.03f, 1, 0.01f, 7, true}, {0, 0, 1, 1000, true},
		{0.1f, 1e9f, 1e-4f, 2, true}, {0.1f, 0.5f, 3, 50, false},
	};
	int at = 0;
	for (const auto &list : lists)
		for (const Step &s : steps) {
			adamw(list, s, nullptr, at++ % 2);
			adamw(list, s, &weight_types[1], at % 2);
			adamw(list, s, &weight_types[2], false);
		}
}

#ifdef CUDA_ON_HOST
/* Eight elements at a time and one; more of them than one turn of all threads takes, and fewer. */
TEST_F(TrueBlocks, OptimizerStep)
{
	norm2({{257, 129}, {3, 5}}, As::F32, "f32", true);
	norm2({{9, 264}}, As::BF16, "bf16", false);
	adamw({{257, 33}, {3, 5}}, {0.03f, 1, 1, 7, true}, nullptr, true);
	adamw({{64, 72}}, {0.03f, 1, 1, 7, true}, &weight_types[1], false);
}
#endif

/* ---- merge ------------------------------------------------------------------------------- */

static void merge(int64_t n, int64_t m, int64_t rank, const Named &from, const Named &to, bool in_place, bool strided)
{
	Problem p(OP_merge, "N %lld M %lld r %lld from %s%s%s", (long long)n, (long long)m, (long long)rank, from.name,
		  in_place ? " in place" : "", strided ? " strided" : "");
	p.length = (double)rank;
	p.dtype = to.name;
	p.strided = strided;
	Array w = p.normal(n, m, from.as);
	LoraArrays l;
	l.a = p.normal(rank, m, As::F32, 0.3);
	l.b = p.normal(n, rank, As::F32, 0.3);
	l.scale = 1.5f;
	l.p = 0.9f; /* plays no part */
	expect_equal(p, [&](Runner &run) {
		struct view out = in_place ? run.inout("out", w) : run.out("out", n, m, to.as);
		struct view in = in_place ? out : run.in(w);
		const struct lora *lora = run.lora("lora", l);
		run.reserve(OP_merge, sized({{&shape::rows, n}, {&shape::hidden, m}, {&shape::rank, rank}}));
		run.k->merge(run.dev, out, in, lora);
	});
}

TEST(Merge, IntoEveryDtype)
{
	static const struct {
		int64_t n, m, rank;
	} shapes[] = {{1, 1, 1}, {3, 129, 2}, {64, 64, 8}, {97, 31, 16}, {17, 40, 64}, {192, 576, 8}};
	int at = 0;
	for (const auto &s : shapes)
		for (const Named &to : weight_types) {
			merge(s.n, s.m, s.rank, to, to, true, at % 2);
			merge(s.n, s.m, s.rank, weight_types[0], to, false, at % 2 == 0);
			merge(s.n, s.m, s.rank, weight_types[1], to, false, at++ % 2);
		}
}
