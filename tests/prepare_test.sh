#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# prepare_test.sh - what `prepare` leaves and refuses: its output holds the set just made and nothing older, no input is
# overwritten, no row goes without a line in the table.
set -u
program=${BALDISTILL:?}
source=${TEST_SRCDIR:?}
. "$source/tests/tap.sh"
cd "$folder" || exit 99

# rows LABEL FIRST LAST
rows()
{
	seq "$2" "$3" | sed "s/.*/{\"input\": \"a text of $1 numbered &\", \"label\": \"$1\"}/"
}
{ rows a 1 30; rows b 31 40; } >rows.jsonl
{ rows a 41 43; rows c 44 45; } >other.jsonl

# A set replaces an older one whole; a test set that nothing would replace is not taken away.
old_test_set()
{
	"$program" prepare jsonl rows.jsonl --type classification --test-fraction 0.25 --output again >out &&
		cp again/test.jsonl first.jsonl &&
		"$program" prepare jsonl rows.jsonl --type classification --test-fraction 0.5 --output again >out &&
		[ "$(wc -l <again/test.jsonl)" -gt "$(wc -l <first.jsonl)" ] && cp -r again now &&
		ends 73 "'again/test.jsonl' is there" prepare jsonl rows.jsonl --type classification --output again &&
		diff -r again now && rm again/test.jsonl &&
		"$program" prepare jsonl rows.jsonl --type classification --output again >out &&
		[ "$(wc -l <again/train.jsonl)" -eq 40 ] && [ ! -e again/test.jsonl ]
}

inputs_stay()
{
	mkdir -p kept many/train && cp rows.jsonl kept/train.jsonl && cp other.jsonl kept/test.jsonl || return 1
	ends 73 'is an input' prepare jsonl kept/train.jsonl --type classification --zipf 2 --output kept &&
		ends 73 'is an input' prepare jsonl rows.jsonl --type classification --test kept/test.jsonl --output kept &&
		ends 73 'is an input' prepare math kept --output kept &&
		cmp rows.jsonl kept/train.jsonl && cmp other.jsonl kept/test.jsonl || return 1
	echo '{"goal": "g", "sol1": "a", "sol2": "b", "label": 1}' >many/train/train.jsonl
	cp many/train/train.jsonl before
	ends 73 'is an input' prepare mcqa many --domain P=train.jsonl --output many/train && cmp before many/train/train.jsonl
}

# What fails leaves the older set as it was.
older_set_stays()
{
	"$program" prepare jsonl rows.jsonl --type classification --test-fraction 0.25 --output older --quiet &&
		cp older/test.jsonl before.jsonl && mkdir older/.aside && mv older/train.jsonl older/.aside && mkdir older/train.jsonl &&
		ends 73 "'older/train.jsonl'" prepare jsonl rows.jsonl --type classification --test-fraction 0.5 --output older --quiet &&
		cmp before.jsonl older/test.jsonl
}

# Killed at any of its renames and removals: no row to train on is a test row. (Newer machines have no call unlink.)
never_mixed()
{
	strace -qq -o /dev/null true 2>/dev/null || { echo 'no strace'; return 77; }
	kills=0
	for call in renameat '?unlink,unlinkat'; do
		for at in 1 2 3; do
			rm -rf mixed
			"$program" prepare jsonl rows.jsonl --type classification --test-fraction 0.4 --output mixed --quiet || return 1
			(ulimit -c 0; strace -f -qq -o /dev/null -e trace=$call -e inject=$call:signal=KILL:when=$at \
				"$program" prepare jsonl rows.jsonl --type classification --test-fraction 0.4 --seed 2 --output mixed --quiet) 2>/dev/null
			[ $? -le 128 ] || kills=$((kills + 1))
			[ ! -e mixed/test.jsonl ] || ! grep -qxFf mixed/test.jsonl mixed/train.jsonl || { echo "$call $at"; return 1; }
		done
	done
	echo "$kills kills"
	[ $kills -gt 0 ]
}

test_domains_show()
{
	"$program" prepare jsonl rows.jsonl --type classification --test other.jsonl --output alone >table 2>notes &&
		cat table notes && grep -q '^c  *0  *2 ' table && grep -q '^2 test rows are of domains without' notes &&
		"$program" prepare jsonl rows.jsonl --type classification --test other.jsonl --output alone --json --quiet |
		tr -d ' \n' | grep -q '"domain":"c","train":0,"test":2,'
}

named_ids()
{
	printf '{"id": 1, "uid": "%s", "input": "%s", "label": "p"}\n' a one b two >ids.jsonl
	"$program" prepare jsonl ids.jsonl --type classification --id-field uid --output ids >out &&
		grep -q '"id": *"b"' ids/train.jsonl || return 1
	echo '{"id": 2, "input": "three", "label": "p"}' >>ids.jsonl
	ends 65 "ids.jsonl:3: 'uid' is missing" prepare jsonl ids.jsonl --type classification --id-field uid --output ids
}

# A public set's own "id" is not read, and one file is not taken twice.
collection_ids()
{
	mkdir -p pub/train pub/test
	for i in 1 2 3; do echo "{\"id\": 0.5, \"goal\": \"g$i\", \"sol1\": \"a\", \"sol2\": \"b\", \"label\": 1}"; done |
		tee pub/train/P.jsonl >pub/test/P.jsonl
	"$program" prepare mcqa pub --domain A=P.jsonl --output pub-out --quiet >out &&
		ends 65 "two rows have the id 'train/P/" prepare mcqa pub --domain A=P.jsonl,B=P.jsonl --output twice
}

# The same question with other choices is no duplicate.
choices_count()
{
	printf '{"input": "Which?", "choices": ["%s", "%s"], "label": "B", "domain": "d"}\n' x y v w x y >which.jsonl
	"$program" prepare jsonl which.jsonl --type multiple_choice --drop-duplicates --output which >out 2>notes &&
		[ "$(wc -l <which/train.jsonl)" -eq 2 ] && grep -q '^1 training rows equal' notes
}

# Every option that shapes a set: low keeps 1 of 5, high loses the row that stands in the test set and is the head with its 2, 3 of 4 test rows stay.
shapes()
{
	for i in 1 2 3 4 5 6 7 8; do
		topic=low
		[ $i -le 5 ] || topic=high
		echo "{\"question\": \"Which of these is number $i of the $topic kind?\", \"options\": [\"one $i\", \"two $i\"], \"solution\": \"B\", \"topic\": \"$topic\"}"
	done >own.jsonl
	{ sed -n 7p own.jsonl && sed 's/Which of these/Say which/' own.jsonl | head -n 3; } >own-test.jsonl
	"$program" prepare jsonl own.jsonl --type multiple_choice --input-field question --label-field solution --domain-field topic --choices-field options \
		--test own-test.jsonl --keep low=1/5 --draw-test 3 --seed 2 --head-above 1 --drop-near-duplicates --output own --json --quiet >out && tr -d ' \n' <out | tee one &&
		grep -q '^{"train":3,"test":3,.*{"domain":"high","train":2,"test":1,"class":"head"},{"domain":"low","train":1,"test":2,"class":"tail"}' one &&
		grep -q '"input":"Which of these is number 6 of the high kind?","choices":\["one 6","two 6"\],"label":"B","domain":"high"' own/train.jsonl
}

# reuters ID SPLIT TOPIC...: a document
reuters()
{
	printf '<REUTERS TOPICS="YES" LEWISSPLIT="%s" CGISPLIT="X" OLDID="1" NEWID="%s">\n' "$2" "$1"
	shift 2
	printf '<TOPICS>%s</TOPICS>\n<TEXT><TITLE>T</TITLE>\n<BODY>B</BODY></TEXT>\n</REUTERS>\n' "$(printf '<D>%s</D>' "$@")"
}

# R90 has the documents of several topics, once for each; R52 has not.
two_sets()
{
	mkdir sgml && for i in 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21; do
		file=sgml/reut2-$(printf %03d $i).sgm
		{ echo '<!DOCTYPE lewis SYSTEM "lewis.dtd">' && reuters $((i + 10)) TRAIN jute; } >"$file"
		[ $i -gt 0 ] || { reuters 1 TRAIN earn && reuters 2 TRAIN acq earn && reuters 3 TRAIN acq && reuters 4 TEST earn && reuters 5 TEST acq; } >>"$file"
	done
	"$program" prepare reuters sgml --output r52 >out && "$program" prepare reuters sgml --set r90 --output r90 >out &&
		wc -l r52/train.jsonl r90/train.jsonl && [ "$(wc -l <r52/train.jsonl)" -eq 2 ] && [ "$(wc -l <r90/train.jsonl)" -eq 4 ]
}

empty_problem()
{
	mkdir -p math
	for side in train test; do
		printf '{"problem": " ", "type": "Algebra", "solution": "%s"}\n' '\\boxed{1}' >math/$side.jsonl
	done
	ends 65 'math/train.jsonl:1: the problem or its type is empty' prepare math math --output math-out
}

check "an older test set goes" old_test_set
check "no input is overwritten" inputs_stay
check "an older test set stays where the new set cannot be written" older_set_stays
check "killed anywhere, no test row is among those to train on" never_mixed
check "domains of the test set alone are shown" test_domains_show
check "ids under a key that is named" named_ids
check "ids of a public set" collection_ids
check "duplicates of multiple choice" choices_count
check "the options that shape a set" shapes
check "two sets of one collection" two_sets
check "a problem without text" empty_problem
for option in --test-fraction --zipf; do
	check "$option 0" ends 78 'not 0' prepare jsonl rows.jsonl --type classification $option 0 --output none
done
check "--draw 0" ends 65 'no training row is left' prepare jsonl rows.jsonl --type classification --draw 0 --output none
check "an option of another source" ends 64 "'--type' is for jsonl" prepare mcqa many --type qa --output none
check "a head that has no row" ends 78 "'--head-domains'.*'nope'" prepare jsonl rows.jsonl --type classification \
	--head-domains nope --output none
check "nothing was left by what was refused" test ! -e none
echo "1..$cases"
