// SPDX-License-Identifier: Apache-2.0
/*
 * slots.h - the slots of a run, for src/ledger alone: who holds which, and what
 * is found in them after a kill.
 */
#ifndef BALDISTILL_LEDGER_SLOTS_H
#define BALDISTILL_LEDGER_SLOTS_H

#include <stdbool.h>
#include <stdint.h>

#include "src/base/hash.h"
#include "src/ledger/schema.h"
#include "src/ledger/slot.h"

struct slot_state {
	char *map;
	size_t map_n;
	int index;
	int64_t attempt;   /* 0: free */
	bool finished;
	int http;
	size_t head_n, body_n;
	struct hash hash;  /* made when armed, so that finishing allocates nothing */
	const char *uuid;  /* borrowed */
};

struct slots {
	struct slot *slot;        /* [n] */
	struct slot_state *state; /* [n] */
	int n;
};

/* Open, preallocate and map n slots with room for body_room bytes each; uuid is borrowed. */
int slots_open(struct slots *slots, int directory, int n, size_t body_room, const char *uuid, struct err *err);
void slots_close(struct slots *slots);
/* The slot of an attempt, or NULL; attempt 0: a free one. */
struct slot *slots_find(struct slots *slots, int64_t attempt);

/* How many hold a whole reply. */
int slots_held(const struct slots *slots);

/* Bind a slot to an attempt: writes its header. */
int slot_arm(struct slot *slot, int64_t attempt, struct err *err);
void slot_disarm(struct slot *slot);
/* What a reply that cannot be committed still deserves: the disk's own memory. Nothing relies on its success. */
void slot_sync(struct slot *slot);

/* A reply found in a slot file. */
struct slot_reply {
	int http;
	char *head, *body; /* owned */
	size_t head_n, body_n;
};
/* Read the reply of an attempt: 1, 0 where slot `index` has no whole reply of that attempt, -1 (ERR_IO, ERR_MEMORY). */
int slots_load(int directory, int index, const char *uuid, int64_t attempt, struct slot_reply *reply, struct err *err);
void slot_reply_release(struct slot_reply *reply);

#endif
