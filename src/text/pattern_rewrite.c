// SPDX-License-Identifier: Apache-2.0
/*
 * From Oniguruma's syntax, in which tokenizer files are written, to PCRE2's: what the two understand differently is
 * written anew, or refused where that is not possible.
 */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include <pcre2.h>

#include "src/base/text.h"
#include "src/text/internal.h"

#define SPACE_SET "\\t-\\r\\x{85}\\p{Z}"
#define WORD_SET                                                                                                       \
	"\\p{L}\\p{M}\\p{Nl}\\p{Nd}\\p{Pc}\\x{24B6}-\\x{24E9}\\x{1F130}-\\x{1F149}\\x{1F150}-\\x{1F169}"               \
	"\\x{1F170}-\\x{1F189}"
#define LONE_WORD_SET WORD_SET "\\xB2\\xB3\\xB9\\xBC-\\xBE" /* outside of a class Oniguruma takes these as well */
#define BEHIND_WORD   "(?<=[" LONE_WORD_SET "])"
#define BEFORE_WORD   "(?=[" LONE_WORD_SET "])"
#define NOT_BEHIND    "(?<![" LONE_WORD_SET "])"
#define NOT_BEFORE    "(?![" LONE_WORD_SET "])"

/* Escapes with another meaning in PCRE2, and what says the same there; NULL: not possible. */
static const struct escape {
	char name;
	const char *outside, *inside; /* of a class */
} escapes[] = {
	{'s', "[" SPACE_SET "]", SPACE_SET},
	{'S', "[^" SPACE_SET "]", NULL},
	{'w', "[" LONE_WORD_SET "]", WORD_SET},
	{'W', "[^" LONE_WORD_SET "]", NULL},
	{'h', "[0-9A-Fa-f]", "0-9A-Fa-f"},
	{'H', "[^0-9A-Fa-f]", NULL},
	{'b', "(?:" BEHIND_WORD NOT_BEFORE "|" NOT_BEHIND BEFORE_WORD ")", "\\x08"},
	{'B', "(?:" BEHIND_WORD BEFORE_WORD "|" NOT_BEHIND NOT_BEFORE ")", NULL},
	{'v', "\\x0B", "\\x0B"},
	{'V', NULL, NULL},
	{'p', "p", "p"}, /* without braces */
	{'P', "P", "P"},
	{'Q', NULL, NULL},
	{'E', NULL, NULL},
	{'K', NULL, NULL},
	{'G', NULL, NULL},
};

struct rewrite {
	struct buffer out;
	const char *text;
	size_t n, at;
	bool in_class;
	size_t groups, folding; /* groups that are open; the first of them that ignores case, 0: none */
	struct err *err;
};

static int refuse(struct rewrite *rw, size_t length, const char *why)
{
	char shown[80];

	if (length > rw->n - rw->at)
		length = rw->n - rw->at;
	return err_set(rw->err, ERR_DATA, "regular expression, byte %zu: '%s' %s", rw->at,
		       text_escape(shown, sizeof shown, rw->text + rw->at, length), why);
}

static int copy(struct rewrite *rw, size_t length)
{
	if (buffer_put(&rw->out, rw->text + rw->at, length, rw->err))
		return -1;
	rw->at += length;
	return 0;
}

static bool here(const struct rewrite *rw, const char *what)
{
	size_t n = strlen(what);

	return rw->n - rw->at >= n && !memcmp(rw->text + rw->at, what, n);
}

/* The byte `ahead` bytes from here, NUL behind the end. */
static char byte_at(const struct rewrite *rw, size_t ahead)
{
	return ahead < rw->n - rw->at ? rw->text[rw->at + ahead] : '\0';
}

/* Length of the text from here through `end`, or all of it. */
static size_t through(const struct rewrite *rw, char end)
{
	const char *at = memchr(rw->text + rw->at, end, rw->n - rw->at);

	return at ? (size_t)(at - (rw->text + rw->at)) + 1 : rw->n - rw->at;
}

/* Whether a name, with the brace behind it, is a script's, and PCRE2 of an age to be told so. */
static bool is_script(const char *name, size_t n)
{
	char text[64];
	int number, length = snprintf(text, sizeof text, "\\p{sc:%.*s", (int)n, name);
	PCRE2_SIZE at;
	pcre2_code *code = NULL;

	if (length < (int)sizeof text)
		code = pcre2_compile((PCRE2_SPTR)text, (size_t)length, PCRE2_UTF, &number, &at, NULL);
	pcre2_code_free(code);
	return code;
}

/* Whether the letters and digits of a property's name start with one of a list, which ends with NULL. */
static bool is_among(const char *name, size_t n, const char *const *list)
{
	char plain[16];
	size_t length = 0;

	for (size_t i = 0; i < n && length < sizeof plain - 1; i++) {
		if (isalnum((unsigned char)name[i]))
			plain[length++] = (char)tolower((unsigned char)name[i]);
	}
	plain[length] = '\0';
	for (; *list; list++) {
		if (!strncmp(plain, *list, strlen(*list)))
			return true;
	}
	return false;
}

/* PCRE2 has properties of its own; and a class that ignores case holds both cases of a cased one in Oniguruma alone. */
static int check_property(struct rewrite *rw, const char *name, size_t n)
{
	static const char *const foreign[] = {"xan", "xps", "xsp", "xuc", "xwd", "bidi", NULL};
	static const char *const cased[] = {"lu", "ll", "lt", "upper", "lower", "title", NULL};

	if (memchr(name, ':', n) || memchr(name, '=', n) || memchr(name, '&', n) || is_among(name, n, foreign))
		return refuse(rw, through(rw, '}'), "is not a property that Oniguruma has");
	if (rw->in_class && rw->folding && is_among(name, n, cased))
		return refuse(rw, through(rw, '}'), "in a class that ignores case is not supported");
	return 0;
}

/*
 * In Oniguruma the name of a script means its own characters; PCRE2 from 10.40 on takes it for those that are used in
 * that script (Script_Extensions) unless told.
 */
static int rewrite_property(struct rewrite *rw)
{
	size_t open = here(rw, "\\p{^") || here(rw, "\\P{^") ? 4 : 3, name = through(rw, '}') - open;
	bool script = is_script(rw->text + rw->at + open, name);

	if (check_property(rw, rw->text + rw->at + open, name))
		return -1;
	return copy(rw, open) || (script && buffer_put(&rw->out, "sc:", 3, rw->err)) || copy(rw, name) ? -1 : 0;
}

/* Escapes that mean themselves in Oniguruma unless these stand behind them, and something else in PCRE2. */
static bool lacks_argument(const struct rewrite *rw)
{
	char name = byte_at(rw, 1), next = byte_at(rw, 2);

	if (name == 'x')
		return next != '{' && !isxdigit((unsigned char)next);
	return !rw->in_class && (name == 'g' || name == 'k') && next != '<' && next != '\'';
}

static int rewrite_escape(struct rewrite *rw)
{
	if (rw->n - rw->at < 2)
		return refuse(rw, 1, "has nothing behind it");
	char name = rw->text[rw->at + 1];
	bool braces = byte_at(rw, 2) == '{';
	if (braces && (name == 'p' || name == 'P'))
		return rewrite_property(rw);
	if (lacks_argument(rw))
		return refuse(rw, 2, "is not supported here");
	for (size_t i = 0; i < sizeof escapes / sizeof *escapes; i++) {
		const char *same = rw->in_class ? escapes[i].inside : escapes[i].outside;
		if (escapes[i].name != name)
			continue;
		if (!same)
			return refuse(rw, 2, "is not supported here");
		rw->at += 2;
		return buffer_put(&rw->out, same, strlen(same), rw->err);
	}
	return copy(rw, braces && name == 'x' ? through(rw, '}') : 2);
}

static int rewrite_in_class(struct rewrite *rw)
{
	static const struct {
		const char *name, *same;
	} sets[] = {
		{"[:punct:]", "\\p{P}\\p{S}"},
		{"[:space:]", SPACE_SET},
		{"[:digit:]", "\\p{Nd}"},
		{"[:word:]", WORD_SET},
	};

	for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
		if (here(rw, sets[i].name)) {
			rw->at += strlen(sets[i].name);
			return buffer_put(&rw->out, sets[i].same, strlen(sets[i].same), rw->err);
		}
	}
	if (here(rw, "[") || here(rw, "&&"))
		return refuse(rw, 2, "inside a class is not supported");
	rw->in_class = !here(rw, "]");
	return copy(rw, 1);
}

/*
 * Groups that both have. (?m) means another thing in each of the two, (?i) and (?x) the same; but in Oniguruma an
 * option in the middle takes the alternatives behind it along.
 */
static int check_group(struct rewrite *rw, size_t *length)
{
	size_t i = rw->at + 2;
	bool folds = false, off = false;

	if (i < rw->n && strchr(":=!><'", rw->text[i]))
		return 0;
	for (; i < rw->n && strchr("ixms-", rw->text[i]); i++) {
		if (strchr("ms", rw->text[i]))
			return refuse(rw, through(rw, ')'), "sets an option that is not supported");
		off |= rw->text[i] == '-';
		folds |= rw->text[i] == 'i' && !off;
	}
	if (i == rw->at + 2 || i == rw->n || (rw->text[i] != ':' && rw->text[i] != ')'))
		return refuse(rw, 3, "is not supported");
	if (rw->text[i] == ')' && rw->at)
		return refuse(rw, through(rw, ')'), "sets an option in the middle, which is not supported");
	if (rw->text[i] == ')') /* for all that follows, like a group that stays open */
		*length = i - rw->at + 1;
	if (folds && !rw->folding)
		rw->folding = rw->groups + 1;
	return 0;
}

static int rewrite_group(struct rewrite *rw)
{
	size_t length = 1;

	if (here(rw, "(*"))
		return refuse(rw, 2, "is not supported");
	if (here(rw, "(?") && check_group(rw, &length))
		return -1;
	rw->groups++;
	return copy(rw, length);
}

static int end_group(struct rewrite *rw)
{
	if (rw->folding == rw->groups)
		rw->folding = 0;
	rw->groups -= rw->groups > 0;
	return copy(rw, 1);
}

/* Bytes of {n}, {n,}, {n,m} or {,m}; 0 where a brace begins none of these. */
static size_t interval_length(const struct rewrite *rw)
{
	size_t at = 1, low, high = 0;

	for (low = 0; isdigit((unsigned char)byte_at(rw, at)); low++)
		at++;
	if (byte_at(rw, at) == ',')
		for (at++; isdigit((unsigned char)byte_at(rw, at)); high++)
			at++;
	return (low || high) && byte_at(rw, at) == '}' ? at + 1 : 0;
}

/* A brace that begins no interval is one; PCRE2 from 10.43 on takes more for intervals, older ones not {,m}. */
static int rewrite_brace(struct rewrite *rw)
{
	size_t length = interval_length(rw);
	bool fixed = length && !memchr(rw->text + rw->at, ',', length), open = byte_at(rw, 1) == ',';
	char next = byte_at(rw, length);

	if (length && (next == '+' || (fixed && next == '?'))) /* these repeat, and do not make it possessive or lazy */
		return refuse(rw, length + 1, "is not supported");
	if (length && !open)
		return copy(rw, length);
	rw->at++;
	return buffer_put(&rw->out, length ? "{0" : "\\{", 2, rw->err);
}

static int rewrite_one(struct rewrite *rw)
{
	if (here(rw, "\\"))
		return rewrite_escape(rw);
	if (rw->in_class)
		return rewrite_in_class(rw);
	if (here(rw, "("))
		return rewrite_group(rw);
	if (here(rw, ")"))
		return end_group(rw);
	if (here(rw, "{"))
		return rewrite_brace(rw);
	if (here(rw, "[")) {
		rw->in_class = true;
		return copy(rw, here(rw, "[^]") ? 3 : here(rw, "[^") || here(rw, "[]") ? 2 : 1);
	}
	return copy(rw, 1);
}

int pattern_rewrite(struct buffer *out, const char *text, size_t n, struct err *err)
{
	struct rewrite rw = {.text = text, .n = n, .err = err};
	int result = 0;

	while (!result && rw.at < n)
		result = rewrite_one(&rw);
	*out = rw.out;
	return result;
}
