// SPDX-License-Identifier: Apache-2.0
/*
 * A process that buys from a real server is killed at random moments, again
 * and again, until its run is done. The server keeps its own bill.
 */
#include <sys/wait.h>

#include <csignal>

#include "tests/collect_run.h"

namespace
{

enum { KILLS = 100, QUERIES = 400, BUDGET = 700, ALL_IN_SECONDS = 120 };

/* 8 % faults: refusals, errors, closed connections, cut replies. */
void serve(Bill &bill, std::mt19937 &random, Connection &c)
{
	if (!c.read_request())
		return;
	std::string good;
	unsigned fate, ms;
	{
		std::lock_guard<std::mutex> lock(bill.mutex);
		fate = (unsigned)(random() % 100);
		ms = (unsigned)(random() % 8);
		good = reply("200 OK", "", answer("\"content\":\"" + text_of(bill.note(c.request)) + "\""));
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

int live_and_die(World &world, const std::string &url, useconds_t us)
{
	int status = 0;
	fflush(nullptr);
	pid_t child = fork();
	if (!child) {
		int code = live(world, url.c_str());
		if (code && code != ERR_UNAVAILABLE)
			fprintf(stderr, "child: %s\n", world.err.message);
		_exit(code);
	}
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
	std::mt19937 random(11), faults(7);
	Mock mock([&](Connection &c) { serve(bill, faults, c); });
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
	expect_known(world, bill);
	EXPECT_EQ(units.answered + units.unusable + units.parked + units.pending, QUERIES);
	EXPECT_GT(units.answered, QUERIES * 3 / 4);
	printf("%d kills: billed %ld of %d, used %lld, answered %lld, in doubt %lld\n", kills, bill.billed, BUDGET,
	       (long long)units.used, (long long)units.answered, (long long)units.in_doubt);
}

} // namespace
