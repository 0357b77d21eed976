// SPDX-License-Identifier: Apache-2.0
/*
 * Differential tests of segment attention: packed training rows, shared
 * prefixes, chunked prefill, paged decoding, windows, and the backward.
 */
#include <algorithm>
#include <cmath>
#include <numeric>

#include <gtest/gtest.h>

#include "tests/kernel_problem.h"
#include "tests/linked_device.h"
#ifdef CUDA_ON_HOST
#include "tests/true_blocks.h"
#elif HAVE_CUDA
#include "backends/cuda/cuda.h"
#endif

struct Heads {
	int heads, kv_heads, dim;
};

/* One segment: n queries, own_len own keys, and the segment whose own rows are its prefix (-1: none). */
struct Segment {
	int n, own_len, prefix;
};

/* Rows before the first and after the last segment belong to none. */
struct Layout {
	const char *name;
	std::vector<Segment> list;
	int lead, tail;
	int page_size; /* 0: own rows are contiguous */
};

static Layout packed(const char *name, const std::vector<int> &lengths, int lead = 0, int tail = 0)
{
	Layout layout = {name, {}, lead, tail, 0};
	for (int length : lengths)
		layout.list.push_back({length, length, -1});
	return layout;
}

/* Groups of a prefix and its users: {prefix, user, user, …}. */
static Layout shared(const char *name, const std::vector<std::vector<int>> &groups, int lead = 0, int tail = 0)
{
	Layout layout = {name, {}, lead, tail, 0};
	for (const std::vector<int> &group : groups) {
		int prefix = (int)layout.list.size();
		for (size_t i = 0; i < group.size(); i++)
			layout.list.push_back({group[i], group[i], i ? prefix : -1});
	}
	return layout;
}

/* What the kernel sees of a layout. `cached`: keys lie in a cache of their own rows. */
struct Arrays {
	Arrays(Problem &p, const Layout &layout, bool cached, int64_t window);
	struct segments bind(Runner &run, bool backward) const;

	int64_t queries, keys, count, max_queries = 0, max_keys = 0, window, page_size;
	Array q_begin, own_begin, own_len, prefix_begin, prefix_len, pages, pos, user_begin, user;
};

/* Cache rows: first every prefix, contiguous; then pages in random order, or own rows with gaps. */
Arrays::Arrays(Problem &p, const Layout &layout, bool cached, int64_t window)
    : queries(layout.lead), keys(layout.lead), count((int64_t)layout.list.size()), window(window),
      page_size(layout.page_size)
{
	std::vector<int32_t> begin = {layout.lead}, own, length, at, prefix, where, users, users_begin = {0};
	std::vector<int32_t> positions((size_t)layout.lead, 0), table;
	for (const Segment &s : layout.list) {
		int before = s.prefix < 0 ? 0 : layout.list[(size_t)s.prefix].own_len;
		int32_t start = (int32_t)(cached ? keys : queries);
		own.push_back(start);
		length.push_back(s.own_len);
		prefix.push_back(before);
		where.push_back(s.prefix < 0 ? 0 : own[(size_t)s.prefix]);
		for (int t = 0; t < s.n; t++)
			positions.push_back(before + s.own_len - s.n + t);
		queries += s.n;
		keys = std::max<int64_t>(cached ? keys + s.own_len + 2 : queries, keys);
		begin.push_back((int32_t)queries);
		max_queries = std::max<int64_t>(max_queries, s.n);
		max_keys = std::max<int64_t>(max_keys, before + s.own_len);
	}
	queries += layout.tail;
	keys = std::max(keys, cached ? keys : queries);
	positions.resize((size_t)queries, 0);
	for (int64_t i = 0; i < count; i++) {
		for (int64_t j = 0; j < count; j++)
			if (layout.list[(size_t)j].prefix == i)
				users.push_back((int32_t)j);
		users_begin.push_back((int32_t)users.size());
	}
	if (page_size) {
		int64_t wide = (max_keys + page_size - 1) / page_size + 1, first = (keys + page_size - 1) / page_size;
		std::vector<int32_t> order((size_t)(count * wide));
		std::iota(order.begin(), order.end(), (int32_t)first);
		for (size_t i = order.size(); i > 1; i--)
			std::swap(order[i - 1], order[(size_t)p.random.below((int64_t)i)]);
		pages = p.i32(order);
		pages.rows = count;
		pages.cols = wide;
		keys = (first + count * wide) * page_size;
	}
	if (users.empty())
		users.push_back(0);
	q_begin = p.i32(begin), own_begin = p.i32(own), own_len = p.i32(length), prefix_begin = p.i32(where);
	prefix_len = p.i32(prefix), pos = p.i32(positions), user_begin = p.i32(users_begin), user = p.i32(users);
	max_queries += count % 2; /* bounds need not be tight */
	max_keys += count % 3;
}

struct segments Arrays::bind(Runner &run, bool backward) const
{
	struct segments seg = {};
	seg.count = count;
	seg.max_queries = max_queries;
	seg.max_keys = max_keys;
	seg.window = window;
	seg.page_size = page_size;
	seg.q_begin = run.in(q_begin);
	seg.own_begin = run.in(own_begin);
	seg.own_len = run.in(own_len);
	seg.prefix_begin = run.in(prefix_begin);
	seg.prefix_len = run.in(prefix_len);
	seg.pages = run.in(pages);
	seg.pos = run.in(pos);
	seg.user_begin = backward ? run.in(user_begin) : view_none();
	seg.user = backward ? run.in(user) : view_none();
	return seg;
}

static struct shape shape_of(const Arrays &a, const Heads &h)
{
	return sized({{&shape::rows, a.queries},
		      {&shape::heads, h.heads},
		      {&shape::kv_heads, h.kv_heads},
		      {&shape::head_dim, h.dim},
		      {&shape::segments, a.count},
		      {&shape::keys, a.max_keys}});
}

enum { LSE = 1, STRIDED = 2, CACHED = 4 };

static void forward(const Layout &layout, const Heads &h, int64_t window, int with, double sharp = 1)
{
	Problem p(OP_attention, "%s, H %d K %d D %d window %lld%s%s%s%s", layout.name, h.heads, h.kv_heads, h.dim,
		  (long long)window, with & LSE ? " lse" : "", with & STRIDED ? " strided" : "",
		  with & CACHED ? " cached" : "", sharp > 1 ? " sharp" : "");
	Arrays a(p, layout, with & CACHED, window);
	const int64_t cols = h.heads * h.dim, kv = h.kv_heads * h.dim;
	p.length = (double)std::max<int64_t>(a.max_keys, h.dim);
	p.strided = with & STRIDED;
	const As keys = with & CACHED ? As::CACHE : As::ACT;
	Array q = p.normal(a.queries, cols, As::ACT, sharp), k = p.normal(a.keys, kv, keys, sharp);
	Array v = p.normal(a.keys, kv, keys);
	const struct attn_dims dims = {h.heads, h.kv_heads, h.dim, 1 / std::sqrt((float)h.dim)};
	Body body = [&](Runner &run) {
		struct view o = run.out("o", a.queries, cols, As::ACT);
		struct view lse = with & LSE ? run.out("lse", a.queries, h.heads, As::F32) : view_none();
		struct segments seg = a.bind(run, false);
		struct view qq = run.in(q), kk = run.in(k), vv = run.in(v);
		run.reserve(OP_attention, shape_of(a, h));
		run.k->attention(run.dev, o, lse, qq, kk, vv, &seg, &dims);
	};
	if (sharp > 1) { /* a score is rounded by its own size, and e^score by as much again */
		const std::vector<Output> outputs = solve(p, body, reference_lane());
		for (double lse : outputs[1].value)
			p.steps = std::max(p.steps, 2 * std::fabs(lse));
	}
	expect_equal(p, body);
}

static const Heads heads[] = {{1, 1, 2}, {4, 2, 8}, {9, 3, 8}, {32, 8, 8}, {3, 1, 64}, {1, 1, 128}, {4, 2, 20}, {2, 1, 160}};

/* More that tensor cores have kernels for, where rows lie 16 bytes apart: never strided. */
static const Heads matrix_heads[] = {{8, 2, 128}, {2, 1, 80}, {2, 1, 96}};

/* One segment of every length of interest; the longer, the fewer heads. */
TEST(Attention, OneSegment)
{
	static const int lengths[] = {1, 2, 3, 5, 7, 17, 63, 64, 65, 127, 128, 129, 256, 257};
	for (int length : lengths) {
		Layout layout = packed("", {length});
		std::string name = "T " + std::to_string(length);
		layout.name = name.c_str();
		for (const Heads &h : heads)
			if ((int64_t)length * length * h.heads * h.dim < 20000000)
				forward(layout, h, 0, length % 2 ? LSE : LSE | STRIDED);
	}
	for (int length : {512, 513, 1024, 1025}) {
		std::string name = "T " + std::to_string(length);
		Layout layout = packed(name.c_str(), {length});
		forward(layout, {2, 1, 16}, 0, LSE);
		forward(layout, {1, 1, 64}, length % 2 ? 100 : 0, STRIDED);
	}
}

/* More keys than a backend keeps laid out at one time, own and of a prefix. */
TEST(Attention, Long)
{
	for (int64_t window : {0, 100})
		forward(packed("T 1700", {1700}), {1, 1, 64}, window, LSE);
	forward(shared("500+70+3", {{500, 70, 3}}), {2, 1, 64}, 0, LSE);
}

TEST(Attention, Packed)
{
	const Layout layouts[] = {
		packed("1", {1}, 2, 3),
		packed("3 1 2", {3, 1, 2}, 1, 1),
		packed("0 5 0 0 9 0", {0, 5, 0, 0, 9, 0}, 0, 2),
		packed("0", {0}, 4, 1),
		packed("17 64 1 33 128", {17, 64, 1, 33, 128}),
		packed("129 7 65", {129, 7, 65}, 3, 0),
	};
	for (const Layout &layout : layouts)
		for (const Heads &h : {heads[1], heads[2], heads[4]})
			for (int64_t window : {0, 1, 4, 40})
				forward(layout, h, window, window % 2 ? STRIDED | LSE : window ? 0 : LSE);
	for (const Heads &h : matrix_heads)
		forward(layouts[5], h, 0, LSE);
}

TEST(Attention, SharedPrefix)
{
	const Layout layouts[] = {
		shared("2+1", {{2, 1}}),
		shared("5+3+1+0+7", {{5, 3, 1, 0, 7}}, 1, 2),
		shared("33+64+17, 9, 12+12", {{33, 64, 17}, {9}, {12, 12}}),
		shared("130+5+70", {{130, 5, 70}}, 0, 3),
	};
	for (const Layout &layout : layouts)
		for (const Heads &h : {heads[1], heads[2], heads[3], heads[5]})
			for (int64_t window : {0, 3, 50})
				forward(layout, h, window, LSE | (window == 3 ? STRIDED : 0));
}

/* Rows of a cache: chunks of a longer sequence, and single queries. */
TEST(Attention, ChunkedPrefill)
{
	const Layout layouts[] = {
		{"chunk 4 of 10", {{4, 10, -1}}, 0, 0, 0},
		{"chunks 1/1 17/17 3/140 64/100", {{1, 1, -1}, {17, 17, -1}, {3, 140, -1}, {64, 100, -1}}, 0, 0, 0},
		{"prefix 20, chunks 5/9 8/8", {{0, 20, -1}, {5, 9, 0}, {8, 8, 0}}, 0, 2, 0},
		{"pages of 16: 5/37 1/1 0/0 20/33", {{5, 37, -1}, {1, 1, -1}, {0, 0, -1}, {20, 33, -1}}, 0, 0, 16},
		{"pages of 3, prefix 7: 4/11 2/2", {{0, 7, -1}, {4, 11, 0}, {2, 2, 0}}, 0, 1, 3},
	};
	for (const Layout &layout : layouts)
		for (const Heads &h : {heads[1], heads[2], heads[4]})
			for (int64_t window : {0, 6})
				forward(layout, h, window, CACHED | (window ? STRIDED : 0));
	for (const Layout &layout : layouts)
		for (const Heads &h : matrix_heads)
			for (int64_t window : {0, 6})
				forward(layout, h, window, CACHED);
}

TEST(Attention, PagedDecoding)
{
	const Layout layouts[] = {
		{"pages of 1: 1/5", {{1, 5, -1}}, 0, 0, 1},
		{"pages of 16: 1/1 1/16 1/17 0/0 1/300",
		 {{1, 1, -1}, {1, 16, -1}, {1, 17, -1}, {0, 0, -1}, {1, 300, -1}},
		 0,
		 0,
		 16},
		{"pages of 7, prefix 64: 1/3 1/40", {{0, 64, -1}, {1, 3, 0}, {1, 40, 0}}, 0, 0, 7},
		{"pages of 64: 1/1024 1/1025", {{1, 1024, -1}, {1, 1025, -1}}, 0, 0, 64},
	};
	for (const Layout &layout : layouts)
		for (const Heads &h : {heads[1], heads[2], heads[3], heads[4]})
			for (int64_t window : {0, 20})
				forward(layout, h, window, CACHED | (window ? STRIDED : LSE));
	for (const Heads &h : matrix_heads)
		for (int64_t window : {0, 20}) {
			forward(layouts[1], h, window, CACHED | LSE);
			forward(layouts[2], h, window, CACHED | LSE);
		}
}

/* Scores of a hundred and more: one key takes all, e^score would overflow. */
TEST(Attention, SharpScores)
{
	for (const Heads &h : heads)
		forward(packed("33 64", {33, 64}), h, 0, LSE, 8);
}

/* ---- backward ---------------------------------------------------------------- */

/* o and lse are the reference's, inputs like all others: each backend's backward is tested alone. */
static void backward(const Layout &layout, const Heads &h, int64_t window, bool strided)
{
	Problem p(OP_attention_backward, "%s, H %d K %d D %d window %lld%s", layout.name, h.heads, h.kv_heads, h.dim,
		  (long long)window, strided ? " strided" : "");
	Arrays a(p, layout, false, window);
	const int64_t cols = h.heads * h.dim, kv = h.kv_heads * h.dim, R = a.queries;
	p.length = (double)std::max<int64_t>(a.max_keys * h.heads / h.kv_heads, h.dim);
	Array q = p.normal(R, cols, As::ACT), k = p.normal(R, kv, As::ACT), v = p.normal(R, kv, As::ACT);
	Array d_o = p.normal(R, cols, As::ACT), o, lse;
	const struct attn_dims dims = {h.heads, h.kv_heads, h.dim, 1 / std::sqrt((float)h.dim)};
	std::vector<Output> forward = solve(
		p,
		[&](Runner &run) {
			struct view out = run.out("o", R, cols, As::ACT), sum = run.out("lse", R, h.heads, As::F32);
			struct segments seg = a.bind(run, false);
			struct view qq = run.in(q), kk = run.in(k), vv = run.in(v);
			run.reserve(OP_attention, shape_of(a, h));
			run.k->attention(run.dev, out, sum, qq, kk, vv, &seg, &dims);
		},
		reference_lane());
	o = p.floats(R, cols, As::ACT, {forward[0].value.begin(), forward[0].value.end()});
	lse = p.floats(R, h.heads, As::F32, {forward[1].value.begin(), forward[1].value.end()});
	p.strided = strided;
	expect_equal(p, [&](Runner &run) {
		struct view dq = run.out("dq", R, cols, As::ACT), dk = run.out("dk", R, kv, As::ACT);
		struct view dv = run.out("dv", R, kv, As::ACT);
		struct segments seg = a.bind(run, true);
		struct view g = run.in(d_o), oo = run.in(o), sum = run.in(lse);
		struct view qq = run.in(q), kk = run.in(k), vv = run.in(v);
		run.reserve(OP_attention_backward, shape_of(a, h));
		run.k->attention_backward(run.dev, dq, dk, dv, g, oo, sum, qq, kk, vv, &seg, &dims);
	});
}

TEST(AttentionBackward, OneSegment)
{
	static const int lengths[] = {1, 2, 3, 5, 7, 17, 64, 65, 127, 129};
	for (int length : lengths) {
		std::string name = "T " + std::to_string(length);
		for (const Heads &h : heads)
			if ((int64_t)length * length * h.heads * h.dim < 2000000)
				backward(packed(name.c_str(), {length}), h, 0, length % 2);
	}
	backward(packed("T 257", {257}), {2, 1, 16}, 0, true);
	backward(packed("T 513", {513}), {1, 1, 8}, 70, false);
	backward(packed("T 1025", {1025}), {1, 1, 4}, 0, false);
}

TEST(AttentionBackward, Long)
{
	for (int64_t window : {0, 100})
		backward(packed("T 1700", {1700}), {1, 1, 64}, window, false);
	backward(shared("500+70+3", {{500, 70, 3}}), {2, 1, 64}, 0, false);
}

TEST(AttentionBackward, Packed)
{
	const Layout layouts[] = {
		packed("1", {1}, 2, 3),
		packed("3 1 2", {3, 1, 2}, 1, 1),
		packed("0 5 0 0 9 0", {0, 5, 0, 0, 9, 0}, 0, 2),
		packed("0", {0}, 4, 1),
		packed("17 64 1 33", {17, 64, 1, 33}, 0, 5),
	};
	for (const Layout &layout : layouts)
		for (const Heads &h : {heads[1], heads[2], heads[6]})
			for (int64_t window : {0, 1, 20})
				backward(layout, h, window, window % 2);
	for (const Heads &h : matrix_heads)
		backward(layouts[4], h, 20, false);
}

TEST(AttentionBackward, SharedPrefix)
{
	const Layout layouts[] = {
		shared("2+1", {{2, 1}}),
		shared("5+3+1+0+7", {{5, 3, 1, 0, 7}}, 1, 2),
		shared("33+40+17, 9, 12+12", {{33, 40, 17}, {9}, {12, 12}}),
	};
	for (const Layout &layout : layouts)
		for (const Heads &h : {heads[1], heads[2], heads[3], heads[4]})
			for (int64_t window : {0, 3, 30})
				if (h.heads < 32 || layout.list.size() < 6)
					backward(layout, h, window, window == 3);
	for (const Heads &h : matrix_heads)
		backward(shared("33+70+5, 9", {{33, 70, 5}, {9}}, 1, 2), h, 0, false);
}

#if HAVE_CUDA
/* ---- a GPU that gives a block little shared memory --------------------------- */

enum { LITTLE_SHARED = 99 << 10 }; /* of compute capability 8.6, 8.9 and 12.0 */

/* The devices are opened once more, with that much. A GPU that has more takes the smaller tiles as well. */
class LittleShared : public testing::Test
{
	std::vector<Lane> whole;

	void SetUp() override
	{
		whole = fast_lanes();
#ifdef CUDA_ON_HOST
		cuda_host_shared_limit(LITTLE_SHARED);
#endif
		for (Lane &lane : fast_lanes()) {
			lane = open_again(lane);
#ifndef CUDA_ON_HOST
			if (lane.dev->backend == &cuda_backend)
				cuda_of(lane.dev)->shared = LITTLE_SHARED;
#endif
		}
	}

	void TearDown() override
	{
		for (const Lane &lane : fast_lanes())
			close_again(lane);
		fast_lanes() = whole;
#ifdef CUDA_ON_HOST
		cuda_host_shared_limit(CUDA_HOST_SHARED);
#endif
	}
};

TEST_F(LittleShared, LongHeads)
{
	const Layout decoding = {"pages of 16: 1/1 2/300", {{1, 1, -1}, {2, 300, -1}}, 0, 0, 16};
	for (int64_t window : {0, 40}) {
		forward(decoding, {2, 1, 128}, window, CACHED | LSE);
		forward(packed("7 129", {7, 129}, 1, 2), {1, 1, 128}, window, LSE);
		backward(shared("40+70", {{40, 70}}, 1, 2), {2, 1, 128}, window, false);
	}
}
#endif

#ifdef CUDA_ON_HOST
/* More keys and pairs than a block's threads take in one turn. */
TEST_F(TrueBlocks, Attention)
{
	const Layout prefixes = shared("133+7+2", {{133, 7, 2}}, 1, 2);
	for (int64_t window : {0, 40}) {
		forward(prefixes, {2, 1, 20}, window, LSE | CACHED);
		backward(prefixes, {2, 1, 20}, window, true);
	}
	backward(packed("9", {9}), {4, 2, 8}, 0, false);
}
#endif
