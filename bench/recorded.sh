# SPDX-License-Identifier: Apache-2.0
# recorded.sh, read by r52.sh and math.sh: one experiment with the answers that GPT-4 gave to the paper's authors. The
# reader sets, before the arguments are looked at:
#   set       folder of pool.jsonl, test.jsonl and teacher.jsonl below DATA
#   type      of the task; head: its head domains
#   small, large   a function each that sets model, prompts, budget, stages, tokens and training for the kind of student
# and documents what the user may set: B, K, PRESET, DTYPE, SLOTS, CANDIDATES, TRAIN, TEST, TRAINING, BALDISTILL.
# float32 is right on a CPU of any kind; on a GPU, or a CPU with AMX, DTYPE=bfloat16 is several times as fast.
. "$(dirname "$0")/program.sh"

# A YAML scalar, whatever commas, colons and quotes a path has.
quoted()
{
	printf "'%s'" "$(printf %s "$1" | sed "s/'/''/g")"
}

[ $# -ge 3 ] || fail 64 "usage: $(basename "$0") STUDENT DATA OUTPUT [METHODS [SEEDS]]"
find_program
[ -d "$1" ] || fail 66 "no folder '$1': make STUDENT with r52_student.sh or peers.sh"
[ -d "$2" ] || fail 66 "no folder '$2': DATA is the folder that holds $set/"
student=$(cd "$1" && pwd)
data=$(cd "$2" && pwd)
train=$(realpath -ms "${TRAIN-$data/$set/pool.jsonl}")
test=$(realpath -ms "${TEST-$data/$set/test.jsonl}")
for file in "$train" "$test" "$data/$set/teacher.jsonl"; do
	[ -f "$file" ] || fail 66 "no file '$file': DATA is the folder that holds $set/"
done
methods=${4-random-finetune-cot,balance-finetune-cot,active-finetune-cot,baldistill-naive,baldistill-adaptive}
seeds=${5-1}
if [ -d "$student/student" ]; then small; else large; fi
[ -f "$model/config.json" ] || fail 66 "no model in '$model': make STUDENT with r52_student.sh or peers.sh"
mkdir -p "$3"
cd "$3"
cat >plan.yaml <<END
task: {type: $type, train: $(quoted "$train"), test: $(quoted "$test"), head_domains: $head,
  prompts: ${prompts:+$(quoted "$prompts")}}
method: {name: baldistill-adaptive, preset: ${PRESET-recommended}}
budget: ${B-$budget}
stages: ${K-$stages}
student: {model_name_or_path: $(quoted "$model"), dtype: ${DTYPE-float32}${SLOTS:+, slots: $SLOTS}}
selection: {max_new_tokens: 100, candidates_per_domain: ${CANDIDATES-20}}
training: ${TRAINING-$training}
teacher: {kind: recorded, cassette: $(quoted "$data/$set/teacher.jsonl"), on_missing: skip, restrict_pool: true}
evaluation: {max_new_tokens: $tokens}
export: {merged: false}
output_dir: run
END
export BALDISTILL_STATE_DIR="$PWD/state"
exec "$program" compare plan.yaml --methods "$methods" --seeds "$seeds"
