// SPDX-License-Identifier: Apache-2.0
/*
 * The student against itself, on every device: what packing, a shared prefix,
 * slots, pages and kept log-probabilities save must not change what comes out.
 * The naive side runs one row at a time from its first token, with none of it.
 */
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <numeric>
#include <sstream>

#include "src/model/forward.h"
#include "src/student/generate.h"
#include "src/student/score.h"
#include "src/student/student.h"
#include "tests/linked_device.h"
#include "tests/tiny_checkpoint.h"

/* f32, sums of at most a few hundred terms through a few layers: |a - b| <= 2e-5 on log-probabilities. */
static const double tolerance = 2e-5;

using Ids = std::vector<int32_t>;

static Ids random_ids(uint32_t stream, int64_t n, int64_t vocab)
{
	Ids ids((size_t)n);
	struct philox_key key = philox_stream(3, PHILOX_SHUFFLE, stream, 0, 0);
	for (int64_t i = 0; i < n; i++)
		ids[(size_t)i] = (int32_t)(3 + philox_at(key, (uint32_t)i, 0).w[0] % (uint32_t)(vocab - 3));
	return ids;
}

static Ids joined(Ids a, const Ids &b)
{
	a.insert(a.end(), b.begin(), b.end());
	return a;
}

/* ---- conversations --------------------------------------------------------- */

static Ids list_of(const struct token_list &list)
{
	return Ids(list.ids, list.ids + list.n);
}

/* A tokenizer of tests/golden as a model directory's. */
struct TextOnly {
	Temporary dir;
	struct err err = {};
	struct student *student = nullptr;

	TextOnly(const char *tokenizer, const char *bos, const char *eos, const char *family)
	{
		const char *root = getenv("TEST_SRCDIR");
		std::ifstream in(std::string(root ? root : ".") + "/tests/golden/tokenizers/" + tokenizer);
		std::ofstream(dir / "tokenizer.json") << in.rdbuf();
		std::ofstream(dir / "tokenizer_config.json")
			<< "{\"bos_token\": \"" << bos << "\", \"eos_token\": \"" << eos << "\"}";
		struct student_options options = {};
		options.directory = dir.path.c_str(), options.chat_template = family, options.text_only = true;
		student = student_open(&options, &err);
	}
	~TextOnly() { student_close(student); }
};

/* What precedes the targets in training is what generation is given; with SentencePiece both are the whole text's ids. */
TEST(Conversation, TrainingBeginsWhereGenerationDoes)
{
	for (const char *family : {"chatml", "llama2", "llama3", "mistral", "zephyr"}) {
		TextOnly there("llama2.json", "<s>", "</s>", family);
		ASSERT_NE(there.student, nullptr) << there.err.message;
		struct chat_message messages[] = {{"user", "the oil", 7}, {"assistant", "oil prices", 10}};
		struct example_text asked = {}, answered = {};
		asked.messages = answered.messages = messages;
		asked.messages_n = 1, answered.messages_n = 2;
		answered.completion = "oil prices", answered.completion_n = 10;
		struct example_ids prompt = {}, both = {};
		ASSERT_EQ(example_encode(there.student, &asked, &prompt, &there.err), 0) << there.err.message;
		ASSERT_EQ(example_encode(there.student, &answered, &both, &there.err), 0) << there.err.message;
		EXPECT_EQ(list_of(both.prompt), list_of(prompt.prompt)) << family;
		struct chat_text text;
		struct token_list whole = {};
		ASSERT_EQ(chat_render(&text, &there.student->chat, messages, 2, false, &there.err), 0);
		ASSERT_EQ(encoder_encode(there.student->encoder, &whole, text.bytes, text.answers[0].stop, false, &there.err), 0);
		if (!strcmp(family, "llama2")) {
			EXPECT_EQ(joined(list_of(both.prompt), list_of(both.target)), list_of(whole));
		}
		token_list_release(&whole);
		chat_text_release(&text);
		example_release(&prompt);
		example_release(&both);
	}
}

/* Sets written for trainers that append no end token spell it: it is there once. */
TEST(Completion, EndsOnce)
{
	TextOnly there("llama2.json", "<s>", "</s>", "none");
	ASSERT_NE(there.student, nullptr) << there.err.message;
	std::vector<std::vector<int32_t>> targets;
	for (const char *completion : {"oil prices", "oil prices</s>"}) {
		struct example_text text = {};
		struct example_ids ids = {};
		text.prompt = "the ", text.prompt_n = 4;
		text.completion = completion, text.completion_n = strlen(completion);
		ASSERT_EQ(example_encode(there.student, &text, &ids, &there.err), 0) << there.err.message;
		targets.push_back(list_of(ids.target));
		example_release(&ids);
	}
	EXPECT_EQ(targets[0], targets[1]);
	EXPECT_EQ(targets[0].back(), there.student->eos);
}

class Student : public OnDevice {
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

	/* log p(ids[t + 1] | ids[0 … t]) of one sequence alone. */
	std::vector<float> naive_logp(struct model *model, const Ids &ids)
	{
		int64_t n = (int64_t)ids.size();
		struct forward_limits limits = {};
		limits.rows = limits.targets = limits.keys = n, limits.segments = 1;
		struct err err = {};
		struct forward *f = forward_new(model, &limits, &err);
		EXPECT_NE(f, nullptr) << err.message;
		Ids pos(ids.size());
		std::iota(pos.begin(), pos.end(), 0);
		const int32_t q_begin[2] = {0, (int32_t)n}, own = (int32_t)n;
		struct forward_rows rows = {};
		rows.rows = n, rows.segments = 1, rows.ids = ids.data(), rows.pos = pos.data(), rows.q_begin = q_begin;
		rows.own_len = &own;
		std::vector<float> logp(ids.size());
		EXPECT_EQ(forward_run(f, &rows, &err), 0) << err.message;
		EXPECT_EQ(forward_logp(f, pos.data(), ids.data() + 1, n - 1, logp.data(), &err), 0) << err.message;
		forward_free(f);
		return logp;
	}

	/* Greedy continuation, the whole sequence computed again for every token. */
	Ids naive_greedy(struct model *model, Ids ids, int64_t most)
	{
		Ids out;
		struct err err = {};
		for (int64_t i = 0; i < most; i++) {
			int64_t n = (int64_t)ids.size();
			struct forward_limits limits = {};
			limits.rows = limits.keys = n, limits.targets = limits.segments = 1;
			struct forward *f = forward_new(model, &limits, &err);
			Ids pos(ids.size());
			std::iota(pos.begin(), pos.end(), 0);
			const int32_t q_begin[2] = {0, (int32_t)n}, own = (int32_t)n, last = (int32_t)n - 1;
			struct forward_rows rows = {};
			rows.rows = n, rows.segments = 1, rows.ids = ids.data(), rows.pos = pos.data();
			rows.q_begin = q_begin, rows.own_len = &own;
			struct forward_draw draw = {};
			int32_t id = -1;
			float logp;
			EXPECT_EQ(forward_sample(f, &rows, &last, 1, &draw, &id, &logp, &err), 0) << err.message;
			forward_free(f);
			out.push_back(id);
			ids.push_back(id);
			if (id == 2)
				break;
		}
		return out;
	}
};

INSTANTIATE_TEST_SUITE_P(Linked, Student, ::testing::ValuesIn(linked_backends()), linked_name);

/* Rows of unequal lengths under one instruction. */
struct Rows {
	std::vector<Ids> prompts, targets;
	std::vector<struct score_row> score;
	std::vector<struct generate_row> generate;

	Rows(size_t n, int64_t instruction, int64_t vocab)
	{
		Ids head = random_ids(1000, instruction, vocab);
		for (uint32_t i = 0; i < n; i++) {
			prompts.push_back(joined(head, random_ids(2 * i, 1 + 5 * i % 13, vocab)));
			targets.push_back(random_ids(2 * i + 1, 1 + 7 * i % 11, vocab));
		}
		for (size_t i = 0; i < n; i++) {
			score.push_back({prompts[i].data(), (int64_t)prompts[i].size(), targets[i].data(),
					 (int64_t)targets[i].size(), nullptr});
			generate.push_back({prompts[i].data(), (int64_t)prompts[i].size(), 100 + i});
		}
	}
};

static const TinyConfig kinds[] = {
	{},
	[] { TinyConfig c; c.tied = false; c.heads = 8; return c; }(),
	[] { TinyConfig c; c.architecture = "MistralForCausalLM"; c.type = "mistral"; c.window = 7; c.tied = false; return c; }(),
	[] { TinyConfig c; c.architecture = "Qwen2ForCausalLM"; c.type = "qwen2"; c.qkv_bias = true; return c; }(),
	[] { TinyConfig c; c.architecture = "Qwen3ForCausalLM"; c.type = "qwen3"; c.qk_norm = true; return c; }(),
	[] { TinyConfig c; c.extra = ", \"rope_scaling\": {\"rope_type\": \"llama3\", \"factor\": 4.0, \"low_freq_factor\": 1.0, "
				     "\"high_freq_factor\": 4.0, \"original_max_position_embeddings\": 32}"; return c; }(),
};

/* nll of a row's counted tokens from one-row passes. */
static double mean_nll(const std::vector<float> &logp, size_t first, size_t n)
{
	double sum = 0;
	for (size_t j = 0; j < n; j++)
		sum -= (double)logp[first + j];
	return sum / (double)n;
}

TEST_P(Student, ScoresEqualRowsAlone)
{
	for (const TinyConfig &kind : kinds)
		for (int64_t instruction : {0, 9})
			for (int32_t bos : {-1, 1}) {
				TinyCheckpoint checkpoint(kind);
				struct model *model = load(checkpoint);
				ASSERT_NE(model, nullptr);
				Rows rows(9, instruction, kind.vocab);
				struct score_options options = {};
				options.rows = 40, options.bos = bos; /* several calls */
				std::vector<struct ifd_score> scores(rows.score.size());
				struct err err = {};
				ASSERT_EQ(student_score(model, rows.score.data(), rows.score.size(), &options, scores.data(),
							nullptr, &err), 0) << err.message;
				for (size_t i = 0; i < scores.size(); i++) {
					size_t skip = bos < 0, n = rows.targets[i].size(), counted = n - skip;
					ASSERT_EQ(scores[i].counted_tokens, counted);
					ASSERT_EQ(scores[i].has_value, counted > 0);
					if (!counted)
						continue;
					auto with = naive_logp(model, joined(rows.prompts[i], rows.targets[i]));
					auto without = naive_logp(model, joined(bos < 0 ? Ids{} : Ids{bos}, rows.targets[i]));
					double c = mean_nll(with, rows.prompts[i].size() - 1 + skip, counted);
					double u = mean_nll(without, 0, counted);
					EXPECT_NEAR(scores[i].nll_conditional, c, tolerance) << kind.type << " row " << i;
					EXPECT_NEAR(scores[i].nll_unconditional, u, tolerance) << kind.type << " row " << i;
					EXPECT_NEAR(scores[i].ifd, std::exp(c - u), 4 * tolerance * std::exp(c - u));
				}
				model_free(model);
			}
}

TEST_P(Student, GreedyEqualsComputingAgain)
{
	/* An instruction longer than what rows have of their own, in pages of the cache, is one of the cases. */
	for (const TinyConfig &kind : kinds)
		for (auto [slots, instruction] : {std::pair<int64_t, int64_t>{1, 5}, {4, 5}, {4, 100}}) {
			TinyCheckpoint checkpoint(kind);
			struct model *model = load(checkpoint);
			ASSERT_NE(model, nullptr);
			Rows rows(7, instruction, kind.vocab);
			struct generate_options options = {};
			options.slots = slots, options.rows = 16, options.max_new_tokens = 12;
			std::vector<struct generated> out(rows.generate.size());
			struct err err = {};
			ASSERT_EQ(student_generate(model, rows.generate.data(), out.size(), &options, out.data(), nullptr, &err), 0)
				<< err.message;
			for (size_t i = 0; i < out.size(); i++) {
				Ids want = naive_greedy(model, rows.prompts[i], 12), got(out[i].ids, out[i].ids + out[i].n);
				EXPECT_EQ(got, want) << kind.type << " row " << i << ", " << slots << " slots";
				EXPECT_EQ(out[i].stopped, want.back() == 2);
				generated_release(&out[i]);
			}
			model_free(model);
		}
}

/* What decoding kept is what a pass with the prompt would compute, so IFD needs the other pass alone. */
TEST_P(Student, KeptLogProbabilitiesEqualScoring)
{
	TinyCheckpoint checkpoint(kinds[0]);
	struct model *model = load(checkpoint);
	ASSERT_NE(model, nullptr);
	Rows rows(8, 6, kinds[0].vocab);
	struct generate_options options = {};
	options.slots = 3, options.max_new_tokens = 10;
	std::vector<struct generated> out(rows.generate.size());
	struct err err = {};
	ASSERT_EQ(student_generate(model, rows.generate.data(), out.size(), &options, out.data(), nullptr, &err), 0);
	std::vector<struct score_row> kept, again;
	for (size_t i = 0; i < out.size(); i++) {
		kept.push_back({rows.prompts[i].data(), (int64_t)rows.prompts[i].size(), out[i].ids, out[i].n, out[i].logp});
		again.push_back(kept.back());
		again.back().conditional = nullptr;
	}
	struct score_options scoring = {};
	scoring.bos = 1;
	std::vector<struct ifd_score> a(out.size()), b(out.size());
	ASSERT_EQ(student_score(model, kept.data(), kept.size(), &scoring, a.data(), nullptr, &err), 0) << err.message;
	ASSERT_EQ(student_score(model, again.data(), again.size(), &scoring, b.data(), nullptr, &err), 0) << err.message;
	for (size_t i = 0; i < out.size(); i++) {
		EXPECT_NEAR(a[i].nll_conditional, b[i].nll_conditional, tolerance);
		EXPECT_EQ(a[i].nll_unconditional, b[i].nll_unconditional);
		generated_release(&out[i]);
	}
	model_free(model);
}

/* One line of golden/students.txt: "KIND TYPE WHAT numbers". */
static std::vector<double> golden(const std::string &kind, const std::string &type, const std::string &what)
{
	const char *folder = getenv("TEST_SRCDIR");
	std::ifstream file(std::string(folder ? folder : ".") + "/tests/golden/students.txt");
	std::string line;
	while (std::getline(file, line)) {
		std::istringstream words(line);
		std::string a, b, c;
		words >> a >> b >> c;
		if (a == kind && b == type && c == what)
			return {std::istream_iterator<double>(words), {}};
	}
	return {};
}

static const char *const kind_names[] = {"llama", "llama-untied", "mistral", "qwen2", "qwen3", "llama3"};

/* transformers, float32: relative 1e-5 on log-probabilities, greedy ids equal. */
TEST_P(Student, EqualsTransformers)
{
	for (size_t i = 0; i < 6; i++)
		for (enum dtype dtype : {DTYPE_F32, DTYPE_BF16}) {
			const std::string name = kind_names[i], type = dtype_name(dtype);
			TinyCheckpoint checkpoint(kinds[i]);
			struct model *model = load(checkpoint, dtype);
			ASSERT_NE(model, nullptr);
			Ids sequence = random_ids(50, 33, 97), prompt = random_ids(51, 20, 97), completion = random_ids(52, 9, 97);
			std::vector<double> want = golden(name, type, "logp");
			std::vector<float> got = naive_logp(model, sequence);
			ASSERT_EQ(want.size(), 32u) << name;
			for (size_t t = 0; t < 32; t++)
				EXPECT_NEAR(got[t], want[t], 1e-5 * (1 + std::fabs(want[t]))) << name << " " << type << " token " << t;
			struct generate_row row = {prompt.data(), 20, 0};
			struct generate_options options = {};
			struct generated out;
			struct err err = {};
			options.max_new_tokens = 40;
			ASSERT_EQ(student_generate(model, &row, 1, &options, &out, nullptr, &err), 0) << err.message;
			want = golden(name, type, "greedy");
			EXPECT_EQ(std::vector<double>(out.ids, out.ids + out.n), want) << name << " " << type;
			generated_release(&out);
			struct score_row scored = {prompt.data(), 20, completion.data(), 9, nullptr};
			struct score_options scoring = {};
			struct ifd_score score;
			scoring.bos = 1;
			ASSERT_EQ(student_score(model, &scored, 1, &scoring, &score, nullptr, &err), 0) << err.message;
			want = golden(name, type, "ifd");
			ASSERT_EQ(want.size(), 3u);
			EXPECT_NEAR(score.nll_conditional, want[0], 1e-5 * (1 + want[0])) << name;
			EXPECT_NEAR(score.nll_unconditional, want[1], 1e-5 * (1 + want[1])) << name;
			EXPECT_NEAR(score.ifd, want[2], 4e-5 * want[2]) << name;
			model_free(model);
		}
}

/* A sampled row depends on its id, not on its neighbours, its slot or its place. */
TEST_P(Student, SamplingDependsOnTheRowAlone)
{
	TinyCheckpoint checkpoint(kinds[1]);
	struct model *model = load(checkpoint);
	ASSERT_NE(model, nullptr);
	Rows rows(6, 4, kinds[1].vocab);
	struct generate_options options = {};
	options.slots = 4, options.max_new_tokens = 8, options.seed = 11;
	options.rule.temperature = 0.9f, options.rule.top_p = 1;
	std::vector<struct generated> all(6), one(1);
	struct err err = {};
	ASSERT_EQ(student_generate(model, rows.generate.data(), 6, &options, all.data(), nullptr, &err), 0) << err.message;
	bool differ = false;
	for (size_t i = 0; i < 6; i++) {
		ASSERT_EQ(student_generate(model, &rows.generate[i], 1, &options, one.data(), nullptr, &err), 0);
		EXPECT_EQ(Ids(all[i].ids, all[i].ids + all[i].n), Ids(one[0].ids, one[0].ids + one[0].n)) << i;
		differ = differ || all[i].ids[0] != all[0].ids[0];
		generated_release(&one[0]);
	}
	EXPECT_TRUE(differ);
	for (auto &g : all)
		generated_release(&g);
	model_free(model);
}

/* Weights stored in bf16 are the f32 ones rounded: close, and not equal. */
TEST_P(Student, NarrowWeightsAreRounded)
{
	TinyCheckpoint checkpoint(kinds[0]);
	struct model *wide = load(checkpoint), *narrow = load(checkpoint, DTYPE_BF16);
	ASSERT_TRUE(wide && narrow);
	EXPECT_EQ(narrow->stored * 2, wide->stored);
	/* a device with copies of its own lets the host's matrices go */
	EXPECT_EQ(wide->stored, dev->remote ? 0 : model_stored_bytes(&wide->config, DTYPE_F32));
	Ids ids = random_ids(5, 20, kinds[0].vocab);
	auto a = naive_logp(wide, ids), b = naive_logp(narrow, ids);
	double worst = 0;
	for (size_t i = 0; i + 1 < ids.size(); i++)
		worst = std::max(worst, (double)std::fabs(a[i] - b[i]));
	EXPECT_GT(worst, 0);
	EXPECT_LT(worst, 0.05); /* 2^-9 relative on weights, two layers */
	model_free(wide);
	model_free(narrow);
}

/* A tied model that holds a head all the same: good where it is the embedding to the last bit. */
TEST_P(Student, RefusesATiedHeadOfItsOwn)
{
	TinyConfig kind;
	kind.tied = false;
	TinyCheckpoint checkpoint(kind);
	const std::string config = checkpoint.path() + std::string("/config.json");
	const std::string weights = checkpoint.path() + std::string("/model.safetensors");
	std::string text = read_file(config), bytes = read_file(weights);
	const std::string untied = "\"tie_word_embeddings\": false";
	write_file(config, text.replace(text.find(untied), untied.size(), "\"tie_word_embeddings\": true"));
	struct err err = {};
	struct model_options options = {};
	options.dtype = DTYPE_F32;
	EXPECT_EQ(model_load(checkpoint.path(), dev, &options, &err), nullptr);
	EXPECT_EQ(err.code, ERR_DATA);
	EXPECT_NE(strstr(err.message, "set tie_word_embeddings to false or remove lm_head.weight"), nullptr)
		<< err.message;
	struct safetensors *file = safetensors_open(weights.c_str(), &err);
	struct tensor_info embedding, head;
	ASSERT_TRUE(file && safetensors_find(file, "model.embed_tokens.weight", &embedding) &&
		    safetensors_find(file, "lm_head.weight", &head));
	safetensors_close(file);
	write_file(weights, bytes.replace(head.begin, head.bytes, bytes.substr(embedding.begin, embedding.bytes)));
	model_free(load(checkpoint));
	bytes[head.begin + head.bytes - 4] ^= 1;
	write_file(weights, bytes);
	EXPECT_EQ(model_load(checkpoint.path(), dev, &options, &err), nullptr) << "its last number is another";
}

TEST_P(Student, RefusesWhatDoesNotFit)
{
	TinyCheckpoint checkpoint(kinds[0]);
	struct err err = {};
	struct model_options small = {};
	small.memory = 1000;
	EXPECT_EQ(model_load(checkpoint.path(), dev, &small, &err), nullptr);
	EXPECT_EQ(err.code, ERR_MEMORY);
	struct model *model = load(checkpoint);
	ASSERT_NE(model, nullptr);
	Ids prompt = random_ids(1, 300, kinds[0].vocab), target = random_ids(2, 3, kinds[0].vocab);
	struct score_row row = {prompt.data(), 300, target.data(), 3, nullptr};
	struct score_options options = {};
	struct ifd_score score;
	EXPECT_EQ(student_score(model, &row, 1, &options, &score, nullptr, &err), -1);
	EXPECT_EQ(err.code, ERR_DATA);
	struct generate_row g = {prompt.data(), 300, 0};
	struct generate_options generate = {};
	struct generated out;
	generate.max_new_tokens = 1;
	EXPECT_EQ(student_generate(model, &g, 1, &generate, &out, nullptr, &err), -1);
	EXPECT_EQ(err.code, ERR_DATA);
	const uint64_t whole = model->stored + dev->prepared;
	model_free(model);
	small.dtype = DTYPE_F32;
	small.memory = whole - 1;
	EXPECT_EQ(model_load(checkpoint.path(), dev, &small, &err), nullptr) << "what the device lays out counts";
	EXPECT_EQ(err.code, ERR_MEMORY);
	EXPECT_EQ(dev->prepared, 0u);
	small.memory = whole;
	model = model_load(checkpoint.path(), dev, &small, &err);
	EXPECT_NE(model, nullptr) << err.message;
	model_free(model);
}
