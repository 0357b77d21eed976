// SPDX-License-Identifier: Apache-2.0
/* Rotary position embedding (Su et al. 2021) with the scalings of Hugging Face's rope_parameters. */
#include <math.h>

#include "reference/internal.h"

/*
 * llama3: frequencies of long waves are divided by `factor`, of short ones
 * kept, between them blended by where original / wavelength lies in
 * [low_freq_factor, high_freq_factor].
 */
static float llama3(float f, const struct rope_config *c)
{
	float wavelength = 6.283185307179586f / f, original = (float)c->original_max_position_embeddings;
	float low = (float)c->low_freq_factor, high = (float)c->high_freq_factor, factor = (float)c->factor;
	if (wavelength < original / high)
		return f;
	if (wavelength > original / low)
		return f / factor;
	float smooth = (original / wavelength - low) / (high - low);
	return (1 - smooth) * f / factor + smooth * f;
}

/* theta^(-2 j / D), scaled */
static float frequency(int64_t j, int head_dim, const struct rope_config *config)
{
	float f = 1.0f / powf((float)config->theta, (float)(2 * j) / (float)head_dim);
	if (config->kind == ROPE_LINEAR)
		return f / (float)config->factor;
	return config->kind == ROPE_LLAMA3 ? llama3(f, config) : f;
}

void rope_table(float *cos_out, float *sin_out, int64_t positions, int head_dim, const struct rope_config *config)
{
	int64_t half = head_dim / 2;
	for (int64_t j = 0; j < half; j++) {
		float f = frequency(j, head_dim, config);
		for (int64_t p = 0; p < positions; p++) {
			double angle = (double)((float)p * f);
			cos_out[p * half + j] = (float)cos(angle);
			sin_out[p * half + j] = (float)sin(angle);
		}
	}
}

/* (a, b) -> (a cos - b sin, b cos + a sin) for the pair (x_j, x_{j + D/2}) of one head */
static void rotate(struct view x, int64_t t, int64_t a, int64_t b, double c, double s)
{
	double xa = ref_get(x, t, a), xb = ref_get(x, t, b);
	ref_put(x, t, a, xa * c - xb * s);
	ref_put(x, t, b, xb * c + xa * s);
}

static void ref_rope(struct device *dev, struct view x, struct view pos, const struct rope *rope, int head_dim,
		     bool inverse)
{
	if (!check_rope(dev, x, pos, rope, head_dim))
		return;
	int64_t half = head_dim / 2;
	for (int64_t t = 0; t < x.rows; t++)
		for (int64_t head = 0; head < x.cols; head += head_dim)
			for (int64_t j = 0; j < half; j++) {
				double c = ref_get(rope->cos, ref_i32(pos, t), j);
				double s = ref_get(rope->sin, ref_i32(pos, t), j);
				rotate(x, t, head + j, head + j + half, c, inverse ? -s : s);
			}
}

void ref_table_rope(struct kernels *table)
{
	table->rope = ref_rope;
}
