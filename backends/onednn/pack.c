// SPDX-License-Identifier: Apache-2.0
/* Prepared groups: each matrix in tiles, once for every way it is used. */
#include <stdlib.h>

#include "backends/cpu/head.h"
#include "backends/cpu/mlp.h"
#include "backends/onednn/onednn.h"

enum { VOCAB = 8 * HEAD_VOCAB /* rows from which on a matrix is a head's rather than a projection */ };

/*
 * How the operations cut the matrices of a group: gate and up by parts of F,
 * down by parts of F along its columns, a head by blocks of ids. Which of these
 * a lone matrix is does not show, so it is cut both ways; that harms no other.
 */
static void choose_tiles(struct onednn_matrix *m, const struct weight *weight, struct view w)
{
	m->tile_rows = at_least(w.rows, 1);
	m->tile_cols = at_least(w.cols, 1);
	if (weight->n == 2)
		m->tile_rows = mlp_part(w.rows);
	if (weight->n == 1)
		m->tile_rows = at_most(m->tile_rows, HEAD_VOCAB);
	if (weight->n == 1 && w.rows < VOCAB)
		m->tile_cols = mlp_part(w.cols);
	m->across = (w.rows + m->tile_rows - 1) / m->tile_rows;
	m->down = (w.cols + m->tile_cols - 1) / m->tile_cols;
}

/* A part's elements in the arithmetic's dtype; from `at` on, where they are not stored so. */
static const void *elements(const struct onednn_device *own, struct view part, char *at, float *row, int64_t *ld)
{
	const struct vec *vec = own->cpu.vec;
	size_t step = (size_t)part.cols * dtype_size(own->arithmetic);

	*ld = part.ld;
	if (part.dtype == own->arithmetic)
		return view_row(part, 0);
	*ld = part.cols;
	for (int64_t i = 0; i < part.rows; i++) {
		vec->expand(row, view_row(part, i), part.dtype, part.cols);
		vec->narrow(at + (size_t)i * step, own->arithmetic, row, part.cols);
	}
	return at;
}

/* What fills the tiles of one matrix. */
struct filling {
	struct onednn_device *own;
	struct onednn_matrix *m;
	struct view w;
	char *spare; /* of one tile's elements */
	float *row;
};

/* Where tile (i, j) lies in W. */
static struct view part_of(const struct filling *f, int64_t i, int64_t j)
{
	int64_t row = i * f->m->tile_rows, col = j * f->m->tile_cols;

	return view_cols(view_rows(f->w, row, at_most(f->m->tile_rows, f->w.rows - row)), col,
			 at_most(f->m->tile_cols, f->w.cols - col));
}

/* Make the tile where it is not there yet, and fill it. */
static int fill_one(const struct filling *f, struct tile **tile, struct view part, const void *w, int64_t ld,
		    bool forward)
{
	struct matmul *mm = f->own->matmul;
	size_t before = *tile ? tile_bytes(*tile) : 0;
	int64_t n = forward ? part.rows : part.cols, k = forward ? part.cols : part.rows;

	if (!*tile)
		*tile = tile_new(mm, n, k, f->own->arithmetic, f->own->pieces);
	if (!*tile || tile_fill(mm, *tile, w, ld, forward, w != f->spare))
		return -1;
	f->own->cpu.dev.prepared += tile_bytes(*tile) - before;
	return 0;
}

static int fill_all(const struct filling *f)
{
	struct onednn_matrix *m = f->m;

	for (int64_t i = 0; i < m->across; i++)
		for (int64_t j = 0; j < m->down; j++) {
			struct view part = part_of(f, i, j);
			int64_t ld, number = i * m->down + j;
			const void *w = elements(f->own, part, f->spare, f->row, &ld);

			if ((m->forward && fill_one(f, &m->forward[number], part, w, ld, true)) ||
			    (m->dx && fill_one(f, &m->dx[number], part, w, ld, false)))
				return -1;
		}
	return 0;
}

static int fill_matrix(struct onednn_device *own, struct onednn_matrix *m, struct view w)
{
	size_t tile = (size_t)(m->tile_rows * m->tile_cols) * dtype_size(own->arithmetic);
	struct filling f = {own, m, w, malloc(tile), malloc((size_t)m->tile_cols * sizeof(float))};
	int bad = !f.spare || !f.row || fill_all(&f);

	free(f.spare);
	free(f.row);
	return bad ? -1 : 0;
}

/* ---- the table's entries -------------------------------------------------------- */

static void tiles_free(struct tile **list, int64_t n)
{
	for (int64_t i = 0; list && i < n; i++)
		tile_free(list[i]);
	free(list);
}

static void pack_release(struct device *dev, struct weight *weight)
{
	struct onednn_group *group = weight->packed;

	for (int i = 0; group && i < weight->n; i++) {
		const struct onednn_matrix *m = &group->matrix[i];

		tiles_free(m->forward, m->across * m->down);
		tiles_free(m->dx, m->across * m->down);
	}
	free(group);
	dev->prepared -= weight->bytes;
	*weight = (struct weight){0};
}

static struct tile **tiles_new(const struct onednn_matrix *m, bool wanted)
{
	return wanted ? calloc((size_t)(m->across * m->down), sizeof(struct tile *)) : NULL;
}

static int prepare_matrix(struct onednn_device *own, struct weight *weight, int i)
{
	struct onednn_matrix *m = &((struct onednn_group *)weight->packed)->matrix[i];
	bool forward = weight->uses & WEIGHT_FORWARD, dx = weight->uses & WEIGHT_DX;
	struct view w = weight->w[i];

	choose_tiles(m, weight, w);
	if (w.rows == 0 || w.cols == 0)
		return 0;
	m->forward = tiles_new(m, forward);
	m->dx = tiles_new(m, dx);
	if ((forward && !m->forward) || (dx && !m->dx))
		return -1;
	return fill_matrix(own, m, w);
}

/* f32 products of 16-bit weights would keep a copy of twice their size: those are expanded as they are used. */
static bool needs_layout(const struct device *dev, enum dtype dtype, unsigned uses)
{
	return uses & (WEIGHT_FORWARD | WEIGHT_DX) && (onednn_of(dev)->arithmetic != DTYPE_F32 || dtype == DTYPE_F32);
}

static int pack_prepare(struct device *dev, struct weight *weight, int n, const struct view host[], enum dtype dtype,
			unsigned uses)
{
	size_t before = dev->prepared;

	if (kernels_reference()->prepare(dev, weight, n, host, dtype, uses))
		return -1;
	bool layout = needs_layout(dev, dtype, uses);
	weight->packed = layout ? calloc(1, sizeof(struct onednn_group)) : NULL;
	bool bad = layout && !weight->packed;

	for (int i = 0; !bad && weight->packed && i < n; i++)
		bad = prepare_matrix((struct onednn_device *)dev, weight, i);
	weight->bytes = dev->prepared - before;
	if (!bad)
		return 0;
	pack_release(dev, weight);
	device_fail(dev, "prepare", "no memory for weights in oneDNN's layout; backend openblas needs none");
	return -1;
}

static void pack_refresh(struct device *dev, struct weight *weight)
{
	struct onednn_group *group = weight->packed;

	for (int i = 0; group && i < weight->n; i++)
		if (fill_matrix((struct onednn_device *)dev, &group->matrix[i], weight->w[i]))
			device_fail(dev, "refresh", "no memory to lay weights out again");
}

void onednn_override_pack(struct kernels *table)
{
	table->prepare = pack_prepare;
	table->refresh = pack_refresh;
	table->release = pack_release;
}
