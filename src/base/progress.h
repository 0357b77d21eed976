// SPDX-License-Identifier: Apache-2.0
/*
 * progress.h - how far long work has come, how fast, and how long it will take.
 *
 * The command makes one progress_output and hands it down; the work reports
 * into it and prints nothing itself. A NULL output, like one without a sink,
 * is silent and costs nothing.
 *
 *     struct progress_output output = { .sink = to_stderr, .terminal = isatty(2) };
 *
 *     struct progress progress;
 *     progress_begin(&progress, &output, "score", "rows", total, 0);
 *     for (...)
 *             progress_add(&progress, rows in this batch);
 *     progress_finish(&progress);
 *
 * On a terminal one line is rewritten in place:
 *
 *     score [########------------] 4200/10000 rows, 12.3 k rows/s, 3m05s left
 *
 * elsewhere plain lines are written, `every` seconds apart at the least:
 *
 *     2026-01-31T12:00:00Z score: 4200 of 10000 rows (42 %), 12.3 k rows/s, 3m05s left
 *
 * and progress_finish ends both with a line of what was done and in how long.
 * Rate and time left come from the units done since progress_begin. A struct
 * progress owns nothing, is used by one thread, and never fails.
 */
#ifndef BALDISTILL_BASE_PROGRESS_H
#define BALDISTILL_BASE_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

struct progress_output {
	void (*sink)(void *context, const char *text, size_t n); /* writes n bytes of text; NULL: silent */
	void *context;                                           /* for the sink */
	bool terminal;                                           /* rewrite one line */
	int columns;                                             /* width of the terminal; 0: 80 */
	double every;                                            /* seconds between plain lines; 0: 2 */
	int (*clock)(clockid_t id, struct timespec *now);        /* as clock_gettime, which NULL stands for */
};

struct progress {
	const struct progress_output *output; /* NULL: silent, or finished */
	const char *label, *unit;             /* borrowed until progress_finish */
	uint64_t total;                       /* 0: unknown */
	uint64_t done;                        /* of total */
	uint64_t first;                       /* of done, before this start */
	double began, shown;                  /* seconds of the monotonic clock */
};

/* Start at `done` of `total` units, more than 0 where earlier work goes on. `unit` is a plural ("rows"). */
void progress_begin(struct progress *progress, const struct progress_output *output, const char *label,
                    const char *unit, uint64_t total, uint64_t done);

/* n more units are done. */
void progress_add(struct progress *progress, uint64_t n);

/* Write the last line, also where the work stopped early. Nothing is written after it. */
void progress_finish(struct progress *progress);

/* "12.3 k rows/s" into out; returns out. Three digits, prefixes k, M, G, T. */
char *progress_rate(char *out, size_t room, double per_second, const char *unit);

/* "1h02m", "3m05s" or "12s" into out; returns out. Rounded to seconds; 9999h59m stands for anything longer. */
char *progress_duration(char *out, size_t room, double seconds);

#ifdef __cplusplus
}
#endif
#endif
