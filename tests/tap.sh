# SPDX-License-Identifier: Apache-2.0
# tap.sh - what shell tests share, read with ". $TEST_SRCDIR/tests/tap.sh": a folder of the test's own, $folder,
# removed at the end; one TAP line for each check; the program's failures. Ends with: echo "1..$cases"
folder=$(mktemp -d) || exit 99
trap 'rm -rf "$folder"' EXIT
cases=0

# check NAME COMMAND...: one TAP line; the command's status decides, 77 is a skip whose reason it prints last
check()
{
	cases=$((cases + 1)) name=$1
	shift
	"$@" >"$folder/log" 2>&1
	case $? in
	0) echo "ok $cases - $name" ;;
	77) echo "ok $cases - $name # SKIP $(tail -n 1 "$folder/log")" ;;
	*)
		echo "not ok $cases - $name"
		tail -n 20 "$folder/log" | sed 's/^/# /' ;;
	esac
}

# ends STATUS PATTERN ARGUMENTS...: $program's exit status, one line on stderr that holds the pattern, nothing on stdout
ends()
{
	status=$1 pattern=$2
	shift 2
	"$program" "$@" >"$folder/out" 2>"$folder/err"
	got=$?
	cat "$folder/err"
	[ $got -eq "$status" ] || { echo "status $got, expected $status"; return 1; }
	[ ! -s "$folder/out" ] && [ "$(wc -l <"$folder/err")" -eq 1 ] && grep -q -- "$pattern" "$folder/err"
}
