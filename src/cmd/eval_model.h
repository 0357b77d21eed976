// SPDX-License-Identifier: Apache-2.0
/*
 * eval_model.h - a model's answers to the examples of a test file, for `eval --model`.
 *
 * Prompts are the student's template of the task (data/prompts), answers are
 * greedy. Release with completions_release in any case where 0 was returned.
 */
#ifndef BALDISTILL_CMD_EVAL_MODEL_H
#define BALDISTILL_CMD_EVAL_MODEL_H

#include "src/pipeline/completions.h"
#include "src/pipeline/data.h"

struct eval_model {
	const char *directory, *adapter, *backend, *dtype, *chat, *prompts;
	uint64_t memory, slots, max_new_tokens, threads;
	bool batch_invariant;
	const struct voice *voice;
};

/* known: the examples whose domains a prompt lists as classes. */
int eval_model_answer(struct completions *done, const struct eval_model *model, const struct examples *gold,
		      const struct examples *known, enum answer_type type, struct err *err);

#endif
