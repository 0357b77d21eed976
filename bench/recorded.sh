# SPDX-License-Identifier: Apache-2.0
# recorded.sh, read by r52.sh and math.sh: one experiment with the answers that GPT-4 gave to the paper's authors. The
# reader sets, before the arguments are looked at:
#   set       folder of pool.jsonl, test.jsonl and teacher.jsonl below DATA
#   type      of the task; head: its head domains
#   small, large   a function each that sets model, prompts, budget, stages, tokens and training for the kind of student
# and documents what the user may set: B, K, PRESET, DTYPE, TRAIN, TEST, TRAINING, BALDISTILL.
usage="usage: $(basename "$0") STUDENT DATA OUTPUT [METHODS [SEEDS]]"
program=$(realpath "${BALDISTILL:?}") student=$(cd "${1:?$usage}" && pwd) data=$(cd "${2:?$usage}" && pwd)
methods=${4-random-finetune-cot,balance-finetune-cot,active-finetune-cot,baldistill-naive,baldistill-adaptive}
seeds=${5-1} train=$(realpath -s "${TRAIN-$data/$set/pool.jsonl}") test=$(realpath -s "${TEST-$data/$set/test.jsonl}")
mkdir -p "${3:?$usage}" && cd "$3"
if [ -d "$student/student" ]; then small; else large; fi
cat >plan.yaml <<END
task: {type: $type, train: $train, test: $test, head_domains: $head, prompts: $prompts}
method: {name: baldistill-adaptive, preset: ${PRESET-recommended}}
budget: ${B-$budget}
stages: ${K-$stages}
student: {model_name_or_path: $model, dtype: ${DTYPE-float32}}
selection: {max_new_tokens: 100, candidates_per_domain: 20}
training: ${TRAINING-$training}
teacher: {kind: recorded, cassette: $data/$set/teacher.jsonl, on_missing: skip, restrict_pool: true}
evaluation: {max_new_tokens: $tokens}
export: {merged: false}
output_dir: run
END
export BALDISTILL_STATE_DIR="$PWD/state"
exec "$program" compare plan.yaml --methods "$methods" --seeds "$seeds"
