// SPDX-License-Identifier: Apache-2.0
/*
 * cpu.h - the operations of every CPU backend. They multiply through one small
 * table, struct products, which is all that openblas and onednn bring.
 *
 *     static const struct products products = {…};
 *     struct cpu_device *cpu = …;                  // zeroed, the backend's own
 *     cpu_init(cpu, &products, "openblas", options);
 *     cpu->dev.k = the table, filled once by cpu_table(&table, "openblas")
 *
 * cpu.c         device and table
 * product.c     products with stored weights; the table of them
 * panel.c       those that go over a library's sgemm
 * team.c        rows and blocks of rows over threads, scratch of each
 * linear.c      linear and its gradients
 * lora.c        low-rank products, their gradients, the merge
 * pointwise.c   norm, rotary, SwiGLU
 * rows.c        what moves rows
 * optim.c       norm2, adamw
 * low_rank.c    low-rank products of some rows, block.c what composites share
 * attn_in.c, attn_out.c, mlp.c   over blocks of tokens, and their backward
 * attention.c   segment attention, forward and backward
 * head.c        head_loss, logits, sample
 * vec*.c        vector code, compiled once per CPU level
 *
 * Storage of x, q, k, v, o is f32, but of k and v in a cache what cache_dtype says.
 * Work is cut into blocks of rows that depend
 * on the shape and the number of threads alone and handed to threads
 * statically, so a result depends on nothing else.
 */
#ifndef BALDISTILL_BACKENDS_CPU_CPU_H
#define BALDISTILL_BACKENDS_CPU_CPU_H

#include "backends/backend.h"
#include "backends/cpu/vec.h"
#include "reference/kernel.h"

struct products;
struct vec_attention;

struct cpu_device {
	struct device dev;
	const struct vec *vec; /* the vector code of this CPU */
	const struct vec_attention *attention; /* in place of its level's; NULL: that */
	const struct products *products;
};

static inline const struct cpu_device *cpu_of(const struct device *dev)
{
	return (const struct cpu_device *)dev;
}

/* All of the device but its table and its backend. */
void cpu_init(struct cpu_device *cpu, const struct products *products, const char *name,
	      const struct device_options *options);

/* Fill a table: the reference's, overridden by this room. */
void cpu_table(struct kernels *table, const char *name);

/* What a probe says of this room. */
void cpu_describe(struct backend_info *info);

/* Entries of the table, each in the file named above. */
#define CPU_FILE(file) void cpu_override_##file(struct kernels *table)
CPU_FILE(linear);
CPU_FILE(lora);
CPU_FILE(pointwise);
CPU_FILE(rows);
CPU_FILE(optim);
CPU_FILE(attn_in);
CPU_FILE(attn_out);
CPU_FILE(mlp);
CPU_FILE(attention);
CPU_FILE(head);
#undef CPU_FILE

/* scratch_bytes and saved_bytes of each file's operations; 0 for others. */
size_t cpu_linear_scratch(const struct device *dev, enum op op, const struct shape *shape);
size_t cpu_lora_scratch(const struct device *dev, enum op op, const struct shape *shape);
size_t cpu_pointwise_scratch(const struct device *dev, enum op op, const struct shape *shape);
size_t cpu_attn_in_scratch(const struct device *dev, enum op op, const struct shape *shape);
size_t cpu_attn_out_scratch(const struct device *dev, enum op op, const struct shape *shape);
size_t cpu_mlp_scratch(const struct device *dev, enum op op, const struct shape *shape);
size_t cpu_attention_scratch(const struct device *dev, enum op op, const struct shape *shape);
size_t cpu_head_scratch(const struct device *dev, enum op op, const struct shape *shape);
size_t cpu_attn_in_saved(const struct device *dev, enum op op, const struct shape *shape);
size_t cpu_attn_out_saved(const struct device *dev, enum op op, const struct shape *shape);
size_t cpu_mlp_saved(const struct device *dev, enum op op, const struct shape *shape);

#endif
