// SPDX-License-Identifier: Apache-2.0
#include "tests/ledger_disk.h"

#include <algorithm>
#include <cstring>
#include <new>

namespace {

struct OpenFile {
	sqlite3_file base;
	Disk *disk;
	std::shared_ptr<DiskFile> *file;
};

OpenFile *of(sqlite3_file *file)
{
	return reinterpret_cast<OpenFile *>(file);
}

void change_bytes(std::string &bytes, const DiskFile::Change &change)
{
	if (change.truncates) {
		bytes.resize(change.at);
		return;
	}
	bytes.resize(std::max(bytes.size(), change.at + change.bytes.size()));
	bytes.replace(change.at, change.bytes.size(), change.bytes);
}

/* Each 512-byte sector of a write reached the disk or did not. */
void tear(std::string &bytes, const DiskFile::Change &change, std::mt19937 &random)
{
	if (change.truncates) {
		if (random() % 2)
			change_bytes(bytes, change);
		return;
	}
	for (size_t done = 0; done < change.bytes.size();) {
		size_t sector_end = ((change.at + done) / 512 + 1) * 512;
		size_t n = std::min(change.bytes.size() - done, sector_end - change.at - done);
		if (random() % 2)
			change_bytes(bytes, {change.at + done, change.bytes.substr(done, n), false});
		done += n;
	}
}

void change(DiskFile &file, DiskFile::Change change)
{
	change_bytes(file.now, change);
	file.unsynced.push_back(std::move(change));
}

int do_close(sqlite3_file *file)
{
	delete of(file)->file;
	return SQLITE_OK;
}

int do_read(sqlite3_file *file, void *out, int n, sqlite3_int64 at)
{
	const std::string &bytes = (*of(file)->file)->now;
	size_t from = std::min((size_t)at, bytes.size()), got = std::min((size_t)n, bytes.size() - from);
	Disk *disk = of(file)->disk;
	if (disk->dead || ++disk->reads == disk->fail_read)
		return SQLITE_IOERR_READ;
	memcpy(out, bytes.data() + from, got);
	memset((char *)out + got, 0, (size_t)n - got);
	return got == (size_t)n ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
}

int do_write(sqlite3_file *file, const void *in, int n, sqlite3_int64 at)
{
	Disk *disk = of(file)->disk;
	bool alive = !disk->dead;
	int rc = disk->operate();
	/* What fails half way has written half; what is cut has been handed over. */
	size_t taken = rc == SQLITE_OK || (alive && disk->dead) ? (size_t)n : disk->dead ? 0 : (size_t)n / 2;
	if (taken)
		change(**of(file)->file, {(size_t)at, std::string((const char *)in, taken), false});
	return rc;
}

int do_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	Disk *disk = of(file)->disk;
	bool alive = !disk->dead;
	int rc = disk->operate();
	if (rc == SQLITE_OK || (alive && disk->dead))
		change(**of(file)->file, {(size_t)size, "", true});
	return rc;
}

int do_sync(sqlite3_file *file, int)
{
	Disk *disk = of(file)->disk;
	int rc = disk->operate();
	if (rc == SQLITE_OK)
		disk->sync(**of(file)->file);
	else if (!disk->dead)
		(*of(file)->file)->unsynced.clear(); /* dropped from the cache's list: a second sync would not write it */
	return rc;
}

int do_size(sqlite3_file *file, sqlite3_int64 *size)
{
	*size = (sqlite3_int64)(*of(file)->file)->now.size();
	return SQLITE_OK;
}

int do_lock(sqlite3_file *, int)
{
	return SQLITE_OK;
}

int do_check_lock(sqlite3_file *, int *held)
{
	*held = 0;
	return SQLITE_OK;
}

int do_control(sqlite3_file *, int, void *)
{
	return SQLITE_NOTFOUND;
}

int do_sector(sqlite3_file *)
{
	return 512;
}

int do_traits(sqlite3_file *)
{
	return SQLITE_IOCAP_POWERSAFE_OVERWRITE; /* as the system's file layer says */
}

const sqlite3_io_methods methods = {
	1,       do_close, do_read,       do_write,   do_truncate, do_sync,   do_size, do_lock, do_lock, do_check_lock,
	do_control, do_sector, do_traits, nullptr,    nullptr,     nullptr,   nullptr, nullptr, nullptr,
};

Disk *disk_of(sqlite3_vfs *vfs)
{
	return static_cast<Disk *>(vfs->pAppData);
}

int do_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *file, int flags, int *out_flags)
{
	Disk *disk = disk_of(vfs);
	file->pMethods = nullptr;
	if (disk->dead)
		return SQLITE_CANTOPEN;
	std::shared_ptr<DiskFile> found = disk->find(path ? path : "temporary", flags & SQLITE_OPEN_CREATE);
	if (!found)
		return SQLITE_CANTOPEN;
	of(file)->disk = disk;
	of(file)->file = new std::shared_ptr<DiskFile>(found);
	file->pMethods = &methods;
	if (out_flags)
		*out_flags = flags;
	return SQLITE_OK;
}

int do_delete(sqlite3_vfs *vfs, const char *path, int durable)
{
	return disk_of(vfs)->remove(path, durable);
}

int do_access(sqlite3_vfs *vfs, const char *path, int, int *there)
{
	std::shared_ptr<DiskFile> file = disk_of(vfs)->find(path, false);
	*there = file && !file->now.empty();
	return disk_of(vfs)->dead ? SQLITE_IOERR_ACCESS : SQLITE_OK;
}

int do_full_path(sqlite3_vfs *, const char *path, int room, char *out)
{
	sqlite3_snprintf(room, out, "%s", path);
	return SQLITE_OK;
}

} // namespace

Disk::Disk(const char *name) : name(name)
{
	vfs = *sqlite3_vfs_find(nullptr);
	vfs.iVersion = 1;
	vfs.szOsFile = sizeof(OpenFile);
	vfs.pNext = nullptr;
	vfs.zName = this->name.c_str();
	vfs.pAppData = this;
	vfs.xOpen = do_open;
	vfs.xDelete = do_delete;
	vfs.xAccess = do_access;
	vfs.xFullPathname = do_full_path;
	sqlite3_vfs_register(&vfs, 0);
}

Disk::~Disk()
{
	sqlite3_vfs_unregister(&vfs);
}

int Disk::operate()
{
	operations++;
	if (watch)
		watch();
	if (dead || operations == cut_at) {
		dead = true;
		return SQLITE_IOERR;
	}
	bool fails = fail_at && (operations == fail_at || (fail_on && operations > fail_at));
	return fails ? fail_code : SQLITE_OK;
}

std::shared_ptr<DiskFile> Disk::find(const std::string &path, bool create)
{
	std::shared_ptr<DiskFile> &file = files[path];
	if (!file)
		file = std::make_shared<DiskFile>();
	if (create)
		file->exists = true;
	return file->exists ? file : nullptr;
}

/* Syncing a file makes its own content durable, and (with the first sync, as SQLite does) its name. */
void Disk::sync(DiskFile &file)
{
	for (const DiskFile::Change &change : file.unsynced)
		change_bytes(file.durable, change);
	file.unsynced.clear();
	file.durable_exists = true;
}

int Disk::remove(const std::string &path, bool durable)
{
	int rc = operate();
	std::shared_ptr<DiskFile> file = find(path, false);
	if (rc != SQLITE_OK)
		return SQLITE_IOERR_DELETE;
	if (!file)
		return SQLITE_IOERR_DELETE_NOENT;
	file->exists = false;
	if (durable)
		file->durable_exists = false;
	return SQLITE_OK;
}

void Disk::restart(Loss loss, std::mt19937 &random)
{
	for (auto &entry : files) {
		DiskFile &file = *entry.second;
		for (const DiskFile::Change &change : file.unsynced) {
			if (loss == KEEP || (loss == SUBSET && random() % 2))
				change_bytes(file.durable, change);
			else if (loss == TORN)
				tear(file.durable, change, random);
		}
		bool kept = loss == KEEP || (loss != DROP && random() % 2);
		file.exists = kept ? file.exists : file.durable_exists;
		file.durable = file.exists ? file.durable : "";
		entry.second = std::make_shared<DiskFile>(DiskFile{file.durable, file.durable, file.exists, file.exists, {}});
	}
	dead = false;
	cut_at = fail_at = operations = 0;
}

std::map<std::string, DiskFile> Disk::save() const
{
	std::map<std::string, DiskFile> copy;
	for (const auto &entry : files)
		copy[entry.first] = *entry.second;
	return copy;
}

void Disk::load(const std::map<std::string, DiskFile> &saved)
{
	files.clear();
	for (const auto &entry : saved)
		files[entry.first] = std::make_shared<DiskFile>(entry.second);
	dead = false;
	cut_at = fail_at = operations = 0;
}
