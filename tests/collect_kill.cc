// SPDX-License-Identifier: Apache-2.0
/*
 * A process that buys from a real server is killed at random moments, again
 * and again, until its run is done. The server keeps its own bill.
 */
#include <sys/wait.h>

#include <csignal>

#include "tests/collect_world.h"

namespace
{

enum { KILLS = 100, QUERIES = 400, BUDGET = 700, ALL_IN_SECONDS = 120 };

struct Bill {
	std::mutex mutex;
	std::map<std::string, int> sends; /* by question */
	std::set<std::string> requests;
	std::mt19937 random{7};
	long billed = 0, repeated = 0;
};

std::string between(const std::string &text, const std::string &start, const std::string &end)
{
	size_t at = text.find(start);
	return at == std::string::npos
		       ? ""
		       : text.substr(at + start.size(), text.find(end, at + start.size()) - at - start.size());
}

/* 8 % faults: refusals, errors, closed connections, cut replies. */
void serve(Bill &bill, Connection &c)
{
	if (!c.read_request())
		return;
	std::string id = between(c.request, "question ", "\""),
		    name = between(c.request, "X-Client-Request-Id: ", "\r\n");
	std::string good = reply("200 OK", "", answer("\"content\":\"" + text_of(id) + "\""));
	unsigned fate, ms;
	{
		std::lock_guard<std::mutex> lock(bill.mutex);
		fate = (unsigned)(bill.random() % 100);
		ms = (unsigned)(bill.random() % 8);
		bill.repeated += !bill.requests.insert(name).second;
		bill.sends[id]++;
		bill.billed += fate >= 2;
	}
	usleep(ms * 1000);
	if (fate < 2)
		c.send(reply("429 Too Many", "", error_body("slow", "null", "null")));
	else if (fate < 4)
		c.send(reply("500 Oops", "", error_body("oops", "null", "null")));
	else if (fate < 6)
		return;
	else if (fate < 8)
		c.send(good.substr(0, good.size() - 20));
	else
		c.send(good);
}

/* The child's whole life. */
[[noreturn]] void live(World &world, const std::string &url)
{
	struct plan plan = {};
	struct source source;
	struct source_options options = {};
	plan.teacher = world.teacher;
	plan.teacher.kind = TEACHER_OPENAI;
	plan.teacher.base_url = url.c_str();
	plan.teacher.api_key_env = "";
	if (source_open(&source, &plan, &options, &world.err))
		_exit(1);
	struct ledger *ledger = world.open(*source.teacher);
	if (!ledger)
		_exit(world.err.code);
	int rc = collect_step(&world.collector, 0, "annotate", world.queries.data(), world.queries.size(),
			      &world.counts, &world.err);
	ledger_close(ledger);
	source_close(&source);
	if (rc && world.err.code != ERR_UNAVAILABLE)
		fprintf(stderr, "child: %s\n", world.err.message);
	_exit(rc ? world.err.code : 0);
}

int live_and_die(World &world, const std::string &url, useconds_t us)
{
	int status = 0;
	fflush(nullptr);
	pid_t child = fork();
	if (!child)
		live(world, url);
	EXPECT_GT(child, 0);
	if (us) {
		usleep(us);
		kill(child, SIGKILL);
	}
	waitpid(child, &status, 0);
	return status;
}

TEST(CollectKill, NothingIsBoughtTwice)
{
	World world(QUERIES, BUDGET);
	Bill bill;
	Mock mock([&](Connection &c) { serve(bill, c); });
	std::mt19937 random(11);
	std::string url = mock.url();
	int kills = 0, status = -1;
	double end = seconds_now() + ALL_IN_SECONDS;
	while (seconds_now() < end && status) {
		status = live_and_die(world, url, kills < KILLS ? 10000 + (useconds_t)(random() % 40000) : 0);
		kills += WIFSIGNALED(status);
		ASSERT_TRUE(WIFSIGNALED(status) || WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == ERR_UNAVAILABLE)
			<< WEXITSTATUS(status);
	}
	ASSERT_EQ(status, 0) << "not done after " << kills << " kills";
	EXPECT_GE(kills, KILLS / 2);
	struct ledger_counts units = world.units();
	std::map<std::string, int> armed;
	for (const World::Attempt &a : world.attempts()) {
		armed[a.id]++;
		bill.requests.erase(a.request_id);
	}
	EXPECT_TRUE(bill.requests.empty()) << "a send that the ledger does not know";
	EXPECT_EQ(bill.repeated, 0);
	for (const auto &sends : bill.sends)
		EXPECT_LE(sends.second, armed[sends.first]);
	world.expect_promises(bill.billed);
	EXPECT_EQ(units.answered + units.unusable + units.parked + units.pending, QUERIES);
	EXPECT_GT(units.answered, QUERIES * 3 / 4);
	printf("%d kills: billed %ld of %d, used %lld, answered %lld, in doubt %lld\n", kills, bill.billed, BUDGET,
	       (long long)units.used, (long long)units.answered, (long long)units.in_doubt);
}

} // namespace
