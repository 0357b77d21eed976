// SPDX-License-Identifier: Apache-2.0
#include "src/student/train_hash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/base/mem.h"

/* Raises the number where what a checkpoint holds, or how a step is computed, changes. */
enum { FORMAT = 1 };

static int add_text(struct hash *h, const char *text, struct err *err)
{
	return hash_update(h, text, strlen(text) + 1, err);
}

/* The options that decide bytes, one by one: the struct has padding. */
static int add_options(struct hash *h, const struct train_options *o, struct err *err)
{
	char text[1024];
	snprintf(text, sizeof text,
		 "%d %.17g %.17g %.17g %.17g %.17g %.17g %.17g %d %lld %lld %lld %d %d %d %lld %llu", FORMAT,
		 o->learning_rate, o->weight_decay, o->adam_beta1, o->adam_beta2, o->adam_epsilon, o->max_grad_norm,
		 o->warmup_ratio, o->lr_scheduler_type, (long long)o->num_train_epochs,
		 (long long)o->per_device_train_batch_size, (long long)o->gradient_accumulation_steps,
		 o->gradient_checkpointing, o->shuffle, o->share_prefix, (long long)o->tokens,
		 (unsigned long long)o->seed);
	return add_text(h, text, err);
}

static int add_rows(struct hash *h, const struct train_row *rows, size_t n, struct err *err)
{
	for (size_t i = 0; i < n; i++) {
		const int64_t head[3] = {rows[i].n, rows[i].first_target, rows[i].key};
		if (hash_update(h, head, sizeof head, err) ||
		    hash_update(h, rows[i].ids, (size_t)rows[i].n * sizeof *rows[i].ids, err))
			return -1;
	}
	return 0;
}

/* The first row of a matrix, as stored. */
static int add_row(struct hash *h, struct device *dev, struct view v, struct err *err)
{
	size_t bytes = (size_t)v.cols * dtype_size(v.dtype);
	void *host = mem_array(1, bytes, err);
	if (!host)
		return -1;
	dev->k->download(dev, host, view_rows(v, 0, 1));
	int rc = device_finish(dev, ERR_INTERNAL, err) || hash_update(h, host, bytes, err) ? -1 : 0;
	free(host);
	return rc;
}

static int add_weight(struct hash *h, struct device *dev, const struct weight *w, struct err *err)
{
	for (int i = 0; i < w->n; i++)
		if (add_row(h, dev, w->w[i], err))
			return -1;
	return 0;
}

static int add_model(struct hash *h, const struct model *m, struct err *err)
{
	char device[64];
	snprintf(device, sizeof device, "%s %d %d", m->dev->name, m->dev->threads, m->dev->batch_invariant);
	if (add_text(h, device, err) || hash_update(h, m->config.text, m->config.text_n, err) ||
	    add_weight(h, m->dev, &m->embedding, err) || add_weight(h, m->dev, &m->lm_head, err))
		return -1;
	for (int64_t i = 0; i < m->config.num_hidden_layers; i++) {
		const struct model_layer *l = &m->layer[i];
		if (add_weight(h, m->dev, &l->wqkv, err) || add_weight(h, m->dev, &l->wo, err) ||
		    add_weight(h, m->dev, &l->wgu, err) || add_weight(h, m->dev, &l->wdown, err))
			return -1;
	}
	return 0;
}

static int add_trainee(struct hash *h, const struct trainee *t, struct err *err)
{
	char text[256];
	const struct adapter_config none = {0}, *c = t->adapter ? &t->adapter->config : &none;
	snprintf(text, sizeof text, "%lld %.17g %.17g %d %u", (long long)c->r, c->alpha, c->dropout, c->use_rslora,
		 c->targets);
	if (add_text(h, text, err))
		return -1;
	for (size_t i = 0; i < t->params.n; i++)
		if (add_text(h, t->params.list[i].name, err) || add_row(h, t->params.dev, t->params.list[i].p, err))
			return -1;
	return 0;
}

int train_hash(char hex[HASH_HEX_ROOM], const struct trainee *trainee, const struct train_row *rows, size_t n,
	       const struct train_options *options, struct err *err)
{
	struct hash h;
	unsigned char digest[HASH_SIZE];
	if (hash_init(&h, err))
		return -1;
	int rc = add_options(&h, options, err) || add_rows(&h, rows, n, err) || add_model(&h, trainee->model, err) ||
				 add_trainee(&h, trainee, err)
			 ? -1 : hash_final(digest, &h, err);
	hash_release(&h);
	if (!rc)
		hash_hex(hex, digest);
	return rc;
}
