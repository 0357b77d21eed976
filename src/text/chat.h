// SPDX-License-Identifier: Apache-2.0
/*
 * chat.h - conversations as the text a chat model was trained on.
 *
 * A fixed table of families; template text of a model is compared with what
 * the table knows and never run. The family is chosen by name
 * (`student.chat_template` in a plan) or recognised:
 *
 *     struct chat chat;
 *     if (chat_init(&chat, tok, name, &err))    // NULL or "auto": recognise
 *             return -1;
 *     struct chat_text text;
 *     if (!chat_render(&text, &chat, messages, n, false, &err))
 *             encoder_encode(enc, &list, text.bytes, text.n, false, &err);
 *     chat_text_release(&text);
 *     chat_release(&chat);
 *
 * Special tokens are written as text, which encoding turns into ids. A family
 * that begins with the beginning-of-sequence token writes it itself, so that
 * the text is encoded without adding special tokens, whatever the family.
 */
#ifndef BALDISTILL_TEXT_CHAT_H
#define BALDISTILL_TEXT_CHAT_H

#include <stdbool.h>
#include <stddef.h>

#include "src/base/err.h"
#include "src/text/tokenizer.h"

#ifdef __cplusplus
extern "C" {
#endif

enum chat_family {
	CHAT_NONE, /* no template: prompts are plain text, messages are refused */
	CHAT_CHATML,
	CHAT_LLAMA2,
	CHAT_LLAMA3,
	CHAT_MISTRAL,
	CHAT_ZEPHYR,
	CHAT_FAMILIES,
};

struct chat {
	enum chat_family family;
	char *bos, *eos;      /* token texts, "" where the tokenizer has none; owned */
	char *default_system; /* what a chatml model says first where no system message is given, or NULL; owned */
};

struct chat_message {
	const char *role;    /* system, user or assistant */
	const char *content; /* UTF-8, n bytes */
	size_t n;
};

/*
 * Where an assistant's answer stands: content in [begin, end), the mark that ends its turn in [end, stop); asked: where
 * a prompt for it ends.
 */
struct chat_span {
	size_t asked, begin, end, stop;
};

struct chat_text {
	char *bytes; /* n bytes and a NUL; owned */
	size_t n;
	struct chat_span *answers; /* one for each assistant message, in order; owned */
	size_t n_answers;
};

/* Name of a family, as plans write it. */
const char *chat_family_name(enum chat_family family);

/*
 * The family by name, or, where name is NULL or "auto", recognised from the
 * tokenizer's template (none where it has no template). ERR_CONFIG for an
 * unknown name or a template that the table does not know.
 */
int chat_init(struct chat *chat, const struct tokenizer *tok, const char *name, struct err *err);
void chat_release(struct chat *chat);

/* What ends an answer, borrowed; NULL: the tokenizer's end token. */
const char *chat_end(const struct chat *chat);

/*
 * The family of a template text; *default_system (owned by the caller, also after
 * a failure) or NULL. ERR_CONFIG also where the template has a system message of
 * its own that cannot be told without running it.
 */
int chat_recognise(enum chat_family *family, char **default_system, const char *text, struct err *err);

/*
 * Render messages; with `prompt` the text ends where an assistant's answer
 * begins. ERR_DATA for a role or an order of roles that the family does not
 * have (naming the message), ERR_CONFIG for CHAT_NONE.
 */
int chat_render(struct chat_text *text, const struct chat *chat, const struct chat_message *messages, size_t n,
		bool prompt, struct err *err);
void chat_text_release(struct chat_text *text);

#ifdef __cplusplus
}
#endif
#endif
