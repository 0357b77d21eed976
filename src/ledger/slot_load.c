// SPDX-License-Identifier: Apache-2.0
/*
 * What a killed process left in a slot. The file is untrusted: stale, torn,
 * another run's, or of another size than today's.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/mem.h"
#include "src/ledger/slot_layout.h"

/* Exactly n bytes at an offset: 1, 0 where the file ends before, -1. */
static int read_at(int fd, void *bytes, size_t n, off_t at, struct err *err)
{
	for (size_t done = 0; done < n;) {
		ssize_t got = pread(fd, (char *)bytes + done, n - done, at + (off_t)done);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got ? err_set_errno(err, ERR_IO, "cannot read a slot") : 0;
		done += (size_t)got;
	}
	return 1;
}

static int read_part(int fd, char **bytes, size_t n, off_t at, struct err *err)
{
	*bytes = mem_array(n + 1, 1, err);
	return *bytes ? read_at(fd, *bytes, n, at, err) : -1;
}

/* 1 where the record's checksum fits the bytes. */
static int sum_fits(const struct slot_done *done, const struct slot_reply *reply, struct err *err)
{
#ifdef LEDGER_TEST_NO_CHECKSUM
	(void)done, (void)reply, (void)err;
	return 1;
#else
	unsigned char sum[HASH_SIZE];
	struct hash hash;
	if (hash_init(&hash, err))
		return -1;
	int failed = slot_sum(sum, &hash, done, reply->head, reply->body, err);
	hash_release(&hash);
	return failed ? -1 : !memcmp(sum, done->sum, sizeof sum);
#endif
}

static bool is_of(const struct slot_header *header, const char *magic, const char *uuid, int64_t attempt)
{
	struct slot_header want = slot_header_of(magic, uuid, attempt);
	return !memcmp(header, &want, sizeof want);
}

/* The DONE record, where it is of this attempt and possible. */
static int read_record(int fd, const char *uuid, int64_t attempt, struct slot_done *done, struct err *err)
{
	struct slot_header header;
	struct stat status;
	int got = read_at(fd, &header, sizeof header, SLOT_HEADER_AT, err);
	if (got > 0)
		got = read_at(fd, done, sizeof *done, SLOT_DONE_AT, err);
	if (got <= 0)
		return got;
	if (fstat(fd, &status))
		return err_set_errno(err, ERR_IO, "cannot examine a slot");
	return is_of(&header, SLOT_HEADER_MAGIC, uuid, attempt) && is_of(&done->of, SLOT_DONE_MAGIC, uuid, attempt) &&
	       done->head_n <= SLOT_HEAD_BYTES && status.st_size >= SLOT_BODY_AT &&
	       done->body_n <= (uint64_t)(status.st_size - SLOT_BODY_AT);
}

static int load(int fd, const char *uuid, int64_t attempt, struct slot_reply *reply, struct err *err)
{
	struct slot_done done;
	int got = read_record(fd, uuid, attempt, &done, err);
	if (got > 0)
		got = read_part(fd, &reply->head, done.head_n, SLOT_HEAD_AT, err);
	if (got > 0)
		got = read_part(fd, &reply->body, done.body_n, SLOT_BODY_AT, err);
	if (got <= 0)
		return got;
	reply->http = (int)done.http;
	reply->head_n = done.head_n;
	reply->body_n = done.body_n;
	return sum_fits(&done, reply, err);
}

int slots_load(int directory, int index, const char *uuid, int64_t attempt, struct slot_reply *reply, struct err *err)
{
	char name[SLOT_NAME_ROOM];
	struct stat status;
	*reply = (struct slot_reply){0};
	slot_name(name, index);
	int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return errno == ENOENT ? 0 : err_set_errno(err, ERR_IO, "cannot open '%s'", name);
	int got = fstat(fd, &status) ? err_set_errno(err, ERR_IO, "cannot examine '%s'", name)
		  : S_ISREG(status.st_mode) ? load(fd, uuid, attempt, reply, err) : 0;
	close(fd);
	if (got <= 0)
		slot_reply_release(reply);
	return got;
}

void slot_reply_release(struct slot_reply *reply)
{
	free(reply->head);
	free(reply->body);
	*reply = (struct slot_reply){0};
}
