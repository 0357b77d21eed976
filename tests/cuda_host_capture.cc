// SPDX-License-Identifier: Apache-2.0
/* Captured steps and freed memory of backends/cuda on the host: what a GPU does not show, and that the host shows it.
 */
#include <gtest/gtest.h>

#include "tests/cuda_host.h"

/* A device whose steps run in one way; afterwards they run at once again. */
class Capture : public testing::Test
{
      protected:
	struct device *dev = nullptr;

	void open(enum cuda_host_steps how)
	{
		struct err err = {};
		cuda_host_capture(how);
		dev = cuda_open(NULL, &err);
		ASSERT_NE(dev, nullptr) << err.message;
	}

	void TearDown() override
	{
		cuda_close(dev);
		cuda_host_capture(CUDA_HOST_DIRECT);
		EXPECT_EQ(cuda_host_graphs(), 0);
	}
};

/* Neither the recorded step nor what was made of it is left when the device or the first run fails. */
TEST_F(Capture, FailureKeepsNoGraph)
{
	for (bool failed : {false, true}) {
		open(CUDA_HOST_BROKEN);
		dev->k->capture_begin(dev);
		if (failed)
			device_fail(dev, "rope", "failed while captured");
		EXPECT_EQ(dev->k->capture_end(dev), nullptr);
		EXPECT_EQ(cuda_host_graphs(), 0) << failed;
		if (!failed)
			cuda_close(dev);
	}
}

/* What a step reads is what lies in device memory when it is replayed. */
TEST_F(Capture, ReplaysReadTheDevice)
{
	open(CUDA_HOST_CAPTURED);
	struct buffer *from = dev->k->alloc(dev, 64), *to = dev->k->alloc(dev, 64);
	struct view x = view_of(from, 1, 1, DTYPE_F32), y = view_of(to, 1, 1, DTYPE_F32);
	dev->k->capture_begin(dev);
	dev->k->copy(dev, y, x);
	struct graph *graph = dev->k->capture_end(dev);
	for (float value : {3.0f, 5.0f}) {
		float got = 0;
		dev->k->upload(dev, x, &value);
		EXPECT_TRUE(dev->k->replay(dev, graph));
		dev->k->download(dev, &got, y);
		EXPECT_EQ(got, value);
	}
	EXPECT_EQ(cuda_host_replays(), 3); /* the capture's own too */
	dev->k->graph_free(dev, graph);
	dev->k->free(dev, from);
	dev->k->free(dev, to);
}

/* To allocate, to free, to wait and to exchange numbers with the host cannot be captured. */
TEST_F(Capture, WhatCannotBeCapturedFails)
{
	static void (*const calls[])(struct device *, struct buffer *) = {
		[](struct device *d, struct buffer *) { d->k->alloc(d, 64); },
		[](struct device *, struct buffer *b) { cudaFree(b->data); },
		[](struct device *d, struct buffer *) { d->k->sync(d); },
		[](struct device *d, struct buffer *b) { d->k->upload(d, view_of(b, 1, 1, DTYPE_F32), "abc"); },
		[](struct device *d, struct buffer *b) {
			float number;
			d->k->download(d, &number, view_of(b, 1, 1, DTYPE_F32));
		},
	};
	for (auto call : calls) {
		if (dev)
			cuda_close(dev);
		open(CUDA_HOST_CAPTURED);
		struct buffer *buffer = dev->k->alloc(dev, 64);
		dev->k->capture_begin(dev);
		call(dev, buffer);
		EXPECT_EQ(dev->k->capture_end(dev), nullptr);
		EXPECT_NE(device_sync(dev), nullptr);
		dev->k->free(dev, buffer);
	}
}

TEST_F(Capture, FreedMemoryIsWatched)
{
	open(CUDA_HOST_DIRECT);
	struct buffer *buffer = dev->k->alloc(dev, 64);
	float *data = (float *)buffer->data;
	dev->k->free(dev, buffer);
	EXPECT_TRUE(std::isnan(*data));
	EXPECT_DEATH((*data = 1, cuda_host_check_freed()), "written after it was freed");
}
