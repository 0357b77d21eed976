# SPDX-License-Identifier: Apache-2.0
"""make_students.py: what transformers says of the tiny students of tests/tiny_checkpoint.h.

Writes students.txt: per kind and storage type the log-probabilities of a sequence, the greedy continuation of 40 tokens
and the IFD of a prompt and a completion, all computed in float32. The weights follow from the tensors' names by the formula of
tiny_source, so none are stored. Needs torch, transformers and numpy; run from the tests/golden folder."""
import math
import numpy, torch, transformers
from transformers import LlamaConfig, MistralConfig, Qwen2Config, Qwen3Config, AutoModelForCausalLM


def philox(counter, key):
    """Philox 4x32-10 on arrays of counters [n, 4] and one key [2]; Salmon et al. 2011."""
    c = [counter[:, i].astype(numpy.uint64) for i in range(4)]
    k0, k1 = int(key[0]), int(key[1])
    low = numpy.uint64(0xFFFFFFFF)
    for _ in range(10):
        even, odd = c[0] * numpy.uint64(0xD2511F53), c[2] * numpy.uint64(0xCD9E8D57)
        c = [(odd >> numpy.uint64(32)) ^ c[1] ^ numpy.uint64(k0), odd & low,
             (even >> numpy.uint64(32)) ^ c[3] ^ numpy.uint64(k1), even & low]
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return c


def stream(seed, what, a):
    c = philox(numpy.array([[what, a, 0, 0]], dtype=numpy.uint64), (seed & 0xFFFFFFFF, seed >> 32))
    return int(c[0][0]), int(c[1][0])


def tensor(name, shape):
    """tiny_source of tests/tiny_checkpoint.h"""
    h = 2166136261
    for b in name.encode():
        h = ((h ^ b) * 16777619) & 0xFFFFFFFF
    n = math.prod(shape)
    counter = numpy.zeros((n, 4), dtype=numpy.uint64)
    counter[:, 0] = numpy.arange(n)
    w = philox(counter, stream(7, 3, h))
    u = (((w[0] >> numpy.uint64(5)) << numpy.uint64(26)) | (w[1] >> numpy.uint64(6))).astype(numpy.float64) / 9007199254740992.0
    middle = numpy.float32(1.0 if len(shape) == 1 and "bias" not in name else 0.0)
    return torch.from_numpy((middle + numpy.float32(0.8) * (u.astype(numpy.float32) - numpy.float32(0.5))).reshape(shape))


def ids(which, n, vocab):
    """random_ids of tests/student_test.cc"""
    counter = numpy.zeros((n, 4), dtype=numpy.uint64)
    counter[:, 0] = numpy.arange(n)
    return [int(3 + int(x) % (vocab - 3)) for x in philox(counter, stream(3, 4, which))[0]]


common = dict(vocab_size=97, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
              num_key_value_heads=2, head_dim=8, max_position_embeddings=256, rms_norm_eps=1e-5, rope_theta=10000.0,
              hidden_act="silu", tie_word_embeddings=True, bos_token_id=1, eos_token_id=2, pad_token_id=0)
llama3 = dict(rope_type="llama3", factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=32)
kinds = [("llama", LlamaConfig, {}), ("llama-untied", LlamaConfig, dict(tie_word_embeddings=False, num_attention_heads=8)),
         ("mistral", MistralConfig, dict(sliding_window=7, tie_word_embeddings=False)), ("qwen2", Qwen2Config, {}),
         ("qwen3", Qwen3Config, {}), ("llama3", LlamaConfig, dict(rope_scaling=llama3))]


def build(kind, extra, narrow):
    if "rope_scaling" in extra:  # transformers 5 wants theta beside the kind
        extra = dict(extra, rope_parameters=dict(extra["rope_scaling"], rope_theta=10000.0))
        del extra["rope_scaling"]
    model = AutoModelForCausalLM.from_config(kind(**{**common, **extra}), attn_implementation="eager").float().eval()
    for name, p in model.named_parameters():
        value = tensor(name, tuple(p.shape))
        p.data = value.bfloat16().float() if narrow and p.dim() == 2 else value
    model.tie_weights()
    return model


@torch.no_grad()
def logp(model, sequence):
    z = model(torch.tensor([sequence])).logits[0].double().log_softmax(-1)
    return [z[t, sequence[t + 1]].item() for t in range(len(sequence) - 1)]


@torch.no_grad()
def greedy(model, sequence, n):
    out = []
    while len(out) < n and (not out or out[-1] != 2):
        out.append(int(model(torch.tensor([sequence + out])).logits[0, -1].argmax()))
    return out


if __name__ == "__main__":
    with open("students.txt", "w") as f:
        print(f"# made by make_students.py: torch {torch.__version__}, transformers {transformers.__version__}, numpy {numpy.__version__}", file=f)
        for name, kind, extra in kinds:
            for narrow in (False, True):
                model = build(kind, extra, narrow)
                tag = f"{name} {'bf16' if narrow else 'f32'}"
                sequence, prompt, completion = ids(50, 33, 97), ids(51, 20, 97), ids(52, 9, 97)
                print(tag, "logp", *(f"{x:.9g}" for x in logp(model, sequence)), file=f)
                print(tag, "greedy", *greedy(model, prompt, 40), file=f)
                c = -sum(logp(model, prompt + completion)[len(prompt) - 1:]) / len(completion)
                u = -sum(logp(model, [1] + completion)) / len(completion)
                print(tag, "ifd", f"{c:.9g} {u:.9g} {math.exp(c - u):.9g}", file=f)
