// SPDX-License-Identifier: Apache-2.0
/*
 * collect_parts.h - one call of collect_step, for src/pipeline/collect*.c alone.
 */
#ifndef BALDISTILL_PIPELINE_COLLECT_PARTS_H
#define BALDISTILL_PIPELINE_COLLECT_PARTS_H

#include <math.h>

#include "src/pipeline/collect.h"
#include "src/teacher/pace.h"

enum { COLLECT_USAGE_ROOM = 4096 };

/* A question on its way. Its tag is the attempt, which no other question of the run ever has. */
struct flight {
	bool busy;
	const struct collect_query *query;
	int64_t id, sends; /* of the ledger's query; sends before this one, */
	int64_t rejections; /* of which so many were rejected */
	double began;
	struct ledger_shot shot;
	struct teacher_slot slot; /* the shot's */
};

/* Where a query of the ledger stands in the caller's list. */
struct place {
	unsigned char digest[HASH_SIZE];
	uint64_t ordinal;
	size_t index;
};

struct collecting {
	struct collector *collector;
	int64_t stage;
	const char *step;
	const struct collect_query *queries;
	size_t n;
	struct place *place;   /* [n], sorted */
	struct flight *flight; /* [flights] */
	size_t flights, in_flight;
	struct ledger_shot *shot; /* [flights], of one arming */
	struct progress progress;
	struct collect_counts *counts;
	bool turn;                    /* what was settled is not committed yet; */
	int64_t came[TEACHER_STATES]; /* so many replies since the last commit, by their state */
	unsigned refusals;      /* rounds of requests in a row that brought nothing but refusals, */
	double refused;         /* the last of them counted at this time */
	enum ledger_stop bound; /* that the last arming met; forgotten when something is settled */
	int64_t parked;         /* of the whole run, before this call */
	int64_t real;           /* the wall clock at the start, milliseconds; */
	double start;           /* from there on the monotonic clock counts */
	double told, telling;   /* when `settled` was called last, and how long it took; */
	bool news;              /* a reply was settled since */
	bool *rejected;         /* [n]: once in this call already */
	double rejection;       /* when the last one came */
	double interrupted;     /* since when a signal is waited out; 0: none came */
	struct err err;         /* the first failure ends the sending */
};

/* Call `settled` where it is due: with news, but so that it takes no more than a tenth of the time; without, seldom. */
void collect_tell(struct collecting *c);

/* Now, as the ledger counts time. */
int64_t collect_now(const struct collecting *c);

/* T0: hash and write the queries, remember their places. */
int collect_plan(struct collecting *c, struct err *err);
/* The caller's query of a row of the ledger; NULL: it is none of this step's. */
const struct collect_query *collect_find(const struct collecting *c, const struct ledger_query *query);

/* What other runs' cassettes answer. Fills c->err. */
void collect_share(struct collecting *c);

/*
 * Commit what came, and in the same turn arm what may go now; then tell the one and ask the other. Seconds
 * until more may go, INFINITY where only a reply can change that. Fills c->err.
 */
double collect_send(struct collecting *c);

/* teacher_callback: settle it, in a turn that collect_commit ends. context is the struct collecting. */
void collect_reply(void *context, const struct teacher_reply *reply);
/* A server that moderates says 403 as well: what ends the run at first is the query's matter when others are answered. */
void collect_narrow(const struct collecting *c, const struct flight *flight, struct teacher_reply *reply);
/*
 * Count an outcome; *ending: the exit status with which the run is to end, or 0. True: it is a rejection that may be
 * the server's fault, before the first answer of a start or behind another one, and the query stays, to be asked again.
 * Only those count together that were asked one after the other and are not the query's own matter.
 */
bool collect_weigh(struct collecting *c, const struct flight *flight, const struct teacher_outcome *outcome, int *ending);
/* End the turn, where one is open, and count what came in it. -1 and c->err: nothing may be sent. */
int collect_commit(struct collecting *c);
/* Keep the first failure. */
void collect_fail(struct collecting *c, const struct err *err);
/* The flight is over. */
void collect_land(struct collecting *c, struct flight *flight);

/* What an outcome says to the ledger; its strings are borrowed from outcome and answer. teacher NULL: no prices. */
void collect_verdict(struct ledger_verdict *verdict, const struct plan_teacher *teacher,
		     const struct teacher_outcome *outcome, const struct teacher_answer *answer);
/* The usage of a reply as it was received, into text; NULL where there is none that can be trusted. */
const char *collect_usage(char text[COLLECT_USAGE_ROOM], const struct teacher_answer *answer, const char *raw,
			  size_t n);

/* Words for the end of a run. */
void collect_explain_stop(struct err *err, int code, const struct teacher_reply *reply, bool billable);
/* Nothing more can be armed and nothing is in flight: 0 where the step simply ends, else -1. */
int collect_explain_bound(struct collecting *c, struct err *err);

#endif
