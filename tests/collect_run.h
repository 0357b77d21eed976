// SPDX-License-Identifier: Apache-2.0
/*
 * collect_run.h - a process that collects from a real server, and the books
 * that the server keeps of it.
 *
 *     World world(QUERIES, BUDGET);
 *     Bill bill;
 *     Mock mock([&](Connection &c) { … bill.note(c.request) … });
 *     if (!fork())
 *             _exit(live(world, mock.url()));
 *     expect_known(world, bill);
 */
#ifndef BALDISTILL_TESTS_COLLECT_RUN_H
#define BALDISTILL_TESTS_COLLECT_RUN_H

#include "tests/collect_world.h"

inline std::string between(const std::string &text, const std::string &start, const std::string &end)
{
	size_t at = text.find(start);
	return at == std::string::npos
		       ? ""
		       : text.substr(at + start.size(), text.find(end, at + start.size()) - at - start.size());
}

struct Bill {
	std::mutex mutex;
	std::map<std::string, int> sends; /* by question */
	std::set<std::string> requests;   /* by the name the client gave each */
	long billed = 0, repeated = 0;

	/* The question's id. The mutex is the caller's. */
	std::string note(const std::string &request)
	{
		std::string id = between(request, "question ", "\"");
		repeated += !requests.insert(between(request, "X-Client-Request-Id: ", "\r\n")).second;
		sends[id]++;
		return id;
	}
};

/* Nothing was sent that the ledger does not know, and nothing twice. */
inline void expect_known(World &world, const Bill &bill)
{
	std::map<std::string, int> armed;
	std::set<std::string> unknown = bill.requests;
	for (const World::Attempt &a : world.attempts()) {
		armed[a.id]++;
		unknown.erase(a.request_id);
	}
	EXPECT_TRUE(unknown.empty()) << "a send that the ledger does not know";
	EXPECT_EQ(bill.repeated, 0) << "an attempt was sent twice";
	for (const auto &sends : bill.sends)
		EXPECT_LE(sends.second, armed[sends.first]) << sends.first;
	world.expect_promises(bill.billed);
}

/* A process's whole life; its exit status. Needs no memory of C++'s own. */
inline int live(World &world, const char *url, const char *key = "")
{
	struct plan plan = {};
	struct source source;
	struct source_options options = {};
	plan.teacher = world.teacher;
	plan.teacher.kind = TEACHER_OPENAI;
	plan.teacher.base_url = url;
	plan.teacher.api_key_env = key;
	if (source_open(&source, &plan, &options, &world.err))
		return world.err.code;
	struct ledger *ledger = world.open(*source.teacher);
	int rc = ledger ? collect_step(&world.collector, 0, "annotate", world.queries.data(), world.queries.size(),
				       &world.counts, &world.err)
			: -1;
	ledger_close(ledger);
	source_close(&source);
	return rc ? world.err.code : 0;
}

#endif
