// SPDX-License-Identifier: Apache-2.0
#include "src/student/pack.h"

#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"

/* The host side of one call. */
struct call {
	int32_t *ids, *pos;              /* [rows] */
	int32_t *q_begin, *own_len;      /* [segments] */
	int32_t *row, *target;           /* [targets]: rows whose next token is asked for */
	float *logp;
	int64_t rows, segments, targets;
	size_t first;                    /* sequences first … first + segments - 1 */
};

int64_t pack_longest(const struct pack_sequence *sequence, size_t n)
{
	int64_t longest = 0;
	for (size_t i = 0; i < n; i++)
		if (sequence[i].head_n + sequence[i].tail_n > longest)
			longest = sequence[i].head_n + sequence[i].tail_n;
	return longest;
}

static void call_release(struct call *c)
{
	free(c->ids);
	free(c->pos);
	free(c->q_begin);
	free(c->own_len);
	free(c->row);
	free(c->target);
	free(c->logp);
}

/* To be released where it fails too. */
static int call_init(struct call *c, int64_t rows, struct err *err)
{
	size_t n = (size_t)rows + 1;
	*c = (struct call){.ids = mem_array(n, sizeof *c->ids, err), .pos = mem_array(n, sizeof *c->pos, err),
			   .q_begin = mem_array(n, sizeof *c->q_begin, err),
			   .own_len = mem_array(n, sizeof *c->own_len, err), .row = mem_array(n, sizeof *c->row, err),
			   .target = mem_array(n, sizeof *c->target, err), .logp = mem_array(n, sizeof *c->logp, err)};
	return c->ids && c->pos && c->q_begin && c->own_len && c->row && c->target && c->logp ? 0 : -1;
}

/* The last token of a sequence predicts nothing that is asked for: it is left out. */
static int64_t own_rows(const struct pack_sequence *s)
{
	int64_t n = s->head_n + s->tail_n - (s->tail_n > 0);
	return n;
}

static void add_sequence(struct call *c, const struct pack_sequence *s, int64_t prefix)
{
	int64_t n = own_rows(s), begin = c->rows;
	for (int64_t t = 0; t < n; t++) {
		c->ids[c->rows] = t < s->head_n ? s->head[t] : s->tail[t - s->head_n];
		c->pos[c->rows++] = (int32_t)(prefix + t);
	}
	for (int64_t j = s->head_n ? 0 : 1; j < s->tail_n; j++) {
		c->row[c->targets] = (int32_t)(begin + s->head_n + j - 1);
		c->target[c->targets++] = s->tail[j];
	}
	c->own_len[c->segments++] = (int32_t)n;
	c->q_begin[c->segments] = (int32_t)c->rows;
}

static int run_call(struct forward *f, struct call *c, const struct pack_sequence *sequence,
		    const struct pack_options *options, struct err *err)
{
	const struct forward_rows rows = {.rows = c->rows, .segments = c->segments, .ids = c->ids, .pos = c->pos,
					  .q_begin = c->q_begin, .own_len = c->own_len,
					  .no_prefix = !options->prefix};
	if (c->rows && (forward_run(f, &rows, err) || forward_logp(f, c->row, c->target, c->targets, c->logp, err)))
		return -1;
	const float *logp = c->logp;
	for (int64_t i = 0; i < c->segments; i++) {
		const struct pack_sequence *s = &sequence[c->first + (size_t)i];
		int64_t skip = s->head_n ? 0 : 1, n = s->tail_n > skip ? s->tail_n - skip : 0;
		memcpy(s->logp + skip, logp, (size_t)n * sizeof *logp);
		logp += n;
	}
	return 0;
}

int pack_run(struct forward *f, const struct pack_sequence *sequence, size_t n, const struct pack_options *options,
	     int64_t prefix, struct progress *progress, struct err *err)
{
	struct call c;
	int64_t longest = pack_longest(sequence, n), room = options->rows > longest ? options->rows : longest;
	int rc = call_init(&c, room, err);
	for (size_t i = 0; !rc && i < n; i += (size_t)c.segments) {
		c.rows = c.segments = c.targets = 0;
		c.first = i;
		for (size_t j = i; j < n && (j == i || c.rows + own_rows(&sequence[j]) <= options->rows) && c.segments < room; j++)
			add_sequence(&c, &sequence[j], options->prefix ? prefix : 0);
		rc = run_call(f, &c, sequence, options, err);
		if (progress)
			progress_add(progress, (uint64_t)c.segments);
	}
	call_release(&c);
	return rc;
}
