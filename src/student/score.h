// SPDX-License-Identifier: Apache-2.0
/*
 * score.h - instruction-following difficulty of prompts and completions.
 *
 * IFD(x, y) = PPL(y | x) / PPL(y) by one model over the same tokens of y (Li
 * et al. 2024, arXiv 2402.00530; reference/ifd.h). Two passes over packed
 * calls: one with the prompts, whose common beginning is computed once, one
 * without. Rows whose conditional log-probabilities are known, because this
 * model has just generated them, take part in the second pass alone.
 *
 *     struct score_row rows[n] = {{.prompt = ids, .prompt_n = p, .target = out, .target_n = t}, …};
 *     struct ifd_score scores[n];
 *     if (student_score(model, rows, n, &options, scores, &progress, &err))
 *             return -1;
 *
 * Calls are filled in row order up to options.rows tokens, so a result depends
 * on the rows, the options, the backend and its threads, and nothing else. A GPU
 * (device.remote) is filled by longer calls than a CPU's caches.
 */
#ifndef BALDISTILL_STUDENT_SCORE_H
#define BALDISTILL_STUDENT_SCORE_H

#include "reference/ifd.h"
#include "src/base/progress.h"
#include "src/model/model.h"

#ifdef __cplusplus
extern "C" {
#endif

struct score_row {
	const int32_t *prompt;    /* [prompt_n], the beginning token included where the tokenizer puts one */
	int64_t prompt_n;
	const int32_t *target;    /* [target_n]: the completion's tokens and the end token */
	int64_t target_n;
	const float *conditional; /* [target_n], log-probabilities known already; NULL: to be computed */
};

struct score_options {
	int64_t rows;      /* tokens of a call; 0: 2048, on a GPU 16384 or what `memory` has room for, not below 2048 */
	int32_t bos;       /* put before the completion in the unconditional pass; -1: none */
	uint64_t memory;   /* bound of weights and arrays in bytes; 0: none */
};

/*
 * scores[i] of each row. ERR_DATA for a row longer than the model's positions,
 * named by its index; ERR_MEMORY where the arrays exceed options.memory.
 */
int student_score(struct model *model, const struct score_row *rows, size_t n, const struct score_options *options,
		  struct ifd_score *scores, struct progress *progress, struct err *err);

#ifdef __cplusplus
}
#endif
#endif
