// SPDX-License-Identifier: Apache-2.0
/*
 * student.h - a model directory opened for use: weights, tokenizer, chat family.
 *
 *     struct student_options options = {.directory = dir, .backend = "auto", .dtype = DTYPE_F32};
 *     struct student *student = student_open(&options, &err);
 *     struct example_ids example = {0};
 *     example_encode(student, &text, &example, &err);
 *     …                                       // score.h, generate.h over student->model
 *     example_release(&example);
 *     student_close(student);
 *
 * Prompt and completion are tokenised apart and their ids joined. The
 * beginning token stands where the tokenizer's own post-processor puts it,
 * once, before the prompt. The completion's targets are its tokens and the
 * tokenizer's end token, which is left out after finish_reason "length"; ids
 * that a row carries are the targets as they stand.
 */
#ifndef BALDISTILL_STUDENT_STUDENT_H
#define BALDISTILL_STUDENT_STUDENT_H

#include "backends/backend.h"
#include "src/model/adapter.h"
#include "src/text/chat.h"
#include "src/text/tokenizer.h"

#ifdef __cplusplus
extern "C" {
#endif

struct student_options {
	const char *directory;     /* a Hugging Face model directory */
	const char *backend;       /* a name of backend.h, or "auto" */
	const char *chat_template; /* a family of chat.h, "auto", or NULL: none */
	enum dtype dtype;          /* of the base weights, and of products where the backend can compute in it */
	int threads;               /* 0: all */
	bool batch_invariant;
	uint64_t memory;           /* bound in bytes; 0: none */
	bool text_only;            /* tokenizer and chat family alone: no device, no weights */
	bool random;               /* weights are drawn from `seed`, none read: model.h */
	uint64_t seed;
	const char *adapter;       /* a PEFT directory to run with; NULL: none */
};

struct student {
	struct device *dev;        /* NULL with text_only, as is the model */
	struct model *model;
	struct adapter *adapter;   /* attached to the model; NULL: none */
	struct tokenizer *tokenizer;
	struct encoder *encoder;
	struct chat chat;
	int32_t bos;               /* what precedes a text, or -1 */
	int32_t eos;               /* the end token, or -1 */
	bool puts_space;           /* llama2: the tokenizer puts a space of its own in front of a text */
};

struct student *student_open(const struct student_options *options, struct err *err);
void student_close(struct student *student);

/*
 * What a row says. A completion of NULL and no ids: the prompt alone. Messages
 * with a completion, whatever it is, have their last answer as the target;
 * without one, as with ids, a last answer is no part of the prompt either.
 */
struct example_text {
	const char *prompt;
	size_t prompt_n;
	const struct chat_message *messages; /* instead of prompt and completion, with a chat family */
	size_t messages_n;
	const char *completion;
	size_t completion_n;
	const int32_t *completion_ids;       /* instead of the completion's text; NULL: none */
	size_t completion_ids_n;
	bool cut;                            /* finish_reason "length": no end token follows */
};

/* A row as ids. */
struct example_ids {
	struct token_list prompt, target;
};

/*
 * ERR_DATA where text is not UTF-8, where an id is outside the vocabulary,
 * where there would be no target, or where the tokenizer has no end token for
 * a text that needs one. Reuses the lists' memory.
 */
int example_encode(struct student *student, const struct example_text *text, struct example_ids *out, struct err *err);
void example_release(struct example_ids *example);

#ifdef __cplusplus
}
#endif
#endif
