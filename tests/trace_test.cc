// SPDX-License-Identifier: Apache-2.0
/*
 * trace_test - no transfer, wait or allocation inside a step.
 *
 * A device gets a table that wraps its own: between two marks every upload,
 * download, sync, alloc, free, reserve, prepare and release is written down.
 * The four sequences at the head of kernel.h run between marks on a network of
 * two layers, on the reference and on every linked backend, and their results
 * are compared, so that they are not silent for doing nothing.
 */
#include <algorithm>
#include <cmath>

#include <gtest/gtest.h>

#include "reference/philox.h"
#include "tests/kernel_problem.h"

/* ---- the tracing table ------------------------------------------------------- */

static struct {
	const struct kernels *inner;
	bool inside;
	std::vector<std::string> seen;
} trace;

static void note(const char *what)
{
	if (trace.inside)
		trace.seen.push_back(what);
}

static struct buffer *traced_alloc(struct device *dev, size_t bytes)
{
	note("alloc");
	return trace.inner->alloc(dev, bytes);
}

static void traced_free(struct device *dev, struct buffer *buffer)
{
	note("free");
	trace.inner->free(dev, buffer);
}

static void traced_upload(struct device *dev, struct view dst, const void *host)
{
	note("upload");
	trace.inner->upload(dev, dst, host);
}

static void traced_download(struct device *dev, void *host, struct view src)
{
	note("download");
	trace.inner->download(dev, host, src);
}

static void traced_sync(struct device *dev)
{
	note("sync");
	trace.inner->sync(dev);
}

static void traced_reserve(struct device *dev, size_t bytes)
{
	note("reserve");
	trace.inner->reserve(dev, bytes);
}

static int traced_prepare(struct device *dev, struct weight *weight, int n, const struct view host[], enum dtype dtype,
			  unsigned uses)
{
	note("prepare");
	return trace.inner->prepare(dev, weight, n, host, dtype, uses);
}

static void traced_release(struct device *dev, struct weight *weight)
{
	note("release");
	trace.inner->release(dev, weight);
}

/* A device of a lane's backend behind the tracing table. */
class Traced
{
      public:
	explicit Traced(const Lane &lane) : lane(open_again(lane))
	{
		trace = {this->lane.dev->k, false, {}};
		table = *trace.inner;
		table.alloc = traced_alloc, table.free = traced_free;
		table.upload = traced_upload, table.download = traced_download, table.sync = traced_sync;
		table.reserve = traced_reserve, table.prepare = traced_prepare, table.release = traced_release;
		this->lane.dev->k = &table;
	}
	~Traced()
	{
		lane.dev->k = trace.inner;
		close_again(lane);
	}
	Lane lane;

      private:
	struct kernels table;
};

static void begin_step()
{
	trace.inside = true;
}

/* What happened since begin_step that must not. */
static std::vector<std::string> end_step()
{
	trace.inside = false;
	return std::move(trace.seen);
}

static const std::vector<std::string> nothing;

/* ---- a network of two layers --------------------------------------------------- */

enum { LAYERS = 2, C = 16, H = 4, K = 2, D = 4, F = 24, V = 32, RANK = 2, POSITIONS = 64, PAGE = 4, PAGES = 3 };

/* Slots of decoding, and the rows of a cache that holds them. */
enum { SLOTS = 3, CACHE_ROWS = SLOTS * PAGE * PAGES };

struct Adapter {
	struct lora lora;
	struct view m[2], v[2]; /* moments of A and B */
};

struct Layer {
	struct weight qkv, o, gu, down;
	struct attn_in_params in;
	struct attn_out_params out;
	struct mlp_params mlp;
	Adapter q, v, mlp_down;
	struct view q_rows, k_rows, v_rows, o_rows, lse, saved_in, saved_out, saved_mlp;
	struct view cache_k, cache_v;
};

class Network
{
      public:
	Network(const Lane &lane, int64_t rows);
	~Network();

	void forward(bool training);
	void backward();
	void update();
	void decode_layers(bool chunk);
	std::vector<float> values(struct view v);
	struct view array(int64_t r, int64_t c, enum dtype dtype, const void *data = nullptr);
	struct view i32(const std::vector<int32_t> &v)
	{
		return array(1, (int64_t)v.size(), DTYPE_I32, v.data());
	}
	struct view u64(const std::vector<uint64_t> &v)
	{
		return array(1, (int64_t)v.size(), DTYPE_U64, v.data());
	}
	struct view normal(int64_t r, int64_t c, double scale, double mean = 0);

	struct device *dev;
	const struct kernels *k;
	int64_t rows;
	Layer layers[LAYERS];
	struct weight embedding, head_weight;
	struct head_params head;
	struct dropout drop[LAYERS];
	struct rope rope;
	struct segments seg = {};
	struct attn_dims dims = {H, K, D, 0.5f};
	struct view ids, pos, kv_dst, target_row, target, weight, x, y, dx, dy, logp, norm, hyper;
	struct view d_o, dq, dk, dv, logits, id, decode_logp;
	std::vector<struct adamw_item> items;
	std::vector<struct view> gradients;
	struct sample_rule rule = {0.8f, 20, 0.95f};
	struct sample_rng rng;

      private:
	void make_layer(Layer *layer, int index);
	Adapter make_adapter(int64_t n, int64_t m, enum module_id module);
	void prepare(struct weight *w, const std::vector<std::pair<int64_t, int64_t>> &sizes, unsigned uses);
	struct view saved(enum op op);
	struct shape shape() const;

	Random random{7};
	std::vector<struct buffer *> buffers;
	std::vector<std::unique_ptr<std::vector<float>>> matrices;
	std::vector<std::unique_ptr<struct buffer>> host;
};

struct view Network::array(int64_t r, int64_t c, enum dtype dtype, const void *data)
{
	struct buffer *buffer = k->alloc(dev, (size_t)(r * c) * dtype_size(dtype));
	buffers.push_back(buffer);
	struct view v = view_of(buffer, r, c, dtype);
	if (data)
		k->upload(dev, v, data);
	return v;
}

struct view Network::normal(int64_t r, int64_t c, double scale, double mean)
{
	std::vector<float> values((size_t)(r * c));
	for (float &value : values)
		value = (float)(random.normal() * scale + mean);
	return array(r, c, DTYPE_F32, values.data());
}

void Network::prepare(struct weight *w, const std::vector<std::pair<int64_t, int64_t>> &sizes, unsigned uses)
{
	struct view list[3];
	for (size_t i = 0; i < sizes.size(); i++) {
		auto [n, m] = sizes[i];
		matrices.push_back(std::make_unique<std::vector<float>>((size_t)(n * m)));
		for (float &value : *matrices.back())
			value = random.normal() / std::sqrt((float)m);
		host.push_back(std::make_unique<struct buffer>());
		*host.back() = {matrices.back()->data(), (size_t)(n * m) * sizeof(float)};
		list[i] = view_of(host.back().get(), n, m, DTYPE_F32);
	}
	ASSERT_EQ(k->prepare(dev, w, (int)sizes.size(), list, DTYPE_F32, uses), 0);
}

struct shape Network::shape() const
{
	return sized({{&shape::rows, rows},
		      {&shape::hidden, C},
		      {&shape::heads, H},
		      {&shape::kv_heads, K},
		      {&shape::head_dim, D},
		      {&shape::ffn, F},
		      {&shape::vocab, V},
		      {&shape::rank, RANK},
		      {&shape::segments, 3},
		      {&shape::keys, 64}});
}

struct view Network::saved(enum op op)
{
	struct shape s = shape();
	return array(1, (int64_t)k->saved_bytes(dev, op, &s), DTYPE_U8);
}

Adapter Network::make_adapter(int64_t n, int64_t m, enum module_id module)
{
	Adapter a = {};
	a.lora.a = normal(RANK, m, 0.3), a.lora.b = normal(n, RANK, 0.1);
	a.lora.da = array(RANK, m, DTYPE_F32), a.lora.db = array(n, RANK, DTYPE_F32);
	a.lora.scale = 2;
	a.lora.p = 0.1f;
	a.lora.module = module;
	a.m[0] = array(RANK, m, DTYPE_F32), a.v[0] = array(RANK, m, DTYPE_F32);
	a.m[1] = array(n, RANK, DTYPE_F32), a.v[1] = array(n, RANK, DTYPE_F32);
	items.push_back({a.lora.a, a.lora.da, a.m[0], a.v[0], view_none(), true});
	items.push_back({a.lora.b, a.lora.db, a.m[1], a.v[1], view_none(), true});
	gradients.push_back(a.lora.da);
	gradients.push_back(a.lora.db);
	return a;
}

void Network::make_layer(Layer *layer, int index)
{
	const unsigned uses = WEIGHT_FORWARD | WEIGHT_DX;
	enum dtype act = dev->act_dtype;
	prepare(&layer->qkv, {{H * D, C}, {K * D, C}, {K * D, C}}, uses);
	prepare(&layer->o, {{C, H * D}}, uses);
	prepare(&layer->gu, {{F, C}, {F, C}}, uses);
	prepare(&layer->down, {{C, F}}, uses);
	layer->q = make_adapter(H * D, C, MODULE_Q);
	layer->v = make_adapter(K * D, C, MODULE_V);
	layer->mlp_down = make_adapter(C, F, MODULE_DOWN);
	layer->in = {};
	layer->in.dims = dims;
	layer->in.norm_w = normal(1, C, 0.1, 1);
	layer->in.eps = 1e-5f;
	layer->in.wqkv = &layer->qkv;
	layer->in.lora[0] = &layer->q.lora;
	layer->in.lora[2] = &layer->v.lora;
	layer->in.rope = rope;
	layer->in.drop = &drop[index];
	layer->out = {};
	layer->out.wo = &layer->o;
	layer->mlp = {};
	layer->mlp.norm_w = normal(1, C, 0.1, 1);
	layer->mlp.eps = 1e-5f;
	layer->mlp.wgu = &layer->gu;
	layer->mlp.wdown = &layer->down;
	layer->mlp.lora[2] = &layer->mlp_down.lora;
	layer->mlp.drop = &drop[index];
	layer->q_rows = array(rows, H * D, act), layer->o_rows = array(rows, H * D, act);
	layer->k_rows = array(rows, K * D, act), layer->v_rows = array(rows, K * D, act);
	layer->lse = array(rows, H, DTYPE_F32);
	layer->saved_in = saved(OP_attn_in);
	layer->saved_out = saved(OP_attn_out);
	layer->saved_mlp = saved(OP_mlp);
	layer->cache_k = array(CACHE_ROWS, K * D, act), layer->cache_v = array(CACHE_ROWS, K * D, act);
}

/* Two examples of rows / 2 tokens each. */
Network::Network(const Lane &lane, int64_t n) : dev(lane.dev), k(lane.dev->k), rows(n)
{
	struct rope_config config = {};
	std::vector<float> c(POSITIONS * D / 2), s = c;
	config.theta = 10000;
	rope_table(c.data(), s.data(), POSITIONS, D, &config);
	rope = {array(POSITIONS, D / 2, DTYPE_F32, c.data()), array(POSITIONS, D / 2, DTYPE_F32, s.data())};
	std::vector<int32_t> tokens, positions, wanted, next;
	std::vector<uint64_t> keys;
	for (int32_t t = 0; t < n; t++) {
		tokens.push_back((int32_t)random.below(V));
		positions.push_back(t % (int32_t)(n / 2));
		keys.push_back(row_key((uint32_t)(t / (n / 2)), (uint32_t)positions.back()));
		if (t % 2)
			wanted.push_back(t), next.push_back((int32_t)random.below(V));
	}
	ids = i32(tokens), pos = i32(positions), target_row = i32(wanted), target = i32(next);
	const int64_t targets = (int64_t)next.size();
	struct view state = u64({99, 1}), row_keys = u64(keys);
	for (uint32_t l = 0; l < LAYERS; l++)
		drop[l] = {state, row_keys, l};
	prepare(&embedding, {{V, C}}, WEIGHT_GATHER);
	prepare(&head_weight, {{V, C}}, WEIGHT_FORWARD | WEIGHT_DX);
	for (int l = 0; l < LAYERS; l++)
		make_layer(&layers[l], l);
	head = {normal(1, C, 0.1, 1), 1e-5f, &head_weight};
	enum dtype resid = dev->resid_dtype, act = dev->act_dtype;
	x = array(n, C, resid), dx = array(n, C, resid), y = array(targets, C, resid), dy = array(targets, C, resid);
	std::vector<float> ones((size_t)targets, 1 / (float)targets);
	weight = array(1, targets, DTYPE_F32, ones.data());
	logp = array(1, targets, DTYPE_F32), norm = array(1, 1, DTYPE_F32);
	const float steps[ADAMW_HYPER] = {1e-3f, 0.9f, 0.999f, 1e-8f, 0.03f, 0.1f, 0.001f, 1};
	hyper = array(1, ADAMW_HYPER, DTYPE_F32, steps);
	d_o = array(n, H * D, act), dq = array(n, H * D, act), dk = array(n, K * D, act), dv = array(n, K * D, act);
	logits = array(SLOTS, V, DTYPE_F32), id = array(1, SLOTS, DTYPE_I32), decode_logp = array(1, SLOTS, DTYPE_F32);
	rng = {u64({5}), u64({1, 2, 3}), i32({10, 10, 10})};
	const int32_t half = (int32_t)(n / 2), whole = (int32_t)n;
	seg.count = 2;
	seg.max_queries = seg.max_keys = half;
	seg.q_begin = i32({0, half, whole}), seg.own_begin = i32({0, half}), seg.own_len = i32({half, half});
	seg.prefix_begin = i32({0, 0}), seg.prefix_len = i32({0, 0}), seg.pos = pos;
	seg.user_begin = i32({0, 0, 0}), seg.user = i32({0});
	size_t most = 0;
	struct shape whole_shape = shape();
	for (int op = 0; op < OP_COUNT; op++)
		most = std::max(most, k->scratch_bytes(dev, (enum op)op, &whole_shape));
	k->reserve(dev, most);
}

Network::~Network()
{
	for (Layer &l : layers)
		for (struct weight *w : {&l.qkv, &l.o, &l.gu, &l.down})
			k->release(dev, w);
	k->release(dev, &embedding);
	k->release(dev, &head_weight);
	for (struct buffer *buffer : buffers)
		k->free(dev, buffer);
}

std::vector<float> Network::values(struct view v)
{
	std::vector<float> values((size_t)(v.rows * v.cols));
	EXPECT_EQ(v.dtype, DTYPE_F32);
	k->download(dev, values.data(), v);
	return values;
}

/* ---- the sequences of kernel.h ---------------------------------------------------- */

void Network::forward(bool training)
{
	const struct view none = view_none();
	k->embed(dev, x, &embedding, ids);
	for (Layer &l : layers) {
		k->attn_in(dev, l.q_rows, l.k_rows, l.v_rows, training ? l.saved_in : none, x, pos, none, &l.in);
		k->attention(dev, l.o_rows, training ? l.lse : none, l.q_rows, l.k_rows, l.v_rows, &seg, &dims);
		k->attn_out(dev, x, training ? l.saved_out : none, l.o_rows, &l.out);
		k->mlp(dev, x, training ? l.saved_mlp : none, &l.mlp);
	}
	k->gather_rows(dev, y, x, target_row);
	k->head_loss(dev, logp, training ? dy : none, nullptr, y, &head, target, weight);
}

void Network::backward()
{
	k->scatter_rows(dev, dx, dy, target_row);
	for (int i = LAYERS - 1; i >= 0; i--) {
		Layer &l = layers[i];
		k->mlp_backward(dev, dx, nullptr, l.saved_mlp, &l.mlp, true);
		k->attn_out_backward(dev, d_o, nullptr, dx, l.saved_out, l.o_rows, &l.out, true);
		k->attention_backward(dev, dq, dk, dv, d_o, l.o_rows, l.lse, l.q_rows, l.k_rows, l.v_rows, &seg, &dims);
		k->attn_in_backward(dev, dx, nullptr, dq, dk, dv, l.saved_in, pos, &l.in, i > 0);
	}
}

void Network::update()
{
	k->norm2(dev, norm, gradients.data(), (int)gradients.size());
	k->adamw(dev, items.data(), (int)items.size(), hyper, norm);
	for (Layer &l : layers) {
		k->refresh(dev, &l.qkv);
		k->refresh(dev, &l.down);
	}
}

/* Slot s owns pages 3 s, 3 s + 1, 3 s + 2, so its key j lies in row 12 s + j. `chunk`: six rows of slot 0. */
void Network::decode_layers(bool chunk)
{
	const struct view none = view_none();
	int64_t n = chunk ? 6 : SLOTS;
	struct view at = view_rows(x, 0, n);
	k->embed(dev, at, &embedding, view_cols(ids, 0, n));
	for (Layer &l : layers) {
		struct view q = view_rows(l.q_rows, 0, n), o = view_rows(l.o_rows, 0, n);
		k->attn_in(dev, q, l.cache_k, l.cache_v, none, at, view_cols(pos, 0, n), kv_dst, &l.in);
		k->attention(dev, o, none, q, l.cache_k, l.cache_v, &seg, &dims);
		k->attn_out(dev, at, none, o, &l.out);
		k->mlp(dev, at, none, &l.mlp);
	}
}

/* ---- the tests --------------------------------------------------------------------- */

static std::vector<Lane> all_lanes()
{
	std::vector<Lane> lanes = {reference_lane()};
	lanes.insert(lanes.end(), fast_lanes().begin(), fast_lanes().end());
	return lanes;
}

/*
 * Two layers after each other amplify rounding; what is compared here is the order of calls, not the last bit. In bf16
 * four units of a factor's rounding, 2^-8.
 */
static void expect_near(const std::vector<float> &got, const std::vector<float> &want, const Lane &lane)
{
	const double tolerance = lane.arithmetic == DTYPE_BF16 ? 4 * std::ldexp(1.0, -8) : 2e-5;

	ASSERT_EQ(got.size(), want.size());
	for (size_t i = 0; i < want.size(); i++)
		EXPECT_NEAR(got[i], want[i], tolerance * (1 + std::fabs(want[i]))) << lane.name << " element " << i;
}

/* Outputs of one sequence on every lane, against the first lane's: the reference's. */
template <typename Sequence> static void on_every_lane(Sequence sequence)
{
	std::vector<std::vector<float>> first;
	for (const Lane &lane : all_lanes()) {
		Traced traced(lane);
		std::vector<std::vector<float>> results;
		{
			Network net(traced.lane, 24);
			for (struct view v : sequence(net))
				results.push_back(net.values(v));
			EXPECT_EQ(device_sync(traced.lane.dev), nullptr)
				<< lane.name << ": " << traced.lane.dev->failure;
		}
		first = first.empty() ? results : first;
		ASSERT_EQ(results.size(), first.size());
		for (size_t i = 0; i < results.size(); i++)
			expect_near(results[i], first[i], lane);
	}
}

TEST(Trace, TrainStep)
{
	on_every_lane([](Network &net) {
		std::vector<float> before = net.values(net.layers[0].q.lora.a);
		begin_step();
		net.forward(true);
		net.backward();
		net.update();
		EXPECT_EQ(end_step(), nothing);
		EXPECT_NE(net.values(net.layers[0].q.lora.a), before);
		EXPECT_GT(net.values(net.norm)[0], 0);
		return std::vector<struct view>{net.logp, net.norm, net.layers[0].q.lora.da,
						net.layers[1].mlp_down.lora.db};
	});
}

TEST(Trace, ScorePass)
{
	on_every_lane([](Network &net) {
		begin_step();
		net.forward(false);
		EXPECT_EQ(end_step(), nothing);
		for (float logp : net.values(net.logp))
			EXPECT_LT(logp, 0);
		return std::vector<struct view>{net.logp};
	});
}

/* A chunk of six rows into slot 0, then two captured decode steps over all slots. */
TEST(Trace, PrefillAndDecode)
{
	on_every_lane([](Network &net) {
		std::vector<int32_t> pages;
		for (int32_t page = 0; page < SLOTS * PAGES; page++)
			pages.push_back(page);
		net.seg.pages = net.array(SLOTS, PAGES, DTYPE_I32, pages.data());
		net.seg.page_size = PAGE;
		net.seg.count = SLOTS;
		net.seg.max_queries = 6, net.seg.max_keys = PAGE * PAGES;
		net.seg.own_begin = view_none();
		net.seg.q_begin = net.i32({0, 6, 6, 6}), net.seg.own_len = net.i32({6, 0, 0});
		net.seg.prefix_begin = net.seg.prefix_len = net.i32({0, 0, 0});
		net.kv_dst = net.i32({0, 1, 2, 3, 4, 5});
		net.pos = net.seg.pos = net.i32({0, 1, 2, 3, 4, 5});
		for (struct dropout &drop : net.drop)
			drop.row_key = net.u64({0, 1, 2, 3, 4, 5});
		for (Layer &l : net.layers)
			l.in.drop = nullptr, l.mlp.drop = nullptr;
		begin_step();
		net.decode_layers(true);
		EXPECT_EQ(end_step(), nothing);
		net.seg.q_begin = net.i32({0, 1, 2, 3}), net.seg.own_len = net.i32({7, 1, 1});
		net.seg.max_queries = 1;
		net.kv_dst = net.i32({6, 12, 24});
		net.pos = net.seg.pos = net.i32({6, 0, 0});
		struct graph *graph = nullptr;
		for (int step = 0; step < 2; step++) {
			begin_step();
			if (!graph || !net.k->replay(net.dev, graph)) {
				net.k->capture_begin(net.dev);
				net.decode_layers(false);
				net.k->logits(net.dev, net.logits, view_rows(net.x, 0, SLOTS), &net.head);
				net.k->sample(net.dev, net.id, net.decode_logp, net.logits, &net.rule, &net.rng);
				graph = net.k->capture_end(net.dev);
			}
			EXPECT_EQ(end_step(), nothing);
			const int32_t dst[] = {7, 13, 25}, at[] = {7, 1, 1}, length[] = {8, 2, 2};
			net.k->upload(net.dev, net.kv_dst, dst);
			net.k->upload(net.dev, net.pos, at);
			net.k->upload(net.dev, net.seg.own_len, length);
		}
		net.k->graph_free(net.dev, graph);
		return std::vector<struct view>{net.logits, net.decode_logp, net.layers[1].cache_k,
						net.layers[1].cache_v};
	});
}

/* The tracer is awake: each forbidden call is seen between marks, and only there. */
TEST(Trace, PlantedCallsAreSeen)
{
	Traced traced(reference_lane());
	Network net(traced.lane, 24);
	float value;
	net.k->download(net.dev, &value, net.norm);
	begin_step();
	net.forward(false);
	net.k->download(net.dev, &value, net.norm);
	net.k->upload(net.dev, net.norm, &value);
	device_sync(net.dev);
	net.k->reserve(net.dev, 64);
	net.k->free(net.dev, net.k->alloc(net.dev, 64));
	EXPECT_EQ(end_step(), (std::vector<std::string>{"download", "upload", "sync", "reserve", "alloc", "free"}));
}

static void attention_that_downloads(struct device *dev, struct view o, struct view lse, struct view q, struct view k,
				     struct view v, const struct segments *seg, const struct attn_dims *dims)
{
	int32_t begin[3];
	dev->k->download(dev, begin, seg->q_begin);
	trace.inner->attention(dev, o, lse, q, k, v, seg, dims);
}

TEST(Trace, ADownloadInsideAnOperationIsSeen)
{
	Traced traced(reference_lane());
	struct kernels table = *traced.lane.dev->k;
	table.attention = attention_that_downloads;
	traced.lane.dev->k = &table;
	Network net(traced.lane, 24);
	begin_step();
	net.forward(false);
	EXPECT_EQ(end_step(), (std::vector<std::string>{"download", "download"}));
}

class Close : public testing::Environment
{
	void TearDown() override
	{
		close_lanes();
	}
};
static testing::Environment *const closing = testing::AddGlobalTestEnvironment(new Close);
