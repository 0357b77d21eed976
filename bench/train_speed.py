# SPDX-License-Identifier: Apache-2.0
"""train_speed.py PEERS DATA [--program PROGRAM] [--backend auto] [--dtype float32] [--rounds 3] [--rows 128]
               [--only steps,rows,load]

LoRA training of the real student, base weights in f32 or bf16, adapters in f32, two threads, beside PyTorch + PEFT; in
each round every arm runs once.

- steps   4 x 512 tokens a step, rank 8, q_proj and v_proj, then all seven matrices: tokens per second, and the peak
          memory of the program (weights in f32: 538 MB).
- rows    --rows annotate rows of r52/teacher.jsonl under one instruction, one epoch, batch 16: rows per second. The
          PyTorch arm takes the 16 of a step by length, four at a time, padded to the longest of them.
- load    the program's adapter in PEFT: no key missing or unexpected, and the same log-probabilities.

PEERS is what bench/peers.sh made, with peft added (run this with PEERS/venv/bin/python), DATA holds r52/."""
import argparse, json, os, random, statistics, subprocess, sys, tempfile, time

arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("peers")
arguments.add_argument("data")
arguments.add_argument("--program", default="baldistill")
arguments.add_argument("--backend", default="auto")
arguments.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"))
arguments.add_argument("--rounds", type=int, default=3)
arguments.add_argument("--rows", type=int, default=128)
arguments.add_argument("--only", default="steps,rows,load")
options = arguments.parse_args()
directory = os.path.join(options.peers, "smollm2")
os.environ.pop("OPENBLAS_CORETYPE", None)  # the program finds the right kernels itself
BATCH = 16
MICRO = 4  # rows that PyTorch takes at a time: of 16 the logits alone would not fit 16 GB
ALL = "q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj"
folder = tempfile.TemporaryDirectory()
kind = ["--backend", options.backend, "--dtype", options.dtype]


def write_rows(name, rows):
    path = os.path.join(folder.name, name)
    with open(path, "w", encoding="utf-8") as f:
        f.writelines(json.dumps(row) + "\n" for row in rows)
    return path


def train(data, output, *more):
    """One training by the program: lines of its log, and its peak memory in bytes."""
    # A child begins with its parent's peak, so a small parent asks.
    ask = ("import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True); "
           "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)")
    asked = subprocess.run([sys.executable, "-c", ask, options.program, "train", "--quiet", "--model", directory, "--data", data, "--output", output, "--lora-dropout",
                    "0", "--no-shuffle", "--save-steps", "100000", "--threads", "2", *kind, *more], check=True, capture_output=True, text=True)
    peak = int(asked.stdout.split()[-1]) * 1024
    return [json.loads(line) for line in open(os.path.join(output, "trainer_log.jsonl"))], peak


def peft_model(targets):
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM
    torch.set_num_threads(2)
    model = AutoModelForCausalLM.from_pretrained(directory, dtype=getattr(torch, options.dtype),
                                                 attn_implementation="sdpa")
    model = get_peft_model(model, LoraConfig(r=8, lora_alpha=16, lora_dropout=0.0, target_modules=targets.split(","), task_type="CAUSAL_LM"))
    model.train()
    return model, torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=2e-4, weight_decay=0.03)


def show(**what):
    print(json.dumps({k: round(v, 6) if isinstance(v, float) else v for k, v in what.items()}), flush=True)


def steps():
    import torch
    random.seed(0)
    ids = [[random.randrange(10, 49000) for _ in range(512)] for _ in range(4)]
    data = write_rows("steps.jsonl", [{"prompt": "", "completion_ids": row, "finish_reason": "length"} for row in ids])
    for targets in ("q_proj,v_proj", ALL):
        model, optimizer = peft_model(targets)
        batch = torch.tensor(ids)
        def step():
            start = time.perf_counter()
            model(input_ids=batch, labels=batch).loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            return batch.numel() / (time.perf_counter() - start)
        step()
        ours, theirs, peak = [], [], 0
        for i in range(options.rounds):
            log, peak = train(data, os.path.join(folder.name, f"s{len(targets)}{i}"), "--lora-target-modules", targets,
                              "--num-train-epochs", "4", "--per-device-train-batch-size", "4")
            ours += [line["tokens_per_second"] for line in log[1:]]
            theirs += [step() for _ in range(2)]
        a, b = statistics.median(ours), statistics.median(theirs)
        show(job="steps", targets=targets, program=a, pytorch=b, ratio=a / b, program_all=sorted(ours), pytorch_all=sorted(theirs),
             peak_bytes=peak)
        del model, optimizer


def rows():
    import torch
    from transformers import AutoTokenizer
    lines = [json.loads(line) for line in open(os.path.join(options.data, "r52", "teacher.jsonl"), encoding="utf-8")]
    lines = [x for x in lines if x["kind"] == "annotate"][:options.rows]
    head = "Read the news story and say step by step which topic it belongs to. End with: The answer is TOPIC.\n\nStory: "
    made = [{"prompt": head + x["input"][:3000] + "\n\nReasoning:", "completion": " " + x["rationale"]} for x in lines]
    data = write_rows("rows.jsonl", made)
    tokenizer = AutoTokenizer.from_pretrained(directory)
    model, optimizer = peft_model("q_proj,v_proj")
    encoded = []
    for row in made:
        prompt, completion = (tokenizer(row[k], add_special_tokens=False)["input_ids"] for k in ("prompt", "completion"))
        whole = (prompt + completion + [tokenizer.eos_token_id])[:1024]
        encoded.append((whole, [-100] * len(prompt) + whole[len(prompt):]))
    def gradient(batch):
        width = max(len(x) for x, _ in batch)
        ids = torch.tensor([x + [0] * (width - len(x)) for x, _ in batch])
        mask = torch.tensor([[1] * len(x) + [0] * (width - len(x)) for x, _ in batch])
        labels = torch.tensor([y + [-100] * (width - len(y)) for _, y in batch])
        (model(input_ids=ids, attention_mask=mask, labels=labels).loss / (BATCH // MICRO)).backward()
    def epoch():
        start = time.perf_counter()
        for i in range(0, len(encoded), BATCH):
            batch = sorted(encoded[i:i + BATCH], key=lambda row: len(row[0]))  # the least padding
            for k in range(0, len(batch), MICRO):
                gradient(batch[k:k + MICRO])
            optimizer.step()
            optimizer.zero_grad()
        return len(encoded) / (time.perf_counter() - start)
    ours, theirs = [], []
    for i in range(options.rounds):
        log, _ = train(data, os.path.join(folder.name, f"r{i}"), "--num-train-epochs", "1",
                       "--per-device-train-batch-size", str(BATCH))
        tokens = sum(line["tokens"] for line in log)
        ours.append(len(made) / sum(line["tokens"] / line["tokens_per_second"] for line in log))
        theirs.append(epoch())
    a, b = statistics.median(ours), statistics.median(theirs)
    show(job="rows", program=a, pytorch=b, ratio=a / b, unit="rows/s", program_all=sorted(ours),
         pytorch_all=sorted(theirs), rows=len(made), tokens=tokens)


def load():
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM
    data = write_rows("load.jsonl", [{"prompt": "The capital of France is", "completion": " Paris."}] * 4)
    output = os.path.join(folder.name, "adapter")
    train(data, output, "--num-train-epochs", "4", "--learning-rate", "0.001", "--lora-target-modules", "all-linear")
    base = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32)
    model = PeftModel.from_pretrained(base, output)
    from safetensors import safe_open
    with safe_open(os.path.join(output, "adapter_model.safetensors"), "pt") as f:
        names = {k for k in f.keys()}
    wanted = {n.replace(".default", "") for n, _ in model.named_parameters() if "lora_" in n}
    scored = subprocess.run([options.program, "score", "--quiet", "--model", directory, "--adapter", output, "--data", data,
                             *kind],
                            check=True, capture_output=True, text=True).stdout.splitlines()
    from transformers import AutoTokenizer
    tokenizer = AutoTokenizer.from_pretrained(directory)
    prompt, target = (tokenizer(x, add_special_tokens=False)["input_ids"] for x in ("The capital of France is", " Paris."))
    target.append(tokenizer.eos_token_id)
    with torch.no_grad():
        z = model(torch.tensor([prompt + target])).logits[0].double().log_softmax(-1)
    nll = -sum(z[len(prompt) + i - 1, t].item() for i, t in enumerate(target)) / len(target)
    show(job="load", missing=sorted(wanted - names), unexpected=sorted(names - wanted), program=json.loads(scored[0])["nll_conditional"],
         peft=nll)


for job in options.only.split(","):
    {"steps": steps, "rows": rows, "load": load}[job]()
