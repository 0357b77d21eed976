# SPDX-License-Identifier: Apache-2.0
"""gpu_peers.py --model NAME --jobs JOB[,JOB...] [--settings SETTING[,SETTING...]] [--repeat 5] [--device cuda]
gpu_peers.py --table OUR_LINES THEIR_LINES

What bench/gpu is measured against, on the same GPU: PyTorch, transformers and PEFT on models of the same shapes
with random bf16 weights. One JSON line for each job, setting and variant, at once, so that a job that fails or takes
too long does not lose the others.

- train     PEFT LoRA without checkpointing, SDPA attention, all tokens labelled, fused AdamW on the adapters, the norm
            clipped. SETTING is ROWSxLENGTH:rRANK:TARGETS:DROPOUT, such as 4x1024:r16:all:0. Variants: adapters in f32
            as PEFT makes them, in bf16, and in bf16 with the loss taken over pieces of the rows.
- score     the log-probability of every token, 4 and 8 rows of 1,024; variants: all logits at once, or piece by piece
- loop      rows of 512 one after the other, their mean loss, as the method's authors score
- generate  16 prompts of 300 tokens, 200 new ones, greedy, after a whole run as warm-up; without cuDNN's attention,
            which may plan anew for each length of the cache. Two lines: "generate" counts the prompts' time, "decode"
            has that of one new token subtracted, because the decode job of bench/gpu begins after its prompts.

--table prints ours, the best of theirs, the ratio and the goal of every job from two files of such lines. Exit status 1
where a job failed."""
import argparse, gc, json, statistics, sys, time

SHAPES = {  # layers, hidden, heads, key heads, head size, MLP, vocabulary, tied
    "llama-3-8b": (32, 4096, 32, 8, 128, 14336, 128256, False),
    "tinyllama-1.1b": (22, 2048, 32, 4, 64, 5632, 32000, False),
    "smollm2-135m": (30, 576, 9, 3, 64, 1536, 49152, True),
    "tiny": (2, 128, 2, 1, 64, 256, 512, True),
}
ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
PIECE = 1024  # rows of logits at a time


def emit(options, job, setting, variant, **figures):
    line = {"arm": "peer", "model": options.model, "job": job, "setting": setting, "variant": variant}
    line.update({k: round(v, 6) if isinstance(v, float) else v for k, v in figures.items()})
    print(json.dumps(line), flush=True)


class Bench:
    def __init__(self, options):
        import torch
        self.o, self.torch, self.cuda = options, torch, options.device.startswith("cuda")
        self.failed = False
        torch.manual_seed(0)
        begin = time.perf_counter()
        self.model = self.build()
        self.sync()
        self.vocabulary = self.model.config.vocab_size
        emit(options, "start", "", "", seconds=time.perf_counter() - begin, torch=torch.__version__,
             parameters=sum(p.numel() for p in self.model.parameters()))

    def build(self):
        torch = self.torch
        from transformers import AutoModelForCausalLM, LlamaConfig
        layers, hidden, heads, kv, size, ffn, vocabulary, tied = SHAPES[self.o.model]
        config = LlamaConfig(num_hidden_layers=layers, hidden_size=hidden, num_attention_heads=heads,
                             num_key_value_heads=kv, head_dim=size, intermediate_size=ffn, vocab_size=vocabulary,
                             tie_word_embeddings=tied, max_position_embeddings=2048, rms_norm_eps=1e-5,
                             bos_token_id=None, eos_token_id=None, pad_token_id=0)
        with torch.device(self.o.device):
            try:
                model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16, attn_implementation="sdpa")
            except TypeError:
                model = AutoModelForCausalLM.from_config(config, torch_dtype=torch.bfloat16, attn_implementation="sdpa")
        model = model.to(device=self.o.device, dtype=torch.bfloat16)
        with torch.no_grad():  # random, whatever the constructor left there
            for name, p in model.named_parameters():
                p.normal_(0, 0.02) if p.dim() > 1 else p.fill_(1)
        return model.eval().requires_grad_(False)

    def sync(self):
        if self.cuda:
            self.torch.cuda.synchronize()

    def clear(self):
        gc.collect()
        if self.cuda:
            self.torch.cuda.empty_cache()
            self.torch.cuda.reset_peak_memory_stats()

    def peak(self):
        return self.torch.cuda.max_memory_allocated() / 1e9 if self.cuda else 0.0

    def ids(self, rows, length):
        return self.torch.randint(10, self.vocabulary, (rows, length), device=self.o.device)

    def times(self, step, warm=2, repeat=None):
        for _ in range(warm):
            step()
        seconds = []
        for _ in range(repeat or self.o.repeat):
            self.sync()
            begin = time.perf_counter()
            step()
            self.sync()
            seconds.append(time.perf_counter() - begin)
        return seconds

    def report(self, job, setting, variant, tokens, seconds, **more):
        middle = statistics.median(seconds)
        emit(self.o, job, setting, variant, tokens_s=tokens / middle, ms=1e3 * middle, ms_least=1e3 * min(seconds),
             ms_most=1e3 * max(seconds), gb=self.peak(), **more)

    def attention(self):
        """Which SDPA kernel these shapes get, and whether flash or cuDNN's can run them: never a silent fall-back."""
        torch, names = self.torch, ["math", "flash", "efficient", "cudnn"]
        _, _, heads, kv, size, _, _, _ = SHAPES[self.o.model]
        q, k, v = (torch.randn(4, n, 1024, size, device=self.o.device, dtype=torch.bfloat16) for n in (heads, kv, kv))
        from torch.nn.attention import SDPBackend, sdpa_kernel
        found = []
        for name in ("FLASH_ATTENTION", "CUDNN_ATTENTION"):
            try:
                with sdpa_kernel([getattr(SDPBackend, name)]):
                    torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
                found.append(name.lower())
            except Exception as e:
                found.append("no %s: %s" % (name.lower(), str(e)[:60]))
        choice = int(torch._fused_sdp_choice(q, k, v, is_causal=True, enable_gqa=True))
        emit(self.o, "attention", "4x1024", "", chosen=names[choice] if 0 <= choice < 4 else choice, found=found)

    # ---- training ----

    def pieces_loss(self, causal, ids):
        """The loss over pieces of the rows, each computed again in its backward."""
        torch = self.torch
        from torch.utils.checkpoint import checkpoint
        hidden = causal.model(input_ids=ids, use_cache=False).last_hidden_state[:, :-1]
        hidden = hidden.reshape(-1, hidden.shape[-1])
        labels = ids[:, 1:].reshape(-1)

        def piece(h, y):
            return torch.nn.functional.cross_entropy(causal.lm_head(h).float(), y, reduction="sum")
        sums = [checkpoint(piece, hidden[i:i + PIECE], labels[i:i + PIECE], use_reentrant=False)
                for i in range(0, len(labels), PIECE)]
        return torch.stack(sums).sum() / len(labels)

    def train_variant(self, setting, peft, variant, rows, length):
        torch = self.torch
        pieces, adapters = "pieces" in variant, [p for p in peft.parameters() if p.requires_grad]
        for p in adapters:
            p.data = p.data.to(torch.float32 if variant == "f32 adapters" else torch.bfloat16)
        optimizer = torch.optim.AdamW(adapters, lr=1e-3, weight_decay=0.01, fused=True)
        ids, losses = self.ids(rows, length), []
        causal = peft.get_base_model()

        def step():
            loss = self.pieces_loss(causal, ids) if pieces else peft(input_ids=ids, labels=ids, use_cache=False).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(adapters, 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            losses.append(loss.detach())
        self.clear()
        seconds = self.times(step)
        self.report("train", setting, variant, ids.numel(), seconds, loss_first=float(losses[0]),
                    loss_last=float(losses[-1]), adapters=sum(p.numel() for p in adapters),
                    dtype=str(adapters[0].dtype))

    def train(self, setting):
        from peft import LoraConfig, get_peft_model
        size, rank, targets, dropout = setting.split(":")
        rows, length = (int(n) for n in size.split("x"))
        rank, dropout = int(rank[1:]), float(dropout)
        name = "%d x %d r%d %s dropout %g" % (rows, length, rank, targets, dropout)
        config = LoraConfig(r=rank, lora_alpha=2 * rank, lora_dropout=dropout, task_type="CAUSAL_LM",
                            target_modules=ALL if targets == "all" else ["q_proj", "v_proj"])
        peft = get_peft_model(self.model, config)  # adapters in f32: autocast_adapter_dtype is its default
        peft.train()
        try:
            for variant in ("f32 adapters", "bf16 adapters", "bf16 adapters, loss in pieces"):
                self.attempt("train", lambda: self.train_variant(name, peft, variant, rows, length))
                peft.zero_grad(set_to_none=True)
        finally:
            self.model = peft.unload().eval().requires_grad_(False)

    # ---- scoring and generation ----

    def logp(self, hidden, ids, logits=None):
        torch = self.torch
        labels, out = ids[:, 1:].reshape(-1), []
        for i in range(0, len(labels), PIECE):
            z = (self.model.lm_head(hidden[i:i + PIECE]) if logits is None else logits[i:i + PIECE]).float()
            out.append(z.gather(1, labels[i:i + PIECE, None])[:, 0] - torch.logsumexp(z, 1))
        return torch.cat(out)

    def score_pieces(self, ids):
        hidden = self.model.model(input_ids=ids, use_cache=False).last_hidden_state[:, :-1]
        return self.logp(hidden.reshape(-1, hidden.shape[-1]), ids)

    def score_whole(self, ids):
        logits = self.model(input_ids=ids, use_cache=False).logits[:, :-1]
        return self.logp(None, ids, logits.reshape(-1, logits.shape[-1]))

    def score(self):
        for rows in (4, 8):
            ids = self.ids(rows, 1024)
            for way, step in (("all logits", self.score_whole), ("in pieces", self.score_pieces)):
                self.clear()
                with self.torch.no_grad():
                    seconds = self.times(lambda: step(ids).cpu())
                self.report("score", "%d x 1024" % rows, way, ids.numel(), seconds)

    def loop(self):
        ids = self.ids(16, 512)

        def step():
            return [float(self.model(input_ids=row[None], labels=row[None], use_cache=False).loss) for row in ids]
        self.clear()
        with self.torch.no_grad():
            seconds = self.times(step, warm=1, repeat=3)
        self.report("loop", "rows of 512", "", ids.numel(), seconds)

    def generate(self):
        from torch.nn.attention import SDPBackend, sdpa_kernel
        ids = self.ids(16, 300)
        mask = self.torch.ones_like(ids)

        def step(new):
            out = self.model.generate(input_ids=ids, attention_mask=mask, max_new_tokens=new, min_new_tokens=new,
                                      do_sample=False, pad_token_id=0, use_cache=True)
            assert out.shape == (16, 300 + new), out.shape
        self.clear()
        kernels = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
        with self.torch.no_grad(), sdpa_kernel(kernels):
            whole = self.times(lambda: step(200), warm=1, repeat=self.o.generate_repeat)
            first = statistics.median(self.times(lambda: step(1), warm=1))
        self.report("generate", "16 slots 300 + 200", "", 16 * 200, whole)
        self.report("decode", "16 slots 300 + 200", "", 16 * 199, [seconds - first for seconds in whole])

    def attempt(self, job, run):
        try:
            run()
        except Exception as e:
            self.failed = True
            emit(self.o, job, "", "failed", error="%s: %s" % (type(e).__name__, str(e)[:300]))
        self.clear()

    def run(self):
        if self.cuda:
            self.attempt("attention", self.attention)
        for job in self.o.jobs.split(","):
            if job == "train":
                for setting in self.o.settings.split(","):
                    self.attempt("train", lambda: self.train(setting))
            else:
                self.attempt(job, getattr(self, job))


# ---- the table ----

# title; model; our job and setting; their jobs and settings, of which the best counts; ratio to reach; share to reach.
# Decoding is compared without the prompts; what generate reaches with them is only shown.
ROWS = [
    ("8B train r16 all", "llama-3-8b", "train", "4 x 1024 r16 all dropout 0",
     [("train", "4 x 1024 r16 all dropout 0")], 1.5, .65),
    ("8B train r8 q,v, dropout 0.1", "llama-3-8b", "train", "4 x 1024 r8 qv dropout 0.1",
     [("train", "4 x 1024 r8 qv dropout 0.1")], 1.35, .65),
    ("8B score", "llama-3-8b", "score", "4 x 1024", [("score", "4 x 1024"), ("score", "8 x 1024")], 1.25, .65),
    ("8B score, loop", "llama-3-8b", "score", "4 x 1024", [("loop", "rows of 512")], 2.5, .65),
    ("8B decode 512 slots", "llama-3-8b", "decode", "512 slots 300 + 200",
     [("decode", "16 slots 300 + 200")], 20, .55),
    ("8B generate, prompts counted", "llama-3-8b", "generate", "", [("generate", "16 slots 300 + 200")], None, None),
    ("135M train r16 all", "smollm2-135m", "train", "4 x 1024 r16 all dropout 0",
     [("train", "4 x 1024 r16 all dropout 0")], 3, .25),
    ("135M train r16 all, 16 rows", "smollm2-135m", "train", "16 x 1024 r16 all dropout 0",
     [("train", "16 x 1024 r16 all dropout 0")], 3, .25),
    ("135M train r8 q,v, dropout 0.1", "smollm2-135m", "train", "4 x 1024 r8 qv dropout 0.1",
     [("train", "4 x 1024 r8 qv dropout 0.1")], 3, .25),
    ("135M score", "smollm2-135m", "score", "8 x 1024", [("score", "4 x 1024"), ("score", "8 x 1024")], None, None),
    ("135M score, loop", "smollm2-135m", "score", "8 x 1024", [("loop", "rows of 512")], 20, None),
    ("135M decode 512 slots", "smollm2-135m", "decode", "512 slots 300 + 200",
     [("decode", "16 slots 300 + 200")], 20, .20),
    ("135M decode 16 slots", "smollm2-135m", "decode", "16 slots 300 + 200",
     [("decode", "16 slots 300 + 200")], None, None),
    ("135M generate, prompts counted", "smollm2-135m", "generate", "",
     [("generate", "16 slots 300 + 200")], None, None),
]


def read(path):
    """The JSON lines of a file; what else stands in it is no figure."""
    lines = []
    for text in open(path, encoding="utf-8", errors="replace"):
        try:
            line = json.loads(text)
            lines.append(line) if isinstance(line, dict) else None
        except ValueError:
            pass
    return lines


def best(lines, model, wanted):
    """The variant with the best median over the rounds: tokens/s, least and most, memory, share, name."""
    groups = {}
    for l in lines:
        if l["model"] == model and (l["job"], l["setting"]) in wanted and l.get("tokens_s"):
            groups.setdefault((l["setting"], l.get("variant", "")), []).append(l)
    medians = [(statistics.median(l["tokens_s"] for l in g), g, name) for name, g in groups.items()]
    if not medians:
        return None
    rate, group, name = max(medians, key=lambda m: m[0])
    rates = [l["tokens_s"] for l in group]
    return {"rate": rate, "least": min(rates), "most": max(rates), "gb": max(l.get("gb", 0) for l in group),
            "share": statistics.median(l.get("share") or 0 for l in group), "name": ", ".join(n for n in name if n)}


def table(ours, theirs):
    ours, theirs = read(ours), read(theirs)
    shape = "%-31s %10s %10s %7s %7s %8s %7s %8s %8s  %s"
    print(shape % ("job", "ours tok/s", "peer tok/s", "ratio", "goal", "share", "goal", "ours GB", "peer GB", "peer"))
    for title, model, job, setting, wanted, ratio, share in ROWS:
        a, b = best(ours, model, [(job, setting)]), best(theirs, model, wanted)
        if not a and not b:
            continue
        print(shape % (title, "%.0f" % a["rate"] if a else "-", "%.0f" % b["rate"] if b else "-",
                       "%.2f" % (a["rate"] / b["rate"]) if a and b else "-", ">= %g" % ratio if ratio else "-",
                       "%.1f %%" % (100 * a["share"]) if a else "-", ">= %.0f%%" % (100 * share) if share else "-",
                       "%.1f" % a["gb"] if a else "-", "%.1f" % b["gb"] if b else "-", b["name"] if b else ""))
    for l in ours + theirs:
        if "error" in l:
            print("failed: %s %s %s: %s" % (l["model"], l["job"], l["setting"], l["error"]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", nargs=2)
    parser.add_argument("--model", choices=SHAPES)
    parser.add_argument("--jobs", default="train,score,loop,generate")
    parser.add_argument("--settings", default="4x1024:r16:all:0,4x1024:r8:qv:0.1")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--generate-repeat", type=int, default=1)
    parser.add_argument("--device", default="cuda")
    options = parser.parse_args()
    if options.table:
        return table(*options.table)
    if not options.model:
        parser.error("--model is needed")
    bench = Bench(options)
    bench.run()
    return 1 if bench.failed else 0


if __name__ == "__main__":
    sys.exit(main())
