// SPDX-License-Identifier: Apache-2.0
/* measure_case.h - private to measure: the arrays of one model and the operations run on them. */
#ifndef BALDISTILL_BACKENDS_MEASURE_CASE_H
#define BALDISTILL_BACKENDS_MEASURE_CASE_H

#include "backends/measure.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { BENCH_TOKENS = 1024, BENCH_TARGETS = 512, BENCH_RANK = 8, BENCH_SLOTS = 64, BENCH_BUFFERS = 128, BENCH_HOSTS = 16 };

struct bench {
	struct device *dev;
	const struct kernels *k;
	const struct measure_model *m;
	struct buffer *buffers[BENCH_BUFFERS]; /* all that is to be freed */
	int n;
	struct buffer hosts[BENCH_HOSTS];      /* weights as prepare takes them, alive as long as it may refer to them */
	int host;
	struct view x, y, h, dx;             /* [T, C] */
	struct view q, d_q, o;               /* [T, H D] */
	struct view key, value, d_key, d_value; /* [T, K D] */
	struct view g, u, a, d_g, d_u;       /* [T, F]; gradients do not overwrite a: run after run it would decay */
	struct view lse, xa;
	struct view norm_w, ids, pos, saved[3];
	struct view rows_y, rows_dx, rows, target, weight, logp;      /* [512, C]; i32, f32 [1, 512] */
	struct view one_x, one_y;            /* [1, C], [1, F] */
	struct view logits, sampled, sampled_logp, seed, row_id, position; /* [64, V] */
	struct view hyper, norm2, m1, m2, grad;
	struct weight qkv, wo, gu, down, head, gate, gate16; /* gate16: the gate stored in bf16 */
	struct lora lora[7];
	struct dropout drop;
	struct segments seg;
	struct attn_in_params in;
	struct attn_out_params out;
	struct mlp_params mlp;
	struct head_params head_params;
};

/* Make the arrays, filled with small random numbers, and reserve scratch; -1 where the device failed. */
int bench_init(struct bench *bench, struct device *dev, const struct measure_model *model);
void bench_release(struct bench *bench);

/* One operation at the model's shapes. */
struct bench_case {
	const char *name;
	void (*run)(struct bench *b);
	double (*flops)(const struct bench *b); /* NULL: judged by bytes */
	double (*bytes)(const struct bench *b); /* read and written once, elements as stored */
	const char *shape;                      /* in letters of kernel.h */
	bool reads;                             /* judged by the read roof: writes next to nothing */
};

extern const struct bench_case bench_cases[]; /* ends with a NULL name */

#ifdef __cplusplus
}
#endif

#endif
