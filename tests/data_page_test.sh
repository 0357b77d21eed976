#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# data_page_test.sh - baldistill-data(5) and the program agree: every file of a run stands in the page, every key of its
# files in the file's section, every column of the ledger in its table's; and the page names none that is not there.
set -u
program=${BALDISTILL:?}
source=${TEST_SRCDIR:?}
page=$source/man/baldistill-data.5
. "$source/tests/tap.sh"
BALDISTILL_STATE_DIR=$folder/state
export BALDISTILL_STATE_DIR
cp -R "$source/data/tiny" "$folder/tiny" && chmod -R u+w "$folder/tiny" && rm -rf "$folder/tiny/run" || exit 99
cd "$folder" || exit 99
sed 's/\\-/-/g' "$page" >page

# section NAME: the table below a heading, "key|meaning" lines
section()
{
	awk -v want="$1" '/^\.S[HS] / { inside = substr($0, 5) == want } inside && /^[A-Za-z_.0-9\/-]*\|/' page
}

# keys: those of the JSON on standard input, but for the ones that are names of domains or causes
keys()
{
	sed 's/"\(domain_loss\|dropped\)":{[^}]*}/"\1":0/g; s/\\"//g' | grep -o '"[a-z_0-9A-Z]*" *:' | tr -d '": ' | sort -u
}

# agrees SECTION FILES...: the keys are those of the section; one that not every file has says where
agrees()
{
	section "$1" >table
	shift
	cut -d '|' -f 1 table | sort -u >named
	grep -v '|.*where' table | cut -d '|' -f 1 | sort -u >always
	cat "$@" | keys >found
	[ -s found ] && [ -s always ] || { echo "nothing to compare"; return 1; }
	comm -13 named found | sed 's/$/: not in the page/' >differences
	comm -23 always found | sed 's/$/: in the page alone/' >>differences
	cat differences
	[ ! -s differences ]
}

# agrees_with_input SECTION FILE INPUT COMMAND: the keys that a command adds are those of the section
agrees_with_input()
{
	keys <"$3" >came
	"$program" $4 --quiet --model tiny --data "$3" --output "$2" || return 1
	keys <"$2" | comm -23 - came >added
	section "$1" | cut -d '|' -f 1 | sort -u >named
	diff named added
}

names_every_file()
{
	(cd tiny/run && find . -type f) | sed 's#^\./##; s#^stage-[0-9]*/#stage-N/#
		s#/\(adapter\|merged\)/.*#/\1/#' | sort -u >found
	section "RUN DIRECTORY" | cut -d '|' -f 1 | sort -u >named
	comm -23 found named >differences
	# what this run does not have: full training, a step at work, requests in flight
	comm -13 found named | grep -vx -e stage-N/checkpoint/ -e stage-N/STEP.part/ -e slot-NN >>differences
	cat differences
	[ "$(wc -l <found)" -gt 15 ] && [ ! -s differences ]
}

# The statements of schema.c as lines "TABLE COLUMN".
columns()
{
	awk '
	/^\t"/ { text = text $0 }
	END {
		gsub(/" BOUND\([^)]*\) "/, "", text)
		gsub(/"[,\t ]*"/, "", text)
		n = split(text, statement, "CREATE ")
		for (s = 2; s <= n; s++)
			if (sub(/^TABLE /, "", statement[s]))
				columns_of(statement[s])
	}
	function columns_of(text,    table, depth, i, c, word)
	{
		table = substr(text, 1, index(text, "(") - 1)
		for (i = index(text, "("); i <= length(text); i++) {
			c = substr(text, i, 1)
			depth += (c == "(") - (c == ")")
			if (c == ")" && depth == 0)
				c = ","
			if (depth <= 1 && c == ",") {
				sub(/^[( ]*/, "", word)
				sub(/ .*/, "", word)
				if (word ~ /^[a-z_0-9]+$/)
					print table, word
				word = ""
				if (depth == 0)
					return
			} else
				word = word c
		}
	}' "$source/src/ledger/schema.c"
}

ledger_agrees()
{
	columns | sort >found
	for table in $(cut -d ' ' -f 1 found | sort -u); do
		section "$table" | sed "s/|.*//; s/^/$table /"
	done | sort >named
	cat found
	[ "$(wc -l <found)" -gt 50 ] && diff named found
}

compare_agrees()
{
	sed -i.old 's/^output_dir: .*/output_dir: compared/' tiny/plan.yaml &&
		"$program" compare --quiet tiny/plan.yaml --methods random-finetune-cot,baldistill-naive >printed &&
		agrees compare.json tiny/compared/compare.json
}

dataset_agrees()
{
	"$program" prepare jsonl tiny/rows.jsonl --type qa --input-field prompt --label-field completion --quiet \
		--output prepared >printed && agrees Examples prepared/train.jsonl
}

collection_agrees()
{
	mkdir -p many/train many/test
	for i in 1 2 3 4 5 6; do
		echo "{\"goal\": \"goal $i\", \"sol1\": \"a\", \"sol2\": \"b\", \"label\": $((i % 2))}"
	done >many/train/Race.jsonl && sed 's/goal /test /' many/train/Race.jsonl >many/test/Race.jsonl &&
		"$program" prepare mcqa many --quiet --domain PIQA=Race.jsonl --keep PIQA=1/3 --draw-test 4 --output mixed \
			>printed && [ "$(wc -l <mixed/train.jsonl)" -eq 2 ] && [ "$(wc -l <mixed/test.jsonl)" -eq 4 ] &&
		grep -q '^PIQA  *2  *4 ' printed && agrees Examples mixed/train.jsonl
}

# Every layout of collection_layout.c stands in the page with the words of its fields, and no other.
layouts_agree()
{
	section "Layouts of public datasets" >table
	cut -d '|' -f 1 table | sort >named
	sed -n 's/^\t{ANSWER_[A-Z]*, "\([a-z0-9-]*\)".*/\1/p' "$source/src/dataset/collection_layout.c" | sort >found
	[ "$(wc -l <found)" -gt 15 ] && diff named found
}

eval_agrees()
{
	"$program" eval --json --predictions tiny/run/predictions.jsonl --gold tiny/test.jsonl --type classification \
		--train tiny/examples.jsonl >scored.json && agrees metrics.json scored.json
}

check "a run" "$program" run --quiet tiny/plan.yaml
check "the page names every file of a run" names_every_file
for file in status.json cassette.jsonl metrics.json final/dataset/train.jsonl final/dataset/dataset_info.json; do
	check "keys of $file" agrees $file tiny/run/$file
done
for file in allocation.json scores.jsonl train.jsonl collected.json predictions.jsonl adapter/trainer_log.jsonl; do
	check "keys of stage-N/$file" agrees stage-N/$file tiny/run/stage-*/$file
done
check "keys of eval --json" eval_agrees
check "keys of compare.json" compare_agrees
check "keys of a prepared dataset" dataset_agrees
check "keys of a prepared collection" collection_agrees
check "layouts of public datasets" layouts_agree
check "rows of score" agrees_with_input "Rows of score" scored.jsonl tiny/rows.jsonl score
check "rows of generate" agrees_with_input "Rows of generate" made.jsonl tiny/chat.jsonl \
	"generate --max-new-tokens 4 --token-nll --chat-template chatml"
check "columns of the ledger" ledger_agrees
echo "1..$cases"
