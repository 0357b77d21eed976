// SPDX-License-Identifier: Apache-2.0
/*
 * golden_test - operations and gradients against values of PyTorch.
 *
 * tests/golden/kernels.txt was computed in float64 (make_kernels.py); the
 * reference stores f32 and sums in double, backends sum in f32. So
 *
 *     |got - golden| <= (roundings + 2 sqrt(n)) 2^-24 L
 *
 * for every element, L the largest magnitude in the tensor and n the longest
 * sum. n roundings of random sign, each of a partial sum no larger than a few
 * of the largest results, give the term of sqrt(n); `roundings` counts those
 * outside of sums: one for each product, quotient, root and store, four for an
 * exponential or logarithm, for composites of every operation passed through.
 * The checksum, a sum of all elements times numbers in [-1, 1),
 * may be off by as many such errors as a random walk adds up.
 * Rotary tables have a tolerance of their own (see there), rounding has none.
 *
 * Devices whose activations are not f32 are left to the differential tests.
 */
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "tests/device_helper.h"
#include "tests/linked_device.h"
#include "tests/tiny_model.h"

namespace {

typedef std::vector<double> numbers;

/* Roundings by the first word of a record's name. */
const std::map<std::string, double> roundings = {
	{"rmsnorm", 8},      {"linear", 4},  {"lora", 8},  {"merge", 4},        {"rope", 4}, {"attention", 24},
	{"swiglu", 12},      {"embed", 2},   {"head", 24}, {"log_softmax", 12}, {"norm2", 2}, {"adamw", 4},
	{"layer", 60}, /* norm 4, product 2, low rank 4, rotary 3, attention 12, product, norm, SwiGLU; twice */
};

struct Record {
	size_t n, stride;
	double largest, checksum;
	numbers shown;
};

struct Golden {
	std::map<std::string, Record> records;
	std::map<std::string, std::vector<uint32_t>> bits; /* triples */
};

Golden &golden()
{
	static Golden g;
	if (!g.records.empty())
		return g;
	const char *srcdir = std::getenv("srcdir");
	std::ifstream in(std::string(srcdir ? srcdir : ".") + "/tests/golden/kernels.txt");
	EXPECT_TRUE(in) << "tests/golden/kernels.txt (from the source folder, or set srcdir)";
	for (std::string line; std::getline(in, line);) {
		std::istringstream words(line);
		std::string name;
		size_t n;
		if (line[0] == '#' || !(words >> name))
			continue;
		if (name == "bits") {
			words >> name >> n;
			std::vector<uint32_t> &list = g.bits[name];
			for (uint32_t v; words >> v;)
				list.push_back(v);
			EXPECT_EQ(list.size(), 3 * n) << name;
			continue;
		}
		Record r;
		words >> r.n >> r.stride >> r.largest >> r.checksum;
		for (double v; words >> v;)
			r.shown.push_back(v);
		EXPECT_EQ(r.shown.size(), (r.n + r.stride - 1) / r.stride) << name;
		g.records[name] = r;
	}
	return g;
}

class GoldenTest : public OnDevice {
protected:
	void SetUp() override
	{
		OnDevice::SetUp();
		if (dev && (dev->resid_dtype != DTYPE_F32 || dev->act_dtype != DTYPE_F32))
			GTEST_SKIP() << "activations are " << dtype_name(dev->act_dtype);
	}

	static const Record &record(const std::string &name)
	{
		static const Record none = {};
		auto found = golden().records.find(name);
		EXPECT_NE(found, golden().records.end()) << name << " is not in kernels.txt";
		return found == golden().records.end() ? none : found->second;
	}

	/* allowed[i], or one for all elements. */
	static void expect_within(const std::string &name, const numbers &got, const numbers &allowed)
	{
		const Record &r = record(name);
		ASSERT_EQ(r.n, got.size()) << name;
		double sum = 0, variance = 0;
		for (size_t i = 0; i < got.size(); i++) {
			double a = allowed[std::min(i, allowed.size() - 1)], w = value_at(9999, (uint32_t)i);
			sum += got[i] * w;
			variance += a * a;
			if (i % r.stride == 0) {
				EXPECT_NEAR(r.shown[i / r.stride], got[i], a) << name << ", element " << i;
			}
		}
		EXPECT_NEAR(r.checksum, sum, std::sqrt(variance)) << name << ", checksum";
	}

	static void expect(const std::string &name, const numbers &got, double n)
	{
		std::string word = name.substr(0, name.find('.'));
		double units = roundings.at(word) + 2 * std::sqrt(n);
		expect_within(name, got, {units * 0x1p-24 * record(name).largest});
	}

	static void reserve(Desk &desk, const struct shape &s)
	{
		for (int op = 0; op < OP_COUNT; op++)
			desk.reserve((enum op)op, s);
	}

	static struct shape sizes(int64_t rows, int64_t hidden)
	{
		struct shape s = {};
		s.rows = rows;
		s.hidden = hidden;
		return s;
	}
};

/* ---- primitives ------------------------------------------------------------- */

TEST_P(GoldenTest, rmsnorm)
{
	const int64_t R = 5, C = 24;
	Desk d(dev);
	reserve(d, sizes(R, C));
	for (double scale : {2.0, 0x1p-8}) {
		std::string name = scale > 1 ? "rmsnorm." : "rmsnorm.small.";
		struct view x = d.real(R, C, values(1, R * C, scale)), w = d.real(1, C, values(2, C, 0.5, 1));
		struct view y = d.real(R, C), dx = d.real(R, C), dw = d.real(1, C);
		d.k->rmsnorm(dev, y, x, w, 1e-5f);
		d.k->rmsnorm_backward(dev, dx, dw, d.real(R, C, values(3, R * C)), x, w, 1e-5f);
		expect(name + "y", d.read(y), C);
		expect(name + "dx", d.read(dx), C);
		expect(name + "dw", d.read(dw), R);
	}
}

TEST_P(GoldenTest, linear)
{
	const int64_t R = 5, M = 19, N = 7;
	Desk d(dev);
	struct shape s = sizes(R, M);
	s.ffn = N;
	reserve(d, s);
	struct view x = d.real(R, M, values(11, R * M)), bias = d.real(1, N, values(13, N));
	struct view dy = d.real(R, N, values(14, R * N)), dx = d.real(R, M), dw = d.real(N, M), dbias = d.real(1, N);
	static const struct {
		const char *name;
		enum dtype dtype;
	} types[] = {{"linear.y", DTYPE_F32}, {"linear.bf16.y", DTYPE_BF16}, {"linear.f16.y", DTYPE_F16}};
	for (const auto &type : types) {
		struct view y = d.real(R, N);
		struct weight *w = d.weight({d.host(N, M, values(12, N * M), type.dtype)});
		d.k->linear(dev, y, x, w, 0, bias, false);
		expect(type.name, d.read(y), M);
		if (type.dtype == DTYPE_F32)
			d.k->linear_dx(dev, dx, dy, w, 0, false);
	}
	d.k->linear_dw(dev, dw, dbias, dy, x);
	expect("linear.dx", d.read(dx), N);
	expect("linear.dw", d.read(dw), R);
	expect("linear.dbias", d.read(dbias), R);
}

TEST_P(GoldenTest, lora)
{
	const int64_t R = 5, M = 19, N = 7, r = 3;
	Desk d(dev);
	struct shape s = sizes(R, M);
	s.rank = r;
	reserve(d, s);
	struct lora lora = {};
	lora.a = d.real(r, M, values(22, r * M));
	lora.b = d.real(N, r, values(23, N * r));
	lora.da = d.real(r, M);
	lora.db = d.real(N, r);
	lora.scale = 1.5f;
	lora.p = 0.5f; /* without a struct dropout there is none */
	struct view x = d.real(R, M, values(21, R * M)), y = d.real(R, N, values(24, R * N)), xa = d.real(R, r);
	struct view dx = d.real(R, M), out = d.real(N, M), narrow = d.typed(N, M, DTYPE_BF16);
	d.k->lora(dev, y, xa, x, &lora, nullptr);
	d.k->lora_backward(dev, dx, d.real(R, N, values(25, R * N)), x, xa, &lora, nullptr);
	expect("lora.y", d.read(y), M);
	expect("lora.xa", d.read(xa), M);
	expect("lora.dx", d.read(dx), N);
	expect("lora.da", d.read(lora.da), R + N);
	expect("lora.db", d.read(lora.db), R + M);
	struct view w = d.real(N, M, values(26, N * M));
	d.k->merge(dev, out, w, &lora);
	d.k->merge(dev, narrow, w, &lora);
	expect("merge.f32", d.read(out), r);
	numbers want = d.read(out), got = d.read(narrow);
	for (size_t i = 0; i < want.size(); i++) /* half a unit of 8 bits, and the error before */
		EXPECT_NEAR(want[i], got[i], 0x1p-8 * std::fabs(want[i]) + 8 * 0x1p-24);
}

TEST_P(GoldenTest, swiglu)
{
	const int64_t R = 3, F = 17;
	Desk d(dev);
	struct view g = d.real(R, F, values(51, R * F, 8)), u = d.real(R, F, values(52, R * F));
	struct view y = d.real(R, F), dg = d.real(R, F), du = d.real(R, F);
	d.k->swiglu(dev, y, g, u);
	d.k->swiglu_backward(dev, dg, du, d.real(R, F, values(53, R * F)), g, u);
	expect("swiglu.y", d.read(y), 0);
	expect("swiglu.dg", d.read(dg), 0);
	expect("swiglu.du", d.read(du), 0);
}

TEST_P(GoldenTest, log_softmax)
{
	const int64_t R = 4, V = 33;
	Desk d(dev);
	struct shape s = sizes(R, 0);
	s.vocab = V;
	reserve(d, s);
	struct view x = d.real(R, V, values(61, R * V, 8)), y = d.real(R, V);
	d.k->log_softmax(dev, y, x);
	expect("log_softmax.y", d.read(y), V);
}

TEST_P(GoldenTest, embed)
{
	Desk d(dev);
	struct view ids = d.i32({4, 0, 4, 5}), y = d.real(4, 5), dw = d.real(6, 5);
	struct weight *w = d.weight({d.host(6, 5, values(63, 30))});
	d.k->embed(dev, y, w, ids);
	d.k->embed_backward(dev, dw, d.real(4, 5, values(64, 20)), ids);
	expect("embed.y", d.read(y), 0);
	expect("embed.dw", d.read(dw), 0);
}

/* ---- rotary ------------------------------------------------------------------- */

/*
 * Frequencies may differ by the rounding of a power and two quotients, which
 * the position enlarges: 4 |angle| 2^-24; cos and sin are then rounded twice.
 */
TEST(GoldenRope, tables)
{
	struct Case {
		const char *name;
		int dim;
		struct rope_config config;
	};
	const std::vector<int> at = {0, 1, 2, 17, 511, 4095, 8191};
	for (const Case &c : {Case{"default", 64, {ROPE_DEFAULT, 10000, 0, 0, 0, 0}},
			      Case{"linear", 64, {ROPE_LINEAR, 10000, 4, 0, 0, 0}},
			      Case{"llama31", 128, {ROPE_LLAMA3, 500000, 8, 1, 4, 8192}},
			      Case{"llama32", 64, {ROPE_LLAMA3, 500000, 32, 1, 4, 8192}},
			      Case{"narrow", 64, {ROPE_LLAMA3, 500000, 4, 2, 16, 4096}}}) {
		size_t half = (size_t)c.dim / 2;
		std::vector<float> cos(8192 * half), sin(8192 * half);
		rope_table(cos.data(), sin.data(), 8192, c.dim, &c.config);
		numbers got_cos, got_sin, allowed;
		for (int p : at)
			for (size_t j = 0; j < half; j++) {
				/* no kind enlarges it */
				double angle = p * std::pow(c.config.theta, -2.0 * (double)j / c.dim);
				got_cos.push_back((double)cos[(size_t)p * half + j]);
				got_sin.push_back((double)sin[(size_t)p * half + j]);
				allowed.push_back((4 * angle + 2) * 0x1p-24);
			}
		std::map<std::string, Record> &records = golden().records;
		for (auto &[what, got] : {std::pair<std::string, numbers &>{"cos", got_cos}, {"sin", got_sin}}) {
			const Record &r = records["rope." + std::string(c.name) + "." + what];
			ASSERT_EQ(r.n, got.size()) << c.name;
			for (size_t i = 0; i < got.size(); i += r.stride)
				EXPECT_NEAR(r.shown[i / r.stride], got[i], allowed[i])
					<< c.name << " " << what << " " << i;
		}
	}
}

TEST_P(GoldenTest, rope)
{
	const int64_t R = 4, D = 8, heads = 3, P = 64;
	Desk d(dev);
	struct rope_config config = {ROPE_DEFAULT, 10000, 0, 0, 0, 0};
	std::vector<float> cos((size_t)(P * D / 2)), sin(cos.size());
	rope_table(cos.data(), sin.data(), P, D, &config);
	struct rope rope = {d.real(P, D / 2, {cos.begin(), cos.end()}), d.real(P, D / 2, {sin.begin(), sin.end()})};
	struct view x = d.real(R, heads * D, values(31, R * heads * D));
	d.k->rope(dev, x, d.i32({0, 5, 17, 63}), &rope, D, false);
	/* tables: as above, angles up to 63 at the first frequency, which is exactly 1, and 20 at the next */
	numbers allowed = {(4 * 20 + 2 + 4) * 0x1p-24};
	expect_within("rope.y", d.read(x), allowed);
}

/* ---- attention ------------------------------------------------------------------ */

TEST_P(GoldenTest, attention)
{
	const int H = 4, K = 2, D = 8;
	struct Case {
		const char *name;
		std::vector<int> lengths;
		std::vector<int> prefix_len; /* of segment 0 */
		int window;
	};
	for (const Case &c : {Case{"packed", {5, 1, 3}, {0, 0, 0}, 0}, Case{"window", {7, 2}, {0, 0}, 3},
			      Case{"prefix", {4, 3, 2}, {0, 4, 3}, 0}, Case{"both", {4, 3, 2}, {0, 4, 3}, 3}}) {
		Desk d(dev);
		Batch b;
		for (size_t s = 0; s < c.lengths.size(); s++) {
			int p = c.prefix_len[s];
			b.add(std::vector<int32_t>((size_t)c.lengths[s]), {p, -1, p ? 0 : -1, p, 0});
		}
		int64_t R = b.rows(), Q = H * D, KV = K * D;
		struct segments seg = b.segments(d, c.window);
		struct attn_dims dims = {H, K, D, 0.5f};
		struct shape s = sizes(R, 0);
		s.heads = H, s.kv_heads = K, s.head_dim = D, s.segments = seg.count, s.keys = seg.max_keys;
		reserve(d, s);
		struct view q = d.real(R, Q, values(41, R * Q, 2)), k = d.real(R, KV, values(42, R * KV));
		struct view v = d.real(R, KV, values(43, R * KV)), o = d.real(R, Q), lse = d.real(R, H);
		struct view dq = d.real(R, Q), dk = d.real(R, KV), dv = d.real(R, KV);
		d.k->attention(dev, o, lse, q, k, v, &seg, &dims);
		d.k->attention_backward(dev, dq, dk, dv, d.real(R, Q, values(44, R * Q)), o, lse, q, k, v, &seg, &dims);
		std::string name = std::string("attention.") + c.name + ".";
		expect(name + "o", d.read(o), D);
		expect(name + "lse", d.read(lse), D);
		expect(name + "dq", d.read(dq), D);
		expect(name + "dk", d.read(dk), (double)(D + 2 * R));
		expect(name + "dv", d.read(dv), (double)(D + 2 * R));
	}
}

/* ---- the loss --------------------------------------------------------------------- */

TEST_P(GoldenTest, head)
{
	const int64_t R = 6, C = 12, V = 40;
	Desk d(dev);
	struct shape s = sizes(R, C);
	s.vocab = V;
	s.head_grad = true;
	reserve(d, s);
	struct view x = d.real(R, C, values(71, R * C, 2)), logp = d.real(1, R), dx = d.real(R, C), z = d.real(R, V);
	struct head_params p = {d.real(1, C, values(72, C, 0.5, 1)), 0.125f,
				d.weight({d.host(V, C, values(73, V * C))})};
	struct head_grads grads = {d.real(1, C), d.real(V, C)};
	struct view target = d.i32({39, -1, 0, 7, 7, 21}), weight = d.real(1, R, values(74, R, 0.5, 1));
	d.k->logits(dev, z, x, &p);
	d.k->head_loss(dev, logp, dx, &grads, x, &p, target, weight);
	expect("head.logits", d.read(z), C);
	expect("head.logp", d.read(logp), C + V);
	expect("head.dx", d.read(dx), C + V);
	expect("head.dnorm", d.read(grads.norm_w), C + V + R);
	expect("head.dw", d.read(grads.w), C + V + R);
	struct view id = d.i32({0, 0, 0, 0, 0, 0});
	struct sample_rule greedy = {0, 0, 1};
	struct sample_rng rng = {};
	d.k->sample(dev, id, logp, z, &greedy, &rng);
	numbers all = d.read(z), chosen = d.read(logp);
	std::vector<int32_t> ids = d.read_i32(id);
	for (int64_t t = 0; t < R; t++) {
		auto row = all.begin() + t * V;
		EXPECT_EQ(ids[(size_t)t], std::max_element(row, row + V) - row);
		double sum = 0;
		for (int64_t v = 0; v < V; v++)
			sum += std::exp(row[v] - row[ids[(size_t)t]]);
		EXPECT_NEAR(chosen[(size_t)t], -std::log(sum), (24 + 2 * std::sqrt(V)) * 0x1p-24 * 4);
	}
}

/* ---- a whole layer ------------------------------------------------------------------- */

struct Variant {
	const char *name;
	bool adapted, bias, qk_norm;
	int window;
};

/* One layer with everything in the generator's order of seeds. */
class Layer {
public:
	static const int R = 9, C = 16, H = 4, K = 2, D = 8, F = 24, r = 4;

	Layer(Desk &desk, const Variant &of) : d(desk), variant(of)
	{
		static const struct {
			const char *name;
			int rows, cols;
		} matrix[7] = {{"q", H * D, C}, {"k", K * D, C}, {"v", K * D, C}, {"o", C, H * D},
			       {"gate", F, C},  {"up", F, C},    {"down", C, F}};
		x = d.real(R, C, values(101, R * C));
		in.norm_w = vector("norm", 102, C, 1, &in_grads.norm_w);
		mlp.norm_w = vector("mlp_norm", 103, C, 1, &mlp_grads.norm_w);
		in.eps = mlp.eps = 0.25f;
		in.dims = {H, K, D, (float)(1 / std::sqrt(8.0))};
		struct view *dw[7] = {&in_grads.w[0], &in_grads.w[1], &in_grads.w[2], &out_grads.w,
				      &mlp_grads.gate, &mlp_grads.up, &mlp_grads.down};
		const struct lora **slot[7] = {&in.lora[0], &in.lora[1], &in.lora[2], &out.lora,
					       &mlp.lora[0], &mlp.lora[1], &mlp.lora[2]};
		std::vector<struct view> w;
		for (int i = 0; i < 7; i++) {
			const int rows = matrix[i].rows, cols = matrix[i].cols;
			uint32_t seed = 104 + 4 * (uint32_t)i;
			w.push_back(d.host(rows, cols, values(seed, rows * cols, 0.5)));
			*dw[i] = gradient(matrix[i].name, rows, cols);
			adapter(matrix[i].name, i, seed, rows, cols);
			*slot[i] = variant.adapted ? &lora[i] : nullptr;
			std::string bias = std::string(matrix[i].name) + ".bias";
			if (variant.bias && i < 3)
				in.bias[i] = vector(bias, seed + 3, rows, 0, &in_grads.bias[i], 1);
			if (variant.bias && i == 3)
				out.bias = vector(bias, seed + 3, rows, 0, &out_grads.bias, 1);
		}
		if (variant.qk_norm) {
			in.q_norm = vector("q_norm", 132, D, 1, &in_grads.q_norm);
			in.k_norm = vector("k_norm", 133, D, 1, &in_grads.k_norm);
		}
		in.wqkv = d.weight({w[0], w[1], w[2]});
		out.wo = d.weight({w[3]});
		mlp.wgu = d.weight({w[4], w[5]});
		mlp.wdown = d.weight({w[6]});
		struct rope_config config = {ROPE_DEFAULT, 10000, 0, 0, 0, 0};
		float cos[R * D / 2], sin[R * D / 2];
		rope_table(cos, sin, R, D, &config);
		in.rope = {d.real(R, D / 2, {cos, cos + R * D / 2}), d.real(R, D / 2, {sin, sin + R * D / 2})};
	}

	/* x becomes the output; gradients are filled; the gradient of the input is returned. */
	struct view run()
	{
		Batch b;
		b.add(std::vector<int32_t>(6), {});
		b.add(std::vector<int32_t>(3), {});
		struct segments seg = b.segments(d, variant.window);
		struct shape s = {};
		s.rows = R, s.hidden = C, s.heads = H, s.kv_heads = K, s.head_dim = D, s.ffn = F;
		s.rank = variant.adapted ? r : 0, s.segments = 2, s.keys = 6, s.qk_norm = variant.qk_norm;
		for (int op = 0; op < OP_COUNT; op++)
			d.reserve((enum op)op, s);
		struct view saved_in = d.saved(OP_attn_in, s), saved_out = d.saved(OP_attn_out, s);
		struct view saved_mlp = d.saved(OP_mlp, s), pos = d.i32(b.pos), lse = d.real(R, H);
		struct view q = d.real(R, H * D), k = d.real(R, K * D), v = d.real(R, K * D), o = d.real(R, H * D);
		struct view dq = d.real(R, H * D), dk = d.real(R, K * D), dv = d.real(R, K * D), d_o = d.real(R, H * D);
		struct view dx = d.real(R, C, values(100, R * C));
		const struct kernels *ops = d.k;
		ops->attn_in(d.dev, q, k, v, saved_in, x, pos, view_none(), &in);
		ops->attention(d.dev, o, lse, q, k, v, &seg, &in.dims);
		ops->attn_out(d.dev, x, saved_out, o, &out);
		ops->mlp(d.dev, x, saved_mlp, &mlp);
		ops->mlp_backward(d.dev, dx, &mlp_grads, saved_mlp, &mlp, true);
		ops->attn_out_backward(d.dev, d_o, &out_grads, dx, saved_out, o, &out, true);
		ops->attention_backward(d.dev, dq, dk, dv, d_o, o, lse, q, k, v, &seg, &in.dims);
		ops->attn_in_backward(d.dev, dx, &in_grads, dq, dk, dv, saved_in, pos, &in, true);
		return dx;
	}

	struct view x;
	std::map<std::string, struct view> gradients;

private:
	struct view gradient(const std::string &name, int rows, int cols)
	{
		return gradients[name] = d.real(rows, cols);
	}

	struct view vector(const std::string &name, uint32_t seed, int n, double mean, struct view *grad,
			   double scale = 0.5)
	{
		*grad = gradient(name, 1, n);
		return d.real(1, n, values(seed, n, scale, mean));
	}

	void adapter(const std::string &name, int i, uint32_t seed, int rows, int cols)
	{
		if (!variant.adapted)
			return;
		lora[i].a = d.real(r, cols, values(seed + 1, r * cols, 0.5));
		lora[i].b = d.real(rows, r, values(seed + 2, rows * r, 0.5));
		lora[i].da = gradient(name + ".a", r, cols);
		lora[i].db = gradient(name + ".b", rows, r);
		lora[i].scale = 2;
		lora[i].module = (uint32_t)i;
	}

	Desk &d;
	const Variant variant;
	struct attn_in_params in = {};
	struct attn_out_params out = {};
	struct mlp_params mlp = {};
	struct attn_in_grads in_grads = {};
	struct attn_out_grads out_grads = {};
	struct mlp_grads mlp_grads = {};
	struct lora lora[7] = {};
};

TEST_P(GoldenTest, decoder_layer)
{
	for (const Variant &v : {Variant{"adapted", true, false, false, 0}, Variant{"normed", false, true, true, 4}}) {
		Desk d(dev);
		Layer layer(d, v);
		struct view dx = layer.run();
		std::string name = std::string("layer.") + v.name + ".";
		expect(name + "y", d.read(layer.x), Layer::F + Layer::H * Layer::D);
		expect(name + "d.x", d.read(dx), Layer::F + Layer::H * Layer::D);
		size_t stored = 0;
		for (const auto &[record_name, record] : golden().records)
			stored += record_name.compare(0, name.size() + 2, name + "d.") == 0;
		EXPECT_EQ(layer.gradients.size() + 1, stored) << "every gradient that was stored is compared";
		for (const auto &[parameter, gradient] : layer.gradients)
			expect(name + "d." + parameter, d.read(gradient), Layer::F + Layer::H * Layer::D);
	}
}

/* ---- the optimizer ---------------------------------------------------------------------- */

TEST_P(GoldenTest, norm2)
{
	Desk d(dev);
	struct view list[3], out = d.real(1, 1, {7});
	for (int i = 0; i < 3; i++)
		list[i] = d.real(5, 65 + i, values((uint32_t)(65 + i), 5 * (65 + i)));
	d.k->norm2(dev, out, list, 3);
	expect("norm2", d.read(out), 5 * 66 * 3);
	d.k->norm2(dev, out, list, 0);
	EXPECT_EQ(d.read(out)[0], 0);
}

/* Three steps, with and without clipping; p with decay and a copy in bf16, q without. */
TEST_P(GoldenTest, adamw)
{
	static const struct {
		const char *name;
		double max_norm;
	} variants[] = {{"clipped", 1}, {"free", 1000}};
	for (const auto &variant : variants) {
		Desk d(dev);
		struct view norm = d.real(1, 1), rounded = d.typed(5, 7, DTYPE_BF16);
		struct adamw_item items[2] = {};
		items[0] = {d.real(5, 7, values(81, 35)), d.real(5, 7), d.real(5, 7), d.real(5, 7),
			    d.typed(5, 7, DTYPE_BF16), true};
		items[1] = {d.real(1, 9, values(82, 9)), d.real(1, 9), d.real(1, 9), d.real(1, 9), view_none(), false};
		const double beta1 = (double)0.9f, beta2 = (double)0.95f, rates[3] = {1e-3, 2e-3, 5e-4};
		for (int t = 0; t < 3; t++) {
			d.write(items[0].g, values((uint32_t)(83 + t), 35));
			d.write(items[1].g, values((uint32_t)(93 + t), 9, 4));
			numbers hyper(ADAMW_HYPER);
			hyper[ADAMW_LR] = rates[t];
			hyper[ADAMW_BETA1] = beta1;
			hyper[ADAMW_BETA2] = beta2;
			hyper[ADAMW_EPS] = 1e-8;
			hyper[ADAMW_DECAY] = 0.1;
			hyper[ADAMW_CORRECTION1] = 1 - std::pow(beta1, t + 1);
			hyper[ADAMW_CORRECTION2] = 1 - std::pow(beta2, t + 1);
			hyper[ADAMW_MAX_NORM] = variant.max_norm;
			struct view gradients[2] = {items[0].g, items[1].g};
			numbers before = d.read(items[0].g);
			d.k->norm2(dev, norm, gradients, 2);
			d.k->adamw(dev, items, 2, d.real(1, ADAMW_HYPER, hyper), norm);
			EXPECT_EQ(before, d.read(items[0].g)) << "g is not changed";
			std::string name = std::string("adamw.") + variant.name + ".", step = std::to_string(t);
			expect(name + "p" + step, d.read(items[0].p), 0);
			expect(name + "q" + step, d.read(items[1].p), 0);
			d.k->copy(dev, rounded, items[0].p);
			EXPECT_EQ(d.read(rounded), d.read(items[0].shadow));
		}
		/* the norm is a sum of 44 squares; moments are about three steps of four roundings */
		expect(std::string("adamw.") + variant.name + ".m", d.read(items[0].m), 44);
		expect(std::string("adamw.") + variant.name + ".v", d.read(items[0].v), 44);
	}
}

/* ---- rounding ------------------------------------------------------------------------------ */

/* The stored patterns of a 16-bit view. */
std::vector<uint16_t> patterns(Desk &d, struct view v)
{
	std::vector<uint16_t> bits((size_t)v.cols);
	d.k->download(d.dev, bits.data(), v);
	return bits;
}

/* f32 values of these bits, in a view. */
struct view from_bits(Desk &d, const std::vector<uint32_t> &bits)
{
	numbers v;
	for (uint32_t b : bits) {
		float f;
		memcpy(&f, &b, sizeof f);
		v.push_back((double)f);
	}
	return d.real(1, (int64_t)v.size(), v);
}

std::vector<uint32_t> column(const std::vector<uint32_t> &triples, size_t at)
{
	std::vector<uint32_t> out;
	for (size_t i = at; i < triples.size(); i += 3)
		out.push_back(triples[i]);
	return out;
}

TEST_P(GoldenTest, rounding)
{
	Desk d(dev);
	const std::vector<uint32_t> &triples = golden().bits["rounding"];
	struct view x = from_bits(d, column(triples, 0));
	static const struct {
		size_t at;
		enum dtype dtype;
	} types[] = {{1, DTYPE_BF16}, {2, DTYPE_F16}};
	ASSERT_GE(triples.size(), 600u);
	for (const auto &type : types) {
		struct view y = d.typed(1, x.cols, type.dtype);
		d.k->copy(dev, y, x);
		std::vector<uint16_t> got = patterns(d, y);
		std::vector<uint32_t> want = column(triples, type.at);
		for (size_t i = 0; i < want.size(); i++)
			EXPECT_EQ(got[i], want[i]) << dtype_name(type.dtype) << " of " << std::hex << triples[3 * i];
	}
}

TEST_P(GoldenTest, widening)
{
	Desk d(dev);
	const std::vector<uint32_t> &triples = golden().bits["widening"];
	std::vector<uint16_t> codes;
	for (uint32_t c : column(triples, 0))
		codes.push_back((uint16_t)c);
	ASSERT_GE(codes.size(), 100u);
	static const struct {
		size_t at;
		enum dtype dtype;
	} types[] = {{1, DTYPE_BF16}, {2, DTYPE_F16}};
	for (const auto &type : types) {
		struct view x = d.typed(1, (int64_t)codes.size(), type.dtype);
		d.k->upload(dev, x, codes.data());
		EXPECT_EQ(d.read(x), d.read(from_bits(d, column(triples, type.at)))) << dtype_name(type.dtype);
	}
}

/* Every number of 16 bits comes back as it was; what is no number stays none, infinities stay. */
TEST_P(GoldenTest, every_pattern_comes_back)
{
	for (enum dtype dtype : {DTYPE_BF16, DTYPE_F16}) {
		Desk d(dev);
		std::vector<uint16_t> codes(65536);
		for (size_t i = 0; i < codes.size(); i++)
			codes[i] = (uint16_t)i;
		struct view x = d.typed(1, 65536, dtype), wide = d.real(1, 65536), y = d.typed(1, 65536, dtype);
		d.k->upload(dev, x, codes.data());
		d.k->copy(dev, wide, x);
		d.k->copy(dev, y, wide);
		std::vector<uint16_t> got = patterns(d, y);
		numbers value = d.read(wide);
		const int infinity = dtype == DTYPE_BF16 ? 0x7F80 : 0x7C00;
		for (size_t i = 0; i < codes.size(); i++) {
			bool none = (codes[i] & 0x7FFF) > infinity;
			ASSERT_EQ(std::isnan(value[i]), none) << std::hex << i;
			ASSERT_EQ(std::isinf(value[i]), (codes[i] & 0x7FFF) == infinity) << std::hex << i;
			if (none)
				ASSERT_GT(got[i] & 0x7FFF, infinity) << std::hex << i;
			else
				ASSERT_EQ(got[i], codes[i]) << std::hex << i;
		}
	}
}

INSTANTIATE_TEST_SUITE_P(On, GoldenTest, ::testing::ValuesIn(linked_backends()), linked_name);

} // namespace
