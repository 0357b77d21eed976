// SPDX-License-Identifier: Apache-2.0
/*
 * tiny_model.h - a transformer of a few thousand numbers, run by the call
 * sequences of kernel.h: a train step, a score pass, cached rows.
 *
 *     Desk desk(dev);
 *     TinyModel model(desk, ModelShape());
 *     Batch batch;
 *     int prefix = batch.add({1, 2, 3}, {});
 *     batch.add({4, 5, 6}, {.first_pos = 3, .example = 0, .prefix = prefix, .prefix_len = 3});
 *     Scores s = model.train(batch);           // gradients are added to model.tensors[i].grad
 */
#ifndef BALDISTILL_TESTS_TINY_MODEL_H
#define BALDISTILL_TESTS_TINY_MODEL_H

#include <algorithm>
#include <cmath>
#include <deque>
#include <string>
#include <vector>

#include "reference/philox.h"
#include "tests/device_helper.h"

struct ModelShape {
	int hidden = 8, heads = 4, kv_heads = 2, head_dim = 4, ffn = 12, vocab = 13, layers = 2, rank = 3;
	int positions = 64, window = 0;
	bool qk_norm = false, bias = false, lora = true;
	bool full = true; /* gradients of the base weights, too */
	float dropout = 0;
	uint32_t seed = 1;
};

/* How one segment stands in the batch. */
struct Place {
	int first_pos = 0;
	int example = -1;    /* row keys of (example, position); below 0: of the position alone */
	int prefix = -1;     /* the segment seen before, and how many of its tokens */
	int prefix_len = 0;
	int shared = 0;      /* the first so many tokens are a copy of a prefix: keyed by position alone, no targets */
};

/* Segments one after another; a token of an example has its successor as target. */
struct Batch {
	std::vector<int32_t> id, pos, q_begin{0}, own_begin, own_len, prefix_begin, prefix_len, target_row, target;
	std::vector<uint64_t> key;
	std::vector<double> weight;
	std::vector<std::vector<int32_t>> users;

	int add(const std::vector<int32_t> &tokens, const Place &place)
	{
		int segment = (int)own_len.size(), n = (int)tokens.size();
		for (int t = 0; t < n; t++) {
			int p = place.first_pos + t;
			bool keyed = place.example >= 0 && t >= place.shared;
			if (keyed && t + 1 < n) {
				target_row.push_back((int32_t)id.size());
				target.push_back(tokens[(size_t)t + 1]);
				weight.push_back(0.25 + 0.125 * (p % 3));
			}
			key.push_back(keyed ? row_key((uint32_t)place.example, (uint32_t)p) : (uint64_t)p);
			id.push_back(tokens[(size_t)t]);
			pos.push_back(p);
		}
		own_begin.push_back(q_begin.back());
		own_len.push_back(n);
		prefix_begin.push_back(place.prefix < 0 ? 0 : q_begin[(size_t)place.prefix]);
		prefix_len.push_back(place.prefix_len);
		q_begin.push_back(q_begin.back() + n);
		users.emplace_back();
		if (place.prefix >= 0)
			users[(size_t)place.prefix].push_back(segment);
		return segment;
	}

	int64_t rows() const { return (int64_t)id.size(); }

	int64_t keys() const
	{
		int64_t most = 0;
		for (size_t s = 0; s < own_len.size(); s++)
			most = std::max<int64_t>(most, own_len[s] + prefix_len[s]);
		return most;
	}

	struct segments segments(Desk &desk, int window) const
	{
		std::vector<int32_t> begin{0}, user;
		for (const auto &list : users) {
			user.insert(user.end(), list.begin(), list.end());
			begin.push_back((int32_t)user.size());
		}
		struct segments s = {};
		s.count = (int64_t)own_len.size();
		s.max_queries = own_len.empty() ? 0 : *std::max_element(own_len.begin(), own_len.end());
		s.max_keys = keys();
		s.window = window;
		s.q_begin = desk.i32(q_begin);
		s.own_begin = desk.i32(own_begin);
		s.own_len = desk.i32(own_len);
		s.prefix_begin = desk.i32(prefix_begin);
		s.prefix_len = desk.i32(prefix_len);
		s.pos = desk.i32(pos);
		s.user_begin = desk.i32(begin);
		s.user = desk.i32(user);
		return s;
	}
};

struct Scores {
	std::vector<double> logp; /* of the targets */
	std::vector<double> x;    /* last residual [R, C] */
	double loss;              /* -sum weight * logp */
};

class TinyModel {
public:
	struct Tensor {
		std::string name;
		struct view value, grad;
	};
	std::vector<Tensor> tensors; /* everything trained */
	std::vector<struct view> cache_k, cache_v; /* of each layer, once made */
	const ModelShape shape;

	TinyModel(Desk &on, const ModelShape &s)
		: shape(s), desk(on), seed(s.seed * 1000), adapter_seed(s.seed * 1000 + 500)
	{
		int c = s.hidden, q = s.heads * s.head_dim, kv = s.kv_heads * s.head_dim;
		embedding = matrices({{"embed", s.vocab, c}}, &embed_grad);
		tables();
		for (int l = 0; l < s.layers; l++) {
			layers.emplace_back();
			Layer &y = layers.back();
			std::string at = "layer" + std::to_string(l) + ".";
			struct attn_in_params &in = y.in;
			in.dims = dims();
			in.eps = y.mlp.eps = eps;
			in.norm_w = vector(at + "norm", c, &y.in_grads.norm_w, 1);
			in.wqkv = matrices({{at + "q", q, c}, {at + "k", kv, c}, {at + "v", kv, c}}, y.in_grads.w);
			for (int i = 0; s.bias && i < 3; i++)
				in.bias[i] = vector(at + "bias" + "qkv"[i], i ? kv : q, &y.in_grads.bias[i], 0);
			if (s.qk_norm) {
				in.q_norm = vector(at + "q_norm", s.head_dim, &y.in_grads.q_norm, 1);
				in.k_norm = vector(at + "k_norm", s.head_dim, &y.in_grads.k_norm, 1);
			}
			in.rope = rope;
			y.out.wo = matrices({{at + "o", c, q}}, &y.out_grads.w);
			if (s.bias)
				y.out.bias = vector(at + "bias_o", c, &y.out_grads.bias, 0);
			y.mlp.norm_w = vector(at + "mlp_norm", c, &y.mlp_grads.norm_w, 1);
			y.mlp.wgu = matrices({{at + "gate", s.ffn, c}, {at + "up", s.ffn, c}}, y.gate_up);
			y.mlp_grads.gate = y.gate_up[0];
			y.mlp_grads.up = y.gate_up[1];
			y.mlp.wdown = matrices({{at + "down", c, s.ffn}}, &y.mlp_grads.down);
			adapters(y, at, (uint32_t)l);
		}
		head.eps = eps;
		head.norm_w = vector("final_norm", c, &head_grads.norm_w, 1);
		head.w = matrices({{"head", s.vocab, c}}, &head_grads.w);
	}

	struct attn_dims dims() const
	{
		return {shape.heads, shape.kv_heads, shape.head_dim, 1.0f / std::sqrt((float)shape.head_dim)};
	}

	void zero_gradients()
	{
		for (Tensor &t : tensors)
			desk.k->fill(desk.dev, t.grad, 0);
	}

	/* The base weights and adapters changed in place. */
	void refresh()
	{
		for (struct weight *w : groups)
			desk.k->refresh(desk.dev, w);
	}

	/* Without `backward` a score pass: nothing saved. */
	Scores train(const Batch &b, bool backward = true)
	{
		Desk d(desk.dev); /* what the step needs goes with it */
		const struct kernels *k = d.k;
		struct device *dev = d.dev;
		int64_t rows = b.rows(), targets = (int64_t)b.target.size();
		reserve(rows, b.keys());
		Step step = begin(d, b.id, b.pos, b.key);
		struct segments seg = b.segments(d, shape.window);
		struct shape size = sizes(rows, b.keys());
		std::vector<Kept> kept(layers.size());
		for (size_t l = 0; l < layers.size(); l++)
			kept[l] = forward(d, layers[l], step, seg, size, backward);
		struct view row = d.i32(b.target_row), target = d.i32(b.target);
		struct view weight = d.real(1, targets, b.weight), logp = d.real(1, targets);
		struct view y = d.typed(targets, shape.hidden, dev->resid_dtype);
		struct view dy = d.typed(targets, shape.hidden, dev->resid_dtype);
		k->gather_rows(dev, y, step.x, row);
		k->head_loss(dev, logp, backward ? dy : view_none(), backward && shape.full ? &head_grads : nullptr, y,
			     &head, target, weight);
		if (backward) {
			struct view dx = d.typed(rows, shape.hidden, dev->resid_dtype);
			k->scatter_rows(dev, dx, dy, row);
			for (size_t l = layers.size(); l-- > 0;)
				backward_layer(d, layers[l], kept[l], step, seg, dx, l > 0 || shape.full);
			if (shape.full)
				k->embed_backward(dev, embed_grad, dx, step.id);
		}
		Scores s = {d.read(logp), d.read(step.x), 0};
		for (size_t i = 0; i < s.logp.size(); i++)
			s.loss -= b.weight[i] * s.logp[i];
		return s;
	}

	void make_caches(int64_t rows, double filler)
	{
		int64_t cols = shape.kv_heads * shape.head_dim;
		std::vector<double> v((size_t)(rows * cols), filler);
		for (size_t l = 0; l < layers.size(); l++)
			for (auto *cache : {&cache_k, &cache_v})
				cache->push_back(desk.typed(rows, cols, desk.dev->cache_dtype, v));
	}

	/* Rows into and through the caches; logits of every row, [R, V]. */
	std::vector<double> cached(const std::vector<int32_t> &id, const std::vector<int32_t> &pos,
				   const std::vector<int32_t> &kv_dst, struct segments seg)
	{
		Desk d(desk.dev);
		int64_t rows = (int64_t)id.size();
		reserve(rows, seg.max_keys);
		Step step = begin(d, id, pos, std::vector<uint64_t>(id.size()));
		struct view dst = d.i32(kv_dst), y = d.real(rows, shape.vocab);
		struct attn_dims dim = dims();
		seg.pos = step.pos;
		for (size_t l = 0; l < layers.size(); l++) {
			struct view q = queries(d, rows), o = queries(d, rows);
			d.k->attn_in(d.dev, q, cache_k[l], cache_v[l], view_none(), step.x, step.pos, dst,
				     &layers[l].in);
			d.k->attention(d.dev, o, view_none(), q, cache_k[l], cache_v[l], &seg, &dim);
			d.k->attn_out(d.dev, step.x, view_none(), o, &layers[l].out);
			d.k->mlp(d.dev, step.x, view_none(), &layers[l].mlp);
		}
		d.k->logits(d.dev, y, step.x, &head);
		return d.read(y);
	}

	/* Logits of all rows of a score pass, [R, V]. */
	std::vector<double> logits(const Batch &b)
	{
		Scores s = train(b, false);
		Desk d(desk.dev);
		struct view y = d.real(b.rows(), shape.vocab);
		d.k->logits(d.dev, y, d.typed(b.rows(), shape.hidden, d.dev->resid_dtype, s.x), &head);
		return d.read(y);
	}

	/* Seed and step of the dropout. */
	void set_dropout(uint64_t random_seed, uint64_t step) { dropout_state = {random_seed, step}; }

private:
	static constexpr float eps = 1e-5f;

	struct Layer {
		struct attn_in_params in = {};
		struct attn_out_params out = {};
		struct mlp_params mlp = {};
		struct lora lora[7] = {};
		struct dropout drop = {};
		struct attn_in_grads in_grads = {};
		struct attn_out_grads out_grads = {};
		struct mlp_grads mlp_grads = {};
		struct view gate_up[2] = {};
	};
	/* What one step shares, and what a layer's forward leaves for its backward. */
	struct Step {
		struct view id, pos, key, state, x;
	};
	struct Kept {
		struct view q, k, v, o, lse, in, out, mlp;
	};
	struct Named {
		std::string name;
		int rows, cols;
	};

	Desk &desk;
	uint32_t seed, adapter_seed; /* apart, so that the base is the same with and without adapters */
	std::deque<Layer> layers;
	std::vector<struct weight *> groups;
	struct weight *embedding;
	struct head_params head = {};
	struct head_grads head_grads = {};
	struct view embed_grad = {};
	struct rope rope = {};
	std::vector<uint64_t> dropout_state{77, 3};

	struct view gradient(const std::string &name, struct view value, bool wanted)
	{
		if (!wanted)
			return view_none();
		struct view grad = desk.real(value.rows, value.cols);
		tensors.push_back({name, value, grad});
		return grad;
	}

	struct view vector(const std::string &name, int n, struct view *grad, double mean)
	{
		struct view v = desk.real(1, n, values(++seed, n, 0.5, mean));
		*grad = gradient(name, v, shape.full);
		return v;
	}

	/* One group; elements of variance about 1 / (3 cols) times 2. */
	struct weight *matrices(const std::vector<Named> &list, struct view *grads)
	{
		std::vector<struct view> host;
		for (const Named &m : list) {
			double scale = m.cols > 8 ? 0.5 : 1;
			host.push_back(desk.host(m.rows, m.cols, values(++seed, m.rows * m.cols, scale)));
			*grads++ = gradient(m.name, host.back(), shape.full);
		}
		groups.push_back(desk.weight(host));
		return groups.back();
	}

	void tables()
	{
		struct rope_config config = {};
		config.theta = 100;
		size_t n = (size_t)(shape.positions * shape.head_dim / 2);
		std::vector<float> c(n), s(n);
		rope_table(c.data(), s.data(), shape.positions, shape.head_dim, &config);
		rope.cos = desk.real(shape.positions, shape.head_dim / 2, {c.begin(), c.end()});
		rope.sin = desk.real(shape.positions, shape.head_dim / 2, {s.begin(), s.end()});
	}

	void adapters(Layer &y, const std::string &at, uint32_t l)
	{
		static const char *const names[7] = {"q", "k", "v", "o", "gate", "up", "down"};
		int c = shape.hidden, q = shape.heads * shape.head_dim, kv = shape.kv_heads * shape.head_dim;
		const int out[7] = {q, kv, kv, c, shape.ffn, shape.ffn, c}, in[7] = {c, c, c, q, c, c, shape.ffn};
		if (!shape.lora)
			return;
		y.drop.layer = l;
		for (int i = 0; i < 7; i++) {
			struct lora *a = &y.lora[i];
			a->a = desk.real(shape.rank, in[i], values(++adapter_seed, shape.rank * in[i], 0.5));
			a->b = desk.real(out[i], shape.rank, values(++adapter_seed, shape.rank * out[i], 0.5));
			a->da = gradient(at + names[i] + ".A", a->a, true);
			a->db = gradient(at + names[i] + ".B", a->b, true);
			a->scale = 0.75f;
			a->p = shape.dropout;
			a->module = (uint32_t)i;
			const struct lora **slot[7] = {&y.in.lora[0], &y.in.lora[1], &y.in.lora[2], &y.out.lora,
						       &y.mlp.lora[0], &y.mlp.lora[1], &y.mlp.lora[2]};
			*slot[i] = a;
		}
		if (shape.dropout > 0)
			y.in.drop = y.out.drop = y.mlp.drop = &y.drop;
	}

	struct shape sizes(int64_t rows, int64_t keys) const
	{
		struct shape s = {};
		s.rows = rows;
		s.hidden = shape.hidden;
		s.heads = shape.heads;
		s.kv_heads = shape.kv_heads;
		s.head_dim = shape.head_dim;
		s.ffn = shape.ffn;
		s.vocab = shape.vocab;
		s.rank = shape.lora ? shape.rank : 0;
		s.segments = rows + 8;
		s.keys = keys;
		s.qk_norm = shape.qk_norm;
		s.head_grad = true;
		return s;
	}

	void reserve(int64_t rows, int64_t keys)
	{
		struct shape s = sizes(rows, keys);
		for (int op = 0; op < OP_COUNT; op++)
			desk.reserve((enum op)op, s);
	}

	struct view queries(Desk &d, int64_t rows)
	{
		return d.typed(rows, shape.heads * shape.head_dim, d.dev->act_dtype);
	}

	Step begin(Desk &d, const std::vector<int32_t> &id, const std::vector<int32_t> &pos,
		   const std::vector<uint64_t> &key)
	{
		Step s = {d.i32(id), d.i32(pos), d.u64(key), {}, {}};
		s.state = d.u64(dropout_state);
		s.x = d.typed((int64_t)id.size(), shape.hidden, d.dev->resid_dtype);
		for (Layer &y : layers) {
			y.drop.state = s.state;
			y.drop.row_key = s.key;
		}
		d.k->embed(d.dev, s.x, embedding, s.id);
		return s;
	}

	Kept forward(Desk &d, Layer &y, const Step &step, const struct segments &seg, const struct shape &size,
		     bool keep)
	{
		int64_t rows = step.x.rows;
		struct attn_dims dim = dims();
		Kept a = {};
		a.q = queries(d, rows);
		a.o = queries(d, rows);
		a.k = d.typed(rows, shape.kv_heads * shape.head_dim, d.dev->act_dtype);
		a.v = d.typed(rows, shape.kv_heads * shape.head_dim, d.dev->act_dtype);
		if (keep) {
			a.lse = d.real(rows, shape.heads);
			a.in = d.saved(OP_attn_in, size);
			a.out = d.saved(OP_attn_out, size);
			a.mlp = d.saved(OP_mlp, size);
		}
		d.k->attn_in(d.dev, a.q, a.k, a.v, a.in, step.x, step.pos, view_none(), &y.in);
		d.k->attention(d.dev, a.o, a.lse, a.q, a.k, a.v, &seg, &dim);
		d.k->attn_out(d.dev, step.x, a.out, a.o, &y.out);
		d.k->mlp(d.dev, step.x, a.mlp, &y.mlp);
		return a;
	}

	void backward_layer(Desk &d, Layer &y, const Kept &a, const Step &step, const struct segments &seg,
			    struct view dx, bool below)
	{
		int64_t rows = dx.rows;
		struct attn_dims dim = dims();
		struct view d_o = queries(d, rows), dq = queries(d, rows);
		struct view dk = d.typed(rows, a.k.cols, d.dev->act_dtype);
		struct view dv = d.typed(rows, a.k.cols, d.dev->act_dtype);
		d.k->mlp_backward(d.dev, dx, shape.full ? &y.mlp_grads : nullptr, a.mlp, &y.mlp, true);
		d.k->attn_out_backward(d.dev, d_o, shape.full ? &y.out_grads : nullptr, dx, a.out, a.o, &y.out, true);
		d.k->attention_backward(d.dev, dq, dk, dv, d_o, a.o, a.lse, a.q, a.k, a.v, &seg, &dim);
		d.k->attn_in_backward(d.dev, dx, shape.full ? &y.in_grads : nullptr, dq, dk, dv, a.in, step.pos, &y.in,
				      below);
	}
};

#endif
