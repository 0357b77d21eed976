#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# replay.sh - every fuzz target over its corpus and mutations of it, a case each: five seconds, ten minutes with
# TEST_LONG. libFuzzer's program where --enable-fuzz built it, which finds its own way on; else fuzz_main.c's.
set -u
folder=${TEST_BUILDDIR:?}/tests
work=$(mktemp -d) || exit 99
trap 'rm -rf "$work"' EXIT
log=$work/log
cases=0
seconds=5
[ -z "${TEST_LONG-}" ] || seconds=600

# New inputs go to the first folder, one that fails beside the program.
fuzz()
{
	[ -x "$folder/fuzz_$1" ] || { "$folder/replay_$1"; return; }
	mkdir "$work/$1" && "$folder/fuzz_$1" -max_total_time=$seconds -rss_limit_mb=2048 -timeout=60 \
		-artifact_prefix="$folder/fuzz_$1-" "$work/$1" "${TEST_SRCDIR:?}/tests/corpus/$1"
}

for target in answer config dataset json ledger plan recorded report safetensors slots teacher tokenizer; do
	cases=$((cases + 1))
	if fuzz $target >"$log" 2>&1; then
		echo "ok $cases - $target: $(tail -n 1 "$log")"
	else
		echo "not ok $cases - $target"
		tail -n 20 "$log" | sed 's/^/# /'
	fi
done
echo "1..$cases"
