#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# cli_test.sh - the command line: exit statuses, messages, and that --help, man page and code agree.
set -u
program=${BALDISTILL:?}
page=${TEST_SRCDIR:?}/man/baldistill.1 tiny=${TEST_SRCDIR:?}/data/tiny
. "${TEST_SRCDIR:?}/tests/tap.sh"

says()
{
	pattern=$1
	shift
	"$program" "$@" >"$folder/out" 2>"$folder/err" && grep -q -- "$pattern" "$folder/out"
}

full_disk()
{
	"$program" --help >/dev/full 2>"$folder/err"
	[ $? -eq 74 ] && grep -q 'standard output' "$folder/err"
}

# what is said where a descriptor is closed is not written into the files opened next; output there is still lost
closed_descriptors()
{
	set -- score --model "$tiny" --data "$tiny/rows.jsonl" --output
	"$program" "$@" "$folder/want" 2>"$folder/err" && [ -s "$folder/err" ] &&
		"$program" "$@" "$folder/got" 2>&- 0<&- && cmp "$folder/want" "$folder/got" || return 1
	"$program" --help 2>"$folder/err" >&-
	[ $? -eq 74 ] && grep -q 'standard output' "$folder/err"
}

# every command of --help has a section in the man page, and every option of its --help stands there
page_agrees()
{
	"$program" --help | sed -n 's/^  \([a-z][a-z-]*\) .*/\1/p' >"$folder/commands"
	[ -s "$folder/commands" ] || { echo 'no command in --help'; return 1; }
	while read -r command; do
		sed 's/\\-/-/g' "$page" | grep -q "^\.SS $command" || { echo "$command: no section"; return 1; }
		"$program" "$command" --help | sed -n 's/^  --\([a-z-]*\).*/\1/p' >"$folder/options"
		[ -s "$folder/options" ] || { echo "$command: no option in its --help"; return 1; }
		while read -r option; do
			pattern=$(printf '%s' "$option" | sed 's/-/\\\\-/g')
			grep -q "\\\\-\\\\-$pattern" "$page" || { echo "$command --$option: not in the page"; return 1; }
		done <"$folder/options"
	done <"$folder/commands"
}

# the page's exit statuses are those of err.h
statuses_agree()
{
	sed -n 's/^	ERR_[A-Z]* = \([1-9][0-9]*\),.*/\1/p' "$TEST_SRCDIR/src/base/err.h" >"$folder/code"
	sed -n 's/^\([1-9][0-9]*\)|.*/\1/p' "$page" >"$folder/page"
	[ -s "$folder/code" ] && diff "$folder/code" "$folder/page"
}

# what `backends --json` prints is JSON with the members the page names
json_members()
{
	"$program" backends --json >"$folder/out" || return 1
	for key in auto backends name built usable reason dtypes library core threading level threads; do
		grep -q "\"$key\":" "$folder/out" || { echo "no $key"; return 1; }
	done
}

# a CUDA module that cannot be opened is no fault of a machine without a driver: auto goes on to the next
absent_cuda()
{
	if [ -e /proc/driver/nvidia/version ] || [ -e /dev/nvidiactl ]; then
		echo "this machine has an NVIDIA driver"
		return 77
	fi
	mkdir "$folder/modules" && echo nothing >"$folder/modules/baldistill-cuda.so" || return 1
	BALDISTILL_MODULE_DIR=$folder/modules "$program" backends >"$folder/out" &&
		grep '^cuda  *not usable  *there is no NVIDIA driver here' "$folder/out" &&
		{ BALDISTILL_MODULE_DIR=$folder/modules "$program" bench products >"$folder/out" 2>"$folder/err" &&
			grep 'reference' "$folder/out" || grep 'no backend but the slow reference: baldistill-o' "$folder/err"; }
}

check "no command: 64" ends 64 "no command"
check "unknown command: 64, named" ends 64 "'frobnicate'" frobnicate
check "unknown option: 64, named" ends 64 "'--frobnicate'" backends --frobnicate
check "superfluous operand: 64, named" ends 64 "'extra'" backends extra
check "missing value: 64" ends 64 "needs a value" bench --backend
check "unknown job of bench: 64" ends 64 "'nothing'" bench nothing
check "cuda is passed over where there is no driver" absent_cuda
check "unknown backend: 78, named" ends 78 "'nothing'" bench kernels --backend nothing
check "unknown model: 78, named" ends 78 "'nothing'" bench kernels --model nothing
check "bad number: 78" ends 78 "'x'" bench kernels --threads x
check "an option of another job: 64" ends 64 "no use for '--dtype'" bench kernels --dtype bfloat16
check "and of another: 64" ends 64 "no use for '--slots'" bench products --slots 9
check "a dtype that is none: 78" ends 78 "'nothing'" bench products --dtype nothing
check "no model, before anything is measured: 66" ends 66 nowhere bench score --model nowhere
check "control characters are escaped" ends 64 'x1B' "$(printf '\033[31m')"
check "--version names the program" says '^baldistill [0-9]' --version
check "--version names json-c" says 'json-c' --version
check "--help lists backends" says '^  backends ' --help
check "backends lists the reference" says '^reference  *usable' backends
check "backends --json has its members" json_members
check "backends --help" says '^Usage: baldistill backends' backends --help
check "a full disk is not success: 74" full_disk
check "closed descriptors take no message, and are not success" closed_descriptors
check "man page names every command and option" page_agrees
check "man page and code have the same exit statuses" statuses_agree
check "the reference has no product of its own" says 'reference' bench products --backend reference
echo "1..$cases"
