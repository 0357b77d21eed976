// SPDX-License-Identifier: Apache-2.0
/*
 * kernel_test - every operation of every linked backend against the reference.
 *
 *     kernel_check      tolerances, the table of worst cases
 *     kernel_problem    problems, and how a backend is run on one
 *     kernel_primitives, kernel_layer, kernel_attention, kernel_loss, kernel_rest
 *                       the operations
 *     kernel_failures   wrong arguments
 *
 * KERNEL_LANE in the environment names the one kind of backend that is wanted, such as onednn-bf16.
 *
 * This file tests the tests, and counts the comparisons at the end.
 */
#include <cmath>
#include <cstdlib>

#include <gtest/gtest.h>

#include "tests/kernel_problem.h"

enum { LEAST_COMPARISONS = 1500 };

class Table : public testing::Environment
{
	void TearDown() override
	{
		print_comparisons();
		bool all = testing::GTEST_FLAG(filter) == "*" && !getenv("GTEST_TOTAL_SHARDS");
		for (const Lane &lane : fast_lanes()) {
			printf("%s: %lld comparisons\n", lane.name, (long long)comparisons_of(lane.name));
			EXPECT_TRUE(!all || comparisons_of(lane.name) >= LEAST_COMPARISONS) << lane.name;
		}
		close_lanes();
	}
};
static testing::Environment *const table = testing::AddGlobalTestEnvironment(new Table);

/* ---- a broken backend is noticed and the operation named ------------------ */

/* The reference with one entry replaced. */
class Broken
{
      public:
	Broken() : table(*kernels_reference()), dev(*reference_lane().dev)
	{
		dev.k = &table;
		dev.scratch = {};
		dev.scratch_used = dev.allocated = 0;
	}
	~Broken()
	{
		free(dev.scratch.data);
	}
	Lane lane()
	{
		return {"broken", &dev, false};
	}

	struct kernels table;
	struct device dev;
};

static std::vector<std::string> rmsnorm_differences(const Lane &lane)
{
	Problem p(OP_rmsnorm, "R 7 C 64");
	p.length = 64;
	Array x = p.normal(7, 64, As::RESID), w = p.normal(1, 64, As::F32);
	return differences(
		p,
		[&](Runner &run) {
			struct view y = run.out("y", 7, 64, As::F32);
			run.k->rmsnorm(run.dev, y, run.in(x), run.in(w), 1e-5f);
		},
		lane);
}

static void rmsnorm_off(struct device *dev, struct view y, struct view x, struct view w, float eps)
{
	kernels_reference()->rmsnorm(dev, y, x, w, eps);
	static_cast<float *>(view_row(y, 3))[5] *= 1.001f;
}

static void rmsnorm_past_the_row(struct device *dev, struct view y, struct view x, struct view w, float eps)
{
	kernels_reference()->rmsnorm(dev, y, x, w, eps);
	static_cast<float *>(view_row(y, y.rows - 1))[y.cols] = 0;
}

static void rmsnorm_forgets_a_row(struct device *dev, struct view y, struct view x, struct view w, float eps)
{
	kernels_reference()->rmsnorm(dev, view_rows(y, 1, y.rows - 1), view_rows(x, 1, x.rows - 1), w, eps);
}

static void rmsnorm_changes_x(struct device *dev, struct view y, struct view x, struct view w, float eps)
{
	kernels_reference()->rmsnorm(dev, y, x, w, eps);
	static_cast<float *>(view_row(x, 2))[0] += 1;
}

static void rmsnorm_allocates(struct device *dev, struct view y, struct view x, struct view w, float eps)
{
	kernels_reference()->rmsnorm(dev, y, x, w, eps);
	dev->k->reserve(dev, dev->scratch.bytes + 64);
}

static void rmsnorm_varies(struct device *dev, struct view y, struct view x, struct view w, float eps)
{
	static int calls;
	float *last = static_cast<float *>(view_row(y, 6)) + 63;
	kernels_reference()->rmsnorm(dev, y, x, w, eps);
	if (calls++ % 2)
		*last = std::nextafter(*last, 10.0f);
}

TEST(Tests, AnUnbrokenCopyOfTheReferenceIsEqual)
{
	Broken broken;
	EXPECT_EQ(rmsnorm_differences(broken.lane()), std::vector<std::string>());
}

TEST(Tests, ABrokenBackendIsNamed)
{
	static const struct {
		void (*rmsnorm)(struct device *, struct view, struct view, struct view, float);
		const char *word;
	} faults[] = {
		{rmsnorm_off, "y[3, 5] is"},
		{rmsnorm_past_the_row, "guard of y"},
		{rmsnorm_forgets_a_row, "y[0, 0] is "},
		{rmsnorm_changes_x, "input"},
		{rmsnorm_allocates, "allocated"},
		{rmsnorm_varies, "not the same twice"},
	};
	for (const auto &fault : faults) {
		Broken broken;
		broken.table.rmsnorm = fault.rmsnorm;
		std::vector<std::string> found = rmsnorm_differences(broken.lane());
		ASSERT_EQ(found.size(), 1u) << fault.word;
		EXPECT_EQ(found[0].rfind("rmsnorm on broken, f32, R 7 C 64: ", 0), 0u) << found[0];
		EXPECT_NE(found[0].find(fault.word), std::string::npos) << found[0];
	}
}

/* The formula's two ends: half a unit in the last place passes, a few units do not. */
TEST(Tests, ToleranceIsAFewUnitsInTheLastPlace)
{
	Output want = {"y", DTYPE_F32, 1, 1, {}, {1.0}, {}};
	Condition condition = {{1.0}, 1.0};
	Subject subject = {OP_linear, "none", "f32", "", 1, 0, DTYPE_F32, false};
	double worst = 0;
	Output near = want, far = want;
	near.value[0] = 1 + 0x1p-24;
	far.value[0] = 1 + 0x1p-21;
	EXPECT_EQ(compare_output(subject, want, near, &condition, &worst), "");
	EXPECT_LT(worst, 0.5);
	EXPECT_NE(compare_output(subject, want, far, &condition, &worst), "");
	EXPECT_NE(compare_output(subject, want, near, nullptr, &worst), "");
}
