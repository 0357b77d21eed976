// SPDX-License-Identifier: Apache-2.0
/*
 * identity.h - what a model directory holds, for the name of work that depends
 * on it: work begun with one model does not go on with another.
 *
 *     hash_init(&hash, &err);
 *     identity_add(&hash, directory, &err);
 *     hash_final(digest, &hash, &err);
 *
 * Counted is every file that a student or an adapter is read from, by its name
 * and bytes. Of a file of more than 16 MiB, weights as a rule, these are its
 * size and 1,024 pieces of 4 KiB, spread evenly: all of it would take as long
 * as reading the model, and training changes a matrix everywhere. Where the
 * directory lies, and when files were written, does not count.
 *
 * Failures: those of directory.h, ERR_IO, ERR_MEMORY.
 */
#ifndef BALDISTILL_MODEL_IDENTITY_H
#define BALDISTILL_MODEL_IDENTITY_H

#include "src/base/hash.h"

#ifdef __cplusplus
extern "C" {
#endif

int identity_add(struct hash *hash, const char *directory, struct err *err);

#ifdef __cplusplus
}
#endif
#endif
