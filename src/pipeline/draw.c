// SPDX-License-Identifier: Apache-2.0
#define _GNU_SOURCE /* qsort_r */
#include "src/pipeline/draw.h"

#include <stdlib.h>

#include "reference/philox.h"
#include "src/base/mem.h"
#include "src/dataset/rows.h"

/* "pipe" in letters keeps these streams apart from those of src/dataset. */
enum { STREAM = 0x70697065 };

struct ticket {
	uint64_t number;
	const struct ifd_id *id;
	size_t row;
};

static int by_ticket(const void *a, const void *b)
{
	const struct ticket *x = a, *y = b;
	if (x->number != y->number)
		return x->number < y->number ? -1 : 1;
	return ifd_id_compare(x->id, y->id);
}

int draw_order(size_t *row, size_t n, const struct examples *pool, uint64_t seed, enum draw_what what, uint32_t a,
	       uint32_t b, struct err *err)
{
	struct ticket *ticket = mem_array(n, sizeof *ticket, err);
	struct philox_key key = philox_stream(seed, PHILOX_SHUFFLE, STREAM + (uint32_t)what, a, b);
	if (!ticket)
		return -1;
	for (size_t i = 0; i < n; i++) {
		const struct ifd_id *id = &pool->row[row[i]].id;
		struct philox_words words = philox_at(key, 0, row_key_of(id));
		ticket[i] = (struct ticket){(uint64_t)words.w[0] << 32 | words.w[1], id, row[i]};
	}
	qsort(ticket, n, sizeof *ticket, by_ticket);
	for (size_t i = 0; i < n; i++)
		row[i] = ticket[i].row;
	free(ticket);
	return 0;
}

static int by_query(const void *a, const void *b, void *context)
{
	const struct examples *pool = context;
	const struct example *x = &pool->row[*(const size_t *)a], *y = &pool->row[*(const size_t *)b];
	if (x->domain != y->domain)
		return x->domain < y->domain ? -1 : 1;
	return ifd_id_compare(&x->id, &y->id);
}

void draw_query_order(size_t *row, size_t n, const struct examples *pool)
{
	qsort_r(row, n, sizeof *row, by_query, (void *)pool);
}
