// SPDX-License-Identifier: Apache-2.0
#include "src/student/generate.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/model/forward.h"
#include "src/student/prefix.h"

enum { SLOTS = 64, CALL_ROWS = 512, REMOTE_SLOTS = 256, REMOTE_CALL_ROWS = 8192, PAGE = 32, BLOCK_SLOTS = 16 };

/* A row being worked on. */
struct slot {
	const struct generate_row *row; /* NULL: free */
	struct generated *out;
	int64_t done;                   /* tokens after the prefix that are in the cache, or will be by this call */
	int64_t most;                   /* tokens to generate at the most */
	int64_t asked;                  /* where its token is asked for in this call, -1: not */
};

struct generation {
	struct model *model;
	struct forward *f;
	const struct generate_row *rows;
	size_t n, next, finished;      /* rows; first not begun; done */
	const struct generate_options *options;
	struct generated *out;
	struct slot *slot;
	int64_t slots, call_rows, prefix;
	int64_t own_pages, pages; /* of a slot; of a row of `table`, which the prefix's may make longer */
	int64_t piece;                 /* tokens of a prompt in a call, with batch_invariant; 0: what fits */
	int32_t *ids, *pos, *kv_dst;   /* [call_rows] of a call */
	int32_t *q_begin, *own_len, *table; /* [slots + 1], [slots], [slots, pages] */
	int32_t *row, *position, *id;  /* [slots]: tokens asked for */
	uint64_t *row_id;
	float *logp;
	int64_t count, segments, asked;/* of the call */
};

void generated_release(struct generated *out)
{
	free(out->ids);
	free(out->logp);
	*out = (struct generated){0};
}

static int64_t slots_of(const struct model *model, const struct generate_options *options)
{
	return options->slots ? options->slots : model->dev->remote ? REMOTE_SLOTS : SLOTS;
}

int64_t generate_block(const struct model *model, const struct generate_options *options)
{
	return BLOCK_SLOTS * slots_of(model, options);
}

/* ---- beginning ------------------------------------------------------------------- */

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

static int64_t round_up(int64_t n, int64_t unit)
{
	return (n + unit - 1) / unit * unit;
}

/* Tokens after the prefix that a row can come to hold. */
static int64_t longest_own(const struct generation *g, int64_t longest_prompt)
{
	int64_t total = longest_prompt + g->options->max_new_tokens;
	return (total < g->model->positions ? total : g->model->positions) - g->prefix;
}

static struct forward_limits limits_of(const struct generation *g, int64_t slots, int64_t own)
{
	int64_t rows = g->call_rows > g->prefix ? g->call_rows : g->prefix, pages = round_up(own, PAGE) / PAGE;
	int64_t prefix_pages = round_up(g->prefix, PAGE) / PAGE;
	return (struct forward_limits){.rows = rows, .segments = slots, .targets = slots,
				       .keys = g->prefix + own, .prefix = g->prefix,
				       .cache_rows = (prefix_pages + slots * pages) * PAGE, .page_size = PAGE,
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
			return err_set(err, ERR_MEMORY, "generating needs %llu MiB for one row, more than the %llu MiB allowed; raise --memory",
				       (unsigned long long)(need >> 20), (unsigned long long)(bound >> 20));
		limits = limits_of(g, g->slots, own);
	}
	g->own_pages = round_up(own, PAGE) / PAGE;
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

static void release(struct generation *g)
{
	void *all[] = {g->slot, g->ids, g->pos, g->kv_dst, g->q_begin, g->own_len, g->table, g->row, g->position, g->id,
		       g->row_id, g->logp};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		free(all[i]);
	forward_free(g->f);
}

/* ---- one call ------------------------------------------------------------------------ */

/* Slot s holds its pages behind the prefix's, always the same ones. */
static int32_t page_of(const struct generation *g, int64_t s, int64_t p)
{
	return (int32_t)(round_up(g->prefix, PAGE) / PAGE + s * g->own_pages + p);
}

static int start_row(struct generation *g, struct slot *slot, struct err *err)
{
	int64_t left = g->model->positions - g->rows[g->next].prompt_n;
	*slot = (struct slot){.row = &g->rows[g->next], .out = &g->out[g->next], .most = g->options->max_new_tokens};
	slot->most = slot->most < left ? slot->most : left;
	g->next++;
	slot->out->ids = mem_array((size_t)slot->most, sizeof *slot->out->ids, err);
	slot->out->logp = mem_array((size_t)slot->most, sizeof *slot->out->logp, err);
	return slot->out->ids && slot->out->logp ? 0 : -1;
}

/* Token t of a slot, counted after the prefix. */
static int32_t token_of(const struct generation *g, const struct slot *slot, int64_t t)
{
	int64_t own = slot->row->prompt_n - g->prefix;
	return t < own ? slot->row->prompt[g->prefix + t] : slot->out->ids[t - own];
}

/* How many of the `left` tokens of a slot go into the call. A row's rounding depends on where its prompt is cut. */
static int64_t piece_of(const struct generation *g, int64_t left)
{
	int64_t room = g->call_rows - g->count;
	if (!g->piece)
		return left < room ? left : room;
	int64_t piece = left < g->piece ? left : g->piece;
	return piece <= room ? piece : 0;
}

/* The slot's next tokens into the call, as many as fit; its next token is asked for after the last known one. */
static void add_slot(struct generation *g, int64_t s)
{
	struct slot *slot = &g->slot[s];
	int64_t known = slot->row->prompt_n - g->prefix + slot->out->n;
	int64_t end = slot->done + piece_of(g, known - slot->done);
	if (end == slot->done)
		return;
	for (; slot->done < end; slot->done++) {
		int64_t t = slot->done;
		g->ids[g->count] = token_of(g, slot, t);
		g->pos[g->count] = (int32_t)(g->prefix + t);
		g->kv_dst[g->count++] = page_of(g, s, t / PAGE) * PAGE + (int32_t)(t % PAGE);
	}
	for (int64_t p = 0; p < g->own_pages; p++)
		g->table[g->segments * g->pages + p] = page_of(g, s, p);
	g->own_len[g->segments++] = (int32_t)end;
	g->q_begin[g->segments] = (int32_t)g->count;
	slot->asked = end == known ? g->asked : -1;
	if (slot->asked < 0)
		return;
	g->row[g->asked] = (int32_t)g->count - 1;
	g->position[g->asked] = (int32_t)(g->prefix + known);
	g->row_id[g->asked++] = slot->row->id;
}

static bool decodes(const struct slot *slot)
{
	return slot->row && slot->out->n > 0;
}

/* Slots that decode first, so that prompts never hold them up; then prompts in slot order while there is room. */
static void fill_call(struct generation *g)
{
	g->count = g->segments = g->asked = 0;
	g->q_begin[0] = 0;
	for (int64_t s = 0; s < g->slots; s++) {
		g->slot[s].asked = -1;
		if (decodes(&g->slot[s]))
			add_slot(g, s);
	}
	for (int64_t s = 0; s < g->slots && g->count < g->call_rows; s++)
		if (g->slot[s].row && !decodes(&g->slot[s]))
			add_slot(g, s);
}

static bool is_stop(const struct generation *g, int32_t id)
{
	const struct stop_ids *stop = &g->model->config.stop;
	for (size_t i = 0; i < stop->n; i++)
		if (stop->id[i] == id)
			return true;
	return false;
}

/* Give a slot its token; true where its row is finished. */
static bool take_token(struct generation *g, struct slot *slot)
{
	struct generated *out = slot->out;
	out->ids[out->n] = g->id[slot->asked];
	out->logp[out->n] = g->logp[slot->asked];
	out->stopped = is_stop(g, out->ids[out->n++]);
	return out->stopped || out->n == slot->most;
}

static int run_call(struct generation *g, struct err *err)
{
	const struct forward_rows rows = {.rows = g->count, .segments = g->segments, .ids = g->ids, .pos = g->pos,
					  .q_begin = g->q_begin, .own_len = g->own_len, .kv_dst = g->kv_dst,
					  .pages = g->table};
	const struct forward_draw draw = {.rule = g->options->rule, .seed = g->options->seed, .row_id = g->row_id,
					  .position = g->position};
	return forward_sample(g->f, &rows, g->row, g->asked, &draw, g->id, g->logp, err);
}

static int step(struct generation *g, struct progress *progress, struct err *err)
{
	for (int64_t s = 0; s < g->slots && g->next < g->n; s++)
		if (!g->slot[s].row && start_row(g, &g->slot[s], err))
			return -1;
	fill_call(g);
	if (run_call(g, err))
		return -1;
	for (int64_t s = 0; s < g->slots; s++) {
		if (!g->slot[s].row || g->slot[s].asked < 0 || !take_token(g, &g->slot[s]))
			continue;
		g->slot[s].row = NULL;
		g->finished++;
		if (progress)
			progress_add(progress, 1);
	}
	return 0;
}

static int run(struct generation *g, struct progress *progress, struct err *err)
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
	if (make_arrays(g, err) ||
	    (g->prefix && forward_set_prefix(g->f, g->rows[0].prompt, g->prefix, err)))
		return -1;
	while (g->finished < g->n)
		if (step(g, progress, err))
			return -1;
	return 0;
}

int student_generate(struct model *model, const struct generate_row *rows, size_t n,
		     const struct generate_options *options, struct generated *out, struct progress *progress,
		     struct err *err)
{
	struct generation g = {.model = model, .rows = rows, .n = n, .options = options, .out = out};
	memset(out, 0, n * sizeof *out);
	if (!n || !options->max_new_tokens)
		return 0;
	int rc = run(&g, progress, err);
	release(&g);
	for (size_t i = 0; rc && i < n; i++)
		generated_release(&out[i]);
	return rc;
}
