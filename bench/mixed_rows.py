# SPDX-License-Identifier: Apache-2.0
"""mixed_rows.py DATA OUT [--rows 32]

Prompts of mixed lengths under one instruction that all share: the first rows of r52/test.jsonl below DATA, asked for
their topic, with the 52 topics named, as turns of a chat (the ChatML marks are special tokens of SmolLM2). Writes
{"id", "prompt"} rows to OUT; needs only Python's own library."""
import argparse, itertools, json, os

INSTRUCTION = ("Classify the following news story into exactly one topic. Read the whole story, give a short "
               "rationale that names the facts which decide, and end with the topic. The topics are: {topics}.")
TURNS = "<|im_start|>user\n{instruction}\n\nStory: {story}<|im_end|>\n<|im_start|>assistant\n"

arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arguments.add_argument("data")
arguments.add_argument("out")
arguments.add_argument("--rows", type=int, default=32)
options = arguments.parse_args()

with open(os.path.join(options.data, "r52", "test.jsonl"), encoding="utf-8") as file:
    stories = [json.loads(line) for line in file.readlines()]
instruction = INSTRUCTION.format(topics=", ".join(sorted({story["label"] for story in stories})))
with open(options.out, "w", encoding="utf-8") as file:
    for i, story in enumerate(itertools.islice(stories, options.rows)):
        prompt = TURNS.format(instruction=instruction, story=story["input"])
        file.write(json.dumps({"id": i, "prompt": prompt}) + "\n")
