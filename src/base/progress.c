// SPDX-License-Identifier: Apache-2.0
#include "src/base/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "src/base/text.h"

enum {
	LINE_ROOM = 512,
	LABEL_ROOM = 96,
	PART_ROOM = 96, /* a count or a rate with its unit */
	TIME_ROOM = 48, /* a time or duration with its words */
	BAR_WIDTH = 20,
	DEFAULT_COLUMNS = 80,
	LONGEST_MINUTES = 9999 * 60 + 59,
};

static const double REWRITE_SECONDS = 0.1;
static const double LINE_SECONDS = 2;

static double now(const struct progress_output *output, clockid_t id)
{
	struct timespec time = { 0 };

	(output->clock ? output->clock : clock_gettime)(id, &time);
	return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

char *progress_rate(char *out, size_t room, double per_second, const char *unit)
{
	static const char *const prefixes[] = { "", "k ", "M ", "G ", "T " };
	size_t prefix = 0;
	int decimals;

	while (per_second >= 999.5 && prefix + 1 < sizeof prefixes / sizeof *prefixes) {
		per_second /= 1000;
		prefix++;
	}
	decimals = per_second >= 99.95 ? 0 : per_second >= 9.995 ? 1 : per_second >= 0.0995 ? 2 : 3;
	snprintf(out, room, "%.*f %s%s/s", decimals, per_second, prefixes[prefix], unit);
	return out;
}

char *progress_duration(char *out, size_t room, double seconds)
{
	const double longest = 60.0 * LONGEST_MINUTES;
	/* Written so that a NaN counts as longest. */
	uint64_t whole = seconds < longest ? (uint64_t)(seconds > 0 ? seconds + 0.5 : 0) : (uint64_t)longest;
	uint64_t minutes = whole / 60;

	if (minutes >= 60)
		snprintf(out, room, "%" PRIu64 "h%02" PRIu64 "m", minutes / 60, minutes % 60);
	else if (minutes)
		snprintf(out, room, "%" PRIu64 "m%02" PRIu64 "s", minutes, whole % 60);
	else
		snprintf(out, room, "%" PRIu64 "s", whole);
	return out;
}

/* The label, safe to show and without line breaks. */
static char *show_label(char out[LABEL_ROOM], const struct progress *progress)
{
	text_escape(out, LABEL_ROOM, progress->label, strlen(progress->label));
	for (char *at = out; (at = strpbrk(at, "\n\t"));)
		*at = ' ';
	return out;
}

static void show_stamp(char out[TIME_ROOM], const struct progress_output *output)
{
	time_t seconds = (time_t)now(output, CLOCK_REALTIME);
	struct tm utc = { 0 };

	gmtime_r(&seconds, &utc);
	strftime(out, TIME_ROOM, "%Y-%m-%dT%H:%M:%SZ", &utc);
}

/* Part of the total that is done, 0 to 1. */
static double share(const struct progress *progress)
{
	return progress->done < progress->total ? (double)progress->done / (double)progress->total : 1;
}

/* "[####----] 4200/10000 rows" or, with an unknown total, "4200 rows". */
static void show_bar(char out[PART_ROOM], const struct progress *progress)
{
	static const char full[] = "####################";
	static const char empty[] = "--------------------";
	int marks = (int)(share(progress) * BAR_WIDTH);

	if (progress->total)
		snprintf(out, PART_ROOM, "[%.*s%.*s] %" PRIu64 "/%" PRIu64 " %s", marks, full, BAR_WIDTH - marks, empty,
		         progress->done, progress->total, progress->unit);
	else
		snprintf(out, PART_ROOM, "%" PRIu64 " %s", progress->done, progress->unit);
}

/* "4200 of 10000 rows (42 %)" or, with an unknown total, "4200 rows". */
static void show_count(char out[PART_ROOM], const struct progress *progress)
{
	if (progress->total)
		snprintf(out, PART_ROOM, "%" PRIu64 " of %" PRIu64 " %s (%d %%)", progress->done, progress->total,
		         progress->unit, (int)(100 * share(progress)));
	else
		snprintf(out, PART_ROOM, "%" PRIu64 " %s", progress->done, progress->unit);
}

/* ", 12.3 k rows/s", or nothing while there is no rate. Returns the rate. */
static double show_rate(char out[PART_ROOM], const struct progress *progress, double elapsed)
{
	double rate = elapsed > 0 ? (double)(progress->done - progress->first) / elapsed : 0;

	out[0] = '\0';
	if (rate > 0) {
		strcpy(out, ", ");
		progress_rate(out + 2, PART_ROOM - 2, rate, progress->unit);
	}
	return rate;
}

/* ", 3m05s left", or nothing where that is not known. */
static void show_left(char out[TIME_ROOM], const struct progress *progress, double rate)
{
	char left[TIME_ROOM - 8];

	out[0] = '\0';
	if (rate > 0 && progress->done < progress->total) {
		progress_duration(left, sizeof left, (double)(progress->total - progress->done) / rate);
		snprintf(out, TIME_ROOM, ", %s left", left);
	}
}

/* Cut a terminal's line to its width; a byte takes at most one column, so cutting by bytes never wraps. */
static void cut_line(char *line, const struct progress_output *output)
{
	size_t columns = output->columns > 1 ? (size_t)output->columns : DEFAULT_COLUMNS;

	line[text_utf8_valid(line, strnlen(line, columns - 1))] = '\0';
}

/* Hand one line to the sink: in place of the one before on a terminal, else under its own time. */
static void write_line(const struct progress_output *output, char line[LINE_ROOM], const char *terminal_end)
{
	char stamp[TIME_ROOM], text[LINE_ROOM + TIME_ROOM];

	if (output->terminal) {
		cut_line(line, output);
		snprintf(text, sizeof text, "\r%s\033[K%s", line, terminal_end);
	} else {
		show_stamp(stamp, output);
		snprintf(text, sizeof text, "%s %s\n", stamp, line);
	}
	output->sink(output->context, text, strlen(text));
}

static void show(struct progress *progress, double time)
{
	const struct progress_output *output = progress->output;
	char label[LABEL_ROOM], count[PART_ROOM], rate[PART_ROOM], left[TIME_ROOM], line[LINE_ROOM];

	progress->shown = time;
	show_label(label, progress);
	show_left(left, progress, show_rate(rate, progress, time - progress->began));
	if (output->terminal)
		show_bar(count, progress);
	else
		show_count(count, progress);
	snprintf(line, sizeof line, "%s%s %s%s%s", label, output->terminal ? "" : ":", count, rate, left);
	write_line(output, line, "");
}

void progress_begin(struct progress *progress, const struct progress_output *output, const char *label,
                    const char *unit, uint64_t total, uint64_t done)
{
	*progress = (struct progress){ .label = label, .unit = unit, .total = total, .done = done, .first = done };
	if (!output || !output->sink)
		return;
	progress->output = output;
	progress->began = now(output, CLOCK_MONOTONIC);
	progress->shown = progress->began;
	if (output->terminal)
		show(progress, progress->began);
}

void progress_add(struct progress *progress, uint64_t n)
{
	const struct progress_output *output = progress->output;
	double interval, time;

	progress->done += n;
	if (!output)
		return;
	interval = output->terminal ? REWRITE_SECONDS : output->every > 0 ? output->every : LINE_SECONDS;
	time = now(output, CLOCK_MONOTONIC);
	if (time - progress->shown >= interval)
		show(progress, time);
}

void progress_finish(struct progress *progress)
{
	const struct progress_output *output = progress->output;
	char label[LABEL_ROOM], count[PART_ROOM], rate[PART_ROOM], took[TIME_ROOM], line[LINE_ROOM];
	double elapsed;

	if (!output)
		return;
	elapsed = now(output, CLOCK_MONOTONIC) - progress->began;
	show_label(label, progress);
	show_count(count, progress);
	show_rate(rate, progress, elapsed);
	progress_duration(took, sizeof took, elapsed);
	snprintf(line, sizeof line, "%s: %s in %s%s", label, count, took, rate);
	write_line(output, line, "\n");
	progress->output = NULL;
}
