// SPDX-License-Identifier: Apache-2.0
/*
 * report_parts.h - what the report files share: the run as read, and how it is
 * written down.
 *
 * report_read fills a struct report from the run directory (report_load.c,
 * report_rows.c), the report_put_… functions write one part of the page each;
 * nothing but report_put_text writes what came from outside.
 */
#ifndef BALDISTILL_PIPELINE_REPORT_PARTS_H
#define BALDISTILL_PIPELINE_REPORT_PARTS_H

#include "src/base/grown.h"
#include "src/base/jsonio.h"
#include "src/base/mem.h"
#include "src/pipeline/report.h"
#include "src/pipeline/scoring.h"

enum { REPORT_EXAMPLES = 3, REPORT_DEMONSTRATIONS = 8 };

/* A domain in one stage. */
struct report_cell {
	int64_t real, synthetic, repeated, replacements; /* allocation.json */
	int64_t dropped;                       /* collected.json, all causes */
};

struct report_domain {
	const char *name;
	int64_t pool;
	struct report_cell *cell; /* [stages] */
	double score;             /* of the figures shown; NaN: none */
	int64_t n;                /* test examples */
	bool head;
};

struct report_metrics {
	bool there;
	int64_t n, invalid;
	double figure[SCORING_FIGURES];                    /* NaN: empty group */
	struct metrics_interval interval[SCORING_FIGURES]; /* NaN: none */
};

struct report_stage {
	bool allocated, collected;
	int64_t rows; /* trained on */
	struct report_metrics metrics;
};

struct report_cause {
	const char *name;
	int64_t *count; /* [stages] */
};

enum report_count {
	REPORT_BUDGET,
	REPORT_USED,
	REPORT_ANSWERED,
	REPORT_UNUSABLE,
	REPORT_IN_DOUBT,
	REPORT_RELEASED,
	REPORT_ARMED,
	REPORT_COUNTS
};
extern const char *const report_count_names[REPORT_COUNTS]; /* keys of status.json */

struct report_text {
	const char *id, *domain, *label, *input, *rationale; /* id as JSON; the others may be NULL: not known */
};

struct report_example {
	struct report_text made, shown[REPORT_DEMONSTRATIONS];
	size_t n; /* of shown */
};

struct report {
	const char *directory, *version;
	struct arena arena; /* all texts */
	char *plan;         /* plan.yaml as it stands */
	const char *method; /* NULL: not said */
	bool billable;      /* a teacher of this kind may bill what a crash interrupted */
	bool has_status;
	const char *step;
	int64_t stage; /* of the status */
	int64_t count[REPORT_COUNTS];
	double cost; /* NaN: not known */
	struct report_domain *domain;
	size_t l, domain_room;
	struct report_stage *stages; /* [K] */
	size_t K;
	struct report_cause *cause;
	size_t causes, cause_room;
	struct report_metrics final; /* of metrics.json, or of the last stage that has some */
	bool finished;               /* final is metrics.json */
	struct report_example example[REPORT_EXAMPLES];
	size_t examples, synthetic; /* shown; rows of that origin in all */
};

int report_read(struct report *report, const char *directory, struct err *err);
void report_release(struct report *report);

/* ---- for reading ------------------------------------------------------------------------------------ */

/* DIRECTORY/NAME; *n bytes, released with free(). NULL where there is no such file (*rc 0) or on failure (-1). */
char *report_file(const struct report *report, const char *name, size_t *n, int *rc, struct err *err);

/* What a JSON file says, put into the report; k: of the stage, 0 for a file of the whole run. */
typedef int report_reader(struct report *report, size_t k, struct json_value root, struct err *err);
report_reader report_read_allocation, report_read_collected, report_read_stage, report_read_final, report_read_status;

/* Examples of the synthetic rows of stage-K/train.jsonl; *there: is that file there? */
int report_read_rows(struct report *report, size_t k, bool *there, struct err *err);

/* Has the macro score an interval? None has one where evaluation.bootstrap is 0. */
bool report_has_intervals(const struct report_metrics *metrics);

/* ---- for writing: report_out.c ------------------------------------------------------------------- */

/* Text from outside, escaped for HTML and SVG, controls as \xHH, cut to about `most` bytes (0: whole). */
void report_put_text(struct grown *out, const char *text, size_t most);
/* A fraction in per cent, with one decimal; a dash for NaN. */
void report_put_score(struct grown *out, double score);
/* An axis of scores in per cent, in steps of at least `least`; low and high NaN or the wrong way round: no scores. */
struct report_axis {
	int low, high, step;
};
struct report_axis report_axis(double low, double high, int least);
/* A page's beginning, up to its heading: style for everything below and in compare_html.c; no script, nothing remote. */
void report_put_head(struct grown *out, const char *title);

/* ---- parts of the page ------------------------------------------------------------------------------ */

void report_put_scores(struct grown *out, const struct report *report);
void report_put_allocation(struct grown *out, const struct report *report);
void report_put_curve(struct grown *out, const struct report *report);
void report_put_spend(struct grown *out, const struct report *report);
void report_put_domains(struct grown *out, const struct report *report);
void report_put_examples(struct grown *out, const struct report *report);

#endif
