// SPDX-License-Identifier: Apache-2.0
/*
 * A process killed at random moments, again and again, until its run is done;
 * the teacher's bill lies in memory that outlives it.
 */
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <ctime>
#include <random>

#include "tests/ledger_world.h"

namespace {

enum { KILLS = 300, QUERIES = 30, BUDGET = 34, ALL_IN_MS = 20000 };

struct SharedBill {
	Bill *is;
	SharedBill()
	{
		void *map = mmap(nullptr, sizeof(Bill), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		is = map == MAP_FAILED ? nullptr : new (map) Bill();
	}
	~SharedBill()
	{
		munmap(is, sizeof(Bill));
	}
	SharedBill(const SharedBill &) = delete;
};

/* The child's whole life. */
[[noreturn]] void live(World &world, Bill &bill)
{
	struct ledger *ledger = world.open_step();
	int rc = ledger ? work(ledger, bill, &world.err) : -1;
	if (rc)
		fprintf(stderr, "child: %s\n", world.err.message);
	ledger_close(ledger);
	_exit(rc ? 1 : 0);
}

void wait_us(unsigned long us)
{
	struct timespec time = {(time_t)(us / 1000000), (long)(us % 1000000) * 1000};
	nanosleep(&time, nullptr);
}

/* Start a process and kill it after `us`, or let it live where that is 0; its wait status. */
int live_and_die(World &world, Bill &bill, unsigned long us)
{
	int status = 0;
	fflush(nullptr);
	pid_t child = fork();
	if (!child)
		live(world, bill);
	EXPECT_GT(child, 0);
	if (us) {
		wait_us(us);
		kill(child, SIGKILL);
	}
	EXPECT_EQ(waitpid(child, &status, 0), child);
	return status;
}

/* One run from its first start to its end; how often it was killed. */
int one_run(std::mt19937 &random, int kills_left)
{
	World world(QUERIES, BUDGET);
	SharedBill bill;
	int kills = 0;
	for (bool done = false; !done && !testing::Test::HasFailure();) {
		int status = live_and_die(world, *bill.is, kills < kills_left ? 1 + random() % 12000 : 0);
		bool killed = WIFSIGNALED(status);
		kills += killed;
		done = !killed;
		EXPECT_TRUE(killed || WEXITSTATUS(status) == 0);
		struct ledger *ledger = world.open();
		EXPECT_TRUE(ledger) << world.err.message;
		if (!ledger)
			break;
		EXPECT_LE(world.recovery.in_doubt, WORLD_SLOTS) << "G4";
		expect_promises(ledger, *bill.is, BUDGET);
		ledger_close(ledger);
	}
	return kills;
}

TEST(LedgerKill, AtRandomMoments)
{
	std::mt19937 random(4);
	int kills = 0, runs = 0;
	auto begin = std::chrono::steady_clock::now();
	auto spent = [&] { return std::chrono::steady_clock::now() - begin; };
	while (kills < KILLS && spent() < std::chrono::milliseconds(ALL_IN_MS) && !HasFailure()) {
		kills += one_run(random, KILLS - kills);
		runs++;
	}
	RecordProperty("kills", kills);
	EXPECT_GE(kills, 50) << "too slow a machine to prove much";
	printf("%d kills in %d runs\n", kills, runs);
}

} // namespace
