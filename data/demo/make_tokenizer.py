#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the student's tokenizer and configuration.

    make_tokenizer.py TEXTS DIRECTORY [VOCABULARY [MEMBERS]]

TEXTS is what `make_demo.py --pretrain TEXTS` wrote, or other rows of a text.
VOCABULARY is the most tokens there may be (1024); MEMBERS, a JSON object, has
members of config.json that are to be others than below. Byte-level BPE, by the
Python package `tokenizers`; nothing in it is random.
"""
import json
import sys

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

SPECIAL = ["<|begin|>", "<|end|>"]


def tokenizer_of(texts, vocabulary):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=vocabulary, min_frequency=2, special_tokens=SPECIAL, show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet())))
    return tokenizer


def config_of(vocabulary, members):
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": vocabulary,
        "hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 4, "num_attention_heads": 4,
        "num_key_value_heads": 4, "head_dim": 32, "max_position_embeddings": 512, "rms_norm_eps": 1e-05,
        "rope_theta": 10000.0, "hidden_act": "silu", "attention_bias": False, "mlp_bias": False,
        "tie_word_embeddings": True, "initializer_range": 0.02, "bos_token_id": 0, "eos_token_id": 1,
        "torch_dtype": "float32",
    }
    return {**config, **members}


def write(path, value):
    with open(path, "w", encoding="utf-8") as f:
        json.dump(value, f, indent=1)
        f.write("\n")


def main():
    if len(sys.argv) not in (3, 4, 5):
        sys.exit("usage: make_tokenizer.py TEXTS DIRECTORY [VOCABULARY [MEMBERS]]")
    most = int(sys.argv[3]) if len(sys.argv) > 3 else 1024
    members = json.loads(sys.argv[4]) if len(sys.argv) > 4 else {}
    with open(sys.argv[1], encoding="utf-8") as f:
        tokenizer = tokenizer_of([json.loads(line)["text"] for line in f], most)
    config = config_of(tokenizer.get_vocab_size(), members)
    tokenizer.save(sys.argv[2] + "/tokenizer.json")
    write(sys.argv[2] + "/tokenizer_config.json", {
        "tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": config["max_position_embeddings"],
        "bos_token": SPECIAL[0], "eos_token": SPECIAL[1]})
    write(sys.argv[2] + "/config.json", config)
    write(sys.argv[2] + "/generation_config.json", {"bos_token_id": 0, "eos_token_id": 1})
    print("%d tokens" % tokenizer.get_vocab_size())


if __name__ == "__main__":
    main()
