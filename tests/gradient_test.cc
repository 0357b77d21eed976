// SPDX-License-Identifier: Apache-2.0
/*
 * gradient_test - every backward of the reference against finite differences.
 *
 * The reference is linked in its double build: DTYPE_F32 stores doubles. For a
 * scalar L of an operation's outputs (their sum with fixed factors) and every
 * element p of every input
 *
 *     g = (8 (L(p + h) - L(p - h)) - (L(p + 2 h) - L(p - 2 h))) / 12 h,   h = 2^-14,
 *
 * the central difference of fourth order, errs by h^4 / 30 times the fifth
 * derivative (5e-19 of it) and by round-off of about 2^-52 |L| / h = 4e-12 |L|.
 * The rule, tensor by tensor:
 *
 *     || g - backward || <= 1e-8 || g ||        (the contract asks for 1e-6)
 *
 * in the Euclidean norm; where || g || is 0, backward must be 0. Sums that the
 * contract says accumulate start from 0.5, outputs that it says are written
 * from a number that shows.
 */
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/device_helper.h"
#include "tests/tiny_model.h"

namespace {

const double h = 0x1p-14, tolerance = 1e-8, start = 0.5, garbage = 1e30;

typedef std::vector<double> numbers;
typedef std::function<double()> scalar;

double dot(const numbers &a, const numbers &b)
{
	double sum = 0;
	for (size_t i = 0; i < a.size(); i++)
		sum += a[i] * b[i];
	return sum;
}

double norm(const numbers &a)
{
	return std::sqrt(dot(a, a));
}

numbers minus(numbers a, const numbers &b)
{
	for (size_t i = 0; i < a.size(); i++)
		a[i] -= b[i];
	return a;
}

class Gradient : public ::testing::Test {
protected:
	std::unique_ptr<struct device, void (*)(struct device *)> owner{device_reference_new(), device_reference_free};
	struct device *dev = owner.get();
	Desk desk{dev};
	const struct kernels *k = desk.k;
	uint32_t seed = 100;

	void SetUp() override { ASSERT_EQ(dtype_size(DTYPE_F32), sizeof(double)) << "link the double build"; }

	void TearDown() override
	{
		const char *failure = device_sync(dev);
		EXPECT_EQ(failure, nullptr) << failure;
	}

	struct view random(int64_t rows, int64_t cols, double scale = 1, double mean = 0)
	{
		return desk.real(rows, cols, values(++seed, rows * cols, scale, mean));
	}

	struct view constant(struct view like, double value)
	{
		return desk.real(like.rows, like.cols, numbers((size_t)(like.rows * like.cols), value));
	}

	/* A sum that does not start from 0, and what was added to it. */
	struct view sum_of(struct view like) { return constant(like, start); }
	numbers added(struct view v) { return minus(desk.read(v), numbers((size_t)(v.rows * v.cols), start)); }

	/* Derivative of L along `direction`, elements from `at`. */
	double derivative(struct view p, const numbers &from, const numbers &direction, const scalar &L)
	{
		auto moved = [&](double by) {
			numbers to = from;
			for (size_t i = 0; i < to.size(); i++)
				to[i] += by * direction[i];
			desk.write(p, to);
			return L();
		};
		double g = (8 * (moved(h) - moved(-h)) - (moved(2 * h) - moved(-2 * h))) / (12 * h);
		desk.write(p, from);
		return g;
	}

	void expect_close(const std::string &name, const numbers &want, const numbers &got)
	{
		ASSERT_EQ(want.size(), got.size()) << name;
		EXPECT_LE(norm(minus(want, got)), tolerance * norm(want)) << "gradient of " << name << ", its norm is "
									  << norm(want);
	}

	/* Every element of p. */
	void expect_gradient(const std::string &name, struct view p, const numbers &backward, const scalar &L)
	{
		numbers from = desk.read(p), g(from.size());
		for (size_t i = 0; i < from.size(); i++) {
			numbers direction(from.size());
			direction[i] = 1;
			g[i] = derivative(p, from, direction, L);
		}
		EXPECT_GT(norm(g), 0) << name << " is not felt by L";
		expect_close(name, g, backward);
	}

	struct shape sizes(int64_t rows, int64_t hidden)
	{
		struct shape s = {};
		s.rows = rows;
		s.hidden = hidden;
		return s;
	}

	void reserve(const struct shape &s)
	{
		for (int op = 0; op < OP_COUNT; op++)
			desk.reserve((enum op)op, s);
	}

	/* A trained adapter of an [out, in] matrix; its gradients start from 0.5. */
	struct lora adapter(int64_t out, int64_t in, int64_t rank, float p, uint32_t module)
	{
		struct lora a = {};
		a.a = random(rank, in);
		a.b = random(out, rank);
		a.da = sum_of(a.a);
		a.db = sum_of(a.b);
		a.scale = 0.75f;
		a.p = p;
		a.module = module;
		return a;
	}

	struct dropout dropout(int64_t rows)
	{
		std::vector<uint64_t> keys;
		for (int64_t t = 0; t < rows; t++)
			keys.push_back(t % 3 ? row_key((uint32_t)t, (uint32_t)(7 * t)) : (uint64_t)t);
		struct dropout d = {};
		d.state = desk.u64({0x123456789ABCDEFull, 5});
		d.row_key = desk.u64(keys);
		d.layer = 2;
		return d;
	}
};

/* ---- primitives ---------------------------------------------------------- */

TEST_F(Gradient, rmsnorm)
{
	const int64_t R = 4, C = 7;
	struct view x = random(R, C), w = random(1, C, 0.5, 1), y = desk.real(R, C), c = random(R, C);
	reserve(sizes(R, C));
	scalar L = [&] {
		k->rmsnorm(dev, y, x, w, 0.01f);
		return dot(desk.read(y), desk.read(c));
	};
	struct view dx = sum_of(x), dw = sum_of(w);
	k->rmsnorm_backward(dev, dx, dw, c, x, w, 0.01f);
	expect_gradient("x", x, added(dx), L);
	expect_gradient("w", w, added(dw), L);
	struct view dx_alone = sum_of(x), dw_alone = sum_of(w);
	k->rmsnorm_backward(dev, dx_alone, view_none(), c, x, w, 0.01f);
	k->rmsnorm_backward(dev, view_none(), dw_alone, c, x, w, 0.01f);
	EXPECT_EQ(desk.read(dx), desk.read(dx_alone));
	EXPECT_EQ(desk.read(dw), desk.read(dw_alone));
}

TEST_F(Gradient, linear)
{
	const int64_t R = 5, N = 4, M = 6;
	struct view x = random(R, M), bias = random(1, N), y = desk.real(R, N), c = random(R, N);
	struct view w = random(N, M);
	struct weight *group = desk.weight({random(3, M), w});
	scalar L = [&] {
		k->refresh(dev, group);
		k->linear(dev, y, x, group, 1, bias, false);
		return dot(desk.read(y), desk.read(c));
	};
	struct view dx = constant(x, garbage), dx_add = sum_of(x), dw = sum_of(w), dbias = sum_of(bias);
	k->linear_dx(dev, dx, c, group, 1, false);
	k->linear_dx(dev, dx_add, c, group, 1, true);
	k->linear_dw(dev, dw, dbias, c, x);
	expect_gradient("x", x, desk.read(dx), L);
	expect_gradient("x, added", x, added(dx_add), L);
	expect_gradient("W", w, added(dw), L);
	expect_gradient("bias", bias, added(dbias), L);
}

TEST_F(Gradient, linear_adds)
{
	const int64_t R = 3, N = 4, M = 5;
	struct view x = random(R, M), bias = random(1, N), y = desk.real(R, N), sum = sum_of(y);
	struct weight *group = desk.weight({random(N, M)});
	k->linear(dev, y, x, group, 0, bias, false);
	k->linear(dev, sum, x, group, 0, bias, true);
	expect_close("y", desk.read(y), added(sum));
}

class GradientDropout : public Gradient, public ::testing::WithParamInterface<float> {};

TEST_P(GradientDropout, lora)
{
	const int64_t R = 5, N = 4, M = 10, r = 3;
	struct view x = random(R, M), y = desk.real(R, N), xa = desk.real(R, r), c = random(R, N);
	struct lora lora = adapter(N, M, r, GetParam(), MODULE_UP);
	struct dropout drop = dropout(R), *mask = GetParam() > 0 ? &drop : nullptr;
	struct shape s = sizes(R, M);
	s.rank = r;
	reserve(s);
	scalar L = [&] {
		k->fill(dev, y, 0);
		k->lora(dev, y, xa, x, &lora, mask);
		return dot(desk.read(y), desk.read(c));
	};
	struct view dx = sum_of(x);
	L();
	k->lora_backward(dev, dx, c, x, xa, &lora, mask);
	expect_gradient("x", x, added(dx), L);
	expect_gradient("A", lora.a, added(lora.da), L);
	expect_gradient("B", lora.b, added(lora.db), L);
}
INSTANTIATE_TEST_SUITE_P(P, GradientDropout, ::testing::Values(0.0f, 0.3f), [](const auto &p) {
	return std::string(p.param > 0 ? "dropped" : "whole");
});

TEST_F(Gradient, rope)
{
	const int64_t R = 4, heads = 3, D = 6, P = 20;
	struct view x = random(R, heads * D), y = desk.real(R, heads * D), c = random(R, heads * D);
	struct rope_config config = {};
	config.theta = 50;
	std::vector<float> cos((size_t)(P * D / 2)), sin(cos.size());
	rope_table(cos.data(), sin.data(), P, (int)D, &config);
	struct rope rope = {desk.real(P, D / 2, {cos.begin(), cos.end()}),
			    desk.real(P, D / 2, {sin.begin(), sin.end()})};
	struct view pos = desk.i32({0, 7, 3, 19});
	scalar L = [&] {
		k->copy(dev, y, x);
		k->rope(dev, y, pos, &rope, (int)D, false);
		return dot(desk.read(y), desk.read(c));
	};
	struct view dx = desk.real(R, heads * D, desk.read(c));
	k->rope(dev, dx, pos, &rope, (int)D, true);
	expect_gradient("x", x, desk.read(dx), L);
}

TEST_F(Gradient, swiglu)
{
	const int64_t R = 3, F = 9;
	struct view g = random(R, F, 4), u = random(R, F, 2), y = desk.real(R, F), c = random(R, F);
	scalar L = [&] {
		k->swiglu(dev, y, g, u);
		return dot(desk.read(y), desk.read(c));
	};
	struct view dg = constant(g, garbage), du = constant(u, garbage);
	k->swiglu_backward(dev, dg, du, c, g, u);
	expect_gradient("g", g, desk.read(dg), L);
	expect_gradient("u", u, desk.read(du), L);
	k->swiglu_backward(dev, g, u, c, g, u);
	EXPECT_EQ(desk.read(g), desk.read(dg)) << "dg may be g";
	EXPECT_EQ(desk.read(u), desk.read(du)) << "du may be u";
}

TEST_F(Gradient, embed)
{
	const int64_t V = 6, C = 3;
	struct view w = random(V, C), ids = desk.i32({4, 0, 4, 5, 4}), y = desk.real(5, C), c = random(5, C);
	struct weight *group = desk.weight({w});
	scalar L = [&] {
		k->refresh(dev, group);
		k->embed(dev, y, group, ids);
		return dot(desk.read(y), desk.read(c));
	};
	struct view dw = sum_of(w);
	k->embed_backward(dev, dw, c, ids);
	expect_gradient("W", w, added(dw), L);
}

TEST_F(Gradient, rows)
{
	const int64_t C = 4;
	struct view x = random(6, C), row = desk.i32({5, -1, 0, 3}), y = desk.real(4, C), c = random(4, C);
	scalar L = [&] {
		k->gather_rows(dev, y, x, row);
		return dot(desk.read(y), desk.read(c));
	};
	struct view dx = constant(x, garbage);
	k->scatter_rows(dev, dx, c, row);
	expect_gradient("x", x, desk.read(dx), L);
}

/* ---- attention ------------------------------------------------------------ */

struct AttentionCase {
	const char *name;
	int heads, kv_heads, window;
	int lengths[5], prefix[5], prefix_len[5]; /* prefix: the segment, or -1 */
	int before, after;                        /* rows of no segment */
};

class GradientAttention : public Gradient, public ::testing::WithParamInterface<AttentionCase> {
protected:
	/* Rows before the first segment belong to none: all row numbers move up. */
	Batch batch()
	{
		const AttentionCase &a = GetParam();
		Batch b;
		for (int s = 0; s < 5; s++) {
			int p = a.prefix[s];
			b.add(std::vector<int32_t>((size_t)a.lengths[s]), {a.prefix_len[s], -1, p, a.prefix_len[s], 0});
		}
		for (auto *list : {&b.q_begin, &b.own_begin, &b.prefix_begin})
			for (int32_t &row : *list)
				row += a.before;
		b.pos.insert(b.pos.begin(), (size_t)a.before, 0);
		b.pos.insert(b.pos.end(), (size_t)a.after, 0);
		return b;
	}
};

TEST_P(GradientAttention, attention)
{
	const AttentionCase &a = GetParam();
	const int D = 3;
	Batch b = batch();
	int64_t R = (int64_t)b.pos.size(), Q = a.heads * D, KV = a.kv_heads * D;
	struct segments seg = b.segments(desk, a.window);
	struct attn_dims dims = {a.heads, a.kv_heads, D, 0.7f};
	struct view q = random(R, Q, 2), key = random(R, KV, 2), v = random(R, KV), c = random(R, Q);
	struct view o = desk.real(R, Q), lse = desk.real(R, a.heads);
	struct shape s = sizes(R, 0);
	s.heads = a.heads, s.kv_heads = a.kv_heads, s.head_dim = D, s.segments = seg.count, s.keys = seg.max_keys;
	reserve(s);
	scalar L = [&] {
		k->attention(dev, o, lse, q, key, v, &seg, &dims);
		return dot(desk.read(o), desk.read(c));
	};
	struct view dq = constant(q, garbage), dk = constant(key, garbage), dv = constant(v, garbage);
	L();
	k->attention_backward(dev, dq, dk, dv, c, o, lse, q, key, v, &seg, &dims);
	expect_gradient("q", q, desk.read(dq), L);
	expect_gradient("k", key, desk.read(dk), L);
	expect_gradient("v", v, desk.read(dv), L);
}
INSTANTIATE_TEST_SUITE_P(Segments, GradientAttention, ::testing::Values(
	AttentionCase{"one", 4, 2, 0, {6}, {-1, -1, -1, -1, -1}, {}, 0, 0},
	AttentionCase{"packed", 4, 2, 0, {3, 1, 0, 4, 2}, {-1, -1, -1, -1, -1}, {}, 1, 2},
	AttentionCase{"window", 3, 1, 3, {7, 2, 5}, {-1, -1, -1, -1, -1}, {}, 0, 0},
	AttentionCase{"prefix", 4, 2, 0, {4, 2, 3, 0, 2}, {-1, 0, 0, -1, 0}, {0, 4, 4, 0, 4}, 0, 0},
	AttentionCase{"partial_prefix", 2, 2, 0, {2, 5, 3, 2, 3}, {-1, -1, 1, 1, 0}, {0, 0, 3, 5, 1}, 1, 1},
	AttentionCase{"prefix_window", 6, 2, 4, {5, 2, 5, 1, 3}, {-1, 0, 0, -1, 0}, {0, 5, 4, 0, 2}, 0, 1}),
	[](const auto &p) { return std::string(p.param.name); });

/* ---- composites ------------------------------------------------------------ */

struct Options {
	const char *name;
	bool qk_norm, bias, lora, dropped;
};

class GradientComposite : public Gradient, public ::testing::WithParamInterface<Options> {
protected:
	static const int64_t R = 4, C = 6, H = 4, K = 2, D = 2, F = 5, rank = 2;

	void SetUp() override
	{
		Gradient::SetUp();
		size = sizes(R, C);
		size.heads = H, size.kv_heads = K, size.head_dim = D, size.ffn = F, size.rank = rank;
		size.qk_norm = GetParam().qk_norm;
		reserve(size);
		drop = dropout(R);
		mask = GetParam().dropped ? &drop : nullptr;
	}

	/* NULL where the case has no adapters. */
	const struct lora *adapt(struct lora *at, int64_t out, int64_t in, uint32_t module)
	{
		if (!GetParam().lora)
			return nullptr;
		*at = adapter(out, in, rank, GetParam().dropped ? 0.25f : 0.0f, module);
		return at;
	}

	struct Pair {
		std::string name;
		struct view value, gradient;
	};

	std::vector<numbers> results(const std::vector<Pair> &pairs)
	{
		std::vector<numbers> all;
		for (const Pair &p : pairs)
			all.push_back(added(p.gradient));
		return all;
	}

	void restart(const std::vector<Pair> &pairs)
	{
		for (const Pair &p : pairs)
			k->fill(dev, p.gradient, (float)start);
	}

	void expect_gradients(const std::vector<Pair> &pairs, const std::vector<numbers> &backward, const scalar &L)
	{
		for (size_t i = 0; i < pairs.size(); i++)
			expect_gradient(pairs[i].name, pairs[i].value, backward[i], L);
	}

	struct shape size;
	struct dropout drop;
	const struct dropout *mask = nullptr;
};

TEST_P(GradientComposite, attn_in)
{
	const int64_t Q = H * D, KV = K * D;
	const int64_t out[3] = {Q, KV, KV};
	const char *const names = "qkv";
	struct view x = random(R, C), pos = desk.i32({3, 0, 9, 4});
	struct attn_in_params p = {};
	struct attn_in_grads grads = {};
	std::vector<Pair> pairs;
	p.dims = {(int)H, (int)K, (int)D, 1};
	p.norm_w = random(1, C, 0.5, 1);
	p.eps = 0.01f;
	pairs.push_back({"norm", p.norm_w, grads.norm_w = sum_of(p.norm_w)});
	struct view w[3];
	for (int i = 0; i < 3; i++) {
		w[i] = random(out[i], C);
		pairs.push_back({std::string("W") + names[i], w[i], grads.w[i] = sum_of(w[i])});
		if (GetParam().bias) {
			p.bias[i] = random(1, out[i]);
			grads.bias[i] = sum_of(p.bias[i]);
			pairs.push_back({std::string("bias ") + names[i], p.bias[i], grads.bias[i]});
		}
	}
	struct weight *group = desk.weight({w[0], w[1], w[2]});
	p.wqkv = group;
	struct lora lora[3];
	for (int i = 0; i < 3; i++)
		if ((p.lora[i] = adapt(&lora[i], out[i], C, (uint32_t)i))) {
			pairs.push_back({std::string("A") + names[i], lora[i].a, lora[i].da});
			pairs.push_back({std::string("B") + names[i], lora[i].b, lora[i].db});
		}
	if (GetParam().qk_norm) {
		p.q_norm = random(1, D, 0.5, 1);
		p.k_norm = random(1, D, 0.5, 1);
		pairs.push_back({"q_norm", p.q_norm, grads.q_norm = sum_of(p.q_norm)});
		pairs.push_back({"k_norm", p.k_norm, grads.k_norm = sum_of(p.k_norm)});
	}
	p.rope = {random(10, D / 2), random(10, D / 2)}; /* the gradient holds for any pair of tables */
	p.drop = mask;

	struct view q = desk.real(R, Q), key = desk.real(R, KV), v = desk.real(R, KV);
	struct view saved = desk.saved(OP_attn_in, size);
	struct view cq = random(R, Q), ck = random(R, KV), cv = random(R, KV), cx = random(R, C);
	scalar L = [&] {
		k->refresh(dev, group);
		k->attn_in(dev, q, key, v, saved, x, pos, view_none(), &p);
		return dot(desk.read(q), desk.read(cq)) + dot(desk.read(key), desk.read(ck)) +
		       dot(desk.read(v), desk.read(cv)) + dot(desk.read(x), desk.read(cx));
	};
	auto backward = [&](struct view dx, bool want_dx) {
		restart(pairs);
		k->attn_in_backward(dev, dx, &grads, desk.real(R, Q, desk.read(cq)), desk.real(R, KV, desk.read(ck)),
				    desk.real(R, KV, desk.read(cv)), saved, pos, &p, want_dx);
		return results(pairs);
	};
	L();
	struct view dx = desk.real(R, C, desk.read(cx)), unused = desk.real(R, C);
	std::vector<numbers> got = backward(dx, true);
	EXPECT_EQ(got, backward(unused, false)) << "want_dx changes parameters' gradients";
	expect_gradient("x", x, desk.read(dx), L);
	expect_gradients(pairs, got, L);
}

TEST_P(GradientComposite, attn_out)
{
	const int64_t Q = H * D;
	struct view x = random(R, C), o = random(R, Q), w = random(C, Q), y = desk.real(R, C), c = random(R, C);
	struct attn_out_params p = {};
	struct attn_out_grads grads = {};
	struct weight *group = desk.weight({w});
	struct lora lora;
	std::vector<Pair> pairs = {{"W", w, grads.w = sum_of(w)}};
	p.wo = group;
	p.drop = mask;
	if (GetParam().bias) {
		p.bias = random(1, C);
		pairs.push_back({"bias", p.bias, grads.bias = sum_of(p.bias)});
	}
	if ((p.lora = adapt(&lora, C, Q, MODULE_O))) {
		pairs.push_back({"A", lora.a, lora.da});
		pairs.push_back({"B", lora.b, lora.db});
	}
	struct view saved = desk.saved(OP_attn_out, size);
	scalar L = [&] {
		k->refresh(dev, group);
		k->copy(dev, y, x);
		k->attn_out(dev, y, saved, o, &p);
		return dot(desk.read(y), desk.read(c));
	};
	auto backward = [&](struct view d_o, bool want_do) {
		restart(pairs);
		k->attn_out_backward(dev, d_o, &grads, c, saved, o, &p, want_do);
		return results(pairs);
	};
	L();
	numbers before = desk.read(c);
	struct view d_o = constant(o, garbage);
	std::vector<numbers> got = backward(d_o, true);
	EXPECT_EQ(got, backward(constant(o, 0), false)) << "want_do changes parameters' gradients";
	EXPECT_EQ(before, desk.read(c)) << "dx is read only";
	expect_gradient("o", o, desk.read(d_o), L);
	expect_gradients(pairs, got, L);
}

TEST_P(GradientComposite, mlp)
{
	static const struct {
		const char *name;
		int64_t out, in;
	} matrix[3] = {{"gate", F, C}, {"up", F, C}, {"down", C, F}};
	struct view x = random(R, C, 2), y = desk.real(R, C), c = random(R, C), w[3];
	struct mlp_params p = {};
	struct mlp_grads grads = {};
	p.norm_w = random(1, C, 0.5, 1);
	p.eps = 0.01f;
	p.drop = mask;
	std::vector<Pair> pairs = {{"norm", p.norm_w, grads.norm_w = sum_of(p.norm_w)}};
	struct view *const slots[3] = {&grads.gate, &grads.up, &grads.down};
	struct lora lora[3];
	for (int i = 0; i < 3; i++) {
		std::string name = matrix[i].name;
		w[i] = random(matrix[i].out, matrix[i].in);
		pairs.push_back({name, w[i], *slots[i] = sum_of(w[i])});
		if ((p.lora[i] = adapt(&lora[i], matrix[i].out, matrix[i].in, (uint32_t)(MODULE_GATE + i)))) {
			pairs.push_back({name + " A", lora[i].a, lora[i].da});
			pairs.push_back({name + " B", lora[i].b, lora[i].db});
		}
	}
	struct weight *gate_up = desk.weight({w[0], w[1]}), *down = desk.weight({w[2]});
	p.wgu = gate_up;
	p.wdown = down;
	struct view saved = desk.saved(OP_mlp, size);
	scalar L = [&] {
		k->refresh(dev, gate_up);
		k->refresh(dev, down);
		k->copy(dev, y, x);
		k->mlp(dev, y, saved, &p);
		return dot(desk.read(y), desk.read(c));
	};
	auto backward = [&](struct view dx, bool want_dx) {
		restart(pairs);
		k->mlp_backward(dev, dx, &grads, saved, &p, want_dx);
		return results(pairs);
	};
	L();
	struct view dx = desk.real(R, C, desk.read(c)), unused = desk.real(R, C, desk.read(c));
	std::vector<numbers> got = backward(dx, true);
	EXPECT_EQ(got, backward(unused, false)) << "want_dx changes parameters' gradients";
	expect_gradient("x", x, desk.read(dx), L);
	expect_gradients(pairs, got, L);
}
INSTANTIATE_TEST_SUITE_P(Layers, GradientComposite, ::testing::Values(
	Options{"plain", false, false, false, false}, Options{"adapted", false, true, true, false},
	Options{"dropped", false, false, true, true}, Options{"normed", true, true, false, false},
	Options{"all", true, true, true, true}),
	[](const auto &p) { return std::string(p.param.name); });

/* ---- the loss ---------------------------------------------------------------- */

TEST_F(Gradient, head_loss)
{
	const int64_t R = 5, C = 4, V = 9;
	struct view x = random(R, C, 2), w = random(V, C), norm_w = random(1, C, 0.5, 1), logp = desk.real(1, R);
	struct view target = desk.i32({3, -1, 8, 0, 3}), weight = random(1, R, 0.5, 1);
	struct weight *group = desk.weight({w});
	struct head_params p = {norm_w, 0.01f, group};
	struct shape s = sizes(R, C);
	s.vocab = V;
	s.head_grad = true;
	reserve(s);
	scalar L = [&] {
		k->refresh(dev, group);
		k->head_loss(dev, logp, view_none(), nullptr, x, &p, target, view_none());
		return -dot(desk.read(weight), desk.read(logp));
	};
	struct head_grads grads = {sum_of(norm_w), sum_of(w)};
	struct view dx = constant(x, garbage), dx_alone = constant(x, garbage);
	k->head_loss(dev, logp, dx, &grads, x, &p, target, weight);
	EXPECT_EQ(desk.read(logp)[1], 0) << "a row without target";
	numbers with = desk.read(logp);
	k->head_loss(dev, logp, dx_alone, nullptr, x, &p, target, weight);
	EXPECT_EQ(desk.read(dx), desk.read(dx_alone));
	EXPECT_EQ(with, desk.read(logp));
	expect_gradient("x", x, desk.read(dx), L);
	expect_gradient("norm", norm_w, added(grads.norm_w), L);
	expect_gradient("W", w, added(grads.w), L);
	struct head_grads only_w = {view_none(), sum_of(w)}, only_norm = {sum_of(norm_w), view_none()};
	k->head_loss(dev, logp, view_none(), &only_w, x, &p, target, weight);
	k->head_loss(dev, logp, view_none(), &only_norm, x, &p, target, weight);
	EXPECT_EQ(desk.read(grads.w), desk.read(only_w.w));
	EXPECT_EQ(desk.read(grads.norm_w), desk.read(only_norm.norm_w));
}

/* ---- a whole train step --------------------------------------------------------- */

/* +1 and -1 without pattern. */
numbers signs(uint32_t seed, size_t n)
{
	numbers s = values(seed, (int64_t)n);
	for (double &x : s)
		x = x < 0 ? -1 : 1;
	return s;
}

/* An instruction computed once, three examples behind it (one of them behind a part of it), one alone. */
Batch train_batch()
{
	Batch b;
	int prefix = b.add({5, 1, 7, 2}, {0, -1, -1, 0, 0});
	b.add({3, 9, 12, 4}, {4, 0, prefix, 4, 0});
	b.add({8, 8, 1}, {4, 1, prefix, 4, 0});
	b.add({0, 6, 11}, {3, 2, prefix, 3, 0});
	b.add({2, 10, 5, 5}, {0, 3, -1, 0, 0});
	return b;
}

class GradientStep : public Gradient, public ::testing::WithParamInterface<Options> {};

/*
 * Of every tensor the derivatives along 4 elements and along two vectors of
 * signs, in which every element takes part.
 */
TEST_P(GradientStep, train_step)
{
	ModelShape shape;
	shape.qk_norm = GetParam().qk_norm;
	shape.bias = GetParam().bias;
	shape.lora = GetParam().lora;
	shape.dropout = GetParam().dropped ? 0.25f : 0;
	shape.window = GetParam().dropped ? 4 : 0;
	TinyModel model(desk, shape);
	Batch batch = train_batch();
	model.zero_gradients();
	model.train(batch);
	scalar L = [&] {
		model.refresh();
		return model.train(batch, false).loss;
	};
	ASSERT_GE(model.tensors.size(), 21u);
	for (const TinyModel::Tensor &t : model.tensors) {
		numbers from = desk.read(t.value), grad = desk.read(t.grad), want, got;
		auto along = [&](const numbers &direction) {
			want.push_back(derivative(t.value, from, direction, L));
			got.push_back(dot(grad, direction));
		};
		for (size_t n = 0; n < 4; n++) {
			numbers direction(from.size());
			direction[n * from.size() / 4] = 1;
			along(direction);
		}
		along(signs(++seed, from.size()));
		along(signs(++seed, from.size()));
		EXPECT_GT(norm(want), 0) << t.name;
		expect_close(t.name, want, got);
	}
}
INSTANTIATE_TEST_SUITE_P(Models, GradientStep, ::testing::Values(
	Options{"full", false, true, false, false}, Options{"all", true, true, true, true}),
	[](const auto &p) { return std::string(p.param.name); });

/* Adapters alone: no gradient of a base weight is asked for, theirs are the same. */
TEST_F(Gradient, adapters_alone)
{
	ModelShape shape;
	TinyModel full(desk, shape);
	shape.full = false;
	TinyModel adapters(desk, shape);
	full.zero_gradients();
	adapters.zero_gradients();
	full.train(train_batch());
	adapters.train(train_batch());
	size_t found = 0;
	for (const auto &a : adapters.tensors)
		for (const auto &f : full.tensors)
			if (a.name == f.name) {
				EXPECT_EQ(desk.read(a.grad), desk.read(f.grad)) << a.name;
				found++;
			}
	EXPECT_EQ(found, 28u);
}

} // namespace
