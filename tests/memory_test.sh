#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# memory_test.sh - `baldistill run` on the tiny student of data/tiny with a recorded teacher, where one allocation fails,
# or all from one on: it ends with 71, or 0 where it could do without, never by a signal or not at all, and the same
# command then goes on to the bytes of a run that nothing disturbed. The other commands end with 71, or with 0 and the
# bytes that they write else. A plain check takes some of the places in the program that allocate, spread over the run;
# TEST_LONG=1 twenty times as many.
set -u
program=${BALDISTILL:?}
tiny=${TEST_SRCDIR:?}/data/tiny
short=${TEST_BUILDDIR:?}/tests/.libs/libshort.so
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

# short AT ON COMMAND…: a command whose AT-th allocation fails, and with an ON that is not empty all after it; its status
short()
{
	at=$1 on=$2
	shift 2
	timeout 60 env SHORT_AT=$at SHORT_ON=$on SHORT_SITES="$folder/sites" LD_PRELOAD="$short" "$program" "$@"
}

# some N: of the places, N spread evenly, or all
some()
{
	awk -v n="$1" '{ at[NR] = $1 } END { step = NR > n ? NR / n : 1; for (i = 1; i <= NR; i += step) print at[int(i)] }' places
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
	short 0 '' run --quiet run.yaml && results >whole && mv sites places && [ "$(wc -l <places)" -gt 500 ] || return 1
	mv run done
}

# fails ON: the sweep
fails()
{
	[ -s whole ] || { echo 'nothing to compare with'; return 77; }
	told=0 tried=0
	for place in $(some $sweep); do
		rm -rf run
		short "$place" "$1" run --quiet run.yaml
		status=$?
		[ $status -eq 0 ] || [ $status -eq 71 ] || { echo "allocation $place: status $status"; return 1; }
		[ $status -eq 0 ] || told=$((told + 1))
		tried=$((tried + 1))
		"$program" run --quiet run.yaml && results | cmp - whole || { echo "after allocation $place"; return 1; }
	done
	echo "# $tried of $(wc -l <places) places, $told failures told" >&3
	[ $told -gt $((tried / 2)) ]
}

# command OUTPUT ARGUMENT…: each of some allocations fails; OUTPUT, a file or directory, is then as else, or status 71
command()
{
	[ -s whole ] || { echo 'nothing to compare with'; return 77; }
	output=$1 told=0
	shift
	short 0 '' "$@" >told.txt && mv sites places && rm -rf expected && mv "$output" expected || return 1
	for place in $(some $each); do
		rm -rf "$output"
		short "$place" '' "$@" >told.txt 2>message
		status=$?
		if [ $status -eq 71 ]; then
			[ -s message ] || { echo "allocation $place: no word"; return 1; }
			told=$((told + 1))
		elif [ $status -ne 0 ] || ! diff -r -x trainer_log.jsonl "$output" expected; then
			cat message
			echo "allocation $place: status $status"
			return 1
		fi
	done
	[ $told -gt 0 ]
}

exec 3>&1
check 'a run with an allocator that can refuse' undisturbed
check 'one allocation fails' fails ''
check 'every allocation from one on fails' fails 1
model="--model $tiny --backend ${backend:-reference} --quiet"
sed 4q "$tiny/rows.jsonl" >rows.jsonl
check score command scores.jsonl score $model --data rows.jsonl --output scores.jsonl
check generate command texts.jsonl generate $model --data rows.jsonl --max-new-tokens 2 --output texts.jsonl
check train command adapter train $model --data rows.jsonl --output adapter --num-train-epochs 1
mv expected first
check merge command merged merge $model --adapter first --output merged
check eval command said.jsonl eval $model --data test.jsonl --type classification --max-new-tokens 2 --output said.jsonl
check prepare command made prepare jsonl --type classification --test-fraction 0.2 --output made train.jsonl
check report command page.html report done --output page.html
check export command paid.jsonl ledger export done --output paid.jsonl
echo "1..$cases"
