// SPDX-License-Identifier: Apache-2.0
#include "tests/kernel_problem.h"

#include <algorithm>
#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <map>
#include <tuple>

#include <gtest/gtest.h>

#include "tests/linked_device.h"
#ifdef CUDA_ON_HOST
#include "tests/cuda_host.h"
#endif
#if HAVE_OPENBLAS
extern "C" {
#include "backends/cpu/cpu.h"
}
#endif
#if HAVE_ONEDNN
extern "C" {
#include "backends/cpu/vec_attention.h"
#include "backends/onednn/onednn.h"
extern const struct vec_attention vec_attention_amx; /* in the host's test, with tests/amx_host */
extern const struct pieces pieces_amx;
}
#endif
#include "reference/philox.h"

/* ---- backends ------------------------------------------------------------ */

Lane reference_lane()
{
	static struct device *dev = device_reference_new();
	return {"reference", dev, false};
}

#if HAVE_ONEDNN
struct Tiles {
	const struct vec_attention *attention;
	const struct pieces *pieces;
};

static Tiles amx_tiles()
{
#ifdef ONEDNN_ON_HOST
	return {&vec_attention_amx, &pieces_amx};
#else
	return {vec_attention_bf16(), pieces_bf16()};
#endif
}

/* Over AMX's tiles, or as on a CPU that has none. */
static void choose_tiles(struct device *dev, bool amx)
{
	struct onednn_device *own = reinterpret_cast<struct onednn_device *>(dev);

	const Tiles tiles = amx ? amx_tiles() : Tiles{};

	own->cpu.attention = tiles.attention;
	own->pieces = tiles.pieces;
	dev->cache_dtype = amx ? DTYPE_BF16 : DTYPE_F32;
}
#endif

/*
 * A backend, once for each kind of code it has: arithmetic, a vector level (-1: its own choice) that replaces it, and
 * bf16 over AMX's tiles beside the library's.
 */
struct Kind {
	const char *name;
	const struct backend *backend;
	enum dtype dtype;
	int level;
	bool amx = false;
};

static std::vector<Kind> kinds()
{
	std::vector<Kind> list;
#if HAVE_ONEDNN
	list.push_back({"onednn", &onednn_backend, DTYPE_F32, -1});
	list.push_back({"onednn-bf16", &onednn_backend, DTYPE_BF16, -1});
	if (amx_tiles().pieces)
		list.push_back({"onednn-amx", &onednn_backend, DTYPE_BF16, -1, true});
#endif
#if HAVE_CUDA
	list.push_back({"cuda", &cuda_backend, DTYPE_F32, -1});
	list.push_back({"cuda-bf16", &cuda_backend, DTYPE_BF16, -1});
#endif
#if HAVE_OPENBLAS
	list.push_back({"openblas", &openblas_backend, DTYPE_F32, -1});
	static const char *const names[] = {"openblas-base", "openblas-avx2", "openblas-avx512"};
	for (int level = VEC_LEVEL_BASE; level < VEC_LEVEL_COUNT; level++)
		if (vec_usable((enum vec_level)level) && vec_at((enum vec_level)level) != vec_choose())
			list.push_back({names[level], &openblas_backend, DTYPE_F32, level});
#endif
	return list;
}

static struct device *open_kind(const Kind &kind, bool invariant = false)
{
	struct device_options options = {0, invariant, kind.dtype};
	struct err err = {};
	struct device *dev = kind.backend->open(&options, &err);
	if (!dev)
		fprintf(stderr, "%s is not usable here: %s\n", kind.name, err.message);
#if HAVE_ONEDNN
	if (dev && kind.backend == &onednn_backend && kind.dtype == DTYPE_BF16)
		choose_tiles(dev, kind.amx);
#endif
#if HAVE_OPENBLAS
	if (dev && kind.level >= 0)
		reinterpret_cast<struct cpu_device *>(dev)->vec = vec_at((enum vec_level)kind.level);
#endif
	return dev;
}

Lane open_again(const Lane &lane)
{
	for (const Kind &kind : kinds())
		if (strcmp(kind.name, lane.name) == 0)
			return {lane.name, open_kind(kind), lane.once, lane.arithmetic};
	return {lane.name, device_reference_new(), lane.once};
}

Lane open_invariant(const Lane &lane)
{
	for (const Kind &kind : kinds())
		if (strcmp(kind.name, lane.name) == 0)
			return {lane.name, open_kind(kind, true), lane.once, lane.arithmetic};
	return {lane.name, device_reference_new(), lane.once};
}

void close_again(const Lane &lane)
{
	for (const Kind &kind : kinds())
		if (strcmp(kind.name, lane.name) == 0)
			return kind.backend->close(lane.dev);
	device_reference_free(lane.dev);
}

std::vector<Lane> &fast_lanes()
{
	static std::vector<Lane> lanes;
	static bool open;
	const char *only = getenv("KERNEL_LANE");
	for (const Kind &kind : open ? std::vector<Kind>() : kinds())
		if (!only || !strcmp(only, kind.name))
			if (struct device *dev = open_kind(kind))
				lanes.push_back({kind.name, dev, kind.level >= 0, kind.dtype});
	open = true;
	return lanes;
}

void close_lanes()
{
	for (const Lane &lane : fast_lanes())
		close_again(lane);
	fast_lanes().clear();
	close_again(reference_lane());
}

/* ---- numbers ------------------------------------------------------------- */

uint64_t Random::bits()
{
	uint64_t z = state += 0x9E3779B97F4A7C15u;
	z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
	z = (z ^ z >> 27) * 0x94D049BB133111EBu;
	return z ^ z >> 31;
}

/* Four 16-bit uniforms: their sum has mean 2 and variance 1 / 3. */
float Random::normal()
{
	uint64_t word = bits();
	double sum = 0;
	for (int i = 0; i < 4; i++, word >>= 16)
		sum += ((double)(word & 0xffff) + 0.5) / 65536;
	return (float)((sum - 2) * 1.7320508075688772);
}

float value_of_bits(uint16_t bits, enum dtype dtype)
{
	if (dtype == DTYPE_BF16) {
		uint32_t word = (uint32_t)bits << 16;
		float value;
		memcpy(&value, &word, sizeof value);
		return value;
	}
	int exponent = bits >> 10 & 31, fraction = bits & 1023;
	float sign = bits & 0x8000 ? -1.0f : 1.0f;
	if (exponent == 31)
		return fraction ? NAN : sign * INFINITY;
	return sign *
	       (exponent ? std::ldexp(1024.0f + (float)fraction, exponent - 25) : std::ldexp((float)fraction, -24));
}

/* All values >= 0 in order of their bits; where infinity stands, the number that would come next. */
static const std::vector<double> &values_of(enum dtype dtype)
{
	static std::vector<double> values[2];
	std::vector<double> &list = values[dtype == DTYPE_F16];
	if (list.empty()) {
		for (uint32_t bits = 0; bits < (dtype == DTYPE_BF16 ? 0x7f80 : 0x7c00); bits++)
			list.push_back(value_of_bits((uint16_t)bits, dtype));
		list.push_back(2 * list.back() - list[list.size() - 2]);
	}
	return list;
}

uint16_t nearest_bits(float value, enum dtype dtype)
{
	const std::vector<double> &values = values_of(dtype);
	const size_t infinity = values.size() - 1;
	const double a = std::fabs((double)value);
	if (std::isnan(value))
		return (uint16_t)(infinity + 1);
	size_t low = 0, high = infinity;
	if (dtype == DTYPE_BF16 && a < values[infinity]) { /* the bits of an f32 begin with those of the value below */
		uint32_t word;
		memcpy(&word, &value, sizeof word);
		low = word >> 16 & 0x7fff;
		high = low + 1;
	}
	while (high - low > 1) {
		size_t middle = (low + high) / 2;
		(values[middle] <= a ? low : high) = middle;
	}
	double below = a - values[low], above = values[high] - a;
	bool up = above < below || (above == below && high % 2 == 0);
	return (uint16_t)((std::signbit(value) ? 0x8000 : 0) | (up ? high : low));
}

/* ---- problems ------------------------------------------------------------ */

/* TEST_LONG, where it is set, gives every problem other numbers. */
static uint64_t seed_of(enum op op, const std::string &shape)
{
	const char *longer = getenv("TEST_LONG");
	uint64_t hash = 0xcbf29ce484222325u + (uint64_t)op + 1000003u * (longer ? strtoull(longer, nullptr, 10) : 0);
	for (char c : shape)
		hash = (hash ^ (unsigned char)c) * 0x100000001b3u;
	return hash;
}

Problem::Problem(enum op op, const char *format, ...) : op(op), random(0)
{
	char text[256];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	shape = text;
	random = Random(seed_of(op, shape));
}

/* To values that the dtype holds, and their bits. */
static void round_to(Array *a, enum dtype dtype)
{
	a->bits.resize(a->f.size());
	for (size_t i = 0; i < a->f.size(); i++) {
		a->bits[i] = nearest_bits(a->f[i], dtype);
		a->f[i] = value_of_bits(a->bits[i], dtype);
	}
}

Array Problem::normal(int64_t rows, int64_t cols, As as, double scale, double mean)
{
	std::vector<float> values((size_t)(rows * cols));
	for (float &value : values)
		value = (float)(random.normal() * scale + mean);
	return floats(rows, cols, as, std::move(values));
}

Array Problem::floats(int64_t rows, int64_t cols, As as, std::vector<float> values)
{
	Array a;
	a.rows = rows, a.cols = cols, a.as = as, a.f = std::move(values), a.id = ++arrays, a.present = true;
	if (as == As::BF16 || as == As::F16)
		round_to(&a, as == As::BF16 ? DTYPE_BF16 : DTYPE_F16);
	return a;
}

Array Problem::i32(const std::vector<int32_t> &values)
{
	Array a;
	a.rows = 1, a.cols = (int64_t)values.size(), a.as = As::I32, a.id = ++arrays, a.present = true;
	for (int32_t value : values)
		a.n.push_back((uint32_t)value);
	return a;
}

Array Problem::u64(const std::vector<uint64_t> &values)
{
	Array a;
	a.rows = 1, a.cols = (int64_t)values.size(), a.as = As::U64, a.id = ++arrays, a.present = true, a.n = values;
	return a;
}

Array Problem::ids(int64_t n, int64_t limit)
{
	std::vector<int32_t> values((size_t)n);
	for (int32_t &value : values)
		value = (int32_t)random.below(limit);
	return i32(values);
}

Array Problem::distinct(int64_t n, int64_t limit)
{
	std::vector<int32_t> values((size_t)limit);
	for (int64_t i = 0; i < limit; i++)
		values[(size_t)i] = (int32_t)i;
	for (int64_t i = 0; i < n; i++)
		std::swap(values[(size_t)i], values[(size_t)(i + random.below(limit - i))]);
	values.resize((size_t)n);
	return i32(values);
}

DropoutArrays dropout_arrays(Problem &p, int64_t rows, uint32_t layer)
{
	std::vector<uint64_t> keys;
	for (int64_t i = 0; i < rows; i++)
		keys.push_back(i % 5 == 4 ? (uint64_t)i : row_key((uint32_t)(i / 7), (uint32_t)i));
	return {p.u64({0x123456789abcdefu + (uint64_t)rows, 41}), p.u64(keys), layer};
}

/* ---- one run ------------------------------------------------------------- */

enum { GUARD = 67 }; /* elements after the last; not a multiple of any vector */

static size_t round_up(size_t bytes)
{
	return (bytes + 63) / 64 * 64;
}

Runner::Runner(const Problem &problem, const Lane &on, const Lane &types, Storage storage)
    : dev(on.dev), k(on.dev->k), problem(problem), types(types), storage(storage), scratch(dev->scratch.bytes),
      allocated(0), layout(seed_of(problem.op, problem.shape) + 1)
{
	dev->scratch.bytes = 0;
}

Runner::~Runner()
{
	for (struct weight *w : weights)
		k->release(dev, w);
	for (struct buffer *buffer : buffers)
		k->free(dev, buffer);
	dev->scratch.bytes = scratch;
}

enum dtype Runner::stated(As as) const
{
	switch (as) {
	case As::I32:
		return DTYPE_I32;
	case As::U64:
		return DTYPE_U64;
	case As::BF16:
		return DTYPE_BF16;
	case As::F16:
		return DTYPE_F16;
	case As::RESID:
		return types.dev->resid_dtype;
	case As::ACT:
		return types.dev->act_dtype;
	case As::CACHE:
		return types.dev->cache_dtype;
	default:
		return DTYPE_F32;
	}
}

enum dtype Runner::resolve(As as) const
{
	enum dtype dtype = stated(as);
	return storage.wide && dtype <= DTYPE_F16 ? DTYPE_F32 : dtype;
}

/* Guards and gaps hold ones: a NaN that no arithmetic would leave unnoticed. */
Region Runner::make(int64_t rows, int64_t cols, enum dtype dtype)
{
	Region region = {};
	int64_t offset = problem.strided ? 1 + layout.below(9) : 0;
	int64_t ld = cols + (problem.strided ? 1 + layout.below(5) : 0);
	region.total = offset + rows * ld + GUARD;
	region.dtype = dtype;
	region.image.assign((size_t)region.total * dtype_size(dtype), 0xff);
	region.view = view_of(nullptr, rows, cols, dtype);
	region.view.offset = offset;
	region.view.ld = ld;
	return region;
}

/* First rounded as the problem says, then, in a wide run, moved: all runs are at or beside the same point. */
void Runner::fill_floats(Region *region, const Array &a)
{
	const struct view &v = region->view;
	const enum dtype dtype = stated(a.as);
	const bool whole = dtype == DTYPE_F32, rounded = !a.bits.empty();
	const size_t size = region->dtype == DTYPE_F32 ? sizeof(float) : sizeof(uint16_t);
	Random signs(storage.seed + a.id * 977u);
	for (int64_t i = 0; i < a.rows; i++) {
		uint8_t *to = &region->image[(size_t)(v.offset + i * v.ld) * size];
		for (size_t from = (size_t)(i * a.cols), end = from + (size_t)a.cols; from < end; from++, to += size) {
			uint16_t bits = whole ? 0 : rounded ? a.bits[from] : nearest_bits(a.f[from], dtype);
			float value = whole || rounded ? a.f[from] : value_of_bits(bits, dtype);
			if (storage.step != 0)
				value *= (float)(signs.bits() & 1 ? 1 + storage.step : 1 - storage.step);
			memcpy(to, size == sizeof value ? (void *)&value : &bits, size);
		}
	}
}

void Runner::fill(Region *region, const Array &a)
{
	const struct view &v = region->view;
	size_t size = dtype_size(region->dtype);
	if (region->dtype <= DTYPE_F16)
		return fill_floats(region, a);
	for (int64_t at = 0; at < a.rows * a.cols; at++)
		memcpy(&region->image[(size_t)(v.offset + at / a.cols * v.ld + at % a.cols) * size], &a.n[(size_t)at],
		       size);
}

struct view Runner::place(Region region)
{
	struct buffer *buffer = k->alloc(dev, region.image.size());
	if (!buffer)
		return view_none();
	buffers.push_back(buffer);
	region.view.buffer = buffer;
	k->upload(dev, view_of(buffer, 1, region.total, region.dtype), region.image.data());
	allocated = dev->allocated;
	regions.push_back(region);
	return region.view;
}

struct view Runner::in(const Array &a)
{
	if (!a.present)
		return view_none();
	Region region = make(a.rows, a.cols, resolve(a.as));
	fill(&region, a);
	return place(std::move(region));
}

struct view Runner::scrap(const Array &a)
{
	struct view v = in(a);
	regions.back().scrap = true;
	return v;
}

struct view Runner::inout(const std::string &name, const Array &a)
{
	if (!a.present)
		return view_none();
	Region region = make(a.rows, a.cols, resolve(a.as));
	fill(&region, a);
	region.name = name;
	region.written = true;
	return place(std::move(region));
}

struct view Runner::out(const std::string &name, int64_t rows, int64_t cols, As as, std::vector<char> used)
{
	Region region = make(rows, cols, resolve(as));
	region.name = name;
	region.written = true;
	region.used = std::move(used);
	return place(std::move(region));
}

struct view Runner::saved(enum op op, const struct shape &shape)
{
	size_t bytes = round_up(k->saved_bytes(dev, op, &shape));
	Region region = {};
	region.total = (int64_t)bytes + GUARD;
	region.dtype = DTYPE_U8;
	region.image.assign((size_t)region.total, 0xff);
	region.view = view_of(nullptr, 1, (int64_t)k->saved_bytes(dev, op, &shape), DTYPE_U8);
	region.view.ld = region.view.cols;
	region.scrap = true;
	return place(std::move(region));
}

void Runner::reserve(enum op op, const struct shape &shape)
{
	size_t need = round_up(k->scratch_bytes(dev, op, &shape));
	dev->scratch.bytes = scratch;
	k->reserve(dev, need);
	scratch = dev->scratch.bytes;
	dev->scratch.bytes = std::min(scratch, need);
	allocated = dev->allocated;
}

struct weight *Runner::weight(const std::vector<const Array *> &matrices, unsigned uses)
{
	struct weight *w = keep((struct weight){});
	struct view host[3];
	enum dtype dtype = resolve(matrices[0]->as);
	for (size_t i = 0; i < matrices.size(); i++) {
		Region region = make(matrices[i]->rows, matrices[i]->cols, dtype);
		fill(&region, *matrices[i]);
		struct buffer *buffer = keep((struct buffer){});
		auto *image = keep(std::move(region.image));
		*buffer = {image->data(), image->size()};
		host[i] = region.view;
		host[i].buffer = buffer;
	}
	if (k->prepare(dev, w, (int)matrices.size(), host, dtype, uses) == 0)
		weights.push_back(w);
	allocated = dev->allocated;
	return w;
}

const struct lora *Runner::lora(const std::string &name, const LoraArrays &l, bool gradients)
{
	if (!l.a.present)
		return nullptr;
	struct lora *lora = keep((struct lora){});
	lora->a = in(l.a);
	lora->b = in(l.b);
	lora->da = gradients ? inout(name + ".da", l.da) : view_none();
	lora->db = gradients ? inout(name + ".db", l.db) : view_none();
	lora->scale = l.scale;
	lora->p = l.p;
	lora->module = l.module;
	return lora;
}

const struct dropout *Runner::dropout(const DropoutArrays &d)
{
	if (!d.state.present)
		return nullptr;
	struct dropout *dropout = keep((struct dropout){});
	dropout->state = in(d.state);
	dropout->row_key = in(d.row_key);
	dropout->layer = d.layer;
	return dropout;
}

/* Guards and gaps as they were; inputs too. */
std::string Runner::check(const Region &region, const std::vector<uint8_t> &now) const
{
	const struct view &v = region.view;
	size_t size = dtype_size(region.dtype);
	bool open = region.written || region.scrap;
	for (int64_t at = 0; at < region.total; at++) {
		int64_t inside = at - v.offset;
		bool element = inside >= 0 && inside < v.rows * v.ld && inside % v.ld < v.cols;
		if ((!open || !element) && memcmp(&now[(size_t)at * size], &region.image[(size_t)at * size], size))
			return std::string(element ? "input" : "guard of ") + region.name + " changed at element " +
			       std::to_string(inside);
	}
	return "";
}

static Output output_of(const Region &region, const std::vector<uint8_t> &now)
{
	const struct view &v = region.view;
	Output output = {region.name, region.dtype, v.rows, v.cols, region.used, {}, {}};
	size_t size = dtype_size(region.dtype);
	for (int64_t i = 0; i < v.rows; i++) {
		const uint8_t *row = &now[(size_t)(v.offset + i * v.ld) * size];
		output.bytes.insert(output.bytes.end(), row, row + (size_t)v.cols * size);
	}
	output.value.resize((size_t)(v.rows * v.cols));
	for (size_t at = 0; at < output.value.size(); at++) {
		const uint8_t *p = &output.bytes[at * size];
		uint16_t half;
		float single;
		int32_t whole;
		memcpy(&half, p, 2);
		memcpy(&single, p, size == 4 ? 4 : 0);
		memcpy(&whole, p, size == 4 ? 4 : 0);
		output.value[at] = region.dtype == DTYPE_F32   ? single
				   : region.dtype == DTYPE_I32 ? whole
							       : value_of_bits(half, region.dtype);
	}
	return output;
}

std::string Runner::finish(std::vector<Output> *outputs)
{
	const char *failure = device_sync(dev);
	std::string broken = failure ? std::string("failed: ") + failure : "";
	if (failure)
		dev->failure[0] = 0;
	else if (dev->allocated != allocated)
		broken = "memory was allocated by the operation";
	else if (dev->scratch_used)
		broken = "scratch was kept by the operation";
	dev->scratch_used = 0;
	for (const Region &region : regions) {
		std::vector<uint8_t> now(region.image.size());
		k->download(dev, now.data(), view_of(region.view.buffer, 1, region.total, region.dtype));
		if (broken.empty())
			broken = check(region, now);
		if (region.written)
			outputs->push_back(output_of(region, now));
	}
	return broken;
}

/* ---- comparing ------------------------------------------------------------ */

static const double STEP = 0x1p-12;

/* What the reference says: as stored; and in f32, at the problem and some steps beside it. */
struct Truth {
	std::vector<Output> want, here;
	std::vector<std::vector<Output>> there;
	std::string broken;
};

static std::string title(const Problem &problem, const Lane &lane)
{
	return std::string(op_name(problem.op)) + " on " + lane.name + ", " + problem.dtype + ", " + problem.shape +
	       ": ";
}

static std::string execute(const Problem &problem, const Body &body, const Lane &on, const Lane &types, Storage storage,
			   std::vector<Output> *outputs)
{
	Runner run(problem, on, types, storage);
	body(run);
	std::string broken = run.finish(outputs);
	return broken.empty() ? "" : title(problem, on) + broken;
}

std::vector<Output> solve(const Problem &problem, const Body &body, const Lane &lane)
{
	std::vector<Output> outputs;
	EXPECT_EQ(execute(problem, body, lane, lane, {}, &outputs), "");
	return outputs;
}

static std::string not_finite(const Problem &problem, const std::vector<Output> &outputs)
{
	for (const Output &output : outputs)
		for (size_t at = 0; at < output.value.size(); at++)
			if (!std::isfinite(output.value[at]) &&
			    (output.used.empty() || output.used[at / (size_t)output.cols]))
				return title(problem, reference_lane()) + output.name + " is not finite at element " +
				       std::to_string(at);
	return "";
}

static bool all_f32(const std::vector<Output> &outputs, const Lane &types)
{
	bool wide = types.dev->resid_dtype == DTYPE_F32 && types.dev->act_dtype == DTYPE_F32 &&
		    types.dev->cache_dtype == DTYPE_F32;
	for (const Output &output : outputs)
		wide = wide && output.dtype != DTYPE_BF16 && output.dtype != DTYPE_F16;
	return wide;
}

/* Few elements say little about a mean: then the signs are drawn several times. */
static unsigned steps_of(const std::vector<Output> &outputs)
{
	int64_t elements = 0;
	for (const Output &output : outputs)
		elements += output.rows * output.cols;
	return elements < 4096 ? 4 : 1;
}

static Truth truth_of(const Problem &problem, const Body &body, const Lane &types)
{
	Truth truth;
	Lane reference = reference_lane();
	truth.broken = execute(problem, body, reference, types, {}, &truth.want);
	if (!truth.broken.empty() || !has_arithmetic(problem.op))
		return truth;
	truth.broken = not_finite(problem, truth.want);
	if (problem.condition > 0)
		return truth;
	truth.here = truth.want;
	if (truth.broken.empty() && !all_f32(truth.want, types)) {
		truth.here.clear();
		truth.broken = execute(problem, body, reference, types, {true}, &truth.here);
	}
	for (unsigned seed = 0; truth.broken.empty() && seed < steps_of(truth.want); seed++) {
		truth.there.emplace_back();
		truth.broken = execute(problem, body, reference, types, {true, STEP, seed}, &truth.there.back());
	}
	return truth;
}

/* The largest over all steps. */
static Condition condition_of(const Truth &truth, size_t output)
{
	Condition most = {std::vector<double>((size_t)truth.want[output].rows), 0};
	for (const std::vector<Output> &there : truth.there) {
		Condition one = measure_condition(truth.here[output], there[output], STEP);
		for (size_t i = 0; i < one.row.size(); i++)
			most.row[i] = std::max(most.row[i], one.row[i]);
		most.whole = std::max(most.whole, one.whole);
	}
	return most;
}

static std::vector<std::string> compare_all(const Problem &problem, const Lane &lane, const Truth &truth,
					    const std::vector<Output> &got, bool record)
{
	Subject subject = {problem.op,     lane.name,     problem.dtype,   problem.shape,
			   problem.length, problem.steps, lane.arithmetic, lane.arithmetic != lane.dev->act_dtype};
	std::vector<std::string> found;
	int64_t elements = 0;
	double worst = 0;
	for (size_t i = 0; i < truth.want.size(); i++) {
		const Output &want = truth.want[i];
		Condition condition = {std::vector<double>((size_t)want.rows), problem.condition};
		bool exact = !has_arithmetic(problem.op) || want.dtype > DTYPE_F16;
		if (!exact && !(problem.condition > 0))
			condition = condition_of(truth, i);
		std::string text = compare_output(subject, want, got[i], exact ? nullptr : &condition, &worst);
		if (!text.empty())
			found.push_back(text);
		elements += want.rows * want.cols;
	}
	if (record)
		record_comparison(subject, elements, worst);
	return found;
}

/* Where the host stands in for a GPU, with its threads in the other order: a race gives other bytes. */
static std::string execute_again(const Problem &problem, const Body &body, const Lane &lane, std::vector<Output> *again)
{
#ifdef CUDA_ON_HOST
	cuda_host_backwards(true);
#endif
	std::string broken = execute(problem, body, lane, lane, {}, again);
#ifdef CUDA_ON_HOST
	cuda_host_backwards(false);
#endif
	return broken;
}

static std::vector<std::string> differences_from(const Truth &truth, const Problem &problem, const Body &body,
						 const Lane &lane, bool record)
{
	std::vector<Output> got, again;
	std::string broken = truth.broken;
	if (broken.empty())
		broken = execute(problem, body, lane, lane, {}, &got);
	if (broken.empty() && !lane.once)
		broken = execute_again(problem, body, lane, &again);
	if (!broken.empty())
		return {broken};
	std::vector<std::string> found = compare_all(problem, lane, truth, got, record);
	for (size_t i = 0; i < again.size(); i++)
		if (got[i].used.empty() && got[i].bytes != again[i].bytes)
			found.push_back(title(problem, lane) + got[i].name + " is not the same twice");
	return found;
}

std::vector<std::string> differences(const Problem &problem, const Body &body, const Lane &lane)
{
	return differences_from(truth_of(problem, body, lane), problem, body, lane, false);
}

void expect_equal(const Problem &problem, const Body &body)
{
	std::map<std::tuple<int, int, int>, Truth> truths;
	for (const Lane &lane : fast_lanes()) {
		std::tuple<int, int, int> types = {lane.dev->resid_dtype, lane.dev->act_dtype, lane.dev->cache_dtype};
		if (!truths.count(types))
			truths[types] = truth_of(problem, body, lane);
		for (const std::string &text : differences_from(truths[types], problem, body, lane, true))
			ADD_FAILURE() << text;
	}
	if (fast_lanes().empty()) {
		EXPECT_EQ(truth_of(problem, body, reference_lane()).broken, "");
	}
}
