// SPDX-License-Identifier: Apache-2.0
/*
 * generate.h - completions of many prompts by continuous batching.
 *
 * A queue of rows feeds N slots. Each call carries one token for every slot
 * that decodes and pieces of prompts for slots that do not yet, at most
 * options.rows together; a finished row's slot is refilled at once. Keys and
 * values lie in pages of a cache bounded by the slots and by options.memory;
 * what all prompts begin with is computed and kept once.
 *
 *     struct generate_row rows[n] = {{.prompt = ids, .prompt_n = p, .id = key}, …};
 *     struct generated out[n];
 *     if (student_generate(model, rows, n, &options, out, &progress, &err))
 *             return -1;
 *     …
 *     for (i < n) generated_release(&out[i]);
 *
 * Rows are taken in their order and nothing depends on time, so a call of the
 * same rows, options, backend and threads gives the same bytes. That makes a
 * call of student_generate the unit of resume: a long job is cut into blocks
 * of generate_block(model, options) rows, one call each.
 *
 * A sampled token depends on (seed, row id, position) and the distribution
 * alone (reference/philox.h).
 */
#ifndef BALDISTILL_STUDENT_GENERATE_H
#define BALDISTILL_STUDENT_GENERATE_H

#include "src/base/progress.h"
#include "src/model/model.h"

#ifdef __cplusplus
extern "C" {
#endif

struct generate_row {
	const int32_t *prompt; /* [prompt_n], at least one token */
	int64_t prompt_n;
	uint64_t id;           /* names the row's random numbers */
};

struct generate_options {
	int64_t slots;          /* rows decoded together; 0: 64, on a GPU (device.remote) 256 */
	int64_t rows;           /* tokens of a call, at least the slots; 0: 512, on a GPU 8192 or what `memory` has room for */
	int64_t max_new_tokens; /* of a row */
	struct sample_rule rule;
	uint64_t seed;
	uint64_t memory;        /* bound of weights and arrays in bytes; fewer slots are used where they would exceed it; 0: none */
};

/* One completion; the end token, where it was generated, is its last id. */
struct generated {
	int32_t *ids;   /* [n] */
	float *logp;    /* [n], temperature 1, natural logarithm */
	int64_t n;
	bool stopped;   /* by a stop id; otherwise by max_new_tokens or the model's positions */
};

void generated_release(struct generated *out);

/* Rows of a block: enough that the slots are full for most of it. */
int64_t generate_block(const struct model *model, const struct generate_options *options);

/*
 * out[i] of each row; progress (may be NULL) counts rows. ERR_DATA for a prompt
 * that leaves no position for a token; ERR_MEMORY where not even one slot fits.
 * On failure nothing is left in out.
 */
int student_generate(struct model *model, const struct generate_row *rows, size_t n,
		     const struct generate_options *options, struct generated *out, struct progress *progress,
		     struct err *err);

#ifdef __cplusplus
}
#endif
#endif
