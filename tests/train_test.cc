// SPDX-License-Identifier: Apache-2.0
/*
 * Training on every device: gradients and twenty steps as PEFT and torch have
 * them, the same whatever is packed, shared or recomputed, and the same bytes
 * after any interruption.
 */
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <sstream>

#include <dirent.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern "C" {
#include "src/student/batch.h" /* private to the room, and so C alone */
}
#include "src/student/schedule.h"
#include "src/student/train.h"
#include "tests/linked_device.h"
#include "tests/tiny_checkpoint.h"

using Ids = std::vector<int32_t>;

static Ids random_ids(uint32_t stream, int64_t n, int64_t vocab)
{
	Ids ids((size_t)n);
	struct philox_key key = philox_stream(3, PHILOX_SHUFFLE, stream, 0, 0);
	for (int64_t i = 0; i < n; i++)
		ids[(size_t)i] = (int32_t)(3 + philox_at(key, (uint32_t)i, 0).w[0] % (uint32_t)(vocab - 3));
	return ids;
}

/* The rows of make_training.py: an instruction of five tokens, then prompts and completions of several lengths. */
struct TrainRows {
	std::vector<Ids> ids;
	std::vector<struct train_row> rows;

	explicit TrainRows(size_t n = 6, int64_t vocab = 97)
	{
		Ids head = random_ids(60, 5, vocab);
		for (uint32_t i = 0; i < n; i++) {
			Ids row = head, own = random_ids(61 + 2 * i, 3 + i, vocab);
			row.insert(row.end(), own.begin(), own.end());
			int64_t first = (int64_t)row.size();
			Ids target = random_ids(62 + 2 * i, 4 + 5 * i % 7, vocab);
			row.insert(row.end(), target.begin(), target.end());
			ids.push_back(row);
			struct train_row r = {};
			r.first_target = first, r.key = i, r.line = i + 1, r.domain = i % 2 ? "odd" : "even";
			rows.push_back(r);
		}
		for (size_t i = 0; i < n; i++)
			rows[i].ids = ids[i].data(), rows[i].n = (int64_t)ids[i].size();
	}
};

static struct train_options options_of_golden()
{
	struct train_options o = train_defaults;
	o.learning_rate = 5e-3, o.num_train_epochs = 10, o.per_device_train_batch_size = 3, o.shuffle = false;
	return o;
}

static struct train_kind lora_kind(unsigned targets, int64_t r = 3, double dropout = 0)
{
	struct train_kind kind = {};
	kind.lora.r = r, kind.lora.alpha = 6, kind.lora.dropout = dropout, kind.lora.targets = targets, kind.seed = 5;
	return kind;
}

static const unsigned QV = 1u << MODULE_Q | 1u << MODULE_V;

class Train : public OnDevice {
protected:
	struct model *load(const TinyCheckpoint &checkpoint, enum dtype dtype = DTYPE_F32)
	{
		struct model_options options = {};
		struct err err = {};
		options.dtype = dtype;
		struct model *model = model_load(checkpoint.path(), dev, &options, &err);
		EXPECT_NE(model, nullptr) << err.message;
		return model;
	}

	std::vector<float> read(struct view v)
	{
		std::vector<float> out((size_t)(v.rows * v.cols));
		dev->k->download(dev, out.data(), v);
		EXPECT_EQ(device_sync(dev), nullptr);
		return out;
	}

	/* Values of the golden script: tiny_source of the parameter's name, times `scale`. */
	void set_values(struct trainee *t, float scale)
	{
		for (size_t i = 0; i < t->params.n; i++) {
			struct parameter *p = &t->params.list[i];
			std::vector<float> host((size_t)(p->p.rows * p->p.cols));
			struct tensor_spec spec = {p->name, DTYPE_F32, 2, {p->p.rows, p->p.cols}, nullptr};
			tiny_source(nullptr, &spec, 0, p->p.rows, host.data(), nullptr);
			for (float &x : host)
				x *= scale;
			dev->k->upload(dev, p->p, host.data());
		}
	}

	/* Gradients of one step over all rows, under these options. */
	std::vector<float> gradients(struct trainee *t, const TrainRows &data, const struct batch_limits &limits,
				     bool checkpointing = false, uint64_t step = 1)
	{
		struct err err = {};
		struct batch batch;
		EXPECT_EQ(batch_init(&batch, data.rows.data(), data.rows.size(), &limits, &err), 0) << err.message;
		const struct pass_trained trained = {t->adapter, t->full};
		struct pass_limits need = batch.need;
		need.checkpointing = checkpointing;
		struct pass *pass = pass_new(t->model, &trained, &need, &err);
		EXPECT_NE(pass, nullptr) << err.message;
		std::vector<size_t> order(data.rows.size());
		for (size_t i = 0; i < order.size(); i++)
			order[i] = i;
		float weight = 1.0f / (float)batch_targets(data.rows.data(), order.data(), order.size());
		std::vector<float> logp((size_t)need.targets);
		parameters_zero(&t->params);
		calls = 0;
		for (size_t done = 0; pass && done < order.size(); calls++) {
			done += batch_fill(&batch, data.rows.data(), order.data() + done, order.size() - done, &limits, weight);
			batch.rows.seed = 9, batch.rows.step = step;
			EXPECT_EQ(pass_run(pass, &batch.rows, logp.data(), &err), 0) << err.message;
		}
		pass_free(pass);
		batch_release(&batch);
		return read(t->params.g);
	}
	int calls = 0;

	std::string train(struct trainee *t, const TrainRows &data, const struct train_options &options,
			  const std::string &folder, const char *dump = nullptr)
	{
		struct err err = {};
		struct train_files files = {};
		struct train_result result;
		files.directory = folder.c_str(), files.dump_gradients = dump;
		int rc = student_train(t, data.rows.data(), data.rows.size(), &options, &files, &result, &err);
		return rc ? std::to_string(err.code) + ": " + err.message : "";
	}
};

INSTANTIATE_TEST_SUITE_P(Linked, Train, ::testing::ValuesIn(linked_backends()), linked_name);

static double norm(const std::vector<float> &x)
{
	double sum = 0;
	for (float v : x)
		sum += (double)v * v;
	return std::sqrt(sum);
}

/* |a - b| / |b| over all numbers. */
static double difference(const std::vector<float> &a, const std::vector<float> &b)
{
	double sum = 0;
	EXPECT_EQ(a.size(), b.size());
	for (size_t i = 0; i < a.size() && i < b.size(); i++)
		sum += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
	return std::sqrt(sum) / (norm(b) + 1e-30);
}

/* ---- golden values --------------------------------------------------------------------- */

/* Lines "TAG WHAT [NAME] numbers" of training.txt. */
static std::map<std::string, std::vector<double>> golden(const std::string &tag)
{
	std::map<std::string, std::vector<double>> out;
	std::ifstream file(std::string(getenv("TEST_SRCDIR") ? getenv("TEST_SRCDIR") : ".") + "/tests/golden/training.txt");
	for (std::string line; std::getline(file, line);) {
		std::istringstream words(line);
		std::string first, what, name;
		words >> first >> what;
		if (first != tag)
			continue;
		if (what == "gradient" || what == "final")
			words >> name;
		out[name.empty() ? what : what + " " + name] = {std::istream_iterator<double>(words), {}};
	}
	return out;
}

/* The tensor's norm and its product with the probe, as the script has them. */
static void expect_tensor(const std::vector<float> &got, const struct parameter &p, const std::vector<double> &want,
			  double tolerance)
{
	std::string name = std::string("probe.") + p.name;
	struct tensor_spec spec = {name.c_str(), DTYPE_F32, p.vector ? 1 : 2, {p.vector ? p.p.cols : p.p.rows, p.p.cols}, nullptr};
	std::vector<float> probe(got.size());
	tiny_source(nullptr, &spec, 0, p.vector ? p.p.cols : p.p.rows, probe.data(), nullptr);
	double product = 0;
	for (size_t i = 0; i < got.size(); i++)
		product += (double)got[i] * probe[i];
	ASSERT_EQ(want.size(), 2u) << p.name;
	EXPECT_NEAR(norm(got), want[0], tolerance * want[0]) << p.name;
	EXPECT_NEAR(product, want[1], tolerance * want[0] * norm(probe)) << p.name;
}

struct GoldenCase {
	const char *tag;
	unsigned targets; /* 0: full */
	size_t tensors;
};

/* f32: gradients within 1e-4 of each tensor's norm, losses and what is left after 20 steps likewise. */
TEST_P(Train, TwentyStepsEqualTorch)
{
	const double tolerance = 1e-4;
	for (const GoldenCase &c : {GoldenCase{"qv", QV, 8}, GoldenCase{"all", TARGETS_ALL_LINEAR, 28}, GoldenCase{"full", 0, 20}}) {
		auto want = golden(c.tag);
		ASSERT_EQ(want["loss"].size(), 20u) << c.tag;
		TinyCheckpoint checkpoint({});
		struct model *model = load(checkpoint);
		struct train_kind kind = lora_kind(c.targets);
		kind.full = !c.targets;
		struct trainee t;
		struct err err = {};
		ASSERT_EQ(trainee_open(&t, model, &kind, &err), 0) << err.message;
		ASSERT_EQ(t.params.n, c.tensors);
		if (c.targets)
			set_values(&t, 0.25f);
		TrainRows data;
		Temporary folder;
		struct train_options options = options_of_golden();
		options.learning_rate = c.targets ? 5e-3 : 1e-3;
		ASSERT_EQ(train(&t, data, options, folder.path, (folder / "g").c_str()), "");
		std::ifstream log(folder / "trainer_log.jsonl");
		size_t step = 0;
		for (std::string line; std::getline(log, line); step++) {
			double loss = atof(line.c_str() + line.find("\"loss\":") + 7);
			double norm = atof(line.c_str() + line.find("\"grad_norm\":") + 12);
			EXPECT_NEAR(loss, want["loss"][step], tolerance * want["loss"][step]) << c.tag << " step " << step + 1;
			EXPECT_NEAR(norm, want["norm"][step], 4 * tolerance * want["norm"][step]) << c.tag << " step " << step + 1;
		}
		EXPECT_EQ(step, 20u);
		for (size_t i = 0; i < t.params.n; i++)
			expect_tensor(read(t.params.list[i].p), t.params.list[i], want[std::string("final ") + t.params.list[i].name], tolerance);
		ASSERT_EQ(parameters_load(&t.params, PARAMETER_GRADIENTS, (folder / "g").c_str(), &err), 0) << err.message;
		for (size_t i = 0; i < t.params.n; i++)
			expect_tensor(read(t.params.list[i].g), t.params.list[i], want[std::string("gradient ") + t.params.list[i].name], tolerance);
		trainee_close(&t);
		model_free(model);
	}
}

/* ---- the same gradient however it is computed ---------------------------------------------- */

/* f32 sums of a few hundred terms in another order. */
static const double reordered = 2e-5;

struct Cut {
	int64_t per_call, tokens, prefix;
	int calls;
};

/* A step of six rows as one call, as six, packed and not, the instruction shared or repeated; with and without dropout. */
TEST_P(Train, AnySplitGivesTheSameGradient)
{
	for (double dropout : {-1.0, 0.0, 0.25}) { /* below 0: full fine-tuning */
		bool full = dropout < 0;
		TinyConfig config;
		config.window = full ? 0 : 7;
		config.architecture = full ? "LlamaForCausalLM" : "MistralForCausalLM";
		config.type = full ? "llama" : "mistral";
		TinyCheckpoint checkpoint(config);
		struct model *model = load(checkpoint);
		struct train_kind kind = lora_kind(TARGETS_ALL_LINEAR, 4, dropout);
		kind.full = full;
		struct trainee t;
		struct err err = {};
		ASSERT_EQ(trainee_open(&t, model, &kind, &err), 0) << err.message;
		if (!full)
			set_values(&t, 0.5f);
		TrainRows data;
		int64_t common = batch_common_prefix(data.rows.data(), data.rows.size());
		ASSERT_EQ(common, 5);
		struct batch_limits alone = {1, 1, 0, common};
		std::vector<float> want = gradients(&t, data, alone);
		ASSERT_EQ(calls, 6);
		ASSERT_GT(norm(want), 1e-3);
		for (const Cut &c : {Cut{8, 512, 0, 1}, Cut{8, 512, 5, 1}, Cut{3, 512, 5, 2}, Cut{8, 32, 5, 4}, Cut{1, 512, 5, 6}}) {
			struct batch_limits limits = {c.per_call, c.tokens, c.prefix, common};
			EXPECT_LT(difference(gradients(&t, data, limits), want), reordered) << c.per_call << " " << c.tokens << " " << c.prefix;
			EXPECT_EQ(calls, c.calls) << c.per_call << " " << c.tokens << " " << c.prefix;
			EXPECT_EQ(gradients(&t, data, limits), gradients(&t, data, limits, true)) << "checkpointing";
		}
		if (dropout > 0) { /* the masks are those of the step */
			EXPECT_GT(difference(gradients(&t, data, alone, false, 2), want), 0.01);
		}
		trainee_close(&t);
		model_free(model);
	}
}

/* Gradients and dropout masks of this device against the reference: all target sets that take another path. */
TEST_P(Train, GradientsEqualTheReference)
{
	struct Case {
		unsigned targets;
		int64_t r;
		double dropout;
		enum dtype dtype;
		TinyConfig config;
	};
	TinyConfig qwen3, qwen2, untied;
	qwen3.architecture = "Qwen3ForCausalLM", qwen3.type = "qwen3", qwen3.qk_norm = true;
	qwen2.architecture = "Qwen2ForCausalLM", qwen2.type = "qwen2", qwen2.qkv_bias = true;
	untied.tied = false, untied.heads = 8;
	const Case cases[] = {
		{QV, 1, 0, DTYPE_F32, {}}, {QV, 8, 0.1, DTYPE_BF16, {}}, {TARGETS_ALL_LINEAR, 16, 0.1, DTYPE_F32, qwen2},
		{TARGETS_ALL_LINEAR, 64, 0, DTYPE_F32, untied}, {1u << MODULE_O, 5, 0.1, DTYPE_F32, qwen3},
		{1u << MODULE_DOWN, 7, 0.1, DTYPE_F32, {}}, {1u << MODULE_K | 1u << MODULE_GATE, 4, 0, DTYPE_BF16, qwen3},
		{1u << MODULE_UP, 2, 0, DTYPE_F32, untied}, {0, 1, 0, DTYPE_F32, qwen3}, {0, 1, 0, DTYPE_BF16, untied},
		{0, 1, 0, DTYPE_F32, qwen2},
	};
	struct device *own = dev, *reference = device_reference_new();
	for (const Case &c : cases) {
		std::vector<float> got[2];
		for (int side = 0; side < 2; side++) {
			dev = side ? reference : own;
			TinyCheckpoint checkpoint(c.config);
			struct model *model = load(checkpoint, c.dtype);
			struct train_kind kind = lora_kind(c.targets, c.r, c.dropout);
			kind.full = !c.targets;
			struct trainee t;
			struct err err = {};
			ASSERT_EQ(trainee_open(&t, model, &kind, &err), 0) << err.message;
			if (c.targets)
				set_values(&t, 0.5f);
			TrainRows data;
			struct batch_limits limits = {4, 64, 5, 5};
			got[side] = gradients(&t, data, limits);
			trainee_close(&t);
			model_free(model);
		}
		dev = own;
		EXPECT_GT(norm(got[1]), 1e-4);
		EXPECT_LT(difference(got[0], got[1]), reordered) << "targets " << c.targets << " rank " << c.r;
	}
	device_reference_free(reference);
}

/* ---- schedules ------------------------------------------------------------------------------- */

TEST(TrainRate, FollowsTheSchedules)
{
	struct train_options o = train_defaults;
	o.learning_rate = 1;
	EXPECT_DOUBLE_EQ(train_rate(&o, 1, 10), 1);
	EXPECT_DOUBLE_EQ(train_rate(&o, 10, 10), 0.1);
	o.warmup_ratio = 0.15; /* ceil(1.5) = 2 steps */
	EXPECT_DOUBLE_EQ(train_rate(&o, 1, 10), 0);
	EXPECT_DOUBLE_EQ(train_rate(&o, 2, 10), 0.5);
	EXPECT_DOUBLE_EQ(train_rate(&o, 3, 10), 1);
	EXPECT_DOUBLE_EQ(train_rate(&o, 7, 10), 0.5);
	o.lr_scheduler_type = SCHEDULE_COSINE;
	EXPECT_DOUBLE_EQ(train_rate(&o, 7, 10), 0.5);
	EXPECT_NEAR(train_rate(&o, 5, 10), (1 + std::cos(M_PI / 4)) / 2, 1e-15);
	o.lr_scheduler_type = SCHEDULE_CONSTANT;
	EXPECT_DOUBLE_EQ(train_rate(&o, 10, 10), 1);
	EXPECT_EQ(train_steps(&o, 33), 8 * 3);
}

/* The names in the log of a training of single rows are the order in which it took them. */
TEST_P(Train, EveryEpochTakesEveryRowOnceInItsOwnOrder)
{
	TinyCheckpoint checkpoint({});
	struct model *model = load(checkpoint);
	struct train_kind kind = lora_kind(QV);
	struct trainee t;
	struct err err = {};
	Temporary folder;
	ASSERT_EQ(trainee_open(&t, model, &kind, &err), 0) << err.message;
	const std::vector<std::string> names = {"a", "b", "c", "d", "e", "f", "g"};
	TrainRows data(names.size());
	for (size_t i = 0; i < names.size(); i++)
		data.rows[i].domain = names[i].c_str();
	struct train_options options = options_of_golden();
	options.shuffle = true, options.per_device_train_batch_size = 1, options.num_train_epochs = 2;
	ASSERT_EQ(train(&t, data, options, folder.path), "");
	std::ifstream log(folder / "trainer_log.jsonl");
	std::vector<std::string> taken;
	const std::string key = "\"domain_loss\":{\"";
	for (std::string line; std::getline(log, line);) {
		size_t at = line.find(key);
		ASSERT_NE(at, std::string::npos) << line;
		at += key.size();
		taken.push_back(line.substr(at, line.find('"', at) - at));
	}
	ASSERT_EQ(taken.size(), 2 * names.size());
	std::vector<std::string> first(taken.begin(), taken.begin() + 7), second(taken.begin() + 7, taken.end());
	EXPECT_NE(first, second);
	for (std::vector<std::string> epoch : {first, second}) {
		std::sort(epoch.begin(), epoch.end());
		EXPECT_EQ(epoch, names);
	}
	trainee_close(&t);
	model_free(model);
}

/* Masks are drawn anew in every step, and with the seed: at a rate of 0 nothing else changes the loss of a row. */
TEST_P(Train, DropoutIsDrawnAnewInEveryStep)
{
	std::vector<double> losses;
	for (uint64_t seed : {1, 2}) {
		TinyCheckpoint checkpoint({});
		struct model *model = load(checkpoint);
		struct train_kind kind = lora_kind(QV, 4, 0.5);
		struct trainee t;
		struct err err = {};
		Temporary folder;
		ASSERT_EQ(trainee_open(&t, model, &kind, &err), 0) << err.message;
		set_values(&t, 0.5f);
		TrainRows data(1);
		struct train_options options = options_of_golden();
		options.learning_rate = 0, options.num_train_epochs = 2, options.seed = seed;
		ASSERT_EQ(train(&t, data, options, folder.path), "");
		std::ifstream log(folder / "trainer_log.jsonl");
		for (std::string line; std::getline(log, line);)
			losses.push_back(atof(line.c_str() + line.find("\"loss\":") + 7));
		trainee_close(&t);
		model_free(model);
	}
	ASSERT_EQ(losses.size(), 4u);
	EXPECT_NE(losses[0], losses[1]) << "the step's";
	EXPECT_NE(losses[0], losses[2]) << "the seed's";
}

/* ---- adapters in and out ------------------------------------------------------------------------ */

TEST_P(Train, AnAdapterIsReadAsItWasWritten)
{
	TinyCheckpoint checkpoint({});
	struct model *model = load(checkpoint);
	struct train_kind kind = lora_kind(QV, 4, 0.1);
	struct trainee t;
	struct err err = {};
	Temporary folder;
	ASSERT_EQ(trainee_open(&t, model, &kind, &err), 0) << err.message;
	std::vector<float> a = read(t.params.list[0].p), b = read(t.params.list[1].p);
	EXPECT_EQ(norm(b), 0);
	double bound = 1 / std::sqrt(32.0), most = 0;
	for (float x : a)
		most = std::max(most, (double)std::fabs(x));
	EXPECT_LE(most, bound);
	EXPECT_GT(most, 0.9 * bound);
	set_values(&t, 0.5f);
	ASSERT_EQ(adapter_save(t.adapter, folder.path.c_str(), "base", &err), 0) << err.message;
	EXPECT_EQ(folder.files(), (std::vector<std::string>{"adapter_config.json", "adapter_model.safetensors"}));
	kind.init_adapter = folder.path.c_str();
	struct trainee u;
	ASSERT_EQ(trainee_open(&u, model, &kind, &err), 0) << err.message;
	EXPECT_EQ(u.adapter->config.r, 4);
	EXPECT_EQ(u.adapter->config.alpha, 6);
	EXPECT_EQ(u.adapter->config.targets, QV);
	ASSERT_EQ(u.params.n, t.params.n);
	for (size_t i = 0; i < t.params.n; i++)
		EXPECT_EQ(read(u.params.list[i].p), read(t.params.list[i].p)) << t.params.list[i].name;
	trainee_close(&u);
	trainee_close(&t);
	model_free(model);
}

/* Whatever would change the arithmetic is refused by the name of its key; so are tensors that do not fit. */
TEST_P(Train, RefusesAdaptersItCannotRun)
{
	TinyCheckpoint checkpoint({});
	struct model *model = load(checkpoint);
	struct train_kind kind = lora_kind(QV, 4);
	struct trainee t;
	struct err err = {};
	Temporary folder;
	ASSERT_EQ(trainee_open(&t, model, &kind, &err), 0) << err.message;
	ASSERT_EQ(adapter_save(t.adapter, folder.path.c_str(), "base", &err), 0) << err.message;
	trainee_close(&t);
	const std::string good = read_file(folder / "adapter_config.json");
	const struct {
		const char *from, *to, *says;
	} cases[] = {
		{"\"LORA\"", "\"IA3\"", "peft_type"},
		{"\"bias\": \"none\"", "\"bias\": \"all\"", "bias"},
		{"\"fan_in_fan_out\": false", "\"fan_in_fan_out\": true", "fan_in_fan_out"},
		{"\"modules_to_save\": null", "\"modules_to_save\": [\"lm_head\"]", "modules_to_save"},
		{"\"revision\": null", "\"use_dora\": true", "use_dora"},
		{"\"revision\": null", "\"rank_pattern\": {\"q_proj\": 2}", "rank_pattern"},
		{"\"revision\": null", "\"layers_to_transform\": [1]", "layers_to_transform"},
		{"\"revision\": null", "\"some_new_key\": 3", "some_new_key"},
		{"\"init_lora_weights\": true", "\"init_lora_weights\": \"pissa\"", "init_lora_weights"},
		{"\"r\": 4", "\"r\": 0", "'r'"},
		{"\"r\": 4", "\"r\": 4096", "'r'"},
		{"\"r\": 4", "\"r\": 5", "lora_A.weight' has shape [4, 32]"},
		{"\"lora_alpha\": 6", "\"lora_alpha\": -6", "lora_alpha"},
		{"\"lora_dropout\": 0", "\"lora_dropout\": 1", "lora_dropout"},
		{"\"q_proj\"", "\".*q_proj\"", "target_modules"},
		{"\"q_proj\",", "\"q_proj\", \"k_proj\",", "k_proj.lora_A.weight' is missing"},
		{"\"q_proj\",", "", "self_attn.q_proj.lora_A.weight' has no place"},
		{"\"q_proj\",", "\"model.layers.0.self_attn.q_proj\",", "1 of the model's 2 layers"},
		{"\"q_proj\",", "\"model.layers.1.self_attn.q_proj\",", "of layer 1 than of layer 0"},
		{"\"q_proj\",", "\"model.layers.0.mlp.q_proj\",", "layers.0.mlp.q_proj"},
		{"\"q_proj\",", "\"model.layers.00.self_attn.q_proj\",", "layers.00"},
		{"\"q_proj\",", "\"model.layers.1024.self_attn.q_proj\",", "layers.1024"},
	};
	for (const auto &c : cases) {
		std::string text = good;
		size_t at = text.find(c.from);
		ASSERT_NE(at, std::string::npos) << c.from << " in " << good;
		write_file(folder / "adapter_config.json", text.replace(at, strlen(c.from), c.to));
		EXPECT_EQ(adapter_load(model, folder.path.c_str(), &err), nullptr) << c.to;
		EXPECT_EQ(err.code, ERR_DATA) << err.message;
		EXPECT_NE(std::string(err.message).find(c.says), std::string::npos) << c.to << ": " << err.message;
	}
	const struct {
		const char *from, *to;
	} same[] = {
		{"", ""},
		{"\"init_lora_weights\": true", "\"init_lora_weights\": \"eva\""},
		{"\"init_lora_weights\": true", "\"init_lora_weights\": \"orthogonal\""},
		{"\"q_proj\",", "\"model.layers.1.self_attn.q_proj\", \"model.layers.0.self_attn.q_proj\","},
	};
	for (const auto &c : same) {
		std::string text = good;
		write_file(folder / "adapter_config.json", text.replace(text.find(c.from), strlen(c.from), c.to));
		struct adapter *adapter = adapter_load(model, folder.path.c_str(), &err);
		EXPECT_NE(adapter, nullptr) << c.to << ": " << err.message;
		adapter_free(adapter);
	}
	std::filesystem::remove(folder / "adapter_model.safetensors");
	EXPECT_EQ(adapter_load(model, folder.path.c_str(), &err), nullptr);
	EXPECT_EQ(err.code, ERR_DATA) << err.message;
	model_free(model);
}

/* ---- interruptions -------------------------------------------------------------------------------- */

static std::string all_values(struct trainee *t)
{
	Temporary folder;
	struct err err = {};
	EXPECT_EQ(parameters_save(&t->params, PARAMETER_VALUES, (folder / "v").c_str(), &err), 0) << err.message;
	return read_file(folder / "v");
}

/* trainer_log.jsonl without its clock. */
static std::string log_of(const std::string &folder)
{
	std::string text = read_file(folder + "/trainer_log.jsonl"), out;
	for (size_t at = 0, end; at < text.size(); at = end) {
		end = text.find('\n', at) + 1;
		size_t clock = text.find("\"tokens_per_second\":", at), stop = text.find_first_of(",}", clock);
		out += text.substr(at, clock - at) + text.substr(stop, end - stop);
	}
	return out;
}

/* One training of seven rows, fifteen steps, as a process of its own would do it. */
struct Job {
	struct train_options options = options_of_golden();
	struct train_kind kind = lora_kind(QV, 4, 0.1);
	TrainRows data{7};
	int64_t resumed_from = -1; /* of the last run */
	bool restart = false;

	Job() { options.shuffle = true, options.save_steps = 3, options.num_train_epochs = 5; }

	/* The final values as a file's bytes, or "CODE: MESSAGE". */
	std::string run(struct device *dev, const char *checkpoint, const std::string &folder)
	{
		struct model_options how = {};
		struct err err = {};
		struct trainee t;
		struct train_files files = {};
		struct train_result result;
		struct model *model = model_load(checkpoint, dev, &how, &err);
		if (!model || trainee_open(&t, model, &kind, &err))
			return err.message;
		files.directory = folder.empty() ? nullptr : folder.c_str();
		files.restart = restart;
		int rc = student_train(&t, data.rows.data(), data.rows.size(), &options, &files, &result, &err);
		std::string out = rc ? std::to_string(err.code) + ": " + err.message : all_values(&t);
		resumed_from = rc ? -1 : result.resumed_from;
		trainee_close(&t);
		model_free(model);
		return out;
	}
};

class Interrupted : public Train {
protected:
	Job job;

	std::string run(const TinyCheckpoint &checkpoint, const std::string &folder)
	{
		return job.run(dev, checkpoint.path(), folder);
	}

	/* This program again, as a child that only trains: a fork alone would inherit threads that are not there. */
	pid_t start(const TinyCheckpoint &checkpoint, const std::string &folder)
	{
		pid_t child = fork();
		if (child)
			return child;
		setenv("TRAIN_TEST_BACKEND", is_reference() ? "" : GetParam()->name, 1);
		setenv("TRAIN_TEST_CHECKPOINT", checkpoint.path(), 1);
		setenv("TRAIN_TEST_FOLDER", folder.c_str(), 1);
		execl("/proc/self/exe", "train_test", (char *)nullptr);
		_exit(127);
	}
};

static int child_main()
{
	struct device_options options = {2, false, DTYPE_F32};
	struct err err = {};
	for (const struct backend *backend : linked_backends()) {
		if (strcmp(backend ? backend->name : "", getenv("TRAIN_TEST_BACKEND")))
			continue;
		struct device *dev = backend ? backend->open(&options, &err) : device_reference_new();
		std::string out = Job().run(dev, getenv("TRAIN_TEST_CHECKPOINT"), getenv("TRAIN_TEST_FOLDER"));
		return out.size() > 1000 ? 0 : 1;
	}
	return 1;
}

int main(int argc, char **argv)
{
	if (getenv("TRAIN_TEST_FOLDER"))
		return child_main();
	testing::InitGoogleTest(&argc, argv);
	return RUN_ALL_TESTS();
}

INSTANTIATE_TEST_SUITE_P(Linked, Interrupted, ::testing::ValuesIn(linked_backends()), linked_name);

/*
 * Stop after `steps` lines of the log are there: by SIGKILL, from outside, at a moment nobody chose. False: it had ended
 * by itself.
 */
static bool kill_after(pid_t child, const std::string &folder, int steps)
{
	int status = 0;
	for (int tries = 0; tries < 20000; tries++) {
		std::ifstream log(folder + "/trainer_log.jsonl");
		int lines = 0;
		for (std::string line; std::getline(log, line);)
			lines++;
		if (lines >= steps)
			break;
		if (waitpid(child, &status, WNOHANG) == child)
			return false;
		usleep(200);
	}
	kill(child, SIGKILL);
	return waitpid(child, &status, 0) == child && WIFSIGNALED(status);
}

TEST_P(Interrupted, AKilledTrainingEndsWithTheSameBytes)
{
	TinyCheckpoint checkpoint({});
	Temporary whole;
	std::string want = run(checkpoint, whole.path), log = log_of(whole.path);
	ASSERT_GT(want.size(), 1000u) << want;
	ASSERT_EQ(std::count(log.begin(), log.end(), '\n'), 15);
	const char *longer = getenv("TEST_LONG");
	int rounds = longer && *longer ? 100 : 10; /* of two kills */
	int killed = 0, resumed = 0;
	for (int round = 0; round < rounds; round++) {
		Temporary folder;
		for (int stop : {1 + round % 8, 8 + round % 7})
			killed += kill_after(start(checkpoint, folder.path), folder.path, stop);
		EXPECT_EQ(run(checkpoint, folder.path), want) << "round " << round;
		EXPECT_EQ(log_of(folder.path), log) << "round " << round;
		resumed += job.resumed_from > 0;
	}
	/* A child that ended by itself, or one that begins again, would leave the same bytes. */
	EXPECT_GT(killed, rounds) << "of " << 2 * rounds;
	EXPECT_GT(resumed, rounds / 2) << "of " << rounds;
}

TEST_P(Interrupted, WithoutADirectoryNothingIsKept)
{
	TinyCheckpoint checkpoint({});
	Temporary whole;
	std::string want = run(checkpoint, whole.path);
	ASSERT_GT(want.size(), 1000u) << want;
	for (int i = 0; i < 2; i++) {
		EXPECT_EQ(run(checkpoint, ""), want);
		EXPECT_EQ(job.resumed_from, 0);
	}
}

TEST_P(Interrupted, ADamagedCheckpointIsPassedOver)
{
	TinyCheckpoint checkpoint({});
	Temporary whole, folder;
	std::string want = run(checkpoint, whole.path);
	EXPECT_EQ(run(checkpoint, folder.path), want);
	ASSERT_EQ(folder.files(), (std::vector<std::string>{"checkpoint-12", "checkpoint-15", "trainer_log.jsonl"}));
	for (const char *file : {"values.safetensors", "moments.safetensors", "state.json", "manifest.json"}) {
		std::string path = folder / ("checkpoint-15/" + std::string(file)), bytes = read_file(path);
		bytes[bytes.size() / 2] ^= 1;
		write_file(path, bytes);
		EXPECT_EQ(run(checkpoint, folder.path), want) << file;
		std::filesystem::remove(folder / ("checkpoint-15/" + std::string(file)));
		EXPECT_EQ(run(checkpoint, folder.path), want) << file << " removed";
	}
	std::filesystem::create_directory(folder / "checkpoint-16.tmp");
	write_file(folder / "checkpoint-16.tmp/values.safetensors", "half");
	EXPECT_EQ(run(checkpoint, folder.path), want);
	struct train_files files = {};
	struct err err = {};
	files.directory = folder.path.c_str();
	ASSERT_EQ(train_finish(&files, &err), 0) << err.message;
	EXPECT_EQ(folder.files(), std::vector<std::string>{"trainer_log.jsonl"});
}

/* A run may go on with other threads: what was begun with others is trained again, and leaves nothing. */
TEST_P(Interrupted, AnotherTrainingsCheckpointIsBegunAnew)
{
	TinyCheckpoint checkpoint({});
	Temporary whole, folder;
	std::string want = run(checkpoint, whole.path);
	job.options.num_train_epochs = 9;
	run(checkpoint, folder.path);
	job.options.num_train_epochs = 5;
	job.restart = true;
	EXPECT_EQ(run(checkpoint, folder.path), want);
	EXPECT_EQ(job.resumed_from, 0);
	EXPECT_EQ(log_of(folder.path), log_of(whole.path));
	EXPECT_EQ(folder.files(), whole.files());
	EXPECT_EQ(run(checkpoint, folder.path), want);
	EXPECT_EQ(job.resumed_from, 15) << "its own are gone on with";
}

TEST_P(Train, FullFineTuningIsBoundBeforeItTakesAnything)
{
	struct model_options how = {};
	struct err err = {};
	struct train_kind kind = {};
	struct trainee t;
	TinyCheckpoint checkpoint({});
	struct model *model = model_load(checkpoint.path(), dev, &how, &err);
	ASSERT_NE(model, nullptr) << err.message;
	size_t before = dev->allocated;
	kind.full = true;
	kind.memory = model->stored + dev->prepared + full_bytes(model) - 1;
	EXPECT_EQ(trainee_open(&t, model, &kind, &err), -1);
	EXPECT_EQ(err.code, ERR_MEMORY);
	EXPECT_EQ(dev->allocated, before);
	kind.memory++;
	ASSERT_EQ(trainee_open(&t, model, &kind, &err), 0) << err.message;
	EXPECT_EQ(full_bytes(model), parameters_bytes((uint64_t)t.params.total));
	trainee_close(&t);
	model_free(model);
}

TEST_P(Interrupted, AnotherTrainingsCheckpointIsRefused)
{
	TinyCheckpoint checkpoint({});
	Temporary folder;
	run(checkpoint, folder.path);
	job.options.learning_rate *= 2;
	EXPECT_EQ(run(checkpoint, folder.path).substr(0, 4), "73: ");
	job.options.learning_rate /= 2;
	const train_options planned = job.options;
	for (void (*change)(train_options *) : std::initializer_list<void (*)(train_options *)>{
		     [](train_options *o) { o->weight_decay += 0.01; }, [](train_options *o) { o->warmup_ratio += 0.1; },
		     [](train_options *o) { o->max_grad_norm += 1; }, [](train_options *o) { o->seed++; },
		     [](train_options *o) { o->num_train_epochs++; }, [](train_options *o) { o->shuffle = !o->shuffle; },
		     [](train_options *o) { o->per_device_train_batch_size++; },
		     [](train_options *o) { o->gradient_accumulation_steps++; }, [](train_options *o) { o->tokens++; },
		     [](train_options *o) { o->lr_scheduler_type = (schedule)(o->lr_scheduler_type + 1); }}) {
		change(&job.options);
		EXPECT_EQ(run(checkpoint, folder.path).substr(0, 4), "73: ");
		job.options = planned;
	}
	job.data.ids[0][2]++; /* one token of one row */
	EXPECT_EQ(run(checkpoint, folder.path).substr(0, 4), "73: ");
	EXPECT_EQ(folder.files(), (std::vector<std::string>{"checkpoint-12", "checkpoint-15", "trainer_log.jsonl"}));
}

TEST_P(Interrupted, ALossThatIsNotFiniteStops)
{
	TinyCheckpoint checkpoint({});
	Temporary folder;
	job.options.learning_rate = 1e30, job.options.max_grad_norm = 0;
	std::string failure = run(checkpoint, folder.path);
	EXPECT_EQ(failure.substr(0, 4), "83: ") << failure;
	EXPECT_NE(failure.find("step "), std::string::npos) << failure;
	EXPECT_NE(failure.find("lines "), std::string::npos) << failure;
}

/* A hundred steps of a language whose next token follows from the last: everything has to work for this. */
TEST_P(Train, LearnsAToyLanguageFromRandomWeights)
{
	TinyConfig config;
	config.vocab = 13, config.hidden = 16, config.ffn = 32, config.heads = 2, config.kv_heads = 1;
	TinyCheckpoint checkpoint(config);
	struct model *model = load(checkpoint);
	struct train_kind kind = {};
	kind.full = true;
	struct trainee t;
	struct err err = {};
	ASSERT_EQ(trainee_open(&t, model, &kind, &err), 0) << err.message;
	TrainRows data(16, 13);
	for (size_t i = 0; i < data.ids.size(); i++) {
		data.rows[i].first_target = 1;
		for (size_t j = 1; j < data.ids[i].size(); j++)
			data.ids[i][j] = (data.ids[i][j - 1] * 5 + 3) % 13;
	}
	struct train_options options = train_defaults;
	options.learning_rate = 1e-2, options.num_train_epochs = 100;
	Temporary folder;
	struct train_files files = {};
	struct train_result result;
	files.directory = folder.path.c_str();
	ASSERT_EQ(student_train(&t, data.rows.data(), data.rows.size(), &options, &files, &result, &err), 0) << err.message;
	EXPECT_GT(result.first_loss, 1.0);
	EXPECT_LT(result.last_loss, 0.1);
	trainee_close(&t);
	model_free(model);
}
