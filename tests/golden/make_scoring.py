# SPDX-License-Identifier: Apache-2.0
"""Write scoring.jsonl, the golden values of tests/scoring_test.cc.

    python3 tests/golden/make_scoring.py > tests/golden/scoring.jsonl

Needs numpy and scikit-learn; the tests need only the file. The first line
names the versions, every other is one case: a task, what is asked about it
and what scikit-learn makes of the same answers as whole numbers.
    {"type", "domains": [names], "head": [bools],
     "rows": [[domain, label, prediction]],      (choices: [domain, label, prediction, [choices]])
     "invalid", "macro", "micro", "head_macro", "tail_macro", "scores": [per domain]}
null is an empty group or domain.
"""
import json

import numpy
import sklearn
from sklearn.metrics import accuracy_score, f1_score

NAMES = ["earn", "acq", "crude", "trade", "money-fx", "interest", "money-supply", "ship", "sugar", "coffee", "gold",
         "gnp", "cpi", "cocoa", "alum", "grain", "copper", "jobs", "reserves", "ipi", "nat-gas", "gas", "bop", "tin"]
SAYINGS = ["The story is about money. The answer is %s.", "the answer is: \"%s\"", "Let me think. So this is %s",
           "First, acquisitions are out. The answer is **%s**.\n", "%s"]


def mean(values):
    values = [v for v in values if v is not None]
    return float(numpy.mean(values)) if values else None


def write(kind, domains, head, rows, invalid, micro, scores):
    print(json.dumps({
        "type": kind, "domains": domains, "head": head, "rows": rows, "invalid": invalid, "macro": mean(scores),
        "micro": micro, "head_macro": mean([s for s, h in zip(scores, head) if h]),
        "tail_macro": mean([s for s, h in zip(scores, head) if not h]), "scores": scores}))


def classification(rng, classes, n, invalid, absent, heads):
    """Zipf-like gold labels; the last `absent` classes never occur as gold, but as answers."""
    p = 1.0 / numpy.arange(1, classes - absent + 1)
    gold = rng.choice(classes - absent, n, p=p / p.sum())
    predicted = numpy.where(rng.random(n) < 0.6, gold, rng.integers(0, classes, n))
    predicted = numpy.where(rng.random(n) < invalid, -1, predicted)
    names = NAMES[:classes]
    text = [SAYINGS[i % len(SAYINGS)] % names[p] if p >= 0 else "I cannot tell." for i, p in enumerate(predicted)]
    options = dict(labels=list(range(classes)), zero_division=0)
    write("classification", names, [c < heads for c in range(classes)],
          [[names[g], names[g], t] for g, t in zip(gold, text)], int((predicted < 0).sum()),
          float(f1_score(gold, predicted, average="micro", **options)),
          [float(v) for v in f1_score(gold, predicted, average=None, **options)])


def accuracy(rng, kind, domains, n, empty, heads):
    """Gold and answers are numbers from 0 to 3: as choices, or as what a sum comes to."""
    domain = rng.integers(0, domains - empty, n)
    gold = rng.integers(0, 4, n)
    predicted = numpy.where(rng.random(n) < 0.3 + 0.1 * domain, gold, rng.integers(-1, 4, n))
    names = ["d%d" % d for d in range(domains)]
    rows = []
    for d, g, p in zip(domain, gold, predicted):
        if kind == "math":
            rows.append([names[d], "%d" % g, "We add up. The answer is $%d.0$." % p if p >= 0 else "No idea"])
        else:
            rows.append([names[d], "ABCD"[g], "So it must be (%s)." % "ABCD"[p] if p >= 0 else "no idea",
                         ["red", "green", "blue", "black"]])
    scores = [float(accuracy_score(gold[domain == d], predicted[domain == d])) if (domain == d).any() else None
              for d in range(domains)]
    write(kind, names, [d < heads for d in range(domains)], rows, int((predicted < 0).sum()),
          float(accuracy_score(gold, predicted)), scores)


def main():
    print(json.dumps({"made_by": "tests/golden/make_scoring.py", "numpy": numpy.__version__,
                      "scikit-learn": sklearn.__version__}))
    rng = numpy.random.default_rng(20241112)
    for shape in ((2, 12, 0, 0, 1), (5, 60, 0.2, 0, 2), (24, 90, 0.3, 9, 4), (3, 5, 1, 0, 3)):
        classification(rng, *shape)
    for kind in ("math", "multiple_choice"):
        for shape in ((3, 30, 0, 1), (7, 40, 2, 0)):
            accuracy(rng, kind, *shape)


main()
