// SPDX-License-Identifier: Apache-2.0
/*
 * Differential tests of a layer's composites: attn_in, attn_out, mlp, forward
 * with saved areas, without, and backward. A backward problem runs its own
 * forward first, since what lies in `saved` is the backend's secret.
 */
#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

#include "tests/kernel_problem.h"
#ifdef CUDA_ON_HOST
#include "tests/true_blocks.h"
#endif

/* What a case exercises, or-ed. */
enum {
	BIAS = 1,
	LORA = 2,
	DROP = 4, /* p = 0.1 */
	QK_NORM = 8,
	SCATTER = 16, /* kv_dst: rows of a larger cache */
	FULL = 32,    /* gradients of all weights */
	NO_DX = 64,   /* nothing below wants a gradient */
	STRIDED = 128,
	SOME_LORA = 256 /* q and v, gate alone: the others have no adapter */
};

static std::string words(int with)
{
	static const char *const names[] = {"bias", "lora",  "drop",    "qk_norm", "scatter",
					    "full", "no dx", "strided", "some"};
	std::string text;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		text += with >> i & 1 ? std::string(" ") + names[i] : "";
	return text;
}

static Array maybe(bool wanted, Array a)
{
	return wanted ? a : Array();
}

static LoraArrays adapter(Problem &p, bool wanted, int64_t n, int64_t m, int64_t rank, int with, uint32_t module)
{
	LoraArrays l;
	if (!wanted || !(with & LORA))
		return l;
	l.a = p.normal(rank, m, As::F32, 1 / std::sqrt((double)m));
	l.b = p.normal(n, rank, As::F32, 0.5);
	l.da = p.normal(rank, m, As::F32);
	l.db = p.normal(n, rank, As::F32);
	l.scale = 0.7f;
	l.p = 0.1f;
	l.module = module;
	return l;
}

static Array weights(Problem &p, int64_t n, int64_t m, const Named &type)
{
	return p.normal(n, m, type.as, 1 / std::sqrt((double)m));
}

/* ---- attn_in ------------------------------------------------------------------- */

struct AttnSize {
	int64_t rows, hidden;
	int heads, kv_heads, dim;
	int64_t rank;
};

static const AttnSize attn_sizes[] = {
	{1, 8, 1, 1, 2, 1},      {1, 576, 9, 3, 64, 8},  {2, 12, 4, 2, 8, 3},    {3, 64, 9, 3, 8, 4},
	{5, 17, 4, 2, 6, 2},     {7, 48, 1, 1, 128, 5},  {17, 31, 4, 1, 8, 7},   {64, 24, 4, 2, 16, 16},
	{127, 10, 2, 1, 4, 1},   {129, 40, 9, 3, 8, 8},  {257, 16, 4, 2, 4, 64}, {1025, 6, 2, 2, 2, 3},
	{33, 128, 32, 8, 8, 33}, {96, 192, 9, 3, 64, 8}, {0, 8, 2, 1, 4, 2},
};

struct AttnIn {
	AttnIn(Problem &p, const AttnSize &s, const Named &type, int with);
	const struct attn_in_params *bind(Runner &run, bool gradients) const;
	struct shape shape() const;

	AttnSize s;
	Array norm_w, wq, wk, wv, bias[3], q_norm, k_norm, cos, sin, x, pos, kv_dst;
	LoraArrays lora[3];
	DropoutArrays drop;
	int64_t kv_rows;
};

enum { POSITIONS = 40 };

AttnIn::AttnIn(Problem &p, const AttnSize &size, const Named &type, int with) : s(size)
{
	const int64_t out[3] = {s.heads * s.dim, s.kv_heads * s.dim, s.kv_heads * s.dim};
	struct rope_config config = {};
	config.theta = 10000;
	std::vector<float> c((size_t)(POSITIONS * s.dim / 2)), d = c;
	rope_table(c.data(), d.data(), POSITIONS, s.dim, &config);
	p.length = (double)std::max<int64_t>(s.hidden, s.rank);
	p.dtype = type.name;
	p.strided = with & STRIDED;
	x = p.normal(s.rows, s.hidden, As::RESID, 2);
	norm_w = p.normal(1, s.hidden, As::F32, 0.2, 1);
	wq = weights(p, out[0], s.hidden, type);
	wk = weights(p, out[1], s.hidden, type);
	wv = weights(p, out[2], s.hidden, type);
	for (int i = 0; i < 3; i++) {
		bias[i] = maybe(with & BIAS, p.normal(1, out[i], As::F32));
		lora[i] = adapter(p, !(with & SOME_LORA) || i != 1, out[i], s.hidden, s.rank, with, (uint32_t)i);
	}
	q_norm = maybe(with & QK_NORM, p.normal(1, s.dim, As::F32, 0.2, 1));
	k_norm = maybe(with & QK_NORM, p.normal(1, s.dim, As::F32, 0.2, 1));
	cos = p.floats(POSITIONS, s.dim / 2, As::F32, c);
	sin = p.floats(POSITIONS, s.dim / 2, As::F32, d);
	pos = p.ids(s.rows, POSITIONS);
	kv_rows = with & SCATTER ? s.rows + 19 : s.rows;
	kv_dst = maybe(with & SCATTER, p.distinct(s.rows, kv_rows));
	if (with & DROP)
		drop = dropout_arrays(p, s.rows, 5);
}

struct shape AttnIn::shape() const
{
	struct shape shape = sized({{&shape::rows, s.rows},
				    {&shape::hidden, s.hidden},
				    {&shape::heads, s.heads},
				    {&shape::kv_heads, s.kv_heads},
				    {&shape::head_dim, s.dim}});
	shape.rank = lora[0].a.present ? s.rank : 0;
	shape.qk_norm = q_norm.present;
	return shape;
}

const struct attn_in_params *AttnIn::bind(Runner &run, bool gradients) const
{
	static const char *const names[] = {"q", "k", "v"};
	struct attn_in_params *params = run.keep((struct attn_in_params){});
	params->dims = {s.heads, s.kv_heads, s.dim, 1};
	params->norm_w = run.in(norm_w);
	params->eps = 1e-5f;
	params->wqkv = run.weight({&wq, &wk, &wv}, WEIGHT_FORWARD | (gradients ? WEIGHT_DX : 0));
	for (int i = 0; i < 3; i++) {
		params->bias[i] = run.in(bias[i]);
		params->lora[i] = run.lora(names[i], lora[i], gradients);
	}
	params->q_norm = run.in(q_norm);
	params->k_norm = run.in(k_norm);
	params->rope = {run.in(cos), run.in(sin)};
	params->drop = run.dropout(drop);
	return params;
}

static void attn_in(const AttnSize &s, const Named &type, int with, bool keep)
{
	Problem p(OP_attn_in, "R %lld C %lld H %d K %d D %d r %lld%s%s", (long long)s.rows, (long long)s.hidden,
		  s.heads, s.kv_heads, s.dim, (long long)s.rank, words(with).c_str(), keep ? " saved" : "");
	AttnIn a(p, s, type, with);
	Array k = p.normal(a.kv_rows, s.kv_heads * s.dim, As::ACT),
	      v = p.normal(a.kv_rows, s.kv_heads * s.dim, As::ACT);
	expect_equal(p, [&](Runner &run) {
		const struct attn_in_params *params = a.bind(run, false);
		struct view q = run.out("q", s.rows, s.heads * s.dim, As::ACT);
		struct view kk = run.inout("k", k), vv = run.inout("v", v), x = run.in(a.x);
		struct view saved = keep ? run.saved(OP_attn_in, a.shape()) : view_none();
		struct view pos = run.in(a.pos), dst = run.in(a.kv_dst);
		run.reserve(OP_attn_in, a.shape());
		run.k->attn_in(run.dev, q, kk, vv, saved, x, pos, dst, params);
	});
}

TEST(AttnIn, Forward)
{
	static const int cases[] = {
		0,
		BIAS | STRIDED,
		LORA,
		LORA | DROP | STRIDED,
		LORA | SOME_LORA | DROP | BIAS,
		QK_NORM | SCATTER,
		QK_NORM | BIAS | LORA | DROP,
		SCATTER | STRIDED | LORA,
	};
	int at = 0;
	for (const AttnSize &s : attn_sizes)
		for (int with : cases) {
			attn_in(s, weight_types[at % 3], with, !(with & SCATTER) && at % 2);
			at++;
		}
}

/* dq, dk, dv may be overwritten: they are copied for every run. */
static void attn_in_backward(const AttnSize &s, const Named &type, int with)
{
	Problem p(OP_attn_in_backward, "R %lld C %lld H %d K %d D %d r %lld%s", (long long)s.rows, (long long)s.hidden,
		  s.heads, s.kv_heads, s.dim, (long long)s.rank, words(with).c_str());
	AttnIn a(p, s, type, with);
	const int64_t q_cols = s.heads * s.dim, k_cols = s.kv_heads * s.dim;
	Array dq = p.normal(s.rows, q_cols, As::ACT), dk = p.normal(s.rows, k_cols, As::ACT);
	Array dv = p.normal(s.rows, k_cols, As::ACT), dx = p.normal(s.rows, s.hidden, As::RESID);
	const bool full = with & FULL;
	Array d_norm = maybe(full, p.normal(1, s.hidden, As::F32)), d_w[3], d_bias[3];
	for (int i = 0; i < 3; i++) {
		d_w[i] = maybe(full && !(with & SOME_LORA && i == 1), p.normal(i ? k_cols : q_cols, s.hidden, As::F32));
		d_bias[i] = maybe(full && with & BIAS, p.normal(1, i ? k_cols : q_cols, As::F32));
	}
	Array d_q_norm = maybe(full && with & QK_NORM, p.normal(1, s.dim, As::F32));
	Array d_k_norm = maybe(full && with & QK_NORM, p.normal(1, s.dim, As::F32));
	p.length = (double)std::max<int64_t>({s.rows, s.hidden, q_cols, s.rank});
	expect_equal(p, [&](Runner &run) {
		const struct attn_in_params *params = a.bind(run, true);
		struct view q = run.scrap(dq), k = run.scrap(dk), v = run.scrap(dv);
		struct view saved = run.saved(OP_attn_in, a.shape()), pos = run.in(a.pos);
		struct attn_in_grads grads = {};
		struct view out = with & NO_DX ? run.scrap(dx) : run.inout("dx", dx);
		struct view x = run.in(a.x);
		grads.norm_w = run.inout("dnorm", d_norm);
		for (int i = 0; i < 3; i++) {
			grads.w[i] = run.inout("dw" + std::to_string(i), d_w[i]);
			grads.bias[i] = run.inout("dbias" + std::to_string(i), d_bias[i]);
		}
		grads.q_norm = run.inout("dq_norm", d_q_norm);
		grads.k_norm = run.inout("dk_norm", d_k_norm);
		run.reserve(OP_attn_in, a.shape());
		run.k->attn_in(run.dev, q, k, v, saved, x, pos, view_none(), params);
		struct view gq = run.scrap(dq), gk = run.scrap(dk), gv = run.scrap(dv);
		run.reserve(OP_attn_in_backward, a.shape());
		run.k->attn_in_backward(run.dev, out, full ? &grads : nullptr, gq, gk, gv, saved, pos, params,
					!(with & NO_DX));
	});
}

TEST(AttnIn, Backward)
{
	static const int cases[] = {
		0,
		LORA | STRIDED,
		LORA | DROP,
		LORA | SOME_LORA | DROP | BIAS | STRIDED,
		QK_NORM,
		QK_NORM | LORA | DROP,
		LORA | DROP | NO_DX,
		FULL,
		FULL | BIAS | QK_NORM | STRIDED,
		FULL | SOME_LORA | NO_DX,
	};
	int at = 0;
	for (const AttnSize &s : attn_sizes)
		for (int with : cases)
			attn_in_backward(s, weight_types[at++ % 3], with);
}

/* ---- attn_out ----------------------------------------------------------------------- */

static void attn_out(const AttnSize &s, const Named &type, int with, bool keep, bool backward)
{
	Problem p(backward ? OP_attn_out_backward : OP_attn_out, "R %lld C %lld H %d D %d r %lld%s%s",
		  (long long)s.rows, (long long)s.hidden, s.heads, s.dim, (long long)s.rank, words(with).c_str(),
		  keep ? " saved" : "");
	const int64_t cols = s.heads * s.dim, hidden = s.hidden;
	p.length = (double)std::max<int64_t>({backward ? s.rows : 1, hidden, cols, s.rank});
	p.dtype = type.name;
	p.strided = with & STRIDED;
	Array x = p.normal(s.rows, hidden, As::RESID), o = p.normal(s.rows, cols, As::ACT),
	      wo = weights(p, hidden, cols, type);
	Array bias = maybe(with & BIAS, p.normal(1, hidden, As::F32)), dx = p.normal(s.rows, hidden, As::RESID);
	Array d_w = maybe(with & FULL, p.normal(hidden, cols, As::F32));
	Array d_bias = maybe(with & FULL && with & BIAS, p.normal(1, hidden, As::F32));
	LoraArrays l = adapter(p, true, hidden, cols, s.rank, with, MODULE_O);
	DropoutArrays d;
	if (with & DROP)
		d = dropout_arrays(p, s.rows, 2);
	struct shape shape = sized({{&shape::rows, s.rows},
				    {&shape::hidden, hidden},
				    {&shape::heads, s.heads},
				    {&shape::kv_heads, s.kv_heads},
				    {&shape::head_dim, s.dim}});
	shape.rank = l.a.present ? s.rank : 0;
	expect_equal(p, [&](Runner &run) {
		struct attn_out_params params = {};
		params.wo = run.weight({&wo}, WEIGHT_FORWARD | (backward ? WEIGHT_DX : 0));
		params.bias = run.in(bias);
		params.lora = run.lora("o", l, backward);
		params.drop = run.dropout(d);
		struct view saved = keep ? run.saved(OP_attn_out, shape) : view_none(), in = run.in(o);
		struct view out = run.inout("x", x);
		struct attn_out_grads grads = {run.inout("dw", d_w), run.inout("dbias", d_bias)};
		struct view d_o = !backward || with & NO_DX ? view_none() : run.out("d_o", s.rows, cols, As::ACT);
		struct view d_out = run.in(dx);
		run.reserve(OP_attn_out, shape);
		run.k->attn_out(run.dev, out, saved, in, &params);
		if (!backward)
			return;
		run.reserve(OP_attn_out_backward, shape);
		run.k->attn_out_backward(run.dev, d_o, with & FULL ? &grads : nullptr, d_out, saved, in, &params,
					 !(with & NO_DX));
	});
}

TEST(AttnOut, Forward)
{
	int at = 0;
	for (const AttnSize &s : attn_sizes)
		for (int with : {0, BIAS | STRIDED, LORA | DROP, LORA | DROP | BIAS | STRIDED}) {
			attn_out(s, weight_types[at % 3], with, at % 2, false);
			at++;
		}
}

TEST(AttnOut, Backward)
{
	int at = 0;
	for (const AttnSize &s : attn_sizes)
		for (int with :
		     {0, LORA | STRIDED, LORA | DROP, LORA | DROP | NO_DX, FULL | BIAS | STRIDED, FULL | NO_DX})
			attn_out(s, weight_types[at++ % 3], with, true, true);
}

/* ---- mlp --------------------------------------------------------------------------------- */

struct MlpSize {
	int64_t rows, hidden, ffn, rank;
};

static const MlpSize mlp_sizes[] = {
	{1, 1, 1, 1},     {1, 192, 512, 8}, {2, 3, 7, 2},      {3, 64, 160, 4},  {5, 31, 97, 16}, {7, 8, 1031, 3},
	{17, 48, 64, 64}, {64, 20, 56, 8},  {127, 16, 11, 1},  {128, 32, 32, 5}, {129, 7, 40, 2}, {257, 9, 24, 33},
	{513, 4, 10, 7},  {1025, 3, 5, 1},  {40, 192, 512, 8}, {0, 8, 16, 2},
};

static void mlp(const MlpSize &s, const Named &type, int with, bool keep, bool backward)
{
	Problem p(backward ? OP_mlp_backward : OP_mlp, "R %lld C %lld F %lld r %lld%s%s", (long long)s.rows,
		  (long long)s.hidden, (long long)s.ffn, (long long)s.rank, words(with).c_str(), keep ? " saved" : "");
	const int64_t C = s.hidden, F = s.ffn;
	p.length = (double)std::max({backward ? s.rows : 1, C, F, s.rank});
	p.dtype = type.name;
	p.strided = with & STRIDED;
	Array x = p.normal(s.rows, C, As::RESID, 2), norm_w = p.normal(1, C, As::F32, 0.2, 1);
	Array gate = weights(p, F, C, type), up = weights(p, F, C, type), down = weights(p, C, F, type);
	Array dx = maybe(backward, p.normal(s.rows, C, As::RESID)),
	      d_norm = maybe(with & FULL, p.normal(1, C, As::F32));
	Array d_gate = maybe(with & FULL, p.normal(F, C, As::F32)), d_up = maybe(with & FULL, p.normal(F, C, As::F32));
	Array d_down = maybe(with & FULL && !(with & SOME_LORA), p.normal(C, F, As::F32));
	const LoraArrays l[3] = {
		adapter(p, true, F, C, s.rank, with, MODULE_GATE),
		adapter(p, !(with & SOME_LORA), F, C, s.rank, with, MODULE_UP),
		adapter(p, !(with & SOME_LORA), C, F, s.rank, with, MODULE_DOWN),
	};
	DropoutArrays d;
	if (with & DROP)
		d = dropout_arrays(p, s.rows, 11);
	struct shape shape = sized({{&shape::rows, s.rows}, {&shape::hidden, C}, {&shape::ffn, F}});
	shape.rank = with & LORA ? s.rank : 0;
	expect_equal(p, [&](Runner &run) {
		static const char *const names[] = {"gate", "up", "down"};
		struct mlp_params params = {};
		unsigned uses = WEIGHT_FORWARD | (backward ? WEIGHT_DX : 0);
		params.norm_w = run.in(norm_w);
		params.eps = 1e-5f;
		params.wgu = run.weight({&gate, &up}, uses);
		params.wdown = run.weight({&down}, uses);
		for (int i = 0; i < 3; i++)
			params.lora[i] = run.lora(names[i], l[i], backward);
		params.drop = run.dropout(d);
		struct view saved = keep ? run.saved(OP_mlp, shape) : view_none(), out = run.inout("x", x);
		struct mlp_grads grads = {run.inout("dnorm", d_norm), run.inout("dgate", d_gate),
					  run.inout("dup", d_up), run.inout("ddown", d_down)};
		struct view d_out = with & NO_DX ? run.scrap(dx) : run.inout("dx", dx);
		run.reserve(OP_mlp, shape);
		run.k->mlp(run.dev, out, saved, &params);
		if (!backward)
			return;
		run.reserve(OP_mlp_backward, shape);
		run.k->mlp_backward(run.dev, d_out, with & FULL ? &grads : nullptr, saved, &params, !(with & NO_DX));
	});
}

TEST(Mlp, Forward)
{
	int at = 0;
	for (const MlpSize &s : mlp_sizes)
		for (int with : {0, (int)STRIDED, (int)LORA, LORA | DROP | STRIDED, LORA | SOME_LORA | DROP}) {
			mlp(s, weight_types[at % 3], with, at % 2, false);
			at++;
		}
}

TEST(Mlp, Backward)
{
	int at = 0;
	for (const MlpSize &s : mlp_sizes)
		for (int with : {0, LORA | STRIDED, LORA | DROP, LORA | SOME_LORA | DROP | STRIDED, LORA | DROP | NO_DX,
				 FULL | STRIDED, FULL | SOME_LORA | NO_DX})
			mlp(s, weight_types[at++ % 3], with, true, true);
}

#ifdef CUDA_ON_HOST
TEST_F(TrueBlocks, Layer)
{
	const AttnSize attn = {5, 72, 4, 2, 8, 8};
	attn_in_backward(attn, weight_types[1], LORA | DROP);
	attn_in_backward(attn, weight_types[0], FULL | BIAS | QK_NORM);
	attn_out(attn, weight_types[1], LORA | DROP, true, true);
	mlp({5, 72, 136, 8}, weight_types[1], LORA | DROP, true, true);
	mlp({5, 31, 97, 16}, weight_types[0], FULL | STRIDED, true, true);
}
#endif
