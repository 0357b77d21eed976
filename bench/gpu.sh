#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# gpu.sh BUILD_DIR OUTPUT_DIR [quick]: the CUDA backend beside PyTorch, transformers and PEFT on one GPU, in one run.
# The small student's jobs run twice in turn (ours, theirs, ours, theirs), the large one's once; quick: each once, fewer
# of them. What is measured lies in OUTPUT_DIR/ours.jsonl and peers.jsonl, messages in log; the table is printed last.
# In BUILD_DIR, a configured one, what is measured is made first, while Python's modules come from the disk: both
# together get 120 seconds. All jobs take about 400 seconds on an H200, quick 115. One that would begin after the budget
# is left out and named; the peer's `generate`, the slowest for what it tells, comes last. The table is printed too
# where a signal ends the script. Exit status 1 where a job failed or was left out.
#   PYTHON (python3)   an interpreter that has torch, transformers and peft
#   BUDGET (520, quick 235)   seconds, from the start
#   COMMIT             what is measured, where git cannot tell
#   BACKEND (cuda), DEVICE (cuda), SMALL (smollm2-135m), LARGE (llama-3-8b)   to try it elsewhere
set -u
begin=$(date +%s)
usage() {
	echo 'usage: gpu.sh BUILD_DIR OUTPUT_DIR [quick]' >&2
	exit 64
}

[ $# -eq 2 ] || [ $# -eq 3 ] || usage
mode=${3-full}
[ $# -eq 2 ] || [ "$mode" = quick ] || usage
build=$(cd "$1" && pwd) || exit 66
mkdir -p "$2" && out=$(cd "$2" && pwd) || exit 73
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python3} backend=${BACKEND:-cuda} device=${DEVICE:-cuda}
small=${SMALL:-smollm2-135m} large=${LARGE:-llama-3-8b}
[ "$mode" = quick ] && budget=${BUDGET:-235} || budget=${BUDGET:-520}
BALDISTILL_MODULE_DIR=${BALDISTILL_MODULE_DIR:-$build/backends/.libs}
HF_HUB_OFFLINE=1 TRANSFORMERS_VERBOSITY=error PYTHONUNBUFFERED=1 PYTHONWARNINGS=ignore
export BALDISTILL_MODULE_DIR HF_HUB_OFFLINE TRANSFORMERS_VERBOSITY PYTHONUNBUFFERED PYTHONWARNINGS
ours=$out/ours.jsonl peers=$out/peers.jsonl log=$out/log
: >"$ours" && : >"$peers" && : >"$log" || exit 73
bad=0 job='' imports=''

# background COMMAND...: as if it were called, but a signal does not wait for its end.
background() {
	"$@" &
	job=$!
	wait "$job"
	status=$?
	job=
	return "$status"
}

# limit LEAST MOST FILE COMMAND...: its lines go to FILE, for at most MOST seconds and what is left; left out where
# less than LEAST is left.
limit() {
	least=$1 most=$2 file=$3
	shift 3
	left=$((begin + budget - $(date +%s)))
	if [ "$left" -lt "$least" ]; then
		echo "left out: $*" | tee -a "$log"
		bad=1
		return
	fi
	[ "$most" -lt "$left" ] || most=$left
	started=$(date +%s)
	echo "+ $*" >>"$log"
	background timeout -k 5 "$most" "$@" >>"$file" 2>>"$log" && how=done || how="status $status"
	case $status in 124 | 137) how='timed out' ;; esac
	echo "$(($(date +%s) - started)) s, $how: $*" >>"$log"
	[ "$status" -eq 0 ] && return
	echo "$how: $* ($(tail -n 2 "$log" | head -n 1 | cut -c 1-300))"
	bad=1
}

make_ours() {
	module=backends/baldistill-$backend.la
	[ "$backend" != reference ] || module= # it is in every program
	[ -f "$build/Makefile" ] || return 0
	# Copied files may look older than what they were made of, and there may be no Autotools here.
	background timeout -k 5 120 make -C "$build" -j "$(nproc)" ACLOCAL=: AUTOCONF=: AUTOHEADER=: AUTOMAKE=: \
		bench/gpu_bench $module >>"$log" 2>&1
}

# one MODEL JOB [OPTION...]: ours
one() {
	model=$1 job=$2
	shift 2
	limit 5 60 "$ours" "$build/bench/gpu_bench" --json --backend "$backend" --model "$model" --job "$job" "$@"
}

# many MODEL JOBS SETTINGS [OPTION...]: theirs, in one process
many() {
	model=$1 jobs=$2 settings=$3
	shift 3
	limit 20 120 "$peers" "$python" "$here/gpu_peers.py" --device "$device" --model "$model" --jobs "$jobs" \
		--settings "$settings" "$@"
}

card() {
	nvidia-smi --format=csv,noheader \
		--query-gpu=name,driver_version,clocks.sm,clocks.mem,power.draw,temperature.gpu 2>/dev/null ||
		echo 'no nvidia-smi'
}

small_ours() {
	one "$small" train --steps 10
	one "$small" train --steps 10 --rank 8 --targets qv --dropout 0.1
	[ "$mode" = quick ] || one "$small" train --tokens 16384
	one "$small" score --tokens 8192
	one "$small" decode
	one "$small" decode --slots 16
}

small_peers() {
	settings=4x1024:r16:all:0,4x1024:r8:qv:0.1
	[ "$mode" = quick ] || settings=$settings,16x1024:r16:all:0
	many "$small" train,score,loop "$settings" --repeat 3
}

large_ours() {
	one "$large" train
	[ "$mode" = quick ] || one "$large" train --rank 8 --targets qv --dropout 0.1
	one "$large" score
	one "$large" decode
}

large_peers() {
	settings=4x1024:r16:all:0
	[ "$mode" = quick ] || settings=$settings,4x1024:r8:qv:0.1
	many "$large" train,score,loop "$settings" --repeat 3
}

# generate MODEL: theirs
generate() {
	many "$1" generate '' --repeat 3
}

profiles() {
	one "$small" profile
	one "$small" profile_decode
	one "$large" profile
	one "$large" profile_decode
}

# At the end, whoever brings it about.
tables() {
	code=$?
	trap - EXIT HUP INT TERM
	for process in $job $imports; do kill "$process" 2>/dev/null; done
	card
	echo "$(($(date +%s) - begin)) s"
	grep '"job": "roofs"' "$ours"
	[ "$mode" = quick ] || grep '"job": "profile' "$ours"
	grep -E '"job": "(start|attention)"' "$peers"
	"$python" "$here/gpu_peers.py" --table "$ours" "$peers" || code=1
	exit "$code"
}
trap tables EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

timeout -k 5 120 "$python" -c 'import torch, transformers, peft' 2>>"$log" &
imports=$!
if ! make_ours; then # where configure's own files stayed behind, what was built elsewhere may do
	echo "$build: make failed, so what is measured may be older than the sources: see $log" >&2
	[ -x "$build/bench/gpu_bench" ] || exit 1
	bad=1
fi
wait "$imports" || bad=1 # the jobs that need them will say so
imports=

card
commit=$(git -C "$here" rev-parse --short HEAD 2>/dev/null) || commit=${COMMIT-unknown}
echo "commit $commit"
one "$small" roofs
small_ours
small_peers
large_ours
large_peers
if [ "$mode" != quick ]; then
	small_ours
	small_peers
	profiles
fi
generate "$small"
[ "$mode" = quick ] || generate "$large"
exit "$bad"
