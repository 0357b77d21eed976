// SPDX-License-Identifier: Apache-2.0
/*
 * gpu_bench --model NAME --job JOB [--backend cuda] [--tokens 4096] [--length 1024] [--rank 16] [--targets qv|all]
 *           [--dropout P] [--slots 512] [--prompt 300] [--new 200] [--steps 5] [--capture] [--json]
 *
 * A whole student of random bf16 weights on one device, run through the kernel table alone, in the sequences of
 * reference/kernel.h. Jobs:
 *
 *     train           LoRA: one micro-batch of `tokens` tokens in segments of `length`, all of them targets, is one
 *                     optimizer step; nothing is computed twice. The data stay the same, so the loss must fall.
 *     score           the forward half and every token's log-probability
 *     decode          greedy, `slots` slots of `prompt` cached tokens, until `new` tokens more; captured and replayed
 *     roofs           what the device's own copy and its largest product reach
 *     profile         every operation of a train step alone, called for all layers one after the other
 *     profile_decode  likewise of a decode step in its middle
 *
 * Two warm-up steps, then the median of `steps`; a step ends where the device has finished it. FLOPs of a token: N
 * weights in products, head included; forward 2 N and attention's causal half 2 L Q T; the backward of LoRA 2 N and
 * twice that attention. The floor of a decode step: the longer of weights and cache at the copy's bandwidth and of its
 * FLOPs at 790 TFLOP/s, which an H100 or H200 reaches in dense bf16 products.
 */
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "backends/backend.h"
#include "reference/philox.h"
#include "src/base/mem.h"

static const double peak = 790e12;

struct model {
	const char *name;
	int64_t layers, hidden, heads, kv_heads, head_dim, ffn, vocab;
	bool tied;
	int64_t roof; /* rows and columns of the roofs' matrices */
};

static const struct model models[] = {
	{"llama-3-8b", 32, 4096, 32, 8, 128, 14336, 128256, false, 8192},
	{"tinyllama-1.1b", 22, 2048, 32, 4, 64, 5632, 32000, false, 8192},
	{"smollm2-135m", 30, 576, 9, 3, 64, 1536, 49152, true, 8192},
	{"tiny", 2, 128, 2, 1, 64, 256, 512, true, 128},
};

enum { MODULES = 7, PAGE = 32, WARM = 2, HOSTS = 9, PER_LAYER = 8, FIXED = 96 };

struct options {
	const struct model *model;
	const char *backend, *job, *targets;
	int64_t tokens, length, rank, slots, prompt, created, steps;
	double dropout;
	bool capture, json;
};

/* What a layer's forward leaves for its backward; without a backward all layers share the first four. */
struct kept {
	struct view q, k, v, o, lse, in, out, mlp;
};

struct layer {
	struct weight qkv, wo, gu, down;
	struct lora lora[MODULES];
	struct attn_in_params in;
	struct attn_out_params out;
	struct mlp_params mlp;
	struct dropout drop;
	struct kept kept;
	struct view cache_k, cache_v;
};

struct stack {
	struct device *dev;
	const struct kernels *k;
	const struct model *m;
	const struct options *o;
	int64_t rows, segments;      /* of a call */
	uint16_t *numbers;           /* the host's random bf16 numbers, of which every matrix is a part */
	struct buffer host[HOSTS];
	int hosts;
	struct buffer **buffer;      /* all arrays of the device */
	size_t buffers;
	struct layer *layer;
	struct weight embedding, head_weight;
	struct head_params head;
	struct rope rope;
	struct view norm_w;
	struct view x, dx, d_o, dq, dk, dv, y, dy;
	struct view ids, pos, row, target, weight, logp, row_key, state, kv_dst, zero;
	struct segments seg;
	struct view logits, sampled, hyper, norm2;
	struct view p, g, m1, m2;    /* of all adapters */
	struct adamw_item *items;
	int n_items;
	int32_t *host_ids, *host_pos, *host_target, *host_q_begin, *host_own_len, *host_kv_dst; /* of a call */
	float *host_logp;
	float loss;
	struct graph *graph;
	int64_t calls;
};

/* ---- time and report --------------------------------------------------------------- */

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

static double median(double *values, int64_t n)
{
	qsort(values, (size_t)n, sizeof *values, ascending);
	return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

struct figure {
	const char *name;
	double value;
	const char *unit;
	int digits;
};

static void print_text(const struct options *o, const char *setting, const struct figure *f, size_t n)
{
	printf("%s %s %s:", o->model->name, o->job, setting);
	for (size_t i = 0; i < n; i++)
		printf("%s %s %.*f%s%s", i ? "," : "", f[i].name, f[i].digits, f[i].value, f[i].unit[0] ? " " : "",
		       f[i].unit);
	printf("\n");
}

static void print_json(const struct options *o, const char *setting, const struct figure *f, size_t n)
{
	printf("{\"arm\": \"ours\", \"backend\": \"%s\", \"model\": \"%s\", \"job\": \"%s\", \"setting\": \"%s\"",
	       o->backend, o->model->name, o->job, setting);
	for (size_t i = 0; i < n; i++)
		if (isfinite(f[i].value))
			printf(", \"%s\": %.6g", f[i].name, f[i].value);
		else
			printf(", \"%s\": null", f[i].name);
	printf("}\n");
}

static void report(const struct options *o, const char *setting, const struct figure *f, size_t n)
{
	(o->json ? print_json : print_text)(o, setting, f, n);
	fflush(stdout);
}

#define REPORT(o, setting, ...)                                                                                        \
	do {                                                                                                           \
		const struct figure figures[] = {__VA_ARGS__};                                                         \
		report(o, setting, figures, sizeof figures / sizeof *figures);                                         \
	} while (0)

/* The device's failure as an err; 0 where there is none. */
static int finish(struct stack *s, struct err *err)
{
	const char *failure = device_sync(s->dev);
	return failure ? err_set(err, ERR_MEMORY, "%s", failure) : 0;
}

/* ---- counts ------------------------------------------------------------------------- */

static int64_t query(const struct model *m)
{
	return m->heads * m->head_dim;
}

static int64_t key(const struct model *m)
{
	return m->kv_heads * m->head_dim;
}

/* Weights that stand in products, of a layer and of all. */
static double layer_weights(const struct model *m)
{
	return (double)(m->hidden * (2 * query(m) + 2 * key(m) + 3 * m->ffn));
}

static double head_weights(const struct model *m)
{
	return (double)(m->vocab * m->hidden);
}

static double all_weights(const struct model *m)
{
	return (double)m->layers * layer_weights(m) + head_weights(m);
}

/* FLOPs of a token's attention over `keys` keys, all layers. */
static double attention_flops(const struct model *m, double keys)
{
	return 4 * (double)(m->layers * query(m)) * keys;
}

static double held(const struct stack *s)
{
	return 1e-9 * (double)(s->dev->allocated + s->dev->prepared);
}

/* ---- arrays ------------------------------------------------------------------------- */

static struct view array(struct stack *s, int64_t rows, int64_t cols, enum dtype dtype)
{
	if (s->dev->failure[0])
		return view_none();
	struct buffer *buffer = s->k->alloc(s->dev, (size_t)rows * (size_t)cols * dtype_size(dtype));
	if (!buffer)
		return view_none();
	s->buffer[s->buffers++] = buffer;
	return view_of(buffer, rows, cols, dtype);
}

static void put(struct stack *s, struct view v, const void *host)
{
	if (!s->dev->failure[0])
		s->k->upload(s->dev, v, host);
}

/* A number of the host's: the same ones in every run. */
static uint64_t draw(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static uint16_t bf16_of(float f)
{
	uint32_t bits;
	memcpy(&bits, &f, sizeof bits);
	return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/* Numbers of the largest matrix, and as far again as its parts' beginnings lie apart. */
static size_t host_numbers(const struct model *m)
{
	int64_t most = m->ffn > m->vocab ? m->ffn : m->vocab, wide = m->ffn > m->hidden ? m->ffn : m->hidden;
	return (size_t)(most * m->hidden > wide * m->hidden ? most * m->hidden : wide * m->hidden) + HOSTS * 4096;
}

/* Normal numbers of deviation 0.02 from a table (Box and Muller 1958), the same again after a prime PERIOD. */
static int draw_numbers(struct stack *s, struct err *err)
{
	enum { TABLE = 1 << 16, PERIOD = 16777213 };
	uint16_t *table = mem_array(TABLE, sizeof *table, err);
	size_t n = host_numbers(s->m);
	uint64_t state = 88172645463325252u;
	s->numbers = mem_array(n, sizeof *s->numbers, err);
	for (size_t i = 0; table && i < TABLE; i++) {
		double u = ((double)(draw(&state) >> 11) + 1) / 9007199254740993.0, w = (double)(draw(&state) >> 11);
		table[i] = bf16_of((float)(0.02 * sqrt(-2 * log(u)) * cos(2 * M_PI * w / 9007199254740992.0)));
	}
	for (size_t i = 0; table && s->numbers && i < n && i < PERIOD; i++)
		s->numbers[i] = table[draw(&state) >> 48];
	for (size_t i = PERIOD; table && s->numbers && i < n; i += PERIOD)
		memcpy(s->numbers + i, s->numbers, (n - i < PERIOD ? n - i : PERIOD) * sizeof *s->numbers);
	bool good = table && s->numbers;
	free(table);
	return good ? 0 : -1;
}

/* A host matrix; each begins elsewhere in the numbers, by no multiple of a row, so that no two are alike. */
static struct view host_matrix(struct stack *s, int64_t rows, int64_t cols)
{
	struct buffer *b = &s->host[s->hosts];
	*b = (struct buffer){s->numbers + (size_t)s->hosts * 4064, (size_t)(rows * cols) * sizeof *s->numbers};
	s->hosts++;
	return view_of(b, rows, cols, DTYPE_BF16);
}

/* ---- weights ------------------------------------------------------------------------ */

static void prepare(struct stack *s, struct weight *w, int n, const struct view host[], unsigned uses)
{
	if (!s->dev->failure[0])
		s->k->prepare(s->dev, w, n, host, DTYPE_BF16, uses);
}

static void prepare_layers(struct stack *s, unsigned uses)
{
	const struct model *m = s->m;
	int64_t C = m->hidden, F = m->ffn, Q = query(m), K = key(m);
	const struct view qkv[3] = {host_matrix(s, Q, C), host_matrix(s, K, C), host_matrix(s, K, C)};
	const struct view wo = host_matrix(s, C, Q), down = host_matrix(s, C, F);
	const struct view gu[2] = {host_matrix(s, F, C), host_matrix(s, F, C)};
	for (struct layer *l = s->layer; l < s->layer + m->layers; l++) {
		prepare(s, &l->qkv, 3, qkv, uses);
		prepare(s, &l->wo, 1, &wo, uses);
		prepare(s, &l->gu, 2, gu, uses);
		prepare(s, &l->down, 1, &down, uses);
	}
}

static void prepare_ends(struct stack *s, unsigned uses)
{
	const struct view embedding = host_matrix(s, s->m->vocab, s->m->hidden);
	prepare(s, &s->embedding, 1, &embedding, WEIGHT_GATHER | (s->m->tied ? uses : 0));
	if (!s->m->tied) {
		const struct view head = host_matrix(s, s->m->vocab, s->m->hidden);
		prepare(s, &s->head_weight, 1, &head, uses);
	}
	s->head = (struct head_params){s->norm_w, 1e-5f, s->m->tied ? &s->embedding : &s->head_weight};
}

static int make_rope(struct stack *s, int64_t positions, struct err *err)
{
	const struct rope_config config = {.kind = ROPE_DEFAULT, .theta = 500000};
	int64_t half = s->m->head_dim / 2;
	float *host = mem_array((size_t)(2 * positions * half), sizeof *host, err);
	if (!host)
		return -1;
	rope_table(host, host + positions * half, positions, (int)s->m->head_dim, &config);
	s->rope = (struct rope){array(s, positions, half, DTYPE_F32), array(s, positions, half, DTYPE_F32)};
	put(s, s->rope.cos, host);
	put(s, s->rope.sin, host + positions * half);
	free(host);
	return 0;
}

static void set_parameters(struct stack *s)
{
	const struct model *m = s->m;
	const struct attn_dims dims = {(int)m->heads, (int)m->kv_heads, (int)m->head_dim,
				       (float)(1 / sqrt((double)m->head_dim))};
	for (struct layer *l = s->layer; l < s->layer + m->layers; l++) {
		l->in = (struct attn_in_params){.dims = dims, .norm_w = s->norm_w, .eps = 1e-5f, .wqkv = &l->qkv,
						.rope = s->rope};
		l->out = (struct attn_out_params){.wo = &l->wo};
		l->mlp = (struct mlp_params){.norm_w = s->norm_w, .eps = 1e-5f, .wgu = &l->gu, .wdown = &l->down};
	}
}

static int make_model(struct stack *s, int64_t positions, bool backward, struct err *err)
{
	unsigned uses = WEIGHT_FORWARD | (backward ? WEIGHT_DX : 0);
	if (draw_numbers(s, err) || make_rope(s, positions, err))
		return -1;
	s->norm_w = array(s, 1, s->m->hidden, DTYPE_F32);
	if (!s->dev->failure[0])
		s->k->fill(s->dev, s->norm_w, 1);
	prepare_layers(s, uses);
	prepare_ends(s, uses);
	set_parameters(s);
	return finish(s, err);
}

/* ---- adapters ------------------------------------------------------------------------- */

static bool targeted(const struct options *o, int module)
{
	return !strcmp(o->targets, "all") || module == MODULE_Q || module == MODULE_V;
}

static void module_shape(const struct model *m, int module, int64_t *rows, int64_t *cols)
{
	const int64_t C = m->hidden, F = m->ffn, Q = query(m), K = key(m);
	const int64_t out[MODULES] = {Q, K, K, C, F, F, C}, in[MODULES] = {C, C, C, Q, C, C, F};
	*rows = out[module];
	*cols = in[module];
}

static struct view part(struct view flat, int64_t at, int64_t rows, int64_t cols)
{
	flat.offset += at;
	flat.rows = rows;
	flat.cols = flat.ld = cols;
	return flat;
}

static int64_t adapter_numbers(const struct stack *s)
{
	int64_t n = 0, rows, cols;
	for (int module = 0; module < MODULES; module++) {
		module_shape(s->m, module, &rows, &cols);
		n += targeted(s->o, module) ? s->o->rank * (rows + cols) : 0;
	}
	return n * s->m->layers;
}

/* A matrix of an adapter, its gradient and its item; returns the numbers taken. */
static int64_t place_one(struct stack *s, struct view *p, struct view *g, int64_t at, int64_t rows, int64_t cols)
{
	*p = part(s->p, at, rows, cols);
	*g = part(s->g, at, rows, cols);
	s->items[s->n_items++] = (struct adamw_item){.p = *p, .g = *g, .m = part(s->m1, at, rows, cols),
						     .v = part(s->m2, at, rows, cols), .decay = true};
	return rows * cols;
}

/* A uniform in +- 1 / sqrt(columns), B zero, as PEFT begins. */
static void init_adapter(struct stack *s, const struct lora *l, float *host, uint64_t *state)
{
	int64_t n = l->a.rows * l->a.cols;
	float bound = (float)(1 / sqrt((double)l->a.cols));
	for (int64_t i = 0; i < n; i++)
		host[i] = bound * ((float)(draw(state) >> 40) / 8388608.0f - 1);
	put(s, l->a, host);
}

static void set_adapters(struct stack *s, struct layer *l, int64_t index)
{
	const struct lora **slot[MODULES] = {&l->in.lora[0], &l->in.lora[1], &l->in.lora[2], &l->out.lora,
					     &l->mlp.lora[0], &l->mlp.lora[1], &l->mlp.lora[2]};
	for (int module = 0; module < MODULES; module++)
		if (targeted(s->o, module))
			*slot[module] = &l->lora[module];
	l->drop = (struct dropout){s->state, s->row_key, (uint32_t)index};
	if (s->o->dropout > 0)
		l->in.drop = l->out.drop = l->mlp.drop = &l->drop;
}

static void place_adapters(struct stack *s, float *host)
{
	uint64_t state = 6364136223846793005u;
	int64_t at = 0, rows, cols;
	for (int64_t i = 0; i < s->m->layers * MODULES; i++) {
		struct lora *l = &s->layer[i / MODULES].lora[i % MODULES];
		if (!targeted(s->o, (int)(i % MODULES)))
			continue;
		module_shape(s->m, (int)(i % MODULES), &rows, &cols);
		*l = (struct lora){.scale = 2, .p = (float)s->o->dropout, .module = (uint32_t)(i % MODULES)};
		at += place_one(s, &l->a, &l->da, at, s->o->rank, cols);
		at += place_one(s, &l->b, &l->db, at, rows, s->o->rank);
		init_adapter(s, l, host, &state);
	}
}

static int make_adapters(struct stack *s, struct err *err)
{
	int64_t n = adapter_numbers(s), wide = s->m->ffn > query(s->m) ? s->m->ffn : query(s->m);
	struct view *flat[] = {&s->p, &s->g, &s->m1, &s->m2};
	float *host = mem_array((size_t)(s->o->rank * (wide > s->m->hidden ? wide : s->m->hidden)), sizeof *host, err);
	s->items = mem_array((size_t)(2 * MODULES * s->m->layers), sizeof *s->items, err);
	for (int i = 0; i < 4; i++)
		*flat[i] = array(s, 1, n, DTYPE_F32);
	s->hyper = array(s, 1, ADAMW_HYPER, DTYPE_F32);
	s->norm2 = array(s, 1, 1, DTYPE_F32);
	if (host && s->items)
		place_adapters(s, host);
	free(host);
	for (int64_t i = 0; i < s->m->layers; i++)
		set_adapters(s, &s->layer[i], i);
	return host && s->items ? finish(s, err) : -1;
}

/* ---- arrays of a call ------------------------------------------------------------------ */

static struct shape shape_of(const struct stack *s, int64_t rank)
{
	const struct model *m = s->m;
	return (struct shape){.rows = s->rows, .hidden = m->hidden, .heads = m->heads, .kv_heads = m->kv_heads,
			      .head_dim = m->head_dim, .ffn = m->ffn, .vocab = m->vocab, .rank = rank,
			      .segments = s->segments, .keys = s->seg.max_keys};
}

static void reserve(struct stack *s, int64_t rank)
{
	static const enum op ops[] = {OP_embed, OP_attn_in, OP_attn_in_backward, OP_attention, OP_attention_backward,
				      OP_attn_out, OP_attn_out_backward, OP_mlp, OP_mlp_backward, OP_gather_rows,
				      OP_scatter_rows, OP_head_loss, OP_logits, OP_sample, OP_norm2, OP_adamw};
	bool backward = rank > 0, decodes = view_present(s->logits);
	struct shape shape = shape_of(s, rank);
	size_t most = 0, bytes;
	for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
		bool later = ops[i] == OP_attn_in_backward || ops[i] == OP_attention_backward ||
			     ops[i] == OP_attn_out_backward || ops[i] == OP_mlp_backward;
		if ((later && !backward) || ((ops[i] == OP_logits || ops[i] == OP_sample) && !decodes) ||
		    (ops[i] == OP_head_loss && decodes))
			continue;
		bytes = s->k->scratch_bytes(s->dev, ops[i], &shape);
		most = bytes > most ? bytes : most;
	}
	if (!s->dev->failure[0])
		s->k->reserve(s->dev, most);
}

static int make_hosts(struct stack *s, struct err *err)
{
	int32_t **list[] = {&s->host_ids, &s->host_pos, &s->host_target, &s->host_q_begin, &s->host_own_len,
			    &s->host_kv_dst};
	for (size_t i = 0; i < sizeof list / sizeof *list; i++)
		if (!(*list[i] = mem_array((size_t)(s->rows + s->segments + 1), sizeof **list[i], err)))
			return -1;
	s->host_logp = mem_array((size_t)s->rows, sizeof *s->host_logp, err);
	return s->host_logp ? 0 : -1;
}

static void make_indices(struct stack *s)
{
	int64_t R = s->rows, S = s->segments;
	struct view *rows[] = {&s->ids, &s->pos, &s->row, &s->target, &s->kv_dst};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		*rows[i] = array(s, 1, R, DTYPE_I32);
	s->weight = array(s, 1, R, DTYPE_F32);
	s->logp = array(s, 1, R, DTYPE_F32);
	s->row_key = array(s, 1, R, DTYPE_U64);
	s->state = array(s, 1, 2, DTYPE_U64);
	s->zero = array(s, 1, S + 1, DTYPE_I32); /* stays 0 */
	s->seg.count = S;
	s->seg.q_begin = array(s, 1, S + 1, DTYPE_I32);
	s->seg.own_begin = array(s, 1, S, DTYPE_I32);
	s->seg.own_len = array(s, 1, S, DTYPE_I32);
	s->seg.prefix_begin = s->seg.prefix_len = s->seg.user = view_cols(s->zero, 0, S);
	s->seg.user_begin = s->zero;
	s->seg.pos = s->pos;
}

static void make_activations(struct stack *s, bool backward)
{
	int64_t C = s->m->hidden, Q = query(s->m), K = key(s->m);
	enum dtype act = s->dev->act_dtype, resid = s->dev->resid_dtype;
	const struct {
		struct view *to;
		int64_t cols;
		enum dtype dtype;
	} list[] = {{&s->x, C, resid}, {&s->y, C, resid}, {&s->dx, C, resid}, {&s->dy, C, resid},
		    {&s->d_o, Q, act}, {&s->dq, Q, act}, {&s->dk, K, act}, {&s->dv, K, act}};
	for (size_t i = 0; i < (backward ? sizeof list / sizeof *list : 2); i++)
		*list[i].to = array(s, s->rows, list[i].cols, list[i].dtype);
}

static void make_kept(struct stack *s, bool backward, bool cached)
{
	struct shape shape = shape_of(s, s->o->rank);
	int64_t Q = query(s->m), K = key(s->m), R = s->rows;
	enum dtype act = s->dev->act_dtype;
	const enum op ops[3] = {OP_attn_in, OP_attn_out, OP_mlp};
	for (int64_t i = 0; i < s->m->layers; i++) {
		struct kept *kept = &s->layer[i].kept;
		struct view *saved[3] = {&kept->in, &kept->out, &kept->mlp};
		if (i && !backward) {
			*kept = s->layer[0].kept;
			continue;
		}
		*kept = (struct kept){.q = array(s, R, Q, act), .o = array(s, R, Q, act)};
		if (!cached)
			kept->k = array(s, R, K, act), kept->v = array(s, R, K, act);
		if (!backward)
			continue;
		kept->lse = array(s, R, s->m->heads, DTYPE_F32);
		for (int j = 0; j < 3; j++)
			*saved[j] = array(s, 1, (int64_t)s->k->saved_bytes(s->dev, ops[j], &shape), DTYPE_U8);
	}
}

/* Random tokens in segments of `length`, each followed by a random one, the same in every step. */
static int draw_batch(struct stack *s, struct err *err)
{
	uint64_t state = 2862933555777941757u;
	float *weight = mem_array((size_t)s->rows, sizeof *weight, err);
	uint64_t *row = mem_array((size_t)s->rows, sizeof *row, err);
	int64_t T = s->o->length;
	for (int64_t i = 0; weight && row && i < s->rows; i++) {
		s->host_ids[i] = (int32_t)(draw(&state) % (uint64_t)s->m->vocab);
		s->host_target[i] = (int32_t)(draw(&state) % (uint64_t)s->m->vocab);
		s->host_pos[i] = (int32_t)(i % T);
		s->host_kv_dst[i] = (int32_t)i; /* here: the rows that are targets */
		weight[i] = 1 / (float)s->rows;
		row[i] = row_key((uint32_t)(i / T), (uint32_t)(i % T));
	}
	for (int64_t i = 0; i <= s->segments; i++)
		s->host_q_begin[i] = (int32_t)(i * T), s->host_own_len[i] = (int32_t)T;
	if (weight && row)
		put(s, s->weight, weight), put(s, s->row_key, row);
	free(weight);
	free(row);
	return weight && row ? 0 : -1;
}

static int make_batch(struct stack *s, bool backward, struct err *err)
{
	const struct options *o = s->o;
	s->rows = o->tokens;
	s->segments = o->tokens / o->length;
	s->seg = (struct segments){.max_queries = o->length, .max_keys = o->length};
	if (make_hosts(s, err) || make_model(s, o->length, backward, err))
		return -1;
	make_indices(s);
	make_activations(s, backward);
	make_kept(s, backward, false);
	reserve(s, backward ? o->rank : 0);
	return finish(s, err) || draw_batch(s, err) || (backward && make_adapters(s, err)) ? -1 : 0;
}

/* ---- train and score --------------------------------------------------------------------- */

/* What a step's batch is made of goes to the device in every step. */
static void put_batch(struct stack *s, uint64_t step)
{
	const uint64_t state[2] = {1, step};
	put(s, s->ids, s->host_ids);
	put(s, s->pos, s->host_pos);
	put(s, s->row, s->host_kv_dst);
	put(s, s->target, s->host_target);
	put(s, s->state, state);
	put(s, s->seg.q_begin, s->host_q_begin);
	put(s, s->seg.own_begin, s->host_q_begin);
	put(s, s->seg.own_len, s->host_own_len);
}

static void run_embed(struct stack *s, struct layer *l)
{
	(void)l;
	s->k->embed(s->dev, s->x, &s->embedding, s->ids);
}

static void run_attn_in(struct stack *s, struct layer *l)
{
	struct kept *kept = &l->kept;
	if (view_present(l->cache_k))
		s->k->attn_in(s->dev, kept->q, l->cache_k, l->cache_v, view_none(), s->x, s->pos, s->kv_dst, &l->in);
	else
		s->k->attn_in(s->dev, kept->q, kept->k, kept->v, kept->in, s->x, s->pos, view_none(), &l->in);
}

static void run_attention(struct stack *s, struct layer *l)
{
	struct kept *kept = &l->kept;
	bool cached = view_present(l->cache_k);
	s->k->attention(s->dev, kept->o, kept->lse, kept->q, cached ? l->cache_k : kept->k,
			cached ? l->cache_v : kept->v, &s->seg, &l->in.dims);
}

static void run_attn_out(struct stack *s, struct layer *l)
{
	s->k->attn_out(s->dev, s->x, l->kept.out, l->kept.o, &l->out);
}

static void run_mlp(struct stack *s, struct layer *l)
{
	s->k->mlp(s->dev, s->x, l->kept.mlp, &l->mlp);
}

static void run_gather(struct stack *s, struct layer *l)
{
	(void)l;
	s->k->gather_rows(s->dev, s->y, s->x, s->row);
}

static void run_head(struct stack *s, struct layer *l)
{
	(void)l;
	s->k->head_loss(s->dev, s->logp, view_none(), NULL, s->y, &s->head, s->target, view_none());
}

static void run_head_gradient(struct stack *s, struct layer *l)
{
	(void)l;
	s->k->head_loss(s->dev, s->logp, s->dy, NULL, s->y, &s->head, s->target, s->weight);
}

static void run_scatter(struct stack *s, struct layer *l)
{
	(void)l;
	s->k->scatter_rows(s->dev, s->dx, s->dy, s->row);
}

static void run_mlp_backward(struct stack *s, struct layer *l)
{
	s->k->mlp_backward(s->dev, s->dx, NULL, l->kept.mlp, &l->mlp, true);
}

static void run_attn_out_backward(struct stack *s, struct layer *l)
{
	s->k->attn_out_backward(s->dev, s->d_o, NULL, s->dx, l->kept.out, l->kept.o, &l->out, true);
}

static void run_attention_backward(struct stack *s, struct layer *l)
{
	struct kept *kept = &l->kept;
	s->k->attention_backward(s->dev, s->dq, s->dk, s->dv, s->d_o, kept->o, kept->lse, kept->q, kept->k, kept->v,
				 &s->seg, &l->in.dims);
}

/* Below the lowest adapter, which is the first layer's, nothing needs a gradient. */
static void run_attn_in_backward(struct stack *s, struct layer *l)
{
	s->k->attn_in_backward(s->dev, s->dx, NULL, s->dq, s->dk, s->dv, l->kept.in, s->pos, &l->in, l > s->layer);
}

static void run_zero(struct stack *s, struct layer *l)
{
	(void)l;
	s->k->fill(s->dev, s->g, 0);
}

static void run_norm2(struct stack *s, struct layer *l)
{
	(void)l;
	s->k->norm2(s->dev, s->norm2, &s->g, 1);
}

static void run_adamw(struct stack *s, struct layer *l)
{
	(void)l;
	s->k->adamw(s->dev, s->items, s->n_items, s->hyper, s->norm2);
}

static void forward(struct stack *s)
{
	run_embed(s, NULL);
	for (struct layer *l = s->layer; l < s->layer + s->m->layers; l++) {
		run_attn_in(s, l);
		run_attention(s, l);
		run_attn_out(s, l);
		run_mlp(s, l);
	}
}

static void backward(struct stack *s)
{
	for (struct layer *l = s->layer + s->m->layers; l-- > s->layer;) {
		run_mlp_backward(s, l);
		run_attn_out_backward(s, l);
		run_attention_backward(s, l);
		run_attn_in_backward(s, l);
	}
}

static void train_calls(struct stack *s)
{
	run_zero(s, NULL);
	forward(s);
	run_gather(s, NULL);
	run_head_gradient(s, NULL);
	run_scatter(s, NULL);
	backward(s);
	run_norm2(s, NULL);
}

static void score_calls(struct stack *s)
{
	forward(s);
	run_gather(s, NULL);
	run_head(s, NULL);
}

/* At once, or by capture and replay from the second call on: the first loads what a library loads late. */
static void call(struct stack *s, void (*calls)(struct stack *))
{
	bool capture = s->o->capture && s->calls++ > 0;
	if (capture && s->graph && s->k->replay(s->dev, s->graph))
		return;
	if (s->graph)
		s->k->graph_free(s->dev, s->graph);
	s->graph = NULL;
	if (capture)
		s->k->capture_begin(s->dev);
	calls(s);
	if (capture)
		s->graph = s->k->capture_end(s->dev);
}

static void put_hyper(struct stack *s, int64_t step)
{
	const float hyper[ADAMW_HYPER] = {
		[ADAMW_LR] = 1e-3f, [ADAMW_BETA1] = 0.9f, [ADAMW_BETA2] = 0.999f, [ADAMW_EPS] = 1e-8f,
		[ADAMW_DECAY] = 0.01f, [ADAMW_CORRECTION1] = (float)(1 - pow(0.9, (double)step)),
		[ADAMW_CORRECTION2] = (float)(1 - pow(0.999, (double)step)), [ADAMW_MAX_NORM] = 1,
	};
	put(s, s->hyper, hyper);
}

static void take_loss(struct stack *s)
{
	double sum = 0;
	s->k->download(s->dev, s->host_logp, s->logp);
	device_sync(s->dev);
	for (int64_t i = 0; i < s->rows; i++)
		sum -= (double)s->host_logp[i];
	s->loss = (float)(sum / (double)s->rows);
}

/* As the program does it: the norm is looked at before the update. */
static void train_step(struct stack *s, int64_t step)
{
	float norm2 = 0;
	put_batch(s, (uint64_t)step);
	call(s, train_calls);
	take_loss(s);
	s->k->download(s->dev, &norm2, s->norm2);
	if (device_sync(s->dev))
		return;
	if (!isfinite(norm2))
		device_fail(s->dev, "gpu_bench", "step %lld: the gradient is not finite", (long long)step);
	put_hyper(s, step);
	run_adamw(s, NULL);
}

static void score_step(struct stack *s, int64_t step)
{
	put_batch(s, (uint64_t)step);
	call(s, score_calls);
	take_loss(s);
}

struct times {
	double middle, least, most, sum;
	float first, last; /* loss */
};

/* Warm-up, then `steps` steps. */
static int time_steps(struct stack *s, void (*step)(struct stack *, int64_t), struct times *out, struct err *err)
{
	int64_t n = s->o->steps;
	double *seconds = mem_array((size_t)n, sizeof *seconds, err);
	if (!seconds)
		return -1;
	*out = (struct times){0};
	for (int64_t i = 0; i < n + WARM && !s->dev->failure[0]; i++) {
		double begin = now();
		step(s, i + 1);
		device_sync(s->dev);
		if (i >= WARM)
			seconds[i - WARM] = now() - begin;
		out->first = i ? out->first : s->loss;
	}
	out->last = s->loss;
	out->middle = median(seconds, n);
	out->least = seconds[0];
	out->most = seconds[n - 1];
	free(seconds);
	return finish(s, err);
}

static void rates(const struct stack *s, const char *setting, const struct times *t, double flops)
{
	double tokens = (double)s->rows, rate = flops * tokens / t->middle;
	REPORT(s->o, setting, {"tokens_s", tokens / t->middle, "", 0}, {"ms", 1e3 * t->middle, "", 2},
	       {"ms_least", 1e3 * t->least, "", 2}, {"ms_most", 1e3 * t->most, "", 2},
	       {"tflops", 1e-12 * rate, "", 1}, {"share", rate / peak, "of 790", 3},
	       {"loss_first", (double)t->first, "", 4}, {"loss_last", (double)t->last, "", 4},
	       {"gb", held(s), "", 2});
}

static void name_setting(const struct options *o, char *text, size_t size)
{
	snprintf(text, size, "%lld x %lld r%lld %s dropout %g", (long long)(o->tokens / o->length),
		 (long long)o->length, (long long)o->rank, o->targets, o->dropout);
}

static int job_train(struct stack *s, struct err *err)
{
	struct times t;
	char setting[80];
	name_setting(s->o, setting, sizeof setting);
	if (make_batch(s, true, err) || time_steps(s, train_step, &t, err))
		return -1;
	rates(s, setting, &t, 4 * all_weights(s->m) + 3 * attention_flops(s->m, (double)s->o->length / 2));
	return 0;
}

static int job_score(struct stack *s, struct err *err)
{
	struct times t;
	char setting[80];
	snprintf(setting, sizeof setting, "%lld x %lld", (long long)(s->o->tokens / s->o->length),
		 (long long)s->o->length);
	if (make_batch(s, false, err) || time_steps(s, score_step, &t, err))
		return -1;
	rates(s, setting, &t, 2 * all_weights(s->m) + attention_flops(s->m, (double)s->o->length / 2));
	return 0;
}

/* ---- roofs ------------------------------------------------------------------------------------ */

/* Median seconds of `batch` calls of fn, for one call. */
static double time_calls(struct stack *s, void (*fn)(void *), void *context, int batch)
{
	double seconds[64];
	int64_t n = s->o->steps < 64 ? s->o->steps : 64;
	for (int64_t i = 0; i < n + 1; i++) {
		device_sync(s->dev);
		double begin = now();
		for (int j = 0; j < batch; j++)
			fn(context);
		device_sync(s->dev);
		seconds[i ? i - 1 : 0] = (now() - begin) / batch;
	}
	return median(seconds, n);
}

struct roof {
	struct stack *s;
	struct view y, x;
	struct weight w;
};

static void roof_copy(void *context)
{
	struct roof *r = context;
	r->s->k->copy(r->s->dev, r->y, r->x);
}

static void roof_linear(void *context)
{
	struct roof *r = context;
	r->s->k->linear(r->s->dev, r->y, r->x, &r->w, 0, view_none(), false);
}

/* Random rows by copies of a few uploaded ones. */
static void spread(struct stack *s, struct view to, struct view from)
{
	for (int64_t i = 0; !s->dev->failure[0] && i < to.rows; i += from.rows) {
		int64_t n = to.rows - i < from.rows ? to.rows - i : from.rows;
		s->k->copy(s->dev, view_rows(to, i, n), view_rows(from, 0, n));
	}
}

/* Bytes per second, read and written, of the device's own copy; 8 times `roof` rows is 1 GiB at 8192. */
static double measure_copy(struct stack *s)
{
	int64_t n = s->m->roof;
	size_t mark = s->buffers;
	struct roof r = {.s = s, .y = array(s, 8 * n, n, DTYPE_BF16), .x = array(s, 8 * n, n, DTYPE_BF16)};
	struct view few = array(s, 32, n, DTYPE_BF16);
	put(s, few, s->numbers);
	spread(s, r.x, few);
	double seconds = s->dev->failure[0] ? 1 : time_calls(s, roof_copy, &r, 4);
	while (s->buffers > mark)
		s->k->free(s->dev, s->buffer[--s->buffers]);
	return 2.0 * 8 * (double)n * (double)n * 2 / seconds;
}

static double measure_linear(struct stack *s)
{
	int64_t n = s->m->roof;
	struct roof r = {.s = s, .y = array(s, n, n, s->dev->act_dtype), .x = array(s, n, n, s->dev->act_dtype)};
	struct view few = array(s, 32, n, DTYPE_BF16), host = host_matrix(s, n, n);
	struct shape shape = {.rows = n, .hidden = n, .ffn = n, .vocab = n};
	put(s, few, s->numbers);
	spread(s, r.x, few);
	prepare(s, &r.w, 1, &host, WEIGHT_FORWARD);
	if (!s->dev->failure[0])
		s->k->reserve(s->dev, s->k->scratch_bytes(s->dev, OP_linear, &shape));
	double seconds = s->dev->failure[0] ? 1 : time_calls(s, roof_linear, &r, 4);
	s->k->release(s->dev, &r.w);
	return 2 * pow((double)n, 3) / seconds;
}

static int job_roofs(struct stack *s, struct err *err)
{
	struct model square = *s->m;
	square.hidden = square.vocab = s->m->roof; /* as many numbers as the matrices take */
	square.ffn = 0;
	s->m = &square;
	if (draw_numbers(s, err))
		return -1;
	double copy = measure_copy(s), product = measure_linear(s);
	s->m = s->o->model;
	if (finish(s, err))
		return -1;
	REPORT(s->o, "roof", {"copy_gb_s", 1e-9 * copy, "", 1}, {"tflops", 1e-12 * product, "", 2},
	       {"share", product / peak, "of 790", 3}, {"n", (double)s->o->model->roof, "", 0});
	return 0;
}

/* ---- decode ------------------------------------------------------------------------------------ */

static int64_t slot_pages(const struct options *o)
{
	return (o->prompt + o->created + PAGE - 1) / PAGE;
}

/* Every layer's cache, all of it random. */
static void make_cache(struct stack *s)
{
	int64_t rows = s->segments * slot_pages(s->o) * PAGE, K = key(s->m);
	int64_t few_rows = (int64_t)(host_numbers(s->m) / (size_t)K);
	few_rows = few_rows < 8192 ? few_rows : 8192;
	struct view few = array(s, few_rows < rows ? few_rows : rows, K, DTYPE_BF16);
	struct view keys = array(s, s->m->layers * rows, K, s->dev->act_dtype);
	struct view values = array(s, s->m->layers * rows, K, s->dev->act_dtype);
	put(s, few, s->numbers);
	spread(s, keys, few);
	spread(s, values, few);
	for (int64_t i = 0; i < s->m->layers; i++) {
		s->layer[i].cache_k = view_rows(keys, i * rows, rows);
		s->layer[i].cache_v = view_rows(values, i * rows, rows);
	}
}

/* Slot i holds pages i * P ..., in an order that is not that of memory. */
static int32_t page_of(const struct stack *s, int64_t slot, int64_t page)
{
	int64_t P = slot_pages(s->o);
	return (int32_t)(slot * P + (page % 2 ? page : P - 1 - page - (P % 2 ? 0 : 1)));
}

static int make_pages(struct stack *s, struct err *err)
{
	int64_t P = slot_pages(s->o), S = s->segments;
	int32_t *pages = mem_array((size_t)(S * P), sizeof *pages, err);
	if (!pages)
		return -1;
	for (int64_t i = 0; i < S * P; i++)
		pages[i] = page_of(s, i / P, i % P);
	s->seg.pages = array(s, S, P, DTYPE_I32);
	s->seg.page_size = PAGE;
	put(s, s->seg.pages, pages);
	free(pages);
	return 0;
}

static int make_decode(struct stack *s, struct err *err)
{
	const struct options *o = s->o;
	uint64_t state = 3935559000370003845u;
	s->rows = s->segments = o->slots;
	s->seg = (struct segments){.max_queries = 1, .max_keys = slot_pages(o) * PAGE};
	if (make_hosts(s, err) || make_model(s, o->prompt + o->created, false, err))
		return -1;
	make_indices(s);
	make_activations(s, false);
	make_kept(s, false, true);
	s->logits = array(s, s->rows, s->m->vocab, DTYPE_F32);
	s->sampled = array(s, 1, s->rows, DTYPE_I32);
	reserve(s, 0);
	make_cache(s);
	for (int32_t i = 0; i <= s->segments; i++)
		s->host_q_begin[i] = i;
	for (int64_t i = 0; i < s->rows; i++)
		s->host_ids[i] = (int32_t)(draw(&state) % (uint64_t)s->m->vocab);
	put(s, s->seg.q_begin, s->host_q_begin);
	return make_pages(s, err) ? -1 : finish(s, err);
}

/* Token `t` of every slot, counted from 0 with the prompt. */
static void put_position(struct stack *s, int64_t t)
{
	for (int64_t i = 0; i < s->rows; i++) {
		s->host_pos[i] = (int32_t)t;
		s->host_own_len[i] = (int32_t)t + 1;
		s->host_kv_dst[i] = page_of(s, i, t / PAGE) * PAGE + (int32_t)(t % PAGE);
	}
	put(s, s->ids, s->host_ids);
	put(s, s->pos, s->host_pos);
	put(s, s->kv_dst, s->host_kv_dst);
	put(s, s->seg.own_len, s->host_own_len);
}

static void run_logits(struct stack *s, struct layer *l)
{
	(void)l;
	s->k->logits(s->dev, s->logits, s->x, &s->head);
}

static void run_sample(struct stack *s, struct layer *l)
{
	const struct sample_rule rule = {.top_p = 1};
	(void)l;
	s->k->sample(s->dev, s->sampled, s->logp, s->logits, &rule, NULL);
}

static void decode_calls(struct stack *s)
{
	forward(s);
	run_logits(s, NULL);
	run_sample(s, NULL);
}

static void decode_step(struct stack *s, int64_t t)
{
	put_position(s, t);
	call(s, decode_calls);
	s->k->download(s->dev, s->host_ids, s->sampled);
	device_sync(s->dev);
}

/* Seconds of a step with `keys` keys in each slot: bytes moved, or FLOPs. */
static double decode_floor(const struct stack *s, double keys, double bandwidth)
{
	const struct model *m = s->m;
	double size = (double)dtype_size(s->dev->act_dtype), slots = (double)s->rows;
	double bytes = size * (all_weights(m) + slots * keys * 2 * (double)(m->layers * key(m)));
	double flops = slots * (2 * all_weights(m) + attention_flops(m, keys));
	return fmax(bytes / bandwidth, flops / peak);
}

static int check_ids(struct stack *s, struct err *err)
{
	for (int64_t i = 0; i < s->rows; i++)
		if (s->host_ids[i] < 0 || s->host_ids[i] >= s->m->vocab)
			return err_set(err, ERR_INTERNAL, "slot %lld drew token %d", (long long)i, s->host_ids[i]);
	return 0;
}

static void report_decode(const struct stack *s, const struct times *t, double least, double bandwidth)
{
	char setting[80];
	int64_t steps = s->o->created - WARM;
	snprintf(setting, sizeof setting, "%lld slots %lld + %lld", (long long)s->rows, (long long)s->o->prompt,
		 (long long)s->o->created);
	REPORT(s->o, setting, {"tokens_s", (double)(s->rows * steps) / t->sum, "", 0},
	       {"ms", 1e3 * t->middle, "", 3}, {"ms_least", 1e3 * t->least, "", 3}, {"ms_most", 1e3 * t->most, "", 3},
	       {"floor_ms", 1e3 * least / (double)steps, "", 3}, {"share", least / t->sum, "of the floor", 3},
	       {"bandwidth_gb_s", 1e-9 * bandwidth, "", 1}, {"replayed", s->graph != NULL, "", 0},
	       {"gb", held(s), "", 2});
}

static int job_decode(struct stack *s, struct err *err)
{
	struct times t = {0};
	int64_t n = s->o->created;
	double least = 0, *seconds = mem_array((size_t)n, sizeof *seconds, err);
	if (!seconds || make_decode(s, err)) {
		free(seconds);
		return -1;
	}
	double bandwidth = measure_copy(s);
	int rc = finish(s, err);
	for (int64_t i = 0; !rc && i < n; i++) {
		double begin = now();
		decode_step(s, s->o->prompt + i);
		double taken = now() - begin;
		rc = finish(s, err) || check_ids(s, err) ? -1 : 0;
		if (i < WARM)
			continue;
		seconds[i - WARM] = taken;
		t.sum += taken;
		least += decode_floor(s, (double)(s->o->prompt + i + 1), bandwidth);
	}
	t.middle = median(seconds, n - WARM);
	t.least = seconds[0];
	t.most = seconds[n - WARM - 1];
	free(seconds);
	if (!rc)
		report_decode(s, &t, least, bandwidth);
	return rc;
}

/* ---- profile -------------------------------------------------------------------------------------- */

struct counts {
	double R, C, Q, K, F, V, keys, r_in, r_out, r_mlp, adapters, size;
};

/* Columns in and out of a layer's adapters from `first` to `last`. */
static double adapter_columns(const struct stack *s, int first, int last)
{
	int64_t n = 0, rows, cols;
	for (int module = first; module <= last; module++) {
		module_shape(s->m, module, &rows, &cols);
		n += s->n_items && targeted(s->o, module) ? rows + cols : 0;
	}
	return (double)(n * s->o->rank);
}

static struct counts counts_of(const struct stack *s)
{
	const struct model *m = s->m;
	return (struct counts){
		.R = (double)s->rows, .C = (double)m->hidden, .Q = (double)query(m), .K = (double)key(m),
		.F = (double)m->ffn, .V = (double)m->vocab, .size = (double)dtype_size(s->dev->act_dtype),
		.keys = view_present(s->logits) ? (double)(s->o->prompt + s->o->created / 2) : (double)s->o->length / 2,
		.r_in = adapter_columns(s, MODULE_Q, MODULE_V), .r_out = adapter_columns(s, MODULE_O, MODULE_O),
		.r_mlp = adapter_columns(s, MODULE_GATE, MODULE_DOWN),
		.adapters = s->n_items ? (double)adapter_numbers(s) : 0,
	};
}

#define COUNT(name, formula)                                                                                           \
	static double name(const struct counts *c)                                                                     \
	{                                                                                                              \
		return formula;                                                                                        \
	}
COUNT(flops_in, 2 * c->R * (c->C * (c->Q + 2 * c->K) + c->r_in))
COUNT(flops_in_backward, 2 * c->R * (c->C * (c->Q + 2 * c->K) + 2 * c->r_in))
COUNT(flops_attention, 4 * c->R * c->Q * c->keys)
COUNT(flops_attention_backward, 8 * c->R * c->Q * c->keys)
COUNT(flops_out, 2 * c->R * (c->C * c->Q + c->r_out))
COUNT(flops_out_backward, 2 * c->R * (c->C * c->Q + 2 * c->r_out))
COUNT(flops_mlp, 2 * c->R * (3 * c->C * c->F + c->r_mlp))
COUNT(flops_mlp_backward, 2 * c->R * (3 * c->C * c->F + 2 * c->r_mlp))
COUNT(flops_head, 2 * c->R * c->C * c->V)
COUNT(flops_head_gradient, 4 * c->R * c->C * c->V)
COUNT(bytes_rows, 2 * c->size * c->R * c->C)
COUNT(bytes_scatter, 2 * c->size * c->R * c->C)
COUNT(bytes_in, c->size * (c->C * (c->Q + 2 * c->K) + c->R * (c->C + c->Q + 2 * c->K)))
COUNT(bytes_cache, c->size * 2 * c->R * (c->keys * c->K + c->Q))
COUNT(bytes_out, c->size * (c->C * c->Q + c->R * (c->Q + 2 * c->C)))
COUNT(bytes_mlp, c->size * (3 * c->C * c->F + 2 * c->R * c->C))
COUNT(bytes_logits, c->size * c->C * (c->V + c->R) + 4 * c->R * c->V)
COUNT(bytes_sample, 4 * c->R * c->V)
COUNT(bytes_adapters, 4 * c->adapters)
COUNT(bytes_adamw, 28 * c->adapters)

struct profiled {
	const char *name;
	void (*run)(struct stack *, struct layer *);
	bool layers; /* once for each layer, else once a step */
	double (*flops)(const struct counts *);
	double (*bytes)(const struct counts *);
};

/* In the order of a step, so that each finds what it needs. */
static const struct profiled train_ops[] = {
	{"embed", run_embed, false, NULL, bytes_rows},
	{"attn_in", run_attn_in, true, flops_in, NULL},
	{"attention", run_attention, true, flops_attention, NULL},
	{"attn_out", run_attn_out, true, flops_out, NULL},
	{"mlp", run_mlp, true, flops_mlp, NULL},
	{"gather_rows", run_gather, false, NULL, bytes_rows},
	{"head_loss", run_head, false, flops_head, NULL},
	{"head_loss_gradient", run_head_gradient, false, flops_head_gradient, NULL},
	{"scatter_rows", run_scatter, false, NULL, bytes_scatter},
	{"mlp_backward", run_mlp_backward, true, flops_mlp_backward, NULL},
	{"attn_out_backward", run_attn_out_backward, true, flops_out_backward, NULL},
	{"attention_backward", run_attention_backward, true, flops_attention_backward, NULL},
	{"attn_in_backward", run_attn_in_backward, true, flops_in_backward, NULL},
	{"fill", run_zero, false, NULL, bytes_adapters},
	{"norm2", run_norm2, false, NULL, bytes_adapters},
	{"adamw", run_adamw, false, NULL, bytes_adamw},
	{0},
};

static const struct profiled decode_ops[] = {
	{"embed", run_embed, false, NULL, bytes_rows},
	{"attn_in", run_attn_in, true, flops_in, bytes_in},
	{"attention", run_attention, true, flops_attention, bytes_cache},
	{"attn_out", run_attn_out, true, flops_out, bytes_out},
	{"mlp", run_mlp, true, flops_mlp, bytes_mlp},
	{"logits", run_logits, false, flops_head, bytes_logits},
	{"sample", run_sample, false, NULL, bytes_sample},
	{0},
};

struct profile {
	struct stack *s;
	const struct profiled *op;
};

static void profile_call(void *context)
{
	struct profile *p = context;
	int64_t n = p->op->layers ? p->s->m->layers : 1;
	if (p->op->layers && view_present(p->s->dx)) /* else it grows from call to call */
		p->s->k->copy(p->s->dev, p->s->dx, p->s->dy);
	for (int64_t i = 0; i < n; i++)
		p->op->run(p->s, &p->s->layer[i]);
}

/* Milliseconds of a step that the operation takes; the residual begins as it was. */
static double profile_one(struct stack *s, const struct profiled *op, const struct counts *c)
{
	struct profile p = {s, op};
	run_embed(s, NULL);
	double seconds = time_calls(s, profile_call, &p, op->layers ? 1 : 8), n = op->layers ? (double)s->m->layers : 1;
	REPORT(s->o, op->name, {"ms", 1e3 * seconds / n, "", 4}, {"calls", n, "", 0}, {"step_ms", 1e3 * seconds, "", 3},
	       {"tflops", op->flops ? 1e-12 * n * op->flops(c) / seconds : 0, "", 2},
	       {"gb_s", op->bytes ? 1e-9 * n * op->bytes(c) / seconds : 0, "", 1});
	return 1e3 * seconds;
}

static int profile_all(struct stack *s, const struct profiled *ops, void (*step)(struct stack *, int64_t),
		       int64_t begin, struct err *err)
{
	struct counts c = counts_of(s);
	double sum = 0, seconds[5];
	for (int64_t i = 0; i < WARM + 5; i++) {
		double start = now();
		step(s, begin + i);
		device_sync(s->dev);
		seconds[i < WARM ? 0 : i - WARM] = now() - start;
	}
	for (const struct profiled *op = ops; !s->dev->failure[0] && op->name; op++)
		sum += op->run == run_head && ops == train_ops ? 0 * profile_one(s, op, &c) : profile_one(s, op, &c);
	REPORT(s->o, "step", {"ms", 1e3 * median(seconds, 5), "", 3}, {"operations_ms", sum, "", 3},
	       {"gb", held(s), "", 2});
	return finish(s, err);
}

static int job_profile(struct stack *s, struct err *err)
{
	return make_batch(s, true, err) ? -1 : profile_all(s, train_ops, train_step, 1, err);
}

static int job_profile_decode(struct stack *s, struct err *err)
{
	return make_decode(s, err) ? -1
				   : profile_all(s, decode_ops, decode_step, s->o->prompt + s->o->created / 2, err);
}

/* ---- the program ------------------------------------------------------------------------------------ */

static const struct {
	const char *name;
	int (*run)(struct stack *, struct err *);
} jobs[] = {
	{"train", job_train},     {"score", job_score},     {"decode", job_decode},
	{"roofs", job_roofs},     {"profile", job_profile}, {"profile_decode", job_profile_decode},
};

static void release(struct stack *s)
{
	void *host[] = {s->host_ids, s->host_pos, s->host_target, s->host_q_begin, s->host_own_len, s->host_kv_dst,
			s->host_logp, s->items};
	if (s->graph)
		s->k->graph_free(s->dev, s->graph);
	for (struct layer *l = s->layer; l < s->layer + s->m->layers; l++) {
		struct weight *w[] = {&l->qkv, &l->wo, &l->gu, &l->down};
		for (size_t i = 0; i < sizeof w / sizeof *w; i++)
			s->k->release(s->dev, w[i]);
	}
	s->k->release(s->dev, &s->embedding);
	s->k->release(s->dev, &s->head_weight);
	while (s->buffers > 0)
		s->k->free(s->dev, s->buffer[--s->buffers]);
	for (size_t i = 0; i < sizeof host / sizeof *host; i++)
		free(host[i]);
	free(s->numbers);
}

static int run(const struct options *o, struct err *err)
{
	const struct device_options options = {.dtype = DTYPE_BF16};
	struct stack s = {.m = o->model, .o = o};
	int rc = -1;
	s.dev = backend_open(o->backend, &options, err);
	if (!s.dev)
		return -1;
	s.k = s.dev->k;
	s.layer = mem_array((size_t)o->model->layers, sizeof *s.layer, err);
	s.buffer = mem_array((size_t)(FIXED + PER_LAYER * o->model->layers), sizeof(struct buffer *), err);
	if (s.layer && s.buffer) {
		for (size_t i = 0; i < sizeof jobs / sizeof *jobs; i++)
			if (!strcmp(jobs[i].name, o->job))
				rc = jobs[i].run(&s, err);
		release(&s);
	}
	free(s.layer);
	free(s.buffer);
	backend_close(s.dev);
	return rc;
}

static bool known_job(const char *name)
{
	for (size_t i = 0; i < sizeof jobs / sizeof *jobs; i++)
		if (!strcmp(jobs[i].name, name))
			return true;
	return false;
}

static const struct model *find_model(const char *name)
{
	for (size_t i = 0; i < sizeof models / sizeof *models; i++)
		if (!strcmp(models[i].name, name))
			return &models[i];
	return NULL;
}

enum { MODEL, BACKEND, JOB, TARGETS, DROPOUT, TOKENS, LENGTH, RANK, SLOTS, PROMPT, NEW, STEPS, CAPTURE, JSON, WORDS };

static const struct option words[] = {
	{"model", 1, NULL, MODEL},   {"backend", 1, NULL, BACKEND}, {"job", 1, NULL, JOB},
	{"targets", 1, NULL, TARGETS}, {"dropout", 1, NULL, DROPOUT}, {"tokens", 1, NULL, TOKENS},
	{"length", 1, NULL, LENGTH}, {"rank", 1, NULL, RANK},       {"slots", 1, NULL, SLOTS},
	{"prompt", 1, NULL, PROMPT}, {"new", 1, NULL, NEW},         {"steps", 1, NULL, STEPS},
	{"capture", 0, NULL, CAPTURE}, {"json", 0, NULL, JSON},       {0},
};

static bool parse(struct options *o, int argc, char **argv)
{
	int64_t *number[WORDS] = {[TOKENS] = &o->tokens, [LENGTH] = &o->length, [RANK] = &o->rank, [SLOTS] = &o->slots,
				  [PROMPT] = &o->prompt, [NEW] = &o->created, [STEPS] = &o->steps};
	const char **text[WORDS] = {[BACKEND] = &o->backend, [JOB] = &o->job, [TARGETS] = &o->targets};
	for (int c; (c = getopt_long(argc, argv, "", words, NULL)) != -1;) {
		if (c < 0 || c >= WORDS)
			return false;
		if (number[c])
			*number[c] = atoll(optarg);
		else if (text[c])
			*text[c] = optarg;
		else if (c == MODEL)
			o->model = find_model(optarg);
		else if (c == DROPOUT)
			o->dropout = atof(optarg);
		else
			*(c == JSON ? &o->json : &o->capture) = true;
	}
	return optind == argc;
}

static bool good(const struct options *o)
{
	return o->model && known_job(o->job) && (!strcmp(o->targets, "qv") || !strcmp(o->targets, "all")) &&
	       o->tokens > 0 && o->length > 0 && o->tokens % o->length == 0 && o->tokens < INT32_MAX && o->rank > 0 &&
	       o->slots > 0 && o->prompt > 0 && o->created > WARM + 10 && o->steps > 0 && o->dropout >= 0 &&
	       o->dropout < 1;
}

int main(int argc, char **argv)
{
	struct options o = {.backend = "cuda", .job = "", .targets = "all", .tokens = 4096, .length = 1024, .rank = 16,
			    .slots = 512, .prompt = 300, .created = 200, .steps = 5};
	struct err err = {0};
	if (!parse(&o, argc, argv) || !good(&o)) {
		fprintf(stderr, "gpu_bench: see the head of bench/gpu_bench.c for models' jobs and their options\n");
		return ERR_USAGE;
	}
	if (strstr(o.job, "decode"))
		o.capture = true;
	if (!run(&o, &err))
		return 0;
	fprintf(stderr, "gpu_bench: %s\n", err.message);
	return err.code;
}
