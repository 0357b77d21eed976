// SPDX-License-Identifier: Apache-2.0
/* tiny_checkpoint.h - a model directory with seeded random weights, made for one test and removed with it. */
#ifndef BALDISTILL_TESTS_TINY_CHECKPOINT_H
#define BALDISTILL_TESTS_TINY_CHECKPOINT_H

#include <string>
#include <vector>

#include <cstring>
#include <stdexcept>

#include "reference/philox.h"
#include "src/model/safetensors.h"
#include "tests/temporary.h"

/* Sizes and kinds; the defaults are a Llama with grouped queries and tied embeddings. */
struct TinyConfig {
	std::string architecture = "LlamaForCausalLM", type = "llama";
	int64_t vocab = 97, hidden = 32, ffn = 48, layers = 2, heads = 4, kv_heads = 2, head_dim = 8, positions = 256;
	bool tied = true, qkv_bias = false, qk_norm = false;
	int64_t window = 0;
	std::string extra; /* further members of config.json, each with a leading comma */
};

/* Row source of the writer: numbers in [-0.4, 0.4), norms and only they around 1, the same for the same tensor name. */
inline int tiny_source(void *, const struct tensor_spec *tensor, int64_t row, int64_t rows, void *out, struct err *)
{
	uint32_t name = 2166136261u;
	for (const char *c = tensor->name; *c; c++)
		name = (name ^ (uint32_t)(unsigned char)*c) * 16777619u;
	int64_t cols = 1;
	for (int i = 1; i < tensor->rank; i++)
		cols *= tensor->shape[i];
	struct philox_key key = philox_stream(7, PHILOX_INIT, name, 0, 0);
	float *to = (float *)out, middle = tensor->rank == 1 && !strstr(tensor->name, "bias") ? 1.0f : 0.0f;
	for (int64_t i = 0; i < rows * cols; i++)
		to[i] = middle + 0.8f * ((float)philox_uniform(philox_at(key, (uint32_t)(row * cols + i), 0)) - 0.5f);
	return 0;
}

class TinyCheckpoint {
public:
	explicit TinyCheckpoint(const TinyConfig &config) : config(config)
	{
		write_config();
		write_weights();
	}
	const char *path() const { return folder.path.c_str(); }
	TinyConfig config;

private:
	void write_config()
	{
		std::string text = "{\"architectures\": [\"" + config.architecture + "\"], \"model_type\": \"" + config.type + "\"";
		auto number = [&](const char *key, int64_t value) { text += std::string(", \"") + key + "\": " + std::to_string(value); };
		number("vocab_size", config.vocab), number("hidden_size", config.hidden);
		number("intermediate_size", config.ffn), number("num_hidden_layers", config.layers);
		number("num_attention_heads", config.heads), number("num_key_value_heads", config.kv_heads);
		number("head_dim", config.head_dim), number("max_position_embeddings", config.positions);
		if (config.window)
			number("sliding_window", config.window);
		text += ", \"rms_norm_eps\": 1e-05, \"rope_theta\": 10000.0, \"hidden_act\": \"silu\", \"eos_token_id\": 2";
		text += std::string(", \"tie_word_embeddings\": ") + (config.tied ? "true" : "false") + config.extra + "}";
		write_file(folder / "config.json", text);
	}

	void add(const std::string &name, std::vector<int64_t> shape)
	{
		names.push_back(name);
		shapes.push_back(shape);
	}

	void write_weights()
	{
		const TinyConfig &c = config;
		int64_t Q = c.heads * c.head_dim, K = c.kv_heads * c.head_dim;
		add("model.embed_tokens.weight", {c.vocab, c.hidden});
		add("model.norm.weight", {c.hidden});
		if (!c.tied)
			add("lm_head.weight", {c.vocab, c.hidden});
		for (int64_t i = 0; i < c.layers; i++) {
			std::string l = "model.layers." + std::to_string(i) + ".";
			add(l + "input_layernorm.weight", {c.hidden}), add(l + "post_attention_layernorm.weight", {c.hidden});
			add(l + "self_attn.q_proj.weight", {Q, c.hidden}), add(l + "self_attn.k_proj.weight", {K, c.hidden});
			add(l + "self_attn.v_proj.weight", {K, c.hidden}), add(l + "self_attn.o_proj.weight", {c.hidden, Q});
			add(l + "mlp.gate_proj.weight", {c.ffn, c.hidden}), add(l + "mlp.up_proj.weight", {c.ffn, c.hidden});
			add(l + "mlp.down_proj.weight", {c.hidden, c.ffn});
			if (c.qkv_bias)
				add(l + "self_attn.q_proj.bias", {Q}), add(l + "self_attn.k_proj.bias", {K}),
					add(l + "self_attn.v_proj.bias", {K});
			if (c.qk_norm)
				add(l + "self_attn.q_norm.weight", {c.head_dim}), add(l + "self_attn.k_norm.weight", {c.head_dim});
		}
		std::vector<struct tensor_spec> specs(names.size());
		for (size_t i = 0; i < names.size(); i++) {
			specs[i].name = names[i].c_str();
			specs[i].dtype = DTYPE_F32;
			specs[i].rank = (int)shapes[i].size();
			for (size_t d = 0; d < shapes[i].size(); d++)
				specs[i].shape[d] = shapes[i][d];
		}
		struct err err = {};
		if (safetensors_save_shards(path(), specs.data(), specs.size(), 1 << 30, tiny_source, nullptr, &err))
			throw std::runtime_error(err.message);
	}

	Temporary folder;
	std::vector<std::string> names;
	std::vector<std::vector<int64_t>> shapes;
};

#endif
