// SPDX-License-Identifier: Apache-2.0
/* card.h - README.md of a trained adapter or checkpoint: what it was made of, in a page. */
#ifndef BALDISTILL_PIPELINE_CARD_H
#define BALDISTILL_PIPELINE_CARD_H

#include "src/student/train_config.h"

struct card {
	const char *base, *data;
	size_t rows;
	int64_t tokens, targets, steps;
	double last_loss;
	const struct train_config *config;
};

/* DIRECTORY/README.md; ERR_CANTCREATE, ERR_IO, ERR_MEMORY. */
int card_save(const char *directory, const struct card *card, struct err *err);

#endif
