// SPDX-License-Identifier: Apache-2.0
/*
 * kernel_problem.h - one problem, made once on the host, solved by the
 * reference and by every backend that is linked in.
 *
 *     Problem p(OP_rmsnorm, "R %d C %d", R, C);
 *     p.length = C;
 *     Array x = p.normal(R, C, As::RESID), w = p.normal(1, C, As::F32);
 *     expect_equal(p, [&](Runner &run) {
 *             struct view y = run.out("y", R, C, As::ACT);
 *             run.reserve(OP_rmsnorm, sized({{&shape::rows, R}, {&shape::hidden, C}}));
 *             run.k->rmsnorm(run.dev, y, run.in(x), run.in(w), 1e-5f);
 *     });
 *
 * The body runs several times: on the reference; on the reference with the
 * inputs moved a little (kernel_check.h); and twice on each backend, whose two
 * answers must be the same bytes. Only alloc, upload and download touch device
 * memory. Every array lies between guard elements (in a strided problem also
 * with a gap after each row), which nobody may change; outputs start as NaN;
 * inputs must come back as they were; the scratch is exactly as large as
 * scratch_bytes said; no operation may allocate or keep scratch.
 */
#ifndef BALDISTILL_TESTS_KERNEL_PROBLEM_H
#define BALDISTILL_TESTS_KERNEL_PROBLEM_H

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "reference/kernel.h"
#include "tests/kernel_check.h"

/* How an array is stored. RESID, ACT and CACHE: as the backend under test wants x, q, k, v, o, and a cache's k and v. */
enum class As { F32, BF16, F16, I32, U64, RESID, ACT, CACHE };

/* Host values, row by row; `f` of floating types, `n` of integers. No values: absent. */
struct Array {
	int64_t rows = 0, cols = 0;
	As as = As::F32;
	std::vector<float> f;
	std::vector<uint16_t> bits; /* of As::BF16 and As::F16 */
	std::vector<uint64_t> n;
	unsigned id = 0;
	bool present = false;
};

/* Seeded numbers: SplitMix64 (Steele, Lea, Flood 2014). */
class Random
{
      public:
	explicit Random(uint64_t seed) : state(seed)
	{
	}
	uint64_t bits();
	int64_t below(int64_t n)
	{
		return (int64_t)(bits() % (uint64_t)n);
	}
	double uniform()
	{
		return (double)(bits() >> 11) * 0x1p-53;
	}
	float normal(); /* mean 0, variance 1, |x| < 3.5 */
      private:
	uint64_t state;
};

class Problem
{
      public:
	Problem(enum op op, const char *format, ...) __attribute__((format(printf, 3, 4)));

	Array normal(int64_t rows, int64_t cols, As as, double scale = 1, double mean = 0);
	Array floats(int64_t rows, int64_t cols, As as, std::vector<float> values);
	Array i32(const std::vector<int32_t> &values);
	Array u64(const std::vector<uint64_t> &values);
	/* n ids below `limit`; distinct ones. */
	Array ids(int64_t n, int64_t limit);
	Array distinct(int64_t n, int64_t limit);

	enum op op;
	std::string shape;
	std::string dtype = "f32"; /* the column of the table */
	double length = 1;         /* the longest sum */
	double steps = 0;          /* if more than the table's */
	double condition = 0;      /* S where it is known and, for choices between near equals, cannot be measured */
	bool strided = false;
	Random random;

      private:
	unsigned arrays = 0;
};

struct Lane {
	const char *name;
	struct device *dev;
	bool once = false;                 /* the same code is run twice by another lane */
	enum dtype arithmetic = DTYPE_F32; /* of products and activations */
};
Lane reference_lane();
std::vector<Lane> &fast_lanes(); /* every backend linked in and usable here, once per level of vector code */
void close_lanes();              /* at the end of the program */

/* Another device of the same backend, for tests that spoil theirs. */
Lane open_again(const Lane &lane);
Lane open_invariant(const Lane &lane); /* with batch_invariant */
void close_again(const Lane &lane);

/* Storage of one array on a device. */
struct Region {
	struct view view;
	enum dtype dtype;
	int64_t total;              /* elements, guards included */
	std::vector<uint8_t> image; /* as uploaded */
	std::string name;           /* of an output; "" */
	bool written, scrap;
	std::vector<char> used;
};

/* wide: floating arrays are stored in f32 whatever the problem says, their elements times 1 +- step, signs by seed. */
struct Storage {
	bool wide = false;
	double step = 0;
	unsigned seed = 0;
};

struct LoraArrays {
	Array a, b, da, db;
	float scale = 1, p = 0;
	uint32_t module = MODULE_Q;
};

struct DropoutArrays {
	Array state, row_key;
	uint32_t layer = 0;
};

class Runner
{
      public:
	Runner(const Problem &problem, const Lane &on, const Lane &types, Storage storage);
	~Runner();
	Runner(const Runner &) = delete;
	Runner &operator=(const Runner &) = delete;

	struct view in(const Array &a);
	struct view scrap(const Array &a);                          /* input that may be overwritten */
	struct view inout(const std::string &name, const Array &a); /* absent where a is */
	struct view out(const std::string &name, int64_t rows, int64_t cols, As as, std::vector<char> used = {});
	struct view saved(enum op op, const struct shape &shape);

	/* Exactly scratch_bytes(op) of scratch from here on. */
	void reserve(enum op op, const struct shape &shape);

	/* A prepared group of host matrices; released with the run. */
	struct weight *weight(const std::vector<const Array *> &matrices, unsigned uses);
	const struct lora *lora(const std::string &name, const LoraArrays &l, bool gradients = false);
	const struct dropout *dropout(const DropoutArrays &d);

	/* A copy that lives as long as the run. */
	template <typename T> T *keep(T value)
	{
		auto held = std::make_shared<T>(std::move(value));
		kept.push_back(held);
		return held.get();
	}

	/* Outputs after the body; "" or what was broken (failure, guard, input, scratch). */
	std::string finish(std::vector<Output> *outputs);

	struct device *dev;
	const struct kernels *k;

      private:
	enum dtype stated(As as) const;  /* what the problem says */
	enum dtype resolve(As as) const; /* what this run stores */
	Region make(int64_t rows, int64_t cols, enum dtype dtype);
	void fill(Region *region, const Array &a);
	void fill_floats(Region *region, const Array &a);
	struct view place(Region region);
	std::string check(const Region &region, const std::vector<uint8_t> &now) const;

	const Problem &problem;
	Lane types;
	Storage storage;
	size_t scratch, allocated;
	Random layout;
	std::vector<Region> regions;
	std::vector<struct buffer *> buffers;
	std::vector<std::shared_ptr<void>> kept;
	std::vector<struct weight *> weights;
};

using Body = std::function<void(Runner &)>;

/* Differences of one backend from the reference, in words; not entered into the table. */
std::vector<std::string> differences(const Problem &problem, const Body &body, const Lane &lane);

/* All linked backends; each difference is a failure of the test. Without any, the reference alone must succeed. */
void expect_equal(const Problem &problem, const Body &body);

/* One problem on one device, without comparison. */
std::vector<Output> solve(const Problem &problem, const Body &body, const Lane &lane);

/* Rounding to nearest even by search in the list of all values: what `copy` is checked with. */
uint16_t nearest_bits(float value, enum dtype dtype);
float value_of_bits(uint16_t bits, enum dtype dtype);

/* A shape from its members: sized({{&shape::rows, R}, {&shape::hidden, C}}). */
inline struct shape sized(std::initializer_list<std::pair<int64_t shape::*, int64_t>> members)
{
	struct shape shape = {};
	for (const auto &[member, value] : members)
		shape.*member = value;
	return shape;
}

/* Row keys of tokens, dropout seed and step. */
DropoutArrays dropout_arrays(Problem &p, int64_t rows, uint32_t layer);

/* The whole file's dtypes for weights: {F32, BF16, F16} and their names. */
struct Named {
	As as;
	const char *name;
};
inline constexpr Named weight_types[] = {{As::F32, "f32"}, {As::BF16, "bf16"}, {As::F16, "f16"}};

#endif
