// SPDX-License-Identifier: Apache-2.0
/* Rows of the pool by id and by domain, so that nobody walks the pool for one of them. */
#define _GNU_SOURCE /* qsort_r */
#include <stdlib.h>

#include "src/pipeline/data.h"

static int compare_rows(const void *a, const void *b, void *context)
{
	const struct example *row = context;
	return ifd_id_compare(&row[*(const size_t *)a].id, &row[*(const size_t *)b].id);
}

static int index_ids(struct data *data, struct err *err)
{
	data->by_id = mem_array(data->pool.n, sizeof *data->by_id, err);
	if (!data->by_id)
		return -1;
	for (size_t i = 0; i < data->pool.n; i++)
		data->by_id[i] = i;
	qsort_r(data->by_id, data->pool.n, sizeof *data->by_id, compare_rows, data->pool.row);
	return 0;
}

/* A counting sort: while rows are put down, begin[d] is where the next one of domain d goes. */
static int index_domains(struct data *data, struct err *err)
{
	const struct examples *pool = &data->pool;
	size_t *begin = mem_array(pool->l + 1, sizeof *begin, err);
	data->begin = begin;
	data->by_domain = begin ? mem_array(pool->n, sizeof *data->by_domain, err) : NULL;
	if (!data->by_domain)
		return -1;
	for (size_t d = 0; d < pool->l; d++)
		begin[d + 1] = begin[d] + pool->domain[d].n;
	for (size_t i = 0; i < pool->n; i++)
		data->by_domain[begin[pool->row[i].domain]++] = i;
	for (size_t d = pool->l; d > 0; d--)
		begin[d] = begin[d - 1];
	begin[0] = 0;
	return 0;
}

int data_index(struct data *data, struct err *err)
{
	return index_ids(data, err) || index_domains(data, err) ? -1 : 0;
}

const size_t *data_domain(const struct data *data, size_t domain, size_t *n)
{
	*n = data->begin[domain + 1] - data->begin[domain];
	return data->by_domain + data->begin[domain];
}

size_t data_find(const struct data *data, const struct ifd_id *id)
{
	size_t low = 0, high = data->pool.n;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = ifd_id_compare(id, &data->pool.row[data->by_id[middle]].id);
		if (!order)
			return data->by_id[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return data->pool.n;
}
