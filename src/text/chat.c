// SPDX-License-Identifier: Apache-2.0
/* Rendering of conversations; recognise.c finds the family. */
#include <stdlib.h>
#include <string.h>

#include "src/base/text.h"
#include "src/text/chat.h"
#include "src/text/internal.h"

#define BOS "\1" /* in the table: the text of the beginning-of-sequence token */
#define EOS "\2"

enum role { SYSTEM, USER, ASSISTANT, ROLES };

static const char *const role_names[] = {"system", "user", "assistant"};

static const struct family {
	const char *name;
	const char *start; /* of the whole text */
	struct {
		const char *before, *mark, *after; /* of the content; the mark ends the turn */
	} turns[ROLES];                            /* before == NULL: no such role */
	const char *prompt;                        /* what an answer is asked for with */
	bool trim;                                 /* white space around contents goes away */
	bool alternate;                            /* user and assistant take turns, the user first */
	bool fold_system;                          /* a first system message goes into the first user message */
} families[] = {
	[CHAT_NONE] = {.name = "none"},
	[CHAT_CHATML] = {"chatml",
			 "",
			 {{"<|im_start|>system\n", "<|im_end|>", "\n"},
			  {"<|im_start|>user\n", "<|im_end|>", "\n"},
			  {"<|im_start|>assistant\n", "<|im_end|>", "\n"}},
			 "<|im_start|>assistant\n",
			 false,
			 false,
			 false},
	[CHAT_LLAMA2] = {"llama2",
			 "",
			 {{NULL, NULL, NULL}, {BOS "[INST] ", " [/INST]", ""}, {" ", " " EOS, ""}},
			 "",
			 true,
			 true,
			 true},
	[CHAT_LLAMA3] = {"llama3",
			 BOS,
			 {{"<|start_header_id|>system<|end_header_id|>\n\n", "<|eot_id|>", ""},
			  {"<|start_header_id|>user<|end_header_id|>\n\n", "<|eot_id|>", ""},
			  {"<|start_header_id|>assistant<|end_header_id|>\n\n", "<|eot_id|>", ""}},
			 "<|start_header_id|>assistant<|end_header_id|>\n\n",
			 true,
			 false,
			 false},
	[CHAT_MISTRAL] = {"mistral",
			  BOS,
			  {{NULL, NULL, NULL}, {"[INST] ", " [/INST]", ""}, {"", EOS, ""}},
			  "",
			  false,
			  true,
			  false},
	[CHAT_ZEPHYR] = {"zephyr",
			 "",
			 {{"<|system|>\n", EOS, "\n"}, {"<|user|>\n", EOS, "\n"}, {"<|assistant|>\n", EOS, "\n"}},
			 "<|assistant|>\n",
			 false,
			 false,
			 false},
};

const char *chat_family_name(enum chat_family family)
{
	return families[family].name;
}

static char *role_text(const struct tokenizer *tok, enum tokenizer_role role, struct err *err)
{
	size_t n = 0;
	const char *text = tokenizer_token(tok, tokenizer_role_id(tok, role), &n);
	char *copy = mem_array(n + 1, 1, err);

	if (copy && n)
		memcpy(copy, text, n);
	return copy;
}

/* The family called `name`; the error lists them all. */
static int find_family(enum chat_family *family, const char *name, struct err *err)
{
	char shown[60];

	for (int i = 0; i < CHAT_FAMILIES; i++) {
		if (!strcmp(name, families[i].name)) {
			*family = (enum chat_family)i;
			return 0;
		}
	}
	return err_set(err, ERR_CONFIG,
		       "unknown chat template '%s'; use auto, none, chatml, llama2, llama3, "
		       "mistral or zephyr",
		       text_escape(shown, sizeof shown, name, strlen(name)));
}

static int choose(struct chat *chat, const struct tokenizer *tok, const char *name, struct err *err)
{
	const char *text = tokenizer_chat_template(tok);

	if (name && strcmp(name, "auto"))
		return find_family(&chat->family, name, err);
	return text ? chat_recognise(&chat->family, &chat->default_system, text, err) : 0;
}

/* Whether the family's texts have the token that a letter of the table stands for. */
static bool uses(const struct family *family, char letter)
{
	for (size_t i = 0; i < ROLES; i++) {
		const char *before = family->turns[i].before, *mark = family->turns[i].mark;
		if (before && (strchr(before, letter) || strchr(mark, letter)))
			return true;
	}
	return family->start && strchr(family->start, letter);
}

int chat_init(struct chat *chat, const struct tokenizer *tok, const char *name, struct err *err)
{
	const struct family *family;

	*chat = (struct chat){.family = CHAT_NONE};
	chat->bos = role_text(tok, TOKENIZER_BOS, err);
	chat->eos = role_text(tok, TOKENIZER_EOS, err);
	if (!chat->bos || !chat->eos || choose(chat, tok, name, err)) {
		chat_release(chat);
		return -1;
	}
	family = &families[chat->family];
	if ((*chat->bos || !uses(family, *BOS)) && (*chat->eos || !uses(family, *EOS)))
		return 0;
	chat_release(chat);
	return err_set(err, ERR_CONFIG, "chat template '%s' needs a tokenizer with bos_token and eos_token",
		       family->name);
}

const char *chat_end(const struct chat *chat)
{
	const char *mark = families[chat->family].turns[ASSISTANT].mark;

	return mark && !strchr(mark, *EOS) ? mark : NULL;
}

void chat_release(struct chat *chat)
{
	free(chat->bos);
	free(chat->eos);
	free(chat->default_system);
	*chat = (struct chat){.family = CHAT_NONE};
}

void chat_text_release(struct chat_text *text)
{
	free(text->bytes);
	free(text->answers);
	*text = (struct chat_text){0};
}

/* ---- rendering ---- */

struct render {
	const struct chat *chat;
	const struct family *family;
	struct buffer out;
	struct chat_span *answers;
	size_t n_answers, room;
	struct err *err;
};

/* A text of the table. */
static int put(struct render *r, const char *text)
{
	for (size_t n; *text; text += n) {
		const char *token = *text == *BOS ? r->chat->bos : *text == *EOS ? r->chat->eos : NULL;
		n = token ? 1 : strcspn(text, BOS EOS);
		if (token ? buffer_put(&r->out, token, strlen(token), r->err) : buffer_put(&r->out, text, n, r->err))
			return -1;
	}
	return 0;
}

/* What Python's str.strip takes: white space and the separators U+001C to U+001F. */
static bool is_strip(const char *bytes, size_t *length)
{
	uint32_t code = unicode_read(bytes, length);

	return unicode_is_space(code) || (code >= 0x1C && code <= 0x1F);
}

static struct slice trimmed(struct slice text)
{
	size_t length, end = 0;

	while (text.n && is_strip(text.bytes, &length)) {
		text.bytes += length;
		text.n -= length;
	}
	for (size_t at = 0; at < text.n; at += length) {
		if (!is_strip(text.bytes + at, &length))
			end = at + length;
	}
	return (struct slice){text.bytes, end};
}

static int put_turn(struct render *r, enum role role, struct slice content)
{
	struct chat_span span;

	if (r->family->trim)
		content = trimmed(content);
	span.asked = r->out.n + strlen(r->family->prompt); /* the letters of BOS and EOS are in none of these */
	if (put(r, r->family->turns[role].before))
		return -1;
	span.begin = r->out.n;
	span.end = span.begin + content.n;
	if (buffer_put(&r->out, content.bytes, content.n, r->err) || put(r, r->family->turns[role].mark))
		return -1;
	span.stop = r->out.n;
	if (put(r, r->family->turns[role].after))
		return -1;
	if (role != ASSISTANT)
		return 0;
	if (mem_grow(&r->answers, &r->room, r->n_answers + 1, sizeof *r->answers, r->err))
		return -1;
	r->answers[r->n_answers++] = span;
	return 0;
}

/* The first user message of llama2 with the system message in front of it. */
static int put_folded(struct render *r, struct slice system, struct slice user)
{
	struct buffer both = {0};
	int result = buffer_put(&both, "<<SYS>>\n", 8, r->err) || buffer_put(&both, system.bytes, system.n, r->err) ||
		     buffer_put(&both, "\n<</SYS>>\n\n", 11, r->err) || buffer_put(&both, user.bytes, user.n, r->err) ||
		     put_turn(r, USER, (struct slice){both.bytes, both.n});

	free(both.bytes);
	return result ? -1 : 0;
}

static int find_role(enum role *role, const struct chat_message *message, size_t i, struct err *err)
{
	char shown[60];

	for (int k = 0; k < ROLES; k++) {
		if (!strcmp(message->role, role_names[k])) {
			*role = (enum role)k;
			return 0;
		}
	}
	return err_set(err, ERR_DATA, "message %zu: unknown role '%s'; use system, user or assistant", i,
		       text_escape(shown, sizeof shown, message->role, strlen(message->role)));
}

/* Message i, `turn` turns after the first user message. */
static int check_message(const struct render *r, const struct chat_message *message, enum role role, size_t i,
			 size_t turn)
{
	size_t good = text_utf8_valid(message->content, message->n);

	if (good < message->n)
		return err_set(r->err, ERR_DATA, "message %zu: byte %zu is not UTF-8", i, good);
	if (!r->family->turns[role].before)
		return err_set(r->err, ERR_DATA, "message %zu: chat template '%s' takes no system message here", i,
			       r->family->name);
	if (r->family->alternate && role != (turn % 2 ? ASSISTANT : USER))
		return err_set(r->err, ERR_DATA,
			       "message %zu: chat template '%s' needs user and assistant in turn, the "
			       "user first",
			       i, r->family->name);
	return 0;
}

static int put_messages(struct render *r, const struct chat_message *messages, size_t n)
{
	const char *system = r->chat->default_system;
	struct slice folded = {0};
	enum role role = USER;

	for (size_t i = 0, turn = 0; i < n; i++) {
		struct slice content = {messages[i].content, messages[i].n};
		if (find_role(&role, &messages[i], i, r->err))
			return -1;
		if (!i && role == SYSTEM && r->family->fold_system && n > 1 &&
		    text_utf8_valid(content.bytes, content.n) == content.n) {
			folded = content;
			continue;
		}
		if (!i && role != SYSTEM && system && put_turn(r, SYSTEM, (struct slice){system, strlen(system)}))
			return -1;
		if (check_message(r, &messages[i], role, i, turn))
			return -1;
		if (!turn++ && folded.bytes ? put_folded(r, folded, content) : put_turn(r, role, content))
			return -1;
	}
	return 0;
}

int chat_render(struct chat_text *text, const struct chat *chat, const struct chat_message *messages, size_t n,
		bool prompt, struct err *err)
{
	struct render r = {.chat = chat, .family = &families[chat->family], .err = err};
	int result;

	*text = (struct chat_text){0};
	if (chat->family == CHAT_NONE)
		return err_set(err, ERR_CONFIG, "messages need a chat template, and the model has none; name one: chatml, llama2, llama3, mistral or zephyr");
	if (!n)
		return err_set(err, ERR_DATA, "a conversation needs a message");
	result = put(&r, r.family->start) || put_messages(&r, messages, n) || (prompt && put(&r, r.family->prompt)) ||
		 buffer_put(&r.out, "", 1, err);
	*text = (struct chat_text){r.out.bytes, result ? 0 : r.out.n - 1, r.answers, r.n_answers};
	if (result)
		chat_text_release(text);
	return result ? -1 : 0;
}
