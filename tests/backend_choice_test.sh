#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# backend_choice_test.sh - what --backend auto takes for each type, with modules that only say what they can.
set -u
program=${BALDISTILL:?}
. "${TEST_SRCDIR:?}/tests/tap.sh"
export BALDISTILL_MODULE_DIR="$folder/modules"

# module NAME TYPES
module()
{
	${TEST_CC:?} -std=gnu17 -shared -fPIC -I "$TEST_SRCDIR" -DNAME="\"$1\"" -DTYPES="\"$2\"" \
		"$TEST_SRCDIR/tests/backend_choice.c" -o "$folder/modules/baldistill-$1.so"
}

# modules [NAME TYPES]...: these and no others
modules()
{
	rm -rf "$folder/modules" && mkdir "$folder/modules" || return 1
	while [ $# -gt 0 ]; do
		module "$1" "$2" || return 1
		shift 2
	done
}

# opens DTYPE NAME
opens()
{
	echo '{"prompt": "one"}' >"$folder/rows"
	"$program" generate --quiet --model "$TEST_SRCDIR/data/tiny" --data "$folder/rows" --dtype "$1" 2>"$folder/err"
	grep -q "$2 was opened" "$folder/err"
}

# chosen FLOAT32 BFLOAT16: backends says so, and so it is done
chosen()
{
	"$program" backends --json | tr -d ' \n' | grep -q "\"auto\":{\"float32\":\"$1\",\"bfloat16\":\"$2\"}" &&
		"$program" backends | grep "auto takes $1 for float32, .*; $2 for bfloat16" &&
		opens float32 "$1" && opens bfloat16 "$2"
}

onednn_in_bf16()
{
	modules openblas float32 onednn 'float32 bfloat16' && chosen openblas onednn &&
		! "$program" backends | grep 'computes in float32'
}

onednn_without()
{
	modules openblas float32 onednn float32 && chosen openblas openblas &&
		"$program" backends | grep 'openblas for bfloat16, which stores it and computes in float32'
}

onednn_alone()
{
	modules onednn float32 && chosen onednn onednn
}

# auto takes no other for one that is there and broken, but only where it would have been taken
broken()
{
	modules openblas float32 && echo nothing >"$folder/modules/baldistill-onednn.so" &&
		opens float32 openblas && ! opens bfloat16 openblas &&
		grep "'onednn' cannot be opened .*; name another" "$folder/err" &&
		"$program" backends | grep 'auto takes openblas for float32, .*; none for bfloat16\.$'
}

# The reference is taken by itself only where the build has nothing else: it takes a hundred times as long.
nothing()
{
	modules && "$program" backends >"$folder/said" && cat "$folder/said" || return 1
	if grep -q '^[a-z]* *not built  *baldistill-.* BALDISTILL_MODULE_DIR' "$folder/said"; then
		grep 'auto takes none for float32, .*; none for bfloat16' "$folder/said" &&
			! opens float32 reference && grep 'no backend but the slow reference: .*make install' "$folder/err" &&
			"$program" generate --quiet --model "$TEST_SRCDIR/data/tiny" --data "$folder/rows" --max-new-tokens 1 --backend reference
	else
		grep 'auto takes reference for float32, .*; reference for bfloat16' "$folder/said"
	fi
}

check "a backend that computes in bfloat16 gets it" onednn_in_bf16
check "where none does, the first gets it" onednn_without
check "onednn alone gets both" onednn_alone
check "a broken one is told where it counts" broken
check "the reference is taken only where nothing else was built" nothing
echo "1..$cases"
