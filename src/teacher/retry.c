// SPDX-License-Identifier: Apache-2.0
#include "src/teacher/retry.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LONGEST_TEXT = 63 };

static const double base_wait = 0.5, longest_backoff = 60;

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Copy text[0..n) without the spaces around it; false where it is empty or too long to be a time. */
static bool trimmed(char out[LONGEST_TEXT + 1], const char *text, size_t n)
{
	while (n && (*text == ' ' || *text == '\t'))
		text++, n--;
	while (n && (text[n - 1] == ' ' || text[n - 1] == '\t'))
		n--;
	if (!n || n > LONGEST_TEXT || memchr(text, '\0', n))
		return false;
	memcpy(out, text, n);
	out[n] = '\0';
	return true;
}

/* Digits with an optional fraction at *at, which moves behind them; false where there is none. */
static bool read_number(const char **at, double *value)
{
	const char *s = *at;
	double scale = 1;
	if (!is_digit(*s))
		return false;
	for (*value = 0; is_digit(*s); s++)
		*value = *value * 10 + (*s - '0');
	if (*s == '.' && is_digit(s[1]))
		for (s++; is_digit(*s); s++)
			*value += (*s - '0') * (scale /= 10);
	*at = s;
	return true;
}

static double clamp(double seconds)
{
	return seconds < TEACHER_LONGEST_WAIT ? seconds : TEACHER_LONGEST_WAIT;
}

double teacher_retry_number(const char *text, size_t n, double unit)
{
	char copy[LONGEST_TEXT + 1];
	const char *at = copy;
	double value;
	if (!trimmed(copy, text, n) || !read_number(&at, &value) || *at)
		return TEACHER_NO_WAIT;
	return clamp(value * unit);
}

/* "ms" before "m": the longer name wins. */
static bool read_unit(const char **at, double *unit)
{
	static const struct {
		const char *name;
		double seconds;
	} units[] = {{"ms", 0.001}, {"us", 1e-6}, {"d", 86400}, {"h", 3600}, {"m", 60}, {"s", 1}};
	for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
		size_t n = strlen(units[i].name);
		if (!strncmp(*at, units[i].name, n)) {
			*at += n;
			*unit = units[i].seconds;
			return true;
		}
	}
	return false;
}

double teacher_retry_duration(const char *text, size_t n)
{
	char copy[LONGEST_TEXT + 1];
	const char *at = copy;
	double sum = teacher_retry_number(text, n, 1), value, unit;
	if (sum >= 0 || !trimmed(copy, text, n))
		return sum;
	for (sum = 0; *at; sum += value * unit)
		if (!read_number(&at, &value) || !read_unit(&at, &unit))
			return TEACHER_NO_WAIT;
	return clamp(sum);
}

static int month_of(const char *name)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	const char *at = strlen(name) == 3 ? strstr(months, name) : NULL;
	return at && (at - months) % 3 == 0 ? (int)(at - months) / 3 : -1;
}

/* A two-digit year is from 70 on is of the twentieth century, as RFC 850 dates were written then. */
static int year_of(int year, bool short_form)
{
	return !short_form ? year : year < 70 ? year + 2000 : year + 1900;
}

static double date_of(int day, const char *month, int year, const int clock[3])
{
	struct tm tm = {.tm_mday = day,
			.tm_mon = month_of(month),
			.tm_year = year - 1900,
			.tm_hour = clock[0],
			.tm_min = clock[1],
			.tm_sec = clock[2]};
	bool good = tm.tm_mon >= 0 && day >= 1 && day <= 31 && year >= 1900 && year <= 9999 && clock[0] >= 0 &&
		    clock[0] <= 23 && clock[1] >= 0 && clock[1] <= 59 && clock[2] >= 0 && clock[2] <= 60;
	return good ? (double)timegm(&tm) : TEACHER_NO_DATE;
}

double teacher_retry_date(const char *text, size_t n)
{
	char copy[LONGEST_TEXT + 1], month[4];
	int day, year, t[3], end = 0;
	if (!trimmed(copy, text, n))
		return TEACHER_NO_DATE;
	int length = (int)strlen(copy);
	if (sscanf(copy, "%*3[A-Za-z], %2d %3[A-Za-z] %4d %2d:%2d:%2d GMT%n", &day, month, &year, t, t + 1, t + 2,
		   &end) == 6 &&
	    end == length)
		return date_of(day, month, year, t);
	if (sscanf(copy, "%*9[A-Za-z], %2d-%3[A-Za-z]-%2d %2d:%2d:%2d GMT%n", &day, month, &year, t, t + 1, t + 2,
		   &end) == 6 &&
	    end == length)
		return date_of(day, month, year_of(year, true), t);
	if (sscanf(copy, "%*3[A-Za-z] %3[A-Za-z] %2d %2d:%2d:%2d %4d%n", month, &day, t, t + 1, t + 2, &year, &end) ==
		    6 &&
	    end == length)
		return date_of(day, month, year, t);
	return TEACHER_NO_DATE;
}

double teacher_retry_after(const char *text, size_t n, double now)
{
	double wait = teacher_retry_number(text, n, 1);
	if (wait >= 0)
		return wait;
	double date = teacher_retry_date(text, n);
	if (date == TEACHER_NO_DATE)
		return TEACHER_NO_WAIT;
	return date > now ? clamp(date - now) : 0;
}

double teacher_retry_backoff(unsigned attempt, double floor, double u)
{
	double span = fmin(longest_backoff, ldexp(base_wait, attempt < 16 ? (int)attempt : 16));
	return fmax(floor, u * span);
}
