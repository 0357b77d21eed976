// SPDX-License-Identifier: Apache-2.0
/* The error shapes of teacher servers. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/base/text.h"
#include "src/teacher/pick.h"
#include "src/teacher/response.h"

/* Where the members of an error may stand, and their names there; of several messages the first counts. */
static const char *const places[] = {"error.", "0.error.", "detail.0.", "message.detail.0.", "0.", ""};
static const char *const names[] = {"message",    "error", "detail", "error_description", "msg", "type",
				    "error_type", "code",  "param", "loc.1"};

enum {
	PLACES = sizeof places / sizeof *places,
	NAMES = sizeof names / sizeof *names,
	MESSAGES = 5,
	TYPE = 5,
	OTHER_TYPE = 6,
	CODE = 7,
	PARAM = 8,
	WHERE = 9, /* FastAPI's name of the parameter */
	PATH_ROOM = 40,
	BARE = PLACES * NAMES,
	FIRST,
	PICKS
};

struct wish {
	char path[BARE][PATH_ROOM];
	struct pick pick[PICKS];
};

static void wish_init(struct wish *w)
{
	for (int i = 0; i < BARE; i++) {
		snprintf(w->path[i], PATH_ROOM, "%s%s", places[i / NAMES], names[i % NAMES]);
		w->pick[i].path = w->path[i];
	}
	w->pick[BARE].path = "";
	w->pick[FIRST].path = "0";
}

/* A text, or an integer as its digits; true where there was one. Redacted before it is cut. */
static bool take(char *out, size_t room, const struct pick *pick, const struct teacher_key *key)
{
	if (pick->kind != JSON_STRING && pick->kind != JSON_INTEGER)
		return false;
	char *copy = mem_array(pick->n + 1, 1, NULL);
	if (copy) {
		memcpy(copy, pick->bytes, pick->n);
		text_escape(out, room, copy, teacher_key_redact(key, copy, pick->n));
	}
	free(copy);
	return true;
}

static bool take_members(struct teacher_error *e, const struct pick *p, const struct teacher_key *key)
{
	bool found = false;
	for (int i = 0; !found && i < MESSAGES; i++)
		found = p[i].kind == JSON_STRING && take(e->message, sizeof e->message, &p[i], key);
	if (!take(e->type, sizeof e->type, &p[TYPE], key))
		take(e->type, sizeof e->type, &p[OTHER_TYPE], key);
	take(e->code, sizeof e->code, &p[CODE], key);
	if (!take(e->param, sizeof e->param, &p[PARAM], key))
		take(e->param, sizeof e->param, &p[WHERE], key);
	return found || *e->type || *e->code;
}

static bool take_shape(struct teacher_error *e, const struct wish *w, const struct teacher_key *key)
{
	for (int i = 0; i < 2; i++) {
		const struct pick *bare = &w->pick[i ? FIRST : BARE];
		if (bare->kind == JSON_STRING)
			return take(e->message, sizeof e->message, bare, key);
	}
	for (int i = 0; i < PLACES; i++)
		if (take_members(e, &w->pick[i * NAMES], key))
			return true;
	return false;
}

/* More than is shown is redacted, lest the cut leave a part of the key too short to be known. */
static void take_beginning(struct teacher_error *e, const char *body, size_t n, const struct teacher_key *key)
{
	enum { SHOWN = 400 };
	size_t kept = n < SHOWN + TEACHER_KEY_MAX ? n : SHOWN + TEACHER_KEY_MAX;
	char *copy = mem_array(kept + 1, 1, NULL);
	if (copy && kept)
		memcpy(copy, body, kept);
	size_t left = copy ? teacher_key_redact(key, copy, kept) : 0;
	text_escape(e->message, sizeof e->message, copy ? copy : "", left < SHOWN ? left : SHOWN);
	free(copy);
}

/* "Extra inputs are not permitted": of what. */
static void name_parameter(struct teacher_error *e)
{
	size_t n = strlen(e->message);
	if (*e->param && !strstr(e->message, e->param))
		snprintf(e->message + n, sizeof e->message - n, " (%s)", e->param);
}

void teacher_error_read(struct teacher_error *error, const char *body, size_t n, const struct teacher_key *key)
{
	struct wish wish;
	struct pick_text text = {0};
	*error = (struct teacher_error){0};
	wish_init(&wish);
	error->found = n && !pick_read(&text, body, n, wish.pick, PICKS, NULL) && take_shape(error, &wish, key);
	pick_release(&text);
	if (!*error->message)
		take_beginning(error, body, n, key);
	name_parameter(error);
}
