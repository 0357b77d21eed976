// SPDX-License-Identifier: Apache-2.0
/*
 * collect.h - ask the teacher all queries of a step, through the ledger.
 *
 * The one loop that spends money. Every query is written to the ledger before
 * any is sent (T0); a send is armed and committed before it leaves (T1); what
 * comes back is settled before it is told (T2 to T4). Within a step a query
 * is asked again only after a release, or, in doubt, at the end (METHOD
 * section 2). The order of arrival decides nothing that is kept.
 *
 *     struct collector collector = {.ledger = ledger, .source = source, .teacher = &plan->teacher, …};
 *     struct collect_query queries[n] = {{.kind = "annotate", .domain = "earn", …}, …};   // in query order
 *     if (collect_step(&collector, k, "annotate", queries, n, &counts, &err))
 *             return -1;                            // err.code is the exit status of the run
 *
 * Called again after a kill, with the same queries, it goes on where the
 * ledger stands; a step whose queries are all settled returns at once. It does
 * not end the step (ledger_step_done is stage.c's).
 *
 * Failures: the stop rules of RELIABILITY section 6, item 9 (69, 65, 76, 75),
 * what a reply ends the run with (77, 78, 81), ERR_TEMPFAIL after a signal,
 * ERR_IO and ERR_LEDGER of the ledger, ERR_DATA of a recorded teacher that
 * lacks an answer. In every case what was in flight has been waited for (after
 * a signal at most 60 s) and settled, or is left armed in its slot. After a
 * failure the source can only be closed, before the queries are freed.
 */
#ifndef BALDISTILL_PIPELINE_COLLECT_H
#define BALDISTILL_PIPELINE_COLLECT_H

#include "src/ledger/attempt.h"
#include "src/pipeline/plan.h"
#include "src/pipeline/voice.h"
#include "src/teacher/pace.h"
#include "src/teacher/stop.h"
#include "src/teacher/teacher.h"

#ifdef __cplusplus
extern "C" {
#endif

/* All borrowed. */
struct collect_query {
	const char *kind;       /* "annotate", "synthesise" */
	const char *domain;
	const char *example_id; /* as JSON: 7 or "seven" */
	uint64_t ordinal;
	uint64_t position;      /* of a synthesis: how many earlier ones its domain has, in all stages */
	const char *input;      /* the example's, for recorded answers; NULL: none */
	size_t input_n;
	const char *body;       /* teacher_request_write's */
	size_t body_n;
};

struct collector {
	struct ledger *ledger;
	struct teacher_source *source;
	const struct plan_teacher *teacher; /* limits, prices, waits */
	int64_t budget;                     /* of the whole run, for the stop rules */
	uint64_t seed;                      /* of the back-off's jitter */
	const struct voice *voice;
	/*
	 * Called after every commit of what came together, or after several where it would take more than a tenth of
	 * the time, and about every 2 s; may be NULL. -1 ends the step: nothing more is sent.
	 */
	int (*settled)(void *context, struct err *err);
	void *context;
	const char *const *cassette; /* [cassettes]: of runs whose answers serve here too, asked before anything is sent */
	size_t cassettes;
	struct teacher_source *reuse; /* one that is open, asked after these; NULL: none */
	/* Private, zero at first. */
	struct collect_judged *judged; /* the last reply that collect_judge read */
	struct teacher_stop stop;      /* counts of this start, over all steps; */
	struct teacher_pace pace;      /* likewise */
	bool counting;                 /* both have begun */
	bool heard, ever_heard;        /* an answer came; one is in the ledger */
	bool told_model, told_usage;   /* another model's name in an answer was told; counts that are missing or cannot be */
	double dearest_in, dearest_out; /* of the answers: tokens for a byte of the request, tokens of the answer */
};

struct collect_counts {
	/* Of this call; parked: queries left without an answer. */
	int64_t shared; /* taken from another run's cassette: a unit, no send */
	int64_t asked, answered, unusable, in_doubt, released, rejected, parked;
};

int collect_step(struct collector *collector, int64_t stage, const char *step, const struct collect_query *queries,
		 size_t n, struct collect_counts *counts, struct err *err);

/*
 * ledger_options.judge: context is the struct collector; `source` and, where it
 * is not NULL, `teacher` are used. Call collect_release once the ledger is open.
 */
ledger_judge collect_judge;
void collect_release(struct collector *collector);

/* Billionths of a currency unit; -1 without prices, or where teacher is NULL. */
int64_t collect_cost(const struct plan_teacher *teacher, double tokens_in, double tokens_out);

#ifdef __cplusplus
}
#endif
#endif
