// SPDX-License-Identifier: Apache-2.0
/* weights.c - the base model: random matrices, rotary tables, parameters of the composites. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/gpu/gpu_bench.h"
#include "src/base/mem.h"

enum { TABLE = 1 << 16, PERIOD = 16777213 }; /* of the host's numbers; PERIOD is a prime */

/* xorshift64 (Marsaglia 2003) */
uint64_t random_next(uint64_t *state)
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

/* Normal numbers of deviation 0.02 (Box and Muller 1958). */
static void fill_table(uint16_t table[TABLE], uint64_t *state)
{
	for (int i = 0; i < TABLE; i++) {
		double u = ((double)(random_next(state) >> 11) + 1) / 9007199254740993.0,
		       w = (double)(random_next(state) >> 11);
		table[i] = bf16_of((float)(0.02 * sqrt(-2 * log(u)) * cos(2 * M_PI * w / 9007199254740992.0)));
	}
}

/* PERIOD numbers of the table, then the same again. */
int stack_draw(struct stack *s, size_t n, struct err *err)
{
	uint64_t state = 88172645463325252u;
	uint16_t *table = mem_array(TABLE, sizeof *table, err);
	s->numbers = table ? mem_array(n, sizeof *s->numbers, err) : NULL;
	s->n_numbers = n;
	if (s->numbers) {
		fill_table(table, &state);
		for (size_t i = 0; i < n && i < PERIOD; i++)
			s->numbers[i] = table[random_next(&state) >> 48];
		for (size_t i = PERIOD; i < n; i += PERIOD)
			memcpy(s->numbers + i, s->numbers, (n - i < PERIOD ? n - i : PERIOD) * sizeof *s->numbers);
	}
	free(table);
	return s->numbers ? 0 : -1;
}

/* Each begins elsewhere in the numbers, by no multiple of a row, so that no two are alike. */
struct view stack_matrix(struct stack *s, int64_t rows, int64_t cols)
{
	struct buffer *b = &s->host[s->hosts];
	*b = (struct buffer){s->numbers + (size_t)s->hosts * 4064, (size_t)(rows * cols) * sizeof *s->numbers};
	s->hosts++;
	return view_of(b, rows, cols, DTYPE_BF16);
}

void stack_prepare(struct stack *s, struct weight *w, int n, const struct view host[], unsigned uses)
{
	if (!s->dev->failure[0])
		s->k->prepare(s->dev, w, n, host, DTYPE_BF16, uses);
}

static void prepare_layers(struct stack *s, unsigned uses)
{
	int64_t C = s->m->hidden, F = s->m->ffn, Q = model_query(s->m), K = model_key(s->m);
	const struct view qkv[3] = {stack_matrix(s, Q, C), stack_matrix(s, K, C), stack_matrix(s, K, C)};
	const struct view wo = stack_matrix(s, C, Q), down = stack_matrix(s, C, F);
	const struct view gu[2] = {stack_matrix(s, F, C), stack_matrix(s, F, C)};
	for (struct layer *l = s->layer; l < s->layer + s->m->layers; l++) {
		stack_prepare(s, &l->qkv, 3, qkv, uses);
		stack_prepare(s, &l->wo, 1, &wo, uses);
		stack_prepare(s, &l->gu, 2, gu, uses);
		stack_prepare(s, &l->down, 1, &down, uses);
	}
}

static void prepare_ends(struct stack *s, unsigned uses)
{
	const struct view embedding = stack_matrix(s, s->m->vocab, s->m->hidden);
	stack_prepare(s, &s->embedding, 1, &embedding, WEIGHT_GATHER | (s->m->tied ? uses : 0));
	if (!s->m->tied) {
		const struct view head = stack_matrix(s, s->m->vocab, s->m->hidden);
		stack_prepare(s, &s->head_weight, 1, &head, uses);
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
	s->rope.cos = stack_array(s, positions, half, DTYPE_F32);
	s->rope.sin = stack_array(s, positions, half, DTYPE_F32);
	stack_put(s, s->rope.cos, host);
	stack_put(s, s->rope.sin, host + positions * half);
	free(host);
	return 0;
}

static void set_parameters(struct stack *s)
{
	const struct model *m = s->m;
	const struct attn_dims dims = {(int)m->heads, (int)m->kv_heads, (int)m->head_dim,
				       (float)(1 / sqrt((double)m->head_dim))};
	for (struct layer *l = s->layer; l < s->layer + m->layers; l++) {
		l->in = (struct attn_in_params){
			.dims = dims, .norm_w = s->norm_w, .eps = 1e-5f, .wqkv = &l->qkv, .rope = s->rope};
		l->out = (struct attn_out_params){.wo = &l->wo};
		l->mlp = (struct mlp_params){.norm_w = s->norm_w, .eps = 1e-5f, .wgu = &l->gu, .wdown = &l->down};
	}
}

/* The embedding is every model's largest matrix; the others begin at most HOSTS * 4096 numbers later. */
int stack_weights(struct stack *s, int64_t positions, struct err *err)
{
	unsigned uses = WEIGHT_FORWARD | (s->use == TRAINS ? WEIGHT_DX : 0);
	if (stack_draw(s, (size_t)(s->m->vocab * s->m->hidden + HOSTS * 4096), err) || make_rope(s, positions, err))
		return -1;
	s->norm_w = stack_array(s, 1, s->m->hidden, DTYPE_F32);
	if (!s->dev->failure[0])
		s->k->fill(s->dev, s->norm_w, 1);
	prepare_layers(s, uses);
	prepare_ends(s, uses);
	set_parameters(s);
	return stack_finish(s, err);
}
