#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# gtest-driver.sh - Automake test driver for GoogleTest programs.
#
# Runs the program with an XML report and writes one result for each test case into the .trs file, so that the totals
# of `make check` count cases and skips stay visible. A program that crashes, fails outside its cases or reports none
# is one ERROR more. Automake, "API for Custom Test Drivers".
set -u

name='' log='' trs='' color=no
while [ $# -gt 0 ]; do
	case $1 in
	--test-name) name=$2; shift ;;
	--log-file) log=$2; shift ;;
	--trs-file) trs=$2; shift ;;
	--color-tests) color=$2; shift ;;
	--expect-failure | --enable-hard-errors) shift ;; # neither means anything for a case
	--) shift; break ;;
	*) echo "$0: unknown argument '$1'" >&2; exit 2 ;;
	esac
	shift
done
if [ -z "$name" ] || [ -z "$log" ] || [ -z "$trs" ] || [ $# -eq 0 ]; then
	echo "$0: arguments are missing" >&2
	exit 2
fi

xml=${trs%.trs}.xml
rm -f "$xml"
"$@" --gtest_output="xml:$xml" >"$log" 2>&1
status=$?
[ -f "$xml" ] || : >"$xml"

# GoogleTest starts a line with each <testcase>, <failure> and <skipped>; quotes inside attributes are escaped.
awk -v status=$status -v name="$name" -v log_file="$log" '
function attribute(key,    start)
{
	if (!match($0, " " key "=\"[^\"]*\""))
		return ""
	start = RSTART + length(key) + 3
	return substr($0, start, RLENGTH - length(key) - 4)
}
function settle()
{
	if (test == "")
		return
	print ":test-result: " result " " test
	count[result]++
	test = ""
}
/^ *<testcase / {
	settle()
	test = attribute("classname") "." attribute("name")
	result = attribute("result") == "skipped" || attribute("status") == "notrun" ? "SKIP" : "PASS"
}
/^ *<failure / && test != "" { result = "FAIL" }
END {
	settle()
	if (count["FAIL"] == 0 && status != 0 || status > 1 || NR == 0) {
		print ":test-result: ERROR " name " (exit status " status ")"
		count["ERROR"]++
	} else if (count["PASS"] + count["FAIL"] + count["SKIP"] == 0) {
		print ":test-result: ERROR " name " (no test case ran)"
		count["ERROR"]++
	}
	global = count["ERROR"] ? "ERROR" : count["FAIL"] ? "FAIL" : count["PASS"] ? "PASS" : "SKIP"
	print ":global-test-result: " global
	print ":recheck: " (count["ERROR"] + count["FAIL"] ? "yes" : "no")
	print ":copy-in-global-log: " (count["ERROR"] + count["FAIL"] ? "yes" : "no")
}' "$xml" >"$trs" || exit 2

# One line for each program, and one for each case that did not pass.
red='' green='' blue='' end=''
[ "$color" = yes ] && { red=$(printf '\033[0;31m'); green=$(printf '\033[0;32m'); blue=$(printf '\033[1;34m'); end=$(printf '\033[m'); }
awk -v name="$name" -v red="$red" -v green="$green" -v blue="$blue" -v end="$end" '
$1 == ":test-result:" { count[$2]++ }
$1 == ":test-result:" && $2 != "PASS" {
	colour = $2 == "SKIP" ? blue : red
	print colour $2 end ": " name ": " substr($0, length($1 $2) + 3)
}
END {
	if (count["PASS"])
		print green "PASS" end ": " name ": " count["PASS"] " cases"
}' "$trs"
