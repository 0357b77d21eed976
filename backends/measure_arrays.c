// SPDX-License-Identifier: Apache-2.0
/* The arrays that the cases of measure run on. */
#include <stdlib.h>
#include <string.h>

#include "backends/measure_case.h"
#include "reference/philox.h"

/* A buffer of rows x cols that bench_release frees. */
static struct view empty(struct bench *b, int64_t rows, int64_t cols, enum dtype dtype)
{
	if (b->n == BENCH_BUFFERS)
		device_fail(b->dev, "bench", "more than %d arrays", BENCH_BUFFERS);
	if (b->dev->failure[0])
		return view_none();
	struct buffer *buffer = b->k->alloc(b->dev, (size_t)(rows * cols) * dtype_size(dtype));
	if (!buffer)
		return view_none();
	b->buffers[b->n++] = buffer;
	return view_of(buffer, rows, cols, dtype);
}

/* A matrix on the host; its memory is bench_release's. */
static struct view on_host(struct bench *b, int64_t rows, int64_t cols, enum dtype dtype)
{
	size_t bytes = ((size_t)(rows * cols) * dtype_size(dtype) + 63) / 64 * 64;
	void *data = b->host < BENCH_HOSTS ? aligned_alloc(64, bytes) : NULL;
	if (!data) {
		device_fail(b->dev, "bench", "no memory for a matrix of %zu bytes on the host", bytes);
		return view_none();
	}
	b->hosts[b->host] = (struct buffer){data, bytes};
	return view_of(&b->hosts[b->host++], rows, cols, dtype);
}

/* Row by row, so that a large matrix needs no second copy on the host. */
static void upload_rows(struct bench *b, struct view v, const float *row)
{
	struct view one = v;
	for (int64_t i = 0; view_present(v) && i < v.rows; i++) {
		one = view_rows(v, i, 1);
		b->k->upload(b->dev, one, row + i % 97);
	}
}

/* cols + 100 numbers in [-scale, scale), of which a matrix has windows for rows: that costs little to make. */
static float *random_row(int64_t cols, float scale, uint32_t which)
{
	float *row = malloc((size_t)(cols + 100) * sizeof *row);
	struct philox_key key = philox_stream(1, PHILOX_INIT, which, 0, 0);
	for (int64_t j = 0; row && j < cols + 100; j++)
		row[j] = scale * (2 * (float)philox_uniform(philox_at(key, (uint32_t)j, 0)) - 1);
	return row;
}

static struct view random_rows(struct bench *b, int64_t rows, int64_t cols, float scale)
{
	struct view v = empty(b, rows, cols, DTYPE_F32);
	float *row = random_row(cols, scale, (uint32_t)b->n);
	if (row)
		upload_rows(b, v, row);
	free(row);
	return v;
}

static struct view random_host(struct bench *b, int64_t rows, int64_t cols, float scale)
{
	struct view v = on_host(b, rows, cols, DTYPE_F32);
	float *row = random_row(cols, scale, (uint32_t)(BENCH_BUFFERS + b->host));
	for (int64_t i = 0; row && view_present(v) && i < rows; i++)
		memcpy(view_row(v, i), row + i % 97, (size_t)cols * sizeof *row);
	free(row);
	return v;
}

static struct view i32_row(struct bench *b, int64_t cols, int64_t step, int64_t limit)
{
	struct view v = empty(b, 1, cols, DTYPE_I32);
	int32_t *values = malloc((size_t)cols * sizeof *values);
	for (int64_t j = 0; values && j < cols; j++)
		values[j] = (int32_t)(j * step % limit);
	if (values && view_present(v))
		b->k->upload(b->dev, v, values);
	free(values);
	return v;
}

static struct view u64_row(struct bench *b, int64_t cols)
{
	struct view v = empty(b, 1, cols, DTYPE_U64);
	uint64_t *values = malloc((size_t)cols * sizeof *values);
	for (int64_t j = 0; values && j < cols; j++)
		values[j] = row_key(0, (uint32_t)j);
	if (values && view_present(v))
		b->k->upload(b->dev, v, values);
	free(values);
	return v;
}

static struct view filled(struct bench *b, int64_t rows, int64_t cols, float value)
{
	struct view v = empty(b, rows, cols, DTYPE_F32);
	if (view_present(v))
		b->k->fill(b->dev, v, value);
	return v;
}

static void activations(struct bench *b)
{
	const struct measure_model *m = b->m;
	int64_t T = BENCH_TOKENS, C = m->hidden, Q = (int64_t)m->heads * m->head_dim, K = (int64_t)m->kv_heads * m->head_dim;
	struct {
		struct view *to;
		int64_t cols;
	} list[] = {{&b->x, C}, {&b->y, C}, {&b->h, C}, {&b->dx, C}, {&b->q, Q}, {&b->d_q, Q}, {&b->o, Q}, {&b->key, K},
		    {&b->value, K}, {&b->d_key, K}, {&b->d_value, K}, {&b->g, m->ffn}, {&b->u, m->ffn}, {&b->a, m->ffn},
		    {&b->d_g, m->ffn}, {&b->d_u, m->ffn}};
	for (size_t i = 0; i < sizeof list / sizeof *list; i++)
		*list[i].to = random_rows(b, T, list[i].cols, 1);
	b->lse = filled(b, T, m->heads, 0);
	b->xa = filled(b, T, BENCH_RANK, 0);
	b->norm_w = filled(b, 1, C, 1);
	b->ids = i32_row(b, T, 7919, C < m->ffn ? C : m->ffn);
	b->pos = i32_row(b, T, 1, T);
	b->one_x = view_rows(b->x, 0, 1);
	b->one_y = view_rows(b->g, 0, 1);
}

static void targets(struct bench *b)
{
	const struct measure_model *m = b->m;
	b->rows_y = random_rows(b, BENCH_TARGETS, m->hidden, 1);
	b->rows_dx = filled(b, BENCH_TARGETS, m->hidden, 0);
	b->rows = i32_row(b, BENCH_TARGETS, 2, BENCH_TOKENS);
	b->target = i32_row(b, BENCH_TARGETS, 61, m->vocab);
	b->weight = filled(b, 1, BENCH_TARGETS, 1.0f / BENCH_TARGETS);
	b->logp = filled(b, 1, BENCH_TARGETS, 0);
	b->logits = random_rows(b, BENCH_SLOTS, m->vocab, 4);
	b->sampled = i32_row(b, BENCH_SLOTS, 0, 1);
	b->sampled_logp = filled(b, 1, BENCH_SLOTS, 0);
	b->seed = u64_row(b, 1);
	b->row_id = u64_row(b, BENCH_SLOTS);
	b->position = i32_row(b, BENCH_SLOTS, 1, BENCH_SLOTS);
}

static void optimizer(struct bench *b)
{
	static const float hyper[ADAMW_HYPER] = {1e-4f, 0.9f, 0.999f, 1e-8f, 0.01f, 0.1f, 0.001f, 1.0f};
	b->hyper = empty(b, 1, ADAMW_HYPER, DTYPE_F32);
	if (view_present(b->hyper))
		b->k->upload(b->dev, b->hyper, hyper);
	b->norm2 = filled(b, 1, 1, 1);
	b->m1 = filled(b, BENCH_TOKENS, b->m->ffn, 0);
	b->m2 = filled(b, BENCH_TOKENS, b->m->ffn, 0);
	b->grad = filled(b, b->m->ffn, b->m->hidden, 0);
}

/* As a model prepares it: a layer's is never gathered from, which leaves a backend room to lay it out. */
static void group(struct bench *b, struct weight *w, int n, const int64_t out[], int64_t in, unsigned more)
{
	struct view host[3];
	for (int i = 0; i < n; i++)
		host[i] = random_host(b, out[i], in, 0.05f);
	if (!b->dev->failure[0])
		b->k->prepare(b->dev, w, n, host, DTYPE_F32, WEIGHT_FORWARD | WEIGHT_DX | more);
}

static void weights(struct bench *b)
{
	const struct measure_model *m = b->m;
	int64_t C = m->hidden, F = m->ffn, Q = (int64_t)m->heads * m->head_dim, K = (int64_t)m->kv_heads * m->head_dim;
	group(b, &b->qkv, 3, (const int64_t[]){Q, K, K}, C, 0);
	group(b, &b->wo, 1, (const int64_t[]){C}, Q, 0);
	group(b, &b->gu, 2, (const int64_t[]){F, F}, C, 0);
	group(b, &b->down, 1, (const int64_t[]){C}, F, 0);
	group(b, &b->head, 1, (const int64_t[]){m->vocab}, C, WEIGHT_GATHER);
	group(b, &b->gate, 1, (const int64_t[]){F}, C, 0);
	struct view narrow = on_host(b, F, C, DTYPE_BF16), rounded = empty(b, F, C, DTYPE_BF16);
	if (b->dev->failure[0])
		return;
	b->k->copy(b->dev, rounded, b->gate.w[0]);
	b->k->download(b->dev, view_row(narrow, 0), rounded);
	b->k->prepare(b->dev, &b->gate16, 1, &narrow, DTYPE_BF16, WEIGHT_FORWARD);
}

static void adapters(struct bench *b)
{
	const struct measure_model *m = b->m;
	int64_t C = m->hidden, F = m->ffn, Q = (int64_t)m->heads * m->head_dim, K = (int64_t)m->kv_heads * m->head_dim;
	const int64_t in[7] = {C, C, C, Q, C, C, F}, out[7] = {Q, K, K, C, F, F, C};
	for (int i = 0; i < 7; i++) {
		b->lora[i] = (struct lora){.scale = 2, .p = 0.1f, .module = (uint32_t)i};
		b->lora[i].a = random_rows(b, BENCH_RANK, in[i], 0.02f);
		b->lora[i].b = random_rows(b, out[i], BENCH_RANK, 0.02f);
		b->lora[i].da = filled(b, BENCH_RANK, in[i], 0);
		b->lora[i].db = filled(b, out[i], BENCH_RANK, 0);
	}
	b->drop = (struct dropout){.state = u64_row(b, 2), .row_key = u64_row(b, BENCH_TOKENS)};
}

static struct view i32_of(struct bench *b, int32_t first, int32_t second, int64_t n)
{
	const int32_t values[2] = {first, second};
	struct view v = empty(b, 1, n, DTYPE_I32);
	if (view_present(v))
		b->k->upload(b->dev, v, values);
	return v;
}

static void segment(struct bench *b)
{
	struct view zero = i32_of(b, 0, 0, 1), zeros = i32_of(b, 0, 0, 2);
	b->seg = (struct segments){.count = 1, .max_queries = BENCH_TOKENS, .max_keys = BENCH_TOKENS,
				   .q_begin = i32_of(b, 0, BENCH_TOKENS, 2), .own_begin = zero,
				   .own_len = i32_of(b, BENCH_TOKENS, 0, 1), .prefix_begin = zero, .prefix_len = zero,
				   .pos = b->pos, .user_begin = zeros, .user = zero};
}

static void rope(struct bench *b)
{
	const struct rope_config config = {.kind = ROPE_DEFAULT, .theta = 10000};
	int64_t half = b->m->head_dim / 2, n = BENCH_TOKENS * half;
	float *host = malloc(2 * (size_t)n * sizeof *host);
	b->in.rope.cos = empty(b, BENCH_TOKENS, half, DTYPE_F32);
	b->in.rope.sin = empty(b, BENCH_TOKENS, half, DTYPE_F32);
	if (!host) {
		device_fail(b->dev, "bench", "out of memory");
	} else if (!b->dev->failure[0]) {
		rope_table(host, host + n, BENCH_TOKENS, b->m->head_dim, &config);
		b->k->upload(b->dev, b->in.rope.cos, host);
		b->k->upload(b->dev, b->in.rope.sin, host + n);
	}
	free(host);
}

static void parameters(struct bench *b)
{
	const struct measure_model *m = b->m;
	const struct lora *l = b->lora;
	b->in.dims = (struct attn_dims){m->heads, m->kv_heads, m->head_dim, 0.125f};
	b->in.norm_w = b->norm_w, b->in.eps = 1e-5f, b->in.wqkv = &b->qkv, b->in.drop = &b->drop;
	for (int i = 0; i < 3; i++)
		b->in.lora[i] = &l[MODULE_Q + i];
	b->out = (struct attn_out_params){.wo = &b->wo, .lora = &l[MODULE_O], .drop = &b->drop};
	b->mlp = (struct mlp_params){.norm_w = b->norm_w, .eps = 1e-5f, .wgu = &b->gu, .wdown = &b->down,
				     .lora = {&l[MODULE_GATE], &l[MODULE_UP], &l[MODULE_DOWN]}, .drop = &b->drop};
	b->head_params = (struct head_params){b->norm_w, 1e-5f, &b->head};
}

static void areas(struct bench *b)
{
	const struct measure_model *m = b->m;
	const enum op kept[3] = {OP_attn_in, OP_attn_out, OP_mlp};
	struct shape shape = {BENCH_TOKENS, m->hidden, m->heads, m->kv_heads, m->head_dim, m->ffn, m->vocab,
			      BENCH_RANK, 1, BENCH_TOKENS, false, false};
	for (int i = 0; i < 3; i++)
		b->saved[i] = empty(b, 1, (int64_t)b->k->saved_bytes(b->dev, kept[i], &shape), DTYPE_U8);
	for (int op = 0; op < OP_COUNT; op++) {
		shape.rows = op == OP_head_loss ? BENCH_TARGETS : BENCH_TOKENS;
		shape.vocab = op == OP_log_softmax && m->ffn > m->vocab ? m->ffn : m->vocab;
		b->k->reserve(b->dev, b->k->scratch_bytes(b->dev, (enum op)op, &shape));
	}
}

int bench_init(struct bench *bench, struct device *dev, const struct measure_model *model)
{
	*bench = (struct bench){.dev = dev, .k = dev->k, .m = model};
	activations(bench);
	targets(bench);
	optimizer(bench);
	weights(bench);
	adapters(bench);
	segment(bench);
	rope(bench);
	parameters(bench);
	areas(bench);
	return device_sync(dev) ? -1 : 0;
}

void bench_release(struct bench *b)
{
	struct weight *all[] = {&b->qkv, &b->wo, &b->gu, &b->down, &b->head, &b->gate, &b->gate16};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		b->k->release(b->dev, all[i]);
	while (b->n > 0)
		b->k->free(b->dev, b->buffers[--b->n]);
	while (b->host > 0)
		free(b->hosts[--b->host].data);
}
