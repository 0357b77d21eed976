// SPDX-License-Identifier: Apache-2.0
/*
 * part.h - finished blocks of a long job, kept beside its output until all are there.
 *
 *     struct part part;
 *     if (part_open(&part, output, work, &err))          // work: 64 hexadecimal digits, what decides the bytes
 *             return -1;
 *     for (size_t i = part.blocks; i < all; i++)          // what an earlier start finished is not done again
 *             if (part_add(&part, text, n, &err))
 *                     break;
 *     rc = part_finish(&part, &err);                      // only when all blocks are there
 *     part_close(&part);
 *
 * OUTPUT.part begins with a line that names the work; each block stands behind
 * a line with its length and SHA-256, and is on disk before part_add returns.
 * So a killed process, and a power cut, leave whole blocks that a later start
 * finds, and at most one torn block, which it cuts off. Blocks of another work
 * are dropped. part_finish writes all blocks aside, gives the file its name,
 * and removes OUTPUT.part; part_close keeps it while it holds a block.
 *
 * Failures: ERR_CANTCREATE (a file cannot be created; OUTPUT.part is
 * something else), ERR_TEMPFAIL (another process works on it),
 * ERR_IO, ERR_MEMORY. A struct part is for one thread.
 */
#ifndef BALDISTILL_BASE_PART_H
#define BALDISTILL_BASE_PART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "src/base/err.h"

struct part {
	size_t blocks;      /* whole blocks in the file */
	bool dropped;       /* it held blocks of another work */
	bool ours;          /* the file is of this kind, and locked */
	int fd;             /* -1: closed */
	uint64_t begin, end;/* of the blocks in the file */
	char *path;         /* OUTPUT.part */
	const char *output; /* borrowed */
};

int part_open(struct part *part, const char *output, const char *work, struct err *err);
int part_add(struct part *part, const char *text, size_t n, struct err *err);
int part_finish(struct part *part, struct err *err);
void part_close(struct part *part);

#endif
