// SPDX-License-Identifier: Apache-2.0
/*
 * kernel_check.h - when two results count as equal, and the table of how far
 * apart they were.
 *
 * Element by element
 *
 *     |got - want| <= (steps * u(arithmetic) + root * sqrt(n) * u(f32)) * S  +  2 * u(storage) * |want|
 *
 * u       unit round-off of a dtype, table `unit_roundoff`. "arithmetic" is the
 *         dtype in which the backend multiplies or keeps activations, "storage"
 *         that of the output: two results that straddle a rounding boundary
 *         differ by one unit in the last place, 2 u.
 * n       the longest sum of the problem. n roundings of random sign, each of the
 *         size of a partial sum, add up to 0.4 sqrt(n) u S, and the largest of a
 *         million such errors is five times that: root = 2, and 4 where the terms of
 *         one long sum come out of another: attention. (The reference with
 *         float for double, one term after the other, comes to 0.8 of it.)
 * S       what the result changes by, per relative change of the inputs: the
 *         condition of the problem. It is measured, not guessed: the reference is
 *         run again with every floating input element times 1 +- 2^-12 (random
 *         signs, four times where there are few elements, everything stored in
 *         f32), S = change * 2^12, taken as the largest of the root mean squares
 *         over the row and over the whole output, and of |want|.
 * steps   roundings outside sums: table `tolerances`, one line per operation.
 *
 * Operations without arithmetic are compared exactly: steps = 0.
 */
#ifndef BALDISTILL_TESTS_KERNEL_CHECK_H
#define BALDISTILL_TESTS_KERNEL_CHECK_H

#include <cstdint>
#include <string>
#include <vector>

#include "reference/kernel.h"

/* f32 has 24 significant bits, bf16 8, f16 11. */
inline constexpr double unit_roundoff[] = {0x1p-24, 0x1p-8, 0x1p-11};

struct Tolerance {
	enum op op;
	double steps, root;
	double operands = 0; /* more steps where a product rounds its f32 operands to "arithmetic" first: one for each */
};

/*
 * A rounding each for: multiply, add, divide, square root, store; 4 for an
 * exponential or logarithm. Composites sum up their parts, backward passes
 * recompute the forward's.
 */
inline constexpr Tolerance tolerances[] = {
	{OP_rmsnorm, 4, 2},
	{OP_rmsnorm_backward, 8, 2},
	{OP_linear, 2, 2, 2},
	{OP_linear_dx, 2, 2, 2},
	{OP_linear_dw, 2, 2},
	{OP_lora, 4, 2},
	{OP_lora_backward, 4, 2},
	{OP_rope, 3, 0},
	{OP_swiglu, 8, 0},
	{OP_swiglu_backward, 12, 0},
	{OP_log_softmax, 8, 2},
	{OP_embed, 0, 0},
	{OP_embed_backward, 1, 2},
	{OP_attn_in, 12, 2}, /* norm 4, product and bias 2, low rank 4, rotary 3 (norm per head 4 more) */
	{OP_attn_in_backward, 24, 2},
	{OP_attention, 12, 4}, /* score 2, exponential 4, sum, division, product; two sums in a row */
	{OP_attention_backward, 16, 4},
	{OP_attn_out, 6, 2},
	{OP_attn_out_backward, 6, 2},
	{OP_mlp, 16, 2}, /* norm 4, products 2 + 2, low rank 4, SwiGLU 8 */
	{OP_mlp_backward, 28, 2},
	{OP_head_loss, 16, 2},
	{OP_logits, 6, 2},
	{OP_sample, 8, 2},
	{OP_gather_rows, 0, 0},
	{OP_scatter_rows, 0, 0},
	{OP_kv_append, 0, 0},
	{OP_copy, 0, 0},
	{OP_fill, 0, 0},
	{OP_norm2, 2, 2},
	{OP_adamw, 16, 0},
	{OP_merge, 4, 2},
};

/* One output of a problem; values in row order. */
struct Output {
	std::string name;
	enum dtype dtype;
	int64_t rows, cols;
	std::vector<char> used; /* rows that count; empty: all */
	std::vector<double> value;
	std::vector<uint8_t> bytes; /* as stored */
};

/* The condition S of every row of an output, and of the output as a whole. */
struct Condition {
	std::vector<double> row;
	double whole;
};
Condition measure_condition(const Output &want, const Output &moved, double step);

/* Where a comparison belongs in the table, and what to call it in a message. */
struct Subject {
	enum op op;
	std::string lane, dtype, shape;
	double length; /* n */
	double steps;  /* if more than the table's */
	enum dtype arithmetic;
	bool rounds_operands; /* activations are kept wider than "arithmetic" */
};

/* Has the operation a tolerance at all? */
inline bool has_arithmetic(enum op op)
{
	return tolerances[op].steps > 0;
}

/* Compare one output; condition is NULL for operations without arithmetic. "" or the first difference in words. */
std::string compare_output(const Subject &subject, const Output &want, const Output &got, const Condition *condition,
			   double *worst);

/* The record of all comparisons of the program, printed at its end. */
void record_comparison(const Subject &subject, int64_t elements, double worst);
int64_t comparisons_of(const std::string &lane);
void print_comparisons();

#endif
