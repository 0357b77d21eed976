# SPDX-License-Identifier: Apache-2.0
# run_plan.sh - what the tests of runs share, read behind tap.sh: data and a teacher in $folder, plan files, runs.
tiny=${TEST_SRCDIR:?}/data/tiny
cd "$folder" || exit 99
export BALDISTILL_STATE_DIR="$folder/state"

# A long tail of four domains: 16, 6, 3 and 1 examples; a teacher that knows all of them, errs in one of ten, and
# writes new ones, of which one of seven cannot be parsed and one has a wrong label.
cp "$tiny/examples.jsonl" train.jsonl && cp "$tiny/test.jsonl" "$tiny/teacher.jsonl" . && chmod u+w ./*.jsonl || exit 99

# plan NAME KEYS...: a plan file; each further argument is a line of it
plan()
{
	cat >"$1.yaml" <<-END
	task: {type: classification, train: train.jsonl, test: test.jsonl, head_domains: {above: 5}}
	budget: 18
	stages: 3
	student: {model_name_or_path: $tiny, dtype: float32, slots: 4}
	selection: {max_new_tokens: 6}
	training: {num_train_epochs: 1, per_device_train_batch_size: 4, learning_rate: 1.0e-2}
	teacher: {kind: recorded, cassette: teacher.jsonl}
	evaluation: {max_new_tokens: 8, bootstrap: 50, stages: all}
	output_dir: $1
	END
	plan=$1
	shift
	for line; do
		echo "$line" >>"$plan.yaml"
	done
}

# taught_by NAME COMMAND...: a program as the plan's teacher
taught_by()
{
	plan=$1
	shift
	sed -i "s|^teacher: .*|teacher: {kind: command, command: [$(echo "$@" | sed 's/ /, /g')]}|" "$plan.yaml"
}

run()
{
	plan=$1
	shift
	"$program" run --quiet "$plan.yaml" "$@"
}

# value KEY: of each row of standard input, a line each
value()
{
	sed -n 's/.*"'"$1"'":\([^,}]*\).*/\1/p'
}
