// SPDX-License-Identifier: Apache-2.0
/* ops.c - the table's operations on a stack, and the sequences that jobs share. */
#include "bench/gpu/gpu_bench.h"

void run_embed(struct stack *s, struct layer *l)
{
	(void)l;
	s->k->embed(s->dev, s->x, &s->embedding, s->ids);
}

void run_attn_in(struct stack *s, struct layer *l)
{
	struct kept *kept = &l->kept;
	if (s->use == DECODES)
		s->k->attn_in(s->dev, kept->q, l->cache_k, l->cache_v, view_none(), s->x, s->pos, s->kv_dst, &l->in);
	else
		s->k->attn_in(s->dev, kept->q, kept->k, kept->v, kept->in, s->x, s->pos, view_none(), &l->in);
}

void run_attention(struct stack *s, struct layer *l)
{
	struct kept *kept = &l->kept;
	bool cached = s->use == DECODES;
	s->k->attention(s->dev, kept->o, kept->lse, kept->q, cached ? l->cache_k : kept->k,
			cached ? l->cache_v : kept->v, &s->seg, &l->in.dims);
}

void run_attn_out(struct stack *s, struct layer *l)
{
	s->k->attn_out(s->dev, s->x, l->kept.out, l->kept.o, &l->out);
}

void run_mlp(struct stack *s, struct layer *l)
{
	s->k->mlp(s->dev, s->x, l->kept.mlp, &l->mlp);
}

void run_gather(struct stack *s, struct layer *l)
{
	(void)l;
	s->k->gather_rows(s->dev, s->y, s->x, s->row);
}

void run_head(struct stack *s, struct layer *l)
{
	(void)l;
	s->k->head_loss(s->dev, s->logp, view_none(), NULL, s->y, &s->head, s->target, view_none());
}

void run_head_gradient(struct stack *s, struct layer *l)
{
	(void)l;
	s->k->head_loss(s->dev, s->logp, s->dy, NULL, s->y, &s->head, s->target, s->weight);
}

void run_scatter(struct stack *s, struct layer *l)
{
	(void)l;
	s->k->scatter_rows(s->dev, s->dx, s->dy, s->row);
}

void run_mlp_backward(struct stack *s, struct layer *l)
{
	s->k->mlp_backward(s->dev, s->dx, NULL, l->kept.mlp, &l->mlp, true);
}

void run_attn_out_backward(struct stack *s, struct layer *l)
{
	s->k->attn_out_backward(s->dev, s->d_o, NULL, s->dx, l->kept.out, l->kept.o, &l->out, true);
}

void run_attention_backward(struct stack *s, struct layer *l)
{
	struct kept *kept = &l->kept;
	s->k->attention_backward(s->dev, s->dq, s->dk, s->dv, s->d_o, kept->o, kept->lse, kept->q, kept->k, kept->v,
				 &s->seg, &l->in.dims);
}

/* Below the lowest adapter, which is the first layer's, nothing needs a gradient. */
void run_attn_in_backward(struct stack *s, struct layer *l)
{
	s->k->attn_in_backward(s->dev, s->dx, NULL, s->dq, s->dk, s->dv, l->kept.in, s->pos, &l->in, l > s->layer);
}

void run_zero(struct stack *s, struct layer *l)
{
	(void)l;
	s->k->fill(s->dev, s->g, 0);
}

void run_norm2(struct stack *s, struct layer *l)
{
	(void)l;
	s->k->norm2(s->dev, s->norm2, &s->g, 1);
}

void run_adamw(struct stack *s, struct layer *l)
{
	(void)l;
	s->k->adamw(s->dev, s->items, s->n_items, s->hyper, s->norm2);
}

void run_logits(struct stack *s, struct layer *l)
{
	(void)l;
	s->k->logits(s->dev, s->logits, s->x, &s->head);
}

void run_sample(struct stack *s, struct layer *l)
{
	const struct sample_rule rule = {.top_p = 1};
	(void)l;
	s->k->sample(s->dev, s->sampled, s->logp, s->logits, &rule, NULL);
}

void stack_forward(struct stack *s)
{
	run_embed(s, NULL);
	for (struct layer *l = s->layer; l < s->layer + s->m->layers; l++) {
		run_attn_in(s, l);
		run_attention(s, l);
		run_attn_out(s, l);
		run_mlp(s, l);
	}
}

/* Captured from the second call on: the first loads what a library loads late. */
void stack_call(struct stack *s, void (*calls)(struct stack *))
{
	bool capture = s->o->capture && s->calls++ > 0;
	if (capture && s->graph && s->k->replay(s->dev, s->graph))
		return;
	if (s->graph)
		s->k->graph_free(s->dev, s->graph);
	s->graph = NULL;
	if (capture)
		s->k->capture_begin(s->dev);
	calls(s);
	if (capture)
		s->graph = s->k->capture_end(s->dev);
}
