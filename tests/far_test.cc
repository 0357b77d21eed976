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
#include "src/student/score.h"
#include "tests/far_device.h"
#include "tests/student_jobs.h"

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

TEST(Far, CapturedStepsGiveTheReferencesCompletions)
{
	for (const TinyConfig &kind : kinds)
		for (float temperature : {0.0f, 0.9f}) {
			TinyCheckpoint checkpoint(kind);
			Rows rows(7);
			Loaded here(checkpoint, false), there(checkpoint, true), plain(checkpoint, true);
			plain.far->captures = false;
			Completions want = complete(here.model, rows, temperature);
			EXPECT_TRUE(complete(there.model, rows, temperature) == want) << kind.type << " at " << temperature;
			EXPECT_TRUE(complete(plain.model, rows, temperature) == want) << kind.type << " at " << temperature;
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
	EXPECT_TRUE(complete(there.model, rows, 0) == complete(plain.model, rows, 0));
}

/* ---- training ------------------------------------------------------------------------ */

TEST(Far, TrainingIsTheReferences)
{
	for (const TinyConfig &kind : kinds)
		for (bool full : {false, true}) {
			TinyCheckpoint checkpoint(kind);
			Loaded here(checkpoint, false), there(checkpoint, true);
			Trained want = train(here.model, checkpoint, full, false), got = train(there.model, checkpoint, full, false);
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
	EXPECT_EQ(train(here.model, checkpoint, false, true).values, train(there.model, checkpoint, false, true).values);
}

/* The masters are f32; a step of 5e-3 is far more than what bf16 loses in ten. */
TEST(Far, TrainingInHalfPrecisionIsNear)
{
	for (bool full : {false, true})
		for (enum dtype stored : {DTYPE_F32, DTYPE_BF16}) {
			TinyCheckpoint checkpoint(kinds[0]);
			Loaded here(checkpoint, false), there(checkpoint, true, DTYPE_BF16, stored);
			Trained want = train(here.model, checkpoint, full, false), got = train(there.model, checkpoint, full, false);
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
