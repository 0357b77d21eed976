// SPDX-License-Identifier: Apache-2.0
#include "reference/metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static size_t member(const size_t *sample, size_t j)
{
	return sample ? sample[j] : j;
}

void metrics_count(struct metrics_class *count, size_t C, const int32_t *gold, const int32_t *predicted,
		   const size_t *sample, size_t n)
{
	memset(count, 0, C * sizeof *count);
	for (size_t j = 0; j < n; j++) {
		int32_t g = gold[member(sample, j)], p = predicted[member(sample, j)];
		bool g_in = g >= 0 && (size_t)g < C, p_in = p >= 0 && (size_t)p < C;

		if (g_in && g == p) {
			count[g].tp++;
			continue;
		}
		if (g_in)
			count[g].fn++;
		if (p_in)
			count[p].fp++;
	}
}

static double ratio(int64_t numerator, int64_t denominator)
{
	return denominator ? (double)numerator / (double)denominator : 0;
}

/* 2 tp / (2 tp + fp + fn) */
double metrics_f1(const struct metrics_class *count)
{
	return ratio(2 * count->tp, 2 * count->tp + count->fp + count->fn);
}

/* 2 sum tp / (2 sum tp + sum fp + sum fn) */
double metrics_micro_f1(const struct metrics_class *count, size_t C)
{
	struct metrics_class sum = {0, 0, 0};

	for (size_t c = 0; c < C; c++) {
		sum.tp += count[c].tp;
		sum.fp += count[c].fp;
		sum.fn += count[c].fn;
	}
	return C ? metrics_f1(&sum) : (double)NAN;
}

/* 1/|G| sum over d in G of score[d] */
double metrics_macro(const double *score, const bool *head, enum metrics_group group, size_t D)
{
	double sum = 0;
	size_t n = 0;

	for (size_t d = 0; d < D; d++) {
		if (isnan(score[d]) || (group != METRICS_ALL && head[d] != (group == METRICS_HEAD)))
			continue;
		sum += score[d];
		n++;
	}
	return n ? sum / (double)n : (double)NAN;
}

/* mean[d] = 1/|d| sum over the sample's examples j of domain d of score[j] */
void metrics_domain_means(double *mean, size_t *count, size_t D, const double *score, const int32_t *domain,
			  const size_t *sample, size_t n)
{
	for (size_t d = 0; d < D; d++) {
		mean[d] = 0;
		count[d] = 0;
	}
	for (size_t j = 0; j < n; j++) {
		size_t i = member(sample, j);

		mean[domain[i]] += score[i];
		count[domain[i]]++;
	}
	for (size_t d = 0; d < D; d++)
		mean[d] = count[d] ? mean[d] / (double)count[d] : (double)NAN;
}

/* 1/n sum of score[j] */
double metrics_mean(const double *score, const size_t *sample, size_t n)
{
	double sum = 0;

	for (size_t j = 0; j < n; j++)
		sum += score[member(sample, j)];
	return n ? sum / (double)n : (double)NAN;
}

struct words {
	char *text;  /* the words, each ended by NUL */
	char **word; /* sorted */
	size_t n;
};

/* `to` = `from` in lower case without punctuation; ASCII only, in any locale. */
static void plain_text(char *to, const char *from)
{
	for (; *from; from++) {
		bool upper = *from >= 'A' && *from <= 'Z';
		bool punctuation = (*from >= '!' && *from <= '/') || (*from >= ':' && *from <= '@') ||
				   (*from >= '[' && *from <= '`') || (*from >= '{' && *from <= '~');

		if (!punctuation)
			*to++ = upper ? (char)(*from - 'A' + 'a') : *from;
	}
	*to = '\0';
}

static int word_compare(const void *left, const void *right)
{
	return strcmp(*(char *const *)left, *(char *const *)right);
}

static int words_init(struct words *words, const char *text)
{
	size_t length = strlen(text);
	char *next = NULL;

	*words = (struct words){malloc(length + 1), calloc(length / 2 + 1, sizeof *words->word), 0};
	if (!words->text || !words->word)
		return -1;
	plain_text(words->text, text);
	for (char *w = words->text; (w = strtok_r(w, " \t\n\v\f\r\x1c\x1d\x1e\x1f", &next)); w = NULL) {
		if (strcmp(w, "a") && strcmp(w, "an") && strcmp(w, "the"))
			words->word[words->n++] = w;
	}
	qsort(words->word, words->n, sizeof *words->word, word_compare);
	return 0;
}

static void words_release(struct words *words)
{
	free(words->text);
	free(words->word);
}

/* 2 P R / (P + R) with P = w / |a| and R = w / |b| is 2 w / (|a| + |b|) */
static double words_f1(const struct words *a, const struct words *b)
{
	size_t common = 0;

	if (a->n + b->n == 0)
		return 1;
	for (size_t i = 0, j = 0; i < a->n && j < b->n;) {
		int order = strcmp(a->word[i], b->word[j]);

		common += order == 0;
		i += order <= 0;
		j += order >= 0;
	}
	return 2 * (double)common / (double)(a->n + b->n);
}

int metrics_word_f1(double *f1, const char *answer, const char *gold)
{
	struct words a, b;
	int failed = words_init(&a, answer);

	failed |= words_init(&b, gold);
	if (!failed)
		*f1 = words_f1(&a, &b);
	words_release(&a);
	words_release(&b);
	return failed;
}

static int value_compare(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;

	return (a > b) - (a < b);
}

/* Nearest rank: floor(0.025 R) = R / 40 and ceil(0.975 R) - 1 = R - R / 40 - 1 in whole numbers. */
static struct metrics_interval percentiles(double *value, size_t R)
{
	if (R == 0)
		return (struct metrics_interval){(double)NAN, (double)NAN};
	qsort(value, R, sizeof *value, value_compare);
	return (struct metrics_interval){value[R / 40], value[R - R / 40 - 1]};
}

int metrics_bootstrap(struct metrics_interval *interval, double *mean, metrics_statistic *statistic, void *context,
		      size_t n, size_t R, metrics_draw *draw, void *state)
{
	size_t *sample = n && R ? calloc(n, sizeof *sample) : NULL;
	double *value = n && R ? calloc(R, sizeof *value) : NULL;
	size_t good = 0;

	for (size_t b = 0; sample && value && b < R; b++) {
		for (size_t j = 0; j < n; j++)
			sample[j] = (size_t)draw(state, n);
		value[good] = statistic(context, sample, n);
		if (!isnan(value[good]))
			good++;
	}
	if (sample && value) {
		*mean = metrics_mean(value, NULL, good);
		*interval = percentiles(value, good);
	}
	free(value);
	free(sample);
	return sample && value ? 0 : -1;
}

struct pair {
	metrics_statistic *statistic;
	void *a, *b;
};

static double difference(void *context, const size_t *sample, size_t n)
{
	const struct pair *pair = context;

	return pair->statistic(pair->a, sample, n) - pair->statistic(pair->b, sample, n);
}

int metrics_bootstrap_paired(struct metrics_interval *interval, double *mean, metrics_statistic *statistic, void *a,
			     void *b, size_t n, size_t R, metrics_draw *draw, void *state)
{
	struct pair pair = {statistic, a, b};

	return metrics_bootstrap(interval, mean, difference, &pair, n, R, draw, state);
}
