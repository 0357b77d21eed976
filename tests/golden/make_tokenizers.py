# SPDX-License-Identifier: Apache-2.0
"""make_tokenizers.py DIR: tiny tokenizers of every kind, and what Python `tokenizers` makes of difficult texts.

DIR/strings.jsonl    one text per line, as JSON
DIR/KIND.json        a tokenizer.json, trained on text that this script makes
DIR/KIND.ids         for each text: ids with special tokens, ids without, the ids without decoded, and decoded without
                     special tokens; by tabs; decoded texts as JSON, or '=' where equal to the text
DIR/variants.jsonl   single components put into splits.json: {"key", "component", "cases": [[text, ids], ...]}
DIR/versions         what made them
Used: python 3.11, tokenizers 0.23.3.
"""

import json, pathlib, random, sys
import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

out = pathlib.Path(sys.argv[1])
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
QWEN = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")


def corpus():
    rng = random.Random(7)
    words = (
        "the of and to in is was for that with shares company profit loss bank oil grain trade net year quarter "
        "said mln dlrs pct from it's don't we'll they've I'm he'd you're question answer because therefore market "
        "price model student teacher domain example learning language naïve café über straße Ελλάδα мир 世界 日本 "
        "emoji 😀 ½ 1987 42 3.14 1,000"
    ).split()
    for _ in range(1500):
        line = " ".join(rng.choice(words) for _ in range(rng.randint(3, 14)))
        yield rng.choice(["", "  ", "\n", "\t"]) + line.capitalize() + rng.choice(
            [".", "!", "?", "...", "\n", " \n\n", ""]
        )


def strings():
    rng = random.Random(11)
    # fmt: off
    plain = [
        "", " ", "  ", "   ", "\n", "\n\n", " \n", "\n ", "\t", "\r\n", " \r\n x", "a", " a", "a ", " a ",
        "  a  b  ", "Hello world", "Hello, world!", " leading", "trailing ", "two  spaces", "three   spaces",
        "tab\there", "new\nline", "a\n\nb", "a \n b", "a\n\n\nb\n", "x\r\ny\r\nz", "it's", "IT'S", "don't DON'T",
        "we'll they've I'm", "he'd you're", "'s 's' 'S", "x'ſ", "can't've", "’s typographic ’ll", "'", "''", "'''",
        "\"quoted\"", "1", "12", "123", "1234", "12345", "1234567890", "3.14159", "1,000,000", "1e-5", "0x1F",
        "½ ¾ ⅓", "Ⅷ ⅳ", "٣٤٥", "१२३", "²³¹", "①②③", "a1b2c3", "1st 2nd", "v1.2.3", "$3.50", "50%", "€100", "#hash",
        "@user", "a@b.co", "https://example.org/a?b=c&d=e#f", "/usr/lib/x86_64", "C:\\Windows\\System32",
        "snake_case", "kebab-case", "CamelCase", "ALLCAPS", "MiXeD", "f(x) = x^2 + 1", "a+b*c/d-e", "x<y>z",
        "[list] {dict} (tuple)", "a;b:c,d.e", "!?!?", "...", "…", "—–-", "« quoted »", "“smart”", "‘single’",
        "•bullet", "©®™", "§¶†‡", "→←↑↓", "∀x∈ℝ", "≤≥≠", "café", "cafe\u0301", "naïve", "nai\u0308ve", "Å",
        "A\u030a", "\u212b", "ﬁ ﬂ ﬀ", "ﷺ", "Ǆ ǅ ǆ", "ﬅ", "ẛ̣", "İstanbul", "ıI iİ", "ẞß SS", "ΑΒΓ αβγ ς σ", "Ελλάδα",
        "мир Мир МИР", "й и\u0306", "ё е\u0308", "Привет, мир!", "שלום עולם", "שָׁלוֹם", "مرحبا بالعالم",
        "العَرَبِيَّة", "हिन्दी भाषा", "क्षत्रिय", "தமிழ்", "ไทย ภาษาไทย", "ភាសាខ្មែរ", "မြန်မာ", "한국어",
        "\u1112\u1161\u11ab", "한\u200b국", "日本語テキスト", "こんにちは世界", "カタカナ ｶﾀｶﾅ", "全角　スペース",
        "ＡＢＣ１２３", "中文，标点。", "你好！世界？", "龍龜龘", "𠀀𠀁", "😀", "😀😀", "👍🏽", "👨‍👩‍👧‍👦",
        "🇩🇪🇫🇷", "❤️", "☺︎", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "1️⃣", "a😀b", " 😀 ", "🤷‍♂️ shrug", "𝒳𝓎𝓏", "𝟘𝟙𝟚", "𐍈", "𓀀",
        "\u00a0nbsp\u00a0", "a\u00a0b", "\u2003em\u2003", "\u2009thin", "\u3000", "a\u3000b", "\u1680", "\u180e",
        "a\u180eb", "\u200b", "a\u200bb", "\u200d", "x\u200dy", "\u2060", "\ufeff", "\ufeffbom", "\u0085",
        "a\u0085b", "\u2028", "a\u2028b", "\u2029", "\u202f", "\u205f", "\u00ad", "soft\u00adhyphen", "\u001c\u001d",
        "\u000b\u000c", "bell\u0007", "esc\u001b[0m", "\u0001\u0002\u0003", "\u007f", "\u0080\u009f", "nul\u0000in",
        "\u0000", "\ufffd", "\ufffe", "\uffff", "\U0010ffff", "\ue000", "\u0301", "\u0301a", " \u0301",
        "a\u0301\u0301\u0301", "e\u0301\u0323", "e\u0323\u0301", "\u0344", "\u2126", "\u0958", "\u1e9b\u0323",
        "Z\u0351\u036b\u0343\u036a\u0302\u036b\u033d\u034f\u0334\u0319\u0324", "a\u0308\u0323b\u0323\u0308",
        "\u0f73\u0f75", "\uac00\u11a8", "\u3131", "\u24b6\u24b7 Ⓐ", "ªº", "▁", "▁▁", "▁a", "a▁b", "▁ ▁", " ▁", "a▁",
        "▁▁▁hello", "hello ▁world", "Ġ", "Ġhello", "Ċ", "Ã©", "ĠĠ", "<0x41>", "<0xE2><0x96>", "<0x0A>", "<unk>",
        "<s>", "</s>", "<s>a</s>", "a<s>b", " <s> ", "<s><s>", "</s>\n", "<S>", "< s >", "<s", "s>", "<pad>",
        "<|endoftext|>", "a<|endoftext|>b", " <|endoftext|> ", "<|endoftext|><|endoftext|>",
        "<|im_start|>user\nhi<|im_end|>\n", "<|im_start|>", "<|im_end|>", "<|im_", "|im_end|>",
        "<|im_start|><|im_end|>", "<|begin_of_text|>x", "<|eot_id|>",
        "<|start_header_id|>user<|end_header_id|>\n\nhi<|eot_id|>", "[INST] hi [/INST]", "[MASK]", " [MASK] ",
        "a [MASK]b", "a  [MASK]  b", "[MASK][MASK]", "\n[MASK]\n", "\u3000[MASK]\u00a0x", "[mask]", "[LEFT]",
        "a  [LEFT]  b", "[LEFT] [RIGHT]", "[RIGHT]  b", "a [RIGHT] [LEFT] b", "[RIGHT]  [LEFT]", "[BOTH]  [BOTH]",
        "Word", "Words", "aWord", "a Word b", "Word.", "_Word", "Word1", "éWord", "Word\u0301", "Word\u200d",
        "Word Word", "WordWord Word", "-Word-", "\u24b6Word", "½Word", "norm", "NORM", "Nörm", "a norm b",
        "NorM norm", "no\u0308rm", "xNORMx", "longtok", "longtoken", "longtokens", "longto", "alongtokenb",
        "longtoklongtoken", "  indented code\n    more\n\tif x:\n\t\treturn y",
        "def f(x):\n    return x**2  # comment\n", "{\"key\": [1, 2, null]}", "<html><body>&nbsp;</body></html>",
        "SELECT * FROM t WHERE a='b';", "\\frac{a}{b} \\sum_{i=1}^n", "$\\alpha$", "| a | b |\n|---|---|\n",
        "- item\n- item\n  - sub", "# Title\n\n## Sub", "```c\nint main(void);\n```", "~~x~~ **b** _i_",
        "the the the", "thethethe", "The quick brown fox jumps over the lazy dog.", "a" * 40, "ab" * 30, " " * 50,
        "\n" * 20, "  \n" * 8, "!" * 30, "1" * 30, "é" * 20, "😀" * 10, "▁" * 20, "a " * 25, "the " * 10, "'s" * 10,
        "x" * 600, "pneumonoultramicroscopicsilicovolcanoconiosis", "Donaudampfschifffahrtsgesellschaftskapitän",
        "shares of the company said net profit was 1,234 mln dlrs in the quarter", "Question: why?\nAnswer: because",
    ]
    pool = [
        "the", " the", "company", " ", "  ", "\n", "\t", "1", "23", "456", ".", ",", "'s", "'LL", "é", "e\u0301",
        "ß", "мир", "世", "界", "😀", "👍🏽", "\u00a0", "\u3000", "\u200b", "▁", "Ġ", "<s>", "</s>", "[MASK]",
        "[LEFT]", "[RIGHT]", "Word", "norm", "<|im_start|>", "longtoken", "½", "_", "-", "(", ")", "$", "ﬁ", "İ",
        "\u0301", "\r\n", "شه", "ไทย",
]
    # fmt: on
    seen = dict.fromkeys(plain)
    while len(seen) < 460:
        seen["".join(rng.choice(pool) for _ in range(rng.randint(2, 12)))] = None
    return list(seen)


def train(tok, special, size=384, alphabet=()):
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=special, initial_alphabet=list(alphabet), show_progress=False
    )
    tok.train_from_iterator(list(corpus()), trainer)
    return tok


def byte_level(special, pre, size=384):
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre
    tok.decoder = decoders.ByteLevel()
    return train(tok, special, size, pre_tokenizers.ByteLevel.alphabet())


def gpt2():
    tok = byte_level(["<|endoftext|>"], pre_tokenizers.ByteLevel(add_prefix_space=False))
    tok.post_processor = processors.ByteLevel(trim_offsets=False)
    return tok


def gpt2_prefix():
    return byte_level(["<s>", "</s>"], pre_tokenizers.ByteLevel(add_prefix_space=True))


def llama3():
    tok = byte_level(
        ["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"],
        pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(LLAMA3), "isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        ),
    )
    tok.post_processor = processors.Sequence(
        [
            processors.ByteLevel(),
            processors.TemplateProcessing(
                single="<|begin_of_text|> $A",
                pair="<|begin_of_text|> $A <|begin_of_text|> $B",
                special_tokens=[("<|begin_of_text|>", 0)],
            ),
        ]
    )
    data = json.loads(tok.to_str())
    data["model"]["ignore_merges"] = True
    # words that no merge reaches, so that ignore_merges shows
    for word in ("Ġquick", "jumps", "Ã©", "ĠĠĠĠ", "SELECT"):
        data["model"]["vocab"].setdefault(word, len(data["model"]["vocab"]))
    return Tokenizer.from_str(json.dumps(data))


def qwen():
    tok = byte_level(
        [],
        pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(QWEN), "isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        ),
    )
    tok.normalizer = normalizers.NFC()
    tok.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    tok.add_tokens(
        [
            AddedToken("longtok", normalized=False),
            AddedToken("longtoken", normalized=False),
            AddedToken("cafe\u0301", normalized=True),
        ]
    )
    return tok


def smollm():
    return byte_level(
        ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        ),
    )


BYTES = [f"<0x{i:02X}>" for i in range(256)]


def with_bytes(tok, size=480):
    """Trained on marked text; byte tokens join the vocabulary behind the special ones, as sentencepiece puts them."""
    trainer = trainers.BpeTrainer(
        vocab_size=size - 256, special_tokens=["<unk>", "<s>", "</s>"], show_progress=False, limit_alphabet=90
    )
    tok.train_from_iterator(list(corpus()), trainer)
    data = json.loads(tok.to_str())
    words = [w for w, _ in sorted(data["model"]["vocab"].items(), key=lambda x: x[1])]
    words = words[:3] + BYTES + [w for w in words[3:] if w not in BYTES]
    data["model"]["vocab"] = {w: i for i, w in enumerate(words)}
    data["model"].update(byte_fallback=True, unk_token="<unk>", fuse_unk=True)
    return data


def sentencepiece_decoder(strip):
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    return decoders.Sequence(steps + ([decoders.Strip(" ", 1, 0)] if strip else []))


def llama2():
    tok = Tokenizer(models.BPE())
    tok.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tok.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")  # for training: words
    data = with_bytes(tok)
    data["pre_tokenizer"] = None
    tok = Tokenizer.from_str(json.dumps(data))
    tok.decoder = sentencepiece_decoder(True)
    tok.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)]
    )
    return tok


def mistral():
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="first", split=True)
    data = with_bytes(tok)
    data["pre_tokenizer"]["split"] = False
    tok = Tokenizer.from_str(json.dumps(data))
    tok.decoder = sentencepiece_decoder(True)
    tok.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A $B", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    return tok


def crossing():
    """No pre-tokenizer while training either: merges go across words, so that no text may be cut at its marks."""
    tok = Tokenizer(models.BPE())
    tok.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tok = Tokenizer.from_str(json.dumps(with_bytes(tok)))
    tok.decoder = sentencepiece_decoder(False)
    return tok


def metaspace():
    """No byte fallback: every unknown character is an <unk>."""
    tok = Tokenizer(models.BPE(unk_token="<unk>"))
    tok.normalizer = normalizers.NFKC()
    tok.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always", split=True)
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<unk>", "<s>"], limit_alphabet=60, show_progress=False
    )
    tok.train_from_iterator(list(corpus()), trainer)
    tok.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always", split=True)
    return tok


def flags():
    """Normalizers of text, pre-tokenizers by classes, added tokens with every flag, fused unknowns, no decoder."""
    tok = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True))
    tok.normalizer = normalizers.Sequence(
        [
            normalizers.Strip(),
            normalizers.NFD(),
            normalizers.StripAccents(),
            normalizers.Lowercase(),
            normalizers.Replace(Regex(r"\s{3,}"), "  "),
            normalizers.Replace("mln", "million"),
        ]
    )
    tok.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Whitespace(), pre_tokenizers.Punctuation(), pre_tokenizers.Digits()]
    )
    trainer = trainers.BpeTrainer(vocab_size=300, special_tokens=["<unk>"], limit_alphabet=40, show_progress=False)
    tok.train_from_iterator(list(corpus()), trainer)
    tok.add_special_tokens(
        [
            "<s>",
            AddedToken("[MASK]", lstrip=True, rstrip=True),
            AddedToken("[LEFT]", lstrip=True),
            AddedToken("[RIGHT]", rstrip=True),
            AddedToken("[BOTH]", lstrip=True, rstrip=True, single_word=True),
        ]
    )
    tok.add_tokens(
        [
            AddedToken("Word", single_word=True, normalized=False),
            AddedToken("Nörm", normalized=True),
            AddedToken("longtok", normalized=True),
            AddedToken("longtoken", normalized=True, single_word=True),
        ]
    )
    return tok


def stripped():
    """NFD, Strip, WhitespaceSplit, then a Metaspace on what is the first part only."""
    tok = Tokenizer(models.BPE(unk_token="<unk>"))
    tok.normalizer = normalizers.Sequence([normalizers.NFD(), normalizers.Strip()])
    tok.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(prepend_scheme="first")]
    )
    trainer = trainers.BpeTrainer(vocab_size=300, special_tokens=["<unk>"], limit_alphabet=60, show_progress=False)
    tok.train_from_iterator(list(corpus()), trainer)
    tok.decoder = decoders.Metaspace(prepend_scheme="never")
    return tok


def splits():
    """Trained on the very texts of the variants without any pre-tokenizer: what a pre-tokenizer cuts shows in the ids."""
    tok = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=False))
    texts = VARIANT_TEXTS + [t.lower() for t in VARIANT_TEXTS]
    tok.train_from_iterator(
        texts * 3, trainers.BpeTrainer(vocab_size=700, special_tokens=["<unk>"], show_progress=False)
    )
    return tok


# fmt: off
VARIANT_TEXTS = [
    "ab 12  cd.", "a1b22c333", "..x..y", "  lead", "trail  ", "a, b,,c", "x\n\ny \n", "12 34", "!!", "A\u0301b C",
    "a\u180eb\u0085c", "É_é-e", "can't Won'T", "a1½Ⅷ一٣", "$a+b|c~", "one two  three", "\u24b6b\u200dc", "ａ１",
    "İX", "   ", "世々・ー。世、ああー、い゛", "ا،ب\u064bα\u0342", "xxx{,2}{ 1 }y{z", "apLLb",
]
PATTERNS = [
    Regex(r"\d+"), Regex(r"\s"), Regex(r"\w+"), Regex(r"[^\s\w]+"), Regex(r"(?i:'t)|\p{Lu}"), Regex(r"\b"),
    Regex(r"^|$"), Regex(r"\S+\s?"), Regex(r"\h+"), Regex(r"x*"), Regex(r"(?<=[a-c])\d|[[:punct:]]"),
    Regex(r"\s+(?!\S)|\W"), " ", "  ", "a", ".", ", ", Regex(r"\p{Han}+"), Regex(r"\P{Han}+|\p{hira}"),
    Regex(r"[^\p{Katakana}\p{Lu}\P{L}]"), Regex(r"\p{^Hiragana}+"), Regex(r"\p{Arabic}+|[\p{^Greek}\d]"),
    Regex(r"x{,2}"), Regex(r"x{2,}|x{,2}\{|{ 1 }|{,}|y{z"), Regex(r"\pL+|[\p\P1]"), Regex(r"{\s\d"),
]
# fmt: on


def variants(base):
    keys = []
    for number, pattern in enumerate(PATTERNS):
        for behaviour in ("isolated", "removed", "merged_with_previous", "merged_with_next", "contiguous"):
            for invert in (False, True):
                if number % 3 == (len(behaviour) + invert) % 3 or number < 2:
                    keys.append(("pre_tokenizer", pre_tokenizers.Split(pattern, behaviour, invert)))
    for behaviour in ("isolated", "removed", "merged_with_previous", "merged_with_next", "contiguous"):
        keys.append(("pre_tokenizer", pre_tokenizers.Punctuation(behaviour)))
    keys += [
        ("pre_tokenizer", p)
        for p in (
            pre_tokenizers.Digits(False),
            pre_tokenizers.Digits(True),
            pre_tokenizers.Whitespace(),
            pre_tokenizers.WhitespaceSplit(),
            pre_tokenizers.Metaspace("_", "never"),
            pre_tokenizers.Metaspace("_", "first"),
            pre_tokenizers.Metaspace("_", "always"),
            pre_tokenizers.Metaspace("b", "first", False),
            pre_tokenizers.Sequence([pre_tokenizers.Split(" ", "isolated"), pre_tokenizers.Metaspace("a", "first")]),
            pre_tokenizers.Sequence(
                [pre_tokenizers.Punctuation(), pre_tokenizers.Digits(), pre_tokenizers.WhitespaceSplit()]
            ),
        )
    ]
    keys += [
        ("normalizer", n)
        for n in (
            normalizers.NFC(),
            normalizers.NFD(),
            normalizers.NFKC(),
            normalizers.NFKD(),
            normalizers.Lowercase(),
            normalizers.StripAccents(),
            normalizers.Strip(True, False),
            normalizers.Strip(False, True),
            normalizers.Prepend("12 "),
            normalizers.Replace(" ", ""),
            normalizers.Replace(Regex(r"\d"), ".."),
            normalizers.Replace(Regex(r"x*"), "a"),
            normalizers.Replace(Regex(r"(a)|b"), "$1"),
            normalizers.Sequence([normalizers.Strip(), normalizers.Prepend("12 ")]),
            normalizers.Sequence([normalizers.Prepend(" "), normalizers.Replace("  ", " "), normalizers.Lowercase()]),
        )
    ]
    for key, part in keys:
        tok = Tokenizer.from_str(base)
        setattr(tok, key, part)
        component = json.loads(tok.to_str())[key]
        yield {"key": key, "component": component, "cases": [[t, tok.encode(t).ids] for t in VARIANT_TEXTS]}


def decoded(text, original):
    return "=" if text == original else json.dumps(text)


def main():
    texts = strings()
    (out / "strings.jsonl").write_text("".join(json.dumps(t) + "\n" for t in texts))
    for make in (gpt2, gpt2_prefix, llama3, qwen, smollm, llama2, mistral, crossing, metaspace, flags, stripped):
        tok = Tokenizer.from_str(make().to_str())
        (out / f"{make.__name__}.json").write_text(
            json.dumps(json.loads(tok.to_str()), ensure_ascii=False, separators=(",", ":")) + "\n"
        )
        with open(out / f"{make.__name__}.ids", "w") as f:
            for t in texts:
                special, ids = (tok.encode(t, add_special_tokens=s).ids for s in (True, False))
                row = [" ".join(map(str, special)), " ".join(map(str, ids))] + [
                    decoded(tok.decode(ids, skip_special_tokens=s), t) for s in (False, True)
                ]
                f.write("\t".join(row) + "\n")
    base = splits().to_str()
    (out / "splits.json").write_text(json.dumps(json.loads(base), ensure_ascii=False, separators=(",", ":")) + "\n")
    with open(out / "variants.jsonl", "w") as f:
        for row in variants(base):
            f.write(json.dumps(row) + "\n")
    (out / "versions").write_text(f"python {sys.version.split()[0]}\ntokenizers {tokenizers.__version__}\n")
    print(len(texts), "texts")


main()
