#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# r52_student.sh DATA OUTPUT: makes OUTPUT/student, a student of 2.4 million parameters for r52.sh, and OUTPUT/prompts,
# from the texts of the pool alone (DATA/r52/pool.jsonl without labels; no rationale, no test text): byte-level BPE of
# 4,096 tokens, random weights, pre-training. Rows are texts in shuffled order, a blank line between two, about 500
# tokens long, so that later positions are learned, too. Goes on where it was interrupted. BALDISTILL: the program,
# PYTHON: a Python with the package `tokenizers`; EPOCHS (3) of pre-training.
set -eu
. "$(dirname "$0")/program.sh"

[ $# -eq 2 ] || fail 64 'usage: r52_student.sh DATA OUTPUT'
find_program
pool=$(realpath -m "$1/r52/pool.jsonl")
[ -f "$pool" ] || fail 66 "no file '$pool': DATA is the folder that holds r52/"
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON-python3}
mkdir -p "$2"
cd "$2"
mkdir -p init prompts
# The built-in prompt lists all classes in front of the text: 220 tokens of this vocabulary, as many as a text has.
cp "$here"/../data/prompts/classification/*.txt prompts
printf 'Text: {input}\nReasoning:\n' >prompts/student.txt
[ -f texts.jsonl ] || "$python" - "$pool" >texts.part <<'END'
import json, random, sys
texts = list(dict.fromkeys(json.loads(line)["input"] for line in open(sys.argv[1], encoding="utf-8")))
random.Random(1).shuffle(texts)
rows, most = [[]], 2000  # characters of a row of several texts
for text in texts:
    if rows[-1] and sum(map(len, rows[-1])) + len(text) > most:
        rows.append([])
    rows[-1].append(text)
for row in rows:
    print(json.dumps({"text": "\n\n".join(row)}))
END
[ -f texts.jsonl ] || mv texts.part texts.jsonl
[ -f init/config.json ] || "$python" "$here/../data/demo/make_tokenizer.py" texts.jsonl init 4096 '{
	"hidden_size": 192, "intermediate_size": 512, "num_hidden_layers": 4, "num_attention_heads": 6,
	"num_key_value_heads": 2, "head_dim": 32, "max_position_embeddings": 2048}'
[ -f student/config.json ] || "$program" train --init random --model init --data texts.jsonl --output student \
	--dtype float32 --seed 1 --finetuning-type full --num-train-epochs "${EPOCHS-3}" --learning-rate 2e-3 \
	--lr-scheduler-type cosine --warmup-ratio 0.03 --weight-decay 0.1 --per-device-train-batch-size 4 --max-length 768
