#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# gpu_proof.sh BUILD_DIR OUTPUT_DIR [STEP...]: what a GPU must show of the CUDA backend, in a lease of 15 minutes. First
# what has changed most, and nothing waits for what comes after it:
#   make      what the steps below run, where BUILD_DIR is configured and its files came along        at most 150 s
#   changed   kernel_test of what no GPU has run yet                                                            120
#   rest      the rest of kernel_test; golden_test, train_test and student_test where they were built     150, 3 x 60
#   captured  decoding by captured steps and by direct calls: the same tokens                                2 x 30
#   sanitize  compute-sanitizer's memcheck, then racecheck, over small cases of kernel_test                  2 x 90
#   speed     gpu.sh BUILD_DIR OUTPUT_DIR quick                                                                 240
#   r52       r52.sh with the program, where BUILD_DIR has it and STUDENT and DATA (as r52.sh's) are set         300
# Without STEP all of them. Where a call is cut at 600 seconds: `make changed rest`, then `captured sanitize speed` and
# `r52` with what is left. A build with --enable-kernels-only is enough for all but r52, train_test and student_test.
# OUTPUT_DIR/status gets a line for each as it ends: PASS, FAIL or TIMEOUT and its seconds, or LEFT OUT and why. The logs
# come into OUTPUT_DIR/logs-STEP.tar.gz, named for the first STEP, after every step. Exit status 1
# unless every step that was not left out has passed.
#   BUDGET (570)         seconds of a call: a step gets what is left of them at the most; 540 where configure runs before
#                        it, which needs --with-gtest=DIR where GoogleTest is not installed
#   BACKEND (cuda)       of the tests that must have run, captured and speed
#   MODEL (smollm2-135m) of captured
#   SMALL_CASES          kernel_test's cases for compute-sanitizer
#   METHODS (random-finetune-cot,baldistill-adaptive), SEEDS (1), DTYPE (bfloat16) and all else that r52.sh takes
#   PYTHON, COMMIT (where there is no git), SMALL, LARGE, DEVICE   as gpu.sh takes them
set -u
[ $# -ge 2 ] || {
	echo 'usage: gpu_proof.sh BUILD_DIR OUTPUT_DIR [make|changed|rest|captured|sanitize|speed|r52]...' >&2
	exit 64
}
build=$(cd "$1" && pwd) || exit 66
mkdir -p "$2" && out=$(cd "$2" && pwd) || exit 73
here=$(cd "$(dirname "$0")" && pwd)
shift 2
[ $# -gt 0 ] || set -- make changed rest captured sanitize speed r52
begin=$(date +%s) budget=${BUDGET:-570}
first=$1 backend=${BACKEND:-cuda} bad=0 job=''
logs=$(mktemp -d) || exit 73
changed='LittleShared.*:Linear.RowsDoNotDependOnOthers:Norm2.*:AdamW.*:HeadLoss.*:Logits.*:LogSoftmax.*:Sample.*'
cases=${SMALL_CASES:-Rmsnorm.*:Swiglu.*:AdamW.*:Attention.PagedDecoding:AttentionBackward.SharedPrefix:AttnIn.Backward}
BALDISTILL_MODULE_DIR=${BALDISTILL_MODULE_DIR:-$build/backends/.libs} TEST_SRCDIR=$(dirname "$here") TEST_BUILDDIR=$build
export BALDISTILL_MODULE_DIR TEST_SRCDIR TEST_BUILDDIR

say() {
	echo "$*" | tee -a "$out/status"
}

# built FILE: is it there? Else what it was for is left out.
built() {
	[ -x "$build/$1" ] || say "LEFT OUT ${1##*/}: not built"
	[ -x "$build/$1" ]
}

# step NAME SECONDS COMMAND...
step() {
	name=$1 most=$2
	shift 2
	started=$(date +%s)
	left=$((begin + budget - started))
	[ "$left" -ge 5 ] || { say "LEFT OUT $name: no time left"; bad=1; return; }
	[ "$most" -lt "$left" ] || most=$left
	BUDGET=$((most - 5)) timeout -k 10 "$most" "$@" >"$logs/$name" 2>&1 & # which gpu.sh looks at
	job=$!
	wait "$job"
	status=$?
	job=
	case $status in
	0) word=PASS ;;
	124 | 137) word=TIMEOUT ;;
	*) word=FAIL ;;
	esac
	[ "$word" = PASS ] || bad=1
	say "$word $(($(date +%s) - started)) s $name"
	pack
}

# What is there, in case the script is killed in the next step.
pack() {
	tar -C "$logs" -czf "$out/logs-$first.tar.gz" .
}

# Tests pass as well where there was nothing to test: one of the backend's, or its count, must have been printed.
ran() {
	step "$1_ran" 5 grep "^\[       OK \] .*/$backend " "$logs/$1"
}
compared() {
	step "$1_ran" 5 grep "^$backend: [1-9][0-9]* comparisons" "$logs/$1"
}

run_make() {
	[ -f "$build/Makefile" ] || { say 'LEFT OUT make: no Makefile'; return; }
	targets='tests/kernel_test tests/golden_test bench/gpu_bench'
	[ "$backend" = reference ] || targets="$targets backends/baldistill-$backend.la"
	[ ! -f "$build/src/baldistill" ] || targets="$targets src/baldistill tests/train_test tests/student_test"
	# Copied files may look older than what they were made of, and there may be no Autotools here.
	# shellcheck disable=SC2086
	step make 150 make -k -C "$build" -j "$(nproc)" ACLOCAL=: AUTOCONF=: AUTOHEADER=: AUTOMAKE=: $targets
}

run_changed() {
	built tests/kernel_test || return
	step changed 120 "$build/tests/kernel_test" --gtest_filter="$changed"
	compared changed
}

run_rest() {
	for test in golden train student; do
		built "tests/${test}_test" && step "$test" 60 "$build/tests/${test}_test" && ran "$test"
	done
	built tests/kernel_test || return
	step rest 150 "$build/tests/kernel_test" --gtest_filter="-$changed"
	compared rest
}

# decode NAME [OPTION...]: its checksum comes to NAME.sum
decode() {
	name=$1
	shift
	step "$name" 30 "$build/bench/gpu_bench" --json --backend "$backend" --model "${MODEL:-smollm2-135m}" --job decode "$@"
	grep -o '"checksum": [0-9]*' "$logs/$name" >"$logs/$name.sum"
}

run_captured() {
	built bench/gpu_bench || return
	decode captured
	decode direct --direct
	step captured_replayed 5 grep '"replayed": 1' "$logs/captured"
	step captured_same 5 grep -Fxf "$logs/captured.sum" "$logs/direct.sum"
}

run_sanitize() {
	built tests/kernel_test || return
	sanitizer=$(PATH=$PATH:/usr/local/cuda/bin command -v compute-sanitizer) || {
		say 'LEFT OUT sanitize: no compute-sanitizer'
		return
	}
	for tool in memcheck racecheck; do
		step "$tool" 90 "$sanitizer" --tool "$tool" --target-processes all --error-exitcode 9 \
			"$build/tests/kernel_test" --gtest_filter="$cases"
		compared "$tool"
	done
}

run_speed() {
	step speed 240 sh "$here/gpu.sh" "$build" "$logs/gpu" quick
}

run_r52() {
	built src/baldistill || return
	[ -n "${STUDENT-}" ] && [ -n "${DATA-}" ] || { say 'LEFT OUT r52: STUDENT or DATA is not set'; return; }
	work=$(mktemp -d)
	step r52 300 env DTYPE="${DTYPE-bfloat16}" BALDISTILL="$build/src/baldistill" sh "$here/r52.sh" "$STUDENT" "$DATA" \
		"$work" "${METHODS-random-finetune-cot,baldistill-adaptive}" "${SEEDS-1}"
	(cd "$work" && find . -name metrics.json -o -name allocation.json -o -name plan.yaml) |
		tar -C "$work" -cf "$logs/r52.tar" -T - && rm -rf "$work"
}

finish() {
	code=$?
	trap - EXIT HUP INT TERM
	[ -z "$job" ] || { kill "$job" && wait "$job"; say "CUT SHORT $name"; }
	pack && rm -rf "$logs"
	exit "$code"
}
trap finish EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

for wanted; do
	case $wanted in
	make | changed | rest | captured | sanitize | speed | r52) "run_$wanted" ;;
	*) say "FAIL 0 s $wanted: no such step" && bad=1 ;;
	esac
done
exit "$bad"
