# SPDX-License-Identifier: Apache-2.0
"""student_proof.py PEERS DATA [--program PROGRAM] [--backend NAME] [--only greedy,ifd] [--prompts 50] [--rows N]
                 [--new 40] [--steps 200] [--reference openblas] [--threads 2]

Is the real student computed right? Against transformers, both in f32:

- greedy: the ids of `baldistill generate` equal those of transformers for 50 prompts (texts of r52/test.jsonl);
- ifd: `baldistill score` of --rows (200) recorded rationales (r52/teacher.jsonl) gives the same ranking,
  Spearman >= 0.9999.

And, with --only bf16, the backend (onednn unless named) in bf16 against --reference in f32: openblas takes half an hour
of two cores, so on a GPU take cuda, once it has been compared with the reference in f32. The backend must compute in bf16: one
that only stores it, as openblas does, would prove nothing. What `baldistill backends` says of it is in each line:

- ifd-bf16: the ranking of --rows (500) recorded rationales, Spearman >= 0.999;
- train-bf16: after --steps (200) steps of LoRA (rank 8, q_proj and v_proj, batches of 4, no dropout) the mean loss of
  the last tenth is within 1 %.

PEERS is what bench/peers.sh made (run this with PEERS/venv/bin/python), DATA the folder that holds r52/.
Prints one JSON line per proof; exit status 1 where one fails."""
import argparse, itertools, json, math, os, subprocess, sys, tempfile

arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("peers")
arguments.add_argument("data")
arguments.add_argument("--program", default="baldistill")
arguments.add_argument("--backend")
arguments.add_argument("--reference", default="openblas")
arguments.add_argument("--only", default="greedy,ifd")
arguments.add_argument("--steps", type=int, default=200)
arguments.add_argument("--prompts", type=int, default=50)
arguments.add_argument("--rows", type=int)
arguments.add_argument("--new", type=int, default=40)
arguments.add_argument("--length", type=int, default=600, help="most characters of a prompt")
arguments.add_argument("--threads", type=int, default=2)
options = arguments.parse_args()
if options.steps < 10:
    arguments.error("--steps must be at least 10: the last tenth is compared")

import torch
from scipy.stats import spearmanr
from transformers import AutoModelForCausalLM, AutoTokenizer

directory = os.path.join(options.peers, "smollm2")
torch.set_num_threads(options.threads)
tokenizer = AutoTokenizer.from_pretrained(directory)
model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32, attn_implementation="sdpa")


def lines(name):
    with open(os.path.join(options.data, "r52", name), encoding="utf-8") as file:
        return (json.loads(line) for line in file.readlines())


def run(command, rows, *more, backend=options.backend or "auto", dtype="float32"):
    """Rows through a command of the program."""
    with tempfile.TemporaryDirectory() as folder:
        data, output = os.path.join(folder, "in.jsonl"), os.path.join(folder, "out.jsonl")
        with open(data, "w", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
        subprocess.run([options.program, command, "--model", directory, "--data", data, "--output", output,
                        "--threads", str(options.threads), "--backend", backend, "--dtype", dtype, "--quiet", *more],
                       check=True)
        with open(output, encoding="utf-8") as file:
            return [json.loads(line) for line in file]


def report(name, passed, **figures):
    print(json.dumps({"proof": name, "passed": passed, **figures}), flush=True)
    return passed


@torch.no_grad()
def greedy(prompt):
    ids = tokenizer(prompt, return_tensors="pt")["input_ids"]
    out = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=options.new, do_sample=False,
                         pad_token_id=0)
    return out[0, ids.shape[1]:].tolist()


@torch.no_grad()
def margin(prompt, ids):
    """Between the two best logits after prompt and ids: how near a tie was."""
    before = tokenizer(prompt)["input_ids"] + ids
    best = model(torch.tensor([before])).logits[0, -1].topk(2).values
    return float(best[0] - best[1])


def prove_greedy():
    texts = (row["input"] for row in lines("test.jsonl"))
    prompts = list(itertools.islice((text for text in texts if len(text) <= options.length), options.prompts))
    ours = run("generate", [{"id": i, "prompt": p} for i, p in enumerate(prompts)], "--max-new-tokens",
               str(options.new))
    theirs = [greedy(p) for p in prompts]
    different = []
    for i, (row, ids) in enumerate(zip(ours, theirs)):
        if row["completion_ids"] != ids:
            at = next(t for t in range(options.new) if row["completion_ids"][:t + 1] != ids[:t + 1])
            different.append({"row": i, "token": at, "margin": margin(prompts[i], ids[:at])})
    return report("greedy", not different, prompts=len(prompts), tokens=sum(map(len, theirs)), different=different)


@torch.no_grad()
def nll(ids, targets):
    """Mean negative log-likelihood of the last `targets` of ids."""
    logits = model(torch.tensor([ids])).logits[0, -targets - 1:-1]
    return float(torch.nn.functional.cross_entropy(logits.double(), torch.tensor(ids[-targets:])))


def ifd(row):
    """Both means leave out the completion's first token: nothing precedes it without a prompt."""
    prompt = tokenizer(row["prompt"])["input_ids"]
    target = tokenizer(row["completion"])["input_ids"] + [tokenizer.eos_token_id]
    return math.exp(nll(prompt + target, len(target) - 1) - nll(target, len(target) - 1))


def recorded(n):
    answers = (row for row in lines("teacher.jsonl") if row["kind"] == "annotate" and row["rationale"])
    return [{"id": i, "prompt": f"{row['input']}\nTopic:", "completion": " " + row["rationale"]}
            for i, row in enumerate(itertools.islice(answers, n))]


def prove_ifd():
    rows = recorded(options.rows or 200)
    ours = [row["ifd"] for row in run("score", rows)]
    theirs = [ifd(row) for row in rows]
    rank = float(spearmanr(ours, theirs).statistic)
    worst = max(abs(a - b) / b for a, b in zip(ours, theirs))
    return report("ifd", rank >= 0.9999, rows=len(rows), spearman=rank, worst_relative_difference=worst)


def backend_bf16():
    """The backend, and what `baldistill backends` says that it computes in."""
    shown = subprocess.run([options.program, "backends", "--json"], check=True, stdout=subprocess.PIPE)
    told = json.loads(shown.stdout)
    name = options.backend or "onednn"
    name = told["auto"]["bfloat16"] if name == "auto" else name
    dtypes = next((b["dtypes"] for b in told["backends"] if b["name"] == name), [])
    if "bfloat16" not in dtypes:
        sys.exit(f"{name} does not compute in bfloat16 here, which proves nothing: see `baldistill backends`, "
                 "and name another with --backend")
    return {"backend": name, "arithmetic": dtypes}


def prove_ifd_bf16():
    kind, rows = backend_bf16(), recorded(options.rows or 500)
    ours = [row["ifd"] for row in run("score", rows, backend=kind["backend"], dtype="bfloat16")]
    theirs = [row["ifd"] for row in run("score", rows, backend=options.reference)]
    rank = float(spearmanr(ours, theirs).statistic)
    return report("ifd-bf16", rank >= 0.999, **kind, rows=len(rows), spearman=rank)


def last_loss(data, output, backend, dtype):
    """Mean of the last tenth of the steps of one training."""
    subprocess.run([options.program, "train", "--model", directory, "--data", data, "--output", output, "--quiet",
                    "--threads", str(options.threads), "--backend", backend, "--dtype", dtype, "--lora-dropout", "0",
                    "--per-device-train-batch-size", "4", "--num-train-epochs", "1", "--seed", "1", "--max-length",
                    "512"], check=True)
    with open(os.path.join(output, "trainer_log.jsonl"), encoding="utf-8") as file:
        losses = [json.loads(line)["loss"] for line in file]
    return sum(losses[-(len(losses) // 10):]) / (len(losses) // 10)


def prove_train_bf16():
    kind = backend_bf16()
    rows = [row for row in recorded(5000) if len(row["prompt"]) < 1000][:4 * options.steps]
    with tempfile.TemporaryDirectory() as folder:
        data = os.path.join(folder, "rows.jsonl")
        with open(data, "w", encoding="utf-8") as file:
            file.writelines(json.dumps({k: row[k] for k in ("prompt", "completion")}) + "\n"
                            for row in rows)
        ours = last_loss(data, os.path.join(folder, "bf16"), kind["backend"], "bfloat16")
        theirs = last_loss(data, os.path.join(folder, "f32"), options.reference, "float32")
    return report("train-bf16", abs(ours - theirs) <= 0.01 * theirs, **kind, steps=len(rows) // 4, bf16=ours,
                  f32=theirs)


proofs = {"greedy": [prove_greedy], "ifd": [prove_ifd], "bf16": [prove_ifd_bf16, prove_train_bf16]}
passed = [prove() for name in options.only.split(",") for prove in proofs[name]]
sys.exit(0 if all(passed) else 1)
