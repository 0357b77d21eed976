// SPDX-License-Identifier: Apache-2.0
/*
 * slot.h - where one reply lands: two buffers of fixed size that the caller
 * owns (memory, or a mapped file that outlives the process). Their sizes are
 * the limits on header and body; nothing is allocated while a reply comes in.
 * The bytes stand as the server sent them until the transfer ends; then the
 * key is replaced in them.
 */
#ifndef BALDISTILL_TEACHER_SLOT_H
#define BALDISTILL_TEACHER_SLOT_H

#include <stddef.h>

enum {
	TEACHER_HEAD_MAX = 64 << 10, /* what a slot should hold: all header lines, interim replies included */
	TEACHER_BODY_MAX = 4 << 20,
};

struct teacher_slot {
	char *head, *body;
	size_t head_room, body_room;
	size_t head_n, body_n; /* filled */
};

#endif
