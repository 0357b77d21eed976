// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE /* memmem */

#include "src/ledger/journal.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/mem.h"

enum { LARGEST_PAGE = 65536, SMALLEST_PAGE = 512, LARGEST_SECTOR = 65536 };

/* The journal's header, big-endian. */
struct header {
	unsigned char magic[8];
	uint32_t records, nonce, pages, sector, page;
};

static const unsigned char magic[8] = {0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7};

/* A header that SQLite would act on; an unfinished one is zero and means nothing. */
static bool is_hot(const struct header *header)
{
	uint32_t page = be32toh(header->page), sector = be32toh(header->sector);
	return !memcmp(header->magic, magic, sizeof magic) && header->records && page >= SMALLEST_PAGE &&
	       page <= LARGEST_PAGE && sector >= sizeof *header && sector <= LARGEST_SECTOR;
}

/* The old page 1 among the records {number, page, checksum} behind the header; 1 found, 0 not, -1. */
static int find_first_page(int fd, const struct header *header, unsigned char *page, struct err *err)
{
	size_t size = be32toh(header->page);
	off_t at = be32toh(header->sector);
	for (uint32_t i = 0; i < be32toh(header->records); i++, at += (off_t)size + 8) {
		uint32_t number;
		ssize_t got = pread(fd, &number, sizeof number, at);
		if (got == sizeof number && be32toh(number) != 1)
			continue;
		if (got == sizeof number)
			got = pread(fd, page, size, at + 4);
		if (got < 0)
			return err_set_errno(err, ERR_IO, "cannot read 'ledger.db-journal'");
		return got == (ssize_t)size;
	}
	return 0;
}

static int check(int fd, const char *uuid, struct err *err)
{
	struct header header;
	ssize_t got = pread(fd, &header, sizeof header, 0);
	if (got < 0)
		return err_set_errno(err, ERR_IO, "cannot read 'ledger.db-journal'");
	if (got != sizeof header || !is_hot(&header))
		return 0;
	unsigned char *page = mem_array(LARGEST_PAGE, 1, err);
	int found = page ? find_first_page(fd, &header, page, err) : -1;
	bool own = found > 0 && memmem(page, be32toh(header.page), uuid, strlen(uuid));
	free(page);
	if (found <= 0 || own)
		return found < 0 ? -1 : 0;
	return err_set(err, ERR_LEDGER, "'ledger.db-journal' belongs to another run and would destroy this ledger; "
		       "put the journal of run %s back, or take this one away", uuid);
}

int journal_check(int directory, const char *uuid, struct err *err)
{
	int fd = openat(directory, "ledger.db-journal", O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return errno == ENOENT ? 0 : err_set_errno(err, ERR_IO, "cannot read 'ledger.db-journal'");
	struct stat info;
	int failed = fstat(fd, &info) ? err_set_errno(err, ERR_IO, "cannot look at 'ledger.db-journal'")
		     : !S_ISREG(info.st_mode)
			     ? err_set(err, ERR_LEDGER, "'ledger.db-journal' is not a regular file; remove it")
			     : check(fd, uuid, err);
	close(fd);
	return failed;
}
