// SPDX-License-Identifier: Apache-2.0
/* Tokens by id and by text; merges by rank and by pair. Both tables are open addressing, at most half full. */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "src/base/text.h"
#include "src/text/internal.h"

enum { FIRST_SLOTS = 1024 };

static uint64_t fold(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static const uint64_t odd[] = {0x9E3779B97F4A7C15u, 0xD1B54A32D192ED03u};

uint64_t text_hash(uint64_t seed, const char *bytes, size_t n)
{
	uint64_t hash = seed ^ fold(n + 1, odd[0]), part;

	for (; n >= sizeof part; n -= sizeof part, bytes += sizeof part) {
		memcpy(&part, bytes, sizeof part);
		hash = fold(hash ^ part, odd[1] ^ seed);
	}
	part = 0;
	memcpy(&part, bytes, n);
	return fold(hash ^ part, odd[0]);
}

int vocab_init(struct vocab *vocab, struct err *err)
{
	*vocab = (struct vocab){.n_slots = FIRST_SLOTS};
	if (getrandom(&vocab->seed, sizeof vocab->seed, GRND_NONBLOCK) != sizeof vocab->seed)
		vocab->seed = (uint64_t)(uintptr_t)vocab; /* early at boot */
	vocab->slots = mem_array(vocab->n_slots, sizeof *vocab->slots, err);
	return vocab->slots ? 0 : -1;
}

void vocab_release(struct vocab *vocab)
{
	free(vocab->bytes.bytes);
	free(vocab->tokens);
	free(vocab->slots);
}

struct slice vocab_text(const struct vocab *vocab, int32_t id)
{
	const struct token *token = &vocab->tokens[id];

	return (struct slice){vocab->bytes.bytes + token->at, token->n};
}

/* The slot of a text, or the empty one where it belongs. */
static struct slot *find_slot(const struct vocab *vocab, const char *bytes, size_t n, uint64_t hash)
{
	size_t mask = vocab->n_slots - 1, at = hash & mask;

	for (; vocab->slots[at].id; at = (at + 1) & mask) {
		if (vocab->slots[at].hash != hash >> 32)
			continue;
		struct slice text = vocab_text(vocab, (int32_t)(vocab->slots[at].id - 1));
		if (text.n == n && !memcmp(text.bytes, bytes, n))
			break;
	}
	return &vocab->slots[at];
}

int32_t vocab_find(const struct vocab *vocab, const char *bytes, size_t n)
{
	return (int32_t)find_slot(vocab, bytes, n, text_hash(vocab->seed, bytes, n))->id - 1;
}

int32_t vocab_find_model(const struct vocab *vocab, const char *bytes, size_t n)
{
	int32_t id = vocab_find(vocab, bytes, n);

	return id >= 0 && vocab->tokens[id].flags & TOKEN_MODEL ? id : -1;
}

static int double_vocab(struct vocab *vocab, struct err *err)
{
	struct vocab bigger = *vocab;

	bigger.n_slots *= 2;
	bigger.slots = mem_array(bigger.n_slots, sizeof *bigger.slots, err);
	if (!bigger.slots)
		return -1;
	for (size_t id = 0; id < vocab->n; id++) {
		struct slice text = vocab_text(vocab, (int32_t)id);
		uint64_t hash = text_hash(vocab->seed, text.bytes, text.n);
		if (vocab->tokens[id].flags)
			*find_slot(&bigger, text.bytes, text.n, hash) =
				(struct slot){(uint32_t)(hash >> 32), (uint32_t)id + 1};
	}
	free(vocab->slots);
	*vocab = bigger;
	return 0;
}

/* Say what is wrong with a token that vocab_add refuses. */
static int bad_token(const struct vocab *vocab, const char *bytes, size_t n, uint64_t id, struct err *err)
{
	char shown[100], other[100];
	int32_t known = vocab_find(vocab, bytes, n);
	struct slice text;

	text_escape(shown, sizeof shown, bytes, n);
	if (id >= TOKENIZER_MAX_TOKENS)
		return err_set(err, ERR_DATA, "token '%s': id %ju is above the limit of %d tokens", shown,
			       (uintmax_t)id, TOKENIZER_MAX_TOKENS);
	if (n > TOKENIZER_MAX_TOKEN_BYTES)
		return err_set(err, ERR_DATA, "token '%s': %zu bytes are above the limit of %d", shown, n,
			       TOKENIZER_MAX_TOKEN_BYTES);
	if (known >= 0)
		return err_set(err, ERR_DATA, "token '%s' has two ids, %d and %ju", shown, known, (uintmax_t)id);
	text = vocab_text(vocab, (int32_t)id);
	return err_set(err, ERR_DATA, "id %ju has two tokens, '%s' and '%s'", (uintmax_t)id,
		       text_escape(other, sizeof other, text.bytes, text.n), shown);
}

int vocab_add(struct vocab *vocab, const char *bytes, size_t n, uint64_t id, struct err *err)
{
	uint64_t hash = text_hash(vocab->seed, bytes, n);
	size_t at = vocab->bytes.n;

	if (id >= TOKENIZER_MAX_TOKENS || n > TOKENIZER_MAX_TOKEN_BYTES || (id < vocab->n && vocab->tokens[id].flags) ||
	    find_slot(vocab, bytes, n, hash)->id)
		return bad_token(vocab, bytes, n, id, err);
	if ((2 * vocab->used >= vocab->n_slots && double_vocab(vocab, err)) ||
	    mem_grow(&vocab->tokens, &vocab->room, id + 1, sizeof *vocab->tokens, err) ||
	    buffer_put(&vocab->bytes, bytes, n, err))
		return -1;
	for (; vocab->n <= id; vocab->n++)
		vocab->tokens[vocab->n] = (struct token){0};
	vocab->tokens[id] = (struct token){(uint32_t)at, (uint32_t)n, TOKEN_USED};
	*find_slot(vocab, bytes, n, hash) = (struct slot){(uint32_t)(hash >> 32), (uint32_t)id + 1};
	vocab->used++;
	if (n > vocab->longest)
		vocab->longest = n;
	return 0;
}

int vocab_check(const struct vocab *vocab, struct err *err)
{
	for (size_t id = 0; id < vocab->n; id++) {
		if (!vocab->tokens[id].flags)
			return err_set(err, ERR_DATA, "id %zu has no token: ids must run from 0 to %zu without a gap",
				       id, vocab->n - 1);
	}
	return vocab->n ? 0 : err_set(err, ERR_DATA, "the vocabulary is empty");
}

/* The slot of a pair, or the empty one where it belongs. */
static uint32_t *find_pair(const struct merges *merges, int32_t left, int32_t right)
{
	uint64_t pair = (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
	size_t mask = merges->n_slots - 1;
	size_t at = fold(fold(merges->seed ^ pair, odd[1] ^ merges->seed), odd[0]) & mask;

	for (; merges->slots[at]; at = (at + 1) & mask) {
		const struct merge *merge = &merges->list[merges->slots[at] - 1];
		if (merge->left == left && merge->right == right)
			break;
	}
	return &merges->slots[at];
}

int64_t merges_find(const struct merges *merges, int32_t left, int32_t right)
{
	return merges->n ? (int64_t)*find_pair(merges, left, right) - 1 : -1;
}

static int double_merges(struct merges *merges, struct err *err)
{
	struct merges bigger = *merges;

	bigger.n_slots = merges->n_slots ? 2 * merges->n_slots : FIRST_SLOTS;
	bigger.slots = mem_array(bigger.n_slots, sizeof *bigger.slots, err);
	if (!bigger.slots)
		return -1;
	for (size_t rank = 0; rank < merges->n; rank++)
		*find_pair(&bigger, merges->list[rank].left, merges->list[rank].right) = (uint32_t)rank + 1;
	free(merges->slots);
	*merges = bigger;
	return 0;
}

static int32_t find_joined(const struct vocab *vocab, struct slice left, struct slice right)
{
	char joined[2 * TOKENIZER_MAX_TOKEN_BYTES];

	if (left.n > TOKENIZER_MAX_TOKEN_BYTES || right.n > TOKENIZER_MAX_TOKEN_BYTES)
		return -1;
	memcpy(joined, left.bytes, left.n);
	memcpy(joined + left.n, right.bytes, right.n);
	return vocab_find(vocab, joined, left.n + right.n);
}

/* Say what is wrong with a merge that merges_add refuses. */
static int bad_merge(const struct merges *merges, const struct merge *merge, struct slice left, struct slice right,
		     struct err *err)
{
	const struct {
		bool broken;
		const char *rule;
	} rules[] = {
		{merges->n >= TOKENIZER_MAX_MERGES, "there are too many"},
		{!left.n || !right.n, "a part is empty"},
		{merge->left < 0, "its first part is not in the vocabulary"},
		{merge->right < 0, "its second part is not in the vocabulary"},
		{merge->result < 0, "its result is not in the vocabulary"},
		{true, "it is listed twice"},
	};
	char a[100], b[100];
	size_t i = 0;

	while (!rules[i].broken)
		i++;
	return err_set(err, ERR_DATA, "merge %zu of '%s' and '%s': %s", merges->n,
		       text_escape(a, sizeof a, left.bytes, left.n), text_escape(b, sizeof b, right.bytes, right.n),
		       rules[i].rule);
}

int merges_add(struct merges *merges, const struct vocab *vocab, struct slice left, struct slice right, struct err *err)
{
	struct merge merge = {vocab_find(vocab, left.bytes, left.n), vocab_find(vocab, right.bytes, right.n),
			      find_joined(vocab, left, right)};

	if (merges->n >= TOKENIZER_MAX_MERGES || !left.n || !right.n || merge.left < 0 || merge.right < 0 ||
	    merge.result < 0 || merges_find(merges, merge.left, merge.right) >= 0)
		return bad_merge(merges, &merge, left, right, err);
	if ((2 * merges->n >= merges->n_slots && double_merges(merges, err)) ||
	    mem_grow(&merges->list, &merges->room, merges->n + 1, sizeof *merges->list, err))
		return -1;
	merges->list[merges->n++] = merge;
	*find_pair(merges, merge.left, merge.right) = (uint32_t)merges->n;
	return 0;
}

void merges_release(struct merges *merges)
{
	free(merges->list);
	free(merges->slots);
}
