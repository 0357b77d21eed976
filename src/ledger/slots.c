// SPDX-License-Identifier: Apache-2.0
#include "src/ledger/slots.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/base/mem.h"
#include "src/ledger/slot_layout.h"

void slot_name(char name[SLOT_NAME_ROOM], int index)
{
	snprintf(name, SLOT_NAME_ROOM, "slot-%02d", index);
}

struct slot_header slot_header_of(const char *magic, const char *uuid, int64_t attempt)
{
	struct slot_header header = {.attempt = attempt};
	memcpy(header.magic, magic, sizeof header.magic);
	memcpy(header.uuid, uuid, SCHEMA_UUID);
	return header;
}

int slot_sum(unsigned char sum[HASH_SIZE], struct hash *hash, const struct slot_done *done, const char *head,
	     const char *body, struct err *err)
{
	if (hash_update(hash, body, done->body_n, err) || hash_update(hash, head, done->head_n, err) ||
	    hash_update(hash, done, offsetof(struct slot_done, sum), err))
		return -1;
	return hash_final(sum, hash, err);
}

/*
 * Emptied, as a reply cut short by a kill may hold what its end would have had taken out: the key. Then blocks for the
 * whole file: receiving must not need any.
 */
static int preallocate(int fd, size_t n, const char *name, struct err *err)
{
	struct stat status;
	if (fstat(fd, &status))
		return err_set_errno(err, ERR_IO, "cannot examine '%s'", name);
	if (!S_ISREG(status.st_mode))
		return err_set(err, ERR_LEDGER, "'%s' is not a regular file; remove it", name);
	if (ftruncate(fd, 0))
		return err_set_errno(err, ERR_IO, "cannot empty '%s'", name);
	errno = posix_fallocate(fd, 0, (off_t)n);
	return errno ? err_set_errno(err, ERR_IO, "cannot reserve %zu bytes for '%s'", n, name) : 0;
}

static int map_slot(struct slot_state *state, int directory, struct err *err)
{
	char name[SLOT_NAME_ROOM];
	slot_name(name, state->index);
	int fd = openat(directory, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
	if (fd < 0)
		return err_set_errno(err, ERR_CANTCREATE, "cannot create '%s'", name);
	int failed = preallocate(fd, state->map_n, name, err);
	if (!failed) {
		void *map = mmap(NULL, state->map_n, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		state->map = map == MAP_FAILED ? NULL : map;
		failed = state->map ? 0 : err_set_errno(err, ERR_MEMORY, "cannot map '%s'", name);
	}
	close(fd);
	return failed;
}

void slots_remove(int directory, int from)
{
	char name[SLOT_NAME_ROOM];
	do
		slot_name(name, from++);
	while (!unlinkat(directory, name, 0));
}

int slots_open(struct slots *slots, int directory, int n, size_t body_room, const char *uuid, struct err *err)
{
	*slots = (struct slots){.slot = mem_array((size_t)n, sizeof *slots->slot, err),
				.state = mem_array((size_t)n, sizeof *slots->state, err), .n = n};
	if (!slots->slot || !slots->state)
		return -1;
	slots_remove(directory, n); /* of an earlier start that had more: settled by now, and read by nobody */
	for (int i = 0; i < n; i++) {
		struct slot_state *state = &slots->state[i];
		*state = (struct slot_state){.index = i, .uuid = uuid, .map_n = SLOT_BODY_AT + body_room};
		if (map_slot(state, directory, err))
			return -1;
		slots->slot[i] = (struct slot){.head = state->map + SLOT_HEAD_AT, .head_room = SLOT_HEAD_BYTES,
					       .body = state->map + SLOT_BODY_AT, .body_room = body_room, .state = state};
	}
	return 0;
}

static void let_go(struct slot_state *state)
{
	if (state->attempt)
		hash_release(&state->hash);
	state->attempt = 0;
}

void slots_close(struct slots *slots)
{
	slots_end_armed(slots, false);
	for (int i = 0; slots->slot && slots->state && i < slots->n; i++) {
		if (!slots->state[i].map)
			continue;
		let_go(&slots->state[i]);
		munmap(slots->state[i].map, slots->state[i].map_n);
	}
	free(slots->slot);
	free(slots->state);
	*slots = (struct slots){0};
}

struct slot *slots_find(struct slots *slots, int64_t attempt)
{
	for (int i = 0; i < slots->n; i++) {
		const struct slot_state *state = &slots->state[i];
		if (attempt ? state->attempt == attempt : !state->next && (!state->attempt || state->settled))
			return &slots->slot[i];
	}
	return NULL;
}

int slots_held(const struct slots *slots)
{
	int held = 0;
	for (int i = 0; i < slots->n; i++)
		held += slots->state[i].attempt && slots->state[i].finished;
	return held;
}

int slot_arm(struct slot *slot, int64_t attempt, struct err *err)
{
	if (hash_init(&slot->state->next_hash, err))
		return -1;
	slot->state->next = attempt;
	return 0;
}

void slot_settle(struct slot *slot)
{
	slot->state->settled = true;
}

void slots_end_settled(struct slots *slots, bool committed)
{
	for (int i = 0; i < slots->n; i++) {
		struct slot_state *state = &slots->state[i];
		if (state->settled && committed)
			let_go(state);
		else if (state->settled && state->finished)
			msync(state->map, state->map_n, MS_SYNC);
		state->settled = false;
	}
}

static void take_over(struct slot_state *state)
{
	struct slot_header header = slot_header_of(SLOT_HEADER_MAGIC, state->uuid, state->next);
	state->attempt = state->next;
	state->hash = state->next_hash;
	state->finished = false;
	memcpy(state->map + SLOT_HEADER_AT, &header, sizeof header);
}

void slots_end_armed(struct slots *slots, bool committed)
{
	for (int i = 0; slots->state && i < slots->n; i++) {
		struct slot_state *state = &slots->state[i];
		if (state->next && committed)
			take_over(state);
		else if (state->next)
			hash_release(&state->next_hash);
		state->next = 0;
	}
}

int slot_finish(struct slot *slot, int http, size_t head_n, size_t body_n, struct err *err)
{
	struct slot_state *state = slot->state;
	struct slot_done done = {.http = http, .head_n = head_n, .body_n = body_n};
	if (!state->attempt || state->finished || head_n > slot->head_room || body_n > slot->body_room)
		return err_set(err, ERR_INTERNAL, "slot %d is finished out of order", state->index);
	done.of = slot_header_of(SLOT_DONE_MAGIC, state->uuid, state->attempt);
	if (slot_sum(done.sum, &state->hash, &done, slot->head, slot->body, err))
		return -1;
	memcpy(state->map + SLOT_DONE_AT, &done, sizeof done);
	state->finished = true;
	state->http = http;
	state->head_n = head_n;
	state->body_n = body_n;
	return 0;
}
