#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# faults_test.sh - `baldistill run` on the tiny student of data/tiny with a recorded teacher, where one allocation fails,
# or one call for a file (EIO), or all from one on: it ends with a status and a message, or with 0 where it could do
# without, never by a signal or not at all, and the same command then goes on to the bytes of a run that nothing
# disturbed. The other commands end with a message, or with 0 and the bytes that they write else. Who fails are places
# in the program, stacks of callers, at their first call: some of them, spread; TEST_LONG=1 twenty times as many.
set -u
program=${BALDISTILL:?}
tiny=${TEST_SRCDIR:?}/data/tiny
libraries=${TEST_BUILDDIR:?}/tests/.libs
[ -w /dev/shm ] && export TMPDIR=/dev/shm
. "${TEST_SRCDIR:?}/tests/tap.sh"
cd "$folder" || exit 99
export BALDISTILL_STATE_DIR="$folder/state" OMP_NUM_THREADS=1
sweep=40 each=15
[ -z "${TEST_LONG:-}" ] || sweep=800 each=300

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

# faulty AT ON COMMAND…: a command whose AT-th call fails, and with an ON that is not empty all after it; its status
faulty()
{
	at=$1 on=$2
	shift 2
	[ "$at" -eq 0 ] && places="$folder/told" || places=
	timeout 60 env FAULT_AT=$at FAULT_ON=$on FAULT_PLACES="$places" LD_PRELOAD="$libraries/lib$kind.so" "$program" "$@"
}

# some N: of the places, N spread evenly, or all
some()
{
	awk -v n="$1" '{ at[NR] = $1 } END { step = NR > n ? NR / n : 1; for (i = 1; i <= NR; i += step) print at[int(i)] }' places
}

# may_end STATUS: is that a failure of this kind? 71: no memory, or no mapping; 74: a file; 73: one to be made. And what
# SQLite makes of a fault: 77, opened for reading where writing failed; 82, a page that cannot be read is a damaged one to
# it. In words in any case.
may_end()
{
	[ -s message ] || { echo "no word"; return 1; }
	case $kind-$1 in
	memory-71 | files-71 | files-73 | files-74 | files-77 | files-82) ;;
	*) cat message; return 1 ;;
	esac
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
	[ -e "$libraries/lib$kind.so" ] || { echo 'no library that can be put before a program'; return 77; }
	rm -rf run whole
	faulty 0 '' run --quiet run.yaml && results >whole && mv told places && [ "$(wc -l <places)" -gt 100 ] || return 1
	rm -rf done && mv run done
}

# fails ON: the sweep
fails()
{
	[ -s whole ] || { echo 'nothing to compare with'; return 77; }
	failed=0 tried=0
	for place in $(some $sweep); do
		rm -rf run
		faulty "$place" "$1" run --quiet run.yaml 2>message
		status=$?
		[ $status -eq 0 ] || may_end $status || { echo "call $place: status $status"; return 1; }
		[ $status -eq 0 ] || failed=$((failed + 1))
		tried=$((tried + 1))
		timeout 60 "$program" run --quiet run.yaml && results | cmp - whole || { echo "after call $place"; return 1; }
	done
	echo "# $tried of $(wc -l <places) places, $failed failures told" >&3
	[ $failed -gt $((tried / 4)) ]
}

# once OUTPUT ARGUMENT…: some of its calls fail, one each time; OUTPUT, a file or directory, is as else where it ends well
once()
{
	[ -s whole ] || { echo 'nothing to compare with'; return 77; }
	output=$1 failed=0
	shift
	rm -rf "$output" expected
	faulty 0 '' "$@" >said && mv told places && mv "$output" expected || return 1
	for place in $(some $each); do
		rm -rf "$output"
		faulty "$place" '' "$@" >said 2>message
		status=$?
		if [ $status -ne 0 ]; then
			may_end $status || { echo "call $place: status $status"; return 1; }
			failed=$((failed + 1))
		elif ! diff -r -x trainer_log.jsonl "$output" expected; then
			echo "call $place: status 0"
			return 1
		fi
	done
	[ $failed -gt 0 ]
}

exec 3>&1
model="--model $tiny --backend ${backend:-reference} --quiet"
sed 4q "$tiny/rows.jsonl" >rows.jsonl
"$program" train $model --data rows.jsonl --output adapter --num-train-epochs 1 || exit 99
for kind in memory files; do
	check "$kind: a run whose calls can fail" undisturbed
	check "$kind: one call fails" fails ''
	check "$kind: every call from one on fails" fails 1
	check "$kind: score" once scores.jsonl score $model --data rows.jsonl --output scores.jsonl
	check "$kind: generate" once texts.jsonl generate $model --data rows.jsonl --max-new-tokens 2 --output texts.jsonl
	check "$kind: train" once trained train $model --data rows.jsonl --output trained --num-train-epochs 1
	check "$kind: merge" once merged merge $model --adapter adapter --output merged
	check "$kind: eval" once said.jsonl eval $model --data test.jsonl --type classification --max-new-tokens 2 \
		--output said.jsonl
	check "$kind: prepare" once made prepare jsonl --type classification --test-fraction 0.2 --output made train.jsonl
	check "$kind: report" once page.html report done --output page.html
	check "$kind: export" once paid.jsonl ledger export done --output paid.jsonl
done
echo "1..$cases"
