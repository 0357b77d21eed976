// SPDX-License-Identifier: Apache-2.0
/* What is asked of the last residual: log-probabilities, logits, the next token. */
#include <string.h>

#include "src/model/forward_parts.h"

static int check_targets(const struct forward *f, int64_t n, struct err *err)
{
	return n <= f->y.rows ? 0 : err_set(err, ERR_INTERNAL, "%lld targets exceed the limit", (long long)n);
}

/* The rows of x that f->row names into y. */
static struct view gather(struct forward *f, int64_t n)
{
	struct view y = view_rows(f->y, 0, n);
	f->k->gather_rows(f->dev, y, view_rows(f->x, 0, f->rows), view_cols(f->row, 0, n));
	return y;
}

int forward_logp(struct forward *f, const int32_t *row, const int32_t *target, int64_t n, float *logp,
		 struct err *err)
{
	if (check_targets(f, n, err))
		return -1;
	forward_put(f, f->row, row, n);
	forward_put(f, f->target, target, n);
	f->k->head_loss(f->dev, view_cols(f->logp, 0, n), view_none(), NULL, gather(f, n), &f->model->head,
			view_cols(f->target, 0, n), view_none());
	f->k->download(f->dev, logp, view_cols(f->logp, 0, n));
	return forward_failed(f, err);
}

/* The array of logits is made when it is first asked for. */
static int make_logits(struct forward *f, int64_t n, struct err *err)
{
	if (check_targets(f, n, err))
		return -1;
	if (view_present(f->logits))
		return 0;
	struct forward_plan plan = {offsetof(struct forward, logits), f->y.rows, f->model->config.vocab_size, DTYPE_F32};
	forward_array(f, &plan);
	return forward_failed(f, err);
}

static struct view run_logits(struct forward *f, int64_t n)
{
	struct view z = view_rows(f->logits, 0, n);
	f->k->logits(f->dev, z, gather(f, n), &f->model->head);
	return z;
}

int forward_logits(struct forward *f, const int32_t *row, int64_t n, float *logits, struct err *err)
{
	if (make_logits(f, n, err))
		return -1;
	forward_put(f, f->row, row, n);
	f->k->download(f->dev, logits, run_logits(f, n));
	return forward_failed(f, err);
}

/* ---- decoding ----------------------------------------------------------------------- */

/* One call of forward_sample. */
struct step {
	struct forward *f;
	const struct forward_rows *rows;
	int64_t n;
	const struct sample_rule *rule;
};

/* Between what is sent and what is fetched: operations alone. */
static void run_step(void *context)
{
	const struct step *s = context;
	struct forward *f = s->f;
	forward_layers(f, s->rows, forward_prefix_of(f, s->rows), false);
	if (!s->n)
		return;
	struct sample_rng rng = {f->seed, view_cols(f->row_id, 0, s->n), view_cols(f->position, 0, s->n)};
	f->k->sample(f->dev, view_cols(f->sampled, 0, s->n), view_cols(f->logp, 0, s->n), run_logits(f, s->n), s->rule,
		     &rng);
}

/* A step of decoding alone, one token of every segment, comes again and again; others hardly ever do. */
static void run_or_replay(struct step *s)
{
	struct graph_shape shape = {{s->rows->segments, s->n}};
	_Static_assert(sizeof *s->rule <= sizeof shape.number - 2 * sizeof shape.number[0], "a rule is part of the shape");
	memcpy(&shape.number[2], s->rule, sizeof *s->rule);
	if (s->f->limits.cache_rows && s->rows->rows == s->rows->segments && forward_longest(s->rows) == 1)
		graphs_run(&s->f->graphs, &shape, run_step, s);
	else
		run_step(s);
}

static void put_draw(struct forward *f, const int32_t *row, int64_t n, const struct forward_draw *draw)
{
	forward_put(f, f->row, row, n);
	if (draw->rule.temperature <= 0)
		return;
	forward_put(f, f->seed, &draw->seed, 1);
	forward_put(f, f->row_id, draw->row_id, n);
	forward_put(f, f->position, draw->position, n);
}

static int fetch_answer(struct forward *f, int64_t n, int32_t *id, float *logp, struct err *err)
{
	f->k->download(f->dev, f->host, view_cols(f->answer, 0, n));
	if (forward_failed(f, err))
		return -1;
	memcpy(id, f->host, (size_t)n * sizeof *id);
	memcpy(logp, f->host + n, (size_t)n * sizeof *logp);
	return 0;
}

int forward_sample(struct forward *f, const struct forward_rows *rows, const int32_t *row, int64_t n,
		   const struct forward_draw *draw, int32_t *id, float *logp, struct err *err)
{
	struct step step = {f, rows, n, &draw->rule};
	if ((n && make_logits(f, n, err)) || forward_begin(f, rows, forward_prefix_of(f, rows), err))
		return -1;
	if (n)
		put_draw(f, row, n, draw);
	run_or_replay(&step);
	return n ? fetch_answer(f, n, id, logp, err) : forward_failed(f, err);
}
