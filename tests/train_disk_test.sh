#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# train_disk_test.sh - a disk that fills up under train: status 74, one line that says what to do, nothing half written,
# and with more room the same command ends with the same bytes.
set -u
program=${BALDISTILL:?}
tiny=${TEST_SRCDIR:?}/data/tiny
# Thousands of syncs: in memory where there is such a place.
[ ! -w /dev/shm ] || export TMPDIR=/dev/shm
. "${TEST_SRCDIR:?}/tests/tap.sh"
cd "$folder" || exit 99
# The leak checker cannot work under strace.
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0"

cat >functions <<'EOF'
# train OPTIONS...: a short training with a checkpoint at each of its four steps
train()
{
	"$program" train --quiet --model "$tiny" --data "$tiny/rows.jsonl" --learning-rate 0.01 --threads 1 \
		--num-train-epochs 2 --per-device-train-batch-size 3 --save-steps 1 "$@"
}

# checkpoints_are_whole DIRECTORY: each has the digests of its manifest
checkpoints_are_whole()
{
	for file in "$1"/checkpoint-*/*; do
		[ -e "$file" ] || continue
		part=${file##*/} digest=$(sha256sum <"$file")
		[ "$part" = manifest.json ] || grep -q "\"$part\":\"${digest%% *}\"" "${file%/*}/manifest.json" || return 1
	done
}

# nothing_half DIRECTORY WHOLE: no file aside, no line cut, no checkpoint or adapter but whole ones
nothing_half()
{
	[ -z "$(find "$1" -name '*.tmp')" ] && checkpoints_are_whole "$1" || return 1
	[ ! -s "$1/trainer_log.jsonl" ] || [ -z "$(tail -c 1 "$1/trainer_log.jsonl")" ] || return 1
	[ ! -f "$1/adapter_config.json" ] || [ -f "$1/adapter_model.safetensors" ] || return 1
	[ ! -f "$1/adapter_model.safetensors" ] || cmp "$1/adapter_model.safetensors" "$2/adapter_model.safetensors"
}

# was_full STATUS DIRECTORY WHOLE: what train left of itself and said, in the file err
was_full()
{
	cat err
	[ "$1" -eq 74 ] && [ "$(wc -l <err)" -eq 1 ] && grep -q "make room there and give the same command again" err &&
		nothing_half "$2" "$3" || { echo "status $1"; ls -A "$2" "$2"/*; return 1; }
}

same_end()
{
	cmp "$1/adapter_model.safetensors" "$2/adapter_model.safetensors" && nothing_half "$1" "$2" &&
		[ "$(wc -l <"$1/trainer_log.jsonl")" -eq "$(wc -l <"$2/trainer_log.jsonl")" ] &&
		[ -z "$(find "$1" -name 'checkpoint-*')" ]
}
EOF
. ./functions

# at every call of the kind, one after the other, the disk is full; what ends with 73 afterwards was finished
each_call()
{
	strace -qq -o /dev/null true 2>/dev/null || { echo "no strace"; return 77; }
	at=1 failures=0
	while rm -rf out; do
		strace -f -qq -o /dev/null -e "trace=$1" -e "inject=$1:error=ENOSPC:when=$at" "$program" train --quiet \
			--model "$tiny" --data "$tiny/rows.jsonl" --learning-rate 0.01 --threads 1 --num-train-epochs 2 \
			--per-device-train-batch-size 3 --save-steps 1 --output out 2>err
		got=$?
		[ $got -ne 0 ] || break
		echo "$1 $at" && mkdir -p out && was_full $got out whole || return 1
		train --output out 2>err || { [ $? -eq 73 ] && grep "holds a finished" err; } || return 1
		same_end out whole || return 1
		at=$((at + $2)) failures=$((failures + 1))
	done
	same_end out whole && [ $failures -ge "$3" ]
}

# on_disk FUNCTION: in a name space of its own, so that it can mount ./full
on_disk()
{
	unshare -rm mount -t tmpfs none /mnt 2>/dev/null || { echo "no tmpfs of our own can be mounted"; return 77; }
	export program tiny
	mkdir -p full
	unshare -rm sh -c ". ./functions; $1"
}

# from one page up: too small for the first checkpoint, then for the later ones, then large enough
grows='mount -t tmpfs -o size=16k none full || exit 77
	size=16 begun=0
	until train --output full/out 2>err; do
		was_full $? full/out whole || exit 1
		grep -q "has [0-9]* bytes free, saving a checkpoint needs [0-9]*" err || exit 1
		[ ! -e full/out/checkpoint-2 ] || begun=1
		size=$((size + 16))
		[ $size -lt 1024 ] && mount -o remount,size=${size}k full || exit 1
	done
	[ $begun -eq 1 ] && same_end full/out whole'

# room for a checkpoint, but the log grows first
log_fills='mount -t tmpfs -o size=60k none full || exit 77
	narrow() { train --num-train-epochs 200 --save-steps 100000 --lora-r 1 --lora-target-modules q_proj "$@"; }
	narrow --output narrow || exit 1
	narrow --output full/out 2>err
	was_full $? full/out narrow && grep "trainer_log.jsonl.: No space left" err && [ -s full/out/trainer_log.jsonl ] &&
		mount -o remount,size=1m full && narrow --output full/out && same_end full/out narrow'

# all steps are done; then page after page for log, card and adapter
results_fill='mount -t tmpfs -o size=1m none full && mkdir -p full/out/adapter_model.safetensors || exit 77
	! train --output full/out && [ -d full/out/checkpoint-4 ] && rmdir full/out/adapter_model.safetensors || exit 1
	used=$(($(stat -f -c "(%b - %f) * %S / 1024" full)))
	more=0 adapter=0
	while mount -o remount,size=$((used + more))k full && ! train --output full/out 2>err; do
		was_full 74 full/out whole && [ -d full/out/checkpoint-4 ] || exit 1
		! grep -q "adapter_model.safetensors" err || adapter=1
		more=$((more + 4))
		[ $more -lt 256 ] || exit 1
	done
	[ $more -ge 8 ] && [ $adapter -eq 1 ] && same_end full/out whole'

every=3
[ -z "${TEST_LONG-}" ] || every=1
train --output whole || exit 99
check "each sync finds the disk full" each_call fsync 1 20
check "writes find the disk full" each_call write $every 10
check "directories find the disk full" each_call '?mkdir,mkdirat' 1 4
check "a disk with too little room for checkpoints" on_disk "$grows"
check "the log fills the disk" on_disk "$log_fills"
check "the results fill the disk" on_disk "$results_fill"
echo "1..$cases"
