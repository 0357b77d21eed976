// SPDX-License-Identifier: Apache-2.0
/*
 * kernel.h - THE contract: one table of operations through which a student is
 * run and trained, whatever the machine. reference/ says what every entry
 * means, in naive C; a backend starts from that table (kernels_reference) and
 * overrides what it does better. A test proves each override equal.
 *
 * Frame of every operation
 * - First argument the device: threads or stream, scratch, sticky failure.
 *   Operations return nothing. The first failure is kept, later operations do
 *   nothing, device_sync() returns its message. No operation allocates:
 *   scratch is reserved once (scratch_bytes, reserve), what a forward keeps
 *   for its backward goes where the caller says (saved_bytes).
 * - Arrays are views of rows; element (i, j) of view v is number
 *   v.offset + i * v.ld + j of its buffer, counted in elements of v.dtype. A
 *   view whose buffer is NULL is absent: "may be absent" below.
 * - Outputs come first, then inputs, then weights. Letters:
 *     R rows (tokens)   C hidden size      H query heads    K key/value heads
 *     D head size       F MLP size         V vocabulary     r LoRA rank
 *     S segments        N, M columns of a product's output and input
 * - Gradients of parameters accumulate (the caller fills with 0 first); dx of
 *   a composite is in and out: it holds the gradient of the output residual
 *   and becomes that of the input residual.
 * - What differs between two steps of one shape (ids, positions, lengths,
 *   pages, row keys, step number, learning rate, number of targets) lies in
 *   device arrays, so that a step can be captured once and replayed.
 * - Storage is f32, bf16 or f16; sums are taken in f32 or better, the
 *   reference's in double. Parameters' gradients, lse, logp, rope tables and
 *   adapters are f32. resid_dtype, act_dtype and cache_dtype of the device say
 *   what it wants for x, for q, k, v, o, and for k and v in a cache.
 *
 * A train step (one micro-batch, then the update)
 *
 *     k->upload(dev, ids, …); positions, segments, row keys, targets likewise
 *     k->embed(dev, x, &embedding, ids);
 *     for each layer l:
 *             k->attn_in(dev, q[l], kk[l], v[l], saved_in[l], x, pos, none, &in[l]);
 *             k->attention(dev, o[l], lse[l], q[l], kk[l], v[l], &seg, &dims);
 *             k->attn_out(dev, x, saved_out[l], o[l], &out[l]);
 *             k->mlp(dev, x, saved_mlp[l], &mlp[l]);
 *     k->gather_rows(dev, y, x, target_row);
 *     k->head_loss(dev, logp, dy, NULL, y, &head, target, weight);
 *     k->scatter_rows(dev, dx, dy, target_row);
 *     for each layer l, last first, down to the lowest adapter:
 *             k->mlp_backward(dev, dx, NULL, saved_mlp[l], &mlp[l], true);
 *             k->attn_out_backward(dev, d_o, NULL, dx, saved_out[l], o[l], &out[l], true);
 *             k->attention_backward(dev, dq, dk, dv, d_o, o[l], lse[l], q[l], kk[l], v[l], &seg, &dims);
 *             k->attn_in_backward(dev, dx, NULL, dq, dk, dv, saved_in[l], pos, &in[l], l > lowest);
 *     k->norm2(dev, norm, gradients, n);
 *     k->upload(dev, hyper, …);
 *     k->adamw(dev, items, n, hyper, norm);
 *     for each adapted group: k->refresh(dev, group);
 *     k->download(dev, …, logp); device_sync(dev);
 *
 * A score pass: the forward half with absent `saved` and `lse`, head_loss with
 * absent dx.
 *
 * A prefill chunk of a cached sequence (rows go to the cache rows kv_dst names)
 *
 *     k->embed(dev, x, &embedding, ids);
 *     for each layer l:
 *             k->attn_in(dev, q, cache_k[l], cache_v[l], none, x, pos, kv_dst, &in[l]);
 *             k->attention(dev, o, none, q, cache_k[l], cache_v[l], &seg, &dims);   // seg.pages: cache rows of each slot
 *             k->attn_out(dev, x, none, o, &out[l]);
 *             k->mlp(dev, x, none, &mlp[l]);
 *
 * A captured decode step over S slots, one row each
 *
 *     if (!graph || !k->replay(dev, graph)) {
 *             k->capture_begin(dev);
 *             the prefill chunk's calls with R = S
 *             k->logits(dev, y, x, &head);
 *             k->sample(dev, id, logp, y, &rule, &rng);
 *             graph = k->capture_end(dev);          // runs what was captured once
 *     }
 *     device_sync(dev); k->download(dev, …, id); new ids, pos, kv_dst, own_len uploaded; again
 *
 * Devices are not shared between threads. The header needs nothing but the C
 * library; C++ and CUDA may include it.
 */
#ifndef BALDISTILL_REFERENCE_KERNEL_H
#define BALDISTILL_REFERENCE_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum dtype { DTYPE_F32, DTYPE_BF16, DTYPE_F16, DTYPE_I32, DTYPE_U64, DTYPE_U8, DTYPE_COUNT };

/* Bytes of one element, and "f32", "bf16", … */
size_t dtype_size(enum dtype dtype);
const char *dtype_name(enum dtype dtype);

/* ---- memory.c: arrays and devices -------------------------------------- */

struct buffer {
	void *data;   /* address on the device; host backends: an ordinary pointer */
	size_t bytes;
};

struct view {
	struct buffer *buffer; /* NULL: absent */
	int64_t offset;        /* of element (0, 0), in elements */
	int64_t rows, cols;
	int64_t ld;            /* elements from one row to the next, >= cols */
	enum dtype dtype;
};

/* A whole buffer as rows x cols, and `rows` rows of a view from `row` on. */
struct view view_of(struct buffer *buffer, int64_t rows, int64_t cols, enum dtype dtype);
struct view view_rows(struct view v, int64_t row, int64_t rows);
struct view view_cols(struct view v, int64_t col, int64_t cols);

static inline struct view view_none(void)
{
	struct view v = {NULL, 0, 0, 0, 0, DTYPE_F32};
	return v;
}

static inline bool view_present(struct view v)
{
	return v.buffer != NULL;
}

/* Address of row i (host backends). */
static inline void *view_row(struct view v, int64_t i)
{
	return (char *)v.buffer->data + (size_t)(v.offset + i * v.ld) * dtype_size(v.dtype);
}

struct kernels;

/* The part of a device that every backend has; a backend's own struct begins with it. */
struct device {
	const struct kernels *k;
	const char *name;
	int threads;
	enum dtype resid_dtype; /* of x */
	enum dtype act_dtype;   /* of q, k, v, o */
	enum dtype cache_dtype; /* of k and v in a cache, whose rows attn_in or kv_append writes and attention reads */
	bool batch_invariant;   /* a row's bits do not depend on its neighbours (CONTRACT, equality) */
	bool remote;            /* the host cannot read its arrays: what indices hold is checked by its own operations */
	size_t allocated;       /* bytes of buffers and scratch now held */
	size_t prepared;        /* bytes of packed or copied weights now held */
	struct buffer scratch;  /* reserved once */
	size_t scratch_used;
	const void *backend;    /* who opened it, for backend_close */
	char failure[512];      /* first failure, "" if none */
};

/* Keep the first failure: "OP: message". Later ones are dropped. */
void device_fail(struct device *dev, const char *op, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Wait for all work; NULL or the first failure's message, owned by the device and kept. */
const char *device_sync(struct device *dev);

/*
 * Scratch for one operation, aligned to 64 bytes; NULL and a failure where
 * reserve() was too small. An operation remembers scratch_used at its start
 * and puts it back at its end.
 */
void *device_scratch(struct device *dev, const char *op, size_t bytes);
void device_scratch_free(struct device *dev); /* of a host backend, when it closes */

/* ---- shapes ------------------------------------------------------------- */

/* What saved_bytes and scratch_bytes are asked for; fields an operation does not have are 0. */
struct shape {
	int64_t rows;     /* R: rows of the call */
	int64_t hidden;   /* C */
	int64_t heads, kv_heads, head_dim; /* H, K, D */
	int64_t ffn;      /* F */
	int64_t vocab;    /* V */
	int64_t rank;     /* largest r of the call's adapters */
	int64_t segments; /* S */
	int64_t keys;     /* most keys any query of the call sees */
	bool qk_norm;
	bool head_grad;   /* head_loss with dW */
};

#define KERNEL_OPS(X)                                                                                                  \
	X(rmsnorm) X(rmsnorm_backward) X(linear) X(linear_dx) X(linear_dw) X(lora) X(lora_backward) X(rope)            \
	X(swiglu) X(swiglu_backward) X(log_softmax)                                                                    \
	X(embed) X(embed_backward) X(attn_in) X(attn_in_backward) X(attention) X(attention_backward) X(attn_out)       \
	X(attn_out_backward) X(mlp) X(mlp_backward) X(head_loss) X(logits) X(sample) X(gather_rows) X(scatter_rows)    \
	X(kv_append) X(copy) X(fill) X(norm2) X(adamw) X(merge)

#define KERNEL_OP_ENUM(name) OP_##name,
enum op { KERNEL_OPS(KERNEL_OP_ENUM) OP_COUNT };
#undef KERNEL_OP_ENUM

/* "linear", … */
const char *op_name(enum op op);

/* ---- weights ------------------------------------------------------------ */

enum weight_use { WEIGHT_FORWARD = 1, WEIGHT_DX = 2, WEIGHT_GATHER = 4 };

/*
 * A prepared group: n matrices [N_i, M] that share their input (q, k, v; gate,
 * up; or one alone). w[i] is the row view of the original matrix, borrowed:
 * the caller keeps it alive until release. `packed` is the backend's own.
 */
struct weight {
	int n;
	struct view w[3];
	unsigned uses;  /* enum weight_use, or-ed */
	void *packed;
	size_t bytes;   /* held in `packed`, counted in device.prepared */
};

/* The seven adapted matrices of a layer, as keys of dropout. */
enum module_id { MODULE_Q, MODULE_K, MODULE_V, MODULE_O, MODULE_GATE, MODULE_UP, MODULE_DOWN };

/* A low-rank adapter (Hu et al. 2021): y += scale * dropout(x) A^T B^T. */
struct lora {
	struct view a, b;   /* f32 [r, M], [N, r] */
	struct view da, db; /* their gradients, f32, accumulated; absent where not trained */
	float scale;        /* alpha / r, or alpha / sqrt(r) */
	float p;            /* dropout; used only where a struct dropout is given */
	uint32_t module;    /* enum module_id */
};

/* What the masks of one layer are drawn from (philox.h); NULL instead: no dropout. */
struct dropout {
	struct view state;   /* u64 [1, 2]: seed, optimizer step */
	struct view row_key; /* u64 [1, R] */
	uint32_t layer;
};

/* ---- segments: packing, shared prefixes, chunked prefill, decoding ------- */

/*
 * Segment s has the queries q_begin[s] … q_begin[s + 1] - 1 (n of them; empty
 * segments have none) and own_len[s] own keys; query t of n sees the own keys
 * 0 … own_len[s] - n + t, and every key of its prefix. Own key j lies in row
 * own_begin[s] + j of k and v, or, with pages, in row
 * pages[s][j / page_size] * page_size + j % page_size; prefix key j in row
 * prefix_begin[s] + j. With a window w > 0 a query at position p sees only
 * keys at positions > p - w; query t of n stands at pos[q_begin[s] + t] next
 * to own key own_len[s] - n + t, its other own keys at consecutive positions
 * before, prefix keys at 0 … prefix_len[s] - 1.
 *
 * For the backward pages are absent, all queries of a segment are in the call
 * (n = own_len), q_begin[s] = own_begin[s], and a prefix is the own rows of a
 * segment of the same call that stands before all its users: segment p is used
 * by segments user[user_begin[p] … user_begin[p + 1] - 1], ascending, and the
 * gradients of its keys are summed own first, then in that order.
 */
struct segments {
	int64_t count;               /* S; the arrays' bound, empty segments included */
	int64_t max_queries;         /* upper bounds over segments, for launch shapes */
	int64_t max_keys;            /* prefix_len + own_len */
	int64_t window;              /* 0: none */
	int64_t page_size;           /* with pages */
	struct view q_begin;         /* i32 [1, S + 1] */
	struct view own_begin;       /* i32 [1, S]; unused with pages */
	struct view own_len;         /* i32 [1, S] */
	struct view prefix_begin;    /* i32 [1, S] */
	struct view prefix_len;      /* i32 [1, S]; 0: no prefix */
	struct view pages;           /* i32 [S, P] or absent */
	struct view pos;             /* i32 [1, R]: position of each query */
	struct view user_begin;      /* i32 [1, S + 1]; backward only */
	struct view user;            /* i32 [1, any]; backward only */
};

struct attn_dims {
	int heads, kv_heads, head_dim; /* H, K, D; query head h reads key head h / (H / K) */
	float scale;                   /* of the scores: 1 / sqrt(D) unless the model says otherwise */
};

/* Rotary tables f32 [P, D / 2] for positions 0 … P - 1, filled by the host (rope_table). */
struct rope {
	struct view cos, sin;
};

enum rope_kind { ROPE_DEFAULT, ROPE_LINEAR, ROPE_LLAMA3 };

/* config.json rope_parameters; kinds not listed are refused before this point. */
struct rope_config {
	enum rope_kind kind;
	double theta;
	double factor;                               /* linear, llama3 */
	double low_freq_factor, high_freq_factor;    /* llama3 */
	double original_max_position_embeddings;     /* llama3 */
};

/*
 * cos and sin [positions, head_dim / 2] on the host. Frequencies are rounded
 * to f32 and multiplied by the position in f32, as transformers does, so both
 * see the same angle.
 */
void rope_table(float *cos_out, float *sin_out, int64_t positions, int head_dim, const struct rope_config *config);

/* ---- parameters of the composites ---------------------------------------- */

struct attn_in_params {
	struct attn_dims dims;
	struct view norm_w; /* [1, C] */
	float eps;
	const struct weight *wqkv;  /* [H D, C], [K D, C], [K D, C] */
	struct view bias[3];        /* [1, N] each; may be absent */
	const struct lora *lora[3]; /* may be NULL */
	struct view q_norm, k_norm; /* [1, D]: RMSNorm of each head before rotary; may be absent */
	struct rope rope;
	const struct dropout *drop; /* may be NULL */
};

struct attn_out_params {
	const struct weight *wo; /* [C, H D] */
	struct view bias;        /* [1, C]; may be absent */
	const struct lora *lora; /* may be NULL */
	const struct dropout *drop;
};

struct mlp_params {
	struct view norm_w; /* [1, C] */
	float eps;
	const struct weight *wgu;   /* [F, C], [F, C] */
	const struct weight *wdown; /* [C, F] */
	const struct lora *lora[3]; /* gate, up, down; may be NULL */
	const struct dropout *drop;
};

struct head_params {
	struct view norm_w; /* [1, C] */
	float eps;
	const struct weight *w; /* [V, C] */
};

/* Gradients of full fine-tuning, f32, accumulated, absent where not wanted; a NULL struct: none. */
struct attn_in_grads {
	struct view norm_w, w[3], bias[3], q_norm, k_norm;
};
struct attn_out_grads {
	struct view w, bias;
};
struct mlp_grads {
	struct view norm_w, gate, up, down;
};
struct head_grads {
	struct view norm_w, w;
};

struct sample_rule {
	float temperature; /* 0: greedy, the lowest id among equals */
	int top_k;         /* 0: all */
	float top_p;       /* 1: all */
};

struct sample_rng {
	struct view seed;     /* u64 [1, 1] */
	struct view row_id;   /* u64 [1, S] */
	struct view position; /* i32 [1, S] */
};

/* One tensor of an AdamW step; all f32 but the shadow. */
struct adamw_item {
	struct view p, g, m, v;
	struct view shadow; /* copy of p in a lower precision, rewritten after the update; may be absent */
	bool decay;         /* false for norms and biases */
};

/* Elements of `hyper`, f32 [1, ADAMW_HYPER], filled by the host. */
enum adamw_hyper {
	ADAMW_LR,
	ADAMW_BETA1,
	ADAMW_BETA2,
	ADAMW_EPS,
	ADAMW_DECAY,
	ADAMW_CORRECTION1, /* 1 - beta1^t, t from 1 */
	ADAMW_CORRECTION2, /* 1 - beta2^t */
	ADAMW_MAX_NORM,    /* 0: no clipping */
	ADAMW_HYPER
};

struct graph; /* a captured step */

/* ---- the table ------------------------------------------------------------ */

struct kernels {
	const char *name;

	/* Memory. alloc gives NULL and a failure where there is none; contents are zero. */
	struct buffer *(*alloc)(struct device *dev, size_t bytes);
	void (*free)(struct device *dev, struct buffer *buffer);
	void (*upload)(struct device *dev, struct view dst, const void *host);       /* host: dense rows x cols */
	void (*download)(struct device *dev, void *host, struct view src);
	void (*sync)(struct device *dev);                                            /* called by device_sync */
	void (*reserve)(struct device *dev, size_t bytes);                           /* scratch of at least this size */
	size_t (*scratch_bytes)(const struct device *dev, enum op op, const struct shape *shape);
	size_t (*saved_bytes)(const struct device *dev, enum op op, const struct shape *shape);

	/* Capture. A device without it does the calls at once; replay returns false: issue the calls. */
	void (*capture_begin)(struct device *dev);
	struct graph *(*capture_end)(struct device *dev);
	bool (*replay)(struct device *dev, struct graph *graph);
	void (*graph_free)(struct device *dev, struct graph *graph);

	/*
	 * Weights. prepare fills *weight from n host matrices for products in
	 * `dtype`; 0 or -1 with a failure. refresh follows a change of the
	 * original matrices and may do nothing.
	 */
	int (*prepare)(struct device *dev, struct weight *weight, int n, const struct view host[], enum dtype dtype,
		       unsigned uses);
	void (*refresh)(struct device *dev, struct weight *weight);
	void (*release)(struct device *dev, struct weight *weight);

	/* Primitives. */

	/* y[R,C] = w * x / sqrt(mean(x^2) + eps) */
	void (*rmsnorm)(struct device *dev, struct view y, struct view x, struct view w, float eps);
	/* dx[R,C] += J^T dy; dw[1,C] += sum over rows of dy * x / rms; either may be absent */
	void (*rmsnorm_backward)(struct device *dev, struct view dx, struct view dw, struct view dy, struct view x,
				 struct view w, float eps);
	/* y[R,N] = x[R,M] W_i[N,M]^T + bias[1,N]; add: y += instead. bias may be absent */
	void (*linear)(struct device *dev, struct view y, struct view x, const struct weight *w, int i,
		       struct view bias, bool add);
	/* dx[R,M] = dy[R,N] W_i; add: dx += */
	void (*linear_dx)(struct device *dev, struct view dx, struct view dy, const struct weight *w, int i, bool add);
	/* dw[N,M] += dy^T x; dbias[1,N] += column sums of dy; either may be absent */
	void (*linear_dw)(struct device *dev, struct view dw, struct view dbias, struct view dy, struct view x);
	/* xa[R,r] = drop(x) A^T (kept for the backward; f32); y[R,N] += scale * xa B^T */
	void (*lora)(struct device *dev, struct view y, struct view xa, struct view x, const struct lora *lora,
		     const struct dropout *drop);
	/*
	 * dB += scale * dy^T xa; g[R,r] = scale * dy B; dA += g^T drop(x);
	 * dx[R,M] += mask / (1 - p) * (g A), dx may be absent
	 */
	void (*lora_backward)(struct device *dev, struct view dx, struct view dy, struct view x, struct view xa,
			      const struct lora *lora, const struct dropout *drop);
	/*
	 * Each head of x[R, n D] in place: (a, b) = (x_j, x_{j + D/2}) becomes
	 * (a cos - b sin, b cos + a sin) with row pos[t] of the tables, which is
	 * transformers' rotate_half; inverse: by the negative angle (the backward).
	 */
	void (*rope)(struct device *dev, struct view x, struct view pos, const struct rope *rope, int head_dim,
		     bool inverse);
	/* y[R,F] = silu(g) * u, silu(g) = g / (1 + e^-g) */
	void (*swiglu)(struct device *dev, struct view y, struct view g, struct view u);
	/* dg = dy * u * silu'(g), du = dy * silu(g); dg may be g, du may be u */
	void (*swiglu_backward)(struct device *dev, struct view dg, struct view du, struct view dy, struct view g,
				struct view u);
	/* y[R,V] = x - log(sum(e^x)); y may be x */
	void (*log_softmax)(struct device *dev, struct view y, struct view x);

	/* Composites. */

	/* y[R,C] = W[ids]; ids i32 [1,R] in [0, V) */
	void (*embed)(struct device *dev, struct view y, const struct weight *w, struct view ids);
	/* dw[V,C] += rows of dy, in row order */
	void (*embed_backward)(struct device *dev, struct view dw, struct view dy, struct view ids);
	/*
	 * h = rmsnorm(x); q, k, v = h W^T + bias + low rank; q, k: RMSNorm per head
	 * where q_norm, k_norm are given, then rotary at pos. q[R, H D]; row t of
	 * k and v [any, K D] goes to row kv_dst[t] (i32 [1,R]), or t where absent.
	 */
	void (*attn_in)(struct device *dev, struct view q, struct view k, struct view v, struct view saved,
			struct view x, struct view pos, struct view kv_dst, const struct attn_in_params *params);
	/* want_dx false: nothing below needs a gradient, dx is left undefined. dq, dk, dv may be overwritten. */
	void (*attn_in_backward)(struct device *dev, struct view dx, const struct attn_in_grads *grads, struct view dq,
				 struct view dk, struct view dv, struct view saved, struct view pos,
				 const struct attn_in_params *params, bool want_dx);
	/*
	 * o[R, H D] = softmax(scale * q k^T over the keys the query sees) v;
	 * lse[R,H] = log of the softmax's sum, may be absent; rows of no segment
	 * become 0 in both
	 */
	void (*attention)(struct device *dev, struct view o, struct view lse, struct view q, struct view k,
			  struct view v, const struct segments *seg, const struct attn_dims *dims);
	/* dq[R, H D], dk, dv[R, K D] are written; rows of no segment become 0 */
	void (*attention_backward)(struct device *dev, struct view dq, struct view dk, struct view dv, struct view d_o,
				   struct view o, struct view lse, struct view q, struct view k, struct view v,
				   const struct segments *seg, const struct attn_dims *dims);
	/* x[R,C] += o Wo^T + bias + low rank */
	void (*attn_out)(struct device *dev, struct view x, struct view saved, struct view o,
			 const struct attn_out_params *params);
	/* d_o[R, H D] = dx Wo + low rank's; dx is read only; want_do false: d_o left undefined */
	void (*attn_out_backward)(struct device *dev, struct view d_o, const struct attn_out_grads *grads,
				  struct view dx, struct view saved, struct view o,
				  const struct attn_out_params *params, bool want_do);
	/* h = rmsnorm(x); x[R,C] += (silu(h Wg^T) * (h Wu^T)) Wdown^T, each product with its low rank */
	void (*mlp)(struct device *dev, struct view x, struct view saved, const struct mlp_params *params);
	void (*mlp_backward)(struct device *dev, struct view dx, const struct mlp_grads *grads, struct view saved,
			     const struct mlp_params *params, bool want_dx);
	/*
	 * z = rmsnorm(x) W^T, never held whole; logp[1,R] = z[target] - log(sum(e^z)).
	 * dx[R,C] (may be absent) and grads: gradients of L = -sum weight[r] * logp[r].
	 * target i32 [1,R], weight f32 [1,R]; a row with target < 0 has logp 0 and no gradient.
	 */
	void (*head_loss)(struct device *dev, struct view logp, struct view dx, const struct head_grads *grads,
			  struct view x, const struct head_params *params, struct view target, struct view weight);
	/* y[S,V] = rmsnorm(x) W^T, f32 */
	void (*logits)(struct device *dev, struct view y, struct view x, const struct head_params *params);
	/*
	 * id i32 [1,S], logp f32 [1,S]: logp at temperature 1 over all of V, before
	 * any truncation. Kept: of the ids ordered by logit descending, then id,
	 * the first top_k, and of these the shortest start whose share at
	 * `temperature` reaches top_p; drawn: the first kept id, by id, at which
	 * the running share exceeds u, u = philox_uniform of (seed, row id, position).
	 */
	void (*sample)(struct device *dev, struct view id, struct view logp, struct view logits,
		       const struct sample_rule *rule, const struct sample_rng *rng);
	/* y[R] = x[row[R]]; row i32; a negative row gives zeros */
	void (*gather_rows)(struct device *dev, struct view y, struct view x, struct view row);
	/* dx = 0, then dx[row[r]] = dy[r] for row[r] >= 0; rows are distinct */
	void (*scatter_rows)(struct device *dev, struct view dx, struct view dy, struct view row);
	/* cache_k[dst[t]] = k[t], cache_v[dst[t]] = v[t]; dst i32 [1,R]; a negative dst is skipped */
	void (*kv_append)(struct device *dev, struct view cache_k, struct view cache_v, struct view k, struct view v,
			  struct view dst);
	/* y = x, rounded to y's dtype */
	void (*copy)(struct device *dev, struct view y, struct view x);
	void (*fill)(struct device *dev, struct view y, float value);
	/* out f32 [1,1] = sum of squares over n views, in list order; n may be 0 */
	void (*norm2)(struct device *dev, struct view out, const struct view list[], int n);
	/*
	 * Loshchilov and Hutter 2019, as torch.optim.AdamW: g *= min(1, max_norm /
	 * (sqrt(norm2) + 1e-6)) where norm2 (f32 [1,1], may be absent) and max_norm
	 * > 0; p -= lr * decay * p; m, v moving averages; p -= lr / c1 * m /
	 * (sqrt(v / c2) + eps). g itself is not changed. A norm that is NaN makes
	 * every p NaN, as it does there.
	 */
	void (*adamw)(struct device *dev, const struct adamw_item list[], int n, struct view hyper, struct view norm2);
	/* out[N,M] = W + scale * B A, summed in f32, rounded once to out's dtype; out may be w */
	void (*merge)(struct device *dev, struct view out, struct view w, const struct lora *lora);
};

/* table.c: the reference's table, where every backend starts. */
const struct kernels *kernels_reference(void);

/* A device that runs the reference; NULL where memory ends. Closed by device_reference_free. */
struct device *device_reference_new(void);
void device_reference_free(struct device *dev);

#ifdef __cplusplus
}
#endif
#endif
