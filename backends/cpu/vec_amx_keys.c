// SPDX-License-Identifier: Apache-2.0
#include "backends/cpu/vec_amx_keys.h"

#include "backends/cpu/vec_half.h"
#include "backends/cpu/vec_tile.h"

enum { OWN = 16, PREFIX = 4, SLOTS = OWN + PREFIX };

struct amx_slot {
	int64_t number, begin, end; /* keys that are there */
};

static int64_t slot_pieces(int64_t steps)
{
	return 3 * amx_keys_operand(steps);
}

enum { SLOT_FLOATS = (SLOTS * sizeof(struct amx_slot) + 63) / 64 * 16 };

static size_t piece_floats(int64_t head_dim)
{
	return (size_t)(SLOTS * slot_pieces(pieces_steps(head_dim))) * sizeof(piece) / sizeof(float);
}

size_t amx_keys_scratch(int64_t head_dim)
{
	return SLOT_FLOATS + piece_floats(head_dim) + PIECE_TERMS * (size_t)head_dim;
}

float *amx_keys_at(struct amx_keys *keys, const struct attn_tile *tile, bool backward, float *scratch)
{
	*keys = (struct amx_keys){tile, pieces_steps(tile->head_dim), backward, (struct amx_slot *)(void *)scratch,
				  (piece *)(void *)(scratch + SLOT_FLOATS),
				  scratch + SLOT_FLOATS + piece_floats(tile->head_dim)};
	for (int i = 0; !tile->same_keys && i < SLOTS; i++)
		keys->slots[i] = (struct amx_slot){.number = -1};
	return scratch + amx_keys_scratch(tile->head_dim);
}

/* A row of k or v, one of x and half; that in bf16 is expanded to `wide`. */
static const float *row_of(float *wide, const float *x, const uint16_t *half, int64_t at, int64_t dim)
{
	if (!half)
		return x + at;
#pragma omp simd
	for (int64_t d = 0; d < dim; d++)
		wide[d] = bf16_expand(half[at + d]);
	return wide;
}

/* Rows of keys [j, j + 32), NULL outside of [begin, end). */
static void rows_of(const float *rows[PIECE_TERMS], const struct amx_keys *keys, const struct attn_keys *kind,
		    const float *x, const uint16_t *half, int64_t ld, int64_t j, int64_t begin, int64_t end)
{
	int64_t dim = keys->tile->head_dim;

	for (int64_t i = 0, run; i < PIECE_TERMS; i++) {
		bool seen = j + i >= begin && j + i < end;

		rows[i] = seen ? row_of(keys->wide + i * dim, x, half, key_run(kind, j + i, 1, &run) * ld, dim) : NULL;
	}
}

/* Keys of step t, of which every row is D long: strips 2 t and 2 t + 1 of [keys, D]. */
static void lay_rows(const struct amx_keys *keys, piece *out, const float *const rows[PIECE_TERMS], int64_t t)
{
	for (int64_t strip = 0; strip < 2; strip++)
		for (int64_t p = 0; p < keys->steps; p++)
			piece_rows(out[(2 * t + strip) * keys->steps + p], rows + strip * PIECE_SIDE, p * PIECE_TERMS,
				   keys->tile->head_dim - p * PIECE_TERMS);
}

/* The same keys as column t of the strips of [D, keys]. */
static void lay_columns(const struct amx_keys *keys, piece *out, const float *const rows[PIECE_TERMS], int64_t t)
{
	for (int64_t strip = 0; strip < 2 * keys->steps; strip++) {
		piece *at = &out[strip * KEY_STEPS + t];

		piece_pairs(*at, rows, strip * PIECE_SIDE, keys->tile->head_dim - strip * PIECE_SIDE);
		piece_transpose(*at);
	}
}

static void lay_step(const struct amx_keys *keys, piece *block, const struct attn_keys *kind, int64_t first, int64_t t,
		     int64_t begin, int64_t end)
{
	const struct attn_tile *tile = keys->tile;
	int64_t operand = amx_keys_operand(keys->steps), j = first + t * PIECE_TERMS;
	const float *rows[PIECE_TERMS];

	rows_of(rows, keys, kind, tile->k, tile->k_half, tile->ld_k, j, begin, end);
	lay_rows(keys, block, rows, t);
	if (keys->backward)
		lay_columns(keys, block + 2 * operand, rows, t);
	rows_of(rows, keys, kind, tile->v, tile->v_half, tile->ld_v, j, begin, end);
	(keys->backward ? lay_rows : lay_columns)(keys, block + operand, rows, t);
}

piece *amx_keys_block(struct amx_keys *keys, const struct attn_keys *kind, int64_t number)
{
	bool own = kind == &keys->tile->keys[1];
	int64_t place = own ? number % OWN : OWN + number % PREFIX, first = number * ATTN_KEYS;
	int64_t last = first + ATTN_KEYS < kind->end ? first + ATTN_KEYS : kind->end;
	struct amx_slot *slot = &keys->slots[place];
	piece *block = keys->pieces + place * slot_pieces(keys->steps);
	int64_t begin = kind->begin > first ? kind->begin : first;
	bool goes_on = slot->number == number && slot->begin == begin;
	int64_t done = goes_on ? slot->end : first;

	if (!goes_on)
		*slot = (struct amx_slot){number, begin, first};
	if (done >= last)
		return block;
	for (int64_t t = (done - first) / PIECE_TERMS; t < KEY_STEPS; t++)
		lay_step(keys, block, kind, first, t, slot->begin, last);
	slot->end = last;
	return block;
}
