// SPDX-License-Identifier: Apache-2.0
/*
 * ledger_disk.h - a disk in memory under SQLite, which can lose what was not
 * synced and fail any write.
 *
 *     Disk disk("cut");                       // registered as SQLite's file layer "cut"
 *     disk.cut_at = 17;                       // the 17th operation is the last
 *     …                                       // all that follows fails
 *     disk.restart(Disk::TORN, random);       // what a machine finds when power is back
 *
 * Operations that count: writes, truncations, syncs, deletions. A write that is
 * cut has been given to the disk, a sync that is cut has not begun.
 */
#ifndef BALDISTILL_TESTS_LEDGER_DISK_H
#define BALDISTILL_TESTS_LEDGER_DISK_H

#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "src/ledger/database.h"

struct DiskFile {
	struct Change {
		size_t at;
		std::string bytes;
		bool truncates; /* to `at` bytes */
	};
	std::string now, durable;
	bool exists = false, durable_exists = false;
	std::vector<Change> unsynced;
};

struct Disk {
	enum Loss { KEEP, DROP, SUBSET, TORN, LOSSES };

	explicit Disk(const char *name);
	~Disk();
	Disk(const Disk &) = delete;

	/* Power is back: unsynced changes are all there, all gone, some of them, or some 512-byte sectors of them. */
	void restart(Loss loss, std::mt19937 &random);
	/* All files as they stand, and back again. */
	std::map<std::string, DiskFile> save() const;
	void load(const std::map<std::string, DiskFile> &files);

	long operations = 0;
	long cut_at = 0;      /* 0: never */
	long fail_at = 0;     /* 0: never */
	bool fail_on = false; /* from then on, else once */
	int fail_code = SQLITE_IOERR_WRITE;
	long reads = 0, fail_read = 0; /* reads are counted apart; 0: none fails */
	bool dead = false;
	std::function<void()> watch; /* called before every operation */

	/* SQLITE_OK or the fault due now. */
	int operate();
	std::shared_ptr<DiskFile> find(const std::string &path, bool create);
	void sync(DiskFile &file);
	int remove(const std::string &path, bool durable);

private:
	std::map<std::string, std::shared_ptr<DiskFile>> files;
	sqlite3_vfs vfs = {};
	std::string name;
};

#endif
