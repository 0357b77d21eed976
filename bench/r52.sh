#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# r52.sh STUDENT DATA OUTPUT [METHODS [SEEDS]]: the standing experiment on R52 with the recorded GPT-4 teacher: METHODS
# (a comma between two) and SEEDS side by side. STUDENT is a folder as r52_student.sh makes it, with a small student of
# our own, or as peers.sh makes it, with SmolLM2-135M-Instruct; DATA the folder that holds r52/. Goes on where it was
# interrupted, and can do one method and seed at a time; OUTPUT/run/METHOD/SEED are ordinary run directories. BALDISTILL
# names the program. From the environment also B, K, PRESET (recommended; one OUTPUT for each), TRAIN and TEST (other
# rows than data/r52's, to try settings on a part of the pool) and TRAINING (other settings: a YAML map on one line).
set -eu
student=$(cd "${1:?usage: r52.sh STUDENT DATA OUTPUT [METHODS [SEEDS]]}" && pwd) data=$(cd "${2:?}" && pwd)
methods=${4-random-finetune-cot,balance-finetune-cot,active-finetune-cot,baldistill-naive,baldistill-adaptive}
seeds=${5-1} train=${TRAIN-$data/r52/pool.jsonl} test=${TEST-$data/r52/test.jsonl}
mkdir -p "${3:?}" && cd "$3"
if [ -d "$student/student" ]; then
	# Of the rationales that came with synthetic examples 95 % have more than 100 of its tokens, and end in the answer.
	model=$student/student prompts=$student/prompts budget=2600 stages=5 tokens=384
	training='{finetuning_type: full, learning_rate: 1.0e-3, num_train_epochs: 5, max_length: 768,
		per_device_train_batch_size: 8}'
else
	model=$student/smollm2 prompts= budget=260 stages=3 tokens=100 training='{max_length: 768}'
fi
cat >plan.yaml <<END
task: {type: classification, train: $train, test: $test, head_domains: {above: 50}, prompts: $prompts}
method: {name: baldistill-adaptive, preset: ${PRESET-recommended}}
budget: ${B-$budget}
stages: ${K-$stages}
student: {model_name_or_path: $model, dtype: float32}
selection: {max_new_tokens: 100, candidates_per_domain: 20}
training: ${TRAINING-$training}
teacher: {kind: recorded, cassette: $data/r52/teacher.jsonl, on_missing: skip, restrict_pool: true}
evaluation: {max_new_tokens: $tokens}
export: {merged: false}
output_dir: run
END
export BALDISTILL_STATE_DIR="$PWD/state"
exec "${BALDISTILL:?}" compare plan.yaml --methods "$methods" --seeds "$seeds"
