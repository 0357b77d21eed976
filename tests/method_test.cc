// SPDX-License-Identifier: Apache-2.0
/*
 * method_test - the method's own arithmetic: policy, IFD, metrics.
 *
 * Policy is exact: every comparison is equality of whole numbers. Floating
 * point results are means of at most a few hundred fractions, compared within
 *     1e-12 * max(1, |golden|)
 * (unit round-off 1.1e-16 times the terms, with room for another order of
 * summation). Golden values: tests/golden/metrics.txt.
 */
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <map>
#include <numeric>
#include <random>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "reference/ifd.h"
#include "reference/metrics.h"
#include "reference/policy.h"

namespace {

const double tolerance = 1e-12;
const double nan_value = std::numeric_limits<double>::quiet_NaN();

typedef std::vector<int64_t> counts;

void expect_close(double value, double golden, const std::string &what)
{
	if (std::isnan(golden))
		EXPECT_TRUE(std::isnan(value)) << what << ": " << value;
	else
		EXPECT_NEAR(value, golden, tolerance * std::max(1.0, std::fabs(golden))) << what;
}

// ---------------------------------------------------------------- policy

struct domains {
	std::vector<std::string> name;
	std::vector<policy_domain> row;

	void add(const std::string &text, int64_t n)
	{
		name.push_back(text);
		row.push_back({nullptr, n});
	}

	const policy_domain *data()
	{
		for (size_t d = 0; d < row.size(); d++)
			row[d].name = name[d].c_str();
		return row.data();
	}

	size_t size() const
	{
		return row.size();
	}
};

domains four()
{
	domains d;

	d.add("a", 70);
	d.add("b", 20);
	d.add("c", 7);
	d.add("d", 3);
	return d;
}

counts allocate(const policy &policy, domains &d, int64_t B_k, int64_t k)
{
	counts r(d.size(), -1);

	EXPECT_EQ(0, policy_allocate(r.data(), &policy, d.data(), d.size(), B_k, k));
	return r;
}

// Every stage of a run with total B; row[k * l + d].
std::vector<policy_row> simulate(const policy &policy, domains &d, int64_t B)
{
	counts budget(static_cast<size_t>(policy.stages));
	std::vector<policy_row> row(budget.size() * d.size());

	EXPECT_EQ(0, policy_budgets(budget.data(), policy.stages, B));
	EXPECT_EQ(0, policy_stages(row.data(), &policy, budget.data(), d.data(), d.size()));
	return row;
}

template <typename Field> counts column(const std::vector<policy_row> &row, size_t l, size_t k, Field field)
{
	counts out;

	for (size_t d = 0; d < l; d++)
		out.push_back(row[k * l + d].*field);
	return out;
}

template <typename Field> counts stage_sums(const std::vector<policy_row> &row, size_t l, Field field)
{
	counts out;

	for (size_t k = 0; k < row.size() / l; k++) {
		counts c = column(row, l, k, field);
		out.push_back(std::accumulate(c.begin(), c.end(), int64_t{0}));
	}
	return out;
}

TEST(Policy, BudgetIsSplitLargerPartsFirst)
{
	counts budget(5);

	ASSERT_EQ(0, policy_budgets(budget.data(), 5, 2603));
	EXPECT_EQ(counts({521, 521, 521, 520, 520}), budget);
	ASSERT_EQ(0, policy_budgets(budget.data(), 5, 5));
	EXPECT_EQ(counts({1, 1, 1, 1, 1}), budget);
}

TEST(Policy, ImpossibleBudgetIsRefused)
{
	counts budget(5, 7);

	EXPECT_EQ(-1, policy_budgets(budget.data(), 5, 4));
	EXPECT_EQ(-1, policy_budgets(budget.data(), 0, 4));
	EXPECT_EQ(-1, policy_budgets(budget.data(), 5, POLICY_UNITS_MAX + 1));
	EXPECT_EQ(counts(5, 7), budget);
}

TEST(Policy, WorkedNaive)
{
	domains d = four();
	std::vector<policy_row> row = simulate({POLICY_NAIVE, 0, 3}, d, 30);

	for (size_t k = 0; k < 3; k++)
		EXPECT_EQ(counts({3, 3, 2, 2}), column(row, 4, k, &policy_row::required)) << k;
	EXPECT_EQ(counts({3, 3, 2, 2}), column(row, 4, 0, &policy_row::real));
	EXPECT_EQ(counts({3, 3, 2, 1}), column(row, 4, 1, &policy_row::real));
	EXPECT_EQ(counts({0, 0, 0, 1}), column(row, 4, 1, &policy_row::synthetic));
	EXPECT_EQ(counts({0, 0, 0, 2}), column(row, 4, 2, &policy_row::synthetic));
	EXPECT_EQ(counts({0, 0, 0, 0}), column(row, 4, 0, &policy_row::tail));
	EXPECT_EQ(counts({0, 0, 0, 1}), column(row, 4, 1, &policy_row::tail));
	EXPECT_EQ(counts({0, 0, 0, 1}), column(row, 4, 2, &policy_row::tail));
}

TEST(Policy, WorkedAdaptive)
{
	domains d = four();
	std::vector<policy_row> row = simulate({POLICY_ADAPTIVE, 0, 3}, d, 30);

	EXPECT_EQ(counts({7, 2, 1, 0}), column(row, 4, 0, &policy_row::required));
	EXPECT_EQ(counts({6, 2, 1, 1}), column(row, 4, 1, &policy_row::required));
	EXPECT_EQ(counts({4, 2, 2, 2}), column(row, 4, 2, &policy_row::required));
	EXPECT_EQ(counts({0, 0, 0}), stage_sums(row, 4, &policy_row::synthetic));
	EXPECT_EQ(counts({0, 0, 0}), stage_sums(row, 4, &policy_row::tail));
}

// With base 1 stage k has the shares of stage k + 1, and the last is the naive policy.
TEST(Policy, IndexBaseOneStartsOneStageLater)
{
	domains d = four();
	policy one = {POLICY_ADAPTIVE, 1, 3};

	EXPECT_EQ(counts({6, 2, 1, 1}), allocate(one, d, 10, 0));
	EXPECT_EQ(counts({4, 2, 2, 2}), allocate(one, d, 10, 1));
	EXPECT_EQ(counts({3, 3, 2, 2}), allocate(one, d, 10, 2));
}

TEST(Policy, EqualFractionsGoToTheLargerShare)
{
	domains d;

	d.add("a", 1); // shares 0.5 and 1.5
	d.add("b", 3);
	EXPECT_EQ(counts({0, 2}), allocate({POLICY_ADAPTIVE, 0, 1}, d, 2, 0));
}

TEST(Policy, EqualSharesGoToTheEarlierDomain)
{
	domains d;

	d.add("\xc3\xa9", 5);
	d.add("aa", 5);
	d.add("a", 5);
	d.add("Z", 5);
	EXPECT_EQ(counts({0, 0, 1, 1}), allocate({POLICY_ADAPTIVE, 0, 1}, d, 2, 0));
	EXPECT_EQ(counts({0, 1, 1, 1}), allocate({POLICY_NAIVE, 0, 1}, d, 3, 0));
	d.add("zz", 6);
	EXPECT_EQ(counts({0, 0, 0, 0, 1}), allocate({POLICY_NAIVE, 0, 1}, d, 1, 0));
}

TEST(Policy, ImpossibleInputIsRefused)
{
	domains d = four(), empty = four(), large = four();
	policy good = {POLICY_ADAPTIVE, 0, 3}, base = {POLICY_ADAPTIVE, 2, 3}, stages = {POLICY_NAIVE, 0, 0};
	counts r(4, -7);

	empty.row[3].n = 0;
	large.row[0].n = POLICY_UNITS_MAX - 29;
	EXPECT_EQ(-1, policy_allocate(r.data(), &good, empty.data(), 4, 10, 0)) << "a domain without examples";
	EXPECT_EQ(-1, policy_allocate(r.data(), &good, large.data(), 4, 10, 0)) << "N over the limit";
	EXPECT_EQ(-1, policy_allocate(r.data(), &good, d.data(), 0, 10, 0)) << "no domain";
	EXPECT_EQ(-1, policy_allocate(r.data(), &good, d.data(), 4, 0, 0)) << "no budget";
	EXPECT_EQ(-1, policy_allocate(r.data(), &good, d.data(), 4, POLICY_UNITS_MAX + 1, 0)) << "B over the limit";
	EXPECT_EQ(-1, policy_allocate(r.data(), &good, d.data(), 4, 10, 3)) << "stage K";
	EXPECT_EQ(-1, policy_allocate(r.data(), &good, d.data(), 4, 10, -1)) << "stage -1";
	EXPECT_EQ(-1, policy_allocate(r.data(), &base, d.data(), 4, 10, 0)) << "index base 2";
	EXPECT_EQ(-1, policy_allocate(r.data(), &stages, d.data(), 4, 10, 0)) << "no stage";
	EXPECT_EQ(-1, policy_stages(nullptr, &stages, nullptr, d.data(), 4)) << "no stage";
	EXPECT_EQ(counts(4, -7), r);
	large.row[0].n--;
	EXPECT_EQ(0, policy_allocate(r.data(), &good, large.data(), 4, 10, 0)) << "N at the limit";
}

// Shares B n_d / N with B = N are n_d themselves; numerators reach 2^120.
TEST(Policy, LargestInputsAreExact)
{
	size_t l = static_cast<size_t>(POLICY_COUNT_MAX);
	std::vector<policy_domain> domain(l, policy_domain{"", 1});
	std::vector<std::string> name(l);
	counts r(l), all(l, POLICY_UNITS_MAX / POLICY_COUNT_MAX);
	policy adaptive = {POLICY_ADAPTIVE, 0, POLICY_COUNT_MAX};

	for (size_t d = 0; d < l; d++) {
		name[d] = std::to_string(d);
		domain[d].name = name[d].c_str();
	}
	domain[7].n = POLICY_UNITS_MAX - POLICY_COUNT_MAX + 1;
	ASSERT_EQ(0, policy_allocate(r.data(), &adaptive, domain.data(), l, POLICY_UNITS_MAX, 0));
	EXPECT_EQ(domain[7].n, r[7]);
	EXPECT_EQ(POLICY_COUNT_MAX - 1, std::count(r.begin(), r.end(), 1));
	adaptive.index_base = 1;
	ASSERT_EQ(0, policy_allocate(r.data(), &adaptive, domain.data(), l, POLICY_UNITS_MAX, POLICY_COUNT_MAX - 1));
	EXPECT_EQ(all, r);
}

TEST(Policy, GrownBudgetGoesToStagesNotBegun)
{
	counts budget = {6, 6, 6, 5, 5};

	ASSERT_EQ(0, policy_grow(budget.data(), 5, 2, 43));
	EXPECT_EQ(counts({6, 6, 11, 10, 10}), budget);
	ASSERT_EQ(0, policy_grow(budget.data(), 5, 4, 44));
	EXPECT_EQ(counts({6, 6, 11, 10, 11}), budget);
	ASSERT_EQ(0, policy_grow(budget.data(), 5, 0, 44));
	EXPECT_EQ(counts({9, 9, 9, 9, 8}), budget);
}

TEST(Policy, GrowthIsRefusedWhereNothingIsLeftToGrow)
{
	counts budget = {6, 6, 5};

	EXPECT_EQ(-1, policy_grow(budget.data(), 3, 3, 18)) << "all begun";
	EXPECT_EQ(-1, policy_grow(budget.data(), 3, 1, 16)) << "shrunk";
	EXPECT_EQ(-1, policy_grow(budget.data(), 3, 4, 18)) << "more begun than there are";
	EXPECT_EQ(-1, policy_grow(budget.data(), 3, 0, POLICY_UNITS_MAX + 1)) << "over the limit";
	EXPECT_EQ(0, policy_grow(budget.data(), 3, 3, 17)) << "the same budget";
	EXPECT_EQ(0, policy_grow(budget.data(), 3, 1, 17)) << "the same budget";
	EXPECT_EQ(counts({6, 6, 5}), budget);
}

TEST(Policy, TailIsWhatThePoolCannotGive)
{
	policy_row equal = policy_split(4, 4), over = policy_split(5, 4), none = policy_split(0, 0);

	EXPECT_FALSE(equal.tail);
	EXPECT_EQ(4, equal.real);
	EXPECT_EQ(0, equal.synthetic);
	EXPECT_TRUE(over.tail);
	EXPECT_EQ(4, over.real);
	EXPECT_EQ(1, over.synthetic);
	EXPECT_FALSE(none.tail);
	EXPECT_EQ(0, none.real + none.synthetic + none.required);
}

// A reduced fraction, for a second computation that shares nothing with the first.
struct fraction {
	__int128 p, q;

	fraction(__int128 numerator, __int128 denominator) : p(numerator), q(denominator)
	{
		__int128 a = p < 0 ? -p : p, b = q;

		while (b) {
			a %= b;
			std::swap(a, b);
		}
		p /= a;
		q /= a;
	}
	fraction operator+(const fraction &o) const { return {p * o.q + o.p * q, q * o.q}; }
	fraction operator*(const fraction &o) const { return {p * o.p, q * o.q}; }
	fraction operator-(int64_t o) const { return {p - o * q, q}; }
	bool operator<(const fraction &o) const { return p * o.q < o.p * q; }
	bool operator==(const fraction &o) const { return p == o.p && q == o.q; }
};

std::vector<fraction> shares(const policy &policy, const domains &d, int64_t B_k, int64_t k)
{
	int64_t N = 0, l = static_cast<int64_t>(d.size()), K = policy.stages, i = k + policy.index_base;
	std::vector<fraction> share;

	for (const policy_domain &row : d.row)
		N += row.n;
	for (const policy_domain &row : d.row) {
		fraction even(B_k, l), proportional = fraction(row.n, N) * fraction(B_k, 1);

		share.push_back(policy.kind == POLICY_NAIVE
					? even
					: proportional * fraction(K - i, K) + even * fraction(i, K));
	}
	return share;
}

// The rule word for word: one unit at a time to the best claim.
counts brute_force(const policy &policy, const domains &d, int64_t B_k, int64_t k)
{
	std::vector<fraction> share = shares(policy, d, B_k, k);
	counts r;
	int64_t left = B_k;
	auto better = [&](size_t a, size_t b) {
		fraction rest_a = share[a] - r[a], rest_b = share[b] - r[b];

		if (!(rest_a == rest_b))
			return rest_b < rest_a;
		if (!(share[a] == share[b]))
			return share[b] < share[a];
		if (d.row[a].n != d.row[b].n)
			return d.row[a].n > d.row[b].n;
		return d.name[a] < d.name[b]; // std::string compares as unsigned bytes
	};

	for (const fraction &s : share) {
		r.push_back(static_cast<int64_t>(s.p / s.q));
		left -= r.back();
	}
	for (; left > 0; left--) {
		size_t best = 0;

		for (size_t d2 = 1; d2 < r.size(); d2++)
			best = better(d2, best) ? d2 : best;
		r[best]++;
	}
	return r;
}

struct random_case {
	domains d;
	policy p;
	int64_t B_k, k;
};

int64_t pick(std::mt19937_64 &rng, int64_t low, int64_t high)
{
	return low + static_cast<int64_t>(rng() % static_cast<uint64_t>(high - low + 1));
}

random_case make_case(std::mt19937_64 &rng)
{
	static const int64_t sizes[] = {2, 9, 100, 3000};
	random_case c;
	int64_t l = pick(rng, 1, 12), size = sizes[rng() % 4];
	std::set<std::string> names;

	while (static_cast<int64_t>(names.size()) < l) {
		std::string name;

		for (int64_t n = pick(rng, 1, 3); n > 0; n--)
			name += static_cast<char>(pick(rng, 1, 255));
		names.insert(name);
	}
	for (const std::string &name : names)
		c.d.add(name, pick(rng, 1, size));
	c.p.stages = pick(rng, 1, 8);
	c.p.kind = rng() % 4 ? POLICY_ADAPTIVE : POLICY_NAIVE;
	c.p.index_base = static_cast<int>(rng() % 2);
	c.k = pick(rng, 0, c.p.stages - 1);
	c.B_k = pick(rng, 1, sizes[rng() % 4]);
	return c;
}

TEST(Policy, RandomCasesEqualBruteForce)
{
	std::mt19937_64 rng(1);

	for (int n = 0; n < 20000; n++) {
		random_case c = make_case(rng);

		ASSERT_EQ(brute_force(c.p, c.d, c.B_k, c.k), allocate(c.p, c.d, c.B_k, c.k)) << "case " << n;
	}
}

TEST(Policy, RandomCasesKeepTheQuota)
{
	std::mt19937_64 rng(2);

	for (int n = 0; n < 20000; n++) {
		random_case c = make_case(rng);
		counts r = allocate(c.p, c.d, c.B_k, c.k);
		std::vector<fraction> share = shares(c.p, c.d, c.B_k, c.k);

		ASSERT_EQ(c.B_k, std::accumulate(r.begin(), r.end(), int64_t{0})) << "case " << n;
		for (size_t d = 0; d < r.size(); d++) {
			fraction off = share[d] - r[d];

			ASSERT_TRUE(fraction(-1, 1) < off && off < fraction(1, 1)) << "case " << n << " domain " << d;
		}
	}
}

// An earlier domain never gets less than a later one, and the order of input does not matter.
TEST(Policy, RandomCasesAreMonotoneAndFreeOfInputOrder)
{
	std::mt19937_64 rng(3);

	for (int n = 0; n < 20000; n++) {
		random_case c = make_case(rng), moved = c;
		counts r = allocate(c.p, c.d, c.B_k, c.k);
		std::vector<size_t> place(r.size());

		std::iota(place.begin(), place.end(), size_t{0});
		std::shuffle(place.begin(), place.end(), rng);
		for (size_t d = 0; d < r.size(); d++) {
			moved.d.name[d] = c.d.name[place[d]];
			moved.d.row[d].n = c.d.row[place[d]].n;
		}
		counts s = allocate(moved.p, moved.d, c.B_k, c.k);
		for (size_t d = 0; d < r.size(); d++)
			ASSERT_EQ(r[place[d]], s[d]) << "case " << n;
		const policy_domain *row = c.d.data();
		for (size_t a = 0; a < r.size(); a++)
			for (size_t b = 0; b < r.size(); b++)
				ASSERT_FALSE(policy_domain_compare(&row[a], &row[b]) < 0 && r[a] < r[b]) << n;
	}
}

// After any stage a domain has given min(n_d, all it was asked for), and synthesis the rest.
TEST(Policy, RandomRunsUseEachExampleOnce)
{
	std::mt19937_64 rng(4);

	for (int n = 0; n < 2000; n++) {
		random_case c = make_case(rng);
		size_t l = c.d.size();
		int64_t B = c.B_k + c.p.stages;
		std::vector<policy_row> row = simulate(c.p, c.d, B);
		counts required = stage_sums(row, l, &policy_row::required);

		for (size_t k = 0; k < required.size(); k++)
			ASSERT_EQ(policy_part(B, c.p.stages, static_cast<int64_t>(k)), required[k]) << "case " << n;
		for (size_t d = 0; d < l; d++) {
			int64_t asked = 0, real = 0, synthetic = 0;

			for (size_t k = 0; k < row.size() / l; k++) {
				const policy_row &now = row[k * l + d];

				ASSERT_EQ(now.tail, now.required > c.d.row[d].n - real) << "case " << n;
				asked += now.required;
				real += now.real;
				synthetic += now.synthetic;
				ASSERT_EQ(std::min(asked, c.d.row[d].n), real) << "case " << n;
				ASSERT_EQ(asked - real, synthetic) << "case " << n;
			}
		}
	}
}

// ---------------------------------------------------------------- R52

// The raw text of a string field of one JSON line whose values hold no bare quotation mark.
std::string field(const std::string &line, const std::string &key)
{
	std::string mark = "\"" + key + "\": \"";
	size_t begin = line.find(mark), end;

	if (begin == std::string::npos)
		return "";
	begin += mark.size();
	for (end = begin; end < line.size() && line[end] != '"'; end++)
		end += line[end] == '\\';
	return line.substr(begin, end - begin);
}

class R52 : public ::testing::Test {
protected:
	std::vector<std::string> pool, teacher;

	void SetUp() override
	{
		const char *folder = std::getenv("BALDISTILL_TEST_DATA");

		if (!folder)
			GTEST_SKIP() << "BALDISTILL_TEST_DATA is not set: no r52/pool.jsonl to count";
		read(pool, std::string(folder) + "/r52/pool.jsonl");
		read(teacher, std::string(folder) + "/r52/teacher.jsonl");
	}

	static void read(std::vector<std::string> &lines, const std::string &path)
	{
		std::ifstream in(path);
		std::string line;

		ASSERT_TRUE(in) << path;
		while (std::getline(in, line))
			lines.push_back(line);
	}

	// Counts per domain of the distinct keys that `key` makes, "" leaving a row out.
	template <typename Key> static domains count(const std::vector<std::string> &lines, Key key)
	{
		std::set<std::string> seen;
		std::map<std::string, int64_t> n;
		domains d;

		for (const std::string &line : lines) {
			std::string id = key(line);

			if (!id.empty() && seen.insert(id).second)
				n[field(line, "domain")]++;
		}
		for (const auto &entry : n)
			d.add(entry.first, entry.second);
		return d;
	}

	static void expect(domains d, int64_t N, const counts &naive, const counts &adaptive)
	{
		int64_t sum = 0;

		for (const policy_domain &row : d.row)
			sum += row.n;
		EXPECT_EQ(N, sum);
		ASSERT_EQ(52u, d.size());
		EXPECT_EQ(naive, stage_sums(simulate({POLICY_NAIVE, 0, 5}, d, 2600), 52, &policy_row::synthetic));
		EXPECT_EQ(adaptive, stage_sums(simulate({POLICY_ADAPTIVE, 0, 5}, d, 2600), 52, &policy_row::synthetic));
	}
};

TEST_F(R52, WholePool)
{
	size_t line = 0;
	domains d = count(pool, [&](const std::string &) { return std::to_string(++line); });

	expect(d, 6532, {92, 231, 298, 350, 383}, {0, 1, 33, 119, 225});
	EXPECT_EQ(counts({17, 28, 31, 37, 39}),
		  stage_sums(simulate({POLICY_NAIVE, 0, 5}, d, 2600), 52, &policy_row::tail));
	EXPECT_EQ(counts({0, 1, 13, 25, 31}),
		  stage_sums(simulate({POLICY_ADAPTIVE, 0, 5}, d, 2600), 52, &policy_row::tail));
}

TEST_F(R52, WithoutDuplicates)
{
	domains d = count(pool, [](const std::string &line) {
		return field(line, "input") + "\n" + field(line, "label");
	});

	expect(d, 6478, {92, 232, 298, 352, 383}, {0, 1, 31, 119, 225});
}

TEST_F(R52, RecordedAnnotations)
{
	domains d = count(teacher, [](const std::string &line) {
		bool real = field(line, "kind") == "annotate";

		return real ? field(line, "input") + "\n" + field(line, "domain") : std::string();
	});

	expect(d, 4978, {103, 247, 307, 371, 395}, {0, 2, 47, 136, 241});
}

// ---------------------------------------------------------------- IFD

TEST(Ifd, MeansRunOverTheSameTokens)
{
	const float c[] = {-1, -2, -3}, u[] = {-9, -2, -1};
	ifd_score all = ifd_measure(c, u, 3, true), rest = ifd_measure(c, u, 3, false);

	ASSERT_TRUE(all.has_value);
	EXPECT_EQ(3u, all.counted_tokens);
	EXPECT_DOUBLE_EQ(2, all.nll_conditional);
	EXPECT_DOUBLE_EQ(4, all.nll_unconditional);
	EXPECT_DOUBLE_EQ(std::exp(2.0), all.ppl_conditional);
	EXPECT_DOUBLE_EQ(std::exp(4.0), all.ppl_unconditional);
	EXPECT_DOUBLE_EQ(std::exp(-2.0), all.ifd);
	ASSERT_TRUE(rest.has_value);
	EXPECT_EQ(2u, rest.counted_tokens);
	EXPECT_DOUBLE_EQ(2.5, rest.nll_conditional);
	EXPECT_DOUBLE_EQ(1.5, rest.nll_unconditional);
	EXPECT_DOUBLE_EQ(std::exp(1.0), rest.ifd);
}

TEST(Ifd, FirstTokenIsNotReadWithoutBeginningToken)
{
	const float c[] = {NAN, -2}, u[] = {NAN, -3};

	EXPECT_DOUBLE_EQ(std::exp(-1.0), ifd_measure(c, u, 2, false).ifd);
	EXPECT_FALSE(ifd_measure(c, u, 2, true).has_value);
}

TEST(Ifd, NoCountedTokenHasNoValue)
{
	const float one[] = {-1};
	ifd_score none = ifd_measure(one, one, 1, false);

	EXPECT_FALSE(none.has_value);
	EXPECT_EQ(0u, none.counted_tokens);
	EXPECT_TRUE(std::isnan(none.ifd) && std::isnan(none.nll_conditional) && std::isnan(none.nll_unconditional));
	EXPECT_TRUE(std::isnan(none.ppl_conditional) && std::isnan(none.ppl_unconditional));
	EXPECT_FALSE(ifd_measure(one, one, 0, true).has_value);
	EXPECT_FALSE(ifd_measure(one, one, 0, false).has_value);
	EXPECT_DOUBLE_EQ(1, ifd_measure(one, one, 1, true).ifd);
}

TEST(Ifd, FiguresThatAreNotFiniteHaveNoValue)
{
	const float fine[] = {-1}, infinite[] = {-INFINITY}, huge[] = {-1000}, huger[] = {-1001}, large[] = {-700};

	EXPECT_FALSE(ifd_measure(infinite, fine, 1, true).has_value);
	EXPECT_FALSE(ifd_measure(fine, infinite, 1, true).has_value);
	EXPECT_FALSE(ifd_measure(huge, fine, 1, true).has_value);
	EXPECT_FALSE(ifd_measure(huge, huger, 1, true).has_value);
	EXPECT_FALSE(ifd_measure(huge, large, 1, true).has_value);
	EXPECT_TRUE(std::isnan(ifd_measure(infinite, infinite, 1, true).ifd));
}

TEST(Ifd, SumsAreKeptInDouble)
{
	std::vector<float> c(1000000, -0.1f), u(1000000, -0.3f);
	ifd_score s = ifd_measure(c.data(), u.data(), c.size(), true);

	EXPECT_NEAR(static_cast<double>(0.1f), s.nll_conditional, 1e-10); // 10^6 terms x 1.1e-16
	EXPECT_NEAR(std::exp(static_cast<double>(0.1f) - static_cast<double>(0.3f)), s.ifd, 1e-10);
}

TEST(Ifd, IdsSortNumbersByValueBeforeStringsByBytes)
{
	const ifd_id sorted[] = {{true, INT64_MIN, nullptr}, {true, -2, nullptr}, {true, 9, nullptr},
				 {true, 10, nullptr},        {false, 0, ""},      {false, 0, "10"},
				 {false, 0, "9"},            {false, 0, "Z"},     {false, 0, "a"},
				 {false, 0, "aa"},           {false, 0, "\xc3\xa9"}};

	for (size_t a = 0; a < 11; a++)
		for (size_t b = 0; b < 11; b++) {
			int order = ifd_id_compare(&sorted[a], &sorted[b]);

			EXPECT_EQ((a > b) - (a < b), (order > 0) - (order < 0)) << a << " " << b;
		}
}

counts rank(const std::vector<ifd_row> &row, size_t r, bool below_one, size_t chosen)
{
	std::vector<const ifd_row *> order(row.size());
	counts out;

	EXPECT_EQ(chosen, ifd_rank(order.data(), row.data(), row.size(), r, below_one));
	for (const ifd_row *o : order)
		out.push_back(o - row.data());
	return out;
}

TEST(Ifd, HighestFirstTiesByIdNoValueLast)
{
	std::vector<ifd_row> row = {
		{{false, 0, "x"}, 0.5}, {{true, 3, nullptr}, nan_value}, {{true, 10, nullptr}, 0.5},
		{{true, 9, nullptr}, 0.5}, {{true, 2, nullptr}, nan_value}, {{true, 1, nullptr}, 1.5},
		{{true, 0, nullptr}, 0.25}, {{true, 4, nullptr}, INFINITY},
	};

	EXPECT_EQ(counts({5, 3, 2, 0, 6, 4, 1, 7}), rank(row, 3, false, 3));
	EXPECT_EQ(counts({5, 3, 2, 0, 6, 4, 1, 7}), rank(row, 99, false, 8));
	std::reverse(row.begin(), row.end());
	EXPECT_EQ(counts({2, 4, 5, 7, 1, 3, 6, 0}), rank(row, 0, false, 0));
}

TEST(Ifd, BelowOneLeavesOutOneAndMore)
{
	std::vector<ifd_row> row = {
		{{true, 1, nullptr}, 1.0}, {{true, 2, nullptr}, 0.99}, {{true, 3, nullptr}, 7.0},
		{{true, 4, nullptr}, nan_value}, {{true, 5, nullptr}, 0.995},
	};

	EXPECT_EQ(counts({4, 1, 3, 2, 0}), rank(row, 2, true, 2));
	EXPECT_EQ(counts({4, 1, 3, 2, 0}), rank(row, 5, true, 3));
	EXPECT_EQ(counts({2, 0, 4, 1, 3}), rank(row, 5, false, 5));
}

TEST(Ifd, SpearmanByHand)
{
	const double x[] = {1, 2, 3, 4, 5}, y[] = {20, 10, 40, 30, 50}, z[] = {5, 4, 3, 2, 1}, tie[] = {1, 1, 2, 2, 2};
	double bad[] = {1, nan_value}, rho = -7;

	ASSERT_EQ(0, ifd_spearman(&rho, x, y, 5)); // 1 - 6 * 4 / 120
	EXPECT_NEAR(0.8, rho, tolerance);
	ASSERT_EQ(0, ifd_spearman(&rho, x, z, 5));
	EXPECT_NEAR(-1, rho, tolerance);
	ASSERT_EQ(0, ifd_spearman(&rho, x, tie, 5)); // ranks 1.5 1.5 4 4 4: 7.5 / sqrt(10 * 7.5)
	EXPECT_NEAR(std::sqrt(0.75), rho, tolerance);
	EXPECT_EQ(-1, ifd_spearman(&rho, x, bad, 2));
	EXPECT_NEAR(std::sqrt(0.75), rho, tolerance) << "a refusal leaves the output alone";
	ASSERT_EQ(0, ifd_spearman(&rho, x, x, 1));
	EXPECT_TRUE(std::isnan(rho));
	ASSERT_EQ(0, ifd_spearman(&rho, x, tie, 2));
	EXPECT_TRUE(std::isnan(rho));
}

// ---------------------------------------------------------------- metrics

std::vector<double> numbers(std::ifstream &in)
{
	std::vector<double> out;
	std::string line, word;

	EXPECT_TRUE(std::getline(in, line)) << "golden file cut short";
	for (std::istringstream words(line); words >> word;)
		out.push_back(std::strtod(word.c_str(), nullptr));
	return out;
}

std::vector<int32_t> integers(std::ifstream &in)
{
	std::vector<int32_t> out;

	for (double v : numbers(in))
		out.push_back(static_cast<int32_t>(v));
	return out;
}

// Calls check(in, first line) for each record of a kind and expects `records` of them.
template <typename Check> void golden(const std::string &kind, int records, Check check)
{
	const char *srcdir = std::getenv("srcdir");
	std::ifstream in(std::string(srcdir ? srcdir : ".") + "/tests/golden/metrics.txt");
	std::string line;
	int found = 0;

	ASSERT_TRUE(in) << "tests/golden/metrics.txt (from the source folder, or set srcdir)";
	while (std::getline(in, line))
		if (line.substr(0, line.find_first_of(" \t")) == kind) {
			SCOPED_TRACE(line);
			check(in, line);
			found++;
		}
	EXPECT_EQ(records, found);
}

TEST(Metrics, F1EqualsScikitLearn)
{
	golden("f1", 5, [](std::ifstream &in, const std::string &line) {
		size_t C = static_cast<size_t>(std::stoi(line.substr(3)));
		std::vector<int32_t> gold = integers(in), predicted = integers(in);
		std::vector<metrics_class> count(C);
		std::vector<double> f1(C);

		metrics_count(count.data(), C, gold.data(), predicted.data(), nullptr, gold.size());
		std::vector<double> want = numbers(in);
		for (size_t c = 0; c < C; c++) {
			f1[c] = metrics_f1(&count[c]);
			expect_close(f1[c], want.at(c), "f1");
		}
		want = numbers(in);
		expect_close(metrics_macro(f1.data(), nullptr, METRICS_ALL, C), want.at(0), "macro");
		expect_close(metrics_micro_f1(count.data(), C), want.at(1), "micro");
	});
}

TEST(Metrics, InvalidAnswerIsFalseNegativeOnly)
{
	const int32_t gold[] = {0, 0, 1, -1, 7}, predicted[] = {-1, 2, 1, 1, 0};
	metrics_class count[2];

	metrics_count(count, 2, gold, predicted, nullptr, 5);
	EXPECT_EQ(0, count[0].tp);
	EXPECT_EQ(1, count[0].fp);
	EXPECT_EQ(2, count[0].fn);
	EXPECT_EQ(1, count[1].tp);
	EXPECT_EQ(1, count[1].fp);
	EXPECT_EQ(0, count[1].fn);
	EXPECT_DOUBLE_EQ(2.0 / 6, metrics_micro_f1(count, 2));
	EXPECT_TRUE(std::isnan(metrics_micro_f1(count, 0)));
}

TEST(Metrics, SampleRepeatsExamples)
{
	const int32_t gold[] = {0, 1, 1}, predicted[] = {0, 1, 0}, domain[] = {0, 1, 1};
	const size_t sample[] = {2, 2, 0};
	const double score[] = {1, 0.5, 0.25};
	metrics_class count[2];
	double mean[2];
	size_t examples[2];

	metrics_count(count, 2, gold, predicted, sample, 3);
	EXPECT_EQ(1, count[0].tp);
	EXPECT_EQ(2, count[0].fp);
	EXPECT_EQ(2, count[1].fn);
	EXPECT_EQ(0, count[1].tp);
	metrics_domain_means(mean, examples, 2, score, domain, sample, 3);
	EXPECT_EQ(1u, examples[0]);
	EXPECT_DOUBLE_EQ(1, mean[0]);
	EXPECT_DOUBLE_EQ(0.25, mean[1]);
	EXPECT_DOUBLE_EQ(0.5, metrics_mean(score, sample, 3));
	metrics_domain_means(mean, examples, 2, score, domain, sample, 2);
	EXPECT_TRUE(std::isnan(mean[0]));
}

TEST(Metrics, AccuracyOverDomainsAndExamples)
{
	golden("accuracy", 2, [](std::ifstream &in, const std::string &line) {
		size_t D = static_cast<size_t>(std::stoi(line.substr(9)));
		std::vector<int32_t> domain = integers(in);
		std::vector<double> correct = numbers(in), mean(D), want = numbers(in), both = numbers(in);

		std::vector<size_t> count(D);
		metrics_domain_means(mean.data(), count.data(), D, correct.data(), domain.data(), nullptr, correct.size());
		for (size_t d = 0; d < D; d++)
			expect_close(mean[d], want.at(d), "domain " + std::to_string(d));
		expect_close(metrics_macro(mean.data(), nullptr, METRICS_ALL, D), both.at(0), "macro");
		expect_close(metrics_mean(correct.data(), nullptr, correct.size()), both.at(1), "micro");
	});
}

TEST(Metrics, HeadAndTailMacro)
{
	const double score[] = {0.9, 0.7, 0.2, nan_value, 0.4};
	const bool head[] = {true, true, false, true, false}, none[] = {false, false, false, false, false};

	EXPECT_NEAR(0.55, metrics_macro(score, nullptr, METRICS_ALL, 5), tolerance);
	EXPECT_NEAR(0.8, metrics_macro(score, head, METRICS_HEAD, 5), tolerance);
	EXPECT_NEAR(0.3, metrics_macro(score, head, METRICS_TAIL, 5), tolerance);
	EXPECT_TRUE(std::isnan(metrics_macro(score, none, METRICS_HEAD, 5)));
	EXPECT_TRUE(std::isnan(metrics_macro(score, nullptr, METRICS_ALL, 0)));
	EXPECT_TRUE(std::isnan(metrics_mean(score, nullptr, 0)));
}

TEST(Metrics, SpearmanEqualsScipy)
{
	golden("spearman", 3, [](std::ifstream &in, const std::string &) {
		std::vector<double> x = numbers(in), y = numbers(in);
		double rho = 0;

		ASSERT_EQ(0, ifd_spearman(&rho, x.data(), y.data(), x.size()));
		expect_close(rho, numbers(in).at(0), "rho");
	});
}

std::string unescape(std::string text)
{
	for (size_t at; (at = text.find('\\')) != std::string::npos;)
		text.replace(at, 2, text[at + 1] == 'n' ? "\n" : "\t");
	return text;
}

TEST(Metrics, WordF1EqualsSquadRule)
{
	golden("words", 17, [](std::ifstream &, const std::string &line) {
		std::vector<std::string> part;
		std::string word;

		for (std::istringstream parts(line); std::getline(parts, word, '\t');)
			part.push_back(word);
		ASSERT_EQ(4u, part.size());
		double f1 = -1, swapped = -1, want = std::strtod(part[3].c_str(), nullptr);
		ASSERT_EQ(0, metrics_word_f1(&f1, unescape(part[1]).c_str(), unescape(part[2]).c_str()));
		ASSERT_EQ(0, metrics_word_f1(&swapped, unescape(part[2]).c_str(), unescape(part[1]).c_str()));
		expect_close(f1, want, "f1");
		expect_close(swapped, want, "gold and answer swapped");
	});
}

// ---------------------------------------------------------------- bootstrap

uint64_t draw_random(void *state, uint64_t below)
{
	return (*static_cast<std::mt19937_64 *>(state))() % below;
}

struct script {
	uint64_t calls, below;
};

uint64_t draw_in_turn(void *state, uint64_t below)
{
	script *s = static_cast<script *>(state);

	s->below = below;
	return s->calls++ % below;
}

double mean_of(void *context, const size_t *sample, size_t n)
{
	return metrics_mean(static_cast<const std::vector<double> *>(context)->data(), sample, n);
}

// Replicate b gives (617 b) mod 1000: for R <= 1000 all different, in no order.
double scrambled(void *context, const size_t *, size_t)
{
	int *b = static_cast<int *>(context);

	return 617 * (*b)++ % 1000;
}

TEST(Bootstrap, EndsAreNearestRanks)
{
	static const size_t sizes[] = {1, 39, 40, 41, 100, 999, 1000};

	for (size_t R : sizes) {
		metrics_interval i = {-1, -1};
		double mean = 0;
		std::vector<double> sorted;
		script s = {0, 0};
		int b = 0, again = 0;

		for (size_t j = 0; j < R; j++)
			sorted.push_back(scrambled(&again, nullptr, 0));
		std::sort(sorted.begin(), sorted.end());
		ASSERT_EQ(0, metrics_bootstrap(&i, &mean, scrambled, &b, 3, R, draw_in_turn, &s));
		double low = std::floor(25 * static_cast<double>(R) / 1000);
		double high = std::ceil(975 * static_cast<double>(R) / 1000) - 1;
		EXPECT_EQ(sorted[static_cast<size_t>(low)], i.low) << R;
		EXPECT_EQ(sorted[static_cast<size_t>(high)], i.high) << R;
		EXPECT_EQ(3 * R, s.calls) << "draws";
		EXPECT_EQ(3u, s.below);
	}
}

double check_sample(void *context, const size_t *sample, size_t n)
{
	uint64_t *next = static_cast<uint64_t *>(context);

	for (size_t j = 0; j < n; j++)
		EXPECT_EQ((*next)++ % n, sample[j]);
	return *next % 2 ? nan_value : static_cast<double>(*next);
}

TEST(Bootstrap, SamplesAreTheDrawsAndNanDoesNotCount)
{
	metrics_interval i;
	double mean = 0;
	script s = {0, 0};
	uint64_t next = 0;

	ASSERT_EQ(0, metrics_bootstrap(&i, &mean, check_sample, &next, 5, 10, draw_in_turn, &s));
	EXPECT_EQ(50u, next);
	EXPECT_EQ(10, i.low); // 10, 20, ... 50 of 5, 10, ... 50
	EXPECT_EQ(50, i.high);
	EXPECT_EQ(30, mean);
}

double no_value(void *, const size_t *, size_t)
{
	return nan_value;
}

TEST(Bootstrap, NothingToDrawFromIsRefused)
{
	std::vector<double> x(3, 1);
	metrics_interval i = {-1, -2};
	double mean = 0;
	script s = {0, 0};

	EXPECT_EQ(-1, metrics_bootstrap(&i, &mean, mean_of, &x, 0, 10, draw_in_turn, &s));
	EXPECT_EQ(-1, metrics_bootstrap(&i, &mean, mean_of, &x, 3, 0, draw_in_turn, &s));
	EXPECT_EQ(-1, i.low);
	ASSERT_EQ(0, metrics_bootstrap(&i, &mean, no_value, &x, 3, 10, draw_in_turn, &s));
	EXPECT_TRUE(std::isnan(i.low) && std::isnan(i.high) && std::isnan(mean));
}

// The mean of n values: mean +- 1.96 sd / sqrt(n); 2,000 replicates place an end within a tenth of the half width.
TEST(Bootstrap, IntervalOfAMeanIsThatOfTheory)
{
	std::vector<double> x(400);
	metrics_interval i;
	double mean = 0;
	std::mt19937_64 rng(5);

	for (size_t j = 0; j < x.size(); j++)
		x[j] = j % 4 == 0; // mean 0.25, sd sqrt(0.1875)
	double half = 1.96 * std::sqrt(0.1875 / 400);
	ASSERT_EQ(0, metrics_bootstrap(&i, &mean, mean_of, &x, x.size(), 2000, draw_random, &rng));
	EXPECT_NEAR(0.25 - half, i.low, half / 10);
	EXPECT_NEAR(0.25 + half, i.high, half / 10);
}

TEST(Bootstrap, PairedMethodsShareEachSample)
{
	std::vector<double> a, b;
	metrics_interval i;
	double mean = 0;
	std::mt19937_64 rng(6);

	for (int j = 0; j < 64; j++) {
		b.push_back(0.25 * (j % 3));
		a.push_back(b.back() + 0.5);
	}
	ASSERT_EQ(0, metrics_bootstrap_paired(&i, &mean, mean_of, &a, &b, 64, 200, draw_random, &rng));
	EXPECT_EQ(0.5, i.low); // sums of quarters over 64: exact
	EXPECT_EQ(0.5, i.high);
	ASSERT_EQ(0, metrics_bootstrap_paired(&i, &mean, mean_of, &b, &a, 64, 200, draw_random, &rng));
	EXPECT_EQ(-0.5, i.low);
}

} // namespace
