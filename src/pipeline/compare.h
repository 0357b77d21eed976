// SPDX-License-Identifier: Apache-2.0
/*
 * compare.h - several methods, and several seeds of each, on the same data and
 * budget.
 *
 *     struct compare_options options = {.path = "plan.yaml", .method = names, .methods = 3, .seed = seeds, .seeds = 2, …};
 *     struct comparison comparison;
 *     if (compare_run(&comparison, &options, &err))
 *             return -1;
 *     comparison_put(&w, &comparison);            // compare.json
 *     comparison_save_page(&comparison, directory, version, &err);
 *     comparison_release(&comparison);
 *
 * Every combination is an ordinary run in OUTPUT_DIR/METHOD/SEED, one after
 * the other, and is gone on with where it was begun before. An answer that an
 * earlier run of the comparison has paid for is not paid for again: its
 * cassette is asked first (ledger_share).
 *
 * Methods are compared with the baseline by paired bootstrap over the test
 * examples, the mean over the seeds of each.
 */
#ifndef BALDISTILL_PIPELINE_COMPARE_H
#define BALDISTILL_PIPELINE_COMPARE_H

#include "src/pipeline/run.h"
#include "src/pipeline/scoring.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What the others are measured by (Zhou et al. 2024, table 2). */
#define COMPARE_BASELINE "random-finetune-cot"

struct compare_options {
	const char *path;            /* of the plan; its own method and seed do not count */
	const char *const *method;   /* [methods] */
	size_t methods;
	const uint64_t *seed;        /* [seeds] */
	size_t seeds;
	int64_t max_queries;         /* bounds the sends of all runs in one start; 0: not given */
	struct run_options run;
};

/* One run. */
struct comparison_cell {
	struct scoring scoring;
	int64_t used, answered, sends;
	int64_t cost; /* spent and reserved, in billionths of the currency of the plan's prices; 0: none, or no prices */
};

struct comparison_row {
	const char *method; /* borrowed from the options */
	struct comparison_cell *cell; /* [seeds] */
	double mean[SCORING_FIGURES];
	struct metrics_interval spread[SCORING_FIGURES];    /* of the mean */
	double difference[SCORING_FIGURES]; /* of the means, less the baseline's */
	struct metrics_interval interval[SCORING_FIGURES];
};

struct comparison {
	struct comparison_row *row; /* [rows] */
	size_t rows, seeds;
	const uint64_t *seed;
	const struct comparison_row *baseline; /* NULL: not among the methods */
	const char *preset;
	int64_t budget; /* of each run */
	const char **cassette; /* [cassettes]: of the runs done, where answers are paid */
	size_t cassettes;
	struct teacher_key key; /* of the runs whose teacher wants one, once it is read */
	struct data data;
};

/* ERR_CONFIG before anything is sent where somebody is paid and max_queries is missing or less than the worst case. */
int compare_run(struct comparison *comparison, const struct compare_options *options, struct err *err);
void comparison_release(struct comparison *comparison);

void comparison_put(struct json_writer *w, const struct comparison *comparison);

/* DIRECTORY/compare.html: the same to look at, one file; ERR_MEMORY and the failures of file_save. */
int comparison_save_page(const struct comparison *comparison, const char *directory, const char *version,
			 struct err *err);

#ifdef __cplusplus
}
#endif
#endif
