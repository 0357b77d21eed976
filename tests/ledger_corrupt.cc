// SPDX-License-Identifier: Apache-2.0
/*
 * Run directories that are damaged, old, or partly another run's: refused with
 * ERR_LEDGER, nothing repaired, nothing sent.
 */
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "tests/ledger_disk.h"
#include "tests/ledger_world.h"

namespace {

enum { PAGE = 16384, BODY_AT = 4096 + SLOT_HEAD_BYTES };

/* A run that has worked and was closed. */
struct WorkedWorld : World {
	Bill bill = {};

	WorkedWorld() : World(10, 20)
	{
		struct ledger *ledger = open_step();
		EXPECT_TRUE(ledger) << err.message;
		EXPECT_EQ(work(ledger, bill, &err), 0) << err.message;
		ledger_close(ledger);
	}
	void expect_refused(int code = ERR_LEDGER)
	{
		struct ledger *ledger = open();
		EXPECT_EQ(ledger, nullptr);
		EXPECT_EQ(err.code, code) << err.message;
		ledger_close(ledger);
	}
};

void alter(const std::string &path, off_t at, const std::string &bytes)
{
	int fd = open(path.c_str(), O_RDWR);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(pwrite(fd, bytes.data(), bytes.size(), at), (ssize_t)bytes.size());
	close(fd);
}

TEST(LedgerCorrupt, TruncatedAtEveryPage)
{
	WorkedWorld world;
	std::string whole = world.file("ledger.db");
	ASSERT_EQ(whole.size() % PAGE, 0u);
	ASSERT_GT(whole.size() / PAGE, 8u);
	for (size_t n = 0; n < whole.size(); n += PAGE) {
		SCOPED_TRACE("bytes " + std::to_string(n));
		write_file(world.run / "ledger.db", whole.substr(0, n));
		world.expect_refused();
		write_file(world.run / "ledger.db", whole.substr(0, n + 100));
		world.expect_refused();
	}
	write_file(world.run / "ledger.db", whole);
	struct ledger *ledger = world.open();
	ASSERT_TRUE(ledger) << world.err.message;
	expect_promises(ledger, world.bill, 20);
	ledger_close(ledger);
}

/* ID CONTENT of every answer, in query order. */
int keep_answer(void *context, const struct ledger_row *row, struct err *)
{
	if (strcmp(row->state, "answered"))
		return 0;
	static_cast<std::vector<std::string> *>(context)->push_back(std::string(row->query.example_id) + " " +
								    std::string(row->content, row->content_n));
	return 0;
}

/* A changed byte is noticed, or changes nothing that is kept. */
TEST(LedgerCorrupt, ChangedBytes)
{
	WorkedWorld world;
	std::vector<std::string> bought;
	struct ledger *intact = world.open();
	ASSERT_TRUE(intact) << world.err.message;
	EXPECT_EQ(ledger_step_attempts(intact, 0, "annotate", keep_answer, &bought, &world.err), 0) << world.err.message;
	ledger_close(intact);
	ASSERT_EQ(bought.size(), 9u);
	std::string whole = world.file("ledger.db");
	std::mt19937 random(5);
	int refused = 0;
	for (int i = 0; i < 200; i++) {
		std::string changed = whole;
		size_t at;
		do /* unused space says nothing */
			at = random() % changed.size();
		while (!changed[at]);
		SCOPED_TRACE("byte " + std::to_string(at));
		changed[at] = (char)(changed[at] ^ (1 << random() % 8));
		write_file(world.run / "ledger.db", changed);
		struct ledger *ledger = world.open();
		if (ledger) {
			struct ledger_counts counts;
			EXPECT_EQ(ledger_counts(ledger, &counts, nullptr), 0);
			EXPECT_EQ(counts.used, 12);
			std::vector<std::string> answers;
			if (ledger_step_attempts(ledger, 0, "annotate", keep_answer, &answers, &world.err))
				EXPECT_EQ(world.err.code, ERR_LEDGER) << world.err.message;
			else
				EXPECT_EQ(answers, bought);
		} else {
			EXPECT_TRUE(world.err.code == ERR_LEDGER || world.err.code == ERR_CONFIG ||
				    world.err.code == ERR_IO || world.err.code == ERR_NOPERM)
				<< world.err.code << " " << world.err.message;
			refused++;
		}
		ledger_close(ledger);
	}
	EXPECT_GT(refused, 100);
}

TEST(LedgerCorrupt, AReplyThatChanged)
{
	WorkedWorld world;
	std::string whole = world.file("ledger.db");
	size_t at = whole.find("reply 301");
	ASSERT_NE(at, std::string::npos);
	for (; at != std::string::npos; at = whole.find("reply 301", at + 9))
		whole[at] = 'R';
	write_file(world.run / "ledger.db", whole);
	world.expect_refused();
	EXPECT_NE(strstr(world.err.message, "SHA-256"), nullptr) << world.err.message;
}

TEST(LedgerCorrupt, NoDatabaseWhereARunHasBegun)
{
	WorkedWorld world;
	ASSERT_EQ(unlink((world.run / "ledger.db").c_str()), 0);
	world.expect_refused();
	EXPECT_NE(strstr(world.err.message, "gone"), nullptr);
	write_file(world.run / "ledger.db", "not a database, only a text that is longer than a header would be: "
					    "................................................................");
	world.expect_refused();
}

TEST(LedgerCorrupt, TheDatabaseOfAnotherRun)
{
	WorkedWorld world, other;
	write_file(world.run / "ledger.db", other.file("ledger.db"));
	world.expect_refused();
}

TEST(LedgerCorrupt, AnotherProgramsDatabase)
{
	World world;
	sqlite3 *handle;
	ASSERT_EQ(sqlite3_open((world.run / "ledger.db").c_str(), &handle), SQLITE_OK);
	ASSERT_EQ(sqlite3_exec(handle, "CREATE TABLE run(uuid)", nullptr, nullptr, nullptr), SQLITE_OK);
	sqlite3_close(handle);
	EXPECT_EQ(world.open(), nullptr);
	EXPECT_EQ(world.err.code, ERR_LEDGER) << world.err.message;
}

/* Whoever looks into a run's database with a tool of SQLite's holds it up, and harms nothing. */
TEST(LedgerCorrupt, AnotherProgramAtTheDatabase)
{
	WorkedWorld world;
	sqlite3 *handle;
	ASSERT_EQ(sqlite3_open((world.run / "ledger.db").c_str(), &handle), SQLITE_OK);
	ASSERT_EQ(sqlite3_exec(handle, "BEGIN EXCLUSIVE", nullptr, nullptr, nullptr), SQLITE_OK);
	EXPECT_EQ(world.open(), nullptr);
	EXPECT_EQ(world.err.code, ERR_TEMPFAIL) << world.err.message;
	EXPECT_NE(strstr(world.err.message, "in use by another program"), nullptr) << world.err.message;
	sqlite3_close(handle);
	struct ledger *ledger = world.open();
	EXPECT_NE(ledger, nullptr) << world.err.message;
	ledger_close(ledger);
}

/* The witness is named by the run; a database of somebody else must not choose where that is. */
TEST(LedgerCorrupt, ARunWhoseNameIsAPath)
{
	WorkedWorld world;
	std::string changed = world.file("ledger.db"), uuid = world.file("run.lock").substr(0, 36);
	std::string name = "../" + std::string(33, 'x');
	ASSERT_NE(changed.find(uuid), std::string::npos);
	for (size_t at; (at = changed.find(uuid)) != std::string::npos;)
		changed.replace(at, name.size(), name);
	write_file(world.run / "ledger.db", changed);
	ASSERT_EQ(unlink((world.run / "run.lock").c_str()), 0);
	world.expect_refused();
	EXPECT_NE(strstr(world.err.message, "names no run"), nullptr) << world.err.message;
	EXPECT_NE(access((world.state / (name + ".witness")).c_str(), F_OK), 0);
	unlink((world.state / (name + ".witness")).c_str());
}

/* A table, a trigger or a bound more or less than ours. */
TEST(LedgerCorrupt, AnotherSchema)
{
	for (const char *sql : {"CREATE TRIGGER t AFTER UPDATE ON budget BEGIN UPDATE attempt SET cost=0; END",
				"DROP INDEX one_live", "PRAGMA user_version=2", "CREATE VIEW v AS SELECT 1",
				/* under a name that SQLite keeps for itself, and only reads */
				"PRAGMA writable_schema=ON; INSERT INTO sqlite_schema VALUES('trigger','sqlite_t',"
				"'budget',0,'CREATE TRIGGER sqlite_t AFTER UPDATE ON budget BEGIN"
				" UPDATE attempt SET cost=0; END')"}) {
		WorkedWorld world;
		sqlite3 *handle;
		ASSERT_EQ(sqlite3_open((world.run / "ledger.db").c_str(), &handle), SQLITE_OK);
		ASSERT_EQ(sqlite3_exec(handle, sql, nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(handle);
		sqlite3_close(handle);
		SCOPED_TRACE(sql);
		world.expect_refused();
	}
}

/* As somebody does it who takes the triggers away and puts them back. */
void change_rows(World &world, const std::string &sql)
{
	sqlite3 *handle;
	sqlite3_stmt *triggers;
	std::string drop, create;
	ASSERT_EQ(sqlite3_open((world.run / "ledger.db").c_str(), &handle), SQLITE_OK);
	const char *find = "SELECT name,sql FROM sqlite_schema WHERE type='trigger' ORDER BY rowid";
	ASSERT_EQ(sqlite3_prepare_v2(handle, find, -1, &triggers, nullptr), SQLITE_OK);
	while (sqlite3_step(triggers) == SQLITE_ROW) {
		drop += "DROP TRIGGER " + std::string((const char *)sqlite3_column_text(triggers, 0)) + ";";
		create += std::string((const char *)sqlite3_column_text(triggers, 1)) + ";";
	}
	sqlite3_finalize(triggers);
	ASSERT_NE(create, "");
	ASSERT_EQ(sqlite3_exec(handle, (drop + sql + ";" + create).c_str(), nullptr, nullptr, nullptr), SQLITE_OK)
		<< sqlite3_errmsg(handle);
	sqlite3_close(handle);
}

/* What may be looked at without having been found good: an audit ends with a message. */
TEST(LedgerCorrupt, RowsThatAreNotOfTheSchema)
{
	for (const char *sql :
	     {"UPDATE attempt SET state='ODD' WHERE id=2", "UPDATE query SET state='ODD' WHERE id=2",
	      "UPDATE query SET example_id='}' WHERE id=2", "UPDATE query SET req_sha256=x'00' WHERE id=2"}) {
		SCOPED_TRACE(sql);
		WorkedWorld world;
		change_rows(world, std::string("PRAGMA ignore_check_constraints=ON;") + sql);
		world.options.inspect = true;
		struct ledger *ledger = world.open();
		ASSERT_TRUE(ledger) << world.err.message;
		struct json_writer w;
		json_writer_init(&w, 0);
		if (ledger_audit(ledger, &w, &world.err))
			EXPECT_EQ(world.err.code, ERR_LEDGER) << world.err.message;
		else
			EXPECT_NE(strstr(json_writer_text(&w, nullptr, nullptr), "refused"), nullptr);
		json_writer_release(&w);
		ledger_close(ledger);
	}
}

/* Rows that do not add up. Each is refused by the rule it breaks: most break another one, too. */
TEST(LedgerCorrupt, UnitsNobodyCanExplain)
{
	static const struct {
		const char *sql, *rule;
	} changes[] = {
		{"UPDATE budget SET used=used-1", "used units are armed"},
		{"INSERT INTO attempt(query_id,epoch,at,wire,cost,state) VALUES(3,1,1,0,0,'INDOUBT')",
		 "used units are armed"},
		{"UPDATE budget SET wire=wire-1", "sends are the attempts"},
		{"UPDATE attempt SET wire=0 WHERE id=2", "sends are the attempts"},
		{"UPDATE budget SET cost=cost+1", "money is that"},
		{"UPDATE attempt SET tokens_out=9223372036854775807 WHERE wire=1", "numbers are such"},
		{"UPDATE attempt SET cost=9223372036854775807", "numbers are such"},
		{"UPDATE run SET epoch=9223372036854775807", "numbers are such"},
		/* SQLite itself finds what is above a bound */
		{"PRAGMA ignore_check_constraints=ON; UPDATE budget SET stage_cap=used-1",
		 "CHECK constraint failed in budget"},
		{"UPDATE query SET state='INFLIGHT' WHERE id=1", "a query in flight"},
		{"UPDATE query SET state='PENDING' WHERE id=1", "an answered query"},
		{"DELETE FROM response WHERE attempt_id=1", "a paid answer has its reply"},
		{"INSERT INTO attempt(query_id,epoch,at,wire,cost,state) VALUES(99,1,1,0,0,'RELEASED')",
		 "rows refer to rows"},
	};
	for (const auto &change : changes) {
		SCOPED_TRACE(change.sql);
		WorkedWorld world;
		change_rows(world, change.sql);
		world.expect_refused();
		EXPECT_NE(strstr(world.err.message, change.rule), nullptr) << world.err.message;
		/* It can still be looked at: the audit says what is wrong, the export saves the answers. */
		world.options.inspect = true;
		struct ledger *ledger = world.open();
		ASSERT_TRUE(ledger) << world.err.message;
		struct json_writer w;
		json_writer_init(&w, 0);
		EXPECT_EQ(ledger_audit(ledger, &w, &world.err), 0) << world.err.message;
		const char *text = json_writer_text(&w, nullptr, &world.err);
		EXPECT_TRUE(text && strstr(text, "\"refusal\":\"ledger")) << (text ? text : world.err.message);
		EXPECT_EQ(ledger_export(ledger, (world.run / "saved.jsonl").c_str(), &world.err), 0);
		json_writer_release(&w);
		ledger_close(ledger);
	}
}

/* That leaves nothing to be counted: the audit ends with a message. */
TEST(LedgerCorrupt, ARunWithoutABudget)
{
	WorkedWorld world;
	change_rows(world, "DELETE FROM budget");
	world.expect_refused();
	EXPECT_NE(strstr(world.err.message, "one run and one budget"), nullptr) << world.err.message;
	world.options.inspect = true;
	struct ledger *ledger = world.open();
	ASSERT_TRUE(ledger) << world.err.message;
	struct json_writer w;
	json_writer_init(&w, 0);
	EXPECT_EQ(ledger_audit(ledger, &w, &world.err), -1);
	EXPECT_EQ(world.err.code, ERR_LEDGER) << world.err.message;
	json_writer_release(&w);
	ledger_close(ledger);
}

/* Nothing that was paid for can be rewritten, not even by our own statements. */
TEST(LedgerCorrupt, TheSchemaKeepsWhatWasPaidFor)
{
	WorkedWorld world;
	sqlite3 *handle;
	ASSERT_EQ(sqlite3_open((world.run / "ledger.db").c_str(), &handle), SQLITE_OK);
	for (const char *sql : {"UPDATE response SET raw=x'00'", "DELETE FROM response", "DELETE FROM attempt",
				"UPDATE attempt SET state='ARMED' WHERE id=1", "UPDATE budget SET used=stage_cap+1",
				"UPDATE budget SET wire=wire_cap+1", "UPDATE budget SET stage_cap=cap+1",
				"INSERT INTO attempt(query_id,epoch,at,wire,cost,state) VALUES(1,1,1,1,0,'ARMED')"})
		EXPECT_EQ(sqlite3_exec(handle, sql, nullptr, nullptr, nullptr), SQLITE_CONSTRAINT) << sql;
	sqlite3_close(handle);
}

TEST(LedgerCorrupt, OlderThanItsWitness)
{
	World world(10, 20);
	Bill bill = {};
	Round round;
	struct ledger *ledger = world.open_step();
	ASSERT_TRUE(ledger) << world.err.message;
	ASSERT_EQ(work_round(ledger, bill, round, &world.err), 1);
	ledger_close(ledger);
	std::string old = world.file("ledger.db");
	ledger = world.open();
	round = {};
	ASSERT_EQ(work_round(ledger, bill, round, &world.err), 1);
	ledger_close(ledger);
	std::string recent = world.file("ledger.db");
	write_file(world.run / "ledger.db", old);
	EXPECT_EQ(world.open(), nullptr);
	EXPECT_EQ(world.err.code, ERR_LEDGER);
	EXPECT_NE(strstr(world.err.message, "witness"), nullptr) << world.err.message;
	write_file(world.run / "ledger.db", recent);
	ledger = world.open();
	EXPECT_TRUE(ledger) << world.err.message;
	ledger_close(ledger);
	/* On another machine there is no witness: nothing can be said. */
	write_file(world.run / "ledger.db", old);
	Temporary elsewhere;
	world.options.state_directory = elsewhere.path.c_str();
	ledger = world.open();
	EXPECT_TRUE(ledger) << world.err.message;
	ledger_close(ledger);
}

/* A run.lock each, but one witness. */
TEST(LedgerCorrupt, TwoCopiesAtOneTime)
{
	World world(10, 20);
	struct ledger *ledger = world.open_step();
	ASSERT_TRUE(ledger) << world.err.message;
	Temporary copy;
	ASSERT_EQ(system(("cp -r '" + world.run.path + "/.' '" + copy.path + "'").c_str()), 0);
	world.options.directory = copy.path.c_str();
	EXPECT_EQ(world.open(), nullptr);
	EXPECT_EQ(world.err.code, ERR_TEMPFAIL);
	EXPECT_NE(strstr(world.err.message, "copy"), nullptr) << world.err.message;
	ledger_close(ledger);
	ledger = world.open();
	EXPECT_TRUE(ledger) << world.err.message;
	ledger_close(ledger);
}

TEST(LedgerCorrupt, ADamagedWitness)
{
	WorkedWorld world;
	std::string name = world.state.files().at(0);
	for (const char *text : {"", "what\n", "-000000000000000001\n", "0000000000000000001"}) {
		write_file(world.state / name, text);
		world.expect_refused();
	}
}

/* The journal of a run that was cut short in a commit. */
std::string hot_journal(World &world)
{
	struct ledger *ledger = world.open_step();
	EXPECT_TRUE(ledger) << world.err.message;
	ledger_close(ledger);
	sqlite3 *handle;
	EXPECT_EQ(sqlite3_open((world.run / "ledger.db").c_str(), &handle), SQLITE_OK);
	/* A small cache writes pages before the commit, with the journal synced in front of them. */
	EXPECT_EQ(sqlite3_exec(handle, "PRAGMA journal_mode=TRUNCATE; PRAGMA cache_size=1; BEGIN IMMEDIATE;"
			       "PRAGMA user_version=1; UPDATE budget SET used=used+1;"
			       "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i+1 FROM n WHERE i<400)"
			       "INSERT INTO event(at,kind,detail) SELECT i,'x',hex(zeroblob(2000)) FROM n",
			       nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(handle);
	std::string journal = world.file("ledger.db-journal");
	EXPECT_EQ(sqlite3_exec(handle, "ROLLBACK", nullptr, nullptr, nullptr), SQLITE_OK);
	sqlite3_close(handle);
	return journal;
}

TEST(LedgerCorrupt, TheJournalOfAnotherRun)
{
	World other;
	std::string journal = hot_journal(other);
	ASSERT_GT(journal.size(), (size_t)PAGE);
	WorkedWorld world;
	std::string before = world.file("ledger.db");
	write_file(world.run / "ledger.db-journal", journal);
	world.expect_refused();
	EXPECT_NE(strstr(world.err.message, "another run"), nullptr) << world.err.message;
	EXPECT_EQ(world.file("ledger.db"), before) << "the ledger was destroyed";
	ASSERT_EQ(truncate((world.run / "ledger.db-journal").c_str(), 0), 0);
	struct ledger *ledger = world.open();
	ASSERT_TRUE(ledger) << world.err.message;
	expect_promises(ledger, world.bill, 20);
	ledger_close(ledger);
	/* Its own journal is rolled back as ever. */
	std::string own = other.file("ledger.db");
	write_file(other.run / "ledger.db-journal", journal);
	ledger = other.open();
	EXPECT_TRUE(ledger) << other.err.message;
	ledger_close(ledger);
}

/* An armed attempt whose slot holds a whole reply, damaged in one way, is in doubt and not answered. */
struct SlotWorld : World {
	std::string slot;

	SlotWorld() : World(6, 6)
	{
		struct ledger *ledger = open_step();
		struct ledger_shot shot = {};
		size_t armed;
		enum ledger_stop stop;
		shot.query = 1;
		EXPECT_TRUE(ledger) << err.message;
		EXPECT_EQ(ledger_arm(ledger, &shot, 1, 1, &armed, &stop, &err), 0) << err.message;
		std::string reply = reply_of(0, 1);
		memcpy(shot.slot->body, reply.data(), reply.size());
		EXPECT_EQ(slot_finish(shot.slot, 200, 0, reply.size(), nullptr), 0);
		ledger_close(ledger);
		slot = run / "slot-00";
	}
	void expect_recovered(int salvaged)
	{
		struct ledger *ledger = open();
		ASSERT_TRUE(ledger) << err.message;
		EXPECT_EQ(recovery.salvaged, salvaged);
		EXPECT_EQ(recovery.in_doubt, 1 - salvaged);
		Bill bill = {};
		bill.sent[0] = 1;
		expect_promises(ledger, bill, 6);
		ledger_close(ledger);
	}
};

TEST(LedgerSlot, WholeIsSalvaged)
{
	SlotWorld world;
	world.expect_recovered(1);
}

/* A reply that a kill cut short may hold the key that its end would have had taken out. */
TEST(LedgerSlot, NoStartLeavesAnEarlierReply)
{
	SlotWorld world;
	write_file(world.run / "slot-03", "of a start that had more slots");
	write_file(world.run / "slot-04", "");
	world.expect_recovered(1);
	EXPECT_EQ(world.file("slot-00").find_first_not_of('\0'), std::string::npos);
	std::vector<std::string> left = world.run.files();
	EXPECT_EQ(std::count(left.begin(), left.end(), "slot-03"), 0);
	EXPECT_EQ(std::count(left.begin(), left.end(), "slot-04"), 0);
}

TEST(LedgerSlot, DamagedIsInDoubt)
{
	static const struct {
		const char *what;
		off_t at;
		size_t n; /* zeros */
	} damages[] = {
		{"no header", 0, 64},         {"attempt of the header", 48, 8}, {"uuid of the header", 8, 4},
		{"no record", 512, 128},      {"attempt of the record", 560, 8}, {"status", 568, 8},
		{"head length", 576, 1},      {"body length", 584, 8},          {"checksum", 592, 1},
		{"a sector of the body", BODY_AT + 512, 512}, {"a byte of the body", BODY_AT + 1400, 1},
	};
	for (const auto &damage : damages) {
		SCOPED_TRACE(damage.what);
		SlotWorld world;
		std::string before = world.file("slot-00").substr((size_t)damage.at, damage.n);
		std::string zeros(damage.n, '\0');
		alter(world.slot, damage.at, zeros == before ? std::string(damage.n, '\x01') : zeros);
		world.expect_recovered(0);
	}
}

/* The slot was used again: the last attempt's reply is not the next one's. */
TEST(LedgerSlot, TheReplyBeforeIsInDoubt)
{
	World world(6, 6);
	world.options.slots = 1;
	struct ledger *ledger = world.open_step();
	ASSERT_TRUE(ledger) << world.err.message;
	struct ledger_shot first = {}, second = {};
	size_t armed;
	enum ledger_stop stop;
	Bill bill = {};
	first.query = 1;
	second.query = 2;
	ASSERT_EQ(ledger_arm(ledger, &first, 1, 1, &armed, &stop, nullptr), 0);
	ASSERT_EQ(settle_one(ledger, first, teach(bill, 0, first), &world.err), 0) << world.err.message;
	ASSERT_EQ(ledger_arm(ledger, &second, 1, 1, &armed, &stop, nullptr), 0);
	ASSERT_EQ(second.slot, first.slot);
	ledger_close(ledger);
	ledger = world.open();
	ASSERT_TRUE(ledger) << world.err.message;
	EXPECT_EQ(world.recovery.salvaged, 0);
	EXPECT_EQ(world.recovery.in_doubt, 1);
	expect_promises(ledger, bill, 6);
	ledger_close(ledger);
}

TEST(LedgerSlot, LengthsBeyondTheFileAreInDoubt)
{
	for (off_t at : {576, 584}) {
		SlotWorld world;
		alter(world.slot, at, std::string(8, '\x7f'));
		world.expect_recovered(0);
	}
}

TEST(LedgerSlot, MissingOrShortIsInDoubt)
{
	SlotWorld missing, cut, empty;
	ASSERT_EQ(unlink(missing.slot.c_str()), 0);
	missing.expect_recovered(0);
	ASSERT_EQ(truncate(cut.slot.c_str(), BODY_AT + 100), 0);
	cut.expect_recovered(0);
	ASSERT_EQ(truncate(empty.slot.c_str(), 0), 0);
	empty.expect_recovered(0);
}

TEST(LedgerSlot, OfAnotherRunIsInDoubt)
{
	SlotWorld world, other;
	write_file(world.slot, other.file("slot-00"));
	world.expect_recovered(0);
}

TEST(LedgerSlot, OfFewerSlotsThanBeforeIsStillRead)
{
	SlotWorld world;
	ASSERT_EQ(rename(world.slot.c_str(), (world.run / "slot-02").c_str()), 0);
	sqlite3 *handle;
	ASSERT_EQ(sqlite3_open((world.run / "ledger.db").c_str(), &handle), SQLITE_OK);
	ASSERT_EQ(sqlite3_exec(handle, "UPDATE attempt SET slot=2", nullptr, nullptr, nullptr), SQLITE_OK);
	sqlite3_close(handle);
	world.options.slots = 1;
	world.options.slot_bytes = 16;
	world.expect_recovered(1);
}

TEST(LedgerSlot, ALinkIsNotFollowed)
{
	SlotWorld world;
	Temporary elsewhere;
	ASSERT_EQ(rename(world.slot.c_str(), (elsewhere / "slot").c_str()), 0);
	ASSERT_EQ(symlink((elsewhere / "slot").c_str(), world.slot.c_str()), 0);
	EXPECT_EQ(world.open(), nullptr);
	EXPECT_EQ(world.err.code, ERR_IO);
}

TEST(LedgerSlot, FinishRefusesWhatCannotBe)
{
	World world(6, 6);
	struct ledger *ledger = world.open_step();
	struct ledger_shot shot = {};
	size_t armed;
	enum ledger_stop stop;
	shot.query = 1;
	ASSERT_EQ(ledger_arm(ledger, &shot, 1, 1, &armed, &stop, &world.err), 0) << world.err.message;
	EXPECT_EQ(shot.slot->body_room, (size_t)WORLD_SLOT_BYTES);
	EXPECT_EQ(slot_finish(shot.slot, 200, 0, WORLD_SLOT_BYTES + 1, nullptr), -1);
	EXPECT_EQ(slot_finish(shot.slot, 200, SLOT_HEAD_BYTES + 1, 0, nullptr), -1);
	EXPECT_EQ(ledger_held(ledger), 0);
	EXPECT_EQ(slot_finish(shot.slot, 200, 0, WORLD_SLOT_BYTES, &world.err), 0) << world.err.message;
	EXPECT_EQ(ledger_held(ledger), 1);
	EXPECT_EQ(slot_finish(shot.slot, 200, 0, 1, nullptr), -1) << "finished already";
	ledger_close(ledger);
}

} // namespace
