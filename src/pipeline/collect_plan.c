// SPDX-License-Identifier: Apache-2.0
/*
 * T0: the queries of a step as the ledger knows them.
 */
#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/ledger/step.h"
#include "src/pipeline/collect_parts.h"

static int compare_places(const void *a, const void *b)
{
	const struct place *x = a, *y = b;
	int order = memcmp(x->digest, y->digest, HASH_SIZE);
	return order ? order : (x->ordinal > y->ordinal) - (x->ordinal < y->ordinal);
}

static unsigned char nibble(char digit)
{
	return (unsigned char)(digit <= '9' ? digit - '0' : digit - 'a' + 10);
}

/* The digest that teacher_question_hash writes in lower-case hexadecimal. */
static int digest_of(unsigned char digest[HASH_SIZE], const struct collect_query *query, struct err *err)
{
	struct teacher_question question = {.kind = query->kind, .domain = query->domain, .id = query->example_id,
					    .ordinal = query->ordinal, .body = query->body, .body_n = query->body_n};
	char hex[HASH_HEX_ROOM];
	if (teacher_question_hash(hex, &question, err))
		return -1;
	for (size_t i = 0; i < HASH_SIZE; i++)
		digest[i] = (unsigned char)(nibble(hex[2 * i]) << 4 | nibble(hex[2 * i + 1]));
	return 0;
}

static int fill(struct collecting *c, struct ledger_query *rows, struct err *err)
{
	for (size_t i = 0; i < c->n; i++) {
		const struct collect_query *query = &c->queries[i];
		struct place *place = &c->place[i];
		if (digest_of(place->digest, query, err))
			return -1;
		place->ordinal = query->ordinal;
		place->index = i;
		rows[i] = (struct ledger_query){.kind = query->kind, .domain = query->domain,
						.example_id = query->example_id, .ordinal = (int64_t)query->ordinal,
						.body = query->body, .body_n = query->body_n};
		memcpy(rows[i].prompt_sha256, place->digest, HASH_SIZE);
	}
	return 0;
}

int collect_plan(struct collecting *c, struct err *err)
{
	struct ledger_query *rows = mem_array(c->n, sizeof *rows, err);
	c->place = rows ? mem_array(c->n, sizeof *c->place, err) : NULL;
	int rc = !c->place || fill(c, rows, err) ||
		 ledger_step_open(c->collector->ledger, c->stage, c->step, rows, c->n, err) ? -1 : 0;
	if (!rc)
		qsort(c->place, c->n, sizeof *c->place, compare_places);
	free(rows);
	return rc;
}

const struct collect_query *collect_find(const struct collecting *c, const struct ledger_query *query)
{
	struct place key = {.ordinal = (uint64_t)query->ordinal};
	memcpy(key.digest, query->prompt_sha256, HASH_SIZE);
	const struct place *place = bsearch(&key, c->place, c->n, sizeof *c->place, compare_places);
	return place ? &c->queries[place->index] : NULL;
}
