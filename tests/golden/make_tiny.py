# SPDX-License-Identifier: Apache-2.0
"""make_tiny.py DIR: the tiny student that the manual's examples and the tests of the commands run.

DIR/config.json ...    a Hugging Face directory of a Llama: 2 layers, hidden size 32, 4 heads over 2 key heads, weights
                       as bfloat16 from a fixed seed, so that what it writes means nothing
DIR/tokenizer.json     byte-level BPE: 4 special tokens, 256 bytes, and the beginnings of the words below
DIR/rows.jsonl         rows for score, generate and inspect; DIR/texts.jsonl for tokenize; DIR/chat.jsonl conversations
Needs Python alone: the bytes depend on random.Random.random(), which is the same in every version. Made with 3.11.
Checked with transformers 5.23.0 and torch 2.15.0: they load the directory, and ids, log-probabilities and greedy
continuations are equal to the program's.
"""

import json, pathlib, random, struct, sys

out = pathlib.Path(sys.argv[1])
out.mkdir(parents=True, exist_ok=True)
BEGIN, END, TURN, STOP = special = ["<|begin|>", "<|end|>", "<|im_start|>", "<|im_end|>"]
WORDS = """ the to of and in is a for on wheat corn oil gold trade ship bank money price topic answer question because
 company said year tonnes export report market crop rose fell""".split()
POSITIONS, HIDDEN, FFN, LAYERS, HEADS, KV_HEADS, HEAD = 512, 32, 64, 2, 4, 2, 8


def byte_letters():
    """The letters that stand for the 256 bytes in a byte-level vocabulary, as in GPT-2: printable ones as they are."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in printable]
    return {**{b: chr(b) for b in printable}, **{b: chr(256 + i) for i, b in enumerate(others)}}


def tokenizer():
    letters = byte_letters()
    vocab = special + [letters[b] for b in range(256)]
    merges = []
    for word in WORDS:
        left = letters[32]
        for c in word:
            if left + c not in vocab:
                merges.append([left, c])
                vocab.append(left + c)
            left += c
    added = [dict(id=i, content=t, single_word=False, lstrip=False, rstrip=False, normalized=False, special=True)
             for i, t in enumerate(special)]
    level = dict(type="ByteLevel", add_prefix_space=False, trim_offsets=True, use_regex=True)
    begin = {"SpecialToken": {"id": BEGIN, "type_id": 0}}
    text = [{"Sequence": {"id": i, "type_id": 0}} for i in "AB"]
    post = dict(type="TemplateProcessing", single=[begin, text[0]], pair=[begin, text[0], begin, text[1]],
                special_tokens={BEGIN: dict(id=BEGIN, ids=[0], tokens=[BEGIN])})
    model = dict(type="BPE", dropout=None, unk_token=None, continuing_subword_prefix=None, end_of_word_suffix=None,
                 fuse_unk=False, byte_fallback=False, ignore_merges=False, vocab={t: i for i, t in enumerate(vocab)},
                 merges=merges)
    return dict(version="1.0", truncation=None, padding=None, added_tokens=added, normalizer=None, pre_tokenizer=level,
                post_processor=post, decoder=level, model=model)


def shapes(vocab):
    yield "model.embed_tokens.weight", (vocab, HIDDEN)
    for i in range(LAYERS):
        name = f"model.layers.{i}."
        yield name + "input_layernorm.weight", (HIDDEN,)
        yield name + "self_attn.q_proj.weight", (HEADS * HEAD, HIDDEN)
        yield name + "self_attn.k_proj.weight", (KV_HEADS * HEAD, HIDDEN)
        yield name + "self_attn.v_proj.weight", (KV_HEADS * HEAD, HIDDEN)
        yield name + "self_attn.o_proj.weight", (HIDDEN, HEADS * HEAD)
        yield name + "post_attention_layernorm.weight", (HIDDEN,)
        yield name + "mlp.gate_proj.weight", (FFN, HIDDEN)
        yield name + "mlp.up_proj.weight", (FFN, HIDDEN)
        yield name + "mlp.down_proj.weight", (HIDDEN, FFN)
    yield "model.norm.weight", (HIDDEN,)


def weights(shape, rng):
    """Uniform, norms around 1. The head is the embedding: END's row is longer, so that completions do come to an end."""
    rows = shape[0] if len(shape) == 2 else 1
    cols = shape[-1]
    scale, middle = (0.2, 1.0) if len(shape) == 1 else (1.0, 0.0)
    for r in range(rows):
        longer = 2.0 if rows > 256 and r == special.index(END) else 1.0
        for _ in range(cols):
            yield longer * (middle + scale * (rng.random() - 0.5))


def bfloat16(x):
    bits = struct.unpack("<I", struct.pack("<f", x))[0]
    return struct.pack("<H", (bits + 0x7FFF + (bits >> 16 & 1)) >> 16)  # to nearest, ties to even


def safetensors(vocab):
    rng, header, data = random.Random(20261122), {"__metadata__": {"format": "pt"}}, b""
    for name, shape in shapes(vocab):
        begin = len(data)
        data += b"".join(bfloat16(x) for x in weights(shape, rng))
        header[name] = dict(dtype="BF16", shape=list(shape), data_offsets=[begin, len(data)])
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def save(name, value):
    (out / name).write_text(json.dumps(value, ensure_ascii=False, indent=1 if name == "config.json" else None) + "\n",
                            encoding="utf-8")


def save_rows(name, rows):
    (out / name).write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), encoding="utf-8")


tok = tokenizer()
size = len(tok["model"]["vocab"])
roles = dict(bos_token=BEGIN, eos_token=END)
save("tokenizer.json", tok)
save("tokenizer_config.json", dict(tokenizer_class="PreTrainedTokenizerFast", model_max_length=POSITIONS, **roles))
save("generation_config.json", dict(bos_token_id=0, eos_token_id=[1, 3]))
save("config.json", dict(
    architectures=["LlamaForCausalLM"], model_type="llama", vocab_size=size, hidden_size=HIDDEN, intermediate_size=FFN,
    num_hidden_layers=LAYERS, num_attention_heads=HEADS, num_key_value_heads=KV_HEADS, head_dim=HEAD,
    max_position_embeddings=POSITIONS, rms_norm_eps=1e-5, rope_theta=10000.0, hidden_act="silu", attention_bias=False,
    mlp_bias=False, tie_word_embeddings=True, bos_token_id=0, eos_token_id=1, torch_dtype="bfloat16"))
(out / "model.safetensors").write_bytes(safetensors(size))

ask = "Name the topic of the report.\nReport: "
reports = [("grain", "the wheat crop fell to 2 tonnes"), ("crude", "the price of oil rose in the year"),
           ("gold", "the company said gold is money"), ("ship", "a ship for the export of corn"),
           ("trade", "Žluté zboží: trade of the year 😀"), ("money-fx", "the bank said the market fell")]
save_rows("rows.jsonl", [dict(id=f"{topic}-{i + 1}", domain=topic, prompt=f"{ask}{text}\nTopic:", completion=f" {topic}")
                         for i, (topic, text) in enumerate(reports)])
save_rows("texts.jsonl", [dict(id=i + 1, text=text) for i, (_, text) in enumerate(reports)])
save_rows("chat.jsonl", [dict(id=i + 1, messages=[dict(role="user", content=ask + text), dict(role="assistant", content=topic)])
                         for i, (topic, text) in enumerate(reports[:2])])
