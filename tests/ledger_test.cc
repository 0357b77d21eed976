// SPDX-License-Identifier: Apache-2.0
/*
 * What the ledger does when nothing goes wrong, and what it refuses.
 */
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "src/base/jsonio.h"
#include "tests/ledger_world.h"

/* What the disk is said to have free, in bytes; below 0: the truth. */
static long disk_free = -1;

/* The library's own examination of the disk comes here. */
extern "C" int fstatvfs(int fd, struct statvfs *out) noexcept
{
	char path[64];
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	int rc = statvfs(path, out);
	if (!rc && disk_free >= 0) {
		out->f_bavail = (fsblkcnt_t)disk_free;
		out->f_frsize = 1;
	}
	return rc;
}

namespace {

struct Ledger {
	struct ledger *is;
	explicit Ledger(struct ledger *ledger) : is(ledger) {}
	~Ledger() { ledger_close(is); }
	Ledger(const Ledger &) = delete;
	operator struct ledger *() { return is; }
};

struct ledger_counts counts_of(struct ledger *ledger)
{
	struct ledger_counts counts = {};
	EXPECT_EQ(ledger_counts(ledger, &counts, nullptr), 0);
	return counts;
}

/* Arm the next due query alone; attempt 0 where a bound forbids it. */
struct ledger_shot arm_next(struct ledger *ledger, enum ledger_stop *stop, int64_t reserve = 0, int64_t now = 3000)
{
	struct ledger_pending pending;
	struct ledger_shot shot = {};
	struct err err = {};
	size_t armed = 0;
	EXPECT_EQ(ledger_pending(ledger, 0, "annotate", now, 1, LEDGER_IN_ORDER, &pending, &err), 0) << err.message;
	EXPECT_EQ(pending.n, 1u);
	shot.query = pending.n ? pending.query[0].id : 0;
	shot.reserve = reserve;
	ledger_pending_release(&pending);
	EXPECT_EQ(ledger_arm(ledger, &shot, 1, now, &armed, stop, &err), 0) << err.message;
	EXPECT_EQ(armed, *stop == LEDGER_GO ? 1u : 0u);
	return shot;
}

struct ledger_verdict verdict_of(enum ledger_state state)
{
	struct ledger_verdict verdict = {};
	verdict.state = state;
	verdict.reason = "test";
	verdict.cost = -1;
	return verdict;
}

void answer(const struct ledger_shot &shot, const std::string &body)
{
	memcpy(shot.slot->body, body.data(), body.size());
	ASSERT_EQ(slot_finish(shot.slot, 200, 0, body.size(), nullptr), 0);
}

int64_t pending_count(struct ledger *ledger, int64_t now, int64_t *wake = nullptr)
{
	struct ledger_pending pending;
	EXPECT_EQ(ledger_pending(ledger, 0, "annotate", now, 100, LEDGER_IN_ORDER, &pending, nullptr), 0);
	int64_t n = (int64_t)pending.n;
	if (wake)
		*wake = pending.wake;
	ledger_pending_release(&pending);
	return n;
}

TEST(Ledger, WorksThroughAStep)
{
	World world(10, 20);
	Bill bill = {};
	Ledger ledger(world.open_step());
	ASSERT_TRUE(ledger.is) << world.err.message;
	EXPECT_TRUE(world.recovery.created);
	ASSERT_EQ(work(ledger, bill, &world.err), 0) << world.err.message;
	expect_promises(ledger, bill, 20);
	struct ledger_counts counts = counts_of(ledger);
	EXPECT_EQ(counts.answered, 9); /* all but the one useless reply */
	EXPECT_EQ(counts.unusable, 1);
	EXPECT_EQ(counts.in_doubt, 2);
	EXPECT_EQ(counts.released, 1);
	EXPECT_EQ(counts.used, 12);
	EXPECT_EQ(counts.wire, 13);
	EXPECT_EQ(counts.wire_cap, 120);
	EXPECT_EQ(counts.used, bill.billed);
	EXPECT_EQ(counts.wire, bill.attempts_sent);
}

TEST(Ledger, NeverArmsMoreThanTheStageMayUse)
{
	World world(10, 7);
	Bill bill = {};
	Ledger ledger(world.open_step());
	ASSERT_TRUE(ledger.is) << world.err.message;
	ASSERT_EQ(work(ledger, bill, &world.err), 0) << world.err.message;
	EXPECT_EQ(bill.billed, 7);
	EXPECT_EQ(counts_of(ledger).used, 7);
	enum ledger_stop stop;
	arm_next(ledger, &stop);
	EXPECT_EQ(stop, LEDGER_STAGE_CAP);
	expect_promises(ledger, bill, 7);
}

TEST(Ledger, ArmsWhatTheBoundLeavesOfABatch)
{
	World world(10, 2);
	Ledger ledger(world.open_step());
	ASSERT_TRUE(ledger.is) << world.err.message;
	struct ledger_shot shots[3] = {};
	for (int i = 0; i < 3; i++)
		shots[i].query = i + 1;
	size_t armed;
	enum ledger_stop stop;
	ASSERT_EQ(ledger_arm(ledger, shots, 3, 1, &armed, &stop, &world.err), 0) << world.err.message;
	EXPECT_EQ(armed, 2u);
	EXPECT_EQ(stop, LEDGER_STAGE_CAP);
	EXPECT_STREQ(shots[1].request_id, (std::string(ledger_uuid(ledger)) + "-2").c_str());
	EXPECT_EQ(counts_of(ledger).armed, 2);
}

/* Two replies of each slot, and 64 MiB, must have room before one is paid for; with room again the run goes on. */
TEST(Ledger, AFullDiskArmsNothing)
{
	World world(10, 10);
	Ledger ledger(world.open_step());
	ASSERT_TRUE(ledger.is) << world.err.message;
	struct ledger_shot shot = {};
	size_t armed = 1;
	enum ledger_stop stop;
	shot.query = 1;
	disk_free = 2 * WORLD_SLOTS * WORLD_SLOT_BYTES + (64 << 20) - 1;
	EXPECT_EQ(ledger_arm(ledger, &shot, 1, 1, &armed, &stop, &world.err), -1);
	EXPECT_EQ(world.err.code, ERR_IO) << world.err.message;
	EXPECT_NE(strstr(world.err.message, "nearly full"), nullptr) << world.err.message;
	EXPECT_EQ(armed, 0u);
	EXPECT_EQ(counts_of(ledger).used, 0);
	disk_free++;
	EXPECT_EQ(ledger_arm(ledger, &shot, 1, 1, &armed, &stop, &world.err), 0) << world.err.message;
	disk_free = -1;
	EXPECT_EQ(armed, 1u);
}

TEST(Ledger, AFreshRunMayArmNothing)
{
	World world;
	Ledger ledger(world.open());
	ASSERT_TRUE(ledger.is) << world.err.message;
	EXPECT_EQ(counts_of(ledger).stage_cap, 0);
}

TEST(Ledger, SlotsBoundWhatIsInFlight)
{
	World world(10, 10);
	Ledger ledger(world.open_step());
	ASSERT_TRUE(ledger.is) << world.err.message;
	struct ledger_shot shots[5] = {};
	for (int i = 0; i < 5; i++)
		shots[i].query = i + 1;
	size_t armed;
	enum ledger_stop stop;
	ASSERT_EQ(ledger_arm(ledger, shots, 5, 1, &armed, &stop, nullptr), 0);
	EXPECT_EQ(armed, (size_t)WORLD_SLOTS);
	EXPECT_EQ(stop, LEDGER_SLOTS);
}

/* As many as there are slots, armed and answered. */
std::vector<struct ledger_shot> answered_shots(struct ledger *ledger)
{
	std::vector<struct ledger_shot> shots;
	enum ledger_stop stop;
	for (int i = 0; i < WORLD_SLOTS; i++) {
		shots.push_back(arm_next(ledger, &stop));
		answer(shots.back(), "{\"n\":" + std::to_string(i) + "}");
	}
	return shots;
}

TEST(LedgerTurn, ArmsTheSlotsThatItSettles)
{
	World world(10, 10);
	Ledger ledger(world.open_step());
	ASSERT_TRUE(ledger.is) << world.err.message;
	std::vector<struct ledger_shot> first = answered_shots(ledger);
	struct ledger_verdict verdict = verdict_of(LEDGER_ANSWERED);
	enum ledger_stop stop;
	std::string before = world.file("slot-00");
	ASSERT_EQ(ledger_turn_begin(ledger, &world.err), 0) << world.err.message;
	for (const struct ledger_shot &shot : first)
		ASSERT_EQ(ledger_settle(ledger, shot.attempt, &verdict, 1, &world.err), 0) << world.err.message;
	std::vector<struct ledger_shot> next;
	for (int i = 0; i < WORLD_SLOTS; i++)
		next.push_back(arm_next(ledger, &stop));
	EXPECT_EQ(pending_count(ledger, 1), 10 - 2 * WORLD_SLOTS);
	struct ledger_shot beyond = {};
	size_t armed = 1;
	beyond.query = 2 * WORLD_SLOTS + 1;
	EXPECT_EQ(ledger_arm(ledger, &beyond, 1, 1, &armed, &stop, &world.err), 0);
	EXPECT_EQ(stop, LEDGER_SLOTS);
	EXPECT_EQ(armed, 0u);
	EXPECT_EQ(world.file("slot-00"), before) << "a kill would find the reply gone and not yet committed";
	ASSERT_EQ(ledger_turn_end(ledger, &world.err), 0) << world.err.message;
	EXPECT_NE(world.file("slot-00"), before);
	EXPECT_EQ(counts_of(ledger).answered, WORLD_SLOTS);
	EXPECT_EQ(counts_of(ledger).armed, WORLD_SLOTS);
	for (const struct ledger_shot &shot : next) {
		answer(shot, "{}");
		ASSERT_EQ(ledger_settle(ledger, shot.attempt, &verdict, 1, &world.err), 0) << world.err.message;
	}
}

TEST(LedgerTurn, IsUndoneByOneFailure)
{
	World world(10, 10);
	Ledger ledger(world.open_step());
	ASSERT_TRUE(ledger.is) << world.err.message;
	enum ledger_stop stop;
	struct ledger_verdict verdict = verdict_of(LEDGER_ANSWERED);
	struct ledger_shot whole = arm_next(ledger, &stop), silent = arm_next(ledger, &stop), next = {};
	size_t armed = 1;
	answer(whole, "{}");
	ASSERT_EQ(ledger_turn_begin(ledger, nullptr), 0);
	EXPECT_EQ(ledger_settle(ledger, whole.attempt, &verdict, 1, nullptr), 0);
	EXPECT_EQ(ledger_settle(ledger, silent.attempt, &verdict, 1, &world.err), -1) << "there is no reply";
	next.query = 3;
	EXPECT_EQ(ledger_arm(ledger, &next, 1, 1, &armed, &stop, nullptr), -1);
	EXPECT_EQ(armed, 0u);
	EXPECT_EQ(ledger_turn_end(ledger, &world.err), -1);
	EXPECT_NE(strstr(world.err.message, "without a reply"), nullptr) << world.err.message;
	EXPECT_EQ(counts_of(ledger).answered, 0);
	EXPECT_EQ(counts_of(ledger).armed, 2);
	EXPECT_EQ(ledger_held(ledger), 1);
	EXPECT_EQ(ledger_settle(ledger, whole.attempt, &verdict, 1, nullptr), 0);
	EXPECT_EQ(counts_of(ledger).answered, 1);
}

TEST(LedgerTurn, ThatNeverEndsLeavesAllToTheNextStart)
{
	World world(10, 10);
	{
		Ledger ledger(world.open_step());
		ASSERT_TRUE(ledger.is) << world.err.message;
		std::vector<struct ledger_shot> shots = answered_shots(ledger);
		struct ledger_verdict verdict = verdict_of(LEDGER_ANSWERED);
		enum ledger_stop stop;
		ASSERT_EQ(ledger_turn_begin(ledger, nullptr), 0);
		ASSERT_EQ(ledger_settle(ledger, shots[0].attempt, &verdict, 1, nullptr), 0);
		arm_next(ledger, &stop);
	}
	Ledger again(world.open());
	ASSERT_TRUE(again.is) << world.err.message;
	EXPECT_EQ(world.recovery.salvaged, WORLD_SLOTS);
	EXPECT_EQ(counts_of(again).used, WORLD_SLOTS);
}

TEST(Ledger, WireBoundsSendsThatDoNotCount)
{
	World world(1, 5);
	Ledger ledger(world.open_step());
	ASSERT_TRUE(ledger.is) << world.err.message;
	enum ledger_stop stop;
	struct ledger_verdict refused = verdict_of(LEDGER_RELEASED);
	int sends = 0;
	for (struct ledger_shot shot; shot = arm_next(ledger, &stop), stop == LEDGER_GO; sends++)
		ASSERT_EQ(ledger_settle(ledger, shot.attempt, &refused, 1, nullptr), 0);
	EXPECT_EQ(stop, LEDGER_WIRE_CAP);
	EXPECT_EQ(sends, 105);
	EXPECT_EQ(counts_of(ledger).used, 0);
}

TEST(Ledger, MoneyIsReservedAndSettledFromUsage)
{
	World world(10, 10);
	world.options.max_cost = 1000;
	Ledger ledger(world.open_step());
	ASSERT_TRUE(ledger.is) << world.err.message;
	enum ledger_stop stop;
	struct ledger_shot first = arm_next(ledger, &stop, 600);
	arm_next(ledger, &stop, 401);
	EXPECT_EQ(stop, LEDGER_COST_CAP);
	answer(first, "{}");
	struct ledger_verdict verdict = verdict_of(LEDGER_ANSWERED);
	verdict.cost = 150;
	ASSERT_EQ(ledger_settle(ledger, first.attempt, &verdict, 1, nullptr), 0);
	EXPECT_EQ(counts_of(ledger).cost, 150);
	struct ledger_shot second = arm_next(ledger, &stop, 850);
	EXPECT_EQ(stop, LEDGER_GO);
	EXPECT_EQ(counts_of(ledger).cost, 1000);
	answer(second, "{}");
	verdict.cost = -1; /* no usage: the reserve stays spent */
	ASSERT_EQ(ledger_settle(ledger, second.attempt, &verdict, 1, nullptr), 0);
	EXPECT_EQ(counts_of(ledger).cost, 1000);
	/* A bill above the reserve is booked all the same; nothing more is armed. */
	World other(10, 10);
	other.options.max_cost = 10;
	Ledger over(other.open_step());
	struct ledger_shot shot = arm_next(over, &stop, 10);
	answer(shot, "{}");
	verdict.cost = 25;
	ASSERT_EQ(ledger_settle(over, shot.attempt, &verdict, 1, &other.err), 0) << other.err.message;
	EXPECT_EQ(counts_of(over).cost, 25);
	arm_next(over, &stop, 0);
	EXPECT_EQ(stop, LEDGER_COST_CAP);
}

TEST(Ledger, WhatWasSentWithoutPricesIsBookedWhenTheyAreKnown)
{
	World world(10, 10);
	enum ledger_stop stop;
	{
		Ledger ledger(world.open_step());
		struct ledger_verdict verdict = verdict_of(LEDGER_ANSWERED);
		for (int64_t tokens : {0, 7}) { /* the first without a usage */
			struct ledger_shot shot = arm_next(ledger, &stop, 0);
			answer(shot, "{}");
			verdict.tokens_in = verdict.tokens_out = tokens;
			ASSERT_EQ(ledger_settle(ledger, shot.attempt, &verdict, 1, nullptr), 0);
		}
		verdict = verdict_of(LEDGER_RELEASED);
		struct ledger_shot refused = arm_next(ledger, &stop, 0);
		ASSERT_EQ(ledger_settle(ledger, refused.attempt, &verdict, 1, nullptr), 0);
		arm_next(ledger, &stop, 0); /* in doubt at the next open */
		EXPECT_EQ(counts_of(ledger).cost, 0);
	}
	world.options.max_cost = 1000;
	world.options.price = [](void *, int64_t in, int64_t out, int64_t body_n) {
		return in || out ? in + 10 * out : body_n > 20 ? 300 : -1;
	};
	{
		Ledger ledger(world.open());
		ASSERT_TRUE(ledger.is) << world.err.message;
		EXPECT_EQ(counts_of(ledger).cost, 300 + 77 + 300);
		arm_next(ledger, &stop, 400);
		EXPECT_EQ(stop, LEDGER_COST_CAP);
		struct json_writer w;
		json_writer_init(&w, 0);
		EXPECT_EQ(ledger_audit(ledger, &w, &world.err), 0) << world.err.message;
		json_writer_release(&w);
	}
	Ledger again(world.open()); /* once */
	EXPECT_EQ(counts_of(again).cost, 300 + 77 + 300);
}

TEST(Ledger, ARunThatIsDoneKeepsNoSlots)
{
	World world(10, 10);
	enum ledger_stop stop;
	{
		Ledger ledger(world.open_step());
		struct ledger_shot shot = arm_next(ledger, &stop);
		ASSERT_EQ(ledger_finish(ledger, &world.err), 0) << world.err.message;
		EXPECT_TRUE(std::filesystem::exists(world.run / "slot-00")) << "a request is in flight";
		answer(shot, "{}");
		struct ledger_verdict verdict = verdict_of(LEDGER_ANSWERED);
		ASSERT_EQ(ledger_settle(ledger, shot.attempt, &verdict, 1, nullptr), 0);
		ASSERT_EQ(ledger_finish(ledger, &world.err), 0) << world.err.message;
		EXPECT_FALSE(std::filesystem::exists(world.run / "slot-00"));
	}
	Ledger again(world.open());
	ASSERT_TRUE(again.is) << world.err.message;
	EXPECT_EQ(counts_of(again).answered, 1);
	arm_next(again, &stop);
	EXPECT_EQ(stop, LEDGER_GO);
}

/* Restarts leave the bound of sends where it was: what answers have used is not allowed again. */
TEST(Ledger, AStartAllowsNoUsedSendAgain)
{
	World world(10, 10);
	int64_t cap;
	{
		Ledger ledger(world.open_step());
		ASSERT_TRUE(ledger.is) << world.err.message;
		enum ledger_stop stop;
		struct ledger_verdict verdict = verdict_of(LEDGER_ANSWERED);
		cap = counts_of(ledger).wire_cap;
		for (int i = 0; i < 3; i++) {
			struct ledger_shot shot = arm_next(ledger, &stop);
			answer(shot, "{}");
			ASSERT_EQ(ledger_settle(ledger, shot.attempt, &verdict, 1, nullptr), 0);
		}
	}
	Ledger again(world.open());
	EXPECT_EQ(counts_of(again).wire_cap, cap);
}

/* What a crash leaves in doubt may have been billed: its unit stays spent, and so does its money. */
TEST(Ledger, ACrashKeepsTheReserve)
{
	World world(10, 10);
	enum ledger_stop stop;
	world.options.max_cost = 1000;
	{
		Ledger ledger(world.open_step());
		ASSERT_TRUE(ledger.is) << world.err.message;
		arm_next(ledger, &stop, 700);
	}
	Ledger again(world.open());
	ASSERT_TRUE(again.is) << world.err.message;
	EXPECT_EQ(counts_of(again).in_doubt, 1);
	EXPECT_EQ(counts_of(again).cost, 700);
	arm_next(again, &stop, 400);
	EXPECT_EQ(stop, LEDGER_COST_CAP);
}

TEST(Ledger, AReleasedUnitReturnsAndWaits)
{
	World world(1, 1);
	Ledger ledger(world.open_step());
	ASSERT_TRUE(ledger.is) << world.err.message;
	enum ledger_stop stop;
	struct ledger_shot shot = arm_next(ledger, &stop);
	struct ledger_verdict verdict = verdict_of(LEDGER_RELEASED);
	verdict.not_before = 5000;
	ASSERT_EQ(ledger_settle(ledger, shot.attempt, &verdict, 1, nullptr), 0);
	EXPECT_EQ(counts_of(ledger).used, 0);
	int64_t wake;
	EXPECT_EQ(pending_count(ledger, 4999, &wake), 0);
	EXPECT_EQ(wake, 5000);
	EXPECT_EQ(pending_count(ledger, 5000, &wake), 1);
}

/* After the clock was set back a wait would last as long as that. What is final still waits for ever. */
TEST(Ledger, AClockSetBackLeavesNoLongWait)
{
	World world(3, 3);
	const int64_t waits[] = {1700000, 80000, INT64_MAX};
	{
		Ledger ledger(world.open_step());
		ASSERT_TRUE(ledger.is) << world.err.message;
		for (int64_t wait : waits) {
			enum ledger_stop stop;
			struct ledger_shot shot = arm_next(ledger, &stop);
			struct ledger_verdict verdict = verdict_of(LEDGER_RELEASED);
			verdict.not_before = wait;
			ASSERT_EQ(ledger_settle(ledger, shot.attempt, &verdict, 1, nullptr), 0);
		}
	}
	world.options.now = 50000;
	world.options.most_wait = 60000;
	Ledger ledger(world.open_step());
	ASSERT_TRUE(ledger.is) << world.err.message;
	int64_t wake;
	EXPECT_EQ(pending_count(ledger, 50000, &wake), 1);
	EXPECT_EQ(pending_count(ledger, 79999, &wake), 1);
	EXPECT_EQ(pending_count(ledger, 80000, &wake), 2);
	enum ledger_stop stop;
	arm_next(ledger, &stop, 0, 80000);
	arm_next(ledger, &stop, 0, 80000);
	EXPECT_EQ(pending_count(ledger, 80000, &wake), 0);
	EXPECT_EQ(wake, INT64_MAX) << "the last never comes";
}

TEST(Ledger, StrictKeepsRefusalsCountedButNotWhatWasNeverSent)
{
	World world(2, 9);
	world.options.strict = true;
	Ledger ledger(world.open_step());
	ASSERT_TRUE(ledger.is) << world.err.message;
	enum ledger_stop stop;
	struct ledger_shot shot = arm_next(ledger, &stop);
	struct ledger_verdict verdict = verdict_of(LEDGER_RELEASED);
	ASSERT_EQ(ledger_settle(ledger, shot.attempt, &verdict, 1, nullptr), 0);
	EXPECT_EQ(counts_of(ledger).used, 1);
	shot = arm_next(ledger, &stop);
	verdict.unsent = true;
	ASSERT_EQ(ledger_settle(ledger, shot.attempt, &verdict, 1, nullptr), 0);
	EXPECT_EQ(counts_of(ledger).used, 1);
}

TEST(Ledger, RejectedIsNotAskedAgain)
{
	World world(1, 9);
	Ledger ledger(world.open_step());
	ASSERT_TRUE(ledger.is) << world.err.message;
	enum ledger_stop stop;
	struct ledger_shot shot = arm_next(ledger, &stop);
	struct ledger_verdict verdict = verdict_of(LEDGER_RELEASED);
	verdict.reject = true;
	ASSERT_EQ(ledger_settle(ledger, shot.attempt, &verdict, 1, nullptr), 0);
	EXPECT_EQ(pending_count(ledger, INT64_MAX), 0);
	EXPECT_EQ(counts_of(ledger).rejected, 1);
	EXPECT_EQ(counts_of(ledger).used, 0);
}

TEST(Ledger, DoubtGoesToTheEndAndIsParkedAfterItsRetries)
{
	World world(2, 20);
	Ledger ledger(world.open_step());
	ASSERT_TRUE(ledger.is) << world.err.message;
	enum ledger_stop stop;
	struct ledger_verdict doubt = verdict_of(LEDGER_IN_DOUBT);
	int64_t asked[8];
	for (int i = 0; i < 8; i++) {
		struct ledger_shot shot = arm_next(ledger, &stop);
		asked[i] = shot.query;
		ASSERT_EQ(ledger_settle(ledger, shot.attempt, &doubt, 1, nullptr), 0);
	}
	for (int i = 0; i < 8; i++)
		EXPECT_EQ(asked[i], 1 + i % 2) << i; /* in turn: each waits for the other's next */
	EXPECT_EQ(pending_count(ledger, INT64_MAX), 0);
	EXPECT_EQ(counts_of(ledger).parked, 2);
	EXPECT_EQ(counts_of(ledger).used, 8);
}

TEST(Ledger, ASettledAttemptNeverChanges)
{
	World world(2, 9);
	Ledger ledger(world.open_step());
	ASSERT_TRUE(ledger.is) << world.err.message;
	enum ledger_stop stop;
	struct ledger_shot shot = arm_next(ledger, &stop);
	struct ledger_verdict verdict = verdict_of(LEDGER_ANSWERED);
	EXPECT_EQ(ledger_settle(ledger, shot.attempt, &verdict, 1, &world.err), -1);
	EXPECT_EQ(world.err.code, ERR_INTERNAL) << "answered without a reply";
	answer(shot, "{}");
	ASSERT_EQ(ledger_settle(ledger, shot.attempt, &verdict, 1, nullptr), 0);
	EXPECT_EQ(ledger_settle(ledger, shot.attempt, &verdict, 1, &world.err), -1);
	EXPECT_EQ(world.err.code, ERR_INTERNAL);
	size_t armed;
	EXPECT_EQ(ledger_arm(ledger, &shot, 1, 1, &armed, &stop, &world.err), -1) << "G2";
	EXPECT_EQ(armed, 0u);
	EXPECT_EQ(counts_of(ledger).used, 1);
	EXPECT_EQ(counts_of(ledger).armed, 0);
}

TEST(Ledger, ASharedAnswerCostsAUnitAndNoSend)
{
	World world(3, 2);
	Ledger ledger(world.open_step());
	ASSERT_TRUE(ledger.is) << world.err.message;
	struct ledger_verdict verdict = verdict_of(LEDGER_ANSWERED);
	std::string raw = reply_of(0, 1);
	struct ledger_received reply = {200, nullptr, raw.data(), 0, raw.size()};
	verdict.content = raw.data();
	verdict.content_n = raw.size();
	bool shared;
	for (int query = 1; query <= 3; query++) {
		ASSERT_EQ(ledger_share(ledger, query, &reply, &verdict, 1, &shared, &world.err), 0) << world.err.message;
		EXPECT_EQ(shared, query < 3) << "the stage has two units";
	}
	EXPECT_EQ(counts_of(ledger).used, 2);
	EXPECT_EQ(counts_of(ledger).wire, 0);
	EXPECT_EQ(counts_of(ledger).answered, 2);
	EXPECT_EQ(ledger_check(ledger, &world.err), 0) << world.err.message;
}

TEST(Ledger, RecoversFromTheSlotWhatWasWhole)
{
	World world(6, 6);
	enum ledger_stop stop;
	{
		Ledger ledger(world.open_step());
		ASSERT_TRUE(ledger.is) << world.err.message;
		struct ledger_shot shot = arm_next(ledger, &stop);
		answer(shot, reply_of(0, 1));
		shot = arm_next(ledger, &stop);
		memcpy(shot.slot->body, "{", 1);
	}
	Ledger ledger(world.open());
	ASSERT_TRUE(ledger.is) << world.err.message;
	EXPECT_EQ(world.recovery.salvaged, 1);
	EXPECT_EQ(world.recovery.in_doubt, 1);
	EXPECT_FALSE(world.recovery.created);
	Bill bill = {};
	bill.sent[0] = 1;
	bill.acknowledged[0] = true;
	bill.acknowledged_send[0] = 1;
	expect_promises(ledger, bill, 6);
	EXPECT_EQ(pending_count(ledger, 1), 5);
}

TEST(Ledger, WhatIsNotBilledIsReleasedWithoutTrace)
{
	World world(6, 6);
	world.options.billable = false;
	enum ledger_stop stop;
	for (int kills = 0; kills < 150; kills++) { /* more than the allowance for sends */
		Ledger ledger(world.open_step());
		ASSERT_TRUE(ledger.is) << world.err.message;
		arm_next(ledger, &stop);
		ASSERT_EQ(stop, LEDGER_GO);
	}
	Ledger ledger(world.open());
	ASSERT_TRUE(ledger.is) << world.err.message;
	EXPECT_EQ(counts_of(ledger).used, 0);
	EXPECT_EQ(counts_of(ledger).wire, 0);
	struct ledger_pending pending;
	ASSERT_EQ(ledger_pending(ledger, 0, "annotate", 1, 1, LEDGER_IN_ORDER, &pending, nullptr), 0);
	EXPECT_EQ(pending.query[0].attempts, 0) << "a replay counts attempts from here";
	ledger_pending_release(&pending);
}

TEST(Ledger, BudgetMayGrowAndNotShrink)
{
	World world(4, 5);
	ledger_close(world.open_step());
	world.options.budget = 4;
	EXPECT_EQ(world.open(), nullptr);
	EXPECT_EQ(world.err.code, ERR_CONFIG);
	world.options.budget = 2000;
	Ledger ledger(world.open());
	ASSERT_TRUE(ledger.is) << world.err.message;
	EXPECT_EQ(counts_of(ledger).budget, 2000);
	EXPECT_EQ(counts_of(ledger).wire_cap, 2200);
	EXPECT_EQ(counts_of(ledger).stage_cap, 5);
}

TEST(Ledger, ARunKeepsToItsTeacherAndPlan)
{
	World world;
	ledger_close(world.open());
	world.options.host = "elsewhere.example";
	EXPECT_EQ(world.open(), nullptr);
	EXPECT_EQ(world.err.code, ERR_CONFIG);
	EXPECT_NE(strstr(world.err.message, "base_url"), nullptr);
	world.options.host = "teacher.example";
	world.options.params_sha256[3] = 1;
	EXPECT_EQ(world.open(), nullptr);
	EXPECT_EQ(world.err.code, ERR_CONFIG);
}

TEST(Ledger, StagesRiseAndStepsReopenWithTheSameQueries)
{
	World world(4, 10);
	Ledger ledger(world.open());
	ASSERT_TRUE(ledger.is) << world.err.message;
	int64_t cum;
	ASSERT_EQ(ledger_stage_cum(ledger, 0, &cum, nullptr), 0);
	EXPECT_EQ(cum, -1);
	ASSERT_EQ(ledger_stage_open(ledger, 0, 5, &world.err), 0) << world.err.message;
	ASSERT_EQ(ledger_stage_open(ledger, 0, 5, nullptr), 0);
	EXPECT_EQ(ledger_stage_open(ledger, 0, 6, &world.err), -1);
	EXPECT_EQ(world.err.code, ERR_LEDGER);
	EXPECT_EQ(ledger_stage_open(ledger, 1, 11, nullptr), -1) << "beyond the budget";
	ASSERT_EQ(ledger_stage_open(ledger, 1, 10, nullptr), 0);
	EXPECT_EQ(ledger_stage_open(ledger, 0, 5, nullptr), -1) << "stage 1 has begun";
	ASSERT_EQ(ledger_step_open(ledger, 1, "annotate", world.queries.data(), 4, &world.err), 0) << world.err.message;
	ASSERT_EQ(ledger_step_open(ledger, 1, "annotate", world.queries.data(), 4, nullptr), 0);
	EXPECT_EQ(ledger_step_open(ledger, 1, "annotate", world.queries.data(), 3, &world.err), -1);
	EXPECT_EQ(world.err.code, ERR_LEDGER);
	std::swap(world.queries[0], world.queries[1]);
	EXPECT_EQ(ledger_step_open(ledger, 1, "annotate", world.queries.data(), 4, nullptr), -1);
	EXPECT_EQ(ledger_step_open(ledger, 1, "sleep", nullptr, 0, nullptr), -1);
	EXPECT_EQ(counts_of(ledger).pending, 4) << "a refused step leaves nothing";
	/* What one step asks no other one may, of this stage or the next. */
	std::swap(world.queries[0], world.queries[1]);
	EXPECT_EQ(ledger_step_open(ledger, 1, "synthesise", world.queries.data(), 4, nullptr), -1);
	ASSERT_EQ(ledger_stage_open(ledger, 2, 10, &world.err), 0) << world.err.message;
	EXPECT_EQ(ledger_step_open(ledger, 2, "annotate", world.queries.data() + 3, 1, nullptr), -1);
	EXPECT_EQ(counts_of(ledger).pending, 4);
	world.queries[3].ordinal = 1; /* the same words for another sample are another query */
	EXPECT_EQ(ledger_step_open(ledger, 2, "annotate", world.queries.data() + 3, 1, &world.err), 0)
		<< world.err.message;
	EXPECT_EQ(counts_of(ledger).pending, 5);
}

TEST(Ledger, AStepIsDoneOnceAndOwnsItsFiles)
{
	World world(4, 10);
	mkdir((world.run / "stage-0").c_str(), 0700);
	write_file(world.run / "stage-0/train.jsonl", "rows");
	const char *files[] = {"stage-0/train.jsonl"}, *outside[] = {"../secret"};
	{
		Ledger ledger(world.open_step());
		ASSERT_TRUE(ledger.is) << world.err.message;
		enum ledger_stop stop;
		struct ledger_shot shot = arm_next(ledger, &stop);
		EXPECT_EQ(ledger_step_done(ledger, 0, "annotate", files, 1, "{}", nullptr), -1) << "one is in flight";
		struct ledger_verdict verdict = verdict_of(LEDGER_IN_DOUBT);
		ASSERT_EQ(ledger_settle(ledger, shot.attempt, &verdict, 1, nullptr), 0);
		EXPECT_EQ(ledger_step_done(ledger, 0, "annotate", outside, 1, "{}", nullptr), -1);
		ASSERT_EQ(ledger_step_done(ledger, 0, "annotate", files, 1, "{\"rows\":1}", &world.err), 0)
			<< world.err.message;
		EXPECT_EQ(ledger_step_done(ledger, 0, "annotate", files, 1, "{}", nullptr), -1);
		EXPECT_EQ(counts_of(ledger).parked, 4);
	}
	Ledger ledger(world.open());
	struct ledger_step step;
	struct arena arena;
	arena_init(&arena);
	ASSERT_EQ(ledger_step_get(ledger, 0, "annotate", &step, &arena, nullptr), 0);
	EXPECT_EQ(step.state, LEDGER_STEP_DONE);
	EXPECT_STREQ(step.counts, "{\"rows\":1}");
	ASSERT_EQ(ledger_step_get(ledger, 0, "train", &step, &arena, nullptr), 0);
	EXPECT_EQ(step.state, LEDGER_STEP_NONE);
	arena_release(&arena);
	ASSERT_EQ(ledger_verify_files(ledger, &world.err), 0) << world.err.message;
	write_file(world.run / "stage-0/train.jsonl", "rowz");
	EXPECT_EQ(ledger_verify_files(ledger, &world.err), -1);
	EXPECT_EQ(world.err.code, ERR_LEDGER);
	remove((world.run / "stage-0/train.jsonl").c_str());
	EXPECT_EQ(ledger_verify_files(ledger, &world.err), -1);
	EXPECT_EQ(world.err.code, ERR_LEDGER);
}

TEST(Ledger, ExportsEveryAttemptInQueryOrder)
{
	World world(10, 20);
	Bill bill = {};
	Ledger ledger(world.open_step());
	ASSERT_TRUE(ledger.is) << world.err.message;
	ASSERT_EQ(work(ledger, bill, &world.err), 0) << world.err.message;
	ASSERT_EQ(ledger_export(ledger, (world.run / "cassette.jsonl").c_str(), &world.err), 0) << world.err.message;
	std::string text = world.file("cassette.jsonl"), states;
	int64_t last = -1;
	size_t begin = 0, rows = 0;
	for (size_t end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1, rows++) {
		struct json *doc = json_parse(text.data() + begin, end - begin, nullptr, &world.err);
		ASSERT_TRUE(doc) << world.err.message;
		struct json_value root = json_root(doc);
		int64_t id;
		const char *state, *content;
		size_t n;
		ASSERT_EQ(json_get_int64(json_in(root, "id"), &id, &world.err), 0) << world.err.message;
		ASSERT_EQ(json_get_string(json_in(root, "state"), &state, &n, nullptr), 0);
		EXPECT_GE(id, last);
		last = id;
		states += state[0];
		if (!strcmp(state, "answered")) {
			ASSERT_EQ(json_get_string(json_in(root, "content"), &content, &n, nullptr), 0);
			EXPECT_EQ(std::string(content, n), reply_of((int)id, bill.sent[id]));
		}
		json_free(doc);
	}
	EXPECT_EQ(rows, 13u);
	EXPECT_EQ(states, "aaraaiaaauaia");
}

/* Stage, step, query, attempt and state of each row that is shown. */
int note_attempt(void *context, const struct ledger_row *row, struct err *)
{
	static_cast<std::vector<std::string> *>(context)->push_back(
		std::to_string(row->query.stage) + "." + row->query.step + " " + std::to_string(row->query.id) + " " +
		std::to_string(row->attempt) + " " + row->state);
	return 0;
}

/* Against all attempts of the run, looked through for those of the step. */
TEST(Ledger, AttemptsOfAStepAreItsPartOfAll)
{
	World world(10, 30);
	Bill bill = {};
	Ledger ledger(world.open_step());
	ASSERT_TRUE(ledger.is) << world.err.message;
	ASSERT_EQ(work(ledger, bill, &world.err), 0) << world.err.message;
	for (struct ledger_query &query : world.queries)
		query.ordinal = 1;
	ASSERT_EQ(ledger_step_open(ledger, 0, "synthesise", world.queries.data(), 3, &world.err), 0) << world.err.message;
	ASSERT_EQ(ledger_stage_open(ledger, 1, 30, &world.err), 0) << world.err.message;
	ASSERT_EQ(ledger_step_open(ledger, 1, "synthesise", world.queries.data() + 3, 3, &world.err), 0) << world.err.message;
	for (int i = 0; i < 3; i++) { /* one of stage 0, two of stage 1, the last of which stays armed */
		struct ledger_pending pending;
		struct ledger_shot shot = {};
		struct ledger_verdict verdict = verdict_of(LEDGER_IN_DOUBT);
		enum ledger_stop stop;
		size_t armed;
		ASSERT_EQ(ledger_pending(ledger, i > 0, "synthesise", 1, 1, LEDGER_IN_ORDER, &pending, nullptr), 0);
		ASSERT_EQ(pending.n, 1u);
		shot.query = pending.query[0].id;
		ledger_pending_release(&pending);
		ASSERT_EQ(ledger_arm(ledger, &shot, 1, 1, &armed, &stop, nullptr), 0);
		if (i < 2) {
			ASSERT_EQ(ledger_settle(ledger, shot.attempt, &verdict, 1, nullptr), 0);
		}
	}
	std::vector<std::string> all;
	ASSERT_EQ(ledger_attempts(ledger, note_attempt, &all, nullptr), 0);
	size_t seen = 0;
	for (int64_t stage = 0; stage < 3; stage++)
		for (std::string step : {"annotate", "synthesise"}) {
			std::vector<std::string> want, got;
			std::string begin = std::to_string(stage) + "." + step + " ";
			for (const std::string &line : all)
				if (!line.compare(0, begin.size(), begin))
					want.push_back(line);
			ASSERT_EQ(ledger_step_attempts(ledger, stage, step.c_str(), note_attempt, &got, nullptr), 0);
			EXPECT_EQ(got, want) << begin;
			seen += got.size();
		}
	EXPECT_EQ(seen, all.size());
	EXPECT_EQ(seen, 15u);
}

TEST(Ledger, AuditExplainsAndLists)
{
	World world(10, 20);
	Bill bill = {};
	Ledger ledger(world.open_step());
	ASSERT_EQ(work(ledger, bill, &world.err), 0) << world.err.message;
	struct json_writer w;
	json_writer_init(&w, 0);
	ASSERT_EQ(ledger_audit(ledger, &w, &world.err), 0) << world.err.message;
	size_t n;
	const char *text = json_writer_text(&w, &n, &world.err);
	ASSERT_TRUE(text) << world.err.message;
	struct json *doc = json_parse(text, n, nullptr, &world.err);
	ASSERT_TRUE(doc) << world.err.message;
	struct json_value root = json_root(doc);
	EXPECT_EQ(json_kind(json_in(root, "refusal")), JSON_NULL);
	int64_t number;
	EXPECT_EQ(json_get_int64(json_in(json_in(root, "ledger"), "in_doubt"), &number, nullptr), 0);
	EXPECT_EQ(number, 2);
	EXPECT_EQ(json_get_int64(json_in(root, "not_counted"), &number, nullptr), 0);
	EXPECT_EQ(number, 1);
	EXPECT_EQ(json_kind(json_in(json_at(json_in(root, "in_doubt"), 1), "request_id")), JSON_STRING);
	EXPECT_EQ(json_kind(json_at(json_in(root, "in_doubt"), 2)), JSON_ABSENT);
	json_free(doc);
	json_writer_release(&w);
}

int add_domain(void *context, const char *domain, int64_t answered, int64_t unusable, struct err *)
{
	*static_cast<std::string *>(context) += std::string(domain) + " " + std::to_string(answered) + " " +
						std::to_string(unusable) + "\n";
	return 0;
}

TEST(Ledger, CountsPerDomain)
{
	World world(10, 20);
	Bill bill = {};
	Ledger ledger(world.open_step());
	ASSERT_EQ(work(ledger, bill, &world.err), 0) << world.err.message;
	std::string text;
	ASSERT_EQ(ledger_domains(ledger, add_domain, &text, nullptr), 0);
	EXPECT_EQ(text, "acq 4 0\nearn 5 1\n");
}

TEST(Ledger, AnInspectedLedgerIsNotWritten)
{
	World world(6, 6);
	enum ledger_stop stop;
	{
		Ledger ledger(world.open_step());
		arm_next(ledger, &stop);
	}
	world.options.inspect = true;
	Ledger ledger(world.open());
	ASSERT_TRUE(ledger.is) << world.err.message;
	EXPECT_EQ(counts_of(ledger).armed, 1) << "not recovered";
	EXPECT_EQ(ledger_stage_open(ledger, 0, 6, &world.err), -1);
	EXPECT_EQ(world.err.code, ERR_INTERNAL);
}

TEST(Ledger, FilesAreForTheUserAlone)
{
	World world(6, 6);
	mode_t before = umask(0);
	Ledger ledger(world.open_step());
	umask(before);
	ASSERT_TRUE(ledger.is) << world.err.message;
	for (const std::string &name : world.run.files()) {
		struct stat status;
		ASSERT_EQ(stat((world.run / name).c_str(), &status), 0);
		EXPECT_EQ(status.st_mode & 077, 0u) << name;
		if (!name.rfind("slot-", 0)) { /* a full disk is met before a reply is paid for */
			EXPECT_GT(status.st_size, WORLD_SLOT_BYTES);
			EXPECT_GE(status.st_blocks * 512, status.st_size) << name;
		}
	}
	EXPECT_EQ(world.run.files().size(), 3u + WORLD_SLOTS) << "lock, database, journal, slots";
}

TEST(Ledger, RefusesADirectoryOthersMayWrite)
{
	World world;
	chmod(world.run.path.c_str(), 0770);
	EXPECT_EQ(world.open(), nullptr);
	EXPECT_EQ(world.err.code, ERR_NOPERM);
	world.options.directory = "/nowhere/at/all";
	EXPECT_EQ(world.open(), nullptr);
	EXPECT_EQ(world.err.code, ERR_NOINPUT);
}

TEST(Ledger, ASecondOpenerIsRefused)
{
	World world;
	Ledger ledger(world.open());
	ASSERT_TRUE(ledger.is) << world.err.message;
	EXPECT_EQ(world.open(), nullptr);
	EXPECT_EQ(world.err.code, ERR_TEMPFAIL);
	EXPECT_NE(strstr(world.err.message, "held by another process"), nullptr) << world.err.message;
	Bill bill = {};
	EXPECT_EQ(ledger_stage_open(ledger, 0, 5, &world.err), 0) << "the first goes on: " << world.err.message;
	expect_promises(ledger, bill, 5);
}

} // namespace
