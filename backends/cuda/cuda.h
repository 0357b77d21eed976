// SPDX-License-Identifier: Apache-2.0
/*
 * cuda.h - private to backends/cuda: the device and what its files offer each other.
 *
 * cuda.cu        device, table, probe         module.c     the module's one exported object
 * memory.cu      arrays, transfers, capture   weights.cu   prepared groups
 * blas.cu        the only includer of cuBLAS  product.cu   products, also such that rows do not depend on others
 * check.cu       what only the device can see of its arguments
 * rows.cu        what moves or fills rows     norm.cu      RMSNorm, per head too
 * rope.cu        rotary, q, k, v into place   swiglu.cu
 * low_rank*.cu   adapters inside the products of their weights; dropout.cu; lora.cu: one adapter alone
 * attn.cu, mlp.cu      composites and their backward
 * attention.cu   segment attention, any shape and type; attention_mma*.cu: bf16 on tensor cores
 * head.cu        head_loss, logits, log_softmax   sample.cu   optim.cu: norm, AdamW, merge
 * array.cuh      elements of views in kernels, launches, sums of a block
 * attention.cuh  segments in kernels; attention_mma.cuh: tiles and products of warps
 *
 * One stream; nothing inside a step waits for it. A device computes in one
 * arithmetic: f32 (products without TF32; for proofs) or bf16 with f32 sums,
 * in which x, q, k, v, o and copies of the weights are bf16 as well.
 *
 * Every kernel but those of attention_mma*.cu is written for any block size
 * and also compiles for the host (tests/cuda_host.h).
 */
#ifndef BALDISTILL_BACKENDS_CUDA_CUDA_H
#define BALDISTILL_BACKENDS_CUDA_CUDA_H

#include "backends/backend.h"
#include "reference/kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

struct cuda_blas;

struct cuda_device {
	struct device dev;
	void *stream;           /* cudaStream_t */
	struct cuda_blas *blas;
	int32_t *fault;         /* on the device: 1 + enum op of the first that found a wrong index; 0: none */
	double *partial;        /* on the device: sums of blocks, CUDA_PARTIALS of them */
	struct buffer block;    /* with batch_invariant: rows filled up, for product.cu; CUDA_BLOCK bytes */
	char *staging;          /* pinned, a ring through which small uploads go */
	size_t staged;
	int processors;         /* streaming multiprocessors */
	int shared;             /* the most shared memory of a block, bytes */
	bool matrix_units;      /* attention_mma.cu can run here */
	char name[64];
};

enum { CUDA_PARTIALS = 1 << 14, CUDA_BLOCK = 64 << 20 };

static inline struct cuda_device *cuda_of(struct device *dev)
{
	return (struct cuda_device *)dev;
}

/* memory.cu. A failed call of the runtime becomes the device's failure; false then. */
bool cuda_good(struct device *dev, const char *op, int code);
bool cuda_memory_open(struct cuda_device *cuda);
void cuda_memory_close(struct cuda_device *cuda);
/* Zeroed device memory, counted in allocated; NULL and a failure that says what was asked and what is free. */
void *cuda_bytes(struct device *dev, const char *op, size_t bytes);
void cuda_bytes_free(struct device *dev, void *data, size_t bytes);

/* A dense rows x cols array in the scratch; absent, with a failure kept, where it is too small. */
struct view cuda_scratch(struct device *dev, const char *op, int64_t rows, int64_t cols, enum dtype dtype);
/* The next rows x cols elements of a `saved` area; *at counts bytes from its start. */
struct view cuda_carve(struct view saved, size_t *at, int64_t rows, int64_t cols, enum dtype dtype);
/* Bytes that either takes. */
size_t cuda_array_bytes(int64_t rows, int64_t cols, enum dtype dtype);

/*
 * product.cu. c[m,n] = alpha * op(a) op(b), or c += that; op(a) is [m,k], op(b)
 * [k,n], transposed where stored the other way round. a and b are both f32, or
 * both bf16 (c then bf16 or f32); sums are f32. Nothing else is converted.
 * blas.cu's does the same, and a row's bits depend on m.
 */
struct cuda_factor {
	struct view v;
	bool transposed;
};
bool cuda_blas_open(struct cuda_device *cuda);
void cuda_blas_close(struct cuda_device *cuda);
void cuda_multiply(struct device *dev, const char *op, struct view c, struct cuda_factor a, struct cuda_factor b,
		   float alpha, bool add);
void cuda_blas_multiply(struct device *dev, const char *op, struct view c, struct cuda_factor a, struct cuda_factor b,
			float alpha, bool add);
const char *cuda_blas_version(void);

/*
 * weights.cu. A group lies in one array of act_dtype, its matrices below each
 * other, each row followed by `pad` columns for the adapters (low_rank.cu).
 */
enum { CUDA_PAD = 64 }; /* columns for each matrix of a group: adapters of larger rank go the longer way */
struct view cuda_group(const struct weight *w);              /* [sum N_i, M], ld M + pad */
int64_t cuda_pad(const struct weight *w);

/* x as act_dtype: itself, or a copy in scratch. */
struct view cuda_as_act(struct device *dev, const char *op, struct view x);
/* cuda_multiply with a c of any storage type, through scratch where it is neither f32 nor act_dtype. */
void cuda_multiply_any(struct device *dev, const char *op, struct view c, struct cuda_factor a, struct cuda_factor b,
		       float alpha, bool add);

/* Kernels that other files launch: see the file named. */
void cuda_convert(struct device *dev, const char *op, struct view y, struct view x);                /* rows.cu */
void cuda_fill(struct device *dev, const char *op, struct view y, float value);                     /* rows.cu */
void cuda_norm(struct device *dev, const char *op, struct view y, struct view copy, struct view x,  /* norm.cu: copy */
	       struct view w, float eps);                                                           /* of x, may be absent */
void cuda_norm_heads(struct device *dev, const char *op, struct view x, struct view w, float eps, int head_dim);
/* d becomes the gradient of the raw heads; dw may be absent. */
void cuda_norm_heads_backward(struct device *dev, const char *op, struct view d, struct view dw, struct view raw,
			      struct view w, float eps, int head_dim);
/* As rmsnorm_backward; dx and dw may be absent. */
void cuda_norm_backward(struct device *dev, const char *op, struct view dx, struct view dw, struct view dy,
			struct view x, struct view w, float eps);
size_t cuda_norm_backward_scratch(int64_t rows, int64_t cols);
void cuda_add_bias(struct device *dev, const char *op, struct view y, struct view bias);           /* rows.cu */
void cuda_column_sums(struct device *dev, const char *op, struct view sum, struct view dy);        /* rows.cu: += */
/*
 * rope.cu. The heads of raw [R, H D + 2 K D] rotated: q to q, k and v to row
 * dst[t] (t where absent) of k and v. Back: the gradients of q, k, v, those of
 * q and k rotated by the negative angle, to raw.
 */
void cuda_rope_store(struct device *dev, const char *op, struct view q, struct view k, struct view v, struct view raw,
		     struct view pos, struct view dst, const struct rope *rope, int head_dim);
void cuda_rope_back(struct device *dev, const char *op, struct view raw, struct view dq, struct view dk, struct view dv,
		    struct view pos, const struct rope *rope, int head_dim);
void cuda_swiglu(struct device *dev, const char *op, struct view y, struct view g, struct view u);
/* a, where present: what cuda_swiglu gives, in the same pass. */
void cuda_swiglu_backward(struct device *dev, const char *op, struct view dg, struct view du, struct view a,
			  struct view dy, struct view g, struct view u);

/*
 * low_rank*.cu. A product of a group and its adapters is one product: the input
 * stands in rows with `width` more columns behind its own M, which hold
 * x A^T, and scale * B stands beside the weights (CUDA_PAD).
 *
 * forward: y[R, sum N] = x W^T + low rank, or y += that; x A^T is kept in xa
 * (act_dtype [R, width], may be absent). lora: one of each matrix, may be NULL.
 */
int64_t cuda_width(const struct lora *const lora[], int n); /* sum of ranks, rounded up to 8; 0: no adapter */
void cuda_adapted(struct device *dev, const char *op, struct view y, struct view x, struct view xa,
		  const struct weight *w, const struct lora *const lora[], const struct dropout *drop, bool add);
/*
 * Backward, in two parts, since x may be had only after dx: dx[R, M] (may be
 * absent) = dy W + low rank's, g[R, width] (act_dtype; absent without adapters)
 * = scale * dy B, and dB += scale * dy^T xa; then dA += g^T drop(x).
 */
void cuda_adapted_dx(struct device *dev, const char *op, struct view dx, struct view g, struct view dy, struct view xa,
		     const struct weight *w, const struct lora *const lora[], const struct dropout *drop);
void cuda_adapted_da(struct device *dev, const char *op, struct view g, struct view x, const struct weight *w,
		     const struct lora *const lora[], const struct dropout *drop);
/* Scratch of each, for n adapters of the shape's rank and an input of `in` columns. */
size_t cuda_adapted_scratch(const struct device *dev, const struct shape *shape, int n, int64_t in, int64_t out);
/* A scratch array [rows, cols] of act_dtype with `width` columns of room behind each row. */
struct view cuda_roomy(struct device *dev, const char *op, int64_t rows, int64_t cols, int64_t width);
size_t cuda_roomy_bytes(const struct device *dev, int64_t rows, int64_t cols, int64_t width);
int64_t cuda_most_width(const struct shape *shape, int n);

/* attention_mma.cu: false where shapes, types or the GPU are not its own; attention.cu does the work then. */
bool cuda_attention_mma(struct device *dev, struct view o, struct view lse, struct view q, struct view k, struct view v,
			const struct segments *seg, const struct attn_dims *dims);
bool cuda_attention_mma_backward(struct device *dev, struct view dq, struct view dk, struct view dv, struct view d_o,
				 struct view lse, struct view delta, struct view q, struct view k, struct view v,
				 const struct segments *seg, const struct attn_dims *dims);

/* check.cu: segment rules that lie in device arrays; a bad segment sets the fault, and attention does nothing. */
void cuda_check_segments(struct device *dev, enum op op, const struct segments *seg, int64_t queries, int64_t keys,
			 bool backward);

/* The backend: programs that link it use cuda_backend, the module exports the same under the common name. */
void cuda_probe(struct backend_info *info);
struct device *cuda_open(const struct device_options *options, struct err *err);
void cuda_close(struct device *dev);

/* No product of its own: host arrays would time the way to the device. */
#define CUDA_BACKEND                                                                                                   \
	{                                                                                                              \
		.abi = BACKEND_ABI, .name = "cuda", .probe = cuda_probe, .open = cuda_open, .close = cuda_close,       \
		.product = NULL,                                                                                       \
	}
extern const struct backend cuda_backend;

/* Entries of the table, and bytes of scratch and saved areas, of each file's operations; 0 for others. */
#define CUDA_FILES(X)                                                                                                  \
	X(memory) X(weights) X(rows) X(norm) X(rope) X(swiglu) X(lora) X(attn) X(mlp) X(attention) X(head)         \
	X(sample) X(optim)
#define CUDA_FILE(file)                                                                                                \
	void cuda_override_##file(struct kernels *table);                                                              \
	size_t cuda_scratch_##file(const struct device *dev, enum op op, const struct shape *shape);
CUDA_FILES(CUDA_FILE)
#undef CUDA_FILE
size_t cuda_saved_attn(const struct device *dev, enum op op, const struct shape *shape);
size_t cuda_saved_mlp(const struct device *dev, enum op op, const struct shape *shape);

#ifdef __cplusplus
}
#endif
#endif
