// SPDX-License-Identifier: Apache-2.0
/*
 * Every operation refuses wrong arguments: one valid call of each, whose
 * arguments are then broken one at a time. The device must keep a failure that
 * names the operation, later operations must do nothing, nothing may crash.
 */
#include <cstring>
#include <memory>

#include <gtest/gtest.h>

#include "tests/kernel_problem.h"

enum { R = 6, C = 8, H = 4, K = 2, D = 4, F = 12, V = 10, RANK = 3, S = 2, POSITIONS = 16 };

/* May the argument be absent? May it be one column, or one row, shorter? */
enum { OPTIONAL = 1, ANY_COLS = 2, ANY_ROWS = 4, ANY_DTYPE = 8 };

struct Arg {
	const char *name;
	struct view v;
	int may;
};

/* A fresh device with valid arguments. */
class Bench
{
      public:
	explicit Bench(const Lane &lane) : lane(open_again(lane)), dev(this->lane.dev), k(dev->k)
	{
	}
	~Bench();

	struct view f32(int64_t rows, int64_t cols);
	struct view matrix(int64_t rows, int64_t cols); /* on the host, as prepare takes it */
	struct view i32(const std::vector<int32_t> &values);
	struct view u64(const std::vector<uint64_t> &values);
	struct weight *weight(std::vector<struct view> matrices);
	struct view place(const void *data, int64_t rows, int64_t cols, enum dtype dtype);

	Lane lane;
	struct device *dev;
	const struct kernels *k;

      private:
	std::vector<struct buffer *> buffers;
	std::vector<std::unique_ptr<struct weight>> weights;
	std::vector<std::unique_ptr<std::pair<std::vector<float>, struct buffer>>> matrices;
};

Bench::~Bench()
{
	dev->failure[0] = 0;
	for (auto &w : weights)
		k->release(dev, w.get());
	for (struct buffer *buffer : buffers)
		k->free(dev, buffer);
	close_again(lane);
}

struct view Bench::place(const void *data, int64_t rows, int64_t cols, enum dtype dtype)
{
	struct buffer *buffer = k->alloc(dev, (size_t)(rows * cols) * dtype_size(dtype));
	buffers.push_back(buffer);
	struct view v = view_of(buffer, rows, cols, dtype);
	if (data)
		k->upload(dev, v, data);
	return v;
}

struct view Bench::f32(int64_t rows, int64_t cols)
{
	std::vector<float> values((size_t)(rows * cols), 0.5f);
	return place(values.data(), rows, cols, DTYPE_F32);
}

struct view Bench::matrix(int64_t rows, int64_t cols)
{
	matrices.push_back(std::make_unique<std::pair<std::vector<float>, struct buffer>>());
	auto &[values, buffer] = *matrices.back();
	values.assign((size_t)(rows * cols), 0.5f);
	buffer = {values.data(), values.size() * sizeof(float)};
	return view_of(&buffer, rows, cols, DTYPE_F32);
}

struct view Bench::i32(const std::vector<int32_t> &values)
{
	return place(values.data(), 1, (int64_t)values.size(), DTYPE_I32);
}

struct view Bench::u64(const std::vector<uint64_t> &values)
{
	return place(values.data(), 1, (int64_t)values.size(), DTYPE_U64);
}

struct weight *Bench::weight(std::vector<struct view> matrices)
{
	weights.push_back(std::make_unique<struct weight>());
	EXPECT_EQ(k->prepare(dev, weights.back().get(), (int)matrices.size(), matrices.data(), DTYPE_F32,
			     WEIGHT_FORWARD | WEIGHT_DX | WEIGHT_GATHER),
		  0);
	return weights.back().get();
}

/* One valid call: its arguments, and how to make it with them. */
struct Call {
	enum op op;
	std::vector<Arg> args;
	std::function<void(const std::vector<Arg> &)> make;
};

static struct shape whole_shape()
{
	struct shape s = sized({{&shape::rows, R},
				{&shape::hidden, C},
				{&shape::heads, H},
				{&shape::kv_heads, K},
				{&shape::head_dim, D},
				{&shape::ffn, F},
				{&shape::vocab, V},
				{&shape::rank, RANK},
				{&shape::segments, S},
				{&shape::keys, R}});
	s.head_grad = true;
	return s;
}

static struct view saved_of(Bench &b, enum op op)
{
	struct shape s = whole_shape();
	return b.place(nullptr, 1, (int64_t)b.k->saved_bytes(b.dev, op, &s), DTYPE_U8);
}

static struct lora lora_of(struct view a, struct view b, struct view da, struct view db)
{
	struct lora lora = {};
	lora.a = a, lora.b = b, lora.da = da, lora.db = db;
	lora.scale = 1;
	return lora;
}

static void add_products(Bench &b, std::vector<Call> *calls)
{
	struct weight *w = b.weight({b.matrix(F, C)});
	calls->push_back(
		{OP_linear,
		 {{"y", b.f32(R, F), 0}, {"x", b.f32(R, C), 0}, {"bias", b.f32(1, F), OPTIONAL}},
		 [&b, w](const std::vector<Arg> &a) { b.k->linear(b.dev, a[0].v, a[1].v, w, 0, a[2].v, false); }});
	calls->push_back({OP_linear_dx,
			  {{"dx", b.f32(R, C), 0}, {"dy", b.f32(R, F), 0}},
			  [&b, w](const std::vector<Arg> &a) { b.k->linear_dx(b.dev, a[0].v, a[1].v, w, 0, false); }});
	calls->push_back({OP_linear_dw,
			  {{"dw", b.f32(F, C), OPTIONAL},
			   {"dbias", b.f32(1, F), OPTIONAL},
			   {"dy", b.f32(R, F), 0},
			   {"x", b.f32(R, C), 0}},
			  [&b](const std::vector<Arg> &a) { b.k->linear_dw(b.dev, a[0].v, a[1].v, a[2].v, a[3].v); }});
	calls->push_back({OP_lora,
			  {{"y", b.f32(R, F), 0},
			   {"xa", b.f32(R, RANK), 0},
			   {"x", b.f32(R, C), 0},
			   {"A", b.f32(RANK, C), 0},
			   {"B", b.f32(F, RANK), 0}},
			  [&b](const std::vector<Arg> &a) {
				  struct lora l = lora_of(a[3].v, a[4].v, view_none(), view_none());
				  b.k->lora(b.dev, a[0].v, a[1].v, a[2].v, &l, nullptr);
			  }});
	calls->push_back({OP_lora_backward,
			  {{"dx", b.f32(R, C), OPTIONAL},
			   {"dy", b.f32(R, F), 0},
			   {"x", b.f32(R, C), 0},
			   {"xa", b.f32(R, RANK), 0},
			   {"A", b.f32(RANK, C), 0},
			   {"B", b.f32(F, RANK), 0},
			   {"dA", b.f32(RANK, C), OPTIONAL},
			   {"dB", b.f32(F, RANK), OPTIONAL},
			   {"state", b.u64({1, 2}), 0},
			   {"row_key", b.u64({1, 2, 3, 4, 5, 6}), 0}},
			  [&b](const std::vector<Arg> &a) {
				  struct lora l = lora_of(a[4].v, a[5].v, a[6].v, a[7].v);
				  struct dropout d = {a[8].v, a[9].v, 0};
				  l.p = 0.5f;
				  b.k->lora_backward(b.dev, a[0].v, a[1].v, a[2].v, a[3].v, &l, &d);
			  }});
	calls->push_back(
		{OP_merge,
		 {{"out", b.f32(F, C), 0}, {"w", b.f32(F, C), 0}, {"A", b.f32(RANK, C), 0}, {"B", b.f32(F, RANK), 0}},
		 [&b](const std::vector<Arg> &a) {
			 struct lora l = lora_of(a[2].v, a[3].v, view_none(), view_none());
			 b.k->merge(b.dev, a[0].v, a[1].v, &l);
		 }});
}

static void add_pointwise(Bench &b, std::vector<Call> *calls)
{
	calls->push_back({OP_rmsnorm,
			  {{"y", b.f32(R, C), 0}, {"x", b.f32(R, C), 0}, {"w", b.f32(1, C), 0}},
			  [&b](const std::vector<Arg> &a) { b.k->rmsnorm(b.dev, a[0].v, a[1].v, a[2].v, 1e-5f); }});
	calls->push_back({OP_rmsnorm_backward,
			  {{"dx", b.f32(R, C), OPTIONAL},
			   {"dw", b.f32(1, C), OPTIONAL},
			   {"dy", b.f32(R, C), 0},
			   {"x", b.f32(R, C), 0},
			   {"w", b.f32(1, C), 0}},
			  [&b](const std::vector<Arg> &a) {
				  b.k->rmsnorm_backward(b.dev, a[0].v, a[1].v, a[2].v, a[3].v, a[4].v, 1e-5f);
			  }});
	calls->push_back({OP_rope,
			  {{"x", b.f32(R, H * D), 0},
			   {"pos", b.i32({0, 1, 2, 3, 4, 5}), 0},
			   {"cos", b.f32(POSITIONS, D / 2), 0},
			   {"sin", b.f32(POSITIONS, D / 2), 0}},
			  [&b](const std::vector<Arg> &a) {
				  struct rope rope = {a[2].v, a[3].v};
				  b.k->rope(b.dev, a[0].v, a[1].v, &rope, D, false);
			  }});
	calls->push_back({OP_swiglu,
			  {{"y", b.f32(R, F), 0}, {"g", b.f32(R, F), 0}, {"u", b.f32(R, F), 0}},
			  [&b](const std::vector<Arg> &a) { b.k->swiglu(b.dev, a[0].v, a[1].v, a[2].v); }});
	calls->push_back({OP_swiglu_backward,
			  {{"dg", b.f32(R, F), 0},
			   {"du", b.f32(R, F), 0},
			   {"dy", b.f32(R, F), 0},
			   {"g", b.f32(R, F), 0},
			   {"u", b.f32(R, F), 0}},
			  [&b](const std::vector<Arg> &a) {
				  b.k->swiglu_backward(b.dev, a[0].v, a[1].v, a[2].v, a[3].v, a[4].v);
			  }});
	calls->push_back({OP_log_softmax,
			  {{"y", b.f32(R, V), 0}, {"x", b.f32(R, V), 0}},
			  [&b](const std::vector<Arg> &a) { b.k->log_softmax(b.dev, a[0].v, a[1].v); }});
	calls->push_back({OP_copy, {{"y", b.f32(R, C), 0}, {"x", b.f32(R, C), 0}}, [&b](const std::vector<Arg> &a) {
				  b.k->copy(b.dev, a[0].v, a[1].v);
			  }});
	calls->push_back({OP_fill, {{"y", b.f32(R, C), ANY_COLS | ANY_ROWS}}, [&b](const std::vector<Arg> &a) {
				  b.k->fill(b.dev, a[0].v, 1);
			  }});
}

static void add_rows(Bench &b, std::vector<Call> *calls)
{
	struct weight *w = b.weight({b.matrix(V, C)});
	struct view ids = b.i32({0, 9, 3, 1, 0, 5}), row = b.i32({0, -1, 3, 1, 4, 5});
	calls->push_back({OP_embed, {{"y", b.f32(R, C), 0}, {"ids", ids, 0}}, [&b, w](const std::vector<Arg> &a) {
				  b.k->embed(b.dev, a[0].v, w, a[1].v);
			  }});
	calls->push_back({OP_embed_backward,
			  {{"dw", b.f32(V, C), 0}, {"dy", b.f32(R, C), 0}, {"ids", ids, 0}},
			  [&b](const std::vector<Arg> &a) { b.k->embed_backward(b.dev, a[0].v, a[1].v, a[2].v); }});
	calls->push_back({OP_gather_rows,
			  {{"y", b.f32(R, C), 0}, {"x", b.f32(R, C), 0}, {"row", row, 0}},
			  [&b](const std::vector<Arg> &a) { b.k->gather_rows(b.dev, a[0].v, a[1].v, a[2].v); }});
	calls->push_back({OP_scatter_rows,
			  {{"dx", b.f32(R, C), 0}, {"dy", b.f32(R, C), 0}, {"row", row, 0}},
			  [&b](const std::vector<Arg> &a) { b.k->scatter_rows(b.dev, a[0].v, a[1].v, a[2].v); }});
	calls->push_back(
		{OP_kv_append,
		 {{"cache_k", b.f32(R, K * D), 0},
		  {"cache_v", b.f32(R, K * D), 0},
		  {"k", b.f32(R, K * D), 0},
		  {"v", b.f32(R, K * D), 0},
		  {"dst", row, 0}},
		 [&b](const std::vector<Arg> &a) { b.k->kv_append(b.dev, a[0].v, a[1].v, a[2].v, a[3].v, a[4].v); }});
	calls->push_back({OP_norm2,
			  {{"out", b.f32(1, 1), 0}, {"gradient", b.f32(R, C), ANY_COLS | ANY_ROWS}},
			  [&b](const std::vector<Arg> &a) { b.k->norm2(b.dev, a[0].v, &a[1].v, 1); }});
	calls->push_back({OP_adamw,
			  {{"p", b.f32(R, C), 0},
			   {"g", b.f32(R, C), 0},
			   {"m", b.f32(R, C), 0},
			   {"v", b.f32(R, C), 0},
			   {"shadow", b.f32(R, C), OPTIONAL},
			   {"hyper", b.f32(1, ADAMW_HYPER), 0},
			   {"norm2", b.f32(1, 1), OPTIONAL}},
			  [&b](const std::vector<Arg> &a) {
				  struct adamw_item item = {a[0].v, a[1].v, a[2].v, a[3].v, a[4].v, true};
				  b.k->adamw(b.dev, &item, 1, a[5].v, a[6].v);
			  }});
}

static void add_attention(Bench &b, std::vector<Call> *calls)
{
	static const struct attn_dims dims = {H, K, D, 0.5f};
	auto segments = [](const std::vector<Arg> &a, size_t at) {
		struct segments seg = {};
		seg.count = S;
		seg.max_queries = seg.max_keys = R;
		seg.q_begin = a[at].v, seg.own_begin = a[at + 1].v, seg.own_len = a[at + 2].v;
		seg.prefix_begin = a[at + 3].v, seg.prefix_len = a[at + 4].v, seg.pos = a[at + 5].v;
		return seg;
	};
	std::vector<Arg> described = {{"q_begin", b.i32({0, 2, 6}), 0}, {"own_begin", b.i32({0, 2}), 0},
				      {"own_len", b.i32({2, 4}), 0},    {"prefix_begin", b.i32({0, 0}), 0},
				      {"prefix_len", b.i32({0, 0}), 0}, {"pos", b.i32({0, 1, 0, 1, 2, 3}), 0}};
	Call forward = {OP_attention,
			{{"o", b.f32(R, H * D), 0},
			 {"lse", b.f32(R, H), OPTIONAL},
			 {"q", b.f32(R, H * D), 0},
			 {"k", b.f32(R, K * D), 0},
			 {"v", b.f32(R, K * D), 0}},
			[&b, segments](const std::vector<Arg> &a) {
				struct segments seg = segments(a, 5);
				b.k->attention(b.dev, a[0].v, a[1].v, a[2].v, a[3].v, a[4].v, &seg, &dims);
			}};
	forward.args.insert(forward.args.end(), described.begin(), described.end());
	Call backward = {OP_attention_backward,
			 {{"dq", b.f32(R, H * D), 0},
			  {"dk", b.f32(R, K * D), 0},
			  {"dv", b.f32(R, K * D), 0},
			  {"d_o", b.f32(R, H * D), 0},
			  {"o", b.f32(R, H * D), 0},
			  {"lse", b.f32(R, H), 0},
			  {"q", b.f32(R, H * D), 0},
			  {"k", b.f32(R, K * D), 0},
			  {"v", b.f32(R, K * D), 0}},
			 [&b, segments](const std::vector<Arg> &a) {
				 struct segments seg = segments(a, 9);
				 seg.user_begin = a[15].v, seg.user = a[16].v;
				 b.k->attention_backward(b.dev, a[0].v, a[1].v, a[2].v, a[3].v, a[4].v, a[5].v, a[6].v,
							 a[7].v, a[8].v, &seg, &dims);
			 }};
	backward.args.insert(backward.args.end(), described.begin(), described.end());
	backward.args.push_back({"user_begin", b.i32({0, 0, 0}), 0});
	backward.args.push_back({"user", b.i32({0}), ANY_COLS});
	calls->push_back(forward);
	calls->push_back(backward);
}

static void add_layer(Bench &b, std::vector<Call> *calls)
{
	struct weight *qkv = b.weight({b.matrix(H * D, C), b.matrix(K * D, C), b.matrix(K * D, C)});
	struct weight *wo = b.weight({b.matrix(C, H * D)}), *gu = b.weight({b.matrix(F, C), b.matrix(F, C)});
	struct weight *down = b.weight({b.matrix(C, F)});
	struct view table = b.f32(POSITIONS, D / 2), pos = b.i32({0, 1, 2, 3, 4, 5});
	auto attn_in = [qkv, table](const struct lora *lora, struct view norm_w, struct view bias) {
		struct attn_in_params p = {};
		p.dims = {H, K, D, 0.5f};
		p.norm_w = norm_w;
		p.eps = 1e-5f;
		p.wqkv = qkv;
		p.bias[1] = bias;
		p.lora[0] = lora;
		p.rope = {table, table};
		return p;
	};
	const Arg a = {"A", b.f32(RANK, C), 0}, b_q = {"B", b.f32(H * D, RANK), 0}, norm = {"norm_w", b.f32(1, C), 0};
	const Arg bias = {"bias", b.f32(1, K * D), OPTIONAL};
	calls->push_back({OP_attn_in,
			  {{"q", b.f32(R, H * D), 0},
			   {"k", b.f32(R, K * D), 0},
			   {"v", b.f32(R, K * D), 0},
			   {"saved", saved_of(b, OP_attn_in), OPTIONAL},
			   {"x", b.f32(R, C), 0},
			   {"pos", pos, 0},
			   {"kv_dst", b.i32({0, 1, -1, 2, 3, 5}), OPTIONAL},
			   a,
			   b_q,
			   norm,
			   bias},
			  [&b, attn_in](const std::vector<Arg> &v) {
				  struct lora l = lora_of(v[7].v, v[8].v, view_none(), view_none());
				  struct attn_in_params p = attn_in(&l, v[9].v, v[10].v);
				  b.k->attn_in(b.dev, v[0].v, v[1].v, v[2].v, v[3].v, v[4].v, v[5].v, v[6].v, &p);
			  }});
	calls->push_back({OP_attn_in_backward,
			  {{"dx", b.f32(R, C), 0},
			   {"dq", b.f32(R, H * D), 0},
			   {"dk", b.f32(R, K * D), 0},
			   {"dv", b.f32(R, K * D), 0},
			   {"saved", saved_of(b, OP_attn_in), 0},
			   {"pos", pos, 0},
			   a,
			   b_q,
			   norm,
			   bias},
			  [&b, attn_in](const std::vector<Arg> &v) {
				  struct lora l = lora_of(v[6].v, v[7].v, view_none(), view_none());
				  struct attn_in_params p = attn_in(&l, v[8].v, v[9].v);
				  b.k->attn_in_backward(b.dev, v[0].v, nullptr, v[1].v, v[2].v, v[3].v, v[4].v, v[5].v,
							&p, true);
			  }});
	const Arg a_o = {"A", b.f32(RANK, H * D), 0}, b_o = {"B", b.f32(C, RANK), 0};
	auto attn_out = [wo](const struct lora *lora) {
		struct attn_out_params p = {};
		p.wo = wo;
		p.lora = lora;
		return p;
	};
	calls->push_back({OP_attn_out,
			  {{"x", b.f32(R, C), 0},
			   {"saved", saved_of(b, OP_attn_out), OPTIONAL},
			   {"o", b.f32(R, H * D), 0},
			   a_o,
			   b_o},
			  [&b, attn_out](const std::vector<Arg> &v) {
				  struct lora l = lora_of(v[3].v, v[4].v, view_none(), view_none());
				  struct attn_out_params p = attn_out(&l);
				  b.k->attn_out(b.dev, v[0].v, v[1].v, v[2].v, &p);
			  }});
	calls->push_back({OP_attn_out_backward,
			  {{"d_o", b.f32(R, H * D), 0},
			   {"dx", b.f32(R, C), 0},
			   {"saved", saved_of(b, OP_attn_out), 0},
			   {"o", b.f32(R, H * D), 0},
			   a_o,
			   b_o},
			  [&b, attn_out](const std::vector<Arg> &v) {
				  struct lora l = lora_of(v[4].v, v[5].v, view_none(), view_none());
				  struct attn_out_params p = attn_out(&l);
				  b.k->attn_out_backward(b.dev, v[0].v, nullptr, v[1].v, v[2].v, v[3].v, &p, true);
			  }});
	auto mlp = [gu, down](const struct lora *lora, struct view norm_w) {
		struct mlp_params p = {};
		p.norm_w = norm_w;
		p.eps = 1e-5f;
		p.wgu = gu;
		p.wdown = down;
		p.lora[1] = lora;
		return p;
	};
	const Arg b_up = {"B", b.f32(F, RANK), 0};
	for (enum op op : {OP_mlp, OP_mlp_backward})
		calls->push_back(
			{op,
			 {{"x", b.f32(R, C), ANY_ROWS}, {"saved", saved_of(b, OP_mlp), op == OP_mlp}, a, b_up, norm},
			 [&b, mlp, op](const std::vector<Arg> &v) {
				 struct lora l = lora_of(v[2].v, v[3].v, view_none(), view_none());
				 struct mlp_params p = mlp(&l, v[4].v);
				 if (op == OP_mlp)
					 b.k->mlp(b.dev, v[0].v, v[1].v, &p);
				 else
					 b.k->mlp_backward(b.dev, v[0].v, nullptr, v[1].v, &p, true);
			 }});
}

static void add_head(Bench &b, std::vector<Call> *calls)
{
	struct weight *w = b.weight({b.matrix(V, C)});
	const Arg norm = {"norm_w", b.f32(1, C), 0};
	calls->push_back({OP_head_loss,
			  {{"logp", b.f32(1, R), 0},
			   {"dx", b.f32(R, C), OPTIONAL},
			   {"x", b.f32(R, C), 0},
			   {"target", b.i32({1, -1, 9, 0, 3, 3}), 0},
			   {"weight", b.f32(1, R), 0},
			   norm,
			   {"dw", b.f32(V, C), OPTIONAL},
			   {"dnorm", b.f32(1, C), OPTIONAL}},
			  [&b, w](const std::vector<Arg> &a) {
				  struct head_params p = {a[5].v, 1e-5f, w};
				  struct head_grads grads = {a[7].v, a[6].v};
				  b.k->head_loss(b.dev, a[0].v, a[1].v, &grads, a[2].v, &p, a[3].v, a[4].v);
			  }});
	calls->push_back(
		{OP_logits, {{"y", b.f32(R, V), 0}, {"x", b.f32(R, C), 0}, norm}, [&b, w](const std::vector<Arg> &a) {
			 struct head_params p = {a[2].v, 1e-5f, w};
			 b.k->logits(b.dev, a[0].v, a[1].v, &p);
		 }});
	calls->push_back({OP_sample,
			  {{"id", b.i32({0, 0, 0, 0, 0, 0}), 0},
			   {"logp", b.f32(1, R), 0},
			   {"logits", b.f32(R, V), ANY_COLS},
			   {"seed", b.u64({1}), 0},
			   {"row_id", b.u64({1, 2, 3, 4, 5, 6}), 0},
			   {"position", b.i32({0, 1, 2, 3, 4, 5}), 0}},
			  [&b](const std::vector<Arg> &a) {
				  struct sample_rule rule = {1, 5, 0.9f};
				  struct sample_rng rng = {a[3].v, a[4].v, a[5].v};
				  b.k->sample(b.dev, a[0].v, a[1].v, a[2].v, &rule, &rng);
			  }});
}

static std::vector<Call> all_calls(Bench &b)
{
	std::vector<Call> calls;
	add_products(b, &calls);
	add_pointwise(b, &calls);
	add_rows(b, &calls);
	add_attention(b, &calls);
	add_layer(b, &calls);
	add_head(b, &calls);
	return calls;
}

static size_t scratch_of(Bench &b, enum op op)
{
	struct shape s = whole_shape();
	return b.k->scratch_bytes(b.dev, op, &s);
}

static std::vector<Lane> all_lanes()
{
	std::vector<Lane> lanes = fast_lanes();
	lanes.push_back(reference_lane());
	return lanes;
}

/* The failure names the operation; a later operation leaves its output alone. Forgets the failure. */
static void expect_failure(Bench &b, const Call &call, struct view probe, const std::string &fault)
{
	const char *failure = device_sync(b.dev);
	std::string start = std::string(op_name(call.op)) + ": ", text = failure ? failure : "";
	EXPECT_EQ(text.substr(0, start.size()), start)
		<< op_name(call.op) << " on " << b.lane.name << " with " << fault << ": \"" << text << "\"";
	if (text.empty())
		return;
	std::vector<float> values(5);
	b.k->fill(b.dev, probe, 2);
	EXPECT_EQ(device_sync(b.dev), text) << "the first failure is kept";
	b.dev->failure[0] = 0;
	b.dev->scratch_used = 0;
	b.k->download(b.dev, values.data(), probe);
	EXPECT_EQ(values, std::vector<float>(5, 0.5f)) << op_name(call.op) << ": fill worked after a failure";
}

/* All calls are valid as they stand, and every operation is among them. */
TEST(Failures, NoneWithoutAFault)
{
	for (const Lane &lane : all_lanes()) {
		Bench b(lane);
		std::vector<bool> seen(OP_COUNT);
		for (const Call &call : all_calls(b)) {
			seen[call.op] = true;
			b.k->reserve(b.dev, scratch_of(b, call.op));
			call.make(call.args);
			EXPECT_EQ(device_sync(b.dev), nullptr) << op_name(call.op) << " on " << lane.name;
			b.dev->failure[0] = 0;
		}
		EXPECT_EQ(seen, std::vector<bool>(OP_COUNT, true));
	}
}

/* What can be wrong with one view; none of them lets an operation reach memory it does not own. */
static const struct {
	const char *words;
	int allowed; /* arguments that may be so */
	void (*apply)(struct view *v);
} faults[] = {
	{"one column less in", ANY_COLS, [](struct view *v) { v->cols--; }},
	{"one row less in", ANY_ROWS, [](struct view *v) { v->rows--; }},
	{"an end past the buffer of", 0,
	 [](struct view *v) {
		 int64_t extent = (v->rows - 1) * v->ld + v->cols;
		 v->offset = (int64_t)(v->buffer->bytes / dtype_size(v->dtype)) - extent + 1;
	 }},
	{"another dtype in", ANY_DTYPE,
	 [](struct view *v) { v->dtype = v->dtype == DTYPE_F32 ? DTYPE_I32 : DTYPE_F32; }},
	{"a negative offset of", 0, [](struct view *v) { v->offset = -1; }},
	{"overlapping rows in", 0,
	 [](struct view *v) { (v->rows > 1 ? v->ld : v->offset) = v->rows > 1 ? v->cols - 1 : -1; }},
	{"no", OPTIONAL, [](struct view *v) { *v = view_none(); }},
};

TEST(Failures, EveryArgumentIsChecked)
{
	for (const Lane &lane : all_lanes()) {
		Bench b(lane);
		struct view probe = b.f32(1, 5);
		for (const Call &call : all_calls(b))
			for (const auto &fault : faults)
				for (size_t i = 0; i < call.args.size(); i++) {
					std::vector<Arg> args = call.args;
					if (args[i].may & fault.allowed)
						continue;
					fault.apply(&args[i].v);
					b.dev->scratch_used = 0;
					b.k->reserve(b.dev, scratch_of(b, call.op));
					call.make(args);
					expect_failure(b, call, probe, std::string(fault.words) + " " + args[i].name);
				}
	}
}

TEST(Failures, ScratchTooSmall)
{
	for (const Lane &lane : all_lanes()) {
		Bench b(lane);
		for (const Call &call : all_calls(b)) {
			size_t need = scratch_of(b, call.op);
			if (need == 0)
				continue;
			b.k->reserve(b.dev, need);
			size_t held = b.dev->scratch.bytes;
			for (size_t bytes : {(size_t)0, (size_t)64, need / 128 * 64, need - 64}) {
				b.dev->scratch.bytes = bytes;
				call.make(call.args);
				/* a primitive inside may be what lacks it; one alone may need it for other dtypes only,
				   and a part of it may be enough for this call */
				std::string text = b.dev->failure;
				EXPECT_TRUE(text.find("scratch") != std::string::npos ||
					    (text.empty() && (call.op < OP_embed || bytes)))
					<< op_name(call.op) << " on " << lane.name << ": \"" << text << "\"";
				b.dev->failure[0] = 0;
				b.dev->scratch_used = 0;
			}
			b.dev->scratch.bytes = held;
		}
	}
}

#ifdef ONEDNN_ON_HOST
extern "C" bool onednn_host_short;

/* A product that the library has no memory for is a failure, not the old content. */
TEST(Failures, AProductThatTheLibraryRefuses)
{
	for (const Lane &lane : all_lanes()) {
		Bench b(lane);
		if (strncmp(lane.name, "onednn", 6))
			continue;
		struct lora lora = {b.f32(RANK, C), b.f32(F, RANK), view_none(), view_none(), 1, 0, 0};
		struct view dw = b.f32(F, C), out = b.f32(F, C);
		b.k->reserve(b.dev, 1 << 16);
		onednn_host_short = true;
		b.k->linear_dw(b.dev, dw, view_none(), b.f32(R, F), b.f32(R, C));
		std::string of_dw = b.dev->failure;
		b.dev->failure[0] = 0;
		b.k->merge(b.dev, out, b.f32(F, C), &lora);
		onednn_host_short = false;
		EXPECT_NE(std::string::npos, of_dw.find("out of memory")) << lane.name << ": " << of_dw;
		EXPECT_NE(nullptr, strstr(b.dev->failure, "out of memory")) << lane.name << ": " << b.dev->failure;
	}
}
#endif

/* Indices outside their tables. */
TEST(Failures, IndicesOutOfRange)
{
	static const struct {
		enum op op;
		const char *arg;
		std::vector<int32_t> values;
	} cases[] = {
		{OP_embed, "ids", {0, 1, 2, 3, 4, V}},
		{OP_embed, "ids", {0, 1, -1, 3, 4, 5}},
		{OP_embed_backward, "ids", {0, 1, 2, 3, 4, V}},
		{OP_rope, "pos", {0, 1, 2, 3, POSITIONS, 5}},
		{OP_rope, "pos", {0, 1, -2, 3, 4, 5}},
		{OP_gather_rows, "row", {0, 1, 2, 3, 4, R}},
		{OP_scatter_rows, "row", {0, 1, 2, 3, 4, R}},
		{OP_kv_append, "dst", {0, 1, 2, 3, 4, R}},
		{OP_attn_in, "pos", {0, 1, 2, 3, POSITIONS, 5}},
		{OP_attn_in, "kv_dst", {0, 1, 2, 3, 4, R}},
		{OP_attn_in_backward, "pos", {0, 0, 0, 0, 0, 99}},
		{OP_head_loss, "target", {0, 1, 2, 3, 4, V}},
		{OP_attention, "q_begin", {0, 2, 7}},
		{OP_attention, "own_begin", {0, 3}},
		{OP_attention, "own_len", {1, 4}},
		{OP_attention, "prefix_len", {0, 3}},
		{OP_attention_backward, "own_len", {2, 5}},
		{OP_attention_backward, "user_begin", {0, 0, 2}},
	};
	for (const Lane &lane : all_lanes()) {
		Bench b(lane);
		struct view probe = b.f32(1, 5);
		std::vector<Call> calls = all_calls(b);
		for (const auto &c : cases)
			for (const Call &call : calls) {
				std::vector<Arg> args = call.args;
				for (Arg &arg : args)
					if (call.op == c.op && strcmp(arg.name, c.arg) == 0)
						arg.v = b.i32(c.values);
				if (call.op != c.op)
					continue;
				b.k->reserve(b.dev, scratch_of(b, call.op));
				call.make(args);
				expect_failure(b, call, probe, std::string("bad ") + c.arg);
			}
	}
}

/* A group's member that is not there, and matrices that cannot be one group. */
TEST(Failures, Weights)
{
	for (const Lane &lane : all_lanes()) {
		Bench b(lane);
		struct view probe = b.f32(1, 5);
		struct weight *w = b.weight({b.matrix(F, C)});
		b.k->linear(b.dev, b.f32(R, F), b.f32(R, C), w, 1, view_none(), false);
		expect_failure(b, {OP_linear, {}, {}}, probe, "matrix 1 of 1");
		struct weight group = {};
		const struct view matrices[2] = {b.matrix(F, C), b.matrix(F, C + 1)};
		EXPECT_EQ(b.k->prepare(b.dev, &group, 2, matrices, DTYPE_F32, WEIGHT_FORWARD), -1) << lane.name;
		EXPECT_EQ(std::string(b.dev->failure).rfind("prepare: ", 0), 0u) << lane.name << b.dev->failure;
	}
}
