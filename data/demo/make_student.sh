#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes the demonstration's student: tokenizer, random weights, pre-training.
#
#	make_student.sh [WORK]
#
# Run in data/demo; writes student/ and student.log. WORK (default: student.work)
# is for the texts and the training, which goes on where it was stopped when the
# script is started again. BALDISTILL names the program, PYTHON a Python that has
# the package `tokenizers`.
set -eu
work=${1:-student.work}
program=$(command -v "${BALDISTILL:-baldistill}") || { echo "no program '${BALDISTILL:-baldistill}': set BALDISTILL" >&2; exit 66; }
program=$(realpath "$program")
python=${PYTHON:-python3}

mkdir -p "$work/init" student
python3 make_demo.py --pretrain "$work/texts.jsonl"
[ -f "$work/init/config.json" ] || "$python" make_tokenizer.py "$work/texts.jsonl" "$work/init"
home=$PWD
cd "$work"
"$program" train --init random --model init --data texts.jsonl --output out --dtype float32 --seed 1 \
	--finetuning-type full --num-train-epochs 2 --learning-rate 2e-3 --lr-scheduler-type cosine \
	--warmup-ratio 0.03 --weight-decay 0.03 --per-device-train-batch-size 16 --max-length 160 >train.log 2>&1
cd "$home"
for file in config.json generation_config.json model.safetensors tokenizer.json tokenizer_config.json; do
	cp "$work/out/$file" student/
done
chmod 644 student/*
{
	"$program" --version
	grep -v "steps/s, .* left" "$work/train.log"
	echo "every 100th step:"
	awk 'NR % 100 == 0 || NR == 1' "$work/out/trainer_log.jsonl"
	cd student && sha256sum -- *
} >student.log
