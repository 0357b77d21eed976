# SPDX-License-Identifier: Apache-2.0
"""Write metrics.txt, the golden values of tests/method_test.cc.

    python3 tests/golden/make_metrics.py > tests/golden/metrics.txt

Needs numpy, scipy and scikit-learn; the tests need only the file. Records are
lines of words, parted by spaces, in word F1 by tabs:
    f1 C n / gold / predicted / f1 of each class / macro micro
    accuracy D n / domain / correct / per domain: accuracy or nan / macro micro
    spearman n / x / y / rho
    words TAB answer TAB gold TAB f1        (\\n and \\t escaped)
-1 is an answer or a label outside the classes.
"""
import collections
import re
import string

import numpy
import scipy
import scipy.stats
import sklearn
from sklearn.metrics import f1_score


def line(values):
    print(*(repr(float(v)) if isinstance(v, (float, numpy.floating)) else int(v) for v in values))


def f1_case(rng, classes, n, invalid, outside, absent):
    """Zipf-like gold labels; `absent` classes never occur as gold, the last of them never as an answer."""
    p = 1.0 / numpy.arange(1, classes - absent + 1)
    gold = rng.choice(classes - absent, n, p=p / p.sum())
    guess = rng.integers(0, classes - (1 if absent else 0), n)
    predicted = numpy.where(rng.random(n) < 0.6, gold, guess)
    predicted = numpy.where(rng.random(n) < invalid, -1, predicted)
    gold = numpy.where(rng.random(n) < outside, -1, gold)
    labels = list(range(classes))
    options = dict(labels=labels, zero_division=0)
    print("f1", classes, n)
    line(gold)
    line(predicted)
    line(f1_score(gold, predicted, average=None, **options))
    line(f1_score(gold, predicted, average=a, **options) for a in ("macro", "micro"))


def accuracy_case(rng, domains, n, empty):
    domain = rng.integers(0, domains - empty, n)
    correct = (rng.random(n) < 0.3 + 0.1 * domain).astype(int)
    means = [correct[domain == d].mean() if (domain == d).any() else float("nan") for d in range(domains)]
    print("accuracy", domains, n)
    line(domain)
    line(correct)
    line(means)
    line([numpy.nanmean(means), correct.mean()])


def spearman_case(rng, n, values):
    x = rng.integers(0, values, n)
    y = x + rng.integers(0, values, n)
    print("spearman", n)
    line(x)
    line(y)
    line([scipy.stats.spearmanr(x, y).statistic])


def normalise(text):
    """SQuAD: lower case, then no punctuation, then no articles, then single spaces."""
    text = "".join(c for c in text.lower() if c not in set(string.punctuation))
    return re.sub(r"\b(a|an|the)\b", " ", text).split()


def word_f1(answer, gold):
    a, g = normalise(answer), normalise(gold)
    if not a or not g:
        return float(a == g)
    common = sum((collections.Counter(a) & collections.Counter(g)).values())
    if common == 0:
        return 0.0
    precision, recall = common / len(a), common / len(g)
    return 2 * precision * recall / (precision + recall)


WORDS = [
    ("the cat sat on the mat", "a cat on a mat"),
    ("The Cat, sat!", "the cat sat"),
    ("a b b c", "b b b"),
    ("an apple", "apples"),
    ("the", "an a"),
    ("the", "cat"),
    ("", "cat"),
    ("cat", ""),
    ("", ""),
    ("well-known O'Neill's U.S.A.", "wellknown oneills usa"),
    ("theatre anatomy a1", "theatre a anatomy a1 the"),
    ("  spaced \t out\nwords ", "spaced out words"),
    ("caf\u00e9 na\u00efve", "cafe na\u00efve"),
    ("$1,234.50 (approx.)", "123450 approx"),
    ("to be or not to be", "to be to be to be"),
    ("_under_score_ [x]{y}~z`w^v|u@t", "underscore xyzwvut"),
    ("The-the A.N. the.", "thethe AN"),
]


def escape(text):
    return text.replace("\t", "\\t").replace("\n", "\\n")


def main():
    rng = numpy.random.default_rng(20240615)
    print("# SPDX-License-Identifier: Apache-2.0")
    print("# made by tests/golden/make_metrics.py with numpy %s, scipy %s, scikit-learn %s"
          % (numpy.__version__, scipy.__version__, sklearn.__version__))
    for shape in ((2, 12, 0, 0, 0), (5, 60, 0.2, 0, 0), (9, 80, 0.1, 0.1, 3), (52, 150, 0.3, 0, 20), (3, 5, 1, 0, 0)):
        f1_case(rng, *shape)
    for shape in ((3, 30, 0), (7, 50, 2)):
        accuracy_case(rng, *shape)
    for shape in ((5, 100), (40, 6), (30, 1000)):
        spearman_case(rng, *shape)
    for answer, gold in WORDS:
        print("words", escape(answer), escape(gold), repr(word_f1(answer, gold)), sep="\t")


main()
