#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# gpu.sh BUILD_DIR OUTPUT_DIR [quick]: the CUDA backend beside PyTorch, transformers and PEFT on one GPU, in one run.
# The small student's jobs run twice in turn (ours, theirs, ours, theirs), the large one's once; quick: each once, fewer
# of them. What is measured lies in OUTPUT_DIR/ours.jsonl and peers.jsonl, messages in log; the table is printed last.
# At most 4 minutes, quick 2: a job that would begin later is left out and named.
#   PYTHON (python3)   an interpreter that has torch, transformers and peft
#   BACKEND (cuda), DEVICE (cuda), SMALL (smollm2-135m), LARGE (llama-3-8b), BUDGET (seconds)   to try it elsewhere
set -u
usage='usage: gpu.sh BUILD_DIR OUTPUT_DIR [quick]'
build=$(cd "${1:?$usage}" && pwd) || exit 64
out=${2:?$usage}
mode=${3:-full}
mkdir -p "$out" && out=$(cd "$out" && pwd) || exit 73
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python3} backend=${BACKEND:-cuda} device=${DEVICE:-cuda}
small=${SMALL:-smollm2-135m} large=${LARGE:-llama-3-8b}
[ "$mode" = quick ] && budget=${BUDGET:-115} || budget=${BUDGET:-235}
BALDISTILL_MODULE_DIR=${BALDISTILL_MODULE_DIR:-$build/backends/.libs}
HF_HUB_OFFLINE=1 TRANSFORMERS_VERBOSITY=error PYTHONUNBUFFERED=1 PYTHONWARNINGS=ignore
export BALDISTILL_MODULE_DIR HF_HUB_OFFLINE TRANSFORMERS_VERBOSITY PYTHONUNBUFFERED PYTHONWARNINGS
ours=$out/ours.jsonl peers=$out/peers.jsonl log=$out/log
: >"$ours" && : >"$peers" && : >"$log" || exit 73
begin=$(date +%s)

# limit LEAST MOST FILE COMMAND...: its lines go to FILE, for at most MOST seconds and what is left; left out where
# less than LEAST is left.
limit() {
	least=$1 most=$2 file=$3
	shift 3
	left=$((begin + budget - $(date +%s)))
	if [ "$left" -lt "$least" ]; then
		echo "left out: $*" | tee -a "$log"
		return
	fi
	[ "$most" -lt "$left" ] || most=$left
	started=$(date +%s)
	echo "+ $*" >>"$log"
	timeout -k 5 "$most" "$@" >>"$file" 2>>"$log"
	status=$?
	echo "$(($(date +%s) - started)) s, status $status: $*" >>"$log"
	[ "$status" -eq 0 ] || echo "status $status: $* ($(tail -n 2 "$log" | head -n 1 | cut -c 1-300))"
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
	many "$small" "$1" "$settings" --repeat 3
}

large_ours() {
	one "$large" train
	[ "$mode" = quick ] || one "$large" train --rank 8 --targets qv --dropout 0.1
	one "$large" score
	one "$large" decode
}

large_peers() {
	if [ "$mode" = quick ]; then
		many "$large" train,score,loop 4x1024:r16:all:0 --repeat 3
	else
		many "$large" train,score,loop,generate 4x1024:r16:all:0,4x1024:r8:qv:0.1 --repeat 3
	fi
}

profiles() {
	one "$small" profile
	one "$small" profile_decode
	one "$large" profile
	one "$large" profile_decode
}

card
commit=$(git -C "$here" rev-parse --short HEAD 2>/dev/null) && echo "commit $commit"
one "$small" roofs
small_ours
small_peers train,score,loop,generate
large_ours
large_peers
if [ "$mode" != quick ]; then
	small_ours
	small_peers train,score,loop
	profiles
fi
card
echo "$(($(date +%s) - begin)) s"
grep '"job": "roofs"' "$ours"
[ "$mode" = quick ] || grep '"job": "profile' "$ours"
grep -E '"job": "(start|attention)"' "$peers"
"$python" "$here/gpu_peers.py" --table "$ours" "$peers"
