// SPDX-License-Identifier: Apache-2.0
/*
 * device_helper.h - arrays on a device for tests, and inputs that a test and
 * a generator of golden values compute alike.
 *
 *     Desk desk(dev);
 *     struct view x = desk.real(R, C, values(1, R * C)), y = desk.real(R, C);
 *     desk.reserve(OP_rmsnorm, shape);
 *     desk.k->rmsnorm(desk.dev, y, x, w, eps);
 *     std::vector<double> got = desk.read(y);
 *
 * A desk owns its arrays and prepared weights and gives them back at its end.
 * Host values are doubles; they are stored as the device's f32, which is
 * double in the reference's second build (dtype_size tells). Failures stay in
 * the device: device_sync.
 */
#ifndef BALDISTILL_TESTS_DEVICE_HELPER_H
#define BALDISTILL_TESTS_DEVICE_HELPER_H

#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "reference/kernel.h"

/* Element i of array `seed`: k / 1024 in [-1, 1), exact in every float of 11 bits or more. Known to make_kernels.py. */
inline double value_at(uint32_t seed, uint32_t i)
{
	uint32_t x = seed * 0x9E3779B9u + i;
	x = (x ^ x >> 16) * 0x7FEB352Du;
	x = (x ^ x >> 15) * 0x846CA68Bu;
	x ^= x >> 16;
	return ((double)(x >> 21) - 1024.0) / 1024.0;
}

/* mean + scale * value_at */
inline std::vector<double> values(uint32_t seed, int64_t n, double scale = 1, double mean = 0)
{
	std::vector<double> out((size_t)n);
	for (int64_t i = 0; i < n; i++)
		out[(size_t)i] = mean + scale * value_at(seed, (uint32_t)i);
	return out;
}

class Desk {
public:
	struct device *dev;
	const struct kernels *k;

	explicit Desk(struct device *on) : dev(on), k(on->k) {}
	Desk(const Desk &) = delete;
	Desk &operator=(const Desk &) = delete;

	~Desk()
	{
		for (auto &w : weights)
			k->release(dev, w.get());
		for (struct buffer *b : buffers)
			k->free(dev, b);
	}

	/* Zeros where no values are given. */
	struct view real(int64_t rows, int64_t cols, const std::vector<double> &v = {})
	{
		struct view out = empty(rows, cols, DTYPE_F32);
		if (!v.empty())
			write(out, v);
		return out;
	}

	/* The same in a narrower type, rounded by the device. */
	struct view typed(int64_t rows, int64_t cols, enum dtype dtype, const std::vector<double> &v = {})
	{
		if (dtype == DTYPE_F32)
			return real(rows, cols, v);
		struct view out = empty(rows, cols, dtype);
		if (!v.empty())
			k->copy(dev, out, real(rows, cols, v));
		return out;
	}

	struct view i32(const std::vector<int32_t> &v)
	{
		struct view out = empty(1, (int64_t)v.size(), DTYPE_I32);
		if (!v.empty())
			k->upload(dev, out, v.data());
		return out;
	}

	struct view u64(const std::vector<uint64_t> &v)
	{
		struct view out = empty(1, (int64_t)v.size(), DTYPE_U64);
		if (!v.empty())
			k->upload(dev, out, v.data());
		return out;
	}

	/* A matrix in host memory, as prepare() takes it. */
	struct view host(int64_t rows, int64_t cols, const std::vector<double> &v, enum dtype dtype = DTYPE_F32)
	{
		auto bytes = std::make_shared<std::vector<char>>((size_t)(rows * cols) * dtype_size(dtype));
		auto buffer = std::make_shared<struct buffer>();
		*buffer = {bytes->data(), bytes->size()};
		if (dtype == DTYPE_F32) {
			std::vector<char> stored = store(v);
			memcpy(bytes->data(), stored.data(), stored.size());
		} else {
			k->download(dev, bytes->data(), typed(rows, cols, dtype, v));
		}
		held.push_back(bytes);
		held.push_back(buffer);
		return view_of(buffer.get(), rows, cols, dtype);
	}

	struct weight *weight(const std::vector<struct view> &matrices, enum dtype dtype = DTYPE_F32,
			      unsigned uses = WEIGHT_FORWARD | WEIGHT_DX | WEIGHT_GATHER)
	{
		weights.push_back(std::make_unique<struct weight>());
		k->prepare(dev, weights.back().get(), (int)matrices.size(), matrices.data(), dtype, uses);
		return weights.back().get();
	}

	struct view saved(enum op op, const struct shape &shape)
	{
		return empty(1, (int64_t)k->saved_bytes(dev, op, &shape), DTYPE_U8);
	}

	void reserve(enum op op, const struct shape &shape)
	{
		k->reserve(dev, k->scratch_bytes(dev, op, &shape));
	}

	void write(struct view dst, const std::vector<double> &v)
	{
		if (dst.dtype == DTYPE_F32)
			k->upload(dev, dst, store(v).data());
		else
			k->copy(dev, dst, real(dst.rows, dst.cols, v));
	}

	/* Element i, row by row, of an f32 view. */
	void set(struct view dst, int64_t i, double v)
	{
		k->upload(dev, view_cols(view_rows(dst, i / dst.cols, 1), i % dst.cols, 1), store({v}).data());
	}

	std::vector<double> read(struct view src)
	{
		if (src.dtype != DTYPE_F32) {
			struct view wide = empty(src.rows, src.cols, DTYPE_F32);
			k->copy(dev, wide, src);
			src = wide;
		}
		size_t n = (size_t)(src.rows * src.cols);
		std::vector<char> bytes(n * dtype_size(DTYPE_F32));
		if (n)
			k->download(dev, bytes.data(), src);
		std::vector<double> out(n);
		for (size_t i = 0; i < n; i++)
			out[i] = wide_f32() ? load<double>(bytes, i) : (double)load<float>(bytes, i);
		return out;
	}

	std::vector<int32_t> read_i32(struct view src)
	{
		std::vector<int32_t> out((size_t)(src.rows * src.cols));
		k->download(dev, out.data(), src);
		return out;
	}

private:
	static bool wide_f32() { return dtype_size(DTYPE_F32) == sizeof(double); }

	template <typename T> static T load(const std::vector<char> &bytes, size_t i)
	{
		T x;
		memcpy(&x, bytes.data() + i * sizeof x, sizeof x);
		return x;
	}

	static std::vector<char> store(const std::vector<double> &v)
	{
		std::vector<char> bytes(v.size() * dtype_size(DTYPE_F32));
		for (size_t i = 0; i < v.size(); i++) {
			float f = (float)v[i];
			if (wide_f32())
				memcpy(bytes.data() + i * sizeof v[i], &v[i], sizeof v[i]);
			else
				memcpy(bytes.data() + i * sizeof f, &f, sizeof f);
		}
		return bytes;
	}

	struct view empty(int64_t rows, int64_t cols, enum dtype dtype)
	{
		struct buffer *b = k->alloc(dev, (size_t)(rows * cols) * dtype_size(dtype));
		if (b)
			buffers.push_back(b);
		return view_of(b, rows, cols, dtype);
	}

	std::vector<struct buffer *> buffers;
	std::vector<std::unique_ptr<struct weight>> weights;
	std::vector<std::shared_ptr<void>> held;
};

#endif
