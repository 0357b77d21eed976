// SPDX-License-Identifier: Apache-2.0
/*
 * safetensors.h - tensors in files: a strict reader and a streaming writer.
 *
 * The format (github.com/huggingface/safetensors, README): 8 bytes of
 * little-endian header length n <= 100,000,000; n bytes of JSON that start
 * with '{' and may end in spaces,
 *
 *     {"__metadata__": {"format": "pt"},
 *      "NAME": {"dtype": "BF16", "shape": [49152, 576], "data_offsets": [0, 56623104]}, …}
 *
 * then the tensors, little-endian, row-major, without holes or overlaps;
 * offsets count from the first byte behind the header.
 *
 * Reading believes nothing. A file that is open has been checked as a whole:
 * JSON, names, shapes, sizes, and that the tensors cover the file exactly.
 * Memory is the table of tensors, less than a megabyte for models that exist;
 * 64 MiB and three times the header is the bound for any file.
 * Bytes are read with pread into the caller's memory, never mapped; after each
 * read the file must still be the one that was opened, so a file cut or
 * replaced meanwhile is an error and not a signal.
 *
 *     struct safetensors *file = safetensors_open(path, &err);
 *     struct tensor_info info;
 *     if (file && safetensors_find(file, "model.norm.weight", &info))
 *             status = tensor_read_f32(&info, 0, tensor_rows(&info), out, &err);
 *     safetensors_close(file);
 *
 * Failures: ERR_DATA (the content breaks a rule, which the message names with
 * file, tensor or byte), ERR_NOINPUT (no such file, or not a regular one),
 * ERR_NOPERM, ERR_IO, ERR_MEMORY. A file that is open may be read by several
 * threads.
 */
#ifndef BALDISTILL_MODEL_SAFETENSORS_H
#define BALDISTILL_MODEL_SAFETENSORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reference/kernel.h"
#include "src/base/err.h"
#include "src/model/limits.h"

#ifdef __cplusplus
extern "C" {
#endif

struct safetensors;

/* What a file says of one tensor. Strings and the file are borrowed, valid until safetensors_close. */
struct tensor_info {
	const struct safetensors *file;
	const char *name;
	const char *type; /* as the file spells it: "BF16", "I64" */
	bool weight;      /* F32, BF16 or F16: may be read, as `dtype` */
	enum dtype dtype;
	int rank; /* 0, a scalar, to LIMIT_RANK */
	int64_t shape[LIMIT_RANK];
	uint64_t begin; /* first byte, counted from the start of the file */
	uint64_t bytes;
};

struct safetensors *safetensors_open(const char *path, struct err *err);
void safetensors_close(struct safetensors *file);
const char *safetensors_path(const struct safetensors *file);

/* Tensors in the order of their names (bytes compared); index < safetensors_count. */
size_t safetensors_count(const struct safetensors *file);
const char *safetensors_name(const struct safetensors *file, size_t index);
void safetensors_get(const struct safetensors *file, size_t index, struct tensor_info *info);
bool safetensors_find(const struct safetensors *file, const char *name, struct tensor_info *info);

/* A value of __metadata__, borrowed; NULL where there is no such key. */
const char *safetensors_metadata(const struct safetensors *file, const char *key);

/*
 * Rows are what the first dimension counts; a scalar is one row. Elements of
 * one row, and of all.
 */
int64_t tensor_rows(const struct tensor_info *info);
int64_t tensor_row_elements(const struct tensor_info *info);
int64_t tensor_elements(const struct tensor_info *info);

/* Fail unless the tensor is a weight of this shape; the message names file, tensor, both shapes or the type. */
int tensor_expect(const struct tensor_info *info, int rank, const int64_t shape[], struct err *err);

/*
 * Rows row … row + rows - 1 of a weight, dense, as they are stored or converted
 * to f32 (exactly: every bf16 and f16 is an f32). ERR_DATA where the tensor is
 * no weight or the file is no longer the one opened, ERR_INTERNAL for rows
 * outside the tensor.
 */
int tensor_read(const struct tensor_info *info, int64_t row, int64_t rows, void *out, struct err *err);
int tensor_read_f32(const struct tensor_info *info, int64_t row, int64_t rows, float *out, struct err *err);

/* The same of a tensor of any type, as its bytes lie; ERR_DATA where a row ends inside a byte. */
int tensor_read_bytes(const struct tensor_info *info, int64_t row, int64_t rows, void *out, struct err *err);

/* Whether two weights of one shape have the same values, whatever their dtypes; read in pieces of some MiB. */
int tensor_same(bool *same, const struct tensor_info *a, const struct tensor_info *b, struct err *err);

/* Fail at the first NaN or infinity of n elements: "tensor 'NAME': element I is NaN" (ERR_DATA). */
int tensor_check_finite(const char *name, enum dtype dtype, const void *values, size_t n, struct err *err);

/* What the writer is to write. */
struct tensor_spec {
	const char *name;
	enum dtype dtype; /* DTYPE_F32, DTYPE_BF16 or DTYPE_F16; without meaning where `type` is set */
	int rank;
	int64_t shape[LIMIT_RANK];
	const char *type; /* NULL: dtype's; else one that is no weight's, such as "I64", whose bytes go as they come */
};

/*
 * Give rows row … row + rows - 1 of a tensor in its dtype. Called for the
 * tensors in the order of their names and the rows of each from first to last.
 * 0, or -1 with a message, which ends the writing.
 */
typedef int tensor_source(void *context, const struct tensor_spec *tensor, int64_t row, int64_t rows, void *out,
			  struct err *err);

/*
 * Write n tensors, __metadata__ {"format": "pt"}, the header padded with
 * spaces to a multiple of 8 bytes. The same tensors give the same bytes. The
 * file gets its name when all of it is on disk; after a failure an older file
 * of that name is untouched. Failures of file_writer_open; ERR_DATA for a
 * name, rank or shape that the reader would refuse.
 */
int safetensors_save(const char *path, const struct tensor_spec tensors[], size_t n, tensor_source *source,
		     void *context, struct err *err);

/*
 * The same into a directory that exists: model.safetensors where all tensors
 * fit shard_bytes, else model-00001-of-0000N.safetensors, filled in the order
 * of names, and at last model.safetensors.index.json. A tensor larger than
 * shard_bytes has a shard of its own.
 */
int safetensors_save_shards(const char *directory, const struct tensor_spec tensors[], size_t n, uint64_t shard_bytes,
			    tensor_source *source, void *context, struct err *err);

#ifdef __cplusplus
}
#endif
#endif
