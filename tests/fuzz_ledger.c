// SPDX-License-Identifier: Apache-2.0
/*
 * Fuzz target 12: the database of a run directory. An input is a database file
 * as it stands, or changes of four bytes each to a small ledger that the target
 * has made itself, so that no corpus grows old with the schema. Slot 0 holds a
 * reply to be salvaged. What is refused is refused in printable words and is no
 * fault of the program; what is accepted adds up, can be read to its end, and is
 * accepted again. No input keeps a descriptor or needs much memory.
 */
#define _GNU_SOURCE /* fuzz_check.h */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/text.h"
#include "src/ledger/attempt.h"
#include "src/ledger/audit.h"
#include "src/ledger/cassette.h"
#include "src/ledger/database.h"
#include "src/ledger/step.h"
#include "tests/fuzz_check.h"

enum { CHANGE = 4, PAGE = 512, QUERIES = 6, BUDGET = 12, MOST_BYTES = 1 << 16, MOST_GROWTH_KIB = 256 << 10 };

static char run[80], state[80], database[96], lock[96], journal[112];
static uint8_t base[MOST_BYTES];
static size_t base_n;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- the ledger that is changed ------------------------------------------------------- */

static int judge(void *context, const struct ledger_query *query, const struct ledger_received *reply,
		 struct ledger_verdict *verdict, struct err *err)
{
	(void)context, (void)query, (void)err;
	*verdict = (struct ledger_verdict){.state = LEDGER_ANSWERED,
					   .reason = "stop",
					   .http = reply->http,
					   .content = reply->body,
					   .content_n = reply->body_n,
					   .usage = "{}",
					   .cost = -1};
	return 0;
}

static struct ledger_options options_of(bool inspect)
{
	return (struct ledger_options){.directory = run,
				       .state_directory = state,
				       .host = "h",
				       .model = "m",
				       .budget = BUDGET,
				       .max_cost = -1,
				       .slots = 3,
				       .slot_bytes = 4096,
				       .max_retries = 1,
				       .billable = true,
				       .inspect = inspect,
				       .judge = judge,
				       .now = 1};
}

/* One attempt of each end, the last two left as a killed process leaves them: with a whole reply, and without. */
static void buy(struct ledger *ledger, struct err *err)
{
	static const enum ledger_state ends[] = {LEDGER_ANSWERED, LEDGER_UNUSABLE, LEDGER_IN_DOUBT, LEDGER_RELEASED};
	struct ledger_shot shot;
	enum ledger_stop stop;
	size_t armed;

	for (size_t i = 0; i < QUERIES; i++) {
		struct ledger_verdict verdict = {.cost = -1, .reason = "r", .content = "text", .content_n = 4};

		shot = (struct ledger_shot){.query = (int64_t)i + 1};
		require(!ledger_arm(ledger, &shot, 1, 1, &armed, &stop, err) && armed == 1, "a send is armed", err);
		memcpy(shot.slot->body, "a reply", 7);
		require(i == QUERIES - 1 || !slot_finish(shot.slot, 200, 0, 7, err), "a slot is finished", err);
		if (i >= sizeof ends / sizeof *ends)
			continue;
		verdict.state = ends[i];
		require(!ledger_settle(ledger, shot.attempt, &verdict, 1, err), "a send is settled", err);
	}
}

/* Small pages, so that most bytes mean something. */
static void compact(struct err *err)
{
	struct database db;

	require(!database_open(&db, database, NULL, err), "the ledger is opened", err);
	sqlite3_limit(db.handle, SQLITE_LIMIT_ATTACHED, 1); /* VACUUM's copy */
	require(!database_do(&db, err, "PRAGMA page_size=512", "") && !database_do(&db, err, "VACUUM", ""),
		"the ledger is made compact", err);
	database_close(&db);
}

static void make_base(void)
{
	const struct ledger_options options = options_of(false);
	struct ledger_query queries[QUERIES];
	struct err err = {0};
	struct ledger *ledger = ledger_open(&options, NULL, &err);

	require(ledger != NULL, "a ledger is made", &err);
	for (size_t i = 0; i < QUERIES; i++)
		queries[i] = (struct ledger_query){.kind = "annotate",
						   .domain = i % 2 ? "tail" : "head",
						   .example_id = "7",
						   .prompt_sha256 = {(unsigned char)i},
						   .body = "{}",
						   .body_n = 2};
	require(!ledger_stage_open(ledger, 0, BUDGET, &err) &&
			!ledger_step_open(ledger, 0, "annotate", queries, QUERIES, &err),
		"a step is opened", &err);
	buy(ledger, &err);
	ledger_close(ledger);
	compact(&err);
	FILE *f = fopen(database, "rb");
	base_n = f ? fread(base, 1, sizeof base, f) : 0;
	require(f && base_n > PAGE && base_n < sizeof base, "the ledger is small", &err);
	fclose(f);
}

static void begin(void)
{
	struct err err = {0};

	fuzz_folder_make();
	snprintf(run, sizeof run, "%s/run", fuzz_folder);
	snprintf(state, sizeof state, "%s/state", fuzz_folder);
	snprintf(database, sizeof database, "%s/ledger.db", run);
	snprintf(lock, sizeof lock, "%s/run.lock", run);
	snprintf(journal, sizeof journal, "%s-journal", database);
	require(!mkdir(run, 0700) && !mkdir(state, 0700), "folders are made", &err);
	make_base();
}

/* ---- an input -------------------------------------------------------------------------- */

/* A change: where (2 bytes, little-endian), what to do there, with which value. Returns the new length. */
static size_t change(uint8_t *file, size_t n, const uint8_t c[CHANGE])
{
	size_t at = n ? (size_t)(c[0] | c[1] << 8) % n : 0, to = at / PAGE * PAGE, from = c[3] * (size_t)PAGE;

	if (!n || c[2] % 16 == 15)
		return at;
	if (c[2] % 16 == 14 && from + PAGE <= n && to + PAGE <= n)
		memmove(file + to, file + from, PAGE);
	else if (c[2] % 2)
		file[at] = c[3];
	else
		file[at] ^= c[3];
	return n;
}

static void put_database(const uint8_t *data, size_t size)
{
	static const char magic[] = "SQLite format 3";
	static uint8_t file[MOST_BYTES];
	struct err err = {0};
	size_t n = base_n;

	memcpy(file, base, n);
	for (size_t i = 0; i + CHANGE <= size; i += CHANGE)
		n = change(file, n, data + i);
	bool whole = size >= sizeof magic && !memcmp(data, magic, sizeof magic);
	FILE *f = fopen(database, "wb");
	require(f && (whole ? fwrite(data, 1, size, f) == size : fwrite(file, 1, n, f) == n), "the input is written",
		&err);
	fclose(f);
	unlink(lock);
	unlink(journal);
}

/* The next input's witness is its own. */
static void forget_witness(const char *uuid)
{
	char path[160];

	snprintf(path, sizeof path, "%s/%s.witness", state, uuid);
	unlink(path);
}

static void check_refused(const struct err *err)
{
	require(*err->message && err->code && err->code != ERR_INTERNAL && err->code != ERR_MEMORY,
		"a refusal is of the file", err);
	require_printable(err);
}

static int see_row(void *context, const struct ledger_row *row, struct err *err)
{
	(void)err;
	*(size_t *)context += row->content_n + (row->state ? strlen(row->state) : 0);
	return 0;
}

static int see_domain(void *context, const char *domain, int64_t answered, int64_t unusable, struct err *err)
{
	(void)err;
	*(size_t *)context += strlen(domain) + (size_t)(answered + unusable);
	return 0;
}

/* What `ledger audit` and `ledger export` read, in any ledger that opens for a look. */
static void look(struct ledger *ledger)
{
	struct json_writer w;
	struct err err = {0};
	size_t n, sum = 0;

	json_writer_init(&w, 0);
	if (ledger_audit(ledger, &w, &err)) {
		check_refused(&err);
	} else {
		const char *text = json_writer_text(&w, &n, &err);
		require(text && !json_check(text, n, NULL, &err), "the audit is JSON", &err);
	}
	json_writer_release(&w);
	if (ledger_attempts(ledger, see_row, &sum, &err) || ledger_domains(ledger, see_domain, &sum, &err))
		check_refused(&err);
}

static void spend(struct ledger *ledger, struct err *err)
{
	struct ledger_pending pending;
	struct ledger_shot shot = {0};
	enum ledger_stop stop;
	size_t armed = 0;

	if (ledger_pending(ledger, 0, "annotate", 1, 2, LEDGER_IN_ORDER, &pending, err)) {
		check_refused(err);
		return;
	}
	shot.query = pending.n ? pending.query[0].id : 0;
	if (pending.n && ledger_arm(ledger, &shot, 1, 1, &armed, &stop, err))
		check_refused(err);
	ledger_pending_release(&pending);
}

static void check_counts(struct ledger *ledger, struct err *err)
{
	struct ledger_counts c;

	require(!ledger_counts(ledger, &c, err), "an accepted ledger counts", err);
	require(c.used == c.armed + c.answered + c.unusable + c.in_doubt, "its units add up", err);
	require(c.used <= c.budget && c.used <= c.stage_cap && c.wire <= c.wire_cap, "its units are within the budget",
		err);
	require(strspn(ledger_uuid(ledger), "0123456789abcdef-") == 36, "its run has a name that is no path", err);
}

/* 1 where it was accepted. */
static int open_once(void)
{
	const struct ledger_options options = options_of(false);
	struct err err = {0};
	struct ledger *ledger = ledger_open(&options, NULL, &err);

	if (!ledger) {
		check_refused(&err);
		return 0;
	}
	check_counts(ledger, &err);
	look(ledger);
	spend(ledger, &err);
	check_counts(ledger, &err);
	ledger_close(ledger);
	return 1;
}

/* Opened for a look, for work, and again for what that work left. */
static void open_all(char uuid[40])
{
	const struct ledger_options options = options_of(true);
	struct err err = {0};
	struct ledger *ledger = ledger_open(&options, NULL, &err);

	if (ledger) {
		look(ledger);
		snprintf(uuid, 40, "%s", ledger_uuid(ledger));
	} else {
		check_refused(&err);
	}
	ledger_close(ledger);
	require(!open_once() || open_once(), "what was accepted is accepted again", &err);
}

static long peak_kib(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_maxrss;
}

static int next_descriptor(void)
{
	int fd = open("/", O_RDONLY | O_CLOEXEC);

	close(fd);
	return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = {0};
	char uuid[40] = "";

	if (!*fuzz_folder)
		begin();
	put_database(data, size);
	int fd = next_descriptor();
	long before = peak_kib();
	open_all(uuid);
	require(next_descriptor() == fd, "no descriptor is kept", &err);
	require(peak_kib() - before < MOST_GROWTH_KIB, "memory is bounded", &err);
	forget_witness(uuid);
	return 0;
}
