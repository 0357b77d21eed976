// SPDX-License-Identifier: Apache-2.0
/* A model as a whole: its memory, and both passes of its loading. */
#include "src/model/model.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "src/base/mem.h"
#include "src/model/load.h"

int device_finish(struct device *dev, int code, struct err *err)
{
	const char *failure = device_sync(dev);
	return failure ? err_set(err, code, "%s", failure) : 0;
}

int64_t model_rank(const struct model *m)
{
	int64_t rank = 0;
	for (int64_t i = 0; i < m->config.num_hidden_layers; i++) {
		const struct model_layer *l = &m->layer[i];
		const struct lora *all[] = {l->in.lora[0], l->in.lora[1], l->in.lora[2], l->out.lora,
					    l->mlp.lora[0], l->mlp.lora[1], l->mlp.lora[2]};
		for (int j = 0; j < 7; j++)
			rank = all[j] && all[j]->a.rows > rank ? all[j]->a.rows : rank;
	}
	return rank;
}

uint64_t model_stored_bytes(const struct model_config *c, enum dtype dtype)
{
	uint64_t C = (uint64_t)c->hidden_size, F = (uint64_t)c->intermediate_size, V = (uint64_t)c->vocab_size;
	uint64_t Q = (uint64_t)(c->num_attention_heads * c->head_dim), K = (uint64_t)(c->num_key_value_heads * c->head_dim);
	uint64_t layer = 2 * Q * C + 2 * K * C + 3 * C * F;
	return ((uint64_t)c->num_hidden_layers * layer + (c->tie_word_embeddings ? 1 : 2) * V * C) * dtype_size(dtype);
}

static int check_memory(const struct model *m, const struct model_options *o, struct err *err)
{
	uint64_t need = model_stored_bytes(&m->config, o->dtype);
	if (!o->memory || need <= o->memory)
		return 0;
	return err_set(err, ERR_MEMORY, "weights need %.1f MiB as %s, more than the %.1f MiB allowed; raise --memory (in a plan student.memory)",
		       (double)need / 0x1p20, dtype_name(o->dtype), (double)o->memory / 0x1p20);
}

/* One block for all matrices, in huge pages where the system has them: a tenth of the faults, and fewer misses later. */
static int map_block(struct model *m, enum dtype dtype, struct err *err)
{
	size_t room = model_stored_bytes(&m->config, dtype) + m->arrays->host_room * LOAD_ALIGNMENT;
	void *block = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (block == MAP_FAILED)
		return err_set(err, ERR_MEMORY, "out of memory for weights of %zu MiB; free memory or ask for less", room >> 20);
	madvise(block, room, MADV_HUGEPAGE); /* a wish: failing is no failure */
	m->arrays->block = block;
	m->arrays->room = room;
	return 0;
}

/* Room for all arrays a model can have, so that struct buffers do not move. */
static int make_room(struct model *m, enum dtype dtype, struct err *err)
{
	size_t layers = (size_t)m->config.num_hidden_layers;
	m->arrays = mem_array(1, sizeof *m->arrays, err);
	m->layer = mem_array(layers, sizeof *m->layer, err);
	if (!m->arrays || !m->layer)
		return -1;
	m->arrays->host_room = 7 * layers + 2;
	m->arrays->device_room = 8 * layers + 3;
	m->arrays->host = mem_array(m->arrays->host_room, sizeof *m->arrays->host, err);
	m->arrays->device = mem_array(m->arrays->device_room, sizeof *m->arrays->device, err);
	return m->arrays->host && m->arrays->device ? map_block(m, dtype, err) : -1;
}

static int load(struct model *m, const char *directory, const struct model_options *options, struct err *err)
{
	enum { POSITIONS = 131072 };
	int64_t most = m->config.max_position_embeddings;
	m->positions = options->positions ? options->positions : most < POSITIONS ? most : POSITIONS;
	if (check_memory(m, options, err) || make_room(m, options->dtype, err))
		return -1;
	struct loader l = {.model = m, .shards = options->random ? NULL : shards_open(directory, err), .options = options,
			   .check = true, .err = err};
	if (!l.shards && !options->random)
		return -1;
	model_note(m, "%s", l.shards ? shards_notes(l.shards) : "");
	int rc = load_all(&l);
	l.check = false;
	rc = rc || load_all(&l) ? -1 : 0;
	shards_close(l.shards);
	return rc;
}

struct model *model_load(const char *directory, struct device *dev, const struct model_options *options,
			 struct err *err)
{
	struct model *m = mem_array(1, sizeof *m, err);
	if (!m)
		return NULL;
	m->dev = dev;
	if (model_config_load(&m->config, directory, err)) {
		free(m);
		return NULL;
	}
	if (load(m, directory, options, err)) {
		model_free(m);
		return NULL;
	}
	return m;
}

static void release_weights(struct model *m)
{
	const struct kernels *k = m->dev->k;
	for (int64_t i = 0; m->layer && i < m->config.num_hidden_layers; i++) {
		struct weight *all[] = {&m->layer[i].wqkv, &m->layer[i].wo, &m->layer[i].wgu, &m->layer[i].wdown};
		for (int j = 0; j < 4; j++)
			k->release(m->dev, all[j]);
	}
	k->release(m->dev, &m->embedding);
	k->release(m->dev, &m->lm_head);
}

void model_free(struct model *m)
{
	if (!m)
		return;
	release_weights(m);
	for (size_t i = 0; m->arrays && i < m->arrays->devices; i++)
		m->dev->k->free(m->dev, m->arrays->device[i]);
	if (m->arrays) {
		if (m->arrays->block)
			munmap(m->arrays->block, m->arrays->room);
		free(m->arrays->host);
		free(m->arrays->device);
	}
	free(m->arrays);
	free(m->layer);
	model_config_release(&m->config);
	free(m);
}
