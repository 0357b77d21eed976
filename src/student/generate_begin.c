// SPDX-License-Identifier: Apache-2.0
/* How many rows are worked on at once, in what memory. */
#include <stdlib.h>

#include "src/base/mem.h"
#include "src/student/generate_parts.h"
#include "src/student/prefix.h"

enum { SLOTS = 64, CALL_ROWS = 512, REMOTE_SLOTS = 256, REMOTE_CALL_ROWS = 8192, BLOCK_SLOTS = 16 };

static int64_t slots_of(const struct model *model, const struct generate_options *options)
{
	return options->slots ? options->slots : model->dev->remote ? REMOTE_SLOTS : SLOTS;
}

int64_t generate_block(const struct model *model, const struct generate_options *options)
{
	return BLOCK_SLOTS * slots_of(model, options);
}

/* Of all prompts. Where rows must not depend on their neighbours, they share nothing. */
static int64_t shared_prefix(const struct generation *g)
{
	struct prefix prefix = {0};
	if (g->model->dev->batch_invariant)
		return 0;
	for (size_t i = 0; i < g->n; i++)
		prefix_add(&prefix, g->rows[i].prompt, g->rows[i].prompt_n);
	return prefix_length(&prefix);
}

static int check_rows(const struct generation *g, int64_t *longest, struct err *err)
{
	*longest = 0;
	for (size_t i = 0; i < g->n; i++) {
		int64_t n = g->rows[i].prompt_n;
		if (n < 1)
			return err_set(err, ERR_DATA, "row %zu has an empty prompt, and the tokenizer has no beginning token", i + 1);
		if (n >= g->model->positions)
			return err_set(err, ERR_DATA, "row %zu: a prompt of %lld tokens leaves no room in the model's %lld positions",
				       i + 1, (long long)n, (long long)g->model->positions);
		*longest = n > *longest ? n : *longest;
	}
	return 0;
}

/* Tokens after the prefix that a row can come to hold. */
static int64_t longest_own(const struct generation *g, int64_t longest_prompt)
{
	int64_t total = longest_prompt + g->options->max_new_tokens;
	return (total < g->model->positions ? total : g->model->positions) - g->prefix;
}

static struct forward_limits limits_of(const struct generation *g, int64_t slots, int64_t own)
{
	int64_t rows = g->call_rows > g->prefix ? g->call_rows : g->prefix, pages = generation_pages(own);
	int64_t prefix_pages = generation_pages(g->prefix);
	return (struct forward_limits){.rows = rows, .segments = slots, .targets = slots,
				       .keys = g->prefix + own, .prefix = g->prefix,
				       .cache_rows = (prefix_pages + slots * pages) * GENERATION_PAGE, .page_size = GENERATION_PAGE,
				       .pages = pages > prefix_pages ? pages : prefix_pages};
}

/* Less memory: shorter calls where their length was ours to choose, then fewer slots; false: there is nothing less. */
static bool take_less(struct generation *g)
{
	if (g->model->dev->remote && !g->options->rows && g->call_rows / 2 >= CALL_ROWS && g->call_rows / 2 >= g->slots) {
		g->call_rows /= 2;
		return true;
	}
	bool more = g->slots > 1;
	g->slots = (g->slots + 1) / 2;
	return more;
}

static uint64_t bytes_of(const struct generation *g, const struct forward_limits *limits)
{
	uint64_t logits = (uint64_t)(g->slots * g->model->config.vocab_size) * sizeof(float);
	return g->model->stored + g->model->dev->prepared + forward_bytes(g->model, limits) + logits;
}

/* As many slots as memory allows, at most what is asked for and what there are rows. */
static int make_forward(struct generation *g, int64_t own, struct err *err)
{
	struct forward_limits limits = limits_of(g, g->slots, own);
	uint64_t need, bound = g->options->memory;
	while ((need = bytes_of(g, &limits)) > bound && bound) {
		if (!take_less(g))
			return err_set(err, ERR_MEMORY, "generating needs %llu MiB for one row, more than the %llu MiB allowed; raise --memory (in a plan student.memory)",
				       (unsigned long long)(need >> 20), (unsigned long long)(bound >> 20));
		limits = limits_of(g, g->slots, own);
	}
	g->own_pages = generation_pages(own);
	g->pages = limits.pages;
	g->f = forward_new(g->model, &limits, err);
	return g->f ? 0 : -1;
}

static int make_arrays(struct generation *g, struct err *err)
{
	size_t rows = (size_t)g->call_rows, slots = (size_t)g->slots;
	g->slot = mem_array(slots, sizeof *g->slot, err);
	g->ids = mem_array(rows, sizeof *g->ids, err);
	g->pos = mem_array(rows, sizeof *g->pos, err);
	g->kv_dst = mem_array(rows, sizeof *g->kv_dst, err);
	g->q_begin = mem_array(slots + 1, sizeof *g->q_begin, err);
	g->own_len = mem_array(slots, sizeof *g->own_len, err);
	g->table = mem_array(slots, (size_t)g->pages * sizeof *g->table, err);
	g->row = mem_array(slots, sizeof *g->row, err);
	g->position = mem_array(slots, sizeof *g->position, err);
	g->id = mem_array(slots, sizeof *g->id, err);
	g->row_id = mem_array(slots, sizeof *g->row_id, err);
	g->logp = mem_array(slots, sizeof *g->logp, err);
	return g->slot && g->ids && g->pos && g->kv_dst && g->q_begin && g->own_len && g->table && g->row &&
			       g->position && g->id && g->row_id && g->logp
		       ? 0 : -1;
}

void generation_release(struct generation *g)
{
	void *all[] = {g->slot, g->ids, g->pos, g->kv_dst, g->q_begin, g->own_len, g->table, g->row, g->position, g->id,
		       g->row_id, g->logp};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		free(all[i]);
	forward_free(g->f);
}

int generation_begin(struct generation *g, struct err *err)
{
	int64_t longest;
	if (check_rows(g, &longest, err))
		return -1;
	g->prefix = shared_prefix(g);
	g->call_rows = g->options->rows ? g->options->rows : g->model->dev->remote ? REMOTE_CALL_ROWS : CALL_ROWS;
	g->slots = slots_of(g->model, g->options);
	g->slots = (size_t)g->slots < g->n ? g->slots : (int64_t)g->n;
	g->call_rows = g->call_rows > g->slots ? g->call_rows : g->slots;
	if (make_forward(g, longest_own(g, longest), err))
		return -1;
	/* Where a prompt is cut must not hang on the others: neither on how many there are nor on the memory they leave. */
	g->piece = g->model->dev->batch_invariant ? ((g->options->rows ? g->options->rows : CALL_ROWS) + 1) / 2 : 0;
	if (make_arrays(g, err))
		return -1;
	return g->prefix ? forward_set_prefix(g->f, g->rows[0].prompt, g->prefix, err) : 0;
}
