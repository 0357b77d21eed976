// SPDX-License-Identifier: Apache-2.0
/*
 * The rooms above the kernels on backends/cuda compiled for the host: steps that are captured and replayed give the
 * bytes of the same steps called one by one.
 */
#include "tests/student_jobs.h"

#include "backends/backend.h"
#include "tests/cuda_host.h"

/* A model on a device of its own, whose steps run in one way. */
struct Placed {
	struct device *dev;
	struct model *model = nullptr;

	Placed(const TinyCheckpoint &checkpoint, enum dtype dtype, enum cuda_host_steps how)
	{
		struct err err = {};
		struct device_options options = {0, false, dtype};
		struct model_options kind = {};
		kind.dtype = dtype;
		cuda_host_capture(how);
		dev = cuda_open(&options, &err);
		EXPECT_NE(dev, nullptr) << err.message;
		model = model_load(checkpoint.path(), dev, &kind, &err);
		EXPECT_NE(model, nullptr) << err.message;
	}
	~Placed()
	{
		model_free(model);
		cuda_close(dev);
		EXPECT_EQ(cuda_host_graphs(), 0);
	}
};

class Graph : public testing::TestWithParam<enum dtype>
{
};
static std::string suffix_of(const testing::TestParamInfo<enum dtype> &info)
{
	return info.param == DTYPE_BF16 ? "bf16" : "f32";
}
INSTANTIATE_TEST_SUITE_P(Cuda, Graph, testing::Values(DTYPE_F32, DTYPE_BF16), suffix_of);

static Completions completions(const TinyCheckpoint &checkpoint, enum dtype dtype, enum cuda_host_steps how)
{
	Placed on(checkpoint, dtype, how);
	Completions all = complete(on.model, Rows(7), 0.9f);
	EXPECT_EQ(cuda_host_replays() > 20, how == CUDA_HOST_CAPTURED) << cuda_host_replays();
	return all;
}

TEST_P(Graph, DecodingIsTheSame)
{
	TinyCheckpoint checkpoint({});
	EXPECT_TRUE(completions(checkpoint, GetParam(), CUDA_HOST_CAPTURED) ==
		    completions(checkpoint, GetParam(), CUDA_HOST_DIRECT));
}

static Trained trained(const TinyCheckpoint &checkpoint, enum dtype dtype, bool full, enum cuda_host_steps how)
{
	Placed on(checkpoint, dtype, how);
	Trained all = train(on.model, checkpoint, full, false);
	EXPECT_EQ(cuda_host_replays() > 5, how == CUDA_HOST_CAPTURED) << cuda_host_replays();
	return all;
}

TEST_P(Graph, TrainingIsTheSame)
{
	for (bool full : {false, true}) {
		TinyCheckpoint checkpoint({});
		Trained want = trained(checkpoint, GetParam(), full, CUDA_HOST_DIRECT);
		Trained got = trained(checkpoint, GetParam(), full, CUDA_HOST_CAPTURED);
		EXPECT_EQ(got.values, want.values) << full;
		EXPECT_EQ(got.moments, want.moments) << full;
		EXPECT_EQ(got.loss, want.loss) << full;
		EXPECT_TRUE(got.checkpoint == want.checkpoint) << full;
	}
}
