// SPDX-License-Identifier: Apache-2.0
/*
 * law_test - what must hold of the operations together, on the reference and
 * on every backend that is linked in.
 *
 * "Exact" laws hold bit by bit on every device: both sides give a row the same
 * work. The others compare ways of computing the same number in another order
 * or another shape of call: on the reference the forward half is still exact
 * (its sums are double, row by row, whatever the packing); backends, and sums
 * over rows everywhere, may differ by
 *
 *     |a - b| <= 256 u max |b|
 *
 * u the unit round-off of the device's activations (2^-24, 2^-11, 2^-8): a
 * number of the two-layer model passes about 50 roundings forward and
 * backward, whose errors the model enlarges up to five times.
 * Statistical laws allow five standard deviations of a fixed seed.
 */
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <numeric>
#include <string>
#include <vector>

#include "reference/philox.h"
#include "tests/device_helper.h"
#include "tests/linked_device.h"
#include "tests/tiny_model.h"

namespace {

typedef std::vector<double> numbers;
typedef std::vector<int32_t> tokens;

numbers slice(const numbers &a, int64_t from, int64_t n)
{
	return {a.begin() + from, a.begin() + from + n};
}

/* Rows from … from + n - 1 of [R, cols]. */
numbers rows_of(const numbers &a, int64_t cols, int64_t from, int64_t n)
{
	return slice(a, from * cols, n * cols);
}

class Law : public OnDevice {
protected:
	double roundoff() const
	{
		static const double u[] = {0x1p-24, 0x1p-8, 0x1p-11}; /* f32, bf16, f16 */
		return std::max(u[dev->resid_dtype], u[dev->act_dtype]);
	}

	void expect_near(const std::string &what, const numbers &want, const numbers &got)
	{
		double largest = 0, worst = 0;
		ASSERT_EQ(want.size(), got.size()) << what;
		for (size_t i = 0; i < want.size(); i++) {
			largest = std::max(largest, std::fabs(want[i]));
			worst = std::max(worst, std::fabs(want[i] - got[i]));
			ASSERT_TRUE(std::isfinite(got[i])) << what << ", element " << i;
		}
		EXPECT_LE(worst, 256 * roundoff() * largest) << what;
	}

	/* A forward result: exact on the reference. */
	void expect_same(const std::string &what, const numbers &want, const numbers &got)
	{
		if (is_reference())
			EXPECT_EQ(want, got) << what;
		else
			expect_near(what, want, got);
	}

	static std::map<std::string, numbers> gradients(Desk &desk, const TinyModel &model)
	{
		std::map<std::string, numbers> all;
		for (const auto &t : model.tensors)
			all[t.name] = desk.read(t.grad);
		return all;
	}

	void expect_near(const std::map<std::string, numbers> &want, const std::map<std::string, numbers> &got)
	{
		ASSERT_EQ(want.size(), got.size());
		for (const auto &[name, value] : want)
			expect_near("gradient of " + name, value, got.at(name));
	}
};

ModelShape dropped(float p = 0.25f)
{
	ModelShape s;
	s.dropout = p;
	return s;
}

const tokens first = {5, 1, 7, 2, 11, 3, 0, 9}, second = {4, 4, 12, 8, 6}, third = {10, 2, 1};

Batch packed()
{
	Batch b;
	b.add(first, {0, 0, -1, 0, 0});
	b.add(second, {0, 1, -1, 0, 0});
	b.add(third, {0, 2, -1, 0, 0});
	return b;
}

/* ---- what a row depends on -------------------------------------------------- */

/* Exact: another token changes no row before it and none of another segment. */
TEST_P(Law, causality)
{
	Desk desk(dev);
	ModelShape shape = dropped();
	TinyModel model(desk, shape);
	Batch b = packed();
	numbers before = model.train(b, false).x;
	const int64_t changed = 5, end = b.q_begin[1];
	b.id[changed] = 12;
	numbers after = model.train(b, false).x;
	EXPECT_EQ(rows_of(before, shape.hidden, 0, changed), rows_of(after, shape.hidden, 0, changed));
	EXPECT_EQ(rows_of(before, shape.hidden, end, b.rows() - end),
		  rows_of(after, shape.hidden, end, b.rows() - end));
	for (int64_t t = changed; t < end; t++)
		EXPECT_NE(rows_of(before, shape.hidden, t, 1), rows_of(after, shape.hidden, t, 1)) << "row " << t;
}

/* Exact: with a window of w no row sees a token w or more before it, through L layers L (w - 1). */
TEST_P(Law, window)
{
	Desk desk(dev);
	ModelShape shape;
	shape.window = 3;
	TinyModel model(desk, shape);
	Batch b;
	b.add(first, {0, 0, -1, 0, 0});
	numbers before = model.train(b, false).x;
	b.id[0] = 12;
	numbers after = model.train(b, false).x;
	int64_t reach = shape.layers * (shape.window - 1);
	EXPECT_NE(rows_of(before, shape.hidden, reach, 1), rows_of(after, shape.hidden, reach, 1));
	EXPECT_EQ(rows_of(before, shape.hidden, reach + 1, b.rows() - reach - 1),
		  rows_of(after, shape.hidden, reach + 1, b.rows() - reach - 1));
}

/* Segments in one call and in calls of their own. */
TEST_P(Law, packing_equals_separate_runs)
{
	Desk desk(dev);
	ModelShape shape = dropped();
	TinyModel model(desk, shape);
	Scores together = model.train(packed());
	const tokens *all[] = {&first, &second, &third};
	int64_t row = 0, target = 0;
	for (int e = 0; e < 3; e++) {
		Batch b;
		b.add(*all[e], {0, e, -1, 0, 0});
		Scores alone = model.train(b);
		int64_t rows = b.rows(), targets = (int64_t)b.target.size();
		expect_same("x", alone.x, rows_of(together.x, shape.hidden, row, rows));
		expect_same("logp", alone.logp, slice(together.logp, target, targets));
		row += rows;
		target += targets;
	}
}

/* Exact: segments without tokens change nothing. */
TEST_P(Law, empty_segments_change_nothing)
{
	Desk desk(dev);
	TinyModel model(desk, dropped());
	Batch padded;
	padded.add({}, {});
	padded.add(first, {0, 0, -1, 0, 0});
	padded.add({}, {});
	padded.add({}, {});
	padded.add(second, {0, 1, -1, 0, 0});
	padded.add(third, {0, 2, -1, 0, 0});
	padded.add({}, {});
	model.zero_gradients();
	Scores plain = model.train(packed());
	auto want = gradients(desk, model);
	model.zero_gradients();
	Scores with = model.train(padded);
	EXPECT_EQ(plain.x, with.x);
	EXPECT_EQ(plain.logp, with.logp);
	EXPECT_EQ(want, gradients(desk, model));
}

/* Eight examples in one micro-batch, and one in each of eight. */
TEST_P(Law, one_by_eight_equals_eight_by_one)
{
	Desk desk(dev);
	TinyModel model(desk, dropped());
	Batch all;
	std::vector<Batch> each(8);
	for (int e = 0; e < 8; e++) {
		tokens t(first.begin(), first.begin() + 3 + e % 5);
		std::rotate(t.begin(), t.begin() + e % 3, t.end());
		all.add(t, {0, e, -1, 0, 0});
		each[(size_t)e].add(t, {0, e, -1, 0, 0});
	}
	model.zero_gradients();
	double loss = model.train(all).loss, sum = 0;
	auto want = gradients(desk, model);
	model.zero_gradients();
	for (const Batch &b : each)
		sum += model.train(b).loss;
	EXPECT_NEAR(loss, sum, 256 * roundoff() * loss);
	expect_near(want, gradients(desk, model));
}

/* ---- shared prefixes ---------------------------------------------------------- */

struct PrefixUse {
	int window;
	float dropout;
	bool qk_norm;
};

/*
 * A prefix computed once, and again in every row: the same outputs, and the
 * same gradients, which sum over all its copies. The copies have the row keys
 * of the one.
 */
void expect_prefix_law(struct device *dev, const PrefixUse &use,
		       const std::function<void(const numbers &, const numbers &)> &same,
		       const std::function<void(const std::map<std::string, numbers> &,
						const std::map<std::string, numbers> &)> &near,
		       std::map<std::string, numbers> (*gradients)(Desk &, const TinyModel &))
{
	Desk desk(dev);
	ModelShape shape = dropped(use.dropout);
	shape.window = use.window;
	shape.qk_norm = use.qk_norm;
	TinyModel model(desk, shape);
	const tokens prefix = {5, 1, 7, 2, 11, 3};
	const tokens own[3] = {{4, 0, 9, 12}, {8, 8, 6}, {1, 10, 3, 7, 7}};
	const int length[3] = {6, 6, 4}; /* the last sees a part of it */
	Batch shared, repeated;
	int at = shared.add(prefix, {});
	for (int e = 0; e < 3; e++) {
		tokens whole(prefix.begin(), prefix.begin() + length[e]);
		whole.insert(whole.end(), own[e].begin(), own[e].end());
		shared.add(own[e], {length[e], e, at, length[e], 0});
		repeated.add(whole, {0, e, -1, 0, length[e]});
	}
	model.zero_gradients();
	Scores once = model.train(shared);
	auto want = gradients(desk, model);
	model.zero_gradients();
	Scores again = model.train(repeated);
	ASSERT_EQ(once.logp.size(), 9u);
	same(again.logp, once.logp);
	for (int e = 0; e < 3; e++)
		same(rows_of(again.x, shape.hidden, repeated.q_begin[(size_t)e] + length[e], (int64_t)own[e].size()),
		     rows_of(once.x, shape.hidden, shared.q_begin[(size_t)e + 1], (int64_t)own[e].size()));
	near(gradients(desk, model), want);
}

TEST_P(Law, shared_prefix_equals_repeated_prefix)
{
	for (PrefixUse use : {PrefixUse{0, 0, false}, {0, 0.25f, true}, {5, 0, true}, {3, 0.5f, false}}) {
		SCOPED_TRACE("window " + std::to_string(use.window) + ", dropout " + std::to_string(use.dropout));
		expect_prefix_law(
			dev, use, [&](const numbers &a, const numbers &b) { expect_same("rows", a, b); },
			[&](const auto &a, const auto &b) { expect_near(a, b); }, gradients);
	}
}

/* ---- caches --------------------------------------------------------------------- */

/* Slots whose own keys lie in pages, fed by chunks; a common prefix in pages that lie one after another. */
struct Slots {
	static const int page_size = 4;
	std::vector<tokens> own;                 /* all tokens of each slot */
	std::vector<std::vector<int32_t>> pages; /* one row a slot, of one length */
	int prefix_page, prefix_len;
	std::vector<int> done;                   /* tokens already in the cache */

	int32_t row(size_t slot, int j) const
	{
		return pages[slot][(size_t)(j / page_size)] * page_size + j % page_size;
	}
};

/* The next n[s] tokens of every slot; logits of each, [R, V], checked against `want` of that slot. */
void feed(Desk &desk, TinyModel &model, Slots &slots, const std::vector<int> &n, bool on_prefix,
	  const std::function<void(size_t slot, int token, const numbers &logits)> &check)
{
	tokens id, pos, dst, q_begin{0}, own_len, prefix_begin, prefix_len, pages;
	int most = 0;
	for (size_t s = 0; s < slots.own.size(); s++) {
		bool behind = on_prefix && s > 0;
		for (int j = slots.done[s]; j < slots.done[s] + n[s]; j++) {
			id.push_back(slots.own[s][(size_t)j]);
			pos.push_back(j + (behind ? slots.prefix_len : 0));
			dst.push_back(slots.row(s, j));
		}
		own_len.push_back(slots.done[s] + n[s]);
		q_begin.push_back((int32_t)id.size());
		prefix_begin.push_back(slots.prefix_page * Slots::page_size);
		prefix_len.push_back(behind ? slots.prefix_len : 0);
		pages.insert(pages.end(), slots.pages[s].begin(), slots.pages[s].end());
		most = std::max(most, own_len[s] + prefix_len[s]);
	}
	struct segments seg = {};
	seg.count = (int64_t)slots.own.size();
	seg.max_queries = *std::max_element(n.begin(), n.end());
	seg.max_keys = most;
	seg.window = model.shape.window;
	seg.page_size = Slots::page_size;
	seg.q_begin = desk.i32(q_begin);
	seg.own_len = desk.i32(own_len);
	seg.prefix_begin = desk.i32(prefix_begin);
	seg.prefix_len = desk.i32(prefix_len);
	seg.pages = desk.i32(pages);
	seg.pages.rows = seg.count;
	seg.pages.cols = seg.pages.ld = (int64_t)slots.pages[0].size();
	numbers logits = model.cached(id, pos, dst, seg);
	for (size_t s = 0, row = 0; s < slots.own.size(); s++)
		for (int j = 0; j < n[s]; j++, row++)
			check(s, slots.done[s] + j, rows_of(logits, model.shape.vocab, (int64_t)row, 1));
	for (size_t s = 0; s < slots.own.size(); s++)
		slots.done[s] += n[s];
}

/*
 * Chunks of several sizes, then single tokens, from a cache whose unused rows
 * hold NaN, against one pass over everything. Slot 0 is the prefix of the
 * others where there is one.
 */
void expect_cache_law(struct device *dev, const ModelShape &shape, bool on_prefix,
		      const std::function<void(const numbers &, const numbers &)> &same)
{
	Desk desk(dev);
	TinyModel model(desk, shape);
	Slots slots;
	slots.own = {{5, 1, 7, 2, 11, 3}, {4, 0, 9, 12, 8, 8, 6, 1, 10, 3, 7}, {2, 2, 5, 9, 0, 1, 12}};
	slots.pages = {{6, 7, 3}, {4, 0, 2}, {5, 1, 3}};
	slots.prefix_page = 6;
	slots.prefix_len = 6;
	slots.done = {0, 0, 0};
	Batch full;
	for (int s = 0; s < 3; s++) {
		bool behind = on_prefix && s > 0;
		full.add(slots.own[(size_t)s], {behind ? 6 : 0, s, behind ? 0 : -1, behind ? 6 : 0, 0});
	}
	numbers want = model.logits(full);
	model.make_caches(8 * Slots::page_size, std::numeric_limits<double>::quiet_NaN());
	int compared = 0;
	auto check = [&](size_t s, int token, const numbers &logits) {
		same(rows_of(want, shape.vocab, full.q_begin[s] + token, 1), logits);
		compared++;
	};
	for (const std::vector<int> &n : std::vector<std::vector<int>>{
		     {4, 0, 0}, {2, 0, 0}, {0, 5, 3}, {0, 4, 0}, {0, 0, 1}, {0, 1, 1}, {0, 1, 1}, {0, 0, 1}})
		feed(desk, model, slots, n, on_prefix, check);
	EXPECT_EQ(compared, 24);
}

TEST_P(Law, chunked_prefill_and_decoding_equal_one_pass)
{
	ModelShape shape;
	for (bool prefix : {false, true})
		for (int window : {0, 4}) {
			SCOPED_TRACE("window " + std::to_string(window) + (prefix ? ", prefix" : ""));
			shape.window = window;
			shape.qk_norm = shape.bias = prefix;
			expect_cache_law(dev, shape, prefix,
					 [&](const numbers &a, const numbers &b) { expect_same("logits", a, b); });
		}
}

/* ---- adapters --------------------------------------------------------------------- */

/* Exact, dropout or not; and the gradient of A is 0, that of B is not. */
TEST_P(Law, adapter_with_zero_b_changes_nothing)
{
	Desk desk(dev);
	ModelShape shape = dropped(), base = shape;
	base.lora = false;
	base.dropout = 0;
	TinyModel adapted(desk, shape), plain(desk, base);
	for (const auto &t : adapted.tensors)
		if (t.name.substr(t.name.size() - 2) == ".B")
			desk.k->fill(dev, t.value, 0);
	adapted.refresh();
	adapted.zero_gradients();
	Scores want = plain.train(packed()), got = adapted.train(packed());
	EXPECT_EQ(want.x, got.x);
	EXPECT_EQ(want.logp, got.logp);
	for (const auto &t : adapted.tensors) {
		numbers grad = desk.read(t.grad);
		bool zero = std::count(grad.begin(), grad.end(), 0.0) == (ptrdiff_t)grad.size();
		if (t.name.substr(t.name.size() - 2) == ".A")
			EXPECT_TRUE(zero) << t.name;
		else
			EXPECT_FALSE(zero) << t.name;
	}
}

/* x (W + scale B A)^T = x W^T + scale x A^T B^T */
TEST_P(Law, merged_weight_equals_adapter)
{
	const int64_t R = 6, N = 9, M = 14, r = 4;
	Desk desk(dev);
	struct shape s = {};
	s.rows = R, s.hidden = M, s.rank = r;
	for (int op = 0; op < OP_COUNT; op++)
		desk.reserve((enum op)op, s);
	struct view x = desk.real(R, M, values(1, R * M)), y = desk.real(R, N), z = desk.real(R, N);
	struct view w = desk.real(N, M, values(2, N * M)), merged = desk.real(N, M), xa = desk.real(R, r);
	struct lora lora = {};
	lora.a = desk.real(r, M, values(3, r * M));
	lora.b = desk.real(N, r, values(4, N * r));
	lora.scale = 1.5f;
	struct weight *separate = desk.weight({desk.host(N, M, values(2, N * M))});
	desk.k->linear(dev, y, x, separate, 0, view_none(), false);
	desk.k->lora(dev, y, xa, x, &lora, nullptr);
	desk.k->merge(dev, merged, w, &lora);
	struct weight *one = desk.weight({desk.host(N, M, desk.read(merged))});
	desk.k->linear(dev, z, x, one, 0, view_none(), false);
	expect_near("y", desk.read(y), desk.read(z));
}

/* drop(1), read off the low-rank input with A = identity: [R, M] */
numbers mask(Desk &desk, const std::vector<uint64_t> &keys, int64_t M, float p, uint64_t seed, uint64_t step,
	     uint32_t layer, uint32_t module)
{
	int64_t R = (int64_t)keys.size();
	numbers identity((size_t)(M * M));
	for (int64_t m = 0; m < M; m++)
		identity[(size_t)(m * M + m)] = 1;
	struct shape s = {};
	s.rows = R, s.hidden = M, s.rank = M;
	desk.reserve(OP_lora, s);
	struct lora lora = {};
	lora.a = desk.real(M, M, identity);
	lora.b = desk.real(1, M);
	lora.scale = 1;
	lora.p = p;
	lora.module = module;
	struct dropout drop = {desk.u64({seed, step}), desk.u64(keys), layer};
	struct view xa = desk.real(R, M);
	desk.k->lora(desk.dev, desk.real(R, 1), xa, desk.real(R, M, numbers((size_t)(R * M), 1)), &lora, &drop);
	return desk.read(xa);
}

std::vector<uint64_t> keys(int64_t n)
{
	std::vector<uint64_t> k;
	for (int64_t t = 0; t < n; t++)
		k.push_back(t % 2 ? row_key((uint32_t)(t / 50), (uint32_t)(t % 50)) : (uint64_t)t);
	return k;
}

/* N independent features kept with 1 - p: the mean of the mask is 1 +- 5 sqrt(p / (1 - p) / N). */
TEST_P(Law, dropout_keeps_its_share_and_the_mean)
{
	const int64_t R = 2048, M = 32, N = R * M;
	for (float p : {0.05f, 0.25f, 0.5f}) {
		Desk desk(dev);
		numbers got = mask(desk, keys(R), M, p, 42, 7, 1, MODULE_K);
		double kept = 0, sum = 0, keep = 1 / (1 - (double)p);
		for (double x : got) {
			EXPECT_TRUE(x == 0 || std::fabs(x - keep) <= 4 * 0x1p-24 * keep) << x;
			kept += x != 0;
			sum += x;
		}
		EXPECT_NEAR(kept / (double)N, 1 - (double)p, 5 * std::sqrt((double)p * (1 - (double)p) / (double)N));
		EXPECT_NEAR(sum / (double)N, 1, 5 * std::sqrt((double)p / (1 - (double)p) / (double)N));
	}
}

/* The words that philox.h states, whatever the device. */
TEST_P(Law, dropout_is_what_philox_says)
{
	const int64_t R = 5, M = 11;
	const uint64_t seed = 0xFEDCBA9876543210ull;
	const float p = 0.375f;
	Desk desk(dev);
	const std::vector<uint64_t> k = {0, 3, row_key(0, 3), row_key(7, 1), ~0ull};
	numbers got = mask(desk, k, M, p, seed, 9, 4, MODULE_DOWN);
	struct philox_key stream = philox_stream(seed, PHILOX_DROPOUT, 9, 4, MODULE_DOWN);
	for (int64_t t = 0; t < R; t++)
		for (int64_t m = 0; m < M; m++) {
			uint32_t word = philox_at(stream, (uint32_t)(m / 4), k[(size_t)t]).w[m % 4];
			EXPECT_EQ(got[(size_t)(t * M + m)] != 0, word >= 0x60000000u)
				<< "row " << t << " feature " << m;
		}
}

/* Rows follow their keys; another seed, step, layer or module agrees by chance alone: 1 - 2 p (1 - p). */
TEST_P(Law, dropout_streams_are_apart)
{
	const int64_t R = 512, M = 32;
	Desk desk(dev);
	std::vector<uint64_t> k = keys(R), reversed(k.rbegin(), k.rend());
	numbers base = mask(desk, k, M, 0.5f, 42, 7, 1, MODULE_K);
	numbers back = mask(desk, reversed, M, 0.5f, 42, 7, 1, MODULE_K);
	for (int64_t t = 0; t < R; t++)
		EXPECT_EQ(rows_of(base, M, t, 1), rows_of(back, M, R - 1 - t, 1));
	auto agreement = [&](const numbers &other) {
		double same = 0;
		for (size_t i = 0; i < base.size(); i++)
			same += (base[i] != 0) == (other[i] != 0);
		return same / (double)base.size();
	};
	double allowed = 5 * std::sqrt(0.25 / (double)(R * M));
	EXPECT_NEAR(agreement(mask(desk, k, M, 0.5f, 43, 7, 1, MODULE_K)), 0.5, allowed) << "seed";
	EXPECT_NEAR(agreement(mask(desk, k, M, 0.5f, 42ull + (1ull << 32), 7, 1, MODULE_K)), 0.5, allowed)
		<< "seed, upper half";
	EXPECT_NEAR(agreement(mask(desk, k, M, 0.5f, 42, 8, 1, MODULE_K)), 0.5, allowed) << "step";
	EXPECT_NEAR(agreement(mask(desk, k, M, 0.5f, 42, 7, 2, MODULE_K)), 0.5, allowed) << "layer";
	EXPECT_NEAR(agreement(mask(desk, k, M, 0.5f, 42, 7, 1, MODULE_V)), 0.5, allowed) << "module";
	std::vector<uint64_t> others = k;
	for (uint64_t &key : others)
		key += 1ull << 40;
	EXPECT_NEAR(agreement(mask(desk, others, M, 0.5f, 42, 7, 1, MODULE_K)), 0.5, allowed) << "example";
}

/* ---- softmax and sampling ------------------------------------------------------------ */

/* A shift by 2^9 rounds log(sum) to a unit of 2^9 u, nothing else. */
TEST_P(Law, softmax_shift)
{
	const int64_t R = 3, V = 37;
	const double shift = 512;
	Desk desk(dev);
	struct shape s = {};
	s.rows = R, s.vocab = V;
	desk.reserve(OP_log_softmax, s);
	struct view y = desk.real(R, V), z = desk.real(R, V, values(1, R * V, 1, shift));
	desk.k->log_softmax(dev, y, desk.real(R, V, values(1, R * V)));
	desk.k->log_softmax(dev, z, z);
	numbers plain = desk.read(y), shifted = desk.read(z);
	double allowed = is_reference() ? 4 * 0x1p-24 : 2 * shift * 0x1p-24;
	for (size_t i = 0; i < plain.size(); i++)
		EXPECT_NEAR(plain[i], shifted[i], allowed);
	for (int64_t t = 0; t < R; t++) {
		double sum = 0;
		for (double x : rows_of(plain, V, t, 1))
			sum += std::exp(x);
		EXPECT_NEAR(sum, 1, 64 * 0x1p-24);
	}
}

/* The same vector added to all keys adds one number to all scores of a query. */
TEST_P(Law, attention_shift)
{
	const int H = 4, K = 2, D = 8, R = 9;
	Desk desk(dev);
	Batch b;
	b.add(tokens(9), {});
	struct segments seg = b.segments(desk, 0);
	struct attn_dims dims = {H, K, D, 0.5f};
	struct shape s = {};
	s.rows = R, s.heads = H, s.kv_heads = K, s.head_dim = D, s.segments = 1, s.keys = R;
	desk.reserve(OP_attention, s);
	numbers key = values(2, R * K * D), moved = key, c = values(4, K * D, 4);
	for (size_t i = 0; i < moved.size(); i++)
		moved[i] += c[i % c.size()];
	enum dtype act = dev->act_dtype;
	struct view q = desk.typed(R, H * D, act, values(1, R * H * D));
	struct view v = desk.typed(R, K * D, act, values(3, R * K * D));
	struct view o = desk.typed(R, H * D, act), shifted = desk.typed(R, H * D, act);
	desk.k->attention(dev, o, view_none(), q, desk.typed(R, K * D, act, key), v, &seg, &dims);
	desk.k->attention(dev, shifted, view_none(), q, desk.typed(R, K * D, act, moved), v, &seg, &dims);
	expect_near("o", desk.read(o), desk.read(shifted));
}

struct Draws {
	tokens id;
	numbers logp;
};

Draws sample(Desk &desk, const numbers &logits, const struct sample_rule &rule, const std::vector<uint64_t> &row_id)
{
	int64_t S = (int64_t)row_id.size(), V = (int64_t)logits.size() / S;
	struct shape s = {};
	s.rows = S, s.vocab = V;
	desk.reserve(OP_sample, s);
	tokens position((size_t)S);
	for (size_t i = 0; i < position.size(); i++)
		position[i] = (int32_t)(row_id[i] % 5);
	struct sample_rng rng = {desk.u64({99}), desk.u64(row_id), desk.i32(position)};
	struct view id = desk.i32(tokens((size_t)S, -1)), logp = desk.real(1, S);
	desk.k->sample(desk.dev, id, logp, desk.real(S, V, logits), &rule, &rng);
	return {desk.read_i32(id), desk.read(logp)};
}

/* Frequencies of the kept ids are their shares; no other id is drawn; logp knows nothing of the rule. */
TEST_P(Law, sampling_follows_its_rule)
{
	const size_t S = 4096;
	const numbers row = {0.5, -1, 2, 1.5, -3, 1.75, 2};
	Desk desk(dev);
	numbers logits;
	std::vector<uint64_t> row_id;
	for (size_t i = 0; i < S; i++) {
		logits.insert(logits.end(), row.begin(), row.end());
		row_id.push_back(i * i);
	}
	double lse = 0;
	for (double z : row)
		lse += std::exp(z);
	lse = std::log(lse);
	struct Case {
		struct sample_rule rule;
		tokens kept;
	};
	/* at 0.5 the shares are e^(2 z): of 2, 6, 5, 3 it takes the first three to reach 0.75 of the four */
	for (const Case &c : {Case{{1, 0, 1}, {0, 1, 2, 3, 4, 5, 6}}, Case{{0.5f, 0, 1}, {0, 1, 2, 3, 4, 5, 6}},
			      Case{{1, 3, 1}, {2, 5, 6}}, Case{{0.5f, 4, 0.75f}, {2, 5, 6}}, Case{{1, 1, 1}, {2}},
			      Case{{1, 0, 0.0f}, {2}}}) {
		Draws d = sample(desk, logits, c.rule, row_id);
		std::map<int32_t, double> count;
		for (size_t i = 0; i < S; i++) {
			count[d.id[i]]++;
			ASSERT_NEAR(d.logp[i], row[(size_t)d.id[i]] - lse, 64 * 0x1p-24);
		}
		double total = 0, drawn = 0;
		auto share = [&](int32_t id) { return std::exp(row[(size_t)id] / (double)c.rule.temperature); };
		for (int32_t id : c.kept)
			total += share(id);
		for (int32_t id : c.kept) {
			double want = share(id) / total;
			EXPECT_NEAR(count[id] / (double)S, want, 5 * std::sqrt(want * (1 - want) / (double)S)) << id;
			drawn += count[id];
		}
		EXPECT_EQ(drawn, (double)S) << "an id that was not kept";
	}
}

/* Exact: a draw depends on its own seed, row id and position; greedy takes the lowest of equals. */
TEST_P(Law, draws_do_not_depend_on_slots)
{
	Desk desk(dev);
	const std::vector<uint64_t> row_id = {12, 5, 1ull << 40, 77, 0, 9};
	std::vector<uint64_t> turned(row_id.rbegin(), row_id.rend());
	numbers logits = values(5, 6 * 11, 2), back;
	for (int64_t s = 5; s >= 0; s--)
		for (double z : rows_of(logits, 11, s, 1))
			back.push_back(z);
	Draws a = sample(desk, logits, {1, 0, 0.9f}, row_id), b = sample(desk, back, {1, 0, 0.9f}, turned);
	std::reverse(b.id.begin(), b.id.end());
	EXPECT_EQ(a.id, b.id);
	EXPECT_EQ(sample(desk, {1, 3, 2, 3, 3}, {0, 0, 1}, {1}).id, tokens{1});
}

INSTANTIATE_TEST_SUITE_P(On, Law, ::testing::ValuesIn(linked_backends()), linked_name);

/* ---- the generator -------------------------------------------------------------------- */

/* Random123's kat_vectors, philox4x32 of 10 rounds. */
TEST(Philox, published_vectors)
{
	struct Vector {
		uint32_t c[4], k[2], w[4];
	};
	static const Vector vectors[] = {
		{{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
		{{~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
		{{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0},
		 {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
	};
	for (const Vector &v : vectors) {
		struct philox_words got = philox4x32(v.c[0], v.c[1], v.c[2], v.c[3], {{v.k[0], v.k[1]}});
		for (int i = 0; i < 4; i++)
			EXPECT_EQ(got.w[i], v.w[i]);
	}
}

TEST(Philox, uniform_is_in_the_half_open_interval)
{
	EXPECT_EQ(philox_uniform({{0, 0, 0, 0}}), 0);
	EXPECT_EQ(philox_uniform({{~0u, ~0u, 0, 0}}), 1 - 0x1p-53);
	EXPECT_EQ(philox_uniform({{0x80000000u, 0, 0, 0}}), 0.5);
	EXPECT_EQ(philox_uniform({{0, 1u << 6, 0, 0}}), 0x1p-53);
}

TEST(Philox, row_keys_are_distinct)
{
	EXPECT_EQ(row_key(0, 0), 1ull << 32) << "above every key of a prefix, which is a position";
	EXPECT_EQ(row_key(6, 5), (7ull << 32) + 5);
	EXPECT_EQ(row_key(0xFFFFFFFEu, 0xFFFFFFFFu), ~0ull);
}

TEST(Philox, dropout_threshold)
{
	EXPECT_EQ(dropout_threshold(0), 0u);
	EXPECT_EQ(dropout_threshold(0.5f), 0x80000000u);
	EXPECT_EQ(dropout_threshold(0.75f), 0xC0000000u);
}

} // namespace
