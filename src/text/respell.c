// SPDX-License-Identifier: Apache-2.0
/*
 * A chat template respelled, so that all ways to write the same look alike.
 *
 * What is printed becomes one sum of terms between two statements, whether it
 * stands in {{ }} or as text, with literals joined and in single quotes, in
 * which a quote and a backslash have a backslash before them; x['a'] becomes
 * x.a; white space goes where it does not count, by the rules that
 * transformers sets (trim_blocks, lstrip_blocks).
 */
#include <stdlib.h>
#include <string.h>

#include "src/text/internal.h"

static const char blanks[] = " \t\r\n";

struct respelling {
	struct buffer out;
	const char *start, *at;
	bool joins;   /* what comes next is added to what stands there */
	bool literal; /* out ends with one */
	struct err *err;
};

static int put_code(struct respelling *r, const char *code)
{
	if (r->joins && buffer_put(&r->out, "+", 1, r->err))
		return -1;
	r->joins = r->literal = false;
	return buffer_put(&r->out, code, strlen(code), r->err);
}

static int open_literal(struct respelling *r)
{
	if (!r->joins || !r->literal)
		return put_code(r, "'");
	r->joins = false;
	r->out.n--;
	return 0;
}

static int close_literal(struct respelling *r)
{
	r->literal = true;
	return buffer_put(&r->out, "'", 1, r->err);
}

static int put_letter(struct respelling *r, char letter)
{
	if ((letter == '\'' || letter == '\\') && buffer_put(&r->out, "\\", 1, r->err))
		return -1;
	return buffer_put(&r->out, &letter, 1, r->err);
}

/* A backslash and a letter; those whose meaning is not known stay as they are. */
static int put_escape(struct respelling *r)
{
	static const char letters[] = "nt\\'\"", meanings[] = "\n\t\\'\"";
	const char *known = r->at[1] ? strchr(letters, r->at[1]) : NULL;
	size_t n = r->at[1] ? 2 : 1;

	r->at += n;
	return known ? put_letter(r, meanings[known - letters]) : buffer_put(&r->out, r->at - n, n, r->err);
}

/* ['name'] is the same as .name */
static void respell_subscript(struct respelling *r, size_t from)
{
	char *name = r->out.bytes + from;

	if (from < 2 || memcmp(name - 2, "['", 2) || *r->at != ']')
		return;
	r->at++;
	name[-2] = '.';
	memmove(name - 1, name, r->out.n - from - 1);
	r->out.n -= 2;
	r->literal = false;
}

static int read_literal(struct respelling *r)
{
	char quote = *r->at++;
	int result = open_literal(r);
	size_t from = r->out.n;

	while (!result && *r->at && *r->at != quote)
		result = *r->at == '\\' ? put_escape(r) : put_letter(r, *r->at++);
	if (result || close_literal(r))
		return -1;
	r->at += *r->at == quote;
	respell_subscript(r, from);
	return 0;
}

static bool ends(const struct respelling *r, const char *end)
{
	return !strncmp(r->at + (*r->at == '-'), end, strlen(end));
}

static int read_code(struct respelling *r, const char *end)
{
	while (*r->at && !ends(r, end)) {
		char code[] = {*r->at, '\0'};
		if (*code == '\'' || *code == '"') {
			if (read_literal(r))
				return -1;
			continue;
		}
		r->at++;
		if (*code == '+' || *code == '~')
			r->joins = true;
		else if (!strchr(blanks, *code) && put_code(r, code))
			return -1;
	}
	return 0;
}

/* A statement ends the sum. */
static int read_statement(struct respelling *r)
{
	r->joins = false;
	if (put_code(r, "{%") || read_code(r, "%}"))
		return -1;
	r->joins = false;
	return put_code(r, "%}");
}

/* A tag, and the white space behind it that it takes away. */
static int read_tag(struct respelling *r)
{
	char kind = r->at[1];
	bool tight;

	r->at += r->at[2] == '-' ? 3 : 2;
	if (kind == '%' ? read_statement(r) : kind == '{' && read_code(r, "}}"))
		return -1;
	while (kind == '#' && *r->at && !ends(r, "#}"))
		r->at++;
	r->joins |= kind == '{';
	tight = *r->at == '-';
	r->at += tight;
	r->at += *r->at ? 2 : 0;
	r->at += tight ? strspn(r->at, blanks) : kind != '{' && *r->at == '\n';
	return 0;
}

/* The end of a text outside of tags, without the white space that the tag behind it takes away. */
static const char *text_end(const struct respelling *r, const char *tag)
{
	const char *line = tag;

	while (line > r->start && (line[-1] == ' ' || line[-1] == '\t'))
		line--;
	if (!*tag)
		line = tag - (tag > r->at && tag[-1] == '\n');
	else if (tag[1] == '{' || (line > r->start && line[-1] != '\n'))
		line = tag;
	while (*tag && tag[2] == '-' && line > r->at && strchr(blanks, line[-1]))
		line--;
	return line;
}

static int put_text(struct respelling *r, const char *tag)
{
	const char *end = text_end(r, tag);

	if (end > r->at) {
		if (open_literal(r))
			return -1;
		while (r->at < end) {
			if (put_letter(r, *r->at++))
				return -1;
		}
		if (close_literal(r))
			return -1;
		r->joins = true;
	}
	r->at = tag;
	return 0;
}

static const char *find_tag(const char *at)
{
	while (*at && !(*at == '{' && at[1] && strchr("{%#", at[1])))
		at++;
	return at;
}

char *template_respell(const char *text, struct err *err)
{
	struct respelling r = {.start = text, .at = text, .err = err};
	int result = 0;

	while (!result && *r.at) {
		result = put_text(&r, find_tag(r.at));
		if (!result && *r.at)
			result = read_tag(&r);
	}
	if (!result && !buffer_put(&r.out, "", 1, err))
		return r.out.bytes;
	free(r.out.bytes);
	return NULL;
}
