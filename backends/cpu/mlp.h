// SPDX-License-Identifier: Apache-2.0
/* mlp.h - how mlp.c cuts its matrices, for backends that lay them out beforehand. */
#ifndef BALDISTILL_BACKENDS_CPU_MLP_H
#define BALDISTILL_BACKENDS_CPU_MLP_H

#include <stdint.h>

/* Columns of F that a block of many rows takes at a time: equal parts, multiples of 64, of at most about a thousand. */
int64_t mlp_part(int64_t ffn);

#endif
