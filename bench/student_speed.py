# SPDX-License-Identifier: Apache-2.0
"""student_speed.py PEERS DATA [--program PROGRAM] [--backend auto] [--dtype float32] [--rounds 5] [--mixed-rounds 2]
                 [--only score,decode,mixed,start]

Speed of the real student, in f32 or bf16, two threads, beside PyTorch/transformers and llama.cpp in the same: in each
round every arm runs once, one after the other. Medians over rounds, with least and most, and ratios of the medians, as
JSON lines.

- score   log-probabilities of 4 x 512 tokens. llama.cpp: all logits, no log-probabilities; PyTorch: with cross entropy.
- decode  64 tokens after prompts of 64, at 1, 16 and 64 rows together; prompts are not counted, except against
          transformers at batch 16, where both arms count them.
- mixed   bench/mixed_rows.py's prompts, at most 200 new tokens, stopping at the end token; transformers in batches of
          16 sorted by length; the program as a whole process, model loading counted.
- start   from starting the program to the end of a run that generates one token.

PEERS is what bench/peers.sh made (run this with PEERS/venv/bin/python), DATA the folder that holds r52/."""
import argparse, json, os, statistics, subprocess, sys, tempfile, time

arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("peers")
arguments.add_argument("data")
arguments.add_argument("--program", default="baldistill")
arguments.add_argument("--backend", default="auto")
arguments.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
arguments.add_argument("--rounds", type=int, default=5)
arguments.add_argument("--mixed-rounds", type=int, default=2)
arguments.add_argument("--slots", default="1,16,64", help="of the program's decode")
arguments.add_argument("--only", default="start,score,decode,mixed")
arguments.add_argument("--threads", type=int, default=2)
arguments.add_argument("--worker", choices=("torch", "llama"), help=argparse.SUPPRESS)
options = arguments.parse_args()
directory = os.path.join(options.peers, "smollm2")
STEPS = 64  # decoded, and of a prompt
os.environ.pop("OPENBLAS_CORETYPE", None)  # the program finds the right kernels itself


def seconds(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


# ---- peers, each a process that answers a line {"job", ...} with a line {"rate"} --------------------------------


def torch_worker():
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.set_num_threads(options.threads)
    torch.set_grad_enabled(False)
    model = AutoModelForCausalLM.from_pretrained(directory, dtype=getattr(torch, options.dtype),
                                                 attn_implementation="sdpa")
    tokenizer = AutoTokenizer.from_pretrained(directory, padding_side="left")
    vocabulary = model.config.vocab_size
    generator = torch.Generator().manual_seed(0)

    def score():
        ids = torch.randint(10, vocabulary, (4, 512), generator=generator)
        def step():
            logits = model(input_ids=ids).logits[:, :-1].reshape(-1, vocabulary)
            torch.nn.functional.cross_entropy(logits, ids[:, 1:].reshape(-1), reduction="none")
        return {"rate": ids.numel() / seconds(step)}

    def product():
        a, b = (torch.rand(2048, 2048).to(model.dtype) for _ in range(2))
        times = [seconds(lambda: a @ b.T) for _ in range(6)]
        return {"rate": 2 * 2048**3 / statistics.median(times[1:]) * 1e-9}

    def decode(slots):
        ids = torch.randint(10, vocabulary, (slots, STEPS), generator=generator)
        spent = seconds(lambda: model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=STEPS,
                                               min_new_tokens=STEPS, do_sample=False, pad_token_id=0))
        return {"rate": slots * STEPS / spent}

    def mixed(path):
        rows = sorted((json.loads(line) for line in open(path, encoding="utf-8")), key=lambda row: len(row["prompt"]))
        texts = {}
        def step():
            for i in range(0, len(rows), 16):
                part = rows[i:i + 16]
                asked = tokenizer([row["prompt"] for row in part], return_tensors="pt", padding=True)
                out = model.generate(**asked, max_new_tokens=200, do_sample=False, pad_token_id=tokenizer.pad_token_id)
                cut = tokenizer.batch_decode(out[:, asked["input_ids"].shape[1]:], skip_special_tokens=True)
                texts.update({row["id"]: text for row, text in zip(part, cut)})
        return {"rate": 60 * len(rows) / seconds(step), "texts": texts}

    return {"score": score, "product": product, "decode": decode, "mixed": mixed}


def llama_worker():
    import ctypes
    import llama_cpp as L

    L.llama_backend_init()
    silent = L.llama_log_callback(lambda level, text, data: None)
    llama_worker.keep = silent
    L.llama_log_set(silent, ctypes.c_void_p(0))
    path = os.path.join(options.peers, {"float32": "smollm2.f32.gguf", "bfloat16": "smollm2.bf16.gguf"}[options.dtype])
    model = L.llama_model_load_from_file(path.encode(), L.llama_model_default_params())
    if not model:
        sys.exit(f"no model in {path}: make it with bench/peers.sh")
    params = L.llama_context_default_params()
    params.n_ctx, params.n_batch, params.n_ubatch, params.n_seq_max = 64 * 640, 2048, 512, 64
    params.n_threads = params.n_threads_batch = options.threads
    context = L.llama_init_from_model(model, params)
    memory = L.llama_get_memory(context)

    def run(rows, every):
        """rows: (token, position, sequence); logits of every row or of the last."""
        batch = L.llama_batch_init(len(rows), 0, 1)
        batch.n_tokens = len(rows)
        for i, (token, position, sequence) in enumerate(rows):
            batch.token[i], batch.pos[i], batch.n_seq_id[i] = token, position, 1
            batch.seq_id[i][0], batch.logits[i] = sequence, every or i == len(rows) - 1
        if L.llama_decode(context, batch):
            sys.exit("llama_decode failed")
        L.llama_synchronize(context)
        L.llama_batch_free(batch)

    def score():
        def step():
            for _ in range(4):
                L.llama_memory_clear(memory, True)
                run([(100 + i, i, 0) for i in range(512)], True)
        return {"rate": 4 * 512 / seconds(step)}

    def decode(slots):
        L.llama_memory_clear(memory, True)
        for s in range(slots):
            run([(100 + i + s, i, s) for i in range(STEPS)], False)
        def step():
            for k in range(STEPS):
                run([(200 + s, STEPS + k, s) for s in range(slots)], True)
        return {"rate": slots * STEPS / seconds(step)}

    return {"score": score, "decode": decode}


def serve(jobs):
    for line in sys.stdin:
        ask = json.loads(line)
        print(json.dumps(jobs[ask.pop("job")](**ask)), flush=True)


class Peer:
    """Started when it is first asked, so that its loading disturbs nothing that is measured before."""

    def __init__(self, name):
        self.name, self.process, self.messages = name, None, tempfile.TemporaryFile("w+")

    def start(self):
        command = [sys.executable, __file__, options.peers, options.data, "--threads", str(options.threads),
                   "--dtype", options.dtype]
        self.process = subprocess.Popen(command + ["--worker", self.name], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=self.messages, text=True)

    def ask(self, job, **more):
        if not self.process:
            self.start()
        try:
            self.process.stdin.write(json.dumps({"job": job, **more}) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            self.fail()
        answer = self.process.stdout.readline()
        return json.loads(answer) if answer else self.fail()

    def fail(self):
        status = self.process.wait()
        self.messages.seek(0)
        sys.exit(f"{self.messages.read()}the peer {self.name} ended with status {status}: see its messages above")

    def close(self):
        if self.process:
            self.process.stdin.close()
            self.process.wait()


# ---- the program ------------------------------------------------------------------------------------------------


def program(*words):
    command = [options.program, *words, "--model", directory, "--threads", str(options.threads),
               "--backend", options.backend, "--dtype", options.dtype]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def bench(job, *more):
    return json.loads(program("bench", job, "--runs", "1", "--json", *more))


class Table:
    """Figures of each arm, by round."""

    def __init__(self, job):
        self.job, self.arms = job, {}

    def add(self, arm, value):
        self.arms.setdefault(arm, []).append(value)

    def median(self, arm):
        return statistics.median(self.arms[arm])

    def show(self, unit, **ratios):
        load = round(os.getloadavg()[0], 1)
        shown = {arm: [round(v, 3) for v in (self.median(arm), min(values), max(values))]
                 for arm, values in self.arms.items()}
        print(json.dumps({"job": self.job, "unit": unit, "median_least_most": shown,
                          "ratios": {k: round(v, 3) for k, v in ratios.items()}, "load": load}), flush=True)


def run_start(peers, data):
    table = Table("start to first token")
    rows = os.path.join(data, "one.jsonl")
    with open(rows, "w", encoding="utf-8") as file:
        file.write(json.dumps({"prompt": "The capital of France is"}) + "\n")
    step = lambda: program("generate", "--data", rows, "--max-new-tokens", "1", "--quiet")
    step()
    for _ in range(options.rounds):
        table.add("program", seconds(step))
    table.show("seconds", goal=table.median("program") / 0.5)


def run_score(peers, data):
    table = Table("score 4 x 512")
    for peer in peers.values():
        peer.ask("score")
    for _ in range(options.rounds):
        ours = bench("score")
        table.add("program", ours["tokens_per_second"])
        table.add("share of the roof", ours["share"])
        table.add("the library's product, GFLOP/s", ours["roof"])
        for name, peer in peers.items():
            table.add(name, peer.ask("score")["rate"])
        table.add("torch product, GFLOP/s", peers["torch"].ask("product")["rate"])
        table.show("tokens/s", share=table.median("share of the roof"),
                   llama=table.median("program") / table.median("llama"),
                   torch=table.median("program") / table.median("torch"))


def run_decode(peers, data):
    table, slots = Table("decode"), [int(s) for s in options.slots.split(",")]
    for peer in peers.values():
        peer.ask("decode", slots=1)
    for _ in range(options.rounds):
        for s in slots:
            ours = bench("decode", "--slots", str(s), "--new", str(STEPS))
            table.add(f"program {s}", ours["tokens_per_second"])
            table.add(f"program {s} with prompts", ours["tokens_per_second_with_prompts"])
            if s == 1:
                table.add("share of the read bandwidth", ours["share"])
                table.add("read, GB/s", ours["roof"])
            if s <= 64:
                table.add(f"llama {s}", peers["llama"].ask("decode", slots=s)["rate"])
        table.add("torch 16 with prompts", peers["torch"].ask("decode", slots=16)["rate"])
        show_decode(table, slots)


def show_decode(table, slots):
    ratios = {f"llama {s}": table.median(f"program {s}") / table.median(f"llama {s}") for s in slots if s <= 64}
    best = max(table.median(f"program {s} with prompts") for s in slots)
    share = {"share": table.median("share of the read bandwidth")} if 1 in slots else {}
    table.show("tokens/s", **share, **ratios, torch=best / table.median("torch 16 with prompts"))


def run_mixed(peers, data):
    table, rows = Table("mixed"), os.path.join(data, "mixed.jsonl")
    peers["torch"].ask("decode", slots=1)
    here = os.path.dirname(os.path.abspath(__file__))
    subprocess.run([sys.executable, os.path.join(here, "mixed_rows.py"), options.data, rows], check=True)
    for _ in range(options.mixed_rounds):
        out = []
        spent = seconds(lambda: out.append(program("generate", "--data", rows, "--max-new-tokens", "200", "--quiet")))
        ours = [json.loads(line) for line in out[0].splitlines()]
        table.add("program", 60 * len(ours) / spent)
        theirs = peers["torch"].ask("mixed", path=rows)
        table.add("torch", theirs["rate"])
        table.add("new tokens of a row", sum(row["completion_tokens"] for row in ours) / len(ours))
        table.add("rows alike", sum(theirs["texts"][str(row["id"])] == row["completion"] for row in ours))
        table.show("rows/minute", torch=table.median("program") / table.median("torch"))


if options.worker:
    serve({"torch": torch_worker, "llama": llama_worker}[options.worker]())
else:
    jobs = {"start": run_start, "score": run_score, "decode": run_decode, "mixed": run_mixed}
    peers = {name: Peer(name) for name in ("torch", "llama")}
    with tempfile.TemporaryDirectory() as folder:
        for job in options.only.split(","):
            jobs[job](peers, folder)
    for peer in peers.values():
        peer.close()
