// SPDX-License-Identifier: Apache-2.0
/* Generating, call by call. */
#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"
#include "src/student/generate_parts.h"

void generated_release(struct generated *out)
{
	free(out->ids);
	free(out->logp);
	*out = (struct generated){0};
}

/* Slot s holds its pages behind the prefix's, always the same ones. */
static int32_t page_of(const struct generation *g, int64_t s, int64_t p)
{
	return (int32_t)(generation_pages(g->prefix) + s * g->own_pages + p);
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
		g->kv_dst[g->count++] = page_of(g, s, t / GENERATION_PAGE) * GENERATION_PAGE + (int32_t)(t % GENERATION_PAGE);
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
	if (generation_begin(g, err))
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
	generation_release(&g);
	for (size_t i = 0; rc && i < n; i++)
		generated_release(&out[i]);
	return rc;
}
