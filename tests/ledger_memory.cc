// SPDX-License-Identifier: Apache-2.0
/*
 * SQLite's n-th allocation fails, once or from then on: the run stops or goes
 * on, nothing is lost, and a fresh process finds every promise kept.
 */
#include "tests/ledger_disk.h"
#include "tests/ledger_world.h"

namespace {

enum { QUERIES = 5, BUDGET = 6, CASES = 120 };

sqlite3_mem_methods real;
long allocations, fail_at; /* fail_at 0: never */
bool fail_on;

bool fails()
{
	allocations++;
	return fail_at && (allocations == fail_at || (fail_on && allocations > fail_at));
}

void *failing_malloc(int n)
{
	return fails() ? nullptr : real.xMalloc(n);
}

void *failing_realloc(void *bytes, int n)
{
	return fails() ? nullptr : real.xRealloc(bytes, n);
}

/* SQLite with an allocator that can fail, until the end of the scope. */
struct FailingMemory {
	FailingMemory()
	{
		sqlite3_shutdown();
		EXPECT_EQ(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real), SQLITE_OK);
		sqlite3_mem_methods methods = real;
		methods.xMalloc = failing_malloc;
		methods.xRealloc = failing_realloc;
		EXPECT_EQ(sqlite3_config(SQLITE_CONFIG_MALLOC, &methods), SQLITE_OK);
		EXPECT_EQ(sqlite3_initialize(), SQLITE_OK);
	}
	~FailingMemory()
	{
		sqlite3_shutdown();
		sqlite3_config(SQLITE_CONFIG_MALLOC, &real);
		sqlite3_initialize();
	}
};

void live(World &world, Bill &bill, int *code)
{
	struct ledger *ledger = world.open_step();
	int rc = ledger ? work(ledger, bill, &world.err) : -1;
	*code = rc ? world.err.code : 0;
	ledger_close(ledger);
}

TEST(LedgerMemory, AnyAllocationOfSqliteFails)
{
	FailingMemory memory;
	Disk disk("power");
	int code = 0, failed = 0;
	long n = 0;
	for (int i = -1; i < CASES && !HasFailure(); i++) {
		SCOPED_TRACE("allocation " + std::to_string(fail_at) + " of " + std::to_string(n));
		World world(QUERIES, BUDGET);
		Bill bill = {};
		world.options.vfs = "power";
		disk.load({});
		allocations = 0;
		fail_at = i < 0 ? 0 : 1 + n * i / CASES + i % 7;
		fail_on = i % 2;
		live(world, bill, &code);
		n = i < 0 ? allocations : n;
		failed += code != 0;
		EXPECT_TRUE(!code || code == ERR_MEMORY || (fail_at && code == ERR_IO)) << code << " " << world.err.message;
		fail_at = 0;
		live(world, bill, &code);
		EXPECT_EQ(code, 0) << world.err.message;
		struct ledger *ledger = world.open();
		ASSERT_TRUE(ledger) << world.err.message;
		expect_promises(ledger, bill, BUDGET);
		ledger_close(ledger);
	}
	EXPECT_GT(failed, CASES / 2) << "most failures must be felt";
}

/* A shortage is no damage: audit fails with it, and refuses nothing. */
TEST(LedgerMemory, AuditDoesNotRefuseForWantOfMemory)
{
	FailingMemory memory;
	Disk disk("power");
	World world(QUERIES, BUDGET);
	Bill bill = {};
	int code = 0, failed = 0;
	long n = 0;
	world.options.vfs = "power";
	disk.load({});
	fail_at = 0;
	live(world, bill, &code);
	ASSERT_EQ(code, 0) << world.err.message;
	for (int i = -1; i < CASES && !HasFailure(); i++) {
		struct ledger *ledger = world.open();
		ASSERT_TRUE(ledger) << world.err.message;
		struct json_writer w;
		json_writer_init(&w, 0);
		allocations = 0;
		fail_at = i < 0 ? 0 : 1 + n * i / CASES;
		int rc = ledger_audit(ledger, &w, &world.err);
		fail_at = 0;
		n = i < 0 ? allocations : n;
		failed += rc != 0;
		size_t length;
		struct err ignored = {};
		const char *text = rc ? nullptr : json_writer_text(&w, &length, &ignored);
		EXPECT_TRUE(rc ? world.err.code == ERR_MEMORY || world.err.code == ERR_IO
			       : text && strstr(text, "\"refusal\":null")) << world.err.message << (text ? text : "");
		json_writer_release(&w);
		ledger_close(ledger);
	}
	EXPECT_GT(failed, CASES / 2) << "most failures must be felt";
}

} // namespace
