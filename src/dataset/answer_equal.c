// SPDX-License-Identifier: Apache-2.0
/* Are two normal forms the same value? */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "src/dataset/answer.h"

/* p / q in lowest terms, q > 0. */
struct rational {
	__int128 p, q;
};

enum { MOST_DIGITS = 18 }; /* of a number: a quotient of two then fits 128 bits */

static void reduce(struct rational *r)
{
	__int128 a = r->p < 0 ? -r->p : r->p, b = r->q;
	while (b) {
		__int128 rest = a % b;
		a = b;
		b = rest;
	}
	if (a) {
		r->p /= a;
		r->q /= a;
	}
}

/* "12", "1.5", ".5", perhaps with a sign: the bytes read, 0 where there is none or it has too many digits. */
static size_t read_decimal(struct rational *r, const char *text, size_t n)
{
	size_t at = n && (text[0] == '-' || text[0] == '+'), digits = 0;
	bool point = false;
	*r = (struct rational){0, 1};
	for (; at < n; at++) {
		if (text[at] == '.' && !point) {
			point = true;
		} else if (isdigit((unsigned char)text[at])) {
			r->p = r->p * 10 + (text[at] - '0');
			r->q = point ? r->q * 10 : 1;
			digits += digits || r->p || point;
		} else {
			break;
		}
		if (digits > MOST_DIGITS)
			return 0;
	}
	if (n && text[0] == '-')
		r->p = -r->p;
	return at && isdigit((unsigned char)text[at - 1]) ? at : 0;
}

static bool divide(struct rational *out, const struct rational *a, const struct rational *b)
{
	if (!b->p || __builtin_mul_overflow(a->p, b->q, &out->p) || __builtin_mul_overflow(a->q, b->p, &out->q))
		return false;
	if (out->q < 0) {
		out->p = -out->p;
		out->q = -out->q;
	}
	reduce(out);
	return true;
}

/* "12", "1/2" and "\frac{1}{2}" */
static bool read_quotient(struct rational *r, const char *text, size_t n)
{
	static const char frac[] = "\\frac{";
	struct rational a, b;
	bool braced = n > 6 && !memcmp(text, frac, 6);
	size_t at = braced ? 6 : 0, length = read_decimal(&a, text + at, n - at);
	at += length;
	if (!length)
		return false;
	if (!braced && at == n) {
		reduce(&a);
		*r = a;
		return true;
	}
	const char *middle = braced ? "}{" : "/";
	size_t m = strlen(middle);
	if (n - at < m || memcmp(text + at, middle, m))
		return false;
	at += m;
	length = read_decimal(&b, text + at, n - at);
	at += length;
	return length && n - at == braced && (!braced || text[at] == '}') && divide(r, &a, &b);
}

/* "1\frac{1}{4}" and "1 1/4" with the sign of the whole before them. */
static bool read_mixed(struct rational *r, const char *text, size_t n)
{
	size_t whole = 0;
	struct rational a, b;
	while (whole < n && isdigit((unsigned char)text[whole]))
		whole++;
	if (!whole || whole == n || (text[whole] != '\\' && text[whole] != ' '))
		return false;
	if (read_decimal(&a, text, whole) != whole)
		return false;
	whole += text[whole] == ' ';
	if (!read_quotient(&b, text + whole, n - whole) || b.p < 0 || b.q == 1)
		return false;
	*r = (struct rational){a.p, b.q};
	return !__builtin_mul_overflow(a.p, b.q, &r->p) && !__builtin_add_overflow(r->p, b.p, &r->p);
}

static bool read_rational(struct rational *r, const char *text, size_t n)
{
	bool minus = n && text[0] == '-';
	if (!read_quotient(r, text + minus, n - minus) && !read_mixed(r, text + minus, n - minus))
		return false;
	if (minus)
		r->p = -r->p;
	return true;
}

static bool words_alone(const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!isalpha((unsigned char)text[i]))
			return false;
	return n > 1;
}

static bool same_part(const char *a, size_t n, const char *b, size_t m)
{
	struct rational x, y;
	if (n == m && !memcmp(a, b, n))
		return true;
	if (read_rational(&x, a, n) && read_rational(&y, b, m))
		return x.p == y.p && x.q == y.q;
	return n == m && words_alone(a, n) && !strncasecmp(a, b, n);
}

bool answer_math_equal(const char *a, const char *b)
{
	static const char between[] = "()[],";
	for (;;) {
		size_t n = strcspn(a, between), m = strcspn(b, between);
		if (!same_part(a, n, b, m) || a[n] != b[m])
			return false;
		if (!a[n])
			return true;
		a += n + 1;
		b += m + 1;
	}
}
