// SPDX-License-Identifier: Apache-2.0
#include "src/ledger/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "src/base/file.h"
#include "src/ledger/audit.h"
#include "src/ledger/internal.h"
#include "src/ledger/journal.h"
#include "src/ledger/lock.h"

enum { MOST_SLOTS = 1024, LEAST_ALLOWANCE = 100 };

static const size_t most_slot_bytes = 64 << 20;

static int check_options(const struct ledger_options *o, struct err *err)
{
	if (o->inspect)
		return 0;
	if (o->slots < 1 || o->slots > MOST_SLOTS || o->slot_bytes < 1 || o->slot_bytes > most_slot_bytes)
		return err_set(err, ERR_CONFIG, "a ledger has 1 to %d slots of 1 to %zu bytes", MOST_SLOTS, most_slot_bytes);
	if (o->budget < 0 || o->budget > INT64_MAX / 4 || o->max_cost < -1 || o->max_retries < 0)
		return err_set(err, ERR_CONFIG, "budget, max_cost and max_retries must be numbers from 0 on");
	if (o->billable && !o->judge)
		return err_set(err, ERR_INTERNAL, "a ledger of a billed teacher needs a judge");
	return 0;
}

/* A random uuid, version 4 (RFC 9562, 5.4). */
static int make_uuid(char uuid[SCHEMA_UUID + 1], struct err *err)
{
	unsigned char b[16];
	if (getrandom(b, sizeof b, 0) != sizeof b)
		return err_set_errno(err, ERR_INTERNAL, "no random numbers for the run's name");
	b[6] = (unsigned char)((b[6] & 0x0F) | 0x40);
	b[8] = (unsigned char)((b[8] & 0x3F) | 0x80);
	for (int i = 0, at = 0; i < 16; i++)
		at += snprintf(uuid + at, (size_t)(SCHEMA_UUID + 1 - at), i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", b[i]);
	return 0;
}

/* Refusals that one start may meet. */
static int64_t allowance(int64_t budget)
{
	int64_t tenth = (budget + 9) / 10;
	return tenth > LEAST_ALLOWANCE ? tenth : LEAST_ALLOWANCE;
}

int64_t ledger_wire_cap(int64_t budget)
{
	return budget + allowance(budget);
}

/* max_cost as its column: an empty text where there is no cap, which NULLIF makes null. */
#define COST_CAP "CASE WHEN ?2<0 THEN NULL ELSE ?2 END"

static int fill(struct ledger *l, const struct ledger_options *o, struct err *err)
{
	if (schema_create(&l->db, l->uuid, err))
		return -1;
	if (database_do(&l->db, err, "INSERT INTO run VALUES(1,?1,?2,?3,?4,?5,0)", "tittb", l->uuid,
			(int64_t)SCHEMA_FORMAT, o->host ? o->host : "", o->model ? o->model : "", o->params_sha256,
			(size_t)HASH_SIZE))
		return -1;
	return database_do(&l->db, err, "INSERT INTO budget VALUES(1,?1,0,0,?3,0," COST_CAP ",0)", "iii", o->budget,
			   o->max_cost, ledger_wire_cap(o->budget));
}

static int create(struct ledger *l, const struct ledger_options *o, struct err *err)
{
	if (make_uuid(l->uuid, err) || database_begin(&l->db, err))
		return -1;
	if (fill(l, o, err))
		return database_rollback(&l->db);
	return database_commit(&l->db, err);
}

/* The database of this run, or a fresh one where there is none and none was. */
static int find_run(struct ledger *l, const struct ledger_options *o, bool *created, struct err *err)
{
	bool absent;
	int64_t application;
	if (schema_absent(&l->db, &absent, err) ||
	    database_int(&l->db, err, &application, 0, "PRAGMA application_id", ""))
		return -1;
	*created = absent && !o->inspect && !*l->uuid;
	if (*created)
		return create(l, o, err) || lock_write(l->lock, l->uuid, err) ? -1 : 0;
	if (absent)
		return err_set(err, ERR_LEDGER, "ledger '%s' is gone or empty though the run has begun; put it back, or "
			       "begin in another directory", l->db.path);
	if (application != SCHEMA_APPLICATION)
		return err_set(err, ERR_LEDGER, "'%s' is not a ledger", l->db.path);
	if (!*l->uuid && (schema_uuid(&l->db, l->uuid, err) || (!o->inspect && lock_write(l->lock, l->uuid, err))))
		return -1;
	return schema_check(&l->db, l->uuid, err);
}

static int differs(struct ledger *l, const char *column, const char *key, const char *now, struct err *err)
{
	char sql[64];
	int64_t same;
	snprintf(sql, sizeof sql, "SELECT %s=?1 FROM run", column);
	if (database_int(&l->db, err, &same, 0, sql, "t", now ? now : ""))
		return -1;
	if (same)
		return 0;
	return err_set(err, ERR_CONFIG, "this run began with another '%s'; restore it or begin in another directory", key);
}

static int check_identity(struct ledger *l, const struct ledger_options *o, struct err *err)
{
	int64_t same;
	if (differs(l, "host", "teacher.base_url", o->host, err) || differs(l, "model", "teacher.model", o->model, err) ||
	    database_int(&l->db, err, &same, 0, "SELECT params_sha256=?1 FROM run", "b", o->params_sha256,
			 (size_t)HASH_SIZE))
		return -1;
	return same ? 0 : err_set(err, ERR_CONFIG, "this run began with another plan, other examples, other prompts or another student (their files may be moved, not changed); restore them or begin in another directory");
}

static int check_witness(struct ledger *l, const struct ledger_options *o, struct err *err)
{
	int64_t newest;
	if (witness_open(&l->witness, o->state_directory, l->uuid, err) ||
	    database_int(&l->db, err, &newest, 0, "SELECT max(id) FROM attempt", ""))
		return -1;
	if (l->witness.armed <= newest)
		return witness_raise(&l->witness, newest, err);
	return err_set(err, ERR_LEDGER, "ledger '%s' knows %lld attempts, its witness %lld: it is an old copy, and what "
		       "was bought since would be bought again. Take up the newer one; where it is lost, compare the run "
		       "with the teacher's bill, then remove '%s'", l->db.path, (long long)newest,
		       (long long)l->witness.armed, l->witness.path);
}

enum { CAP_ROOM = 32 };

static const char *cap_text(char text[CAP_ROOM], int64_t cost_cap)
{
	snprintf(text, CAP_ROOM, cost_cap < 0 ? "none" : "%.9g", (double)cost_cap / 1e9);
	return text;
}

/* Budget and max_cost as the plan has them now. */
static int apply_caps(struct ledger *l, const struct ledger_options *o, struct err *err)
{
	char detail[160], was[CAP_ROOM], is[CAP_ROOM];
	int64_t budget, cost_cap;
	if (database_int(&l->db, err, &budget, 0, "SELECT cap FROM budget", "") ||
	    database_int(&l->db, err, &cost_cap, -1, "SELECT cost_cap FROM budget", ""))
		return -1;
	if (o->budget < budget)
		return err_set(err, ERR_CONFIG, "the budget of a run cannot shrink from %lld to %lld", (long long)budget,
			       (long long)o->budget);
	if (o->allow && o->allow(o->allow_context, l, err))
		return -1;
	if (o->budget == budget && o->max_cost == cost_cap)
		return 0;
	snprintf(detail, sizeof detail, "budget %lld to %lld, max_cost %s to %s", (long long)budget, (long long)o->budget,
		 cap_text(was, cost_cap), cap_text(is, o->max_cost));
	if (event_add(l, "caps", detail, o->now, err))
		return -1;
	return database_do(&l->db, err, "UPDATE budget SET cap=?1, cost_cap=" COST_CAP, "ii", o->budget, o->max_cost);
}

/* Sends that are refused cost nothing: every start may meet as many of them again. */
static int allow_sends(struct ledger *l, const struct ledger_options *o, struct err *err)
{
	return database_do(&l->db, err, "UPDATE budget SET wire_cap=max(wire_cap,wire+cap-used+?1)", "i", allowance(o->budget));
}

/* No wait is as long as this but for one that a clock set back has made so. */
static int clamp_waits(struct ledger *l, const struct ledger_options *o, struct err *err)
{
	if (!o->most_wait)
		return 0;
	return database_do(&l->db, err, "UPDATE query SET not_before=?1 WHERE state='PENDING' AND not_before>?1+?2 AND"
			   " not_before<?3", "iii", o->now, o->most_wait, (int64_t)INT64_MAX);
}

/* What may be changed only once everything was found good. */
static int begin_epoch(struct ledger *l, const struct ledger_options *o, struct ledger_recovery *recovery,
		       struct err *err)
{
	if (ledger_begin(l, err))
		return -1;
	if (apply_caps(l, o, err) || database_do(&l->db, err, "UPDATE run SET epoch=epoch+1", "") ||
	    database_int(&l->db, err, &l->epoch, 0, "SELECT epoch FROM run", "") ||
	    ledger_recover(l, o, recovery, err) || ledger_price_unpriced(l, o, err) ||
	    allow_sends(l, o, err) || clamp_waits(l, o, err))
		return database_rollback(&l->db);
	return database_commit(&l->db, err);
}

/* The user's alone from the first byte on; what SQLite puts beside it takes its mode. */
static int make_database(const struct ledger *l, struct err *err)
{
	int fd = openat(l->directory_fd, "ledger.db", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return errno == EEXIST ? 0 : err_set_errno(err, ERR_CANTCREATE, "cannot create '%s/ledger.db'", l->directory);
	close(fd);
	return 0;
}

static int open_database(struct ledger *l, const char *vfs, struct err *err)
{
	size_t room = strlen(l->directory) + sizeof "/ledger.db";
	char *path = mem_array(room, 1, err);
	if (!path)
		return -1;
	snprintf(path, room, "%s/ledger.db", l->directory);
	int failed = make_database(l, err) || database_open(&l->db, path, vfs, err) ? -1 : 0;
	free(path);
	return failed;
}

static int open_files(struct ledger *l, const struct ledger_options *o, struct err *err)
{
	l->directory_fd = lock_directory(o->directory, err);
	if (l->directory_fd < 0)
		return -1;
	l->directory = realpath(o->directory, NULL);
	if (!l->directory)
		return err_set_errno(err, file_input_code(errno), "run directory '%s'", o->directory);
	l->lock = lock_take(l->directory_fd, o->directory, err);
	if (l->lock < 0 || lock_read(l->lock, l->uuid, err))
		return -1;
	if (*l->uuid && journal_check(l->directory_fd, l->uuid, err))
		return -1;
	return open_database(l, o->vfs, err);
}

static int start(struct ledger *l, const struct ledger_options *o, struct ledger_recovery *recovery, struct err *err)
{
	if (check_options(o, err) || open_files(l, o, err) || find_run(l, o, &recovery->created, err))
		return -1;
	if (o->inspect)
		return 0;
	if (ledger_check(l, err) || check_identity(l, o, err) || check_witness(l, o, err) ||
	    begin_epoch(l, o, recovery, err))
		return -1;
	return slots_open(&l->slots, l->directory_fd, o->slots, o->slot_bytes, l->uuid, err);
}

struct ledger *ledger_open(const struct ledger_options *options, struct ledger_recovery *recovery, struct err *err)
{
	struct ledger_recovery own;
	struct ledger *l = mem_array(1, sizeof *l, err);
	if (!l)
		return NULL;
	*l = (struct ledger){.directory_fd = -1, .lock = -1, .witness.fd = -1, .max_retries = options->max_retries,
			     .slot_bytes = options->slot_bytes, .billable = options->billable,
			     .strict = options->strict, .inspect = options->inspect};
	recovery = recovery ? recovery : &own;
	*recovery = (struct ledger_recovery){0};
	if (!start(l, options, recovery, err))
		return l;
	ledger_close(l);
	return NULL;
}

int ledger_finish(struct ledger *l, struct err *err)
{
	int64_t armed;
	if (database_int(&l->db, err, &armed, 0, "SELECT count(*) FROM attempt WHERE state='ARMED'", ""))
		return -1;
	if (armed)
		return 0;
	slots_close(&l->slots);
	slots_remove(l->directory_fd, 0);
	return 0;
}

/* The lock goes last: nobody else may open the database before it is closed. */
void ledger_close(struct ledger *l)
{
	if (!l)
		return;
	slots_close(&l->slots);
	database_close(&l->db);
	witness_close(&l->witness);
	if (l->lock >= 0)
		close(l->lock);
	if (l->directory_fd >= 0)
		close(l->directory_fd);
	free(l->directory);
	free(l);
}

const char *ledger_uuid(const struct ledger *ledger)
{
	return ledger->uuid;
}

int ledger_held(const struct ledger *l)
{
	return slots_held(&l->slots);
}

int ledger_begin(struct ledger *l, struct err *err)
{
	if (l->inspect)
		return err_set(err, ERR_INTERNAL, "a ledger opened for inspection is written");
	return database_begin(&l->db, err);
}
