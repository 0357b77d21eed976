// SPDX-License-Identifier: Apache-2.0
/* true_blocks.h - tests of backends/cuda on the host with blocks as a GPU has them, of up to 1,024 threads. */
#ifndef BALDISTILL_TESTS_TRUE_BLOCKS_H
#define BALDISTILL_TESTS_TRUE_BLOCKS_H

#include <gtest/gtest.h>

#include "tests/cuda_host.h"

/* In other tests only kernels of warps have them; thousands of fibers for every launch would take hours. */
class TrueBlocks : public testing::Test
{
	void SetUp() override
	{
		cuda_host_threads(true);
	}

	void TearDown() override
	{
		cuda_host_threads(false);
	}
};

#endif
