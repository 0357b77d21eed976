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
	bool settled;      /* in the open turn; */
	int64_t next;      /* armed in it: takes the slot over when the turn is committed; 0: none */
	struct hash next_hash;
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
/* Remove the files of slots from number `from` on, which must be closed. */
void slots_remove(int directory, int from);
/* The slot of an attempt, or NULL; attempt 0: one that is free or will be when the turn is committed. */
struct slot *slots_find(struct slots *slots, int64_t attempt);

/* How many hold a whole reply. */
int slots_held(const struct slots *slots);

/*
 * Within a turn: promise the slot to an attempt, or say that its own is settled.
 * Until the turn ends the file stays as it is: a kill must find there what it
 * would have found before.
 */
int slot_arm(struct slot *slot, int64_t attempt, struct err *err);
void slot_settle(struct slot *slot);
/*
 * The turn ended. Where the settling was not committed a reply still deserves the
 * disk's own memory; nothing relies on its success. An armed slot's header is written.
 */
void slots_end_settled(struct slots *slots, bool committed);
void slots_end_armed(struct slots *slots, bool committed);

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
