// SPDX-License-Identifier: Apache-2.0
#include "src/student/student.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"

/* ---- opening -------------------------------------------------------------------- */

/* As SentencePiece does; asked for the one family whose answers begin with a space. */
static int find_space(struct student *s, struct err *err)
{
	static const char mark[] = "\xe2\x96\x81"; /* U+2581 */
	struct token_list ids = {0};
	size_t n = 0;
	if (s->chat.family != CHAT_LLAMA2)
		return 0;
	int rc = encoder_encode(s->encoder, &ids, "x", 1, false, err);
	const char *text = !rc && ids.n ? tokenizer_token(s->tokenizer, ids.ids[0], &n) : NULL;
	s->puts_space = text && n >= sizeof mark - 1 && !memcmp(text, mark, sizeof mark - 1);
	token_list_release(&ids);
	return rc;
}

static int open_text(struct student *s, const struct student_options *o, struct err *err)
{
	s->tokenizer = tokenizer_load(o->directory, err);
	s->encoder = s->tokenizer ? encoder_new(s->tokenizer, err) : NULL;
	if (!s->encoder || chat_init(&s->chat, s->tokenizer, o->chat_template ? o->chat_template : "none", err))
		return -1;
	s->eos = tokenizer_role_id(s->tokenizer, TOKENIZER_EOS);
	s->bos = tokenizer_beginning(s->tokenizer);
	return find_space(s, err);
}

static int open_device(struct student *s, const struct student_options *o, struct err *err)
{
	const struct device_options device = {.threads = o->threads, .batch_invariant = o->batch_invariant,
					      .dtype = o->dtype};
	s->dev = backend_open(o->backend, &device, err);
	return s->dev ? 0 : -1;
}

static int open_model(struct student *s, const struct student_options *o, struct err *err)
{
	const struct model_options model = {.dtype = o->dtype, .memory = o->memory, .random = o->random, .seed = o->seed};
	s->model = model_load(o->directory, s->dev, &model, err);
	if (!s->model || (o->adapter && !(s->adapter = adapter_load(s->model, o->adapter, err))))
		return -1;
	if (s->adapter)
		adapter_attach(s->adapter);
	return 0;
}

static int check_vocabulary(const struct student *s, const struct student_options *o, struct err *err)
{
	if ((int64_t)tokenizer_size(s->tokenizer) <= s->model->config.vocab_size)
		return 0;
	return err_set(err, ERR_DATA, "%s: the tokenizer has %zu ids, the model's vocabulary %lld", o->directory,
		       tokenizer_size(s->tokenizer), (long long)s->model->config.vocab_size);
}

/*
 * Generation ends after the token that training teaches as the end, which not every base names among its own: those
 * before instruction tuning have the end of a document there.
 */
static int stop_at_end(struct student *s, struct err *err)
{
	const char *mark = chat_end(&s->chat);
	struct token_list ids = {0};
	int32_t end = s->eos;
	int rc = mark ? encoder_encode(s->encoder, &ids, mark, strlen(mark), false, err) : 0;
	if (mark && ids.n == 1)
		end = ids.ids[0];
	if (!rc && end >= 0)
		model_config_stop_at(&s->model->config, end);
	token_list_release(&ids);
	return rc;
}

/* The tokenizer, read on a thread of its own while the weights are. */
struct beside {
	struct student *student;
	const struct student_options *options;
	struct err err;
	int rc;
};

static void *open_text_beside(void *data)
{
	struct beside *text = data;
	text->rc = open_text(text->student, text->options, &text->err);
	return NULL;
}

/* Both at one time; what is wrong with the text is said first. The device comes before: it may set the environment. */
static int open_both(struct student *s, const struct student_options *o, struct err *err)
{
	struct beside text = {.student = s, .options = o};
	pthread_t thread;
	if (open_device(s, o, err))
		return -1;
	bool started = !pthread_create(&thread, NULL, open_text_beside, &text);
	int rc = open_model(s, o, err);
	if (started)
		pthread_join(thread, NULL);
	else
		open_text_beside(&text);
	if (text.rc && err)
		*err = text.err;
	return text.rc || rc || check_vocabulary(s, o, err) || stop_at_end(s, err) ? -1 : 0;
}

struct student *student_open(const struct student_options *options, struct err *err)
{
	struct student *s = mem_array(1, sizeof *s, err);
	if (!s)
		return NULL;
	if (options->text_only ? open_text(s, options, err) : open_both(s, options, err)) {
		student_close(s);
		return NULL;
	}
	return s;
}

void student_close(struct student *s)
{
	if (!s)
		return;
	adapter_free(s->adapter);
	model_free(s->model);
	backend_close(s->dev);
	chat_release(&s->chat);
	encoder_free(s->encoder);
	tokenizer_free(s->tokenizer);
	free(s);
}

/* ---- rows to ids ------------------------------------------------------------------ */

static int append_id(struct token_list *list, int32_t id, struct err *err)
{
	if (mem_grow(&list->ids, &list->room, list->n + 1, sizeof *list->ids, err))
		return -1;
	list->ids[list->n++] = id;
	return 0;
}

static int append_end(struct student *s, struct token_list *target, struct err *err)
{
	if (s->eos < 0)
		return err_set(err, ERR_DATA, "the tokenizer names no end token (eos_token of tokenizer_config.json)");
	return append_id(target, s->eos, err);
}

static int append_ids(struct student *s, const struct example_text *text, struct token_list *target, struct err *err)
{
	int64_t vocab = s->model ? s->model->config.vocab_size : (int64_t)tokenizer_size(s->tokenizer);
	for (size_t i = 0; i < text->completion_ids_n; i++) {
		int32_t id = text->completion_ids[i];
		if (id < 0 || id >= vocab)
			return err_set(err, ERR_DATA, "'completion_ids' holds %d, the vocabulary %lld ids", id, (long long)vocab);
		if (append_id(target, id, err))
			return -1;
	}
	return 0;
}

static int encode_target(struct student *s, const struct example_text *text, struct token_list *target,
			 struct err *err)
{
	if (text->completion_ids)
		return append_ids(s, text, target, err);
	if (encoder_encode(s->encoder, target, text->completion, text->completion_n, false, err))
		return err_prefix(err, "'completion'");
	bool ended = s->eos >= 0 && target->n && target->ids[target->n - 1] == s->eos; /* the text spells it */
	return text->cut || ended ? 0 : append_end(s, target, err);
}

/* The beginning token once, also where the text spells it. */
static int encode_prompt(struct student *s, const struct example_text *text, struct token_list *prompt, struct err *err)
{
	if (s->bos >= 0 && append_id(prompt, s->bos, err))
		return -1;
	if (encoder_encode(s->encoder, prompt, text->prompt, text->prompt_n, false, err))
		return err_prefix(err, "'prompt'");
	if (s->bos >= 0 && prompt->n > 1 && prompt->ids[1] == s->bos)
		memmove(prompt->ids, prompt->ids + 1, --prompt->n * sizeof *prompt->ids);
	return 0;
}

/* From where generation begins: what stands between that and the answer is learned with it. */
static int encode_answer(struct student *s, const struct chat_text *chat, const struct chat_span *answer,
			 struct token_list *target, struct err *err)
{
	size_t at = answer->asked;
	if (s->puts_space && chat->bytes[at] == ' ' && at < answer->begin)
		at++;
	return encoder_encode(s->encoder, target, chat->bytes + at, answer->stop - at, false, err);
}

/* The answer is still to be made, or there as ids: messages that end with an answer ask for that one. */
static int encode_asked(struct student *s, const struct example_text *text, struct example_ids *out, struct err *err)
{
	struct chat_text chat;
	size_t n = text->messages_n;
	if (n && !strcmp(text->messages[n - 1].role, "assistant"))
		n--;
	if (chat_render(&chat, &s->chat, text->messages, n, true, err))
		return -1;
	int rc = encoder_encode(s->encoder, &out->prompt, chat.bytes, chat.n, false, err);
	chat_text_release(&chat);
	return rc || (text->completion_ids && append_ids(s, text, &out->target, err)) ? -1 : 0;
}

/* Messages to ids: the last answer and the mark that ends its turn are the targets, all before is the prompt. */
static int encode_answered(struct student *s, const struct example_text *text, struct example_ids *out, struct err *err)
{
	struct chat_text chat;
	if (chat_render(&chat, &s->chat, text->messages, text->messages_n, false, err))
		return -1;
	const struct chat_span *answer = chat.n_answers ? &chat.answers[chat.n_answers - 1] : NULL;
	int rc = encoder_encode(s->encoder, &out->prompt, chat.bytes, answer ? answer->asked : chat.n, false, err);
	if (!rc && answer)
		rc = encode_answer(s, &chat, answer, &out->target, err);
	chat_text_release(&chat);
	return rc;
}

static int encode_row(struct student *s, const struct example_text *text, struct example_ids *out, struct err *err)
{
	if (text->messages)
		return text->completion ? encode_answered(s, text, out, err) : encode_asked(s, text, out, err);
	if (encode_prompt(s, text, &out->prompt, err))
		return -1;
	return text->completion || text->completion_ids ? encode_target(s, text, &out->target, err) : 0;
}

int example_encode(struct student *student, const struct example_text *text, struct example_ids *out, struct err *err)
{
	out->prompt.n = out->target.n = 0;
	if (encode_row(student, text, out, err))
		return -1;
	if ((text->completion || text->completion_ids) && !out->target.n)
		return err_set(err, ERR_DATA, "the row has no target token");
	return 0;
}

void example_release(struct example_ids *example)
{
	token_list_release(&example->prompt);
	token_list_release(&example->target);
}
