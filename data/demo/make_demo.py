#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the demonstration's data: a long tail of small word problems.

    make_demo.py [DIRECTORY]            train.jsonl, test.jsonl, teacher.jsonl
    make_demo.py --pretrain FILE        texts for the student's pre-training

Fourteen kinds of problem ("domains") stand in the pool by Zipf's law. The
recorded teacher solves every problem of the pool and has new ones of every
kind, and it errs now and then, as teachers do. The student's texts know words,
figures and sums, and the problems of all kinds without their solutions.
Standard library only; the same seed gives the same bytes.
"""
import argparse
import json
import random
import re

SEED = 20240817
LARGEST, ALPHA = 460, 2.0  # rows of the largest domain; size falls with rank ** -ALPHA
TEST = 15                  # rows of every domain
SYNTHESES = 40             # recorded for every domain
WRONG = 0.05               # share of annotations with a slip
SPOILT = 0.05              # share of syntheses without a text or an answer, and as many with a slip
COPIED = 0.1               # share of syntheses that may be near to earlier problems
TEXTS = 36000

NAMES = "Mia Tom Ana Ben Eva Leo Ida Max Zoe Sam Lea Jon Amy Kai Nina Paul Rosa Finn Vera Otto".split()
ITEMS = ("pears plums books pens coins shells cards stamps eggs cakes nuts balls keys cups stones beans "
         "figs rings buns kites").split()
PLACES = "shop school market park library station museum harbour".split()

TEMPLATE = 'Solve the problem.\nThink step by step and end with "The answer is RESULT."\n\nProblem: %s\nSolution:\n'


def equation(a, op, b):
    return "%d %s %d = %d" % (a, op, b, {"+": a + b, "-": a - b, "x": a * b, "/": b and a // b}[op])


def result(eq):
    return int(eq.rsplit(" ", 1)[1])


class Domain:
    """texts: the problem with {n} {m} names, {i} {j} things, {p} a place and {a} {b} {c} figures;
    leads: how the teacher begins; steps: figures -> [(a, op, b), ...], a None: the result before."""

    def __init__(self, name, draw, steps, texts, leads):
        self.name, self.draw, self.steps, self.texts, self.leads = name, draw, steps, texts, leads


def two(low, high, most):
    def draw(rng):
        while True:
            a, b = rng.randint(low, high), rng.randint(low, high)
            if a + b <= most:
                return {"a": a, "b": b}
    return draw


def three(rng):
    while True:
        v = [rng.randint(2, 14) for _ in range(3)]
        if sum(v) <= 30:
            return dict(zip("abc", v))


def less(rng):
    a = rng.randint(6, 30)
    return {"a": a, "b": rng.randint(2, min(a - 1, 20))}


def in_out(rng):
    while True:
        a, b, c = rng.randint(3, 18), rng.randint(2, 12), rng.randint(2, 12)
        if a + b <= 30 and c < a + b:
            return {"a": a, "b": b, "c": c}


def times(rng):
    while True:
        a, b = rng.randint(2, 9), rng.randint(2, 9)
        if a * b <= 40:
            return {"a": a, "b": b}


def paid(rng):
    a = rng.choice((10, 20, 30))
    return {"a": a, "b": rng.randint(2, a - 1)}


def shared(rng):
    v = times(rng)
    return {"a": v["a"] * v["b"], "b": v["b"]}


DOMAINS = [
    Domain("gather", two(2, 20, 30), lambda v: [(v["a"], "+", v["b"])], [
        "{n} has {a} {i} and finds {b} more. How many {i} does {n} have now?",
        "There are {a} {i} on the table. {n} puts down {b} more. How many {i} are there now?",
        "{n} picks {a} {i} and {m} picks {b} {i}. How many {i} do they have together?",
        "{n} keeps {a} {i} at home and {b} {i} at the {p}. How many {i} is that in all?",
    ], ["Add the two numbers", "Put both together"]),
    Domain("spend", less, lambda v: [(v["a"], "-", v["b"])], [
        "{n} has {a} {i} and gives {b} to {m}. How many {i} does {n} have left?",
        "There were {a} {i} in the bag. {n} ate {b} of them. How many {i} are left?",
        "{n} took {a} {i} to the {p} and lost {b}. How many {i} remain?",
        "Of {a} {i} in the {p}, {b} were sold. How many {i} are still there?",
    ], ["Take away what is gone", "Subtract"]),
    Domain("three-heaps", three, lambda v: [(v["a"], "+", v["b"]), (None, "+", v["c"])], [
        "{n} has {a} {i}, {b} {j} and {c} keys. How many things does {n} have?",
        "In the {p} lie {a} {i}, {b} {j} and {c} hats. How many things lie there?",
        "{n} bought {a} {i} on Monday, {b} on Tuesday and {c} on Friday. How many {i} did {n} buy?",
    ], ["Add all three numbers", "Add one after another"]),
    Domain("compare", less, lambda v: [(v["a"], "-", v["b"])], [
        "{n} has {a} {i} and {m} has {b} {i}. How many more {i} has {n} than {m}?",
        "{m} owns {b} {i}, but {n} owns {a}. How many more {i} has {n} than {m}?",
        "The {p} has {a} {i} and {b} {j}. How many more {i} than {j} are there?",
    ], ["Find the difference", "Take the smaller from the larger"]),
    Domain("boxes", times, lambda v: [(v["a"], "x", v["b"])], [
        "{n} has {a} boxes with {b} {i} in each box. How many {i} are in the boxes?",
        "Each of {a} bags holds {b} {i}. {n} takes all bags. How many {i} has {n}?",
        "In the {p} stand {a} shelves with {b} {i} on each. How many {i} stand there?",
    ], ["Multiply", "Each one holds the same, so multiply"]),
    Domain("change", paid, lambda v: [(v["a"], "-", v["b"])], [
        "{n} buys {i} for {b} euros and pays with {a} euros. How much change does {n} get?",
        "The {i} cost {b} euros. {n} gives the seller {a} euros. How much change comes back?",
        "At the {p} {n} pays {a} euros for {i} that cost {b}. How much change is due?",
    ], ["The change is what was paid minus the price", "Take the price from the money"]),
    Domain("share", shared, lambda v: [(v["a"], "/", v["b"])], [
        "{n} shares {a} {i} equally among {b} friends. How many {i} does each friend get?",
        "In the {p} {a} {i} are dealt out to {b} children equally. How many {i} has each child?",
        "{n} and {m} lay {a} {i} in {b} equal rows. How many {i} are in a row?",
    ], ["Divide", "Each part is equal, so divide"]),
    Domain("in-and-out", in_out, lambda v: [(v["a"], "+", v["b"]), (None, "-", v["c"])], [
        "A bus leaves the {p} with {a} people. Then {b} get on and {c} get off. How many people are on the bus?",
        "{n} has {a} {i}, gets {b} from {m} and then loses {c}. How many {i} does {n} have now?",
        "At the {p} there were {a} guests. First {b} came, then {c} went. How many guests are there now?",
    ], ["First add, then take away", "Go step by step"]),
    Domain("double", lambda rng: {"a": rng.randint(2, 15)}, lambda v: [(v["a"], "x", 2)], [
        "{n} has {a} {i}. {m} has twice as many {i} as {n}. How many {i} does {m} have?",
        "There are {a} {i} in the {p} and twice as many {j}. How many {j} are there?",
        "Last year {n} had {a} {i}. Now it is twice that many. How many {i} are there now?",
    ], ["Twice means times 2", "Double the number"]),
    Domain("younger", less, lambda v: [(v["a"], "-", v["b"])], [
        "{n} is {a} years old. {m} is {b} years younger. How old is {m}?",
        "{m} is {b} years younger than {n}, who is {a} years old. How old is {m}?",
        "{n} opened a {p} {a} years ago. The hall is {b} years younger than the {p}. How old is the hall?",
    ], ["Younger means fewer years", "Take the years away"]),
    Domain("weeks", lambda rng: {"a": rng.randint(2, 8)}, lambda v: [(v["a"], "x", 7)], [
        "{n} stays in the {p} for {a} weeks. How many days is that?",
        "{n} uses one of the {i} every day for {a} weeks. How many {i} does {n} use?",
        "The {p} is closed for {a} weeks. {n} counts the days. How many days are there?",
    ], ["A week has 7 days", "Count 7 days for each week"]),
    Domain("half", lambda rng: {"a": 2 * rng.randint(2, 15)}, lambda v: [(v["a"], "/", 2)], [
        "{n} has {a} {i} and gives half of them to {m}. How many {i} does {m} get?",
        "Half of the {a} {i} in the {p} are red. How many {i} are red?",
        "{n} needs {a} {i} and has half of them. How many {i} does {n} have?",
    ], ["Half means divided by 2", "Split into 2 equal parts"]),
    Domain("queue", two(2, 14, 28), lambda v: [(v["a"], "+", v["b"]), (None, "+", 1)], [
        "{n} stands in a queue at the {p}. There are {a} people in front of {n} and {b} behind. How long is the queue?",
        "In a queue {a} people are before {n} and {b} after. {m} counts the whole queue. How many people are in it?",
        "{n} waits for {i}. In the queue {a} wait in front and {b} behind. How many people wait in the queue?",
    ], ["Add both sides, then the one who waits", "Count all and add 1"]),
    Domain("pairs", lambda rng: {"a": rng.randint(2, 12), "b": rng.randint(2, 6)},
           lambda v: [(v["a"], "x", 2), (None, "+", v["b"])], [
        "{n} finds {a} pairs of socks and {b} single ones. How many socks are there?",
        "In the {p} lie {a} pairs of gloves and {b} single gloves. How many gloves lie there?",
        "{n} packs {a} pairs of shoes for {m} and {b} odd shoes. How many shoes does {n} pack?",
    ], ["A pair is 2, then add the single ones", "Times 2, then add"]),
]


def solve(steps, slip=0):
    """The equations and the result; a slip is added to the last one and carried into the answer."""
    eqs, last = [], None
    for a, op, b in steps:
        eqs.append(equation(last if a is None else a, op, b))
        last = result(eqs[-1])
    if slip:
        last = max(0, last + slip)
        eqs[-1] = "%s= %d" % (eqs[-1].split("=")[0], last)
    return eqs, last


def rationale(rng, domain, values, slip=0):
    eqs, last = solve(domain.steps(values), slip)
    return "%s: %s. The answer is %d." % (rng.choice(domain.leads), ". Then ".join(eqs), last), last


def problem(rng, domain):
    values = domain.draw(rng)
    n, m = rng.sample(NAMES, 2)
    i, j = rng.sample(ITEMS, 2)
    text = rng.choice(domain.texts).format(n=n, m=m, i=i, j=j, p=rng.choice(PLACES), **values)
    return text, values


def runs(text):
    words = re.findall("[a-z0-9]+", text.lower())
    return {tuple(words[i:i + 8]) for i in range(len(words) - 7)}


def fresh(rng, domain, seen):
    """A problem of which less than half, in runs of 8 words, stands in earlier ones."""
    while True:
        text, values = problem(rng, domain)
        own = runs(text)
        if 2 * len(own & seen) < len(own):
            seen |= own
            return text, values


def slip(rng, share):
    return rng.choice((-2, -1, 1, 2, 10)) if rng.random() < share else 0


def synthesis(rng, domain, seen):
    text, values = fresh(rng, domain, seen) if rng.random() >= COPIED else problem(rng, domain)
    reason, last = rationale(rng, domain, values, slip(rng, SPOILT))
    row = {"kind": "synthesise", "domain": domain.name, "input": text, "label": str(last), "rationale": reason}
    if rng.random() < SPOILT:
        if rng.random() < 0.5:
            row["input"] = ""
        else:
            row["rationale"] = reason.split(". The answer")[0]
            del row["label"]
    return row


def make(directory):
    rng, seen = random.Random(SEED), set()
    pool, test, teacher = [], [], []
    for rank, domain in enumerate(DOMAINS, 1):
        for _ in range(max(1, round(LARGEST * rank ** -ALPHA))):
            pool.append((domain, *fresh(rng, domain, seen)))
        for _ in range(TEST):
            test.append((domain, *fresh(rng, domain, seen)))
    rng.shuffle(pool)
    for domain, text, values in pool:
        reason, last = rationale(rng, domain, values, slip(rng, WRONG))
        teacher.append({"kind": "annotate", "domain": domain.name, "input": text, "label": str(last),
                        "rationale": reason})
    for domain in DOMAINS:
        teacher.extend(synthesis(rng, domain, seen) for _ in range(SYNTHESES))
    for name, rows in (("train", pool), ("test", test)):
        write("%s/%s.jsonl" % (directory, name),
              ({"id": "%s-%d" % (name, i), "input": text, "label": str(solve(domain.steps(values))[1]),
                "domain": domain.name} for i, (domain, text, values) in enumerate(rows, 1)))
    write("%s/teacher.jsonl" % directory, teacher)


def write(path, rows):
    with open(path, "w", encoding="utf-8") as f:
        for row in rows:
            f.write(json.dumps(row) + "\n")


# ---- texts for the student's pre-training ----

def any_equation(rng):
    op = rng.choice("+++---xx/")
    v = {"+": two(1, 28, 30), "-": less, "x": times, "/": shared}[op](rng)
    if op == "x" and rng.random() < 0.4:
        v = {"a": rng.randint(2, 15), "b": 2} if rng.random() < 0.6 else {"a": rng.randint(2, 8), "b": 7}
    if op == "/" and rng.random() < 0.3:
        v = {"a": 2 * rng.randint(2, 15), "b": 2}
    return v["a"], op, v["b"]


def sums(rng):
    return " ".join(equation(*any_equation(rng)) + "." for _ in range(8))


def bare_problem(rng):
    """A sum without a story, of one step or two."""
    a, op, b = any_equation(rng)
    eqs = [equation(a, op, b)]
    asked = "%d %s %d" % (a, op, b)
    if rng.random() < 0.5 and result(eqs[0]) > 2:
        r = result(eqs[0])
        op2 = "+" if r < 20 and rng.random() < 0.5 else "-"
        c = rng.randint(1, 30 - r if op2 == "+" else min(r - 1, 20))
        if r <= 30:
            eqs.append(equation(r, op2, c))
            asked += ", then %s %d" % (op2, c)
    return TEMPLATE % ("What is %s?" % asked) + "%s. The answer is %d." % (". Then ".join(eqs), result(eqs[-1]))


def reading(rng):
    """Who has what: found in the text, nothing computed."""
    people, things = rng.sample(NAMES, 3), rng.sample(ITEMS, 3)
    counts = [rng.randint(1, 30) for _ in range(3)]
    story = " ".join("%s has %d %s." % f for f in zip(people, counts, things))
    k = rng.randrange(3)
    return TEMPLATE % ("%s How many %s does %s have?" % (story, things[k], people[k])) + \
        "We read: %s has %d %s. The answer is %d." % (people[k], counts[k], things[k], counts[k])


def figures(rng):
    """A story with another question than its own: which figures stand in it."""
    text = problem(rng, rng.choice(DOMAINS))[0]
    story = text[:text.rstrip("?").rindex(".") + 1]
    found = [int(word) for word in re.findall("[0-9]+", story)]
    which, answer = rng.choice((("first", found[0]), ("last", found[-1]), ("largest", max(found))))
    return TEMPLATE % ("%s Which is the %s number?" % (story, which)) + \
        "The numbers are %s. The answer is %d." % (", ".join(map(str, found)), answer)


def school(rng):
    """Sentences of a schoolbook with worked sums, of no story."""
    def one(domain):
        return rationale(rng, domain, domain.draw(rng))[0].split(" The answer")[0]
    return " ".join(one(rng.choice(DOMAINS)) for _ in range(4))


def stories(rng):
    """Problems of all kinds, unsolved."""
    return " ".join(problem(rng, rng.choice(DOMAINS))[0] for _ in range(3))


def pretrain(path):
    rng = random.Random(SEED + 1)
    kinds = [sums, bare_problem, bare_problem, reading, reading, figures, figures, stories, school]
    write(path, ({"text": rng.choice(kinds)(rng)} for _ in range(TEXTS)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("directory", nargs="?", default=".")
    parser.add_argument("--pretrain", metavar="FILE")
    args = parser.parse_args()
    if args.pretrain:
        pretrain(args.pretrain)
    else:
        make(args.directory)


if __name__ == "__main__":
    main()
