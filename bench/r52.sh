#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# r52.sh PEERS DATA OUTPUT [METHODS [SEEDS]]: the standing experiment on R52 with the recorded GPT-4 teacher and
# SmolLM2-135M-Instruct as the student: METHODS (a comma between two) and SEEDS side by side, B and K from the
# environment (260, 3). Goes on where it was interrupted; OUTPUT/run/METHOD/SEED are ordinary run directories.
# PEERS as peers.sh makes it, DATA the folder that holds r52/. BALDISTILL: the program. About two hours a method on two
# cores.
set -eu
peers=$(cd "${1:?usage: r52.sh PEERS DATA OUTPUT [METHODS [SEEDS]]}" && pwd) data=$(cd "${2:?}" && pwd)
methods=${4-random-finetune-cot,balance-finetune-cot,active-finetune-cot,baldistill-naive,baldistill-adaptive} seeds=${5-1}
mkdir -p "${3:?}" && cd "$3"
cat >plan.yaml <<END
task: {type: classification, train: $data/r52/pool.jsonl, test: $data/r52/test.jsonl, head_domains: {above: 50}}
method: {name: baldistill-adaptive, preset: ${PRESET-recommended}}
budget: ${B-260}
stages: ${K-3}
student: {model_name_or_path: $peers/smollm2, dtype: float32}
selection: {max_new_tokens: 100, candidates_per_domain: 20}
training: {max_length: 768}
teacher: {kind: recorded, cassette: $data/r52/teacher.jsonl, on_missing: skip, restrict_pool: true}
evaluation: {max_new_tokens: 100}
export: {merged: false}
output_dir: run
END
BALDISTILL_STATE_DIR=$PWD/state "${BALDISTILL:?}" compare plan.yaml --methods "$methods" --seeds "$seeds"
