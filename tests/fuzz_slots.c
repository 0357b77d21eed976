// SPDX-License-Identifier: Apache-2.0
/*
 * Fuzz target 12, second part: a slot as a killed process, or anybody, left it.
 * A reply comes out exactly where header, record, lengths and checksum are those
 * of the attempt, and is then byte for byte what lies in the slot.
 *
 * Input: how long the file is (4 bytes, little-endian; longer than its contents
 * is ended by them), the header, the DONE record, and bytes of which the record's
 * head_n come first in the head, the rest in the body. The mutator repairs the
 * checksum, three times in four.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/ledger/slot_layout.h"

enum {
	CUT = 4,
	AT_HEADER = CUT,
	AT_DONE = AT_HEADER + sizeof(struct slot_header),
	AT_BYTES = AT_DONE + sizeof(struct slot_done),
	ATTEMPT = 7
};

static const char uuid[] = "01234567-89ab-4cde-8f01-23456789abcd";
static char folder[64];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t room, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t room);

/* An input, taken apart. */
struct slot_input {
	struct slot_header header;
	struct slot_done done;
	char head[SLOT_HEAD_BYTES]; /* zeros behind what is there, as in the file */
	const char *body;
	size_t head_n, body_n; /* bytes that are there, whatever the record says */
	size_t length;         /* of the file */
};

static void require(int condition, const char *what)
{
	if (condition)
		return;
	fprintf(stderr, "fuzz_slots: %s\n", what);
	abort();
}

static bool take_apart(struct slot_input *in, const uint8_t *data, size_t size)
{
	if (size < AT_BYTES)
		return false;
	size_t n = size - AT_BYTES,
	       cut = (size_t)data[0] | (size_t)data[1] << 8 | (size_t)data[2] << 16 | (size_t)data[3] << 24, most;

	memcpy(&in->header, data + AT_HEADER, sizeof in->header);
	memcpy(&in->done, data + AT_DONE, sizeof in->done);
	in->head_n = in->done.head_n < n ? (size_t)in->done.head_n : n;
	in->head_n = in->head_n < SLOT_HEAD_BYTES ? in->head_n : SLOT_HEAD_BYTES;
	in->body_n = n - in->head_n;
	memset(in->head, 0, sizeof in->head);
	memcpy(in->head, data + AT_BYTES, in->head_n);
	in->body = (const char *)data + AT_BYTES + in->head_n;
	most = SLOT_BODY_AT + in->body_n;
	in->length = cut < most ? cut : most;
	return true;
}

/* ---- the file ------------------------------------------------------------------------ */

static void clean(void)
{
	char path[96];

	snprintf(path, sizeof path, "%s/slot-00", folder);
	unlink(path);
	rmdir(folder);
}

static int open_folder(void)
{
	const char *place = !access("/dev/shm", W_OK) ? "/dev/shm" : "/tmp";

	snprintf(folder, sizeof folder, "%s/baldistill-XXXXXX", place);
	require(mkdtemp(folder) && !atexit(clean), "a folder is made");
	return open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void put(int fd, const void *bytes, size_t n, off_t at)
{
	require(pwrite(fd, bytes, n, at) == (ssize_t)n, "the input is written");
}

static void put_slot(int directory, const struct slot_input *in)
{
	int fd = openat(directory, "slot-00", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	put(fd, &in->header, sizeof in->header, SLOT_HEADER_AT);
	put(fd, &in->done, sizeof in->done, SLOT_DONE_AT);
	put(fd, in->head, in->head_n, SLOT_HEAD_AT);
	put(fd, in->body, in->body_n, SLOT_BODY_AT);
	require(!ftruncate(fd, (off_t)in->length), "the input is cut");
	close(fd);
}

/* ---- what must come of it --------------------------------------------------------------- */

static bool is_of(const struct slot_header *header, const char *magic)
{
	const struct slot_header want = slot_header_of(magic, uuid, ATTEMPT);

	return !memcmp(header, &want, sizeof want);
}

/* Of the bytes the record speaks of, which must be there. */
static void sum_of(unsigned char sum[HASH_SIZE], const struct slot_input *in)
{
	struct hash hash;

	require(!hash_init(&hash, NULL) && !slot_sum(sum, &hash, &in->done, in->head, in->body, NULL),
		"a checksum is made");
	hash_release(&hash);
}

static bool is_whole(const struct slot_input *in)
{
	unsigned char sum[HASH_SIZE];

	if (!is_of(&in->header, SLOT_HEADER_MAGIC) || !is_of(&in->done.of, SLOT_DONE_MAGIC) ||
	    in->length < SLOT_BODY_AT || in->done.head_n > SLOT_HEAD_BYTES ||
	    in->done.body_n > in->length - SLOT_BODY_AT)
		return false;
	sum_of(sum, in);
	return !memcmp(sum, in->done.sum, sizeof sum);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int directory = -1;
	static struct slot_input in;
	struct slot_reply reply;

	if (directory < 0)
		directory = open_folder();
	if (!take_apart(&in, data, size))
		return 0;
	put_slot(directory, &in);
	int got = slots_load(directory, 0, uuid, ATTEMPT, &reply, NULL);
	require(got == is_whole(&in), "a reply comes out exactly where it is whole");
	if (got)
		require(reply.head_n == in.done.head_n && reply.body_n == in.done.body_n &&
				!memcmp(reply.head, in.head, reply.head_n) &&
				!memcmp(reply.body, in.body, reply.body_n),
			"a reply is what lies in the slot");
	else
		require(!reply.head && !reply.body, "no reply, no bytes");
	slot_reply_release(&reply);
	return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t room, unsigned seed)
{
	static struct slot_input in;
	size_t n = LLVMFuzzerMutate(data, size, room);

	if (seed % 4 == 0 || !take_apart(&in, data, n) || in.done.head_n > SLOT_HEAD_BYTES ||
	    in.done.body_n > in.body_n)
		return n;
	sum_of(data + AT_DONE + offsetof(struct slot_done, sum), &in);
	return n;
}
