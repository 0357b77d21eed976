#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# demo_kills.sh FOLDER [N]: the demonstration of data/demo killed at N (30) random moments, each time started again, beside
# one that is not: metrics, predictions, training rows and the adapter must be the same bytes. BALDISTILL: the program.
set -eu
. "$(dirname "$0")/program.sh"

[ $# -ge 1 ] || fail 64 'usage: demo_kills.sh FOLDER [N]'
find_program
folder=$1 n=${2-30}
for old in whole killed; do
	# A run that is there would only be read again, and nothing of it killed.
	[ ! -e "$folder/$old" ] || fail 73 "'$folder/$old' is there already: name a new folder"
done
demo=$(cd "$(dirname "$0")/../data/demo" && pwd)
mkdir -p "$folder"
cp -R "$demo/." "$folder"
chmod -R u+w "$folder"
cd "$folder"
export BALDISTILL_STATE_DIR="$PWD/state"
sed 's/^output_dir: .*/output_dir: whole/' "$demo/plan.yaml" >whole.yaml
sed 's/^output_dir: .*/output_dir: killed/' "$demo/plan.yaml" >killed.yaml
start=$(date +%s)
"$program" run --quiet whole.yaml
seconds=$(($(date +%s) - start))
kills=0
while [ $kills -lt "$n" ]; do
	pause=$(awk -v s="$(od -An -N4 -tu4 /dev/urandom)" -v t=$seconds -v n="$n" 'BEGIN { srand(s); print 0.05 + rand() * 1.6 * t / n }')
	status=0
	timeout --foreground -s KILL "$pause" "$program" run --quiet killed.yaml || status=$?
	[ $status -ne 0 ] || break
	[ $status -eq 137 ] || [ $status -eq 124 ] || exit 1 # 124: it had just ended
	kills=$((kills + 1))
done
[ $kills -gt 0 ] || fail 1 'no kill met the run, so nothing was shown: try again'
"$program" run --quiet killed.yaml
digests()
{
	(cd "$1" && find stage-* final predictions.jsonl metrics.json -type f | grep -v trainer_log | LC_ALL=C sort | xargs sha256sum)
}
digests whole >whole.sums
digests killed | cmp - whole.sums && echo "$kills kills, the same bytes in $(wc -l <whole.sums) files (one run: $seconds s)"
