#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# manual.sh - runs every example of the man pages and the commands README shows: lines ".B baldistill ..." between
# .nf and .fi, and indented lines "    baldistill ...". They run in order, in a folder with a copy of the
# sources' data/ in it, and write to standard output or where --output says.
set -u
program=${BALDISTILL:?}
source=${TEST_SRCDIR:?}
folder=$(mktemp -d) || exit 99
trap 'rm -rf "$folder"' EXIT
mkdir "$folder/bin" && ln -s "$program" "$folder/bin/baldistill"
cp -R "$source/data" "$folder/data" && chmod -R u+w "$folder/data"
BALDISTILL_STATE_DIR=$folder/state
export BALDISTILL_STATE_DIR
PATH=$folder/bin:$PATH
export PATH

for page in "$source"/man/*.[0-9]; do
	sed -n '/^\.nf/,/^\.fi/s/^\.B \(baldistill .*\)/\1/p' "$page" | sed 's/\\-/-/g'
done >"$folder/examples"
sed -n 's/^    \(baldistill .*\)/\1/p' "$source/README" >>"$folder/examples"
echo "1..$(($(wc -l <"$folder/examples") + 1))"

number=0
while read -r line; do
	number=$((number + 1)) result=log
	case $line in *" --output "*) result=${line##*" --output "} result=${result%% *} ;; esac
	if (cd "$folder" && sh -c "$line") >"$folder/log" 2>&1 && [ -s "$folder/$result" ]; then
		echo "ok $number - $line"
	else
		echo "not ok $number - $line"
		tail -n 5 "$folder/log" | sed 's/^/# /'
	fi
done <"$folder/examples"
if [ $number -ge 12 ]; then
	echo "ok $((number + 1)) - there are examples"
else
	echo "not ok $((number + 1)) - there are examples"
fi
