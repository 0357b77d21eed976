// SPDX-License-Identifier: Apache-2.0
/*
 * Power cuts and failing disks: at every operation of a whole run, with what
 * was not synced kept, lost, partly lost or torn.
 */
#include "tests/ledger_disk.h"
#include "tests/ledger_world.h"

namespace {

enum { BODY_AT = 4096 + SLOT_HEAD_BYTES };

enum { QUERIES = 5, BUDGET = 6 };

struct PowerWorld : World {
	PowerWorld() : World(QUERIES, BUDGET)
	{
		options.vfs = "power";
	}
};

/* A process from its start to its end or its fault. */
int live(World &world, Bill &bill)
{
	struct ledger *ledger = world.open_step();
	int rc = ledger ? work(ledger, bill, &world.err) : -1;
	ledger_close(ledger);
	return rc;
}

long operations_of_a_run(Disk &disk)
{
	PowerWorld world;
	Bill bill = {};
	EXPECT_EQ(live(world, bill), 0) << world.err.message;
	return disk.operations;
}

/* Slots are never synced: what a power cut does to their 512-byte sectors (the head's are unused here). */
void lose_slots(World &world, Disk::Loss loss, std::mt19937 &random)
{
	for (const std::string &name : world.run.files()) {
		if (name.compare(0, 5, "slot-") || loss == Disk::KEEP)
			continue;
		std::fstream file(world.run / name, std::ios::in | std::ios::out | std::ios::binary);
		bool whole_gone = loss == Disk::DROP || (loss == Disk::SUBSET && random() % 2);
		static const char zeros[512] = {};
		for (int at = 0; at < BODY_AT + WORLD_SLOT_BYTES; at = at == 3584 ? BODY_AT : at + 512)
			if (whole_gone || (loss == Disk::TORN && random() % 8 == 0))
				file.seekp(at).write(zeros, sizeof zeros);
	}
}

/* The next process finds every promise kept, and goes on to the end. */
void expect_recovery(World &world, Bill &bill, bool power_stayed)
{
	struct ledger *ledger = world.open_step();
	ASSERT_TRUE(ledger) << world.err.message;
	EXPECT_LE(world.recovery.in_doubt, WORLD_SLOTS) << "G4";
	expect_promises(ledger, bill, BUDGET, power_stayed);
	EXPECT_EQ(work(ledger, bill, &world.err), 0) << world.err.message;
	expect_promises(ledger, bill, BUDGET, power_stayed);
	struct ledger_counts counts;
	EXPECT_EQ(ledger_counts(ledger, &counts, nullptr), 0);
	EXPECT_TRUE(counts.used == BUDGET || !counts.pending) << "it stopped early";
	ledger_close(ledger);
}

/* Dies at an operation, perhaps in recovery as well. */
void cut_once(Disk &disk, long at, Disk::Loss loss, bool twice, std::mt19937 &random)
{
	PowerWorld world;
	Bill bill = {};
	disk.load({});
	disk.cut_at = at;
	live(world, bill);
	disk.restart(loss, random);
	lose_slots(world, loss, random);
	if (twice) {
		disk.cut_at = 1 + (long)(random() % 40);
		live(world, bill);
		disk.restart(loss, random);
		lose_slots(world, loss, random);
	}
	expect_recovery(world, bill, loss == Disk::KEEP);
}

TEST(LedgerPower, CutAtEveryOperation)
{
	Disk disk("power");
	std::mt19937 random(1);
	long n = operations_of_a_run(disk), cuts = 0;
	ASSERT_GT(n, 100);
	for (long at = 1; at <= n && !HasFailure(); at++) {
		for (int loss = 0; loss < Disk::LOSSES && !HasFailure(); loss++, cuts++) {
			SCOPED_TRACE("cut at " + std::to_string(at) + " of " + std::to_string(n) + ", loss " +
				     std::to_string(loss));
			cut_once(disk, at, (Disk::Loss)loss, false, random);
		}
	}
	EXPECT_GE(cuts, 600);
	RecordProperty("cuts", (int)cuts);
}

/* Alone, and together with others. */
TEST(LedgerPower, CutRightAfterTheSettling)
{
	for (bool turn : {false, true}) {
		PowerWorld world;
		Disk disk("power");
		std::mt19937 random(5);
		Bill bill = {};
		Round round;
		struct ledger *ledger = world.open_step();
		ASSERT_TRUE(ledger) << world.err.message;
		ASSERT_EQ(arm_round(ledger, round, &world.err), 0) << world.err.message;
		for (size_t i = 0; i < round.n; i++)
			round.fates[i] = teach(bill, round.query[i], round.shots[i]);
		ASSERT_EQ(turn ? ledger_turn_begin(ledger, &world.err) : 0, 0);
		for (size_t i = 0; i < round.n; i++)
			ASSERT_EQ(settle_one(ledger, round.shots[i], round.fates[i], &world.err), 0) << world.err.message;
		ASSERT_EQ(turn ? ledger_turn_end(ledger, &world.err) : 0, 0) << world.err.message;
		acknowledge(bill, round);
		disk.dead = true;
		ledger_close(ledger);
		disk.restart(Disk::DROP, random);
		lose_slots(world, Disk::DROP, random);
		expect_recovery(world, bill, false);
	}
}

TEST(LedgerPower, CutAgainDuringRecovery)
{
	Disk disk("power");
	std::mt19937 random(2);
	long n = operations_of_a_run(disk);
	for (int i = 0; i < 200 && !HasFailure(); i++) {
		long at = 1 + (long)(random() % (unsigned long)n);
		Disk::Loss loss = (Disk::Loss)(random() % Disk::LOSSES);
		SCOPED_TRACE("cut at " + std::to_string(at) + ", loss " + std::to_string(loss));
		cut_once(disk, at, loss, true, random);
	}
}

/* A failed disk ends all sending, and nothing is tried a second time. */
void expect_silence(struct ledger *ledger, Bill &bill, Disk &disk, struct err *err)
{
	long sent = bill.attempts_sent, operations = disk.operations;
	EXPECT_EQ(err->code, ERR_IO) << err->message;
	EXPECT_EQ(ledger_stage_open(ledger, 1, BUDGET, err), -1);
	EXPECT_EQ(err->code, ERR_IO);
	Round round;
	EXPECT_EQ(work_round(ledger, bill, round, err), -1);
	EXPECT_EQ(bill.attempts_sent, sent);
	EXPECT_EQ(disk.operations, operations) << "the disk was asked again";
}

void fail_once(Disk &disk, long at, int code, bool on, bool cut)
{
	PowerWorld world;
	Bill bill = {};
	std::mt19937 random(3);
	disk.load({});
	disk.fail_at = at;
	disk.fail_code = code;
	disk.fail_on = on;
	struct ledger *ledger = world.open_step();
	if (ledger && work(ledger, bill, &world.err))
		expect_silence(ledger, bill, disk, &world.err);
	ledger_close(ledger);
	disk.fail_at = 0;
	if (cut)
		disk.restart(Disk::DROP, random);
	expect_recovery(world, bill, true); /* slots stay: the disk under them did not fail */
}

TEST(LedgerPower, EveryOperationFails)
{
	static const struct {
		int code;
		bool on, cut;
	} variants[] = {
		{SQLITE_IOERR_WRITE, false, true},
		{SQLITE_IOERR_WRITE, true, true},
		{SQLITE_FULL, true, false},
		{SQLITE_FULL, false, false},
	};
	Disk disk("power");
	long n = operations_of_a_run(disk);
	for (long at = 1; at <= n && !HasFailure(); at++) {
		for (long i = at % 2; i < 4; i += 2) { /* each operation in two of the four ways */
			SCOPED_TRACE("operation " + std::to_string(at) + ", variant " + std::to_string(i));
			fail_once(disk, at, variants[i].code, variants[i].on, variants[i].cut);
		}
	}
}

/* A page that cannot be read is no damage: a run does not open, audit does not judge. */
TEST(LedgerPower, WhatCannotBeReadIsNotRefused)
{
	PowerWorld world;
	Disk disk("power");
	Bill bill = {};
	struct ledger *ledger = world.open_step();
	ASSERT_TRUE(ledger) << world.err.message;
	ASSERT_EQ(work(ledger, bill, &world.err), 0) << world.err.message;
	ledger_close(ledger);
	disk.reads = 0;
	ledger = world.open();
	ASSERT_TRUE(ledger) << world.err.message;
	ledger_close(ledger);
	long n = disk.reads;
	ASSERT_GT(n, 3);
	for (long i = 1; i <= n; i++) {
		disk.reads = 0, disk.fail_read = i;
		ledger = world.open();
		EXPECT_TRUE(ledger || world.err.code == ERR_IO) << i << " of " << n << ": " << world.err.message;
		ledger_close(ledger);
	}
}

TEST(LedgerPower, AFullDiskSaysWhatToDo)
{
	PowerWorld world;
	Disk disk("power");
	struct ledger *ledger = world.open_step();
	ASSERT_TRUE(ledger) << world.err.message;
	disk.fail_at = disk.operations + 1;
	disk.fail_on = true;
	disk.fail_code = SQLITE_FULL;
	EXPECT_EQ(ledger_stage_open(ledger, 1, BUDGET, &world.err), -1);
	EXPECT_EQ(world.err.code, ERR_IO);
	const std::string help = "ledger.db': database or disk is full; make room on the disk of that file and give the same "
				 "command again";
	EXPECT_NE(std::string(world.err.message).find(help), std::string::npos) << world.err.message;
	ledger_close(ledger);
}

} // namespace
