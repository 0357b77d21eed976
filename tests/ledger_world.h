// SPDX-License-Identifier: Apache-2.0
/*
 * ledger_world.h - a run directory, a teacher that keeps its own bill, and a
 * client that works through one step as the program would.
 *
 * What a send becomes is a fixed function of the query and of how many sends
 * of it the teacher has seen, so that every history can be repeated.
 */
#ifndef BALDISTILL_TESTS_LEDGER_WORLD_H
#define BALDISTILL_TESTS_LEDGER_WORLD_H

#include <gtest/gtest.h>

#include <unistd.h>

#include <cstring>
#include <string>
#include <vector>

#include "src/ledger/attempt.h"
#include "src/ledger/audit.h"
#include "src/ledger/cassette.h"
#include "src/ledger/step.h"
#include "tests/temporary.h"

enum { WORLD_QUERIES = 64, WORLD_SLOTS = 3, WORLD_SLOT_BYTES = 8192, WORLD_RETRIES = 3 };

/* The bill: plain memory, so that it can be shared with a process that is killed. */
struct Bill {
	long billed;                    /* sends that may have been billed */
	long attempts_sent;
	long repeated_ids;              /* an attempt id that was sent before */
	long asked_again;               /* sends of a query whose answer had been acknowledged */
	int64_t last_attempt;
	int sent[WORLD_QUERIES];
	bool acknowledged[WORLD_QUERIES]; /* settled as answered, and told so */
	int acknowledged_send[WORLD_QUERIES];
	bool received[WORLD_QUERIES];     /* a usable reply lay whole in its slot */
};

enum Fate { ANSWER, USELESS, REFUSED, LOST };

inline Fate fate_of(int query, int send)
{
	static const Fate first[] = {ANSWER, ANSWER, REFUSED, ANSWER, LOST, ANSWER, ANSWER, USELESS, ANSWER, LOST};
	return send > 1 ? (query + send) % 5 == 0 ? LOST : ANSWER : first[query % 10];
}

/* Long enough to lie in several sectors, different for every send. */
inline std::string reply_of(int query, int send)
{
	std::string text = "{\"query\":" + std::to_string(query) + ",\"send\":" + std::to_string(send) + ",\"text\":\"";
	while (text.size() < 1500u + 37u * (unsigned)query)
		text += "reply " + std::to_string(query * 100 + send) + " ";
	return text + "\"}";
}

/* Usable is what ends as a reply ends; the rest of the status table is the teacher's. */
inline int world_judge(void *, const struct ledger_query *, const struct ledger_received *reply,
		       struct ledger_verdict *verdict, struct err *)
{
	bool whole = reply->body_n > 2 && reply->body[reply->body_n - 1] == '}';
	verdict->state = reply->http == 429 ? LEDGER_RELEASED : whole ? LEDGER_ANSWERED : LEDGER_UNUSABLE;
	verdict->http = reply->http;
	verdict->reason = reply->http == 429 ? "429" : whole ? "stop" : "useless";
	verdict->finish_reason = whole ? "stop" : nullptr;
	verdict->content = reply->body;
	verdict->content_n = reply->body_n;
	verdict->cost = -1;
	return 0;
}

struct World {
	QuickDirectory quick;
	Temporary run, state;
	std::vector<std::string> bodies, ids;
	std::vector<struct ledger_query> queries;
	struct ledger_options options = {};
	struct ledger_recovery recovery = {};
	struct err err = {};

	explicit World(int n_queries = 10, int64_t budget = 12)
	{
		EXPECT_LE(n_queries, WORLD_QUERIES);
		for (int i = 0; i < n_queries; i++) {
			ids.push_back(std::to_string(i));
			bodies.push_back("{\"messages\":[\"question " + ids.back() + "\"]}");
		}
		for (int i = 0; i < n_queries; i++) {
			struct ledger_query query = {};
			query.kind = "annotate";
			query.domain = i % 3 ? "earn" : "acq";
			query.example_id = ids[(size_t)i].c_str();
			query.body = bodies[(size_t)i].data();
			query.body_n = bodies[(size_t)i].size();
			query.prompt_sha256[0] = (unsigned char)i;
			queries.push_back(query);
		}
		options.directory = run.path.c_str();
		options.state_directory = state.path.c_str();
		options.host = "teacher.example";
		options.model = "m";
		options.budget = budget;
		options.max_cost = -1;
		options.slots = WORLD_SLOTS;
		options.slot_bytes = WORLD_SLOT_BYTES;
		options.max_retries = WORLD_RETRIES;
		options.billable = true;
		options.judge = world_judge;
		options.now = 1000;
	}
	struct ledger *open()
	{
		err_clear(&err);
		return ledger_open(&options, &recovery, &err);
	}
	/* Ready to be worked at: stage 0 with the whole budget, all queries written. */
	struct ledger *open_step()
	{
		struct ledger *ledger = open();
		if (ledger && !ledger_stage_open(ledger, 0, options.budget, &err) &&
		    !ledger_step_open(ledger, 0, "annotate", queries.data(), queries.size(), &err))
			return ledger;
		ledger_close(ledger);
		return nullptr;
	}
	std::string file(const char *name)
	{
		return read_file(run / name);
	}
};

/* The teacher receives one request: writes its bill, and its reply where one comes. */
inline Fate teach(Bill &bill, int query, const struct ledger_shot &shot)
{
	bill.attempts_sent++;
	bill.repeated_ids += shot.attempt <= bill.last_attempt;
	bill.last_attempt = shot.attempt;
	bill.asked_again += bill.acknowledged[query];
	int send = ++bill.sent[query];
	Fate fate = fate_of(query, send);
	bill.billed += fate != REFUSED;
	std::string reply = fate == REFUSED ? "{}" : reply_of(query, send);
	if (fate == USELESS)
		reply.back() = '.';
	memcpy(shot.slot->body, reply.data(), reply.size());
	if (fate == LOST)
		return fate;
	EXPECT_EQ(slot_finish(shot.slot, fate == REFUSED ? 429 : 200, 0, reply.size(), nullptr), 0);
	bill.received[query] = bill.received[query] || fate == ANSWER;
	return fate;
}

/* What was sent in one round, and what became of it. */
struct Round {
	size_t n = 0;
	struct ledger_shot shots[WORLD_SLOTS] = {};
	Fate fates[WORLD_SLOTS] = {};
	int query[WORLD_SLOTS] = {};
};

inline int settle_one(struct ledger *ledger, const struct ledger_shot &shot, Fate fate, struct err *err)
{
	struct ledger_verdict verdict = {};
	struct ledger_received reply;
	verdict.state = LEDGER_IN_DOUBT;
	verdict.reason = "truncated";
	verdict.cost = -1;
	if (fate != LOST && (ledger_received(ledger, shot.attempt, &reply, err) ||
			     world_judge(nullptr, nullptr, &reply, &verdict, err)))
		return -1;
	return ledger_settle(ledger, shot.attempt, &verdict, 2000, err);
}

/* Arm what is due and has a slot: a round that was not sent yet. */
inline int arm_round(struct ledger *ledger, Round &next, struct err *err)
{
	struct ledger_pending pending;
	enum ledger_stop stop;
	if (ledger_pending(ledger, 0, "annotate", 3000, WORLD_SLOTS, LEDGER_IN_ORDER, &pending, err))
		return -1;
	for (size_t i = 0; i < pending.n; i++) {
		next.shots[i].query = pending.query[i].id;
		next.query[i] = atoi(pending.query[i].example_id);
	}
	int failed = pending.n ? ledger_arm(ledger, next.shots, pending.n, 1500, &next.n, &stop, err) : 0;
	ledger_pending_release(&pending);
	return failed;
}

/* What the ledger has taken is acknowledged. */
inline void acknowledge(Bill &bill, const Round &round)
{
	for (size_t i = 0; i < round.n; i++)
		if (round.fates[i] == ANSWER) {
			bill.acknowledged[round.query[i]] = true;
			bill.acknowledged_send[round.query[i]] = bill.sent[round.query[i]];
		}
}

/* One turn: settle the last round, arm the next; then send that. 1: something was sent; 0: nothing to do; -1. */
inline int work_round(struct ledger *ledger, Bill &bill, Round &round, struct err *err)
{
	Round next;
	if (ledger_turn_begin(ledger, err))
		return -1;
	int failed = 0;
	for (size_t i = 0; i < round.n; i++)
		failed |= settle_one(ledger, round.shots[i], round.fates[i], err);
	failed |= arm_round(ledger, next, err);
	if (ledger_turn_end(ledger, err) || failed)
		return -1;
	acknowledge(bill, round);
	for (size_t i = 0; i < next.n; i++)
		next.fates[i] = teach(bill, next.query[i], next.shots[i]);
	round = next;
	return round.n > 0;
}

inline int work(struct ledger *ledger, Bill &bill, struct err *err)
{
	Round round;
	int rc;
	while ((rc = work_round(ledger, bill, round, err)) > 0)
		;
	return rc;
}

struct Answers {
	const Bill *bill;
	int n;
	bool seen[WORLD_QUERIES];
};

inline int see_answer(void *context, const struct ledger_row *row, struct err *)
{
	if (strcmp(row->state, "answered"))
		return 0;
	Answers *answers = static_cast<Answers *>(context);
	int query = atoi(row->query.example_id);
	std::string content(row->content ? row->content : "", row->content_n);
	bool good = false;
	for (int send = 1; send <= answers->bill->sent[query]; send++)
		good = good || content == reply_of(query, send);
	EXPECT_TRUE(good) << "answer " << query << " is not what the teacher sent";
	int send = answers->bill->acknowledged_send[query];
	EXPECT_TRUE(!answers->bill->acknowledged[query] || content == reply_of(query, send));
	answers->seen[query] = true;
	answers->n++;
	return 0;
}

/*
 * What must hold whenever a ledger is open, whatever happened before. After a
 * kill, unlike a power cut, what lay whole in a slot is there as well.
 */
inline void expect_promises(struct ledger *ledger, const Bill &bill, int64_t budget, bool power_stayed = true)
{
	struct ledger_counts counts;
	struct err err = {};
	Answers answers = {&bill, 0, {}};
	ASSERT_EQ(ledger_counts(ledger, &counts, &err), 0) << err.message;
	EXPECT_LE(bill.billed, budget) << "G1";
	EXPECT_LE(bill.billed, counts.used) << "a billed send that the ledger forgot";
	EXPECT_LE(counts.used, budget) << "G1";
	EXPECT_EQ(bill.asked_again, 0) << "G2";
	EXPECT_EQ(bill.repeated_ids, 0) << "an attempt was sent twice";
	EXPECT_EQ(counts.used, counts.armed + counts.answered + counts.unusable + counts.in_doubt) << "G5";
	EXPECT_EQ(ledger_check(ledger, &err), 0) << err.message;
	EXPECT_EQ(ledger_step_attempts(ledger, 0, "annotate", see_answer, &answers, &err), 0) << err.message;
	EXPECT_EQ(answers.n, counts.answered);
	for (int i = 0; i < WORLD_QUERIES; i++)
		EXPECT_TRUE(!bill.acknowledged[i] || answers.seen[i]) << "G3: answer " << i << " was lost";
	for (int i = 0; i < WORLD_QUERIES; i++)
		EXPECT_TRUE(!power_stayed || !bill.received[i] || answers.seen[i]) << "reply " << i << " was not salvaged";
}

#endif
