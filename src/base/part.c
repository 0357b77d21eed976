// SPDX-License-Identifier: Apache-2.0
#include "src/base/part.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/file.h"
#include "src/base/hash.h"
#include "src/base/mem.h"

/* Lines of fixed length, so that each is where it must be: "baldistill blocks WORK\n", "block LENGTH SHA256\n". */
#define MAGIC "baldistill blocks "
enum {
	WORK_BYTES = 2 * HASH_SIZE,
	HEAD_BYTES = sizeof MAGIC - 1 + WORK_BYTES + 1,
	LENGTH_BYTES = 16,
	BLOCK_BYTES = 6 + LENGTH_BYTES + 1 + 2 * HASH_SIZE + 1,
	STEP = 64 * 1024,
};

/* ---- bytes at a place -------------------------------------------------------------- */

/* How many of n bytes there are at `at`; -1 on failure. */
static ssize_t read_at(const struct part *part, void *bytes, size_t n, uint64_t at, struct err *err)
{
	size_t done = 0;
	while (done < n) {
		ssize_t got = pread(part->fd, (char *)bytes + done, n - done, (off_t)(at + done));
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_set_errno(err, ERR_IO, "cannot read '%s'", part->path);
		if (!got)
			break;
		done += (size_t)got;
	}
	return (ssize_t)done;
}

static int write_at(const struct part *part, const void *bytes, size_t n, uint64_t at, struct err *err)
{
	if (file_put(part->fd, bytes, n, (off_t)at))
		return err_set_errno(err, ERR_IO, "cannot write '%s'", part->path);
	return 0;
}

/* A failed sync is never tried again: the kernel may have dropped the data and would not say so twice. */
static int sync_part(const struct part *part, struct err *err)
{
	return fdatasync(part->fd) ? err_set_errno(err, ERR_IO, "cannot sync '%s'", part->path) : 0;
}

/* ---- blocks ------------------------------------------------------------------------- */

/* Length of the block whose line stands at `at`, -1 where there is none; its digest into hex. */
static int64_t block_length(const struct part *part, uint64_t at, char hex[HASH_HEX_ROOM], struct err *err)
{
	char line[BLOCK_BYTES + 1] = "", again[BLOCK_BYTES + 1];
	long long length = -1;
	if (read_at(part, line, BLOCK_BYTES, at, err) != BLOCK_BYTES ||
	    sscanf(line, "block %16lld %64[0-9a-f]", &length, hex) != 2 || length < 0)
		return -1;
	snprintf(again, sizeof again, "block %016lld %s\n", length, hex);
	return strcmp(line, again) ? -1 : length;
}

/* Every byte of [at, at + n), which may be more than there are, to `use`. */
static int each_piece(const struct part *part, uint64_t at, uint64_t n,
		      int (*use)(void *, const void *, size_t, struct err *), void *context, struct err *err)
{
	char piece[STEP];
	for (ssize_t got; n; n -= (uint64_t)got, at += (uint64_t)got) {
		got = read_at(part, piece, n < STEP ? n : STEP, at, err);
		if (got < 0 || (got && use(context, piece, (size_t)got, err)))
			return -1;
		if (!got)
			return err_set(err, ERR_IO, "'%s' ends too early", part->path);
	}
	return 0;
}

static int add_to_hash(void *hash, const void *bytes, size_t n, struct err *err)
{
	return hash_update(hash, bytes, n, err);
}

/* Whether n bytes at `at` have this digest; fewer bytes have not. */
static bool block_is_whole(const struct part *part, uint64_t at, int64_t n, const char *hex, struct err *err)
{
	unsigned char digest[HASH_SIZE];
	char is[HASH_HEX_ROOM] = "";
	struct hash hash;
	if (hash_init(&hash, err))
		return false;
	if (!each_piece(part, at, (uint64_t)n, add_to_hash, &hash, err) && !hash_final(digest, &hash, err))
		hash_hex(is, digest);
	hash_release(&hash);
	return !strcmp(is, hex);
}

/* The whole blocks; what follows them is torn and goes. A file that cannot be read keeps what it has. */
static int find_blocks(struct part *part, struct err *err)
{
	struct err failed = {0};
	char hex[HASH_HEX_ROOM];
	struct stat status;
	if (fstat(part->fd, &status))
		return err_set_errno(err, ERR_IO, "cannot examine '%s'", part->path);
	for (int64_t n; (n = block_length(part, part->end, hex, &failed)) >= 0; part->blocks++) {
		uint64_t end = part->end + BLOCK_BYTES + (uint64_t)n;
		if (end > (uint64_t)status.st_size || !block_is_whole(part, part->end + BLOCK_BYTES, n, hex, &failed))
			break;
		part->end = end;
	}
	if (failed.code)
		return err_set(err, failed.code, "%s", failed.message);
	return ftruncate(part->fd, (off_t)part->end)
		       ? err_set_errno(err, ERR_IO, "cannot cut '%s'", part->path) : 0;
}

/* ---- the file ------------------------------------------------------------------------- */

static int open_file(struct part *part, struct err *err)
{
	struct stat status;
	part->fd = open(part->path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0666);
	if (part->fd < 0)
		return err_set_errno(err, file_output_code(errno), "cannot create '%s'", part->path);
	if (fstat(part->fd, &status) || !S_ISREG(status.st_mode))
		return err_set(err, ERR_CANTCREATE, "cannot create '%s': it is not a regular file", part->path);
	if (flock(part->fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK)
		return err_set(err, ERR_TEMPFAIL, "another process works on '%s'; wait for its end", part->path);
	return 0;
}

/* The name of a new file is on disk only once its directory is. */
static int sync_name(const struct part *part, struct err *err)
{
	char *folder = mem_strdup(part->path, err), *slash = folder ? strrchr(folder, '/') : NULL;
	if (!folder)
		return -1;
	if (slash)
		slash[slash == folder] = '\0';
	int rc = file_sync_dir(slash ? folder : ".", err);
	free(folder);
	return rc;
}

static int begin_anew(struct part *part, const char *head, struct err *err)
{
	if (ftruncate(part->fd, 0))
		return err_set_errno(err, ERR_IO, "cannot cut '%s'", part->path);
	return write_at(part, head, HEAD_BYTES, 0, err) || sync_part(part, err) || sync_name(part, err) ? -1 : 0;
}

/* The name of the work, or the torn beginning of such a line; anything else is somebody's file. */
static int read_head(struct part *part, const char *head, struct err *err)
{
	char is[HEAD_BYTES];
	ssize_t n = read_at(part, is, HEAD_BYTES, 0, err);
	size_t magic = sizeof MAGIC - 1;
	if (n < 0)
		return -1;
	if (memcmp(is, MAGIC, (size_t)n < magic ? (size_t)n : magic))
		return err_set(err, ERR_CANTCREATE, "'%s' is needed for unfinished work and is another file; move it away",
			       part->path);
	part->ours = true;
	if (n == HEAD_BYTES && !memcmp(is, head, HEAD_BYTES))
		return find_blocks(part, err);
	part->dropped = n == HEAD_BYTES;
	return begin_anew(part, head, err);
}

int part_open(struct part *part, const char *output, const char *work, struct err *err)
{
	size_t room = strlen(output) + sizeof ".part";
	char head[HEAD_BYTES + 1];
	snprintf(head, sizeof head, MAGIC "%.64s\n", work);
	*part = (struct part){.fd = -1, .output = output, .begin = HEAD_BYTES, .end = HEAD_BYTES};
	part->path = mem_array(room, 1, err);
	if (!part->path)
		return -1;
	snprintf(part->path, room, "%s.part", output);
	if (!open_file(part, err) && !read_head(part, head, err))
		return 0;
	part_close(part);
	return -1;
}

int part_add(struct part *part, const char *text, size_t n, struct err *err)
{
	unsigned char digest[HASH_SIZE];
	char hex[HASH_HEX_ROOM], line[BLOCK_BYTES + 1];
	if (hash_bytes(digest, text, n, err))
		return -1;
	hash_hex(hex, digest);
	snprintf(line, sizeof line, "block %016zu %s\n", n, hex);
	if (write_at(part, line, BLOCK_BYTES, part->end, err) ||
	    write_at(part, text, n, part->end + BLOCK_BYTES, err) || sync_part(part, err))
		return -1;
	part->end += BLOCK_BYTES + n;
	part->blocks++;
	return 0;
}

static int copy_piece(void *writer, const void *bytes, size_t n, struct err *err)
{
	return file_writer_write(writer, bytes, n, err);
}

int part_finish(struct part *part, struct err *err)
{
	struct file_writer writer;
	char hex[HASH_HEX_ROOM];
	int rc = file_writer_open(&writer, part->output, 0666, err);
	for (uint64_t at = part->begin; !rc && at < part->end;) {
		int64_t n = block_length(part, at, hex, err);
		at += BLOCK_BYTES;
		rc = n < 0 ? err_set(err, ERR_IO, "'%s' changed while it was in use", part->path)
			   : each_piece(part, at, (uint64_t)n, copy_piece, &writer, err);
		at += rc ? 0 : (uint64_t)n;
	}
	if (rc)
		file_writer_abort(&writer);
	else
		rc = file_writer_commit(&writer, err);
	if (!rc)
		unlink(part->path);
	return rc;
}

void part_close(struct part *part)
{
	if (part->ours && !part->blocks)
		unlink(part->path);
	if (part->fd >= 0)
		close(part->fd);
	free(part->path);
	*part = (struct part){.fd = -1};
}
