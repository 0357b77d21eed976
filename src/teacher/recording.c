// SPDX-License-Identifier: Apache-2.0
#include "src/teacher/recording.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/file.h"
#include "src/base/mem.h"
#include "src/base/text.h"

static const size_t most_bytes = (size_t)64 << 30; /* of a cassette: it is kept in memory */

/* What a parsed row answers; input NULL for a synthesis, which only its domain chooses. */
static int parsed_hash(char hex[HASH_HEX_ROOM], const char *kind, const char *domain, size_t domain_n,
		       const char *input, size_t n, struct err *err)
{
	unsigned char digest[HASH_SIZE];
	struct hash hash;
	if (hash_init(&hash, err))
		return -1;
	/* The domain's length and a NUL behind the kind: none of them can run into the next. */
	int rc = hash_update(&hash, kind, strlen(kind) + 1, err) ||
		 hash_update(&hash, &domain_n, sizeof domain_n, err) || hash_update(&hash, domain, domain_n, err) ||
		 (input && hash_update(&hash, input, n, err)) || hash_final(digest, &hash, err);
	hash_release(&hash);
	if (!rc)
		hash_hex(hex, digest);
	return rc ? -1 : 0;
}

static bool is_hex_digest(const char *text, size_t n)
{
	return n == HASH_HEX_ROOM - 1 && strspn(text, "0123456789abcdef") == n;
}

enum { KIND, DOMAIN, INPUT, RATIONALE, PROMPT, STATE, MEMBERS };

static const char *const members[MEMBERS] = {"kind", "domain", "input", "rationale", "prompt_sha256", "state"};

static int need_text(const struct pick *p, int member, struct err *err)
{
	return p[member].kind == JSON_STRING ? 0 : err_set(err, ERR_DATA, "'%s' must be a string", members[member]);
}

static int row_of_parsed(struct recording_row *e, const struct pick *p, struct err *err)
{
	for (int i = KIND; i <= RATIONALE; i++)
		if (need_text(p, i, err))
			return -1;
	bool annotate = pick_is(&p[KIND], "annotate");
	if (!annotate && !pick_is(&p[KIND], "synthesise") && !pick_is(&p[KIND], "synthesize"))
		return err_set(err, ERR_DATA, "'kind' must be \"annotate\" or \"synthesise\"");
	return parsed_hash(e->hex, annotate ? "annotate" : "synthesise", p[DOMAIN].bytes, p[DOMAIN].n,
			   annotate ? p[INPUT].bytes : NULL, p[INPUT].n, err);
}

int recording_state(enum teacher_state *state, const struct pick *value, struct err *err)
{
	for (int i = 0; i < TEACHER_STATES; i++)
		if (pick_is(value, teacher_state_name((enum teacher_state)i))) {
			*state = (enum teacher_state)i;
			return 0;
		}
	return err_set(err, ERR_DATA, "'state' is none of answered, unusable, in_doubt, released, rejected");
}

static int row_of(struct recording_row *e, const struct pick *p, bool exact, struct err *err)
{
	enum teacher_state state;
	if (p[PROMPT].kind == JSON_ABSENT && exact)
		return err_set(err, ERR_DATA, "'prompt_sha256' is missing; only what ledger export writes serves here");
	if (p[PROMPT].kind == JSON_ABSENT)
		return row_of_parsed(e, p, err);
	if (need_text(p, PROMPT, err) || recording_state(&state, &p[STATE], err))
		return -1;
	if (!is_hex_digest(p[PROMPT].bytes, p[PROMPT].n))
		return err_set(err, ERR_DATA, "'prompt_sha256' must be 64 lower-case hexadecimal digits");
	memcpy(e->hex, p[PROMPT].bytes, p[PROMPT].n);
	return 0;
}

static int add_row(struct recording *r, size_t at, size_t n, struct err *err)
{
	struct recording_row e = {.at = at, .n = n};
	struct pick p[MEMBERS];
	struct pick_text text;
	for (int i = 0; i < MEMBERS; i++)
		p[i].path = members[i];
	int rc = pick_read(&text, r->text + at, n, p, MEMBERS, err) || row_of(&e, p, r->exact, err) ||
		 mem_grow(&r->row, &r->room, r->n + 1, sizeof *r->row, err);
	pick_release(&text);
	if (!rc)
		r->row[r->n++] = e;
	return rc ? -1 : 0;
}

static int compare_rows(const void *a, const void *b)
{
	const struct recording_row *x = a, *y = b;
	int order = strcmp(x->hex, y->hex);
	return order ? order : (x->at > y->at) - (x->at < y->at);
}

/* A byte order mark, CRLF, empty lines and a missing last newline are accepted. */
static int index_rows(struct recording *r, size_t n, struct err *err)
{
	size_t at = text_mark_length(r->text, n);
	for (size_t line = 1; at < n; line++) {
		const char *end = memchr(r->text + at, '\n', n - at);
		size_t next = end ? (size_t)(end - r->text) + 1 : n, length = next - at - (end != NULL);
		length -= length && r->text[at + length - 1] == '\r';
		if (length && add_row(r, at, length, err))
			return err_prefix(err, "%s:%zu", r->path, line);
		at = next;
	}
	if (r->n)
		qsort(r->row, r->n, sizeof *r->row, compare_rows);
	return 0;
}

/* The k-th row that answers this; with `last` the last one where there are fewer. NULL: none. */
static const struct recording_row *find(const struct recording *r, const char *hex, uint64_t k, bool last)
{
	size_t low = 0, high = r->n;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (strcmp(r->row[middle].hex, hex) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	const struct recording_row *found = NULL;
	for (; low < r->n && !strcmp(r->row[low].hex, hex); low++) {
		found = &r->row[low];
		if (!k--)
			return found;
	}
	return last ? found : NULL;
}

int recording_find(const struct recording *r, const struct teacher_question *q, const struct recording_row **e,
		   struct err *err)
{
	char hex[HASH_HEX_ROOM];
	bool annotate = !strcmp(q->kind, "annotate");
	if (teacher_question_hash(hex, q, err))
		return -1;
	*e = find(r, hex, q->attempt, false);
	if (*e || (annotate && !q->input))
		return 0;
	if (parsed_hash(hex, q->kind, q->domain, strlen(q->domain), annotate ? q->input : NULL, q->input_n, err))
		return -1;
	*e = find(r, hex, annotate ? q->attempt : q->position, annotate);
	return 0;
}

int recording_open(struct recording *r, const char *path, bool exact, struct err *err)
{
	size_t n = 0;
	*r = (struct recording){.path = mem_strdup(path, err), .exact = exact};
	r->text = r->path ? file_read(path, most_bytes, &n, err) : NULL;
	return r->text ? index_rows(r, n, err) : -1;
}

void recording_close(struct recording *r)
{
	free(r->path);
	free(r->text);
	free(r->row);
}
