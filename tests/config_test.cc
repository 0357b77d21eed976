// SPDX-License-Identifier: Apache-2.0
/*
 * config.json. Configurations as their publishers have them, old and new; then
 * one key changed at a time, with what it must become or the rule its refusal
 * must name.
 */
#include <gtest/gtest.h>

#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "src/model/config.h"
#include "src/model/identity.h"
#include "tests/temporary.h"

using namespace std::string_literals;

namespace
{

using Keys = std::map<std::string, std::string>;

const char *const ABSENT_KEY = "";

std::string text_of(const Keys &keys)
{
	std::string text;
	for (const auto &key : keys)
		if (key.second != ABSENT_KEY)
			text += (text.empty() ? "{\n  \"" : ",\n  \"") + key.first + "\": " + key.second;
	return text + "\n}\n";
}

Keys with(Keys base, const Keys &changes)
{
	for (const auto &change : changes)
		base[change.first] = change.second;
	return base;
}

const Keys llama2 = {
	{"architectures", "[\"LlamaForCausalLM\"]"},
	{"model_type", "\"llama\""},
	{"bos_token_id", "1"},
	{"eos_token_id", "2"},
	{"hidden_act", "\"silu\""},
	{"hidden_size", "4096"},
	{"initializer_range", "0.02"},
	{"intermediate_size", "11008"},
	{"max_position_embeddings", "4096"},
	{"num_attention_heads", "32"},
	{"num_hidden_layers", "32"},
	{"num_key_value_heads", "32"},
	{"pretraining_tp", "1"},
	{"rms_norm_eps", "1e-05"},
	{"rope_scaling", "null"},
	{"tie_word_embeddings", "false"},
	{"torch_dtype", "\"float16\""},
	{"transformers_version", "\"4.31.0.dev0\""},
	{"use_cache", "true"},
	{"vocab_size", "32000"},
};

const Keys llama3 =
	with(llama2, {
			     {"attention_bias", "false"},
			     {"mlp_bias", "false"},
			     {"bos_token_id", "128000"},
			     {"eos_token_id", "[128001, 128008, 128009]"},
			     {"head_dim", "128"},
			     {"hidden_size", "3072"},
			     {"intermediate_size", "8192"},
			     {"max_position_embeddings", "131072"},
			     {"num_attention_heads", "24"},
			     {"num_hidden_layers", "28"},
			     {"num_key_value_heads", "8"},
			     {"rope_theta", "500000.0"},
			     {"rope_scaling", "{\"factor\": 32.0, \"high_freq_factor\": 4.0, \"low_freq_factor\": 1.0, "
					      "\"original_max_position_embeddings\": 8192, \"rope_type\": \"llama3\"}"},
			     {"tie_word_embeddings", "true"},
			     {"torch_dtype", "\"bfloat16\""},
			     {"vocab_size", "128256"},
		     });

/* The same in the form of transformers 5. */
const Keys llama3_new = with(
	llama3,
	{
		{"rope_theta", ABSENT_KEY},
		{"rope_scaling", ABSENT_KEY},
		{"torch_dtype", ABSENT_KEY},
		{"dtype", "\"bfloat16\""},
		{"rope_parameters",
		 "{\"factor\": 32.0, \"high_freq_factor\": 4.0, \"low_freq_factor\": 1.0, "
		 "\"original_max_position_embeddings\": 8192, \"rope_theta\": 500000.0, \"rope_type\": \"llama3\"}"},
	});

const Keys smollm2 = with(llama2, {
					  {"bos_token_id", "1"},
					  {"hidden_size", "576"},
					  {"intermediate_size", "1536"},
					  {"is_llama_config", "true"},
					  {"max_position_embeddings", "8192"},
					  {"num_attention_heads", "9"},
					  {"num_hidden_layers", "30"},
					  {"num_key_value_heads", "3"},
					  {"pad_token_id", "2"},
					  {"rope_interleaved", "false"},
					  {"rope_theta", "100000"},
					  {"tie_word_embeddings", "true"},
					  {"torch_dtype", "\"bfloat16\""},
					  {"vocab_size", "49152"},
					  {"transformers.js_config", "{\"kv_cache_dtype\": {\"q4f16\": \"float16\"}}"},
				  });

const Keys mistral = with(llama2, {
					  {"architectures", "[\"MistralForCausalLM\"]"},
					  {"model_type", "\"mistral\""},
					  {"intermediate_size", "14336"},
					  {"max_position_embeddings", "32768"},
					  {"num_key_value_heads", "8"},
					  {"rope_theta", "10000.0"},
					  {"rope_scaling", ABSENT_KEY},
					  {"sliding_window", "4096"},
					  {"torch_dtype", "\"bfloat16\""},
				  });

const Keys qwen2 = with(llama2, {
					{"architectures", "[\"Qwen2ForCausalLM\"]"},
					{"model_type", "\"qwen2\""},
					{"attention_dropout", "0.0"},
					{"bos_token_id", "151643"},
					{"eos_token_id", "151645"},
					{"hidden_size", "896"},
					{"intermediate_size", "4864"},
					{"max_position_embeddings", "32768"},
					{"max_window_layers", "21"},
					{"num_attention_heads", "14"},
					{"num_hidden_layers", "24"},
					{"num_key_value_heads", "2"},
					{"rms_norm_eps", "1e-06"},
					{"rope_theta", "1000000.0"},
					{"sliding_window", "32768"},
					{"use_sliding_window", "false"},
					{"use_mrope", "false"},
					{"vocab_size", "151936"},
					{"tie_word_embeddings", "true"},
				});

const Keys qwen3 = with(qwen2, {
				       {"architectures", "[\"Qwen3ForCausalLM\"]"},
				       {"model_type", "\"qwen3\""},
				       {"attention_bias", "false"},
				       {"head_dim", "128"},
				       {"hidden_size", "1024"},
				       {"intermediate_size", "3072"},
				       {"max_window_layers", "28"},
				       {"num_attention_heads", "16"},
				       {"num_hidden_layers", "28"},
				       {"num_key_value_heads", "8"},
				       {"sliding_window", "null"},
			       });

std::string layers(size_t n, const std::string &type, size_t other = 0)
{
	std::string text;
	for (size_t i = 0; i < n; i++)
		text += (i ? ", \"" : "[\"") + (other && i == other ? "full_attention" : type) + "\"";
	return text + "]";
}

struct Parsed {
	struct err err = {};
	struct model_config c;
	int result;

	explicit Parsed(const std::string &text) : result(model_config_parse(&c, text.data(), text.size(), &err))
	{
	}
	explicit Parsed(const Keys &keys) : Parsed(text_of(keys))
	{
	}
	Parsed(const Parsed &) = delete;
	~Parsed()
	{
		if (!result)
			model_config_release(&c);
	}
	std::vector<int64_t> eos() const
	{
		return {c.eos.id, c.eos.id + c.eos.n};
	}
};

TEST(Config, Llama2)
{
	Parsed p(llama2);
	ASSERT_EQ(p.result, 0) << p.err.message;
	EXPECT_STREQ(p.c.architecture, "LlamaForCausalLM");
	EXPECT_EQ(p.c.vocab_size, 32000);
	EXPECT_EQ(p.c.hidden_size, 4096);
	EXPECT_EQ(p.c.intermediate_size, 11008);
	EXPECT_EQ(p.c.num_hidden_layers, 32);
	EXPECT_EQ(p.c.num_attention_heads, 32);
	EXPECT_EQ(p.c.num_key_value_heads, 32);
	EXPECT_EQ(p.c.head_dim, 128);
	EXPECT_EQ(p.c.max_position_embeddings, 4096);
	EXPECT_EQ(p.c.sliding_window, 0);
	EXPECT_EQ(p.c.rms_norm_eps, 1e-5);
	EXPECT_EQ(p.c.rope.kind, ROPE_DEFAULT);
	EXPECT_EQ(p.c.rope.theta, 10000);
	EXPECT_FALSE(p.c.qkv_bias || p.c.o_bias || p.c.qk_norm || p.c.tie_word_embeddings);
	EXPECT_TRUE(p.c.has_dtype);
	EXPECT_EQ(p.c.dtype, DTYPE_F16);
	EXPECT_EQ(p.c.bos_token_id, 1);
	EXPECT_EQ(p.eos(), std::vector<int64_t>({2}));
	EXPECT_EQ(p.c.stop.n, 1u);
	EXPECT_EQ(p.c.text, text_of(llama2)) << "the text is kept as it was";
	EXPECT_EQ(p.c.text_n, text_of(llama2).size());
}

TEST(Config, Llama3InBothForms)
{
	for (const Keys &keys : {llama3, llama3_new}) {
		Parsed p(keys);
		ASSERT_EQ(p.result, 0) << p.err.message;
		EXPECT_EQ(p.c.head_dim, 128);
		EXPECT_EQ(p.c.num_key_value_heads, 8);
		EXPECT_EQ(p.c.rope.kind, ROPE_LLAMA3);
		EXPECT_EQ(p.c.rope.theta, 500000);
		EXPECT_EQ(p.c.rope.factor, 32);
		EXPECT_EQ(p.c.rope.low_freq_factor, 1);
		EXPECT_EQ(p.c.rope.high_freq_factor, 4);
		EXPECT_EQ(p.c.rope.original_max_position_embeddings, 8192);
		EXPECT_TRUE(p.c.tie_word_embeddings);
		EXPECT_EQ(p.c.dtype, DTYPE_BF16);
		EXPECT_EQ(p.eos(), std::vector<int64_t>({128001, 128008, 128009}));
	}
}

TEST(Config, SmolLM2)
{
	Parsed p(smollm2);
	ASSERT_EQ(p.result, 0) << p.err.message;
	EXPECT_EQ(p.c.head_dim, 64);
	EXPECT_EQ(p.c.rope.theta, 100000);
	EXPECT_TRUE(p.c.tie_word_embeddings);
}

TEST(Config, Mistral)
{
	Parsed p(mistral);
	ASSERT_EQ(p.result, 0) << p.err.message;
	EXPECT_EQ(p.c.sliding_window, 4096);
	EXPECT_FALSE(p.c.qkv_bias || p.c.qk_norm);
}

TEST(Config, Qwen2)
{
	Parsed p(qwen2);
	ASSERT_EQ(p.result, 0) << p.err.message;
	EXPECT_TRUE(p.c.qkv_bias);
	EXPECT_FALSE(p.c.o_bias || p.c.qk_norm);
	EXPECT_EQ(p.c.sliding_window, 0);
	EXPECT_EQ(p.c.rope.theta, 1e6);
}

TEST(Config, Qwen3)
{
	Parsed p(qwen3);
	ASSERT_EQ(p.result, 0) << p.err.message;
	EXPECT_TRUE(p.c.qk_norm);
	EXPECT_FALSE(p.c.qkv_bias || p.c.o_bias);
	EXPECT_EQ(p.c.head_dim, 128);
	EXPECT_EQ(p.c.num_attention_heads * p.c.head_dim, 2 * p.c.hidden_size);
}

/* One change and what it must lead to. */
struct Variant {
	Keys keys;
	std::function<bool(const struct model_config &)> holds;
	const char *what;
};
using C = const struct model_config &;

TEST(Config, Variants)
{
	const std::vector<Variant> variants = {
		{with(llama2, {{"architectures", ABSENT_KEY}}),
		 [](C c) { return !strcmp(c.architecture, "LlamaForCausalLM"); }, "model_type alone"},
		{with(llama2, {{"architectures", "null"}}),
		 [](C c) { return !strcmp(c.architecture, "LlamaForCausalLM"); }, "null architectures"},
		{with(llama2, {{"model_type", ABSENT_KEY}}), [](C c) { return c.hidden_size == 4096; },
		 "architectures alone"},
		{with(llama2, {{"num_key_value_heads", ABSENT_KEY}}), [](C c) { return c.num_key_value_heads == 32; },
		 "no kv heads"},
		{with(llama2, {{"num_key_value_heads", "null"}}), [](C c) { return c.num_key_value_heads == 32; },
		 "null kv heads"},
		{with(llama2, {{"num_key_value_heads", "1"}}), [](C c) { return c.num_key_value_heads == 1; },
		 "one kv head"},
		{with(llama2, {{"head_dim", "null"}}), [](C c) { return c.head_dim == 128; }, "null head_dim"},
		{with(llama2, {{"head_dim", "2"}}), [](C c) { return c.head_dim == 2; },
		 "head_dim apart from hidden_size"},
		{with(qwen3, {{"head_dim", ABSENT_KEY}}), [](C c) { return c.head_dim == 128; },
		 "Qwen3 without head_dim"},
		{with(llama2, {{"num_attention_heads", "3"}, {"num_key_value_heads", "3"}, {"head_dim", "64"}}),
		 [](C c) { return c.head_dim == 64; }, "heads not dividing hidden_size, with head_dim"},
		{with(llama2, {{"tie_word_embeddings", ABSENT_KEY}}), [](C c) { return !c.tie_word_embeddings; },
		 "no tie"},
		{with(llama2, {{"rms_norm_eps", ABSENT_KEY}}), [](C c) { return c.rms_norm_eps == 1e-6; }, "no eps"},
		{with(llama2, {{"hidden_act", ABSENT_KEY}}), [](C c) { return c.hidden_size == 4096; },
		 "no activation"},
		{with(llama2, {{"pretraining_tp", "2"}}), [](C c) { return c.hidden_size == 4096; }, "pretraining_tp"},
		{with(llama2, {{"auto_map", "{\"AutoModelForCausalLM\": \"modeling_x.X\"}"}}),
		 [](C c) { return c.hidden_size == 4096; }, "auto_map"},
		{with(llama2, {{"attention_bias", "true"}}), [](C c) { return c.qkv_bias && c.o_bias; },
		 "biases of Llama"},
		{with(qwen3, {{"attention_bias", "true"}}), [](C c) { return c.qkv_bias && c.o_bias; },
		 "biases of Qwen3"},
		{with(llama2, {{"mlp_bias", "false"}, {"quantization_config", "null"}, {"num_experts", "0"}}),
		 [](C c) { return c.hidden_size == 4096; }, "features switched off"},
		/* dtype */
		{with(llama2, {{"torch_dtype", ABSENT_KEY}}), [](C c) { return !c.has_dtype; }, "no dtype"},
		{with(llama2, {{"dtype", "\"float32\""}}), [](C c) { return c.dtype == DTYPE_F32 && c.has_dtype; },
		 "dtype wins"},
		{with(llama2, {{"dtype", "null"}}), [](C c) { return c.dtype == DTYPE_F16; }, "null dtype"},
		/* ids */
		{with(llama2, {{"eos_token_id", "null"}}), [](C c) { return !c.eos.n && !c.stop.n; }, "null eos"},
		{with(llama2, {{"eos_token_id", ABSENT_KEY}}), [](C c) { return !c.eos.n; }, "no eos"},
		{with(llama2, {{"eos_token_id", "[]"}}), [](C c) { return !c.eos.n; }, "empty eos"},
		{with(llama2, {{"eos_token_id", "[31999, 0]"}}),
		 [](C c) { return c.eos.n == 2 && c.eos.id[0] == 31999 && !c.eos.id[1]; }, "two eos"},
		{with(llama2, {{"bos_token_id", "null"}}), [](C c) { return c.bos_token_id == -1; }, "null bos"},
		{with(llama2, {{"bos_token_id", ABSENT_KEY}}), [](C c) { return c.bos_token_id == -1; }, "no bos"},
		{with(llama2, {{"pad_token_id", "32000"}}), [](C c) { return c.vocab_size == 32000; },
		 "a pad that nothing uses"},
		/* rope */
		{with(llama2, {{"rope_scaling", "{\"type\": \"linear\", \"factor\": 2}"}}),
		 [](C c) { return c.rope.kind == ROPE_LINEAR && c.rope.factor == 2; }, "type linear"},
		{with(llama2, {{"rope_scaling", "{\"rope_type\": \"linear\", \"factor\": 4.0}"}}),
		 [](C c) { return c.rope.kind == ROPE_LINEAR && c.rope.factor == 4; }, "rope_type linear"},
		{with(llama2, {{"rope_scaling", "{\"rope_type\": \"default\", \"type\": \"yarn\"}"}}),
		 [](C c) { return c.rope.kind == ROPE_DEFAULT; }, "rope_type wins over type"},
		{with(llama2,
		      {{"rope_parameters", "{\"rope_type\": \"default\", \"rope_theta\": 5000}"}, {"rope_theta", "7"}}),
		 [](C c) { return c.rope.theta == 5000; }, "rope_parameters wins over rope_theta"},
		{with(llama2, {{"rope_parameters", "{\"rope_type\": \"default\"}"}, {"rope_theta", "7"}}),
		 [](C c) { return c.rope.theta == 7; }, "rope_theta beside rope_parameters"},
		{with(llama2, {{"rope_parameters", "{\"rope_theta\": 9}"}, {"rope_scaling", "{}"}}),
		 [](C c) { return c.rope.theta == 9 && c.rope.kind == ROPE_DEFAULT; },
		 "rope_parameters beside an empty rope_scaling"},
		{with(llama2, {{"rope_parameters", "{}"}, {"rope_scaling", "{\"type\": \"linear\", \"factor\": 3}"}}),
		 [](C c) { return c.rope.factor == 3; }, "empty rope_parameters"},
		{with(llama3_new, {{"rope_scaling", llama3.at("rope_scaling")}, {"rope_theta", "500000"}}),
		 [](C c) { return c.rope.kind == ROPE_LLAMA3 && c.rope.theta == 500000; },
		 "rope_scaling that says the same as rope_parameters"},
		{with(llama2, {{"rope_scaling", "{\"type\": \"linear\", \"factor\": 3, \"rope_theta\": 9}"}}),
		 [](C c) { return c.rope.theta == 9; }, "rope_theta of rope_scaling"},
		{with(llama2, {{"rope_scaling", "{\"rope_type\": null, \"type\": \"linear\", \"factor\": 3}"}}),
		 [](C c) { return c.rope.kind == ROPE_LINEAR; }, "type beside a null rope_type"},
		{with(llama2, {{"rope_parameters", "null"}, {"rope_scaling", "{\"type\": \"linear\", \"factor\": 3}"}}),
		 [](C c) { return c.rope.factor == 3; }, "null rope_parameters"},
		{with(llama2, {{"partial_rotary_factor", "1.0"}}), [](C c) { return c.rope.theta == 10000; },
		 "whole rotary"},
		/* windows */
		{with(mistral, {{"sliding_window", "null"}}), [](C c) { return c.sliding_window == 0; },
		 "Mistral without window"},
		{with(mistral, {{"sliding_window", ABSENT_KEY}}), [](C c) { return c.sliding_window == 4096; },
		 "Mistral's own window"},
		{with(llama2, {{"sliding_window", "null"}}), [](C c) { return c.sliding_window == 0; },
		 "Llama with null"},
		{with(llama2, {{"layer_types", layers(32, "full_attention")}}),
		 [](C c) { return c.sliding_window == 0; }, "Llama, all full"},
		{with(mistral, {{"layer_types", layers(32, "sliding_attention")}}),
		 [](C c) { return c.sliding_window == 4096; }, "Mistral, all sliding"},
		{with(mistral, {{"layer_types", layers(32, "full_attention")}, {"sliding_window", "null"}}),
		 [](C c) { return c.sliding_window == 0; }, "Mistral, all full"},
		{with(qwen2, {{"use_sliding_window", "true"}, {"max_window_layers", "0"}}),
		 [](C c) { return c.sliding_window == 32768; }, "Qwen, all layers"},
		{with(qwen2, {{"use_sliding_window", "true"}, {"max_window_layers", "24"}}),
		 [](C c) { return c.sliding_window == 0; }, "Qwen, no layer"},
		{with(qwen2, {{"use_sliding_window", "true"}, {"max_window_layers", ABSENT_KEY}}),
		 [](C c) { return c.sliding_window == 0; }, "Qwen, 28 and more"},
		{with(qwen2, {{"use_sliding_window", "true"}, {"sliding_window", "null"}}),
		 [](C c) { return c.sliding_window == 0; }, "Qwen, null"},
		{with(qwen2, {{"use_sliding_window", "true"}, {"layer_types", layers(24, "sliding_attention")}}),
		 [](C c) { return c.sliding_window == 32768; }, "Qwen, layer_types sliding"},
		{with(qwen3, {{"use_sliding_window", "true"},
			      {"sliding_window", "512"},
			      {"max_window_layers", "3"},
			      {"layer_types", layers(28, "full_attention")}}),
		 [](C c) { return c.sliding_window == 0; }, "Qwen, layer_types full"},
	};
	for (const Variant &v : variants) {
		Parsed p(v.keys);
		ASSERT_EQ(p.result, 0) << v.what << ": " << p.err.message;
		EXPECT_TRUE(v.holds(p.c)) << v.what;
	}
}

struct Refusal {
	Keys keys;
	const char *rule;
};

TEST(Config, Refusals)
{
	std::vector<Refusal> refusals = {
		/* what is not supported, by name */
		{with(llama2, {{"architectures", "[\"GPT2LMHeadModel\"]"}, {"model_type", "\"gpt2\""}}),
		 "architecture 'GPT2LMHeadModel' is not supported"},
		{with(llama2, {{"architectures", "[\"MixtralForCausalLM\"]"}}),
		 "'MixtralForCausalLM' is not supported"},
		{with(llama2, {{"architectures", "[\"Qwen3MoeForCausalLM\"]"}}),
		 "'Qwen3MoeForCausalLM' is not supported"},
		{with(llama2, {{"architectures", "[\"LlamaModel\"]"}}), "'LlamaModel' is not supported"},
		{with(llama2, {{"architectures", "[\"\\u001b[2J\"]"}}), "'\\x1B[2J' is not supported"},
		{with(llama2, {{"architectures", ABSENT_KEY}, {"model_type", "\"phi3\""}}),
		 "model type 'phi3' is not supported"},
		{with(llama2, {{"architectures", ABSENT_KEY}, {"model_type", ABSENT_KEY}}), "'model_type' is missing"},
		{with(llama2, {{"architectures", "[]"}}), "'architectures' has 0 items"},
		{with(llama2, {{"architectures", "[\"LlamaForCausalLM\", \"LlamaForCausalLM\"]"}}),
		 "'architectures' has 2 items"},
		{with(llama2, {{"architectures", "\"LlamaForCausalLM\""}}), "'architectures' must be an array"},
		{with(llama2, {{"architectures", "[1]"}}), "'architectures[0]' must be a string"},
		{with(llama2, {{"model_type", "\"mistral\""}}), "'model_type' is 'mistral'"},
		{with(llama2, {{"quantization_config", "{\"quant_method\": \"gptq\"}"}}),
		 "'quantization_config' is set; quantised"},
		{with(llama2, {{"compression_config", "{}"}}), "'compression_config' is set; quantised"},
		{with(llama2, {{"num_local_experts", "8"}}), "'num_local_experts' is set; a mixture of experts"},
		{with(llama2, {{"num_experts", "128"}}), "'num_experts' is set; a mixture of experts"},
		{with(llama2, {{"n_routed_experts", "64"}}), "'n_routed_experts' is set; a mixture of experts"},
		{with(llama2, {{"mlp_bias", "true"}}), "'mlp_bias' is set; a bias in the MLP"},
		{with(llama2, {{"mlp_bias", "\"no\""}}), "'mlp_bias' is set"},
		{with(llama2, {{"is_encoder_decoder", "true"}}), "'is_encoder_decoder' is set"},
		{with(llama2, {{"add_cross_attention", "true"}}), "'add_cross_attention' is set"},
		{with(llama2, {{"hidden_act", "\"gelu\""}}), "'hidden_act' is 'gelu'"},
		{with(llama2, {{"hidden_act", "1"}}), "'hidden_act' must be a string"},
		{with(mistral, {{"attention_bias", "true"}}), "'attention_bias' is true; MistralForCausalLM"},
		{with(qwen2, {{"attention_bias", "true"}}), "'attention_bias' is true; Qwen2ForCausalLM"},
		{with(llama2, {{"torch_dtype", "\"float8_e4m3fn\""}}), "dtype 'float8_e4m3fn' is not supported"},
		{with(llama2, {{"dtype", "\"int8\""}}), "dtype 'int8' is not supported"},
		{with(llama2, {{"torch_dtype", "16"}}), "'torch_dtype' must be a string"},
		/* rope */
		{with(llama2, {{"rope_scaling", "{\"type\": \"dynamic\", \"factor\": 2}"}}),
		 "rope kind 'dynamic' is not supported"},
		{with(llama2, {{"rope_scaling", "{\"rope_type\": \"yarn\", \"factor\": 4}"}}),
		 "rope kind 'yarn' is not supported"},
		{with(llama2,
		      {{"rope_scaling", "{\"type\": \"longrope\", \"short_factor\": [1], \"long_factor\": [1]}"}}),
		 "rope kind 'longrope'"},
		{with(qwen2, {{"rope_scaling", "{\"type\": \"mrope\", \"mrope_section\": [16, 24, 24]}"}}),
		 "rope kind 'mrope'"},
		{with(llama2, {{"rope_parameters", "{\"rope_type\": \"yarn\", \"factor\": 4}"}}),
		 "rope kind 'yarn' is not supported"},
		{with(llama2, {{"rope_parameters", "{\"full_attention\": {\"rope_theta\": 1e6}}"}}),
		 "layers of different kinds"},
		{with(llama2, {{"rope_scaling", "{\"rope_type\": null, \"type\": \"yarn\"}"}}),
		 "rope kind 'yarn' is not supported"},
		{with(llama2, {{"rope_parameters", "{\"rope_theta\": 9}"}, {"rope_scaling", "{\"type\": \"yarn\"}"}}),
		 "rope kind 'yarn' is not supported"},
		{with(llama2, {{"rope_parameters", "{\"rope_type\": \"default\"}"},
			       {"rope_scaling", "{\"type\": \"linear\", \"factor\": 3}"}}),
		 "'rope_scaling' and 'rope_parameters' differ"},
		{with(llama3_new, {{"rope_scaling", llama3.at("rope_scaling")}}), /* for rope_scaling, theta is 10000 */
		 "'rope_scaling' and 'rope_parameters' differ"},
		{with(llama2, {{"rope_scaling", "\"linear\""}}), "'rope_scaling' must be an object"},
		{with(llama2, {{"rope_scaling", "{\"type\": \"linear\"}"}}), "'rope_scaling.factor' is missing"},
		{with(llama2, {{"rope_scaling", "{\"type\": \"linear\", \"factor\": 0}"}}), "'factor' is 0"},
		{with(llama2, {{"rope_scaling", "{\"type\": \"linear\", \"factor\": -2}"}}), "'factor' is -2"},
		{with(llama2, {{"rope_scaling", "{\"type\": \"linear\", \"factor\": \"2\"}"}}),
		 "'rope_scaling.factor' must be a number"},
		{with(llama2, {{"rope_scaling", "{\"type\": 1}"}}), "'rope_scaling.type' must be a string"},
		{with(llama3,
		      {{"rope_scaling",
			"{\"rope_type\": \"llama3\", \"factor\": 8, \"low_freq_factor\": 4, \"high_freq_factor\": 4, "
			"\"original_max_position_embeddings\": 8192}"}}),
		 "'high_freq_factor' is 4"},
		{with(llama3, {{"rope_scaling", "{\"rope_type\": \"llama3\", \"factor\": 8, \"low_freq_factor\": 1, "
						"\"high_freq_factor\": 4}"}}),
		 "'rope_scaling.original_max_position_embeddings' is missing"},
		{with(llama2, {{"rope_theta", "0"}}), "'rope_theta' is 0"},
		{with(llama2, {{"rope_theta", "-10000"}}), "'rope_theta' is -10000"},
		{with(llama2, {{"rope_theta", "1e300"}}), "'rope_theta' is 1e+300"},
		{with(llama2, {{"partial_rotary_factor", "0.5"}}), "'partial_rotary_factor' is 0.5"},
		{with(llama2, {{"rope_parameters", "{\"rope_type\": \"default\", \"partial_rotary_factor\": 0.5}"}}),
		 "'partial_rotary_factor' is 0.5"},
		/* windows */
		{with(llama2, {{"sliding_window", "4096"}}), "'sliding_window' is set; this architecture has none"},
		{with(mistral, {{"sliding_window", "0"}}), "'sliding_window' is 0"},
		{with(mistral, {{"sliding_window", "-1"}}), "'sliding_window' is -1"},
		{with(mistral, {{"sliding_window", "4096.0"}}), "'sliding_window' must be an integer"},
		{with(qwen2, {{"use_sliding_window", "true"}}),
		 "'use_sliding_window' is true for layers 21 to 23 alone"},
		{with(qwen2, {{"use_sliding_window", "1"}}), "'use_sliding_window' must be true or false"},
		{with(qwen2, {{"use_sliding_window", "true"}, {"max_window_layers", "-1"}}),
		 "'max_window_layers' is -1"},
		{with(qwen2, {{"use_sliding_window", "true"}, {"layer_types", layers(24, "sliding_attention", 7)}}),
		 "'layer_types' is mixed"},
		{with(qwen2, {{"layer_types", layers(24, "sliding_attention")}}), "no 'sliding_window' is in force"},
		{with(mistral, {{"layer_types", layers(32, "full_attention")}}), "but 'sliding_window' is 4096"},
		{with(llama2, {{"layer_types", layers(32, "sliding_attention")}}), "no 'sliding_window' is in force"},
		{with(llama2, {{"layer_types", layers(32, "chunked_attention")}}),
		 "'layer_types' has 'chunked_attention'"},
		{with(llama2, {{"layer_types", layers(31, "full_attention")}}), "'layer_types' has 31 items"},
		{with(llama2, {{"layer_types", "[]"}}), "'layer_types' has 0 items"},
		/* shapes of heads */
		{with(llama2, {{"num_key_value_heads", "3"}}), "'num_key_value_heads' is 3; it must divide"},
		{with(llama2, {{"num_key_value_heads", "64"}}), "'num_key_value_heads' is 64; it must divide"},
		{with(llama2, {{"num_key_value_heads", "0"}}), "'num_key_value_heads' is 0; it must be 1 to"},
		{with(llama2, {{"num_attention_heads", "3"}, {"num_key_value_heads", "3"}}),
		 "without 'head_dim' it must divide 'hidden_size'"},
		{with(llama2, {{"head_dim", "127"}}), "'head_dim' is 127; it must be even"},
		{with(llama2, {{"head_dim", "0"}}), "'head_dim' is 0"},
		{with(llama2, {{"head_dim", "4096"}}), "'head_dim' is 4096; it must be 1 to 1024"},
		{with(llama2, {{"hidden_size", "32"}}), "'head_dim' is 1; it must be even"},
		{with(llama2, {{"hidden_size", "96"}}), "'head_dim' is 3; it must be even"},
		/* ids */
		{with(llama2, {{"eos_token_id", "32000"}}), "'eos_token_id' holds 32000; ids must be 0 to 31999"},
		{with(llama2, {{"eos_token_id", "-1"}}), "'eos_token_id' holds -1"},
		{with(llama2, {{"eos_token_id", "[2, 32000]"}}), "'eos_token_id' holds 32000"},
		{with(llama2, {{"eos_token_id", "[2, \"3\"]"}}), "'eos_token_id[1]' must be an integer"},
		{with(llama2, {{"eos_token_id", "\"</s>\""}}), "'eos_token_id' must be an integer"},
		{with(llama2, {{"eos_token_id", "2.0"}}), "'eos_token_id' must be an integer"},
		{with(llama2, {{"bos_token_id", "32000"}}), "'bos_token_id' is 32000"},
		{with(llama2, {{"tie_word_embeddings", "1"}}), "'tie_word_embeddings' must be true or false"},
		{with(llama2, {{"rms_norm_eps", "0"}}), "'rms_norm_eps' is 0"},
		{with(llama2, {{"rms_norm_eps", "-1e-6"}}), "'rms_norm_eps' is -1e-06"},
		{with(llama2, {{"rms_norm_eps", "\"1e-6\""}}), "'rms_norm_eps' must be a number"},
	};
	/* every size: zero, negative, huge, beyond 64 bits, no integer, missing */
	for (const char *key : {"vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers",
				"num_attention_heads", "max_position_embeddings"})
		for (const char *value : {"0", "-1", "9223372036854775807", "18446744073709551615", "4096.0",
					  "\"4096\"", "null", ABSENT_KEY})
			refusals.push_back({with(llama2, {{key, value}}), key});
	for (const Refusal &r : refusals) {
		Parsed p(r.keys);
		EXPECT_EQ(p.result, -1) << r.rule;
		EXPECT_EQ(p.err.code, ERR_DATA) << r.rule << ": " << p.err.message;
		EXPECT_NE(strstr(p.err.message, r.rule), nullptr) << r.rule << ": " << p.err.message;
	}
}

TEST(Config, LimitsAreReached)
{
	for (const auto &limit : std::map<std::string, int64_t>{{"vocab_size", LIMIT_VOCAB},
								{"intermediate_size", LIMIT_FFN},
								{"num_hidden_layers", LIMIT_LAYERS},
								{"hidden_size", LIMIT_HIDDEN},
								{"num_attention_heads", LIMIT_HEADS},
								{"head_dim", LIMIT_HEAD_DIM},
								{"max_position_embeddings", LIMIT_POSITIONS}}) {
		Keys base = with(llama2, {{"head_dim", "128"}});
		Parsed at(with(base, {{limit.first, std::to_string(limit.second)}})),
			above(with(base, {{limit.first, std::to_string(limit.second + 1)}}));
		EXPECT_EQ(at.result, 0) << limit.first << ": " << at.err.message;
		EXPECT_EQ(above.result, -1) << limit.first;
		EXPECT_NE(strstr(above.err.message, limit.first.c_str()), nullptr) << above.err.message;
	}
}

TEST(Config, BrokenTextIsRefused)
{
	const std::string good = text_of(llama2);
	for (size_t n = 0; n + 2 < good.size(); n += 7) {
		Parsed p(good.substr(0, n));
		EXPECT_EQ(p.result, -1) << n;
		EXPECT_EQ(p.err.code, ERR_DATA) << n;
	}
	const std::vector<std::pair<std::string, const char *>> cases = {
		{"[]", "must be an object"},
		{"null", "must be an object"},
		{"{}", "is missing"},
		{"\"x\"", "must be an object"},
		{good + "x", "trailing bytes"},
		{"{\"vocab_size\": NaN}", "NaN"},
		{"\xEF\xBB\xBF" + good, "byte order mark"},
		{"{\"a\": 1, \"a\": 2}", "duplicate key"},
		{"{\"x\": " + std::string(200, '[') + std::string(200, ']') + "}", "nested deeper"},
		{std::string(LIMIT_CONFIG_BYTES + 1, ' '), "longer than"},
		{[] {
			 std::string s = "[0";
			 for (int i = 0; i < 70000; i++)
				 s += ",0";
			 return s + "]";
		 }(),
		 "more than 65536 values"},
	};
	for (const auto &c : cases) {
		Parsed p(c.first);
		EXPECT_EQ(p.result, -1) << c.second;
		EXPECT_EQ(p.err.code, ERR_DATA);
		EXPECT_NE(strstr(p.err.message, c.second), nullptr) << p.err.message;
	}
}

/* ---- directories -------------------------------------------------------------- */

struct ConfigFile : testing::Test {
	Temporary dir;
	struct err err = {};
	struct model_config c;

	int load()
	{
		err = {};
		return model_config_load(&c, dir.path.c_str(), &err);
	}
	std::vector<int64_t> stop()
	{
		std::vector<int64_t> ids;
		int result = load();
		EXPECT_EQ(result, 0) << err.message;
		if (!result) {
			ids.assign(c.stop.id, c.stop.id + c.stop.n);
			EXPECT_EQ(c.eos.n, 1u) << "config.json's own ids stay";
			model_config_release(&c);
		}
		return ids;
	}
	void expect_refused(int code, const std::string &message)
	{
		EXPECT_EQ(load(), -1) << message;
		EXPECT_EQ(err.code, code) << err.message;
		EXPECT_NE(strstr(err.message, message.c_str()), nullptr) << message << ": " << err.message;
	}
};

TEST_F(ConfigFile, GenerationConfigSaysWhereToStop)
{
	write_file(dir / "config.json", text_of(llama2));
	EXPECT_EQ(stop(), std::vector<int64_t>({2}));
	write_file(dir / "generation_config.json",
		   "{\"eos_token_id\": [7, 8, 9], \"do_sample\": true, \"temperature\": 0.6}");
	EXPECT_EQ(stop(), std::vector<int64_t>({7, 8, 9}));
	write_file(dir / "generation_config.json", "{\"eos_token_id\": 5}");
	EXPECT_EQ(stop(), std::vector<int64_t>({5}));
	for (const char *none : {"{}", "{\"eos_token_id\": null}", "{\"eos_token_id\": []}"}) {
		write_file(dir / "generation_config.json", none);
		EXPECT_EQ(stop(), std::vector<int64_t>({2})) << none;
	}
}

TEST_F(ConfigFile, FailuresNameTheFile)
{
	expect_refused(ERR_DATA, dir / "config.json");
	mkdir((dir / "config.json").c_str(), 0700);
	expect_refused(ERR_DATA, "is a directory");
	rmdir((dir / "config.json").c_str());
	write_file(dir / "config.json", text_of(with(llama2, {{"vocab_size", "0"}})));
	expect_refused(ERR_DATA, dir / "config.json: 'vocab_size' is 0; it must be 1 to 4194304");
	write_file(dir / "config.json", text_of(llama2));
	write_file(dir / "generation_config.json", "{\"eos_token_id\": 32000}");
	expect_refused(ERR_DATA, dir / "generation_config.json: 'eos_token_id' holds 32000");
	for (const char *bad :
	     {"", "[]", "null", "{\"eos_token_id\": \"x\"}", "{\"eos_token_id\": {}}", "{\"eos_token_id\": 1,}"}) {
		write_file(dir / "generation_config.json", bad);
		expect_refused(ERR_DATA, dir / "generation_config.json: ");
	}
	std::string many = "[0";
	for (int i = 1; i <= LIMIT_STOP_IDS; i++)
		many += ",0";
	write_file(dir / "generation_config.json", "{\"eos_token_id\": " + many + "]}");
	expect_refused(ERR_DATA, "'eos_token_id' has 33 items; the limit is 32");
	write_file(dir / "config.json", std::string(LIMIT_CONFIG_BYTES + 1, ' '));
	expect_refused(ERR_DATA, "the limit is 1048576");
}

TEST_F(ConfigFile, AMissingDirectoryIsNoInput)
{
	write_file(dir / "config.json", text_of(llama2));
	for (const char *name : {"absent", "config.json"}) {
		EXPECT_EQ(model_config_load(&c, (dir / name).c_str(), &err), -1);
		EXPECT_EQ(err.code, ERR_NOINPUT) << err.message;
	}
}

/* ---- what a directory holds (identity.h) ---- */

std::string identity(const std::string &directory)
{
	unsigned char digest[HASH_SIZE] = {};
	struct hash hash;
	struct err err = {};
	EXPECT_EQ(hash_init(&hash, &err), 0);
	int rc = identity_add(&hash, directory.c_str(), &err);
	EXPECT_EQ(rc, 0) << err.message;
	EXPECT_EQ(rc || hash_final(digest, &hash, &err), 0);
	hash_release(&hash);
	return std::string((const char *)digest, sizeof digest);
}

TEST(Identity, IsOfNamesAndBytes)
{
	Temporary dir;
	const std::string model = dir / "model", weights = model + "/model.safetensors";
	std::filesystem::create_directory(model);
	std::string bytes(20 << 20, 'w');
	write_file(model + "/config.json", "{}");
	write_file(weights, bytes);
	const std::string whole = identity(model);
	EXPECT_EQ(identity(model), whole);
	std::filesystem::last_write_time(weights, std::filesystem::file_time_type::clock::now() - std::chrono::hours(1));
	write_file(model + "/README.md", "x");
	EXPECT_EQ(identity(model), whole) << "neither times nor other files count";
	for (size_t at : {(size_t)0, (bytes.size() - 4096) * 500 / 1023, bytes.size() - 1}) {
		bytes[at] ^= 1;
		write_file(weights, bytes);
		EXPECT_NE(identity(model), whole) << at;
		bytes[at] ^= 1;
	}
	write_file(weights, bytes + "w");
	EXPECT_NE(identity(model), whole);
	write_file(weights, bytes);
	write_file(model + "/config.json", "{ }");
	EXPECT_NE(identity(model), whole);
	write_file(model + "/config.json", "{}");
	EXPECT_EQ(identity(model), whole);
	std::filesystem::rename(model, dir / "moved");
	EXPECT_EQ(identity(dir / "moved"), whole);
	write_file(dir / "moved/eval_results.json", "{}");
	EXPECT_EQ(identity(dir / "moved"), whole) << "no file of the model";
	std::filesystem::rename(dir / "moved/config.json", dir / "moved/settings.json");
	EXPECT_NE(identity(dir / "moved"), whole);
}

TEST(Identity, OfNoDirectory)
{
	struct hash hash;
	struct err err = {};
	ASSERT_EQ(hash_init(&hash, &err), 0);
	EXPECT_EQ(identity_add(&hash, "/nonexistent", &err), -1);
	EXPECT_EQ(err.code, ERR_NOINPUT);
	hash_release(&hash);
}

} // namespace
