// SPDX-License-Identifier: Apache-2.0
/*
 * load.h - how a model comes from files to the device. Private to model.c,
 * load.c and load_matrix.c.
 *
 *     load_all(&loader)               // check: every name and shape
 *     loader.check = false
 *     load_all(&loader)               // then every number
 *
 * Failures are in loader.err; model_free releases what was loaded.
 */
#ifndef BALDISTILL_MODEL_LOAD_H
#define BALDISTILL_MODEL_LOAD_H

#include "src/model/model.h"
#include "src/model/shards.h"

enum { LOAD_ALIGNMENT = 64 /* of a matrix in the block */ };

/* All that is to be freed: host matrices, and arrays on the device. */
struct model_arrays {
	unsigned char *block;   /* all host matrices, one after the other */
	size_t used, room;      /* bytes of block */
	struct buffer *host;    /* matrices; data is NULL once the device has its own copy */
	size_t hosts, host_room;
	struct buffer **device;
	size_t devices, device_room;
};

/* A model being loaded. */
struct loader {
	struct model *model;
	struct shards *shards;
	const struct model_options *options;
	bool check; /* first pass: names and shapes only */
	struct err *err;
};

/* load.c: the ends, the rotary table, all layers. */
int load_all(struct loader *l);

/* load_matrix.c, from here on. Rows of the file, or drawn, as a host matrix [rows, cols] of the dtype asked for. */
int load_matrix(struct loader *l, struct view *out, int64_t rows, int64_t cols, const char *name);
/* A norm's or a bias's numbers, f32 [1, n] on the device. */
int load_vector(struct loader *l, struct view *out, int64_t n, const char *name);
/* An array of the model's own, f32 [rows, cols] on the device. */
int load_array(struct loader *l, struct view *out, int64_t rows, int64_t cols, const float *host);
/* A group for products; host copies that the device does not refer to any more are freed. */
int load_weight(struct loader *l, struct weight *w, int n, const struct view host[], unsigned uses);

/* A line for the user in model->notes. */
void __attribute__((format(printf, 2, 3))) model_note(struct model *model, const char *format, ...);

#endif
