// SPDX-License-Identifier: Apache-2.0
/*
 * slot_layout.h - what stands where in a slot file.
 */
#ifndef BALDISTILL_LEDGER_SLOT_LAYOUT_H
#define BALDISTILL_LEDGER_SLOT_LAYOUT_H

#include <stdint.h>

#include "src/ledger/slots.h"

enum { SLOT_HEADER_AT = 0, SLOT_DONE_AT = 512, SLOT_HEAD_AT = 4096, SLOT_BODY_AT = SLOT_HEAD_AT + SLOT_HEAD_BYTES,
       SLOT_NAME_ROOM = 32 };

#define SLOT_HEADER_MAGIC "BDSLOT1"
#define SLOT_DONE_MAGIC "BDDONE1"

struct slot_header {
	char magic[8], uuid[SCHEMA_UUID + 4];
	int64_t attempt;
};

struct slot_done {
	struct slot_header of;
	int64_t http;
	uint64_t head_n, body_n;
	unsigned char sum[HASH_SIZE]; /* SHA-256 of body, head and all fields above */
};

struct slot_header slot_header_of(const char *magic, const char *uuid, int64_t attempt);
void slot_name(char name[SLOT_NAME_ROOM], int index);
/* Sum up body, head and the record's other fields with a fresh hash. */
int slot_sum(unsigned char sum[HASH_SIZE], struct hash *hash, const struct slot_done *done, const char *head,
	     const char *body, struct err *err);

#endif
