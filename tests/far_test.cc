// SPDX-License-Identifier: Apache-2.0
/*
 * The rooms above the kernels on a device whose memory the host cannot read
 * (far_device.h): scores, completions, training and checkpoints are the
 * reference's to the last bit in f32, and near them where the device computes
 * in bf16; captured steps give what the same steps give when they are not.
 */
#include <cmath>

#include "backends/measure_case.h"
#include "src/model/export.h"
#include "src/model/forward.h"
#include "src/student/generate.h"
#include "src/student/score.h"
#include "src/student/train.h"
#include "tests/far_device.h"
#include "tests/tiny_checkpoint.h"

using Ids = std::vector<int32_t>;

static Ids random_ids(uint32_t stream, int64_t n)
{
	Ids ids((size_t)n);
	struct philox_key key = philox_stream(3, PHILOX_SHUFFLE, stream, 0, 0);
	for (int64_t i = 0; i < n; i++)
		ids[(size_t)i] = (int32_t)(3 + philox_at(key, (uint32_t)i, 0).w[0] % 94);
	return ids;
}

/* Rows that begin with the same nine tokens. */
struct Rows {
	std::vector<Ids> prompts, targets, whole;

	explicit Rows(size_t n)
	{
		for (uint32_t i = 0; i < n; i++) {
			Ids prompt = random_ids(1000, 9), own = random_ids(2 * i, 1 + 5 * i % 13);
			prompt.insert(prompt.end(), own.begin(), own.end());
			prompts.push_back(prompt);
			targets.push_back(random_ids(2 * i + 1, 2 + 7 * i % 11));
			prompt.insert(prompt.end(), targets[i].begin(), targets[i].end());
			whole.push_back(prompt);
		}
	}
};

static const TinyConfig kinds[] = {
	{},
	[] { TinyConfig c; c.tied = false; c.heads = 8; return c; }(),
	[] { TinyConfig c; c.architecture = "Qwen2ForCausalLM"; c.type = "qwen2"; c.qkv_bias = true; return c; }(),
	[] { TinyConfig c; c.architecture = "Qwen3ForCausalLM"; c.type = "qwen3"; c.qk_norm = true; return c; }(),
};

/* A model on the reference or on a far device. */
struct Loaded {
	struct device *reference = nullptr;
	std::unique_ptr<Far> far;
	struct model *model;
	struct err err = {};

	Loaded(const TinyCheckpoint &checkpoint, bool is_far, enum dtype compute = DTYPE_F32, enum dtype stored = DTYPE_F32)
	{
		struct model_options options = {};
		options.dtype = stored;
		if (is_far)
			far.reset(new Far(compute));
		else
			reference = device_reference_new();
		model = model_load(checkpoint.path(), dev(), &options, &err);
		EXPECT_NE(model, nullptr) << err.message;
	}
	~Loaded()
	{
		model_free(model);
		if (reference)
			device_reference_free(reference);
	}
	struct device *dev() { return far ? far.get() : reference; }
};

TEST(Far, TheHostCannotRead)
{
	Far far(DTYPE_F32);
	struct buffer *buffer = far.k->alloc(&far, 64);
	float value = 3, got = 0;
	struct view v = view_of(buffer, 1, 1, DTYPE_F32);
	far.k->upload(&far, v, &value);
	far.k->download(&far, &got, v);
	EXPECT_EQ(got, value);
	EXPECT_DEATH(printf("%g", (double)*(volatile float *)view_row(v, 0)), "");
	far.k->free(&far, buffer);
}

TEST(Far, TransfersWithinACapturedStepFail)
{
	Far far(DTYPE_F32);
	struct buffer *buffer = far.k->alloc(&far, 64);
	float value = 3;
	far.k->capture_begin(&far);
	far.k->upload(&far, view_of(buffer, 1, 1, DTYPE_F32), &value);
	struct graph *graph = far.k->capture_end(&far);
	EXPECT_STREQ(device_sync(&far), "upload: within a captured step");
	far.failure[0] = '\0';
	far.k->graph_free(&far, graph);
	far.k->free(&far, buffer);
}

/* ---- scores -------------------------------------------------------------------------- */

static std::vector<double> scores(Loaded &on, const Rows &rows)
{
	std::vector<struct score_row> list;
	for (size_t i = 0; i < rows.prompts.size(); i++)
		list.push_back({rows.prompts[i].data(), (int64_t)rows.prompts[i].size(), rows.targets[i].data(),
				(int64_t)rows.targets[i].size(), nullptr});
	struct score_options options = {};
	options.rows = 40, options.bos = 1;
	std::vector<struct ifd_score> out(list.size());
	EXPECT_EQ(student_score(on.model, list.data(), list.size(), &options, out.data(), nullptr, &on.err), 0) << on.err.message;
	std::vector<double> numbers;
	for (const struct ifd_score &s : out)
		numbers.insert(numbers.end(), {s.nll_conditional, s.nll_unconditional});
	return numbers;
}

TEST(Far, ScoresAreTheReferences)
{
	for (const TinyConfig &kind : kinds) {
		TinyCheckpoint checkpoint(kind);
		Loaded here(checkpoint, false), there(checkpoint, true);
		EXPECT_EQ(there.model->stored, 0u); /* the host's copies are freed */
		EXPECT_EQ(scores(here, Rows(9)), scores(there, Rows(9))) << kind.type;
	}
}

/* bf16 has 8 bits of precision: a few operations a layer, two layers, sums of logits of about 3. */
TEST(Far, ScoresInHalfPrecisionAreNear)
{
	for (const TinyConfig &kind : kinds)
		for (enum dtype stored : {DTYPE_F32, DTYPE_BF16}) {
			TinyCheckpoint checkpoint(kind);
			Loaded here(checkpoint, false), there(checkpoint, true, DTYPE_BF16, stored);
			auto want = scores(here, Rows(9)), got = scores(there, Rows(9));
			EXPECT_NE(got, want);
			for (size_t i = 0; i < want.size(); i++)
				EXPECT_NEAR(got[i], want[i], 0.05) << kind.type;
		}
}

/* ---- completions --------------------------------------------------------------------- */

struct Completions {
	std::vector<Ids> ids;
	std::vector<std::vector<float>> logp;

	bool operator==(const Completions &other) const { return ids == other.ids && logp == other.logp; }
};

static Completions complete(Loaded &on, const Rows &rows, float temperature)
{
	std::vector<struct generate_row> list;
	for (size_t i = 0; i < rows.prompts.size(); i++)
		list.push_back({rows.prompts[i].data(), (int64_t)rows.prompts[i].size(), 100 + i});
	struct generate_options options = {};
	options.slots = 3, options.rows = 16, options.max_new_tokens = 20, options.seed = 11;
	options.rule.temperature = temperature, options.rule.top_p = 1;
	std::vector<struct generated> out(list.size());
	EXPECT_EQ(student_generate(on.model, list.data(), list.size(), &options, out.data(), nullptr, &on.err), 0)
		<< on.err.message;
	Completions all;
	for (struct generated &g : out) {
		all.ids.push_back(Ids(g.ids, g.ids + g.n));
		all.logp.push_back(std::vector<float>(g.logp, g.logp + g.n));
		generated_release(&g);
	}
	return all;
}

TEST(Far, CapturedStepsGiveTheReferencesCompletions)
{
	for (const TinyConfig &kind : kinds)
		for (float temperature : {0.0f, 0.9f}) {
			TinyCheckpoint checkpoint(kind);
			Rows rows(7);
			Loaded here(checkpoint, false), there(checkpoint, true), plain(checkpoint, true);
			plain.far->captures = false;
			Completions want = complete(here, rows, temperature);
			EXPECT_TRUE(complete(there, rows, temperature) == want) << kind.type << " at " << temperature;
			EXPECT_TRUE(complete(plain, rows, temperature) == want) << kind.type << " at " << temperature;
			EXPECT_GE(there.far->captured, 1);
			EXPECT_GT(there.far->replayed, 2 * there.far->captured);
			EXPECT_EQ(plain.far->captured, 0);
		}
}

TEST(Far, CompletionsInHalfPrecision)
{
	TinyCheckpoint checkpoint(kinds[1]);
	Rows rows(7);
	Loaded there(checkpoint, true, DTYPE_BF16, DTYPE_BF16), plain(checkpoint, true, DTYPE_BF16, DTYPE_BF16);
	plain.far->captures = false;
	EXPECT_TRUE(complete(there, rows, 0) == complete(plain, rows, 0));
}

/* ---- training ------------------------------------------------------------------------ */

struct Trained {
	std::vector<float> values, moments; /* after all steps */
	double loss;
	std::string checkpoint;             /* what export wrote: merged, or the trained weights */
	int64_t resumed;                    /* by a second start */
};

static std::vector<float> read(struct device *dev, struct view v)
{
	std::vector<float> out((size_t)(v.rows * v.cols));
	dev->k->download(dev, out.data(), v);
	EXPECT_EQ(device_sync(dev), nullptr);
	return out;
}

static std::vector<float> values(const struct trainee &t)
{
	std::vector<float> all;
	for (size_t i = 0; i < t.params.n; i++) {
		std::vector<float> one = read(t.params.dev, t.params.list[i].p);
		all.insert(all.end(), one.begin(), one.end());
	}
	return all;
}

static std::string export_all(Loaded &on, const TinyCheckpoint &base, struct trainee *t)
{
	Temporary out, adapter;
	if (t->full) {
		EXPECT_EQ(export_trained(out.path.c_str(), base.path(), &t->model->config, &t->params, DTYPE_BF16, &on.err), 0) << on.err.message;
		return read_file(out / "model.safetensors");
	}
	EXPECT_EQ(adapter_save(t->adapter, adapter.path.c_str(), base.path(), &on.err), 0) << on.err.message;
	struct adapter *again = adapter_load(on.model, adapter.path.c_str(), &on.err);
	EXPECT_NE(again, nullptr) << on.err.message;
	EXPECT_EQ(export_merged(out.path.c_str(), base.path(), again, &on.err), 0) << on.err.message;
	adapter_free(again);
	return read_file(out / "model.safetensors");
}

static Trained train(Loaded &on, const TinyCheckpoint &base, bool full, bool recompute)
{
	Rows data(6);
	std::vector<struct train_row> rows(6);
	for (uint32_t i = 0; i < 6; i++) {
		rows[i].ids = data.whole[i].data(), rows[i].n = (int64_t)data.whole[i].size();
		rows[i].first_target = (int64_t)data.prompts[i].size(), rows[i].key = i, rows[i].line = i + 1;
	}
	struct train_kind kind = {};
	kind.full = full, kind.seed = 5;
	kind.lora.r = 3, kind.lora.alpha = 6, kind.lora.dropout = 0.1, kind.lora.targets = TARGETS_ALL_LINEAR;
	struct train_options options = train_defaults;
	options.learning_rate = 5e-3, options.num_train_epochs = 5, options.shuffle = false;
	options.per_device_train_batch_size = 3, options.gradient_checkpointing = recompute;
	Temporary folder;
	struct train_files files = {};
	files.directory = folder.path.c_str();
	struct train_result result, second;
	struct trainee t, u;
	EXPECT_EQ(trainee_open(&t, on.model, &kind, &on.err), 0) << on.err.message;
	EXPECT_EQ(student_train(&t, rows.data(), 6, &options, &files, &result, &on.err), 0) << on.err.message;
	Trained out = {values(t), read(on.dev(), t.params.m), result.last_loss, export_all(on, base, &t), 0};
	if (!full) { /* full fine-tuning has changed the model, whose first values are in the checkpoint's name */
		adapter_detach(t.adapter);
		EXPECT_EQ(trainee_open(&u, on.model, &kind, &on.err), 0) << on.err.message;
		EXPECT_EQ(student_train(&u, rows.data(), 6, &options, &files, &second, &on.err), 0) << on.err.message;
		out.resumed = second.resumed_from;
		EXPECT_EQ(values(u), out.values);
		trainee_close(&u);
	}
	trainee_close(&t);
	return out;
}

TEST(Far, TrainingIsTheReferences)
{
	for (const TinyConfig &kind : kinds)
		for (bool full : {false, true}) {
			TinyCheckpoint checkpoint(kind);
			Loaded here(checkpoint, false), there(checkpoint, true);
			Trained want = train(here, checkpoint, full, false), got = train(there, checkpoint, full, false);
			EXPECT_EQ(got.values, want.values) << kind.type << (full ? " full" : " adapter");
			EXPECT_EQ(got.moments, want.moments);
			EXPECT_EQ(got.loss, want.loss);
			EXPECT_EQ(got.resumed, full ? 0 : 10);
			EXPECT_TRUE(got.checkpoint == want.checkpoint);
			EXPECT_FALSE(got.checkpoint.empty());
			EXPECT_GE(there.far->captured, 2); /* both calls of an epoch come again */
			EXPECT_GT(there.far->replayed, there.far->captured);
		}
}

TEST(Far, RecomputingIsTheReferences)
{
	TinyCheckpoint checkpoint(kinds[0]);
	Loaded here(checkpoint, false), there(checkpoint, true);
	EXPECT_EQ(train(here, checkpoint, false, true).values, train(there, checkpoint, false, true).values);
}

/* The masters are f32; a step of 5e-3 is far more than what bf16 loses in ten. */
TEST(Far, TrainingInHalfPrecisionIsNear)
{
	for (bool full : {false, true})
		for (enum dtype stored : {DTYPE_F32, DTYPE_BF16}) {
			TinyCheckpoint checkpoint(kinds[0]);
			Loaded here(checkpoint, false), there(checkpoint, true, DTYPE_BF16, stored);
			Trained want = train(here, checkpoint, full, false), got = train(there, checkpoint, full, false);
			EXPECT_NEAR(got.loss, want.loss, 0.05 * want.loss) << full;
			EXPECT_EQ(got.values.size(), want.values.size());
			EXPECT_EQ(got.checkpoint.size(), want.checkpoint.size());
			EXPECT_EQ(got.resumed, full ? 0 : 10);
		}
}

/* What a merge keeps is the base's, whatever the device computes in. */
/* `bench` on such a device: weights come from the host, and so do no roofs. */
TEST(Far, IsMeasured)
{
	static const struct measure_model small = {"small", 32, 2, 1, 16, 64, 96};
	Far far(DTYPE_F32);
	struct measure measure;
	struct bench bench;
	struct err err = {};
	ASSERT_EQ(measure_init(&measure, &far, nullptr, DTYPE_F32, &err), 0) << err.message;
	EXPECT_GT(measure_read(&measure), 0);
	measure_release(&measure);
	ASSERT_EQ(bench_init(&bench, &far, &small), 0) << device_sync(&far);
	for (const struct bench_case *c = bench_cases; c->name; c++)
		c->run(&bench);
	EXPECT_EQ(device_sync(&far), nullptr) << device_sync(&far);
	bench_release(&bench);
}

TEST(Far, MergingReadsTheBase)
{
	TinyCheckpoint checkpoint(kinds[0]);
	struct adapter_config config = {};
	config.r = 3, config.alpha = 6, config.targets = 1u << MODULE_Q | 1u << MODULE_DOWN;
	std::string merged[2];
	for (bool is_far : {false, true}) {
		Loaded on(checkpoint, is_far, DTYPE_BF16, DTYPE_BF16);
		Temporary out;
		struct adapter *adapter = adapter_new(on.model, &config, &on.err);
		ASSERT_EQ(adapter_init(adapter, 7, &on.err), 0) << on.err.message;
		for (int64_t i = 0; i < 2 * MODULES; i++)
			if (view_present(adapter->lora[i].b))
				on.dev()->k->fill(on.dev(), adapter->lora[i].b, 0.25f);
		ASSERT_EQ(export_merged(out.path.c_str(), checkpoint.path(), adapter, &on.err), 0) << on.err.message;
		merged[is_far] = read_file(out / "model.safetensors");
		adapter_free(adapter);
	}
	EXPECT_TRUE(merged[0] == merged[1]);
	EXPECT_NE(merged[0], read_file(std::string(checkpoint.path()) + "/model.safetensors"));
}

/* ---- how much goes into a call ------------------------------------------------------- */

/* Calls that nobody set are as long as memory has room for, and no shorter than a CPU's. */
TEST(Far, CallsShrinkUntilTheyFit)
{
	TinyCheckpoint checkpoint(kinds[0]);
	Loaded there(checkpoint, true);
	Rows data(6);
	struct score_row row = {data.prompts[0].data(), (int64_t)data.prompts[0].size(), data.targets[0].data(),
				(int64_t)data.targets[0].size(), nullptr};
	struct generate_row prompt = {row.prompt, row.prompt_n, 1};
	auto held = there.model->stored + there.dev()->prepared;
	int scored = 0, generated = 0;
	for (uint64_t room = (uint64_t)64 << 20; room; room /= 2) {
		struct score_options scoring = {};
		struct ifd_score score;
		scoring.bos = 1, scoring.memory = held + room;
		scored += !student_score(there.model, &row, 1, &scoring, &score, nullptr, &there.err);
		struct generate_options options = {};
		struct generated out;
		options.max_new_tokens = 2, options.memory = held + room;
		if (!student_generate(there.model, &prompt, 1, &options, &out, nullptr, &there.err))
			generated_release(&out), generated++;
	}
	EXPECT_EQ(there.err.code, ERR_MEMORY); /* of the last, with no room at all */
	struct forward_limits whole = {16384, 16384, 16384, 64, 0, 0, 0, 0}, least = whole;
	least.rows = least.segments = least.targets = 2048;
	double span = std::log2((double)forward_bytes(there.model, &whole) / (double)forward_bytes(there.model, &least));
	EXPECT_NEAR(span, 3, 0.5);
	EXPECT_GE(scored, (int)std::log2(double(64 << 20) / (double)forward_bytes(there.model, &least)) - 1);
	EXPECT_GT(generated, scored);
	struct generate_options options = {};
	EXPECT_EQ(generate_block(there.model, &options), 16 * 256);
	options.slots = 3;
	EXPECT_EQ(generate_block(there.model, &options), 16 * 3);
}
