// SPDX-License-Identifier: Apache-2.0
#include "src/teacher/headers.h"

#include <math.h>
#include <string.h>
#include <strings.h>

#include "src/base/text.h"
#include "src/teacher/retry.h"

struct text {
	const char *s;
	size_t n;
};

enum { REQUESTS, TOKENS, LIMITS };

struct found {
	double now, date, after, after_ms, reset[LIMITS];
	double left[LIMITS]; /* what remains of that limit; negative: not said */
	bool never_retry;
	struct text retry_after[4];
	size_t retry_afters;
	struct text id;
};

static void on_date(struct found *f, struct text value)
{
	f->date = teacher_retry_date(value.s, value.n);
}

static void on_after(struct found *f, struct text value)
{
	if (f->retry_afters < sizeof f->retry_after / sizeof *f->retry_after)
		f->retry_after[f->retry_afters++] = value;
}

static void on_after_ms(struct found *f, struct text value)
{
	f->after_ms = fmax(f->after_ms, teacher_retry_number(value.s, value.n, 0.001));
}

static void on_should_retry(struct found *f, struct text value)
{
	f->never_retry = value.n == 5 && !strncasecmp(value.s, "false", 5);
}

static void on_reset_requests(struct found *f, struct text value)
{
	f->reset[REQUESTS] = teacher_retry_duration(value.s, value.n);
}

static void on_reset_tokens(struct found *f, struct text value)
{
	f->reset[TOKENS] = teacher_retry_duration(value.s, value.n);
}

static void on_remaining_requests(struct found *f, struct text value)
{
	f->left[REQUESTS] = teacher_retry_number(value.s, value.n, 1);
}

static void on_remaining_tokens(struct found *f, struct text value)
{
	f->left[TOKENS] = teacher_retry_number(value.s, value.n, 1);
}

static void on_request_id(struct found *f, struct text value)
{
	f->id = value;
}

static const struct {
	const char *name;
	void (*read)(struct found *f, struct text value);
} known[] = {
	{"date", on_date},
	{"retry-after", on_after},
	{"retry-after-ms", on_after_ms},
	{"x-should-retry", on_should_retry},
	{"x-ratelimit-reset-requests", on_reset_requests},
	{"x-ratelimit-reset-tokens", on_reset_tokens},
	{"x-ratelimit-remaining-requests", on_remaining_requests},
	{"x-ratelimit-remaining-tokens", on_remaining_tokens},
	{"x-request-id", on_request_id},
};

static void forget(struct found *f, double now)
{
	*f = (struct found){.now = now,
			    .date = TEACHER_NO_DATE,
			    .after = TEACHER_NO_WAIT,
			    .after_ms = TEACHER_NO_WAIT,
			    .reset = {TEACHER_NO_WAIT, TEACHER_NO_WAIT},
			    .left = {-1, -1}};
}

static void read_line(struct found *f, const char *line, size_t n)
{
	if (n >= 5 && !memcmp(line, "HTTP/", 5)) {
		forget(f, f->now);
		return;
	}
	const char *colon = memchr(line, ':', n);
	if (!colon)
		return;
	size_t name = (size_t)(colon - line);
	struct text value = {colon + 1, n - name - 1};
	while (value.n && (*value.s == ' ' || *value.s == '\t'))
		value.s++, value.n--;
	while (value.n && strchr(" \t\r\n", value.s[value.n - 1]))
		value.n--;
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (strlen(known[i].name) == name && !strncasecmp(known[i].name, line, name))
			known[i].read(f, value);
}

static double wait_of(struct found *f)
{
	double now = f->date == TEACHER_NO_DATE ? f->now : f->date;
	for (size_t i = 0; i < f->retry_afters; i++)
		f->after = fmax(f->after, teacher_retry_after(f->retry_after[i].s, f->retry_after[i].n, now));
	if (f->after_ms >= 0)
		return f->after_ms;
	if (f->after >= 0)
		return f->after;
	/* The limit that is used up; of one that is not, the reset tells only when it is whole again. */
	bool told = f->left[REQUESTS] == 0 || f->left[TOKENS] == 0;
	double wait = TEACHER_NO_WAIT;
	for (int i = 0; i < LIMITS; i++)
		if (f->left[i] == 0 || (!told && f->left[i] < 0))
			wait = fmax(wait, f->reset[i]);
	return wait;
}

void teacher_headers_read(struct teacher_headers *headers, const char *head, size_t n, double now,
			  const struct teacher_key *key)
{
	struct found f;
	forget(&f, now);
	for (size_t at = 0; at < n;) {
		const char *end = memchr(head + at, '\n', n - at);
		size_t length = end ? (size_t)(end - head) - at + 1 : n - at;
		read_line(&f, head + at, length);
		at += length;
	}
	headers->wait = wait_of(&f);
	headers->never_retry = f.never_retry;
	text_escape(headers->request_id, sizeof headers->request_id, f.id.s ? f.id.s : "", f.id.n);
	teacher_key_redact_text(key, headers->request_id);
}
