// SPDX-License-Identifier: Apache-2.0
/* Names of tensors to fields of the model: checked first, then read, then prepared. */
#include "src/model/model.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "reference/philox.h"
#include "src/base/mem.h"
#include "src/model/shards.h"

/* All that is to be freed: host matrices, and arrays on the device. */
struct model_arrays {
	unsigned char *block;   /* all host matrices, one after the other */
	size_t used, room;      /* bytes of block */
	struct buffer *host;    /* matrices; data is NULL once the device has its own copy */
	size_t hosts, host_room;
	struct buffer **device;
	size_t devices, device_room;
};

struct loader {
	struct model *model;
	struct shards *shards;
	const struct model_options *options;
	bool check; /* first pass: names and shapes only */
	struct err *err;
};

enum {
	READ_BYTES = 32 << 20, /* f32 rows held while a matrix is rounded */
	ALIGNMENT = 64         /* of a matrix in the block */
};

static void note(struct model *model, const char *format, ...)
{
	size_t n = strlen(model->notes);
	va_list args;
	va_start(args, format);
	vsnprintf(model->notes + n, sizeof model->notes - n, format, args);
	va_end(args);
}

/* ---- matrices on the host ------------------------------------------------- */

/* f32 to bf16, to nearest even; a NaN stays one. */
static uint16_t bf16_of(float f)
{
	uint32_t bits;
	memcpy(&bits, &f, sizeof bits);
	if ((bits & 0x7fffffff) > 0x7f800000)
		return (uint16_t)(bits >> 16 | 0x40);
	return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/* Rows of a tensor rounded to bf16 through a bounded piece of f32. */
static int read_rounded(const struct tensor_info *info, uint16_t *out, struct err *err)
{
	int64_t cols = tensor_row_elements(info), rows = tensor_rows(info);
	int64_t step = READ_BYTES / (int64_t)sizeof(float) / (cols ? cols : 1);
	step = step < 1 ? 1 : step;
	float *piece = mem_array((size_t)(step < rows ? step : rows), (size_t)cols * sizeof *piece, err);
	int rc = piece ? 0 : -1;
	for (int64_t row = 0; !rc && row < rows; row += step) {
		int64_t n = rows - row < step ? rows - row : step;
		rc = tensor_read_f32(info, row, n, piece, err);
		for (int64_t i = 0; !rc && i < n * cols; i++)
			out[row * cols + i] = bf16_of(piece[i]);
	}
	free(piece);
	return rc;
}

static int read_matrix(const struct tensor_info *info, enum dtype dtype, void *out, struct err *err)
{
	if (info->dtype == dtype)
		return tensor_read(info, 0, tensor_rows(info), out, err);
	return dtype == DTYPE_F32 ? tensor_read_f32(info, 0, tensor_rows(info), out, err)
				  : read_rounded(info, out, err);
}

/* A host matrix [rows, cols] of the model; its struct buffer does not move. */
static int new_host(struct loader *l, struct view *out, int64_t rows, int64_t cols)
{
	struct model_arrays *arrays = l->model->arrays;
	size_t n = (size_t)rows * (size_t)cols, bytes = n * dtype_size(l->options->dtype);
	size_t taken = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
	if (arrays->hosts == arrays->host_room || taken > arrays->room - arrays->used)
		return err_set(l->err, ERR_INTERNAL, "too many matrices");
	arrays->host[arrays->hosts] = (struct buffer){arrays->block + arrays->used, bytes};
	arrays->used += taken;
	*out = view_of(&arrays->host[arrays->hosts++], rows, cols, l->options->dtype);
	l->model->stored += bytes;
	return 0;
}

static void warn_not_finite(struct model *model, const struct tensor_info *info, struct view v)
{
	struct err err = {0};
	if (tensor_check_finite(info->name, v.dtype, view_row(v, 0), (size_t)(v.rows * v.cols), &err))
		note(model, "%s\n", err.message);
}

/* ---- drawn weights ---------------------------------------------------------- */

/* A number for a tensor's name: FNV-1a, 32 bits. */
static uint32_t name_number(const char *name)
{
	uint32_t h = 2166136261u;
	for (; *name; name++)
		h = (h ^ (uint32_t)(unsigned char)*name) * 16777619u;
	return h;
}

/* Normal numbers, two from each pair of uniform ones (Box and Muller 1958). */
static float draw_normal(struct philox_key key, int64_t i)
{
	static const double deviation = 0.02; /* transformers' initializer_range */
	struct philox_words w = philox_at(key, (uint32_t)(i / 2), (uint64_t)(i / 2) >> 32);
	double radius = sqrt(-2 * log(((double)w.w[0] + 1) / 4294967296.0)), angle = 2 * M_PI * (double)w.w[1] / 4294967296.0;
	return (float)(deviation * radius * (i % 2 ? sin(angle) : cos(angle)));
}

static int draw_matrix(struct loader *l, struct view *out, int64_t rows, int64_t cols, const char *name)
{
	struct philox_key key = philox_stream(l->options->seed, PHILOX_INIT, name_number(name), 0, 1);
	if (l->check)
		return 0;
	if (new_host(l, out, rows, cols))
		return -1;
	for (int64_t i = 0; i < rows * cols; i++) {
		float value = draw_normal(key, i);
		if (out->dtype == DTYPE_F32)
			((float *)view_row(*out, 0))[i] = value;
		else
			((uint16_t *)view_row(*out, 0))[i] = bf16_of(value);
	}
	return 0;
}

/* ---- tensors of the files ---------------------------------------------------- */

static int load_matrix(struct loader *l, struct view *out, int64_t rows, int64_t cols, const char *name)
{
	const int64_t shape[2] = {rows, cols};
	struct tensor_info info;
	if (l->options->random)
		return draw_matrix(l, out, rows, cols, name);
	if (shards_expect(l->shards, name, 2, shape, &info, l->err))
		return -1;
	if (l->check)
		return 0;
	if (new_host(l, out, rows, cols) || read_matrix(&info, l->options->dtype, view_row(*out, 0), l->err))
		return -1;
	warn_not_finite(l->model, &info, *out);
	return 0;
}

/* ---- arrays on the device -------------------------------------------------- */

static int new_device(struct loader *l, struct view *out, int64_t rows, int64_t cols, const float *host)
{
	struct model_arrays *arrays = l->model->arrays;
	struct device *dev = l->model->dev;
	struct buffer *buffer = dev->k->alloc(dev, (size_t)rows * (size_t)cols * sizeof(float));
	if (!buffer)
		return device_finish(dev, ERR_MEMORY, l->err);
	arrays->device[arrays->devices++] = buffer;
	*out = view_of(buffer, rows, cols, DTYPE_F32);
	dev->k->upload(dev, *out, host);
	return device_finish(dev, ERR_MEMORY, l->err);
}

/* A norm's or a bias's numbers, f32 on the device. */
static int load_vector(struct loader *l, struct view *out, int64_t n, const char *name)
{
	struct tensor_info info;
	bool random = l->options->random;
	if (!random && shards_expect(l->shards, name, 1, &n, &info, l->err))
		return -1;
	if (l->check)
		return 0;
	float *host = mem_array((size_t)n, sizeof *host, l->err);
	if (!host)
		return -1;
	for (int64_t i = 0; random && i < n; i++)
		host[i] = strstr(name, "norm") ? 1 : 0;
	/* a vector of n is n rows of one element */
	int rc = (!random && tensor_read_f32(&info, 0, tensor_rows(&info), host, l->err)) || new_device(l, out, 1, n, host)
			 ? -1 : 0;
	free(host);
	return rc;
}

/* ---- layers ------------------------------------------------------------------ */

/* "model.layers.L.PART.weight" */
static const char *layer_name(char *name, size_t size, int64_t layer, const char *part)
{
	snprintf(name, size, "model.layers.%lld.%s", (long long)layer, part);
	return name;
}

struct part {
	const char *name;
	int64_t rows, cols; /* cols 0: a vector */
	struct view *to;
};

static int load_parts(struct loader *l, int64_t layer, const struct part *part, size_t n)
{
	char name[128];
	for (; n; n--, part++) {
		layer_name(name, sizeof name, layer, part->name);
		int rc = part->cols ? load_matrix(l, part->to, part->rows, part->cols, name)
				    : load_vector(l, part->to, part->rows, name);
		if (rc)
			return -1;
	}
	return 0;
}

/* Give a matrix's memory back to the system; pages at its ends that others share stay. */
static void drop(struct buffer *host)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), begin = (uintptr_t)host->data;
	uintptr_t first = (begin + page - 1) / page * page, end = (begin + host->bytes) / page * page;
	if (first < end)
		madvise((void *)first, end - first, MADV_DONTNEED);
	host->data = NULL;
}

/* Make a group for products; host copies that the device does not refer to any more are freed. */
static int prepare(struct loader *l, struct weight *w, int n, const struct view host[], unsigned uses)
{
	struct device *dev = l->model->dev;
	if (l->check)
		return 0;
	if (dev->k->prepare(dev, w, n, host, l->options->dtype, uses))
		return device_finish(dev, ERR_MEMORY, l->err);
	for (int i = 0; i < n; i++)
		if (w->w[i].buffer != host[i].buffer) {
			l->model->stored -= host[i].buffer->bytes;
			drop(host[i].buffer);
		}
	return 0;
}

static int load_attention(struct loader *l, int64_t i, struct model_layer *layer)
{
	const struct model_config *c = &l->model->config;
	int64_t C = c->hidden_size, Q = c->num_attention_heads * c->head_dim, K = c->num_key_value_heads * c->head_dim;
	struct view qkv[3], o;
	const struct part always[] = {
		{"input_layernorm.weight", C, 0, &layer->in.norm_w}, {"self_attn.q_proj.weight", Q, C, &qkv[0]},
		{"self_attn.k_proj.weight", K, C, &qkv[1]},	     {"self_attn.v_proj.weight", K, C, &qkv[2]},
		{"self_attn.o_proj.weight", C, Q, &o},
	};
	const struct part bias[] = {{"self_attn.q_proj.bias", Q, 0, &layer->in.bias[0]},
				    {"self_attn.k_proj.bias", K, 0, &layer->in.bias[1]},
				    {"self_attn.v_proj.bias", K, 0, &layer->in.bias[2]}};
	const struct part o_bias[] = {{"self_attn.o_proj.bias", C, 0, &layer->out.bias}};
	const struct part norm[] = {{"self_attn.q_norm.weight", c->head_dim, 0, &layer->in.q_norm},
				    {"self_attn.k_norm.weight", c->head_dim, 0, &layer->in.k_norm}};
	if (load_parts(l, i, always, 5) || (c->qkv_bias && load_parts(l, i, bias, 3)) ||
	    (c->o_bias && load_parts(l, i, o_bias, 1)) || (c->qk_norm && load_parts(l, i, norm, 2)))
		return -1;
	return prepare(l, &layer->wqkv, 3, qkv, WEIGHT_FORWARD | WEIGHT_DX) ||
		       prepare(l, &layer->wo, 1, &o, WEIGHT_FORWARD | WEIGHT_DX)
		       ? -1 : 0;
}

static int load_mlp(struct loader *l, int64_t i, struct model_layer *layer)
{
	int64_t C = l->model->config.hidden_size, F = l->model->config.intermediate_size;
	struct view gu[2], down;
	const struct part parts[] = {
		{"post_attention_layernorm.weight", C, 0, &layer->mlp.norm_w}, {"mlp.gate_proj.weight", F, C, &gu[0]},
		{"mlp.up_proj.weight", F, C, &gu[1]}, {"mlp.down_proj.weight", C, F, &down},
	};
	if (load_parts(l, i, parts, 4))
		return -1;
	return prepare(l, &layer->wgu, 2, gu, WEIGHT_FORWARD | WEIGHT_DX) ||
		       prepare(l, &layer->wdown, 1, &down, WEIGHT_FORWARD | WEIGHT_DX)
		       ? -1 : 0;
}

static void set_params(struct model *model, struct model_layer *layer, struct rope rope)
{
	const struct model_config *c = &model->config;
	float eps = (float)c->rms_norm_eps;
	layer->in.dims = (struct attn_dims){(int)c->num_attention_heads, (int)c->num_key_value_heads,
					    (int)c->head_dim, 1.0f / __builtin_sqrtf((float)c->head_dim)};
	layer->in.eps = layer->mlp.eps = eps;
	layer->in.wqkv = &layer->wqkv;
	layer->in.rope = rope;
	layer->out.wo = &layer->wo;
	layer->mlp.wgu = &layer->wgu;
	layer->mlp.wdown = &layer->wdown;
}

/* ---- the ends ------------------------------------------------------------------ */

static const char embedding_name[] = "model.embed_tokens.weight", head_name[] = "lm_head.weight";

/* A head stored beside a tied embedding is passed over by transformers 4 and used by 5; good where it makes no odds. */
static int check_tied(struct loader *l)
{
	const int64_t shape[2] = {l->model->config.vocab_size, l->model->config.hidden_size};
	struct tensor_info embedding, head;
	bool same;
	if (l->options->random || !l->check || !shards_find(l->shards, head_name, &head))
		return 0;
	if (shards_expect(l->shards, embedding_name, 2, shape, &embedding, l->err) ||
	    tensor_expect(&head, 2, shape, l->err) || tensor_same(&same, &embedding, &head, l->err))
		return -1;
	return same ? 0
		    : err_set(l->err, ERR_DATA,
			      "%s: tensor '%s' differs from '%s', to which config.json ties it; set "
			      "tie_word_embeddings to false or remove %s",
			      safetensors_path(head.file), head_name, embedding_name, head_name);
}

static int load_ends(struct loader *l)
{
	struct model *m = l->model;
	struct view embedding, head;
	int64_t V = m->config.vocab_size, C = m->config.hidden_size;
	bool tied = m->config.tie_word_embeddings;
	unsigned uses = WEIGHT_GATHER | (tied ? WEIGHT_FORWARD | WEIGHT_DX : 0);
	if (load_matrix(l, &embedding, V, C, embedding_name) || prepare(l, &m->embedding, 1, &embedding, uses) ||
	    load_vector(l, &m->head.norm_w, C, "model.norm.weight"))
		return -1;
	m->head.eps = (float)m->config.rms_norm_eps;
	m->head.w = tied ? &m->embedding : &m->lm_head;
	if (tied)
		return check_tied(l);
	return load_matrix(l, &head, V, C, head_name) ||
		       prepare(l, &m->lm_head, 1, &head, WEIGHT_FORWARD | WEIGHT_DX)
		       ? -1 : 0;
}

static int load_rope(struct loader *l, struct rope *rope)
{
	struct model *m = l->model;
	int64_t half = m->config.head_dim / 2, n = m->positions * half;
	float *host = mem_array((size_t)n, 2 * sizeof *host, l->err);
	if (!host)
		return -1;
	rope_table(host, host + n, m->positions, (int)m->config.head_dim, &m->config.rope);
	int rc = new_device(l, &rope->cos, m->positions, half, host) ||
		 new_device(l, &rope->sin, m->positions, half, host + n);
	free(host);
	return rc ? -1 : 0;
}

static int load_all(struct loader *l)
{
	struct model *m = l->model;
	struct rope rope = {0};
	if (load_ends(l) || (!l->check && load_rope(l, &rope)))
		return -1;
	for (int64_t i = 0; i < m->config.num_hidden_layers; i++) {
		if (load_attention(l, i, &m->layer[i]) || load_mlp(l, i, &m->layer[i]))
			return -1;
		set_params(m, &m->layer[i], rope);
	}
	return 0;
}

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
	size_t room = model_stored_bytes(&m->config, dtype) + m->arrays->host_room * ALIGNMENT;
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
	enum { POSITIONS = 8192 };
	int64_t most = m->config.max_position_embeddings;
	m->positions = options->positions ? options->positions : most < POSITIONS ? most : POSITIONS;
	if (check_memory(m, options, err) || make_room(m, options->dtype, err))
		return -1;
	struct loader l = {.model = m, .shards = options->random ? NULL : shards_open(directory, err), .options = options,
			   .check = true, .err = err};
	if (!l.shards && !options->random)
		return -1;
	note(m, "%s", l.shards ? shards_notes(l.shards) : "");
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
