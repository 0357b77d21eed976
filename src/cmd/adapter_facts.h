// SPDX-License-Identifier: Apache-2.0
/*
 * adapter_facts.h - what loaders of PEFT adapters look at, read from a directory.
 *
 *     struct adapter_facts facts;
 *     if (adapter_facts_read(&facts, "adapter", &err))   // no files, or none that can be read
 *             return -1;
 *     if (facts.fault[0])
 *             … no loader would take it …
 */
#ifndef BALDISTILL_CMD_ADAPTER_FACTS_H
#define BALDISTILL_CMD_ADAPTER_FACTS_H

#include "src/base/jsonio.h"

struct adapter_facts {
	int64_t r;
	bool alpha, base, rslora, dora, ranks, alphas, saves_modules, biases, lora_biases, replicates;
	char init[32];                    /* init_lora_weights where it is a kind that changes the base, or "" */
	size_t pairs;                     /* tensors that are A or B of a matrix */
	char outside[256];                /* first tensor that is no A or B of a layer's matrix; "" if none */
	char unpaired[256];               /* first that is no A or B at all; "" if none */
	char unlisted[256];               /* first that is in addition nothing PEFT would read; "" if none */
	char fault[512];                  /* what keeps every loader from it, a message; "" if nothing */
	/* target_modules, exclude_modules, layers_to_transform, modules_to_save; while reading */
	struct json_value targets, excluded, layers, saved;
};

int adapter_facts_read(struct adapter_facts *facts, const char *directory, struct err *err);

#endif
