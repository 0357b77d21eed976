// SPDX-License-Identifier: Apache-2.0
/*
 * gpu_bench.h - how fast a whole student is on one device.
 *
 * gpu_bench --model NAME --job JOB [--backend cuda] [--tokens 4096] [--length 1024] [--rank 16] [--targets qv|all]
 *           [--dropout P] [--slots 512] [--prompt 300] [--new 200] [--steps 5] [--capture] [--direct]
 *           [--batch-invariant] [--json]
 *
 * A student of random bf16 weights is run through the kernel table alone, in the sequences of reference/kernel.h. Jobs:
 *
 *     train           LoRA: one micro-batch of `tokens` tokens in segments of `length`, all of them targets, is one
 *                     optimizer step; nothing is computed twice. The data stay the same, so the loss must fall.
 *     score           the forward half and every token's log-probability
 *     decode          greedy, `slots` slots of `prompt` cached tokens, until `new` tokens more; captured and replayed,
 *                     with --direct called at once: the checksum of the tokens must be the same
 *     roofs           what the device's own copy and its largest product reach
 *     profile         every operation of a train step alone, called for all layers one after the other
 *     profile_decode  likewise of a decode step in its middle
 *
 * With --batch-invariant a row's products do not depend on the rows beside it, and every setting says so.
 *
 * Two warm-up steps, then the median of `steps`; a step ends where the device has finished it. FLOPs of a token: N
 * weights in products, head included; forward 2 N and attention's causal half 2 L Q T; the backward of LoRA 2 N and
 * twice that attention. The floor of a decode step: the longer of weights and cache at the copy's bandwidth and of its
 * FLOPs at PEAK.
 *
 * A job, here score:
 *
 *     struct stack s;
 *     int rc = stack_init(&s, &options, &err);
 *     rc = rc || batch_make(&s, SCORES, &err);               // arrays, weights, tokens
 *     rc = rc || time_steps(&s, score_step, &times, &err);   // batch_put, stack_call, batch_loss
 *     if (!rc)
 *             REPORT(&options, "4 x 1024", {"ms", 1e3 * times.middle, "", 2});
 *     stack_release(&s);
 *
 * The stack owns every array and weight, and all end with it. What returns int gives 0, or -1 and an err; what returns
 * nothing leaves its failure in the device, whose later operations do nothing, until stack_finish makes it an err.
 */
#ifndef BALDISTILL_BENCH_GPU_GPU_BENCH_H
#define BALDISTILL_BENCH_GPU_GPU_BENCH_H

#include "backends/backend.h"
#include "src/base/err.h"

#define PEAK 790e12 /* FLOP/s that an H100 or H200 reaches in dense bf16 products */

enum { MODULES = MODULE_DOWN + 1, PAGE = 32, WARM = 2, HOSTS = 9 };

/* What a stack is made for; also bits of a set. */
enum use { TRAINS = 1, SCORES = 2, DECODES = 4 };

struct options {
	const struct model *model;
	const char *backend, *job, *targets;
	int64_t tokens, length, rank, slots, prompt, created, steps;
	double dropout;
	bool capture, direct, invariant, json;
};

/* ---- models.c: shapes, and the FLOPs they cost -------------------------------------------- */

struct model {
	const char *name;
	int64_t layers, hidden, heads, kv_heads, head_dim, ffn, vocab;
	bool tied;
	int64_t roof; /* rows and columns of the roofs' matrices */
};

/* NULL for a name that is not in the table. */
const struct model *model_find(const char *name);
/* Columns of q, and of k and v. */
int64_t model_query(const struct model *m);
int64_t model_key(const struct model *m);
/* Weights that stand in products, head included. */
double model_weights(const struct model *m);
/* FLOPs of a token's attention over `keys` keys, all layers. */
double model_attention(const struct model *m, double keys);

/* ---- stack.c: everything one run holds ----------------------------------------------------- */

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
	struct view cache_k, cache_v; /* DECODES */
};

struct stack {
	struct device *dev;
	const struct kernels *k;
	const struct model *m;
	const struct options *o;
	enum use use;
	int64_t rows, segments; /* of a call */
	uint16_t *numbers;      /* the host's random bf16 numbers, of which every matrix is a part */
	size_t n_numbers;
	struct buffer host[HOSTS];
	int hosts;
	struct buffer **buffer; /* all arrays of the device */
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
	struct view p, g, m1, m2; /* of all adapters */
	struct adamw_item *items;
	int n_items;
	/* What goes to the device in every step; host_row: cache rows, or rows that are targets. */
	int32_t *host_ids, *host_pos, *host_target, *host_q_begin, *host_own_len, *host_row;
	float *host_logp;
	float loss;
	struct graph *graph;
	int64_t calls;
};

/* Opens the device; stack_release follows a failure too. */
int stack_init(struct stack *s, const struct options *o, struct err *err);
void stack_release(struct stack *s);
/* A new array of the device, and a host's dense one copied to it. */
struct view stack_array(struct stack *s, int64_t rows, int64_t cols, enum dtype dtype);
void stack_put(struct stack *s, struct view v, const void *host);
/* `to` filled with the rows of `from`, over and over. */
void stack_spread(struct stack *s, struct view to, struct view from);
/* Frees all arrays but the first `mark`. */
void stack_cut(struct stack *s, size_t mark);
/* Waits for the device; its failure as an err. */
int stack_finish(struct stack *s, struct err *err);
/* GB that the device holds. */
double stack_held(const struct stack *s);

/* ---- weights.c, adapters.c, arrays.c: what a stack consists of ------------------------------ */

/* The same numbers in every run. */
uint64_t random_next(uint64_t *state);
/* n host numbers, and the next matrix of them; at most HOSTS matrices. */
int stack_draw(struct stack *s, size_t n, struct err *err);
struct view stack_matrix(struct stack *s, int64_t rows, int64_t cols);
void stack_prepare(struct stack *s, struct weight *w, int n, const struct view host[], unsigned uses);
/* All of the base model, with rotary tables of `positions`. */
int stack_weights(struct stack *s, int64_t positions, struct err *err);

/* Adapters of the targeted modules, their gradients, moments and items. */
int adapters_make(struct stack *s, struct err *err);
int64_t adapters_numbers(const struct stack *s);
/* Numbers of a layer's adapters of the modules `first` to `last`; 0 where nothing is trained. */
int64_t adapters_of_layer(const struct stack *s, int first, int last);

/* Weights, arrays and scratch for calls of s->rows rows in s->segments segments, as s->use and s->seg's bounds say. */
int arrays_make(struct stack *s, int64_t positions, struct err *err);

/* ---- ops.c: the table's operations on a stack ------------------------------------------------ */

/* One operation, of layer l or of the whole stack. */
typedef void run_fn(struct stack *s, struct layer *l);
run_fn run_embed, run_attn_in, run_attention, run_attn_out, run_mlp, run_gather, run_head, run_head_gradient;
run_fn run_scatter, run_mlp_backward, run_attn_out_backward, run_attention_backward, run_attn_in_backward;
run_fn run_zero, run_norm2, run_adamw, run_logits, run_sample;

void stack_forward(struct stack *s);
/* calls(s) at once, or by capture and replay. */
void stack_call(struct stack *s, void (*calls)(struct stack *));

/* ---- batch.c, slots.c: what a step works on --------------------------------------------------- */

int batch_make(struct stack *s, enum use use, struct err *err);
void batch_put(struct stack *s, int64_t step);
/* s->loss from what the device computed. */
void batch_loss(struct stack *s);

int slots_make(struct stack *s, struct err *err);
/* Token `t` of every slot, counted from 0 with the prompt. */
void slots_put(struct stack *s, int64_t t);

/* ---- time.c, report.c -------------------------------------------------------------------------- */

typedef void step_fn(struct stack *s, int64_t step);

struct times {
	double middle, least, most; /* seconds of a step */
	float first, last;          /* loss */
};

double time_now(void);
/* Sorts the values. */
double median(double *values, int64_t n);
/* Median seconds of one call of fn, `batch` of them at a time. */
double time_calls(struct stack *s, void (*fn)(void *), void *context, int batch);
/* Warm-up, then s->o->steps steps, counted from 1. */
int time_steps(struct stack *s, step_fn *step, struct times *out, struct err *err);

struct figure {
	const char *name;
	double value;
	const char *unit;
	int digits;
};

/* One line to standard output. */
void report(const struct options *o, const char *setting, const struct figure *f, size_t n);
/* The line of a train or score job; flops: of a token. */
void report_steps(const struct stack *s, const char *setting, const struct times *t, double flops);

#define REPORT(o, setting, ...)                                                                                        \
	do {                                                                                                           \
		const struct figure figures[] = {__VA_ARGS__};                                                         \
		report(o, setting, figures, sizeof figures / sizeof *figures);                                         \
	} while (0)

/* ---- profile_ops.c: the operations of a step, and what each costs ------------------------------- */

/* Sizes of a call, by kernel.h's letters; r_*: numbers of a layer's adapters; size: bytes of an activation. */
struct counts {
	double R, C, Q, K, F, V, keys, r_in, r_out, r_mlp, adapters, size;
};

struct profiled {
	const char *name;
	run_fn *run;
	bool layers; /* once for each layer, else once a step */
	double (*flops)(const struct counts *);
	double (*bytes)(const struct counts *);
};

struct counts counts_of(const struct stack *s);
/* In the order of a step, so that each finds what it needs; a NULL name ends them. */
extern const struct profiled profile_train_ops[], profile_decode_ops[];

/* ---- train.c, score.c, decode.c, roofs.c, profile.c: the jobs ------------------------------------ */

typedef int job_fn(struct stack *s, struct err *err);
job_fn job_train, job_score, job_decode, job_roofs, job_profile, job_profile_decode;

step_fn train_step, decode_step;
/* Bytes per second, read and written, of the device's own copy. */
double roofs_copy(struct stack *s);

#endif
