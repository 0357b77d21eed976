#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# replay.sh - every fuzz target over its corpus and mutations of it (fuzz_main.c), a case each.
set -u
folder=${TEST_BUILDDIR:?}/tests
log=$(mktemp) || exit 99
trap 'rm -f "$log"' EXIT
cases=0
for target in config json ledger safetensors slots teacher tokenizer; do
	cases=$((cases + 1))
	if "$folder/replay_$target" >"$log" 2>&1; then
		echo "ok $cases - $(tail -n 1 "$log")"
	else
		echo "not ok $cases - $target"
		tail -n 20 "$log" | sed 's/^/# /'
	fi
done
echo "1..$cases"
