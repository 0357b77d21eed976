// SPDX-License-Identifier: Apache-2.0
/* Differential tests of both ends of the network: embed, head_loss, logits, sample. */
#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

#include "tests/kernel_problem.h"
#ifdef CUDA_ON_HOST
#include "tests/true_blocks.h"
#endif

struct HeadSize {
	int64_t rows, hidden, vocab;
};

static const HeadSize head_sizes[] = {
	{1, 2, 2},      {1, 64, 1000}, {2, 8, 3},      {3, 576, 512},   {5, 7, 97},     {7, 48, 4099},
	{17, 16, 1031}, {64, 24, 512}, {127, 5, 64},   {128, 9, 33},    {129, 32, 257}, {257, 4, 128},
	{1025, 3, 17},  {9, 8, 49152}, {5, 8, 128256}, {3, 16, 128256}, {0, 8, 16},
};

/* ---- embed ---------------------------------------------------------------------- */

static void embed(const HeadSize &s, const Named &type, As out, bool strided)
{
	Problem p(OP_embed, "R %lld C %lld V %lld%s", (long long)s.rows, (long long)s.hidden, (long long)s.vocab,
		  strided ? " strided" : "");
	p.dtype = type.name;
	p.strided = strided;
	Array w = p.normal(s.vocab, s.hidden, type.as), ids = p.ids(s.rows, s.vocab);
	expect_equal(p, [&](Runner &run) {
		struct view y = run.out("y", s.rows, s.hidden, out);
		struct weight *weight = run.weight({&w}, WEIGHT_GATHER);
		run.reserve(OP_embed,
			    sized({{&shape::rows, s.rows}, {&shape::hidden, s.hidden}, {&shape::vocab, s.vocab}}));
		run.k->embed(run.dev, y, weight, run.in(ids));
	});
}

TEST(Embed, Forward)
{
	for (const HeadSize &s : head_sizes) {
		if (s.vocab > 50000 && s.hidden > 8)
			continue;
		for (const Named &type : weight_types)
			embed(s, type, As::RESID, s.rows % 2);
		embed(s, weight_types[1], As::BF16, s.rows % 2 == 0);
	}
}

/* Few ids, so that rows meet: their sum has one order. */
TEST(Embed, Backward)
{
	for (const HeadSize &s : head_sizes) {
		if (s.vocab > 50000 && s.hidden > 8)
			continue;
		Problem p(OP_embed_backward, "R %lld C %lld V %lld", (long long)s.rows, (long long)s.hidden,
			  (long long)s.vocab);
		p.length = (double)std::max<int64_t>(s.rows, 1);
		p.strided = s.rows % 2;
		Array dw = p.normal(s.vocab, s.hidden, As::F32), dy = p.normal(s.rows, s.hidden, As::RESID);
		Array ids = p.ids(s.rows, std::min<int64_t>(s.vocab, 5));
		expect_equal(p, [&](Runner &run) {
			struct view out = run.inout("dw", dw);
			run.reserve(
				OP_embed_backward,
				sized({{&shape::rows, s.rows}, {&shape::hidden, s.hidden}, {&shape::vocab, s.vocab}}));
			run.k->embed_backward(run.dev, out, run.in(dy), run.in(ids));
		});
	}
}

/* ---- head_loss ------------------------------------------------------------------- */

enum { DX = 1, DNORM = 2, DW = 4, STRIDED = 8, NO_TARGETS = 16 };

static void head_loss(const HeadSize &s, const Named &type, int with)
{
	Problem p(OP_head_loss, "R %lld C %lld V %lld%s%s%s%s%s", (long long)s.rows, (long long)s.hidden,
		  (long long)s.vocab, with & DX ? " dx" : "", with & DNORM ? " dnorm" : "", with & DW ? " dw" : "",
		  with & STRIDED ? " strided" : "", with & NO_TARGETS ? " no targets" : "");
	p.length = (double)std::max(s.hidden, with ? std::max(s.vocab, s.rows) : 1);
	p.dtype = type.name;
	p.strided = with & STRIDED;
	Array x = p.normal(s.rows, s.hidden, As::RESID, 2), norm_w = p.normal(1, s.hidden, As::F32, 0.3, 1);
	/* with few ids a target's p comes near 1, and p - 1 to a cancellation that no change of the inputs shows */
	Array w = p.normal(s.vocab, s.hidden, type.as, (s.vocab < 8 ? 0.5 : 2) / std::sqrt((double)s.hidden)), dnorm,
	      dw;
	std::vector<int32_t> targets;
	for (int64_t t = 0; t < s.rows; t++)
		targets.push_back(with & NO_TARGETS || t % 4 == 3 ? -1 - (int32_t)t : (int32_t)p.random.below(s.vocab));
	Array target = p.i32(targets), weight = p.normal(1, s.rows, As::F32, 0.1, 0.5);
	for (int64_t t = 0; t < s.rows; t += 6)
		weight.f[(size_t)t] = t % 4 == 2 ? 0 : weight.f[(size_t)t];
	if (with & DNORM)
		dnorm = p.normal(1, s.hidden, As::F32);
	if (with & DW)
		dw = p.normal(s.vocab, s.hidden, As::F32, 0.1);
	struct shape shape = sized({{&shape::rows, s.rows}, {&shape::hidden, s.hidden}, {&shape::vocab, s.vocab}});
	shape.head_grad = with & DW;
	expect_equal(p, [&](Runner &run) {
		struct head_params params = {run.in(norm_w), 1e-5f, run.weight({&w}, WEIGHT_FORWARD | WEIGHT_DX)};
		struct head_grads grads = {run.inout("dnorm", dnorm), run.inout("dw", dw)};
		struct view logp = run.out("logp", 1, s.rows, As::F32);
		struct view dx = with & DX ? run.out("dx", s.rows, s.hidden, As::RESID) : view_none();
		struct view in = run.in(x), ids = run.in(target), scale = run.in(weight);
		run.reserve(OP_head_loss, shape);
		run.k->head_loss(run.dev, logp, dx, with & (DNORM | DW) ? &grads : nullptr, in, &params, ids, scale);
	});
}

TEST(HeadLoss, WithAndWithoutGradients)
{
	static const int cases[] = {0, DX, DX | STRIDED, DX | DNORM | DW, DW | STRIDED, DNORM};
	int at = 0;
	for (const HeadSize &s : head_sizes)
		for (int with : cases)
			if (s.rows * s.hidden * s.vocab < 4000000 || with == 0 || (with == DX && s.hidden == 8) ||
			    (with & DW && with & DX && s.hidden == 8 && s.rows == 5))
				head_loss(s, weight_types[at++ % 3], with);
	for (int with : {0, DX | DNORM | DW})
		head_loss({9, 16, 100}, weight_types[0], with | NO_TARGETS);
}

#ifdef CUDA_ON_HOST
/* Vocabularies that take the threads of a row twice: one element at a time, and eight. */
TEST_F(TrueBlocks, HeadLoss)
{
	head_loss({3, 7, 1031}, weight_types[0], DX);
	head_loss({2, 8, 8200}, weight_types[1], DX);
}
#endif

/* ---- logits ------------------------------------------------------------------------ */

TEST(Logits, Forward)
{
	for (const HeadSize &s : head_sizes)
		for (const Named &type : weight_types) {
			if (s.rows * s.hidden * s.vocab > 5000000 && type.as == As::F16)
				continue;
			Problem p(OP_logits, "S %lld C %lld V %lld", (long long)s.rows, (long long)s.hidden,
				  (long long)s.vocab);
			p.length = (double)s.hidden;
			p.dtype = type.name;
			p.strided = s.rows % 2;
			Array x = p.normal(s.rows, s.hidden, As::RESID, 2),
			      norm_w = p.normal(1, s.hidden, As::F32, 0.3, 1);
			Array w = p.normal(s.vocab, s.hidden, type.as);
			expect_equal(p, [&](Runner &run) {
				struct head_params params = {run.in(norm_w), 1e-5f, run.weight({&w}, WEIGHT_FORWARD)};
				struct view y = run.out("y", s.rows, s.vocab, As::F32), in = run.in(x);
				run.reserve(OP_logits, sized({{&shape::rows, s.rows},
							      {&shape::hidden, s.hidden},
							      {&shape::vocab, s.vocab}}));
				run.k->logits(run.dev, y, in, &params);
			});
		}
}

/* ---- sample ------------------------------------------------------------------------- */

/* Logits are multiples of 1/4 from a small range: exact in every dtype, and full of ties. */
static void sample(int64_t rows, int64_t vocab, const struct sample_rule &rule, int levels, bool strided)
{
	Problem p(OP_sample, "S %lld V %lld temperature %g top_k %d top_p %g levels %d%s", (long long)rows,
		  (long long)vocab, (double)rule.temperature, rule.top_k, (double)rule.top_p, levels,
		  strided ? " strided" : "");
	p.length = (double)vocab;
	p.condition = 8; /* |logit| <= 7, of size 1 each: the logit and the logarithm */
	p.strided = strided;
	std::vector<float> values((size_t)(rows * vocab));
	for (float &value : values)
		value = (float)p.random.below(levels) / 4 - 3;
	Array logits = p.floats(rows, vocab, As::F32, values);
	std::vector<uint64_t> row_ids;
	std::vector<int32_t> positions;
	for (int64_t i = 0; i < rows; i++) {
		row_ids.push_back((uint64_t)i << 33 | 7);
		positions.push_back((int32_t)(i * 31));
	}
	Array seed = p.u64({0xfeedface12345678u}), row_id = p.u64(row_ids), position = p.i32(positions);
	expect_equal(p, [&](Runner &run) {
		struct view id = run.out("id", 1, rows, As::I32), logp = run.out("logp", 1, rows, As::F32);
		struct sample_rng rng = {run.in(seed), run.in(row_id), run.in(position)};
		struct view in = run.in(logits);
		run.reserve(OP_sample, sized({{&shape::rows, rows}, {&shape::vocab, vocab}}));
		run.k->sample(run.dev, id, logp, in, &rule, &rng);
	});
}

TEST(Sample, IdsAreEqual)
{
	static const struct sample_rule rules[] = {
		{0, 0, 1},    {1, 0, 1},        {0.5f, 0, 1},        {2, 5, 1}, {1, 1, 1},
		{1, 0, 0.7f}, {0.8f, 40, 0.9f}, {1.5f, 1000, 0.01f}, {1, 0, 0},
	};
	static const struct {
		int64_t rows, vocab;
	} sizes[] = {{1, 1}, {1, 2}, {3, 17}, {64, 97}, {5, 1031}, {2, 49152}, {1, 128256}, {0, 9}};
	for (const auto &s : sizes)
		for (const struct sample_rule &rule : rules) {
			sample(s.rows, s.vocab, rule, 40, s.rows % 2);
			sample(s.rows, s.vocab, rule, 1, false);
		}
}

#ifdef CUDA_ON_HOST
/* Vocabularies of one turn of a row's threads and of more. */
TEST_F(TrueBlocks, Sample)
{
	for (const struct sample_rule &rule : {sample_rule{0, 0, 1}, {1, 0, 0.7f}, {0.8f, 40, 0.9f}})
		sample(2, 97, rule, 40, false);
	sample(2, 2051, {0.8f, 40, 0.9f}, 40, false);
}
#endif

/* Shares of 1/8 each: half of them is exactly the first four. */
TEST(Sample, ShareReachedExactly)
{
	Problem p(OP_sample, "V 8, equal logits, top_p 0.5");
	Array logits = p.floats(64, 8, As::F32, std::vector<float>(512, 1.25f)), seed = p.u64({3});
	std::vector<uint64_t> row_ids(64, 5);
	std::vector<int32_t> positions;
	for (int i = 0; i < 64; i++)
		positions.push_back(i);
	Array row_id = p.u64(row_ids), position = p.i32(positions);
	const struct sample_rule rule = {1, 0, 0.5f};
	std::vector<Lane> lanes = fast_lanes();
	lanes.push_back(reference_lane());
	for (const Lane &lane : lanes) {
		std::vector<Output> outputs = solve(
			p,
			[&](Runner &run) {
				struct view id = run.out("id", 1, 64, As::I32), logp = run.out("logp", 1, 64, As::F32);
				struct sample_rng rng = {run.in(seed), run.in(row_id), run.in(position)};
				struct view in = run.in(logits);
				run.reserve(OP_sample, sized({{&shape::rows, 64}, {&shape::vocab, 8}}));
				run.k->sample(run.dev, id, logp, in, &rule, &rng);
			},
			lane);
		std::vector<double> ids = outputs[0].value;
		std::sort(ids.begin(), ids.end());
		ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
		EXPECT_EQ(ids, (std::vector<double>{0, 1, 2, 3})) << lane.name;
		EXPECT_NEAR(outputs[1].value[0], -std::log(8.0), 1e-6) << lane.name;
	}
}
