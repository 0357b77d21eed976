#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# memory_test.sh - `baldistill run` on the tiny student of data/tiny with a recorded teacher, where one allocation fails,
# or all from one on: it ends with 71, or 0 where it could do without, never by a signal or not at all, and the same
# command then goes on to the bytes of a run that nothing disturbed. A plain check takes some allocations, spread over
# the run; TEST_LONG=1 twenty times as many.
set -u
program=${BALDISTILL:?}
tiny=${TEST_SRCDIR:?}/data/tiny
short=${TEST_BUILDDIR:?}/tests/.libs/libshort.so
[ -w /dev/shm ] && export TMPDIR=/dev/shm
. "${TEST_SRCDIR:?}/tests/tap.sh"
cd "$folder" || exit 99
export BALDISTILL_STATE_DIR="$folder/state" OMP_NUM_THREADS=1
sweep=40
[ -z "${TEST_LONG:-}" ] || sweep=800

# auto would look at a GPU's module first, and NVIDIA's libraries fall where memory lacks
backend=$("$program" backends | awk '$1 == "openblas" && $2 == "usable" { print $1 }')

cp "$tiny/examples.jsonl" train.jsonl && cp "$tiny/teacher.jsonl" . && sed 4q "$tiny/test.jsonl" >test.jsonl || exit 99
cat >run.yaml <<-END
	task: {type: classification, train: train.jsonl, test: test.jsonl, head_domains: {above: 5}}
	budget: 6
	stages: 1
	student: {model_name_or_path: $tiny, backend: ${backend:-reference}, dtype: float32, slots: 4}
	selection: {max_new_tokens: 2}
	training: {num_train_epochs: 1, per_device_train_batch_size: 4, learning_rate: 1.0e-2}
	teacher: {kind: recorded, cassette: teacher.jsonl}
	evaluation: {max_new_tokens: 2, bootstrap: 5, stages: all}
	output_dir: run
END

# short AT ON: a run whose AT-th allocation fails, and with an ON that is not empty all after it; its status
short()
{
	timeout 60 env SHORT_AT=$1 SHORT_ON=$2 SHORT_COUNT="$folder/count" LD_PRELOAD="$short" "$program" run --quiet run.yaml
}

# results: the digests of all that must not depend on what a run went through
results()
{
	(cd run && find plan.yaml stage-* final predictions.jsonl metrics.json report.html -type f |
		grep -v -e trainer_log -e '\.part/' | LC_ALL=C sort | xargs sha256sum)
}

undisturbed()
{
	case ${TEST_CC:-} in *-fsanitize*) echo 'the sanitizer has an allocator of its own'; return 77 ;; esac
	[ -e "$short" ] || { echo 'no library that can be put before a program'; return 77; }
	short 0 '' && results >whole && mv count all && [ "$(cat all)" -gt 1000 ]
}

# fails ON: the sweep
fails()
{
	[ -s whole ] || { echo 'nothing to compare with'; return 77; }
	n=$(cat all) at=$((n / sweep / 2)) told=0 case=0
	while [ $case -lt $sweep ]; do
		rm -rf run
		short $at "$1"
		status=$?
		[ $status -eq 0 ] || [ $status -eq 71 ] || { echo "allocation $at of $n: status $status"; return 1; }
		[ $status -eq 0 ] || told=$((told + 1))
		"$program" run --quiet run.yaml && results | cmp - whole || { echo "after allocation $at of $n"; return 1; }
		at=$((at + n / sweep)) case=$((case + 1))
	done
	echo "# $case of $n allocations, $told failures told" >&3
	[ $told -gt $((case / 2)) ]
}

exec 3>&1
check 'a run with an allocator that can refuse' undisturbed
check 'one allocation fails' fails ''
check 'every allocation from one on fails' fails 1
echo "1..$cases"
