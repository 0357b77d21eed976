// SPDX-License-Identifier: Apache-2.0
/*
 * linked_device.h - the devices a test program can open: the reference and
 * every backend linked in and usable on this machine.
 */
#ifndef BALDISTILL_TESTS_LINKED_DEVICE_H
#define BALDISTILL_TESTS_LINKED_DEVICE_H

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#ifdef CUDA_ON_HOST /* the CUDA backend compiled for the host, alone */
#undef HAVE_OPENBLAS
#undef HAVE_ONEDNN
#undef HAVE_CUDA
#define HAVE_CUDA 1
#endif
#ifdef ONEDNN_ON_HOST /* the oneDNN backend over a library of the tests' own, alone */
#undef HAVE_OPENBLAS
#undef HAVE_ONEDNN
#undef HAVE_CUDA
#define HAVE_ONEDNN 1
#endif

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "backends/backend.h"

extern "C" {
#if HAVE_OPENBLAS
extern const struct backend openblas_backend;
#endif
#if HAVE_ONEDNN
extern const struct backend onednn_backend;
#endif
#if HAVE_CUDA
extern const struct backend cuda_backend;
#endif
}

/* NULL stands for the reference. */
inline std::vector<const struct backend *> linked_backends()
{
	return {
		nullptr,
#if HAVE_OPENBLAS
		&openblas_backend,
#endif
#if HAVE_ONEDNN
		&onednn_backend,
#endif
#if HAVE_CUDA
		&cuda_backend,
#endif
	};
}

inline std::string linked_name(const ::testing::TestParamInfo<const struct backend *> &info)
{
	return info.param ? info.param->name : "reference";
}

/* A case for each device; no operation of it may fail. Skipped where the machine lacks what the backend needs. */
class OnDevice : public ::testing::TestWithParam<const struct backend *> {
protected:
	struct device *dev = nullptr;

	bool is_reference() const { return !GetParam(); }

	void SetUp() override
	{
		struct device_options options = {2, false, DTYPE_F32};
		struct err err;
		if (is_reference()) {
			dev = device_reference_new();
			ASSERT_NE(dev, nullptr);
			return;
		}
		struct backend_info info = {};
		GetParam()->probe(&info);
		if (!info.usable)
			GTEST_SKIP() << info.reason;
		dev = GetParam()->open(&options, &err);
		ASSERT_NE(dev, nullptr) << GetParam()->name;
	}

	void TearDown() override
	{
		if (!dev)
			return;
		const char *failure = device_sync(dev);
		EXPECT_EQ(failure, nullptr) << failure;
		if (is_reference())
			device_reference_free(dev);
		else
			GetParam()->close(dev);
	}
};

#endif
