// SPDX-License-Identifier: Apache-2.0
/*
 * pipeline_test - what a stage is allotted, against the reference's own walk
 * through all stages; draws that depend on ids alone.
 */
#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "reference/policy.h"
#include "src/pipeline/draw.h"
#include "src/pipeline/bought.h"
#include "src/pipeline/synthesise.h"

namespace
{

/* A run without files: a pool of so many examples in each domain, none used. */
struct World {
	std::vector<int64_t> sizes;
	std::vector<std::string> names;
	std::vector<struct example_domain> domains;
	std::vector<struct example> rows;
	std::vector<char> used;
	std::vector<int64_t> budget;
	struct plan plan = {};
	struct run run = {};

	World(std::vector<int64_t> n_d, int64_t B, int64_t K, const char *method, int64_t index_base)
		: sizes(std::move(n_d))
	{
		for (size_t d = 0; d < sizes.size(); d++)
			names.push_back("d" + std::to_string(d));
		for (size_t d = 0; d < sizes.size(); d++) {
			domains.push_back({names[d].c_str(), (size_t)sizes[d], false});
			for (int64_t i = 0; i < sizes[d]; i++) {
				struct example row = {};
				row.id.is_number = true;
				row.id.number = (int64_t)rows.size();
				row.domain = d;
				rows.push_back(row);
			}
		}
		used.resize(rows.size());
		budget.resize((size_t)K);
		EXPECT_EQ(policy_budgets(budget.data(), K, B), 0);
		plan.method.policy_index_base = index_base;
		run.plan = &plan;
		run.method = method_find(method, nullptr);
		run.stages = K;
		run.budget = budget.data();
		run.used = (bool *)used.data();
		run.data.pool.row = rows.data();
		run.data.pool.n = rows.size();
		run.data.pool.domain = domains.data();
		run.data.pool.l = domains.size();
	}
	std::vector<struct policy_row> reference() const
	{
		std::vector<struct policy_domain> list;
		for (size_t d = 0; d < sizes.size(); d++)
			list.push_back({names[d].c_str(), sizes[d]});
		struct policy policy = {run.method->draw == DRAW_NAIVE ? POLICY_NAIVE : POLICY_ADAPTIVE,
					(int)plan.method.policy_index_base, run.stages};
		std::vector<struct policy_row> row(list.size() * budget.size());
		EXPECT_EQ(policy_stages(row.data(), &policy, budget.data(), list.data(), list.size()), 0);
		return row;
	}
	/* Any unused rows, as many as the stage takes. */
	void take(const struct allocation &a, std::mt19937 &random)
	{
		for (size_t d = 0; d < a.l; d++) {
			std::vector<size_t> left;
			for (size_t i = 0; i < rows.size(); i++)
				if (rows[i].domain == d && !used[i])
					left.push_back(i);
			std::shuffle(left.begin(), left.end(), random);
			for (int64_t i = 0; i < a.domain[d].real; i++)
				used[left[(size_t)i]] = true;
		}
	}
};

TEST(Allocation, OfEveryStageIsTheReferences)
{
	std::mt19937 random(7);
	size_t compared = 0;
	for (int round = 0; compared < 100000; round++) {
		std::vector<int64_t> sizes(1 + random() % 8);
		for (int64_t &n : sizes)
			n = 1 + (int64_t)(random() % 12);
		std::sort(sizes.rbegin(), sizes.rend());
		int64_t K = 1 + (int64_t)(random() % 6), B = K + (int64_t)(random() % 60);
		World w(sizes, B, K, round % 2 ? "baldistill-naive" : "baldistill-adaptive", round / 2 % 2);
		std::vector<struct policy_row> want = w.reference();
		for (int64_t k = 0; k < K; k++) {
			struct allocation a;
			struct err err = {};
			ASSERT_EQ(allocation_make(&a, &w.run, k, nullptr, &err), 0) << err.message;
			for (size_t d = 0; d < sizes.size(); d++, compared++) {
				const struct policy_row &r = want[(size_t)k * sizes.size() + d];
				ASSERT_EQ(a.domain[d].required, r.required) << "round " << round << " stage " << k;
				ASSERT_EQ(a.domain[d].real, r.real);
				ASSERT_EQ(a.domain[d].synthetic, r.synthetic);
				ASSERT_EQ(a.domain[d].tail, r.tail);
			}
			w.take(a, random);
			allocation_release(&a);
		}
	}
}

/* METHOD section 3's worked example: counts 70, 20, 7, 3; B 30, K 3. */
TEST(Allocation, WorkedExample)
{
	const int64_t want[3][4] = {{7, 2, 1, 0}, {6, 2, 1, 1}, {4, 2, 2, 2}};
	std::mt19937 random(1);
	World w({70, 20, 7, 3}, 30, 3, "baldistill-adaptive", 0);
	for (int64_t k = 0; k < 3; k++) {
		struct allocation a;
		struct err err = {};
		ASSERT_EQ(allocation_make(&a, &w.run, k, nullptr, &err), 0) << err.message;
		for (size_t d = 0; d < 4; d++) {
			EXPECT_EQ(a.domain[d].required, want[k][d]);
			EXPECT_EQ(a.domain[d].synthetic, 0);
		}
		EXPECT_EQ(a.cumulative, 10 * (k + 1));
		w.take(a, random);
		allocation_release(&a);
	}
}

/* A replacement comes from the pool while it has one, else from the teacher; the class does not change. */
TEST(Allocation, ReplacementsStandBesideWhatIsRequired)
{
	World w({10, 2}, 4, 1, "baldistill-naive", 0);
	const int64_t replacement[2] = {1, 1};
	struct allocation a;
	struct err err = {};
	ASSERT_EQ(allocation_make(&a, &w.run, 0, replacement, &err), 0) << err.message;
	EXPECT_EQ(a.domain[0].required, 2);
	EXPECT_EQ(a.domain[0].real, 3);
	EXPECT_EQ(a.domain[0].synthetic, 0);
	EXPECT_EQ(a.domain[1].required, 2);
	EXPECT_EQ(a.domain[1].real, 2);
	EXPECT_EQ(a.domain[1].synthetic, 1);
	EXPECT_FALSE(a.domain[1].tail);
	allocation_release(&a);
}

TEST(Draw, DependsOnIdsAndOccasionAlone)
{
	World w({40}, 1, 1, "baldistill-naive", 0);
	std::vector<size_t> one, other;
	for (size_t i = 0; i < 40; i++)
		one.push_back(i), other.insert(other.begin(), i);
	struct err err = {};
	ASSERT_EQ(draw_order(one.data(), one.size(), &w.run.data.pool, 1, DRAW_HEAD, 0, 0, &err), 0);
	ASSERT_EQ(draw_order(other.data(), other.size(), &w.run.data.pool, 1, DRAW_HEAD, 0, 0, &err), 0);
	EXPECT_EQ(one, other);
	ASSERT_EQ(draw_order(other.data(), other.size(), &w.run.data.pool, 1, DRAW_HEAD, 1, 0, &err), 0);
	EXPECT_NE(one, other);
	ASSERT_EQ(draw_order(other.data(), other.size(), &w.run.data.pool, 2, DRAW_HEAD, 0, 0, &err), 0);
	EXPECT_NE(one, other);
	draw_query_order(other.data(), other.size(), &w.run.data.pool);
	EXPECT_TRUE(std::is_sorted(other.begin(), other.end()));
}

/* The rows of a domain as a walk through the pool finds them. */
std::vector<size_t> walk(const struct examples &pool, size_t domain)
{
	std::vector<size_t> found;
	for (size_t i = 0; i < pool.n; i++)
		if (pool.row[i].domain == domain)
			found.push_back(i);
	return found;
}

/* Demonstrations as METHOD has them, by a walk: the drawn order, those with a rationale first. */
std::vector<size_t> drawn(const struct run &run, const std::vector<const char *> &rationale, int64_t k, size_t domain,
			  int64_t ordinal)
{
	const struct examples &pool = run.data.pool;
	std::vector<size_t> list = walk(pool, domain);
	struct err err = {};
	EXPECT_EQ(draw_order(list.data(), list.size(), &pool, run.plan->seed, DRAW_DEMONSTRATIONS,
			     (uint32_t)((size_t)k * pool.l + domain), (uint32_t)ordinal, &err), 0);
	std::stable_partition(list.begin(), list.end(), [&](size_t i) { return rationale[i] != nullptr; });
	list.resize(std::min<size_t>(list.size(), BOUGHT_DEMONSTRATIONS));
	return list;
}

TEST(DataIndex, IsAWalkThroughThePool)
{
	std::mt19937 random(3);
	for (int round = 0; round < 300; round++) {
		std::vector<int64_t> sizes(1 + random() % 9);
		for (int64_t &n : sizes)
			n = (int64_t)(random() % 8);
		World w(sizes, 1, 1, "baldistill-naive", 0);
		std::shuffle(w.rows.begin(), w.rows.end(), random);
		std::vector<const char *> rationale(w.rows.size());
		for (const char *&text : rationale)
			text = random() % 2 ? "why" : nullptr;
		struct rationales known = {};
		struct err err = {};
		known.of = rationale.data();
		ASSERT_EQ(data_index(&w.run.data, &err), 0) << err.message;
		for (size_t d = 0, n; d < sizes.size(); d++) {
			const size_t *row = data_domain(&w.run.data, d, &n);
			EXPECT_EQ(std::vector<size_t>(row, row + n), walk(w.run.data.pool, d));
			size_t shown[BOUGHT_DEMONSTRATIONS];
			int64_t k = random() % 3, ordinal = random() % 5;
			int taken = demonstrations_draw(shown, &w.run, &known, k, d, ordinal, &err);
			ASSERT_GE(taken, 0);
			EXPECT_EQ(std::vector<size_t>(shown, shown + taken), drawn(w.run, rationale, k, d, ordinal));
		}
		for (size_t i = 0; i < w.rows.size(); i++)
			EXPECT_EQ(data_find(&w.run.data, &w.rows[i].id), i);
		free(w.run.data.by_id);
		free(w.run.data.by_domain);
		free(w.run.data.begin);
	}
}

} // namespace
