// SPDX-License-Identifier: Apache-2.0
/*
 * collect_world.h - a run directory, the queries of one step, and a teacher in
 * memory whose faults, order and delays a test decides.
 *
 *     World world(10, 12);                       // queries, budget
 *     Fake fake([](const Asking &a) { return a.sends ? good(a.id) : lost(); });
 *     EXPECT_EQ(world.collect(fake), 0);
 *     world.expect_promises(fake.billed);
 */
#ifndef BALDISTILL_TESTS_COLLECT_WORLD_H
#define BALDISTILL_TESTS_COLLECT_WORLD_H

#include <gtest/gtest.h>

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <functional>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "src/ledger/audit.h"
#include "src/ledger/cassette.h"
#include "src/ledger/step.h"
#include "src/pipeline/collect.h"
#include "src/pipeline/source.h"
#include "tests/teacher_mock.h"
#include "tests/temporary.h"

inline double seconds_now()
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* ---- a teacher in memory ------------------------------------------------------------------ */

struct Reaction {
	int status = 200;
	std::string headers, body;
	enum teacher_transport transport = TEACHER_REPLIED;
	bool sent = true;   /* the request went out whole */
	bool billed = true; /* the server counts it */
	size_t part = 0;    /* bytes of it that went out where not all did */
};

struct Asking {
	std::string id; /* of the example */
	int sends;      /* of this query before this one */
	long asked;     /* of all queries before */
	std::string body;
};

inline std::string text_of(const std::string &id)
{
	return "answer to " + id;
}

inline Reaction good(const std::string &id)
{
	return {200, "", answer("\"content\":\"" + text_of(id) + "\"")};
}

inline Reaction refused(int status, const std::string &headers = "", const std::string &code = "null")
{
	Reaction r{status, headers, error_body("no", "null", code)};
	r.billed = status >= 500 && status != 503;
	return r;
}

/* Sent whole, and nothing came. */
inline Reaction lost()
{
	Reaction r;
	r.transport = TEACHER_TIMED_OUT;
	return r;
}

inline Reaction unconnected()
{
	Reaction r;
	r.transport = TEACHER_UNCONNECTED;
	r.sent = r.billed = false;
	return r;
}

struct Fake : teacher_source {
	using Script = std::function<Reaction(const Asking &)>;
	struct Open {
		struct teacher_question question;
		Reaction reaction;
		double due;
	};

	Script script;
	double latency = 0;    /* seconds */
	bool shuffled = false; /* replies come in random order, one at a time */
	std::mt19937 random{1};
	int refuse_ask_after = -1; /* questions; then ask fails */
	std::function<void()> polled;
	std::vector<Open> open;
	std::vector<std::string> order; /* ids, as asked */
	std::vector<double> times;
	std::map<std::string, int> sends;
	std::set<std::string> request_ids;
	long billed = 0, repeated_ids = 0, asked_again = 0;
	std::set<std::string> answered;
	size_t most_open = 0;

	explicit Fake(Script script_, bool billable_ = true) : teacher_source(), script(std::move(script_))
	{
		kind = "openai";
		billable = billable_;
		teacher_source::ask = [](struct teacher_source *s, const struct teacher_question *q, struct err *err) {
			return static_cast<Fake *>(s)->take(*q, err);
		};
		teacher_source::poll = [](struct teacher_source *s, double seconds, teacher_callback *done,
					  void *context, struct err *) {
			return static_cast<Fake *>(s)->give(seconds, done, context);
		};
		teacher_source::read = [](struct teacher_source *, struct teacher_answer *a, const char *raw, size_t n,
					  struct err *err) {
			return teacher_answer_read(a, raw, n, "m", nullptr, err);
		};
		teacher_source::close = [](struct teacher_source *) {};
	}

	int take(const struct teacher_question &q, struct err *err)
	{
		if (refuse_ask_after >= 0 && (int)order.size() >= refuse_ask_after)
			return err_set(err, ERR_DATA, "no such question");
		std::string id = q.id;
		Reaction reaction = script({id, sends[id], (long)order.size(), std::string(q.body, q.body_n)});
		repeated_ids += !request_ids.insert(q.client_id).second;
		asked_again += answered.count(id) > 0;
		billed += reaction.billed;
		sends[id]++;
		order.push_back(id);
		times.push_back(seconds_now());
		open.push_back({q, reaction, seconds_now() + latency});
		most_open = std::max(most_open, open.size());
		return 0;
	}

	int give(double seconds, teacher_callback *done, void *context)
	{
		double end = seconds_now() + seconds;
		if (polled)
			polled();
		while (!open.empty()) {
			std::vector<size_t> due;
			for (size_t i = 0; i < open.size(); i++)
				if (open[i].due <= seconds_now())
					due.push_back(i);
			if (!due.empty()) {
				size_t chosen = due[shuffled ? random() % due.size() : 0];
				Open o = open[chosen];
				open.erase(open.begin() + (long)chosen);
				tell(o, done, context);
				return 1;
			}
			if (seconds_now() >= end)
				return 0;
			usleep(500);
		}
		return 0;
	}

	/* As openai.c does with what came over the wire. */
	void tell(Open &o, teacher_callback *done, void *context)
	{
		struct teacher_slot *slot = o.question.slot;
		struct teacher_reply reply = {};
		struct teacher_headers headers;
		struct teacher_facts facts = {};
		bool whole = o.reaction.transport == TEACHER_REPLIED;
		bool success = whole && o.reaction.status < 300;
		slot->head_n = o.reaction.headers.size();
		slot->body_n = o.reaction.body.size();
		memcpy(slot->head, o.reaction.headers.data(), slot->head_n);
		memcpy(slot->body, o.reaction.body.data(), slot->body_n);
		reply.tag = o.question.tag;
		reply.exchange.transport = o.reaction.transport;
		reply.exchange.status = o.reaction.status;
		reply.exchange.to_send = o.question.body_n;
		reply.exchange.sent = o.reaction.sent ? o.question.body_n : o.reaction.part;
		reply.exchange.received = slot->body_n;
		reply.slot = slot;
		reply.raw = slot->body;
		reply.raw_n = slot->body_n;
		teacher_headers_read(&headers, slot->head, slot->head_n, 0, nullptr);
		facts.headers = &headers;
		facts.max_wait = 600;
		if (success) {
			EXPECT_EQ(teacher_answer_read(&reply.answer, slot->body, slot->body_n, "m", nullptr, nullptr),
				  0);
		}
		facts.answer = success ? &reply.answer : nullptr;
		if (whole && (!success || reply.answer.cause == TEACHER_ERROR_BODY)) {
			teacher_error_read(&reply.error, slot->body, slot->body_n, nullptr);
			facts.error = &reply.error;
		}
		teacher_outcome_decide(&reply.outcome, &reply.exchange, &facts);
		std::string id = o.question.id;
		done(context, &reply);
		if (reply.outcome.state == TEACHER_ANSWERED || reply.outcome.state == TEACHER_UNUSABLE)
			answered.insert(id);
		teacher_answer_release(&reply.answer);
	}
};

/* ---- a run ------------------------------------------------------------------------------------ */

/* The ledger of a run that nothing works at, to be read and closed; NULL has failed the test. */
inline struct ledger *inspect_ledger(const std::string &directory, const char *vfs, struct err &err)
{
	struct ledger_options inspect = {};
	inspect.directory = directory.c_str();
	inspect.inspect = true;
	inspect.vfs = vfs;
	struct ledger *ledger = ledger_open(&inspect, nullptr, &err);
	EXPECT_NE(ledger, nullptr) << err.message;
	return ledger;
}

/* What it has counted; closes it. */
inline struct ledger_counts units_of(struct ledger *ledger)
{
	struct ledger_counts counts = {};
	struct err err = {};
	if (ledger) {
		EXPECT_EQ(ledger_counts(ledger, &counts, &err), 0) << err.message;
	}
	ledger_close(ledger);
	return counts;
}

struct World {
	QuickDirectory quick;
	Temporary run, state;
	std::vector<std::string> ids, bodies, inputs;
	std::vector<struct collect_query> queries;
	struct plan_teacher teacher = {};
	struct collector collector = {};
	struct collect_counts counts = {};
	struct ledger_options options = {};
	struct ledger_recovery recovery = {};
	struct err err = {};
	struct voice voice = {};
	std::vector<std::string> said;
	volatile sig_atomic_t signals = 0, paying = 0;
	int64_t cum; /* the stage's */
	std::string step = "annotate";

	explicit World(int n = 10, int64_t budget = 12) : cum(budget)
	{
		for (int i = 0; i < n; i++) {
			ids.push_back(std::to_string(i));
			inputs.push_back("input " + ids.back());
			bodies.push_back("{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"question " +
					 ids.back() + "\"}],\"temperature\":0,\"max_tokens\":64,\"n\":1}");
		}
		for (size_t i = 0; i < ids.size(); i++)
			queries.push_back({"annotate", i % 3 ? "earn" : "acq", ids[i].c_str(), 0, 0, inputs[i].c_str(),
					   inputs[i].size(), bodies[i].data(), bodies[i].size()});
		teacher.max_concurrent_requests = 4;
		teacher.max_tokens = 64;
		teacher.timeout = 20;
		teacher.max_wait = 600;
		teacher.max_retries = 3;
		teacher.price_input = teacher.price_output = teacher.max_cost = -1;
		teacher.model = "m";
		options.directory = run.path.c_str();
		options.state_directory = state.path.c_str();
		options.host = "teacher.example";
		options.model = "m";
		options.budget = budget;
		options.max_cost = -1;
		options.slots = 4;
		options.slot_bytes = 65536;
		options.max_retries = 3;
		options.billable = true;
		options.judge = collect_judge;
		options.judge_context = &collector;
		voice.say = [](void *context, const char *text) {
			static_cast<World *>(context)->said.push_back(text);
		};
		voice.context = this;
		voice.signals = &signals;
		voice.paying = &paying;
	}
	World(const World &) = delete;

	struct ledger *open(struct teacher_source &source)
	{
		struct timespec now;
		clock_gettime(CLOCK_REALTIME, &now);
		err_clear(&err);
		options.billable = source.billable;
		options.now = (int64_t)now.tv_sec * 1000;
		collector.counting = collector.heard = false; /* a start counts for itself */
		collector.dearest_in = collector.dearest_out = 0;
		collector.source = &source;
		collector.teacher = &teacher;
		collector.budget = options.budget;
		collector.seed = 1;
		collector.voice = &voice;
		collector.ledger = ledger_open(&options, &recovery, &err);
		collect_release(&collector);
		if (collector.ledger && !ledger_stage_open(collector.ledger, 0, cum, &err))
			return collector.ledger;
		ledger_close(collector.ledger);
		return nullptr;
	}
	/* One start of the program: open, collect, close. The exit status. */
	int collect(struct teacher_source &source)
	{
		struct ledger *ledger = open(source);
		if (!ledger)
			return err.code;
		int rc = collect_step(&collector, 0, step.c_str(), queries.data(), queries.size(), &counts, &err);
		EXPECT_EQ(rc ? -1 : 0, rc);
		EXPECT_EQ(rc != 0, err.code != 0);
		EXPECT_EQ(paying, 0);
		ledger_close(ledger);
		return rc ? err.code : 0;
	}

	struct ledger *look()
	{
		return inspect_ledger(run.path, options.vfs, err);
	}
	struct ledger_counts units()
	{
		return units_of(look());
	}
	/* id, content of every answer, in query order */
	std::vector<std::string> answers()
	{
		std::vector<std::string> list;
		struct ledger *ledger = look();
		auto visit = [](void *context, const struct ledger_row *row, struct err *) {
			if (strcmp(row->state, "answered"))
				return 0;
			static_cast<std::vector<std::string> *>(context)->push_back(
				std::string(row->query.example_id) + ": " + std::string(row->content, row->content_n));
			return 0;
		};
		EXPECT_EQ(ledger_step_attempts(ledger, 0, step.c_str(), visit, &list, &err), 0) << err.message;
		ledger_close(ledger);
		return list;
	}
	struct Attempt {
		std::string id, state, reason, request_id, usage;
		int64_t attempt, at;
	};
	std::vector<Attempt> attempts()
	{
		std::vector<Attempt> list;
		struct ledger *ledger = look();
		auto visit = [](void *context, const struct ledger_row *row, struct err *) {
			static_cast<std::vector<Attempt> *>(context)->push_back(
				{row->query.example_id, row->state, row->reason ? row->reason : "",
				 row->request_id ? row->request_id : "", row->usage ? row->usage : "", row->attempt,
				 row->at});
			return 0;
		};
		EXPECT_EQ(ledger_attempts(ledger, visit, &list, &err), 0) << err.message;
		ledger_close(ledger);
		return list;
	}
	/* What must hold after any start, however it ended. */
	void expect_promises(long billed)
	{
		struct ledger_counts c = units();
		EXPECT_LE(billed, options.budget) << "G1";
		EXPECT_LE(billed, c.used) << "a billed send that the ledger forgot";
		EXPECT_LE(c.used, cum) << "G1";
		EXPECT_EQ(c.used, c.armed + c.answered + c.unusable + c.in_doubt) << "G5";
		struct ledger *ledger = look();
		EXPECT_EQ(ledger_check(ledger, &err), 0) << err.message;
		ledger_close(ledger);
		std::set<std::string> done;
		for (const Attempt &a : attempts()) {
			EXPECT_EQ(done.count(a.id), 0u) << "query " << a.id << " was asked after its answer";
			if (a.state == "answered" || a.state == "unusable")
				done.insert(a.id);
		}
		for (const std::string &a : answers()) {
			std::string id = a.substr(0, a.find(':'));
			EXPECT_EQ(a, id + ": " + text_of(id));
		}
	}
	void expect_promises(const Fake &fake)
	{
		EXPECT_EQ(fake.repeated_ids, 0) << "an attempt was sent twice";
		EXPECT_EQ(fake.asked_again, 0) << "G2";
		expect_promises(fake.billed);
	}
};

#endif
