// SPDX-License-Identifier: Apache-2.0
/* Dropout on the input of an adapter: masks are drawn again wherever they are needed, never stored. */
#include "backends/cuda/low_rank.cuh"

#include "reference/philox.h"

/* What the mask of one adapter is drawn from (philox.h); kept features are multiplied by `keep`. */
struct mask {
	const uint64_t *state, *row_key;
	uint32_t layer, module, threshold;
	float keep;
};

static struct mask mask_of(const struct lora *lora, const struct dropout *drop)
{
	struct mask m;
	m.state = u64_of(drop->state);
	m.row_key = u64_of(drop->row_key);
	m.layer = drop->layer;
	m.module = lora->module;
	m.threshold = dropout_threshold(lora->p);
	m.keep = (float)(1.0 / (1.0 - (double)lora->p));
	return m;
}

/* y = mask / (1 - p) * x, or y += that */
template <int N> __global__ void dropout_rows(struct array y, struct array x, struct mask m, bool add)
{
	int64_t t = blockIdx.x;
	struct philox_key key = philox_stream(m.state[0], PHILOX_DROPOUT, (uint32_t)m.state[1], m.layer, m.module);
	uint64_t row = m.row_key[t];
	for (int64_t j = threadIdx.x * N; j < x.cols; j += (int64_t)blockDim.x * N) {
		float v[N], old[N] = {0};
		load<N>(v, x, t, j);
		if (add)
			load<N>(old, y, t, j);
		struct philox_words words;
		EACH(N, n) {
			if (n % 4 == 0)
				words = philox_at(key, (uint32_t)(j / 4 + n / 4), row);
			float kept = words.w[(j + n) % 4] >= m.threshold ? v[n] * m.keep : 0;
			v[n] = add ? old[n] + kept : kept;
		}
		store<N>(y, t, j, v);
	}
}

void cuda_drop(struct device *dev, const char *op, struct view y, struct view x, const struct lora *lora,
	       const struct dropout *drop, bool add)
{
	struct array a = array_of(y), b = array_of(x);
	LAUNCH_WIDE(wide(a) && wide(b), dev, op, dropout_rows, x.rows, 256, 0, a, b, mask_of(lora, drop), add);
}

struct view cuda_dropped(struct device *dev, const char *op, struct view x, struct view room, const struct lora *lora,
			 const struct dropout *drop)
{
	if (!drops(lora, drop))
		return x;
	cuda_drop(dev, op, room, x, lora, drop, false);
	return room;
}
