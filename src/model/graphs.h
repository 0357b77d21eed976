// SPDX-License-Identifier: Apache-2.0
/*
 * graphs.h - steps captured once and replayed, by their shape. Private to the room.
 *
 *     static void step(void *context);       // operations alone: no transfer, no allocation (kernel.h, capture)
 *     struct graphs graphs;
 *     graphs_init(&graphs, dev, 8);
 *     graphs_run(&graphs, &(struct graph_shape){{rows, segments}}, step, &context);
 *     graphs_release(&graphs);
 *
 * The first step of a shape runs as it is, so that libraries choose their
 * kernels; the second is captured, and replayed from then on. A shape holds
 * whatever decides the calls and their host arguments; all else lies in device
 * arrays. What was used longest ago makes room. A device that captures
 * nothing does every step at once.
 */
#ifndef BALDISTILL_MODEL_GRAPHS_H
#define BALDISTILL_MODEL_GRAPHS_H

#include <string.h>

#include "reference/kernel.h"

enum { GRAPH_NUMBERS = 6, GRAPHS_MOST = 64 };

struct graph_shape {
	int64_t number[GRAPH_NUMBERS];
};

struct graphs_entry {
	struct graph_shape shape;
	struct graph *graph; /* NULL: seen, not captured */
	uint64_t used;       /* when last; 0: free */
};

struct graphs {
	struct device *dev;
	const void *scratch; /* where the device's was: captured steps refer to it */
	uint64_t now;
	int room;
	struct graphs_entry entry[GRAPHS_MOST];
};

static inline void graphs_init(struct graphs *g, struct device *dev, int room)
{
	*g = (struct graphs){.dev = dev, .room = room};
}

static inline void graphs_release(struct graphs *g)
{
	for (int i = 0; i < g->room; i++) {
		if (g->entry[i].graph)
			g->dev->k->graph_free(g->dev, g->entry[i].graph);
		g->entry[i] = (struct graphs_entry){0};
	}
}

/* The shape's entry, or the oldest with its graph. */
static inline struct graphs_entry *graphs_find(struct graphs *g, const struct graph_shape *shape)
{
	struct graphs_entry *oldest = &g->entry[0];
	for (int i = 0; i < g->room; i++) {
		struct graphs_entry *e = &g->entry[i];
		if (e->used && !memcmp(&e->shape, shape, sizeof *shape))
			return e;
		oldest = e->used < oldest->used ? e : oldest;
	}
	return oldest;
}

static inline void graphs_run(struct graphs *g, const struct graph_shape *shape, void (*step)(void *), void *context)
{
	const struct kernels *k = g->dev->k;
	if (g->scratch != g->dev->scratch.data)
		graphs_release(g);
	g->scratch = g->dev->scratch.data;
	struct graphs_entry *e = graphs_find(g, shape);
	bool seen = e->used && !memcmp(&e->shape, shape, sizeof *shape);
	if (!seen) {
		if (e->graph)
			k->graph_free(g->dev, e->graph);
		*e = (struct graphs_entry){.shape = *shape};
	}
	e->used = ++g->now;
	if (seen && e->graph && k->replay(g->dev, e->graph))
		return;
	if (!seen || e->graph) { /* the first, or a device that replays nothing */
		step(context);
		return;
	}
	k->capture_begin(g->dev);
	step(context);
	e->graph = k->capture_end(g->dev);
}

#endif
