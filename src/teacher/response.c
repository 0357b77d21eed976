// SPDX-License-Identifier: Apache-2.0
#include "src/teacher/response.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/base/text.h"
#include "src/teacher/pick.h"

static const char *const cause_names[TEACHER_CAUSES] = {
	[TEACHER_USABLE] = "",
	[TEACHER_EMPTY_BODY] = "empty body",
	[TEACHER_HTML] = "html",
	[TEACHER_NOT_JSON] = "not json",
	[TEACHER_ERROR_BODY] = "error body",
	[TEACHER_NO_CHOICE] = "no choice",
	[TEACHER_CHOICES] = "several choices",
	[TEACHER_NO_CONTENT] = "no content",
	[TEACHER_EMPTY_CONTENT] = "empty content",
	[TEACHER_LENGTH] = "length",
	[TEACHER_FILTERED] = "content filter",
	[TEACHER_REFUSAL] = "refusal",
	[TEACHER_TOOL_CALLS] = "tool calls",
	[TEACHER_FINISH_REASON] = "finish reason",
	[TEACHER_CONTROLS] = "control characters",
};

const char *teacher_cause_name(enum teacher_cause cause)
{
	return cause < TEACHER_CAUSES ? cause_names[cause] : "";
}

static bool is_blank(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!memchr(" \t\r\n", s[i], 4))
			return false;
	return true;
}

/* What is wanted of a body; the rows from USAGE on keep their order. */
enum {
	ROOT,
	FAILURE,
	MODEL,
	CHOICES,
	CONTENT,
	REFUSAL,
	TOOLS,
	FUNCTION,
	FINISH,
	USAGE,
	PROMPT,
	COMPLETION,
	TOTAL,
	CACHED,
	REASONING,
	PICKS
};

static const char *const body_paths[PICKS] = {
	"",
	"error",
	"model",
	"choices",
	"choices.0.message.content",
	"choices.0.message.refusal",
	"choices.0.message.tool_calls",
	"choices.0.message.function_call",
	"choices.0.finish_reason",
	"usage",
	"usage.prompt_tokens",
	"usage.completion_tokens",
	"usage.total_tokens",
	"usage.prompt_tokens_details.cached_tokens",
	"usage.completion_tokens_details.reasoning_tokens",
};

/* Redact before cutting, so that no part of a key is left where the cut falls. */
static int take_name(char *out, size_t room, const struct pick *pick, const struct teacher_key *key, struct err *err)
{
	char *copy;
	size_t n;
	*out = '\0';
	if (pick_copy(&copy, &n, pick, err))
		return -1;
	if (copy)
		text_escape(out, room, copy, teacher_key_redact(key, copy, n));
	free(copy);
	return 0;
}

/* 1 where a count was read, 0 where there is none, -1 where it is something else, or more than any model takes. */
static int take_count(uint64_t *out, const struct pick *pick)
{
	const uint64_t most = 100000000;
	if (pick->kind == JSON_ABSENT || pick->kind == JSON_NULL)
		return 0;
	return json_event_uint64(&pick->event, out, NULL) || *out > most ? -1 : 1;
}

static void take_usage(struct teacher_usage *usage, const struct pick *p)
{
	struct teacher_usage got = {0};
	if (p[USAGE].kind == JSON_ABSENT || p[USAGE].kind == JSON_NULL)
		return;
	int prompt = take_count(&got.prompt_tokens, &p[PROMPT]);
	int completion = take_count(&got.completion_tokens, &p[COMPLETION]);
	int total = take_count(&got.total_tokens, &p[TOTAL]);
	int cached = take_count(&got.cached_tokens, &p[CACHED]);
	int reasoning = take_count(&got.reasoning_tokens, &p[REASONING]);
	if (prompt != 1 || !got.prompt_tokens || completion != 1 || total < 0 || cached < 0 || reasoning < 0) {
		usage->flagged = true;
		return;
	}
	/* Servers that tell thinking apart from completion_tokens (Gemini, xAI) bill it like the rest of the total. */
	if (got.total_tokens > got.prompt_tokens + got.completion_tokens)
		got.completion_tokens = got.total_tokens - got.prompt_tokens;
	else if (!total)
		got.total_tokens = got.prompt_tokens + got.completion_tokens;
	*usage = got;
	usage->known = true;
}

/* Control characters, as text.h has them, but tab and line ends. */
static bool has_controls(const char *s, size_t n)
{
	for (size_t i = 0, length; i < n; i += length) {
		char shown[32];
		length = text_utf8_length(s + i, n - i);
		if (!length)
			return true;
		if (s[i] == '\r')
			continue;
		text_escape(shown, sizeof shown, s + i, length);
		if (strlen(shown) != length)
			return true;
	}
	return false;
}

static const struct {
	const char *reason;
	enum teacher_cause cause;
} finish_reasons[] = {
	{"stop", TEACHER_USABLE},
	{"eos", TEACHER_USABLE},
	{"eos_token", TEACHER_USABLE},
	{"end_turn", TEACHER_USABLE},
	{"length", TEACHER_LENGTH},
	{"max_tokens", TEACHER_LENGTH},
	{"model_length", TEACHER_LENGTH},
	{"content_filter", TEACHER_FILTERED},
	{"tool_calls", TEACHER_TOOL_CALLS},
	{"function_call", TEACHER_TOOL_CALLS},
};

static enum teacher_cause finish_cause(const char *reason)
{
	for (size_t i = 0; reason && i < sizeof finish_reasons / sizeof *finish_reasons; i++)
		if (!strcmp(reason, finish_reasons[i].reason))
			return finish_reasons[i].cause;
	return TEACHER_FINISH_REASON;
}

enum teacher_cause teacher_text_cause(const char *content, size_t n, const char *finish_reason)
{
	enum teacher_cause finish = finish_cause(finish_reason);
	if (finish != TEACHER_USABLE)
		return finish;
	if (!content)
		return TEACHER_NO_CONTENT;
	if (is_blank(content, n))
		return TEACHER_EMPTY_CONTENT;
	return has_controls(content, n) ? TEACHER_CONTROLS : TEACHER_USABLE;
}

/* The texts of a list of parts, {"type": "text", "text"}, one after another; parts of another type are no answer. */
static int join_parts(struct teacher_answer *answer, const struct pick *pick, struct err *err)
{
	struct json *doc = json_parse(pick->bytes, pick->n, NULL, err);
	char *out = doc ? mem_array(pick->n + 1, 1, err) : NULL;
	for (size_t i = 0; out && i < pick->count; i++) {
		struct json_value part = json_at(json_root(doc), i);
		const char *type = NULL, *text = NULL;
		size_t n = 0;
		if (json_get_string(json_in(part, "type"), &type, NULL, NULL) || strcmp(type, "text") ||
		    json_get_string(json_in(part, "text"), &text, &n, NULL))
			continue;
		memcpy(out + answer->n, text, n);
		answer->n += n;
		answer->content = out;
	}
	if (!answer->content)
		free(out);
	json_free(doc);
	return out ? 0 : -1;
}

/* The answer of a model that thinks aloud stands behind </think>; one that has not come to it has none. */
static void cut_thinking(struct teacher_answer *answer)
{
	static const char begin[] = "<think>", end[] = "</think>";
	size_t blanks = strspn(answer->content, " \t\r\n");
	const char *opened = strstr(answer->content, begin), *closed = strstr(answer->content, end);
	bool begins = opened == answer->content + blanks;
	if (!begins && (!closed || (opened && opened < closed)))
		return;
	const char *rest = closed ? closed + sizeof end - 1 : answer->content + answer->n;
	rest += strspn(rest, " \t\r\n");
	answer->n -= (size_t)(rest - answer->content);
	memmove(answer->content, rest, answer->n + 1);
}

/* Content and its judgement by finish_reason. said: what the model says itself, thinking and all. */
static int take_content(struct teacher_answer *answer, const struct pick *p, bool stops_unsaid, bool said,
			const struct teacher_key *key, struct err *err)
{
	bool unsaid = p[FINISH].kind == JSON_ABSENT || p[FINISH].kind == JSON_NULL;
	bool told = p[FINISH].kind == JSON_STRING || (unsaid && stops_unsaid);
	if ((p[CONTENT].kind == JSON_ARRAY ? join_parts(answer, &p[CONTENT], err)
					   : pick_copy(&answer->content, &answer->n, &p[CONTENT], err)) ||
	    take_name(answer->finish_reason, sizeof answer->finish_reason, &p[FINISH], key, err))
		return -1;
	if (unsaid && stops_unsaid)
		memcpy(answer->finish_reason, "stop", sizeof "stop");
	if (answer->content) {
		answer->n = teacher_key_redact(key, answer->content, answer->n);
		answer->content[answer->n] = '\0';
		if (said)
			cut_thinking(answer);
	}
	answer->cause = teacher_text_cause(answer->content, answer->n, told ? answer->finish_reason : NULL);
	return 0;
}

static int take_choice(struct teacher_answer *answer, const struct pick *p, const struct teacher_key *key,
		       struct err *err)
{
	if (take_content(answer, p, false, true, key, err))
		return -1;
	if (pick_given(&p[TOOLS]) || pick_given(&p[FUNCTION]))
		answer->cause = TEACHER_TOOL_CALLS;
	else if (p[REFUSAL].kind == JSON_STRING && p[REFUSAL].n)
		answer->cause = TEACHER_REFUSAL;
	return 0;
}

static bool same_model(const char *got, const char *asked)
{
	size_t n = strlen(asked);
	return !*got || (!strncmp(got, asked, n) && (got[n] == '\0' || got[n] == '-'));
}

static int take_body(struct teacher_answer *answer, const struct pick *p, const char *model,
		     const struct teacher_key *key, struct err *err)
{
	if (p[ROOT].kind != JSON_OBJECT)
		return 0;
	if (take_name(answer->model, sizeof answer->model, &p[MODEL], key, err))
		return -1;
	answer->other_model = model && !same_model(answer->model, model);
	take_usage(&answer->usage, p);
	if (pick_given(&p[FAILURE]))
		answer->cause = TEACHER_ERROR_BODY;
	else if (p[CHOICES].kind != JSON_ARRAY || p[CHOICES].count == 0)
		answer->cause = TEACHER_NO_CHOICE;
	else if (p[CHOICES].count > 1)
		answer->cause = TEACHER_CHOICES;
	else
		return take_choice(answer, p, key, err);
	return 0;
}

/* Bodies that are no JSON at a glance. */
static enum teacher_cause first_look(const char *body, size_t n)
{
	size_t start = text_mark_length(body, n);
	while (start < n && is_blank(body + start, 1))
		start++;
	if (start == n)
		return TEACHER_EMPTY_BODY;
	return body[start] == '<' ? TEACHER_HTML : TEACHER_NOT_JSON;
}

int teacher_answer_read(struct teacher_answer *answer, const char *body, size_t n, const char *model,
			const struct teacher_key *key, struct err *err)
{
	struct pick picks[PICKS];
	struct pick_text text;
	struct err why = {0};
	*answer = (struct teacher_answer){.cause = first_look(body, n)};
	if (answer->cause != TEACHER_NOT_JSON)
		return 0;
	for (int i = 0; i < PICKS; i++)
		picks[i].path = body_paths[i];
	size_t mark = text_mark_length(body, n);
	int rc = pick_read(&text, body + mark, n - mark, picks, PICKS, &why) || take_body(answer, picks, model, key, &why);
	pick_release(&text);
	if (!rc || why.code == ERR_DATA)
		return 0;
	teacher_answer_release(answer);
	return err_set(err, why.code, "%s", why.message);
}

int teacher_line_read(struct teacher_answer *answer, const char *line, size_t n, bool said, struct err *err)
{
	struct pick picks[PICKS];
	struct pick_text text;
	struct err why = {0};
	*answer = (struct teacher_answer){.cause = TEACHER_NOT_JSON};
	for (int i = 0; i < PICKS; i++)
		picks[i].path = body_paths[i];
	picks[CONTENT].path = "content";
	picks[FINISH].path = "finish_reason";
	int rc = pick_read(&text, line, n, picks, PICKS, &why) || take_content(answer, picks, true, said, NULL, &why);
	if (!rc)
		take_usage(&answer->usage, picks);
	pick_release(&text);
	if (!rc || why.code == ERR_DATA)
		return 0;
	teacher_answer_release(answer);
	return err_set(err, why.code, "%s", why.message);
}

void teacher_answer_release(struct teacher_answer *answer)
{
	free(answer->content);
	answer->content = NULL;
	answer->n = 0;
}
