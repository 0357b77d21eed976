// SPDX-License-Identifier: Apache-2.0
/*
 * slot.h - a preallocated, mapped file that receives one reply.
 *
 * Bytes go into pages of disk blocks that exist already, so neither a full disk
 * nor a full memory loses a reply that was paid for, and what is in a slot
 * outlives the process. It is not synced: a power cut may take it.
 *
 *     memcpy(slot->head + n, …);               // as it comes in, within head_room and body_room
 *     memcpy(slot->body + m, …);
 *     slot_finish(slot, 200, n, m, &err);      // the reply is whole: DONE record with checksum
 *
 * A key that stands in the reply is taken out before slot_finish. On a file
 * system that copies on write a full disk can still end the process here
 * (SIGBUS), which is then as safe as any kill.
 *
 * Layout: at 0 {magic, run uuid, attempt}; at 512 the DONE record {magic, run
 * uuid, attempt, status, lengths, SHA-256 of body, head and those fields}; at
 * 4096 the head; behind its room the body. A record of another run or attempt,
 * or one whose checksum does not fit its bytes, counts as no reply.
 */
#ifndef BALDISTILL_LEDGER_SLOT_H
#define BALDISTILL_LEDGER_SLOT_H

#include <stddef.h>

#include "src/base/err.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { SLOT_HEAD_BYTES = 64 * 1024 }; /* room for a reply's header lines */

struct slot {
	char *head, *body;
	size_t head_room, body_room; /* SLOT_HEAD_BYTES and the ledger's slot_bytes */
	struct slot_state *state;    /* private */
};

/* Allocates nothing. ERR_INTERNAL where no attempt holds the slot, it is finished, or a length exceeds its room. */
int slot_finish(struct slot *slot, int http, size_t head_n, size_t body_n, struct err *err);

#ifdef __cplusplus
}
#endif
#endif
