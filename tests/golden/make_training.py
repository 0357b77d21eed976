# SPDX-License-Identifier: Apache-2.0
"""make_training.py: what PEFT and torch.optim.AdamW say of training the tiny student of tests/train_test.cc.

Writes training.txt: for LoRA on q, v, on all seven matrices, and for full fine-tuning the first step's gradients (norm of each
tensor and its product with a probe), the loss and gradient norm of 20 steps, and what is left of each tensor, all in float64. Base weights,
adapters and probes follow from tensors' names (make_students.py). Needs torch, transformers, peft; run from tests/golden."""
import torch, peft, transformers
from peft import LoraConfig, get_peft_model
from make_students import build, ids, tensor
from transformers import LlamaConfig

EPOCHS, BATCH, DECAY, CLIP = 10, 3, 0.03, 1.0
ATTENTION, MLP = ["q_proj", "k_proj", "v_proj", "o_proj"], ["gate_proj", "up_proj", "down_proj"]


def rows():
    head = ids(60, 5, 97)
    return [(head + ids(61 + 2 * i, 3 + i, 97), ids(62 + 2 * i, 4 + 5 * i % 7, 97)) for i in range(6)]


def step_loss(model, batch):
    """Sum over target tokens / target tokens of the step, row by row, without padding."""
    total, count = 0, sum(len(c) for _, c in batch)
    for prompt, completion in batch:
        z = model(torch.tensor([prompt + completion])).logits[0].log_softmax(-1)
        at = torch.arange(len(prompt) - 1, len(prompt) + len(completion) - 1)
        total = total - z[at, torch.tensor(completion)].sum() / count
    return total


def show(file, tag, what, named):
    for name, t in named:
        name = name.replace(".default.", ".")
        probe = tensor("probe." + name, tuple(t.shape)).double()
        print(tag, what, name, f"{t.double().norm().item():.9g} {(t.double() * probe).sum().item():.9g}", file=file)


def run(file, tag, model, rate, plain):
    model = model.double()
    trained = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    none = [p for n, p in trained if plain(n)]
    optimizer = torch.optim.AdamW([{"params": [p for n, p in trained if not plain(n)], "weight_decay": DECAY},
                                   {"params": none, "weight_decay": 0.0}], lr=rate)
    data, steps, losses, norms = rows(), EPOCHS * 2, [], []
    for s in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = rate * (1 - s / steps)
        loss = step_loss(model, data[s % 2 * BATCH:s % 2 * BATCH + BATCH])
        optimizer.zero_grad()
        loss.backward()
        if s == 0:
            show(file, tag, "gradient", [(n, p.grad) for n, p in trained])
        norms.append(torch.nn.utils.clip_grad_norm_([p for _, p in trained], CLIP).item())
        optimizer.step()
        losses.append(loss.item())
    print(tag, "loss", *(f"{x:.9g}" for x in losses), file=file)
    print(tag, "norm", *(f"{x:.9g}" for x in norms), file=file)
    show(file, tag, "final", [(n, p.data) for n, p in trained])


def lora(file, tag, targets):
    model = build(LlamaConfig, {}, False)
    model = get_peft_model(model, LoraConfig(r=3, lora_alpha=6, lora_dropout=0.0, target_modules=targets, task_type="CAUSAL_LM"))
    for name, p in model.named_parameters():
        if p.requires_grad:
            p.data = tensor(name.replace(".default.", "."), tuple(p.shape)) * 0.25
    run(file, tag, model, 5e-3, lambda n: False)


if __name__ == "__main__":
    torch.set_num_threads(1)
    with open("training.txt", "w") as f:
        print(f"# made by make_training.py: torch {torch.__version__}, transformers {transformers.__version__}, peft {peft.__version__}", file=f)
        lora(f, "qv", ["q_proj", "v_proj"])
        lora(f, "all", ATTENTION + MLP)
        full = build(LlamaConfig, {}, False)
        run(f, "full", full, 1e-3, lambda n: "norm" in n)
