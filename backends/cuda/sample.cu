// SPDX-License-Identifier: Apache-2.0
/*
 * One token per row, greedy or drawn after temperature, top_k and top_p
 * (Holtzman et al. 2020). A block has a row. Nothing is sorted: where the order
 * by logit, then id, is cut is found digit by digit, by sums over the ids whose
 * logit begins with the digits found so far.
 */
#include "backends/cuda/array.cuh"
#include "reference/check.h"
#include "reference/philox.h"

enum { SAMPLE_BLOCK = 512, SAMPLE_BITS = 4, SAMPLE_DIGITS = 1 << SAMPLE_BITS };

/* A row of logits and what its shares are relative to. */
struct sample_row {
	const float *z;
	int64_t n;
	double max, temperature;
};

/* A NaN counts as the least logit, -0 as 0. */
__device__ __forceinline__ float sample_logit(float z)
{
	return z == z ? z + 0.0f : -INFINITY;
}

/* A number that orders as the logits do. */
__device__ __forceinline__ uint32_t sample_key(float z)
{
	uint32_t w = float_word(sample_logit(z));
	return w & 0x80000000u ? ~w : w | 0x80000000u;
}

/* The unnormalised probability at the rule's temperature. */
__device__ __forceinline__ double sample_share(const struct sample_row &row, float z)
{
	return exp((sample_logit(z) - row.max) / row.temperature);
}

/* ---- the largest logit and the logarithm of the sum ------------------------------------ */

struct sample_peak {
	float max;
	int64_t id;  /* the lowest with it */
	double sum;  /* of e^(z - max) */
};

/* Takes N logits into a thread's own peak, whose sum follows its largest logit. */
template <int N> __device__ __forceinline__ void sample_take(struct sample_peak *peak, float *z, int64_t id)
{
	float max = peak->max, sum = 0;
	EACH(N, n) z[n] = sample_logit(z[n]);
	EACH(N, n) if (z[n] > peak->max || peak->id < 0) {
		peak->max = z[n];
		peak->id = id + n;
	}
	if (peak->max == -INFINITY)
		return;
	if (peak->max > max)
		peak->sum *= exp((double)max - peak->max);
	EACH(N, n) sum += expf(z[n] - peak->max);
	peak->sum += sum;
}

template <int N> __device__ __forceinline__ struct sample_peak sample_peak_of(const struct array &logits, int64_t row)
{
	struct sample_peak own = {-INFINITY, -1, 0};
	for (int64_t j = (int64_t)threadIdx.x * N; j < logits.cols; j += (int64_t)blockDim.x * N) {
		float z[N];
		load<N>(z, logits, row, j);
		sample_take<N>(&own, z, j);
	}
	struct sample_peak all = {block_max(own.max), 0, 0};
	int64_t id = own.id >= 0 && own.max == all.max ? own.id : logits.cols;
	all.id = -block_max(-id);
	all.sum = block_sum(own.sum == 0 ? 0 : own.sum * exp((double)own.max - all.max));
	return all;
}

/* ---- where the order is cut --------------------------------------------------------------- */

/* Kept: all ids above the key, and the first `ties` of those that have it. */
struct sample_cut {
	uint32_t key;
	int64_t ties;
};

/* Ids by their next digit, and their measure: 1 each, or their shares. */
struct sample_digits {
	int64_t count[SAMPLE_DIGITS];
	double measure[SAMPLE_DIGITS];
};

/* Over the ids whose key begins as `prefix` does, above bit `shift` + SAMPLE_BITS. */
__device__ void sample_count(struct sample_digits *all, const struct sample_row &row, uint32_t prefix, int shift,
			     bool shares)
{
	int count[SAMPLE_DIGITS] = {0};
	double measure[SAMPLE_DIGITS] = {0};
	for (int64_t id = threadIdx.x; id < row.n; id += blockDim.x) {
		uint32_t key = sample_key(row.z[id]);
		if (((uint64_t)(key ^ prefix) >> (shift + SAMPLE_BITS)) != 0)
			continue;
		double own = shares ? sample_share(row, row.z[id]) : 1;
		int digit = key >> shift & (SAMPLE_DIGITS - 1);
		EACH(SAMPLE_DIGITS, d) {
			count[d] += digit == d;
			measure[d] += digit == d ? own : 0;
		}
	}
	EACH(SAMPLE_DIGITS, d) {
		all->count[d] = block_sum(count[d]);
		all->measure[d] = block_sum(measure[d]);
	}
}

/* The largest digit at which `above` reaches the target, or the least there is; above becomes what is before it. */
__device__ int sample_digit(const struct sample_digits *digits, double *above, double target)
{
	double running = *above;
	int found = -1;
	for (int d = SAMPLE_DIGITS - 1; d >= 0; d--) {
		if (digits->count[d] == 0)
			continue;
		found = d;
		*above = running;
		running += digits->measure[d];
		if (running >= target)
			break;
	}
	return found;
}

/* The shortest start of the order whose measure reaches the target; at least one id, all where none does. */
__device__ struct sample_cut sample_cut_at(const struct sample_row &row, double target, bool shares)
{
	struct sample_digits digits;
	struct sample_cut cut = {0, 0};
	double above = 0;
	int digit = 0;
	for (int shift = 32 - SAMPLE_BITS; shift >= 0; shift -= SAMPLE_BITS) {
		sample_count(&digits, row, cut.key, shift, shares);
		digit = sample_digit(&digits, &above, target);
		cut.key |= (uint32_t)digit << shift;
	}
	int64_t count = digits.count[digit];
	double each = digits.measure[digit] / (double)count, ties = ceil((target - above) / each);
	cut.ties = ties >= 1 ? ties < (double)count ? (int64_t)ties : count : ties < 1 ? 1 : count;
	while (cut.ties > 1 && above + (double)(cut.ties - 1) * each >= target)
		cut.ties--;
	while (cut.ties < count && above + (double)cut.ties * each < target)
		cut.ties++;
	return cut;
}

/* ---- the draw ----------------------------------------------------------------------------- */

/* A thread's run of ids in the draw; all in shared memory, one per thread. */
struct sample_run {
	double share;  /* of its kept ids */
	int64_t kept;
	int64_t equal; /* ids that have the cut's key */
};

__device__ __forceinline__ int64_t sample_run_length(const struct sample_row &row)
{
	return (row.n + blockDim.x - 1) / blockDim.x;
}

__device__ __forceinline__ int64_t sample_end(const struct sample_row &row, int64_t run)
{
	int64_t end = (run + 1) * sample_run_length(row);
	return end < row.n ? end : row.n;
}

/* Is an id kept, of whose key `equal` have gone before? */
__device__ __forceinline__ bool sample_kept(float z, const struct sample_cut &cut, int64_t *equal)
{
	uint32_t key = sample_key(z);
	return key > cut.key || (key == cut.key && (*equal)++ < cut.ties);
}

/* Every run's share and number of kept ids; their `equal` becomes that of all runs before. */
__device__ void sample_runs(struct sample_run *runs, const struct sample_row &row, const struct sample_cut &cut)
{
	struct sample_run own = {0, 0, 0};
	int64_t first = threadIdx.x * sample_run_length(row), end = sample_end(row, threadIdx.x), equal = 0;
	for (int64_t id = first; id < end; id++)
		own.equal += sample_key(row.z[id]) == cut.key;
	__syncthreads(); /* what an earlier call left has been read */
	runs[threadIdx.x].equal = own.equal;
	__syncthreads();
	for (unsigned r = 0; r < threadIdx.x; r++)
		equal += runs[r].equal;
	own.equal = equal;
	for (int64_t id = first; id < end; id++)
		if (sample_kept(row.z[id], cut, &equal)) {
			own.share += sample_share(row, row.z[id]);
			own.kept++;
		}
	__syncthreads();
	runs[threadIdx.x] = own;
	__syncthreads();
}

__device__ double sample_total(const struct sample_run *runs)
{
	double total = 0;
	for (unsigned r = 0; r < blockDim.x; r++)
		total += runs[r].share;
	return total;
}

/* The first kept id at which the running share exceeds the mark, else the last kept one. */
__device__ int64_t sample_walk(const struct sample_run *runs, const struct sample_row &row,
			       const struct sample_cut &cut, double mark)
{
	double before = 0, running = 0;
	int64_t run = 0, last = 0;
	for (int64_t r = 0; r < blockDim.x; running += runs[r++].share)
		if (runs[r].kept) {
			run = r;
			before = running;
			if (running + runs[r].share > mark)
				break;
		}
	int64_t equal = runs[run].equal;
	for (int64_t id = run * sample_run_length(row); id < sample_end(row, run); id++)
		if (sample_kept(row.z[id], cut, &equal)) {
			last = id;
			before += sample_share(row, row.z[id]);
			if (before > mark)
				break;
		}
	return last;
}

/* What is kept by top_k, and of that by top_p. */
__device__ struct sample_cut sample_rule_cut(struct sample_run *runs, const struct sample_row &row,
					     const struct sample_rule &rule)
{
	struct sample_cut cut = {0, row.n};
	if (rule.top_k > 0 && rule.top_k < row.n)
		cut = sample_cut_at(row, rule.top_k, false);
	if (!(rule.top_p < 1))
		return cut;
	sample_runs(runs, row, cut);
	struct sample_cut nucleus = sample_cut_at(row, (double)rule.top_p * sample_total(runs), true);
	bool shorter = nucleus.key > cut.key || (nucleus.key == cut.key && nucleus.ties < cut.ties);
	return shorter ? nucleus : cut;
}

__device__ double sample_uniform(uint64_t seed, uint64_t row_id, int32_t position)
{
	struct philox_key key = philox_stream(seed, PHILOX_SAMPLE, 0, 0, 0);
	return philox_uniform(philox_at(key, (uint32_t)position, row_id));
}

/* Device arrays of struct sample_rng. */
struct sample_random {
	const uint64_t *seed, *row_id;
	const int32_t *position;
};

struct sample_chosen {
	int32_t *id;
	float *logp;
};

/* logp = z_id - log(sum of e^z), at temperature 1 over all ids */
__device__ __forceinline__ void sample_put(const struct sample_chosen &out, const struct array &logits, int64_t s,
					   int64_t id, const struct sample_peak &peak)
{
	out.id[s] = (int32_t)id;
	out.logp[s] = (float)((double)element(logits, s, id) - (peak.max + log(peak.sum)));
}

template <int N> __global__ void sample_greedy(struct sample_chosen out, struct array logits)
{
	struct sample_peak peak = sample_peak_of<N>(logits, blockIdx.x);
	if (threadIdx.x == 0)
		sample_put(out, logits, blockIdx.x, peak.id, peak);
}

template <int N>
__global__ void __launch_bounds__(SAMPLE_BLOCK)
	sample_drawn(struct sample_chosen out, struct array logits, struct sample_rule rule, struct sample_random random)
{
	SHARED(struct sample_run, runs);
	int64_t s = blockIdx.x;
	struct sample_peak peak = sample_peak_of<N>(logits, s);
	struct sample_row row = {(const float *)(const void *)logits.p + s * logits.ld, logits.cols, peak.max,
				 rule.temperature};
	struct sample_cut cut = sample_rule_cut(runs, row, rule);
	double u = sample_uniform(*random.seed, random.row_id[s], random.position[s]);
	sample_runs(runs, row, cut);
	if (threadIdx.x == 0)
		sample_put(out, logits, s, sample_walk(runs, row, cut, u * sample_total(runs)), peak);
}

static void sample_table_sample(struct device *dev, struct view id, struct view logp, struct view logits,
				const struct sample_rule *rule, const struct sample_rng *rng)
{
	if (!check_sample(dev, id, logp, logits, rule, rng))
		return;
	struct array z = array_of(logits);
	struct sample_chosen out = {(int32_t *)(void *)array_of(id).p, f32_of(logp)};
	dim3 grid((unsigned)logits.rows);
	if (rule->temperature <= 0) {
		LAUNCH_WIDE(wide(z), dev, "sample", sample_greedy, grid, SAMPLE_BLOCK, 0, out, z);
		return;
	}
	struct sample_random random = {u64_of(rng->seed), u64_of(rng->row_id), i32_of(rng->position)};
	LAUNCH_WIDE(wide(z), dev, "sample", sample_drawn, grid, SAMPLE_BLOCK, SAMPLE_BLOCK * sizeof(struct sample_run),
		    out, z, *rule, random);
}

void cuda_override_sample(struct kernels *table)
{
	table->sample = sample_table_sample;
}

size_t cuda_scratch_sample(const struct device *dev, enum op op, const struct shape *shape)
{
	(void)dev, (void)op, (void)shape;
	return 0;
}
