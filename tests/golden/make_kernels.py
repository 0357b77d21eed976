# SPDX-License-Identifier: Apache-2.0
"""Write kernels.txt, the golden values of tests/golden_test.cc.

    python3 tests/golden/make_kernels.py > tests/golden/kernels.txt

Needs PyTorch and numpy; the test needs only the file. Inputs are never stored:
test and generator compute them from a seed (value_at in tests/device_helper.h,
`values` here). Everything is computed in float64 with autograd, but for what
is about float32: rotary tables, and the rounding to bfloat16 and float16.
Records, one a line:
    NAME n stride largest checksum  elements 0, stride, 2 stride, ... < n
    bits NAME n  triples: float32, bfloat16, float16 patterns
largest is the greatest magnitude of all n elements, checksum the sum of
element i times value_at(9999, i).
"""
import math

import numpy
import torch
import torch.nn.functional as F

MASK = 0xFFFFFFFF
SHOWN = 40  # elements stored of a tensor, about


def values(seed, *shape, scale=1.0, mean=0.0, grad=True):
    n = math.prod(shape)
    x = (numpy.arange(n, dtype=numpy.uint64) + ((seed * 0x9E3779B9) & MASK)) & MASK
    x = ((x ^ (x >> 16)) * 0x7FEB352D) & MASK
    x = ((x ^ (x >> 15)) * 0x846CA68B) & MASK
    x ^= x >> 16
    v = ((x >> 21).astype(numpy.float64) - 1024.0) / 1024.0
    return torch.tensor(mean + scale * v.reshape(shape), dtype=torch.float64, requires_grad=grad)


def record(name, tensor):
    v = tensor.detach().double().reshape(-1).numpy()
    n = len(v)
    stride = max(1, n // SHOWN)
    weights = values(9999, n, grad=False).numpy()
    numbers = [numpy.abs(v).max(), float((v * weights).sum()), *v[::stride]]
    print(name, n, stride, *("%.10g" % x for x in numbers))


def single(x):
    return float(numpy.float32(x))


def rmsnorm(x, w, eps):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps) * w


def norm():
    for name, scale in ("rmsnorm", 2), ("rmsnorm.small", 2**-8):  # of the second, eps is the greater part
        x, w, dy = values(1, 5, 24, scale=scale), values(2, 24, scale=0.5, mean=1), values(3, 5, 24)
        y = F.rms_norm(x, (24,), w, single(1e-5))
        y.backward(dy)
        record(name + ".y", y)
        record(name + ".dx", x.grad)
        record(name + ".dw", w.grad)


def linear():
    x, w, bias, dy = values(11, 5, 19), values(12, 7, 19), values(13, 7), values(14, 5, 7)
    y = F.linear(x, w, bias)
    y.backward(dy)
    for name, v in ("y", y), ("dx", x.grad), ("dw", w.grad), ("dbias", bias.grad):
        record("linear." + name, v)
    for name, dtype in ("bf16", torch.bfloat16), ("f16", torch.float16):
        record("linear.%s.y" % name, F.linear(x, w.float().to(dtype).double(), bias))


def lora():
    x, a, b, y0, dy = (values(21, 5, 19), values(22, 3, 19), values(23, 7, 3), values(24, 5, 7), values(25, 5, 7))
    xa = F.linear(x, a)
    y = y0 + 1.5 * F.linear(xa, b)
    y.backward(dy)
    for name, v in ("y", y), ("xa", xa), ("dx", x.grad), ("da", a.grad), ("db", b.grad):
        record("lora." + name, v)
    record("merge.f32", values(26, 7, 19) + 1.5 * b @ a)


def frequencies(theta, dim, kind, factor=1.0, low=1.0, high=4.0, original=8192):
    """Inverse frequencies in float32, as transformers' modeling_rope_utils defines the three kinds."""
    base = torch.tensor(theta) ** (torch.arange(0, dim, 2).float() / dim)
    inverse = 1.0 / base
    if kind == "linear":
        return inverse / factor
    if kind == "default":
        return inverse
    wave = 2 * math.pi / inverse
    blend = (original / wave - low) / (high - low)
    between = (1 - blend) * inverse / factor + blend * inverse
    long_or_short = torch.where(wave > original / low, inverse / factor, inverse)
    medium = (wave >= original / high) & (wave <= original / low)
    return torch.where(medium, between, long_or_short)


def tables(positions, inverse):
    angle = torch.tensor(positions, dtype=torch.float32)[:, None] * inverse[None, :]
    return angle.cos(), angle.sin()


def rotate(x, cos, sin):
    """x [R, heads, D]; transformers' rotate_half with the tables doubled."""
    half = x.shape[-1] // 2
    turned = torch.cat((-x[..., half:], x[..., :half]), -1)
    return x * torch.cat((cos, cos), -1)[:, None].double() + turned * torch.cat((sin, sin), -1)[:, None].double()


def rope():
    at = [0, 1, 2, 17, 511, 4095, 8191]
    for name, *config in (("default", 10000.0, 64, "default"), ("linear", 10000.0, 64, "linear", 4.0),
                          ("llama31", 500000.0, 128, "llama3", 8.0), ("llama32", 500000.0, 64, "llama3", 32.0),
                          ("narrow", 500000.0, 64, "llama3", 4.0, 2.0, 16.0, 4096)):
        cos, sin = tables(at, frequencies(*config))
        record("rope.%s.cos" % name, cos)
        record("rope.%s.sin" % name, sin)
    x = values(31, 4, 3, 8)
    record("rope.y", rotate(x, *tables([0, 5, 17, 63], frequencies(10000.0, 8, "default"))))


def mask_of(lengths, prefix=None, window=0):
    """Which row sees which, from (segment, position); prefix: {segment: (its prefix, how much of it)}."""
    prefix = prefix or {}
    rows = [(s, t + prefix.get(s, (0, 0))[1]) for s, n in enumerate(lengths) for t in range(n)]

    def sees(q, k):
        own = q[0] == k[0] and k[1] <= q[1]
        shared = q[0] in prefix and k[0] == prefix[q[0]][0] and k[1] < prefix[q[0]][1]
        return (own or shared) and (not window or k[1] > q[1] - window)
    return torch.tensor([[sees(q, k) for k in rows] for q in rows]), [p for _, p in rows]


def attend(q, k, v, mask, scale):
    """[R, heads, D] each; more query heads than key heads."""
    group = q.shape[1] // k.shape[1]
    q, k, v = q.transpose(0, 1), k.transpose(0, 1), v.transpose(0, 1)
    k, v = k.repeat_interleave(group, 0), v.repeat_interleave(group, 0)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale).transpose(0, 1)


def attention():
    for name, lengths, prefix, window in (("packed", [5, 1, 3], {}, 0), ("window", [7, 2], {}, 3),
                                          ("prefix", [4, 3, 2], {1: (0, 4), 2: (0, 3)}, 0),
                                          ("both", [4, 3, 2], {1: (0, 4), 2: (0, 3)}, 3)):
        mask, _ = mask_of(lengths, prefix, window)
        rows = len(mask)
        q, k, v = values(41, rows, 4, 8, scale=2), values(42, rows, 2, 8), values(43, rows, 2, 8)
        o = attend(q, k, v, mask, 0.5)
        o.backward(values(44, rows, 4, 8))
        score = 0.5 * torch.einsum("qhd,khd->qhk", q, k.repeat_interleave(2, 1))
        lse = score.masked_fill(~mask[:, None, :], -math.inf).logsumexp(-1)
        for what, t in ("o", o), ("lse", lse), ("dq", q.grad), ("dk", k.grad), ("dv", v.grad):
            record("attention.%s.%s" % (name, what), t)


def pointwise():
    g, u, dy = values(51, 3, 17, scale=8), values(52, 3, 17), values(53, 3, 17)
    y = F.silu(g) * u
    y.backward(dy)
    for name, v in ("y", y), ("dg", g.grad), ("du", u.grad):
        record("swiglu." + name, v)
    record("log_softmax.y", F.log_softmax(values(61, 4, 33, scale=8), -1))
    w = values(63, 6, 5)
    y = F.embedding(torch.tensor([4, 0, 4, 5]), w)
    y.backward(values(64, 4, 5))
    record("embed.y", y)
    record("embed.dw", w.grad)
    record("norm2", sum(values(s, 5, s).pow(2).sum() for s in (65, 66, 67)).reshape(1))


def head():
    x, norm_w, w = values(71, 6, 12, scale=2), values(72, 12, scale=0.5, mean=1), values(73, 40, 12)
    weight = values(74, 6, scale=0.5, mean=1)
    z = F.linear(F.rms_norm(x, (12,), norm_w, 0.125), w)
    target = torch.tensor([39, -100, 0, 7, 7, 21])
    loss = F.cross_entropy(z, target, reduction="none")
    (weight * loss).sum().backward()
    for name, v in ("logits", z), ("logp", -loss), ("dx", x.grad), ("dnorm", norm_w.grad), ("dw", w.grad):
        record("head." + name, v)


def layer(variant, adapted, bias, qk_norm, window):
    """One decoder layer: pre-norm attention and gated MLP, each added to the residual."""
    c, heads, kv, d, ffn, rank = 16, 4, 2, 8, 24, 4
    eps = 0.25  # large, so that it is felt
    mask, pos = mask_of([6, 3], window=window)
    p, seed = {}, 100

    def new(name, *shape, **options):
        nonlocal seed
        seed += 1
        p[name] = values(seed, *shape, **options)
    new("x", 9, c)
    new("norm", c, scale=0.5, mean=1)
    new("mlp_norm", c, scale=0.5, mean=1)
    sizes = {"q": (heads * d, c), "k": (kv * d, c), "v": (kv * d, c), "o": (c, heads * d),
             "gate": (ffn, c), "up": (ffn, c), "down": (c, ffn)}
    for name, (rows, cols) in sizes.items():
        new(name, rows, cols, scale=0.5)
        new(name + ".a", rank, cols, scale=0.5)
        new(name + ".b", rows, rank, scale=0.5)
        new(name + ".bias", rows)
    new("q_norm", d, scale=0.5, mean=1)
    new("k_norm", d, scale=0.5, mean=1)

    def project(name, h):
        y = F.linear(h, p[name], p[name + ".bias"] if bias and name in "qkvo" else None)
        return y + 2.0 * F.linear(F.linear(h, p[name + ".a"]), p[name + ".b"]) if adapted else y
    cos, sin = tables(pos, frequencies(10000.0, d, "default"))
    h = rmsnorm(p["x"], p["norm"], eps)
    q, k, v = (project(n, h).reshape(9, -1, d) for n in "qkv")
    if qk_norm:
        q, k = rmsnorm(q, p["q_norm"], eps), rmsnorm(k, p["k_norm"], eps)
    o = attend(rotate(q, cos, sin), rotate(k, cos, sin), v, mask, single(d ** -0.5))
    x = p["x"] + project("o", o.reshape(9, -1))
    h = rmsnorm(x, p["mlp_norm"], eps)
    x = x + project("down", F.silu(project("gate", h)) * project("up", h))
    x.backward(values(100, 9, c))
    record("layer.%s.y" % variant, x)
    for name, v in p.items():
        if v.grad is not None:
            record("layer.%s.d.%s" % (variant, name), v.grad)


def adamw(variant, max_norm):
    p, q = values(81, 5, 7), values(82, 9)
    optimizer = torch.optim.AdamW([{"params": [p], "weight_decay": single(0.1)}, {"params": [q], "weight_decay": 0.0}],
                                  betas=(single(0.9), single(0.95)), eps=single(1e-8), foreach=False)
    for step, lr in enumerate((1e-3, 2e-3, 5e-4)):
        p.grad, q.grad = values(83 + step, 5, 7, grad=False), values(93 + step, 9, scale=4, grad=False)
        torch.nn.utils.clip_grad_norm_([p, q], max_norm)
        for group in optimizer.param_groups:
            group["lr"] = single(lr)
        optimizer.step()
        record("adamw.%s.p%d" % (variant, step), p)
        record("adamw.%s.q%d" % (variant, step), q)
    record("adamw.%s.m" % variant, optimizer.state[p]["exp_avg"])
    record("adamw.%s.v" % variant, optimizer.state[p]["exp_avg_sq"])


def rounding():
    """Ties, carries, subnormals, overflow, signed zeros, infinities; then patterns without pattern."""
    chosen = [1.0, 1 + 2**-8, 1 + 3 * 2**-8, 1 + 2**-8 + 2**-23, 1 + 2**-8 - 2**-23, 2 - 2**-9, 2 - 2**-8,
              1 + 2**-11, 1 + 3 * 2**-11, 1 + 2**-11 + 2**-23, 2 - 2**-12, 2 - 2**-11, 0.1, 1 / 3, math.pi,
              65504, 65519, 65519.99609375, 65520, 65536, 1e6, 2**-14, 2**-14 - 2**-25, 2**-14 - 2**-26, 2**-15, 2**-24,
              2**-25, 2**-25 * (1 + 2**-23), 3 * 2**-25, 5 * 2**-25, 2**-26, 6.1e-5, 3.3895313892515355e38,
              3.3961775292304957e38, 3.4e38, 2**-126, 2**-127, 2**-133, 2**-134, 3 * 2**-134, 2**-134 + 2**-149, 2**-149,
              1e-40, 0.0, math.inf]
    bits = numpy.array(chosen, dtype=numpy.float32).view(numpy.uint32)
    wild = ((numpy.arange(1, 61, dtype=numpy.uint64) * 0x9E3779B97F4A7C15) >> 32 & MASK).astype(numpy.uint32)
    wild = wild[numpy.isfinite(wild.view(numpy.float32))]
    near = (wild & 0x807FFFFF) | (((wild >> 23) % 44 + 100) << 23).astype(numpy.uint32)  # within float16's range
    bits = numpy.concatenate((bits, bits ^ 0x80000000, wild, near)).astype(numpy.uint32)
    x = torch.from_numpy(bits.view(numpy.float32).copy())
    half = [x.to(t).view(torch.int16).numpy().astype(numpy.uint16) for t in (torch.bfloat16, torch.float16)]
    print("bits rounding", len(bits), *(int(v) for triple in zip(bits, *half) for v in triple))
    codes = numpy.concatenate((numpy.arange(0, 65536, 509), [1, 0x3FF, 0x400, 0x7BFF, 0x7F, 0x80, 0x7F7F])).astype(
        numpy.uint16)
    wide = [torch.from_numpy(codes.view(numpy.int16).copy()).view(t).float() for t in (torch.bfloat16, torch.float16)]
    keep = torch.isfinite(wide[0]) & torch.isfinite(wide[1])
    patterns = [w[keep].numpy().view(numpy.uint32) for w in wide]
    print("bits widening", int(keep.sum()), *(int(v) for t in zip(codes[keep.numpy()], *patterns) for v in t))


print("# SPDX-License-Identifier: Apache-2.0")
versions = torch.__version__.split("+")[0], numpy.__version__
print("# made by tests/golden/make_kernels.py with torch %s, numpy %s" % versions)
norm()
linear()
lora()
rope()
attention()
pointwise()
head()
layer("adapted", adapted=True, bias=False, qk_norm=False, window=0)
layer("normed", adapted=False, bias=True, qk_norm=True, window=4)
adamw("clipped", 1.0)
adamw("free", 1000.0)
rounding()
