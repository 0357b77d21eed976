#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# eval_commands_test.sh - `eval` and `report` as commands: figures, matching by id, exit statuses.
set -u
program=${BALDISTILL:?}
. "${TEST_SRCDIR:?}/tests/tap.sh"

cat >"$folder/gold" <<'END'
{"id": 1, "input": "x", "label": "earn"}
{"id": 2, "input": "y", "label": "earn"}
{"id": "three", "input": "y", "label": "acq"}
{"id": 4, "input": "z", "label": "acq"}
END
cat >"$folder/said" <<'END'
{"id": 4, "prediction": "The answer is acq."}
{"id": "three", "prediction": "who knows"}
{"id": 2, "prediction": "The answer is earn."}
{"id": 1, "prediction": "acq"}
END
{
	for i in 1 2 3; do echo "{\"input\": \"$i\", \"label\": \"earn\"}"; done
	echo '{"input": "x", "label": "acq"}'
	echo '{"input": "x", "label": "gold"}'
} >"$folder/train"
sed 1d "$folder/said" >"$folder/fewer"
{ cat "$folder/said"; echo '{"id": 9, "prediction": "acq"}'; } >"$folder/more"
sed 's/prediction/completion/' "$folder/said" >"$folder/unsaid"
sed 's/acq/tin/' "$folder/gold" >"$folder/other"

asks()
{
	said=$1
	shift
	set -- eval --predictions "$folder/$said" --gold "$folder/gold" --type classification "$@"
	"$program" "$@" >"$folder/out" 2>"$folder/err"
}

prints()
{
	pattern=$1
	shift
	asks "$@" && grep -q -- "$pattern" "$folder/out" && return
	cat "$folder/out" "$folder/err"
	return 1
}

twice()
{
	asks said --json --seed 3 && cp "$folder/out" "$folder/first" && asks said --json --seed 3 &&
		cmp "$folder/first" "$folder/out" && asks said --json --seed 4 && ! cmp -s "$folder/first" "$folder/out"
}

refuses()
{
	status=$1 pattern=$2 said=$3
	shift 3
	ends "$status" "$pattern" eval --predictions "$folder/$said" --gold "$folder/gold" --type classification "$@"
}

# Told before the model works, and the gold answers are not replaced by its own.
output_is_checked()
{
	tiny=$TEST_SRCDIR/data/tiny
	cp "$folder/gold" "$folder/mine" &&
		ends 73 "mine' is an input" eval --model "$tiny" --data "$folder/mine" --type classification --output "$folder/mine" &&
		cmp "$folder/gold" "$folder/mine" &&
		ends 73 "nowhere/said'" eval --model "$folder/none" --data "$folder/mine" --type classification --output "$folder/nowhere/said"
}

# No place to write is needed, and who gets no answer is told of.
too_long()
{
	awk 'NR == 1 { for (words = ""; n < 600; n++) words = words " wheat"; sub(/"input": "/, "&" words) } 1' \
		"$TEST_SRCDIR/data/tiny/test.jsonl" >"$folder/long" &&
		TMPDIR=$folder/nowhere "$program" eval --model "$TEST_SRCDIR/data/tiny" --data "$folder/long" --type classification \
			--max-new-tokens 4 --threads 1 >"$folder/out" 2>"$folder/told" &&
		grep '1 of 10 prompts are too long for the student: no answer, counted as wrong' "$folder/told"
}

# earn: tp 1, fn 1, fp 0: 2/3; acq: tp 1, fn 1, fp 1: 1/2; micro 4 / (4 + 1 + 2)
check "a prompt that is too long is told" too_long
check "macro and micro in per cent" prints '^macro  *58.33   \[' said
check "micro" prints '^micro  *57.14   \[' said
check "heads that are not known are a dash" prints '^head macro  *-$' said
check "a class of the training file counts as 0" prints '^macro  *38.89 ' said --train "$folder/train"
cat "$folder/train" "$folder/train" >"$folder/doubled"
check "equal training rows count once" prints '^earn  *66.67  *2$' said --train "$folder/doubled" --head-above 3
check "or as often as they are there" prints '^earn  *66.67  *2  head$' said --train "$folder/doubled" --head-above 3 --keep-duplicates
sed 's/"input"/"question"/; s/"label"/"class"/; s/"id"/"key"/' "$folder/gold" >"$folder/named"
check "examples with keys of their own" "$program" eval --predictions "$folder/said" --gold "$folder/named" --type classification \
	--input-field question --label-field class --id-field key
check "heads from the training file" prints '^earn  *66.67  *2  head$' said --train "$folder/train" --head-above 2
check "heads by name, without intervals" prints \
	'"head_macro":0.5,"tail_macro":0.6666666666666666,"intervals":{},' said --head-domains acq --bootstrap 0 --json
check "examples and invalid answers" prints '^{"n":4,"invalid":1,"macro":' said --json
check "the same bytes every time, and others of another seed" twice
check "a missing id is named: 65" refuses 65 'fewer: no row has the id 4' fewer
check "an id too many is named, with its line: 65" refuses 65 'more:5: the id 9' more
check "a row without a prediction: 65" refuses 65 "unsaid:4: 'prediction' is missing" unsaid
check "a label that the training file lacks: 65" ends 65 "'tin'" eval --predictions "$folder/said" \
	--gold "$folder/other" --type classification --train "$folder/train"
check "an unknown type: 78" ends 78 "'prose'" eval --predictions "$folder/said" --gold "$folder/gold" --type prose
check "an unknown head: 65" refuses 65 "tin" said --head-domains tin
check "--head-above without --train: 64" refuses 64 "--train" said --head-above 3
check "too many replicates: 78" refuses 78 "1000000" said --bootstrap 1000001
check "an output that is an input, or cannot be: 73" output_is_checked
check "no gold file: 66" ends 66 "nothing" eval --predictions "$folder/said" --gold "$folder/nothing" --type qa
check "eval without files: 64" ends 64 "needs --type" eval
check "report of what is no run: 66" ends 66 "plan.yaml" report "$folder"

mkdir "$folder/run"
echo 'method: baldistill-naive' >"$folder/run/plan.yaml"
check "report of a run that has only begun" "$program" report "$folder/run"
check "report.html stands in the run's directory" grep -q '<b>baldistill-naive</b>' "$folder/run/report.html"
check "report under another name" "$program" report "$folder/run" --output "$folder/page.html"
check "the same bytes" cmp "$folder/run/report.html" "$folder/page.html"
# What the run is made of is no place for its report; nor does a line of a name pass for a figure.
spares_the_run()
{
	cp "$folder/run/plan.yaml" "$folder/kept" && ends 73 'is a part of the run' report "$folder/run" --output "$folder/run/plan.yaml" &&
		cmp "$folder/kept" "$folder/run/plan.yaml" && ends 73 'is a part of the run' report "$folder/run" --output "$folder/run/metrics.json" &&
		(cd "$folder/run" && ends 73 'is a part of the run' report . --output cassette.jsonl) && "$program" report "$folder/run" --output "$folder/run/page.html" && "$program" report "$folder/run" --output "$folder/run/report.html"
}
one_line()
{
	printf '{"id": 1, "input": "x", "label": "1", "domain": "a\\nmacro 99.99 [99.00, 100.00]"}\n' >"$folder/forged" &&
		printf '{"id": 1, "prediction": "2"}\n' >"$folder/forging" &&
		"$program" eval --predictions "$folder/forging" --gold "$folder/forged" --type math >"$folder/forge" && cat "$folder/forge" &&
		[ "$(grep -c '^macro' "$folder/forge")" -eq 1 ] && grep -q '^a macro 99' "$folder/forge"
}
check "report does not replace what the run is made of" spares_the_run
check "a name stays on its line" one_line
check "report without a run: 64" ends 64 "RUN" report
echo "1..$cases"
