#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run_commands_test.sh - `baldistill run` from data to report on the tiny student of data/tiny with a recorded teacher:
# every method, resumed and killed runs, a replayed cassette, what is refused.
set -u
program=${BALDISTILL:?}
. "${TEST_SRCDIR:?}/tests/tap.sh"
. "${TEST_SRCDIR:?}/tests/run_plan.sh"

# results RUN: the digests of all that must not depend on when a run was killed
results()
{
	(cd "$1" && find plan.yaml stage-* final predictions.jsonl metrics.json report.html -type f 2>/dev/null |
		grep -v -e trainer_log -e '\.part/' | LC_ALL=C sort | xargs sha256sum)
}

whole_run()
{
	plan whole && run whole || return 1
	for file in plan.yaml ledger.db status.json predictions.jsonl metrics.json report.html cassette.jsonl \
		stage-0/allocation.json stage-2/scores.jsonl stage-2/train.jsonl stage-1/adapter/adapter_model.safetensors \
		final/adapter/adapter_config.json final/merged/model.safetensors final/dataset/dataset_info.json; do
		[ -s whole/$file ] || { echo "no $file"; return 1; }
	done
	grep -q '"used": 18,' whole/status.json && grep -q '"step": "done"' whole/status.json
}

# Adaptive numbers of 26 examples in 16, 6, 3, 1 with B 6: by hand from METHOD section 3.
allocates()
{
	grep -o '"required":[0-9]*' whole/stage-0/allocation.json | tr '\n' ' ' | grep -q '"required":4 "required":1 "required":1 "required":0 ' &&
		[ "$(grep -o '"required":[0-9]*' whole/stage-*/allocation.json | awk -F: '{ n += $3 } END { print n }')" -eq 18 ]
}

nothing_asked_twice()
{
	[ "$(grep -c '"kind":"annotate"' whole/cassette.jsonl)" -gt 10 ] &&
		[ -z "$(sed -n 's/.*"prompt_sha256":"\([0-9a-f]*\)".*/\1/p' whole/cassette.jsonl | sort | uniq -d)" ]
}

again_is_nothing_to_do()
{
	results whole >before && run whole && results whole >after && cmp before after
}

same_bytes_twice()
{
	plan twin && sed -i 's/^output_dir: .*/output_dir: twin/' twin.yaml && run twin || return 1
	results whole | sed '/plan.yaml\|report.html/d' >a && results twin | sed '/plan.yaml\|report.html/d' >b && cmp a b
}

# A run that stops after every step ends like one that does not.
in_pieces()
{
	plan pieces && mv pieces.yaml p.yaml && sed 's/^output_dir: .*/output_dir: pieces/' p.yaml >pieces.yaml
	for k in 0 1 2; do
		for step in select annotate collect train evaluate; do
			run pieces --until $k.$step || return 1
		done
	done
	run pieces && results pieces | sed '/plan.yaml\|report.html/d' >b && cmp a b
}

# Killed at moments of its own, at least ten times, and started again.
killed()
{
	plan killed && kills=0 pause=0.02
	while :; do
		timeout --foreground -s KILL $pause "$program" run --quiet killed.yaml
		case $? in
		0) break ;;
		124 | 137) kills=$((kills + 1)) ;; # 124: it had just ended
		*) return 1 ;;
		esac
		pause=$(awk "BEGIN { print $pause * 1.1 }")
	done
	echo "$kills kills"
	[ $kills -ge 5 ] && ! find killed -name '*.part' | grep . && results killed | sed '/plan.yaml\|report.html/d' >b && cmp a b
}

replays()
{
	cp whole/cassette.jsonl first.jsonl
	plan replay && sed -i 's/cassette: teacher.jsonl/cassette: first.jsonl/' replay.yaml && run replay || return 1
	results replay | sed '/plan.yaml\|report.html/d' >b && cmp a b
}

method()
{
	plan "$1" "method: $1" && run "$1" && [ -s "$1/metrics.json" ] && grep '"step": "done"' "$1/status.json" || return 1
	used=$(sed -n 's/.*"used": \([0-9]*\),.*/\1/p' "$1/status.json")
	case $1 in
	zero-shot-cot | random-finetune) [ "$used" -eq 0 ] ;; # nothing is asked
	*) [ "$used" -gt 0 ] ;;
	esac
}

# In every head domain what was taken is harder than what was not.
takes_the_hardest()
{
	for k in 1 2; do
		grep '"ifd"' whole/stage-$k/scores.jsonl | awk -F'[:,}]' '{ print $4, $6, $(NF - 1) }' | sed 's/null/-1/' |
			awk '$2 == "true" && (!($1 in low) || $3 < low[$1]) { low[$1] = $3; taken++ }
			     $2 == "false" && (!($1 in high) || $3 > high[$1]) { high[$1] = $3; left++ }
			     END { for (d in low) if (d in high && high[d] > low[d]) exit 1; exit !(taken && left) }' || return 1
	done
}

# What selection says of its candidates is what generate and score say of them.
equals_score()
{
	grep '"ifd"' whole/stage-1/scores.jsonl | value id >ids
	awk 'NR == FNR { wanted[$1]; next } {
		match($0, /"id": [0-9]+/); id = substr($0, RSTART + 6, RLENGTH - 6)
		match($0, /"input": "[^"]*"/); input = substr($0, RSTART + 10, RLENGTH - 11)
		if (id in wanted)
			printf "{\"id\": %d, \"prompt\": \"Decide to which one of these classes the text belongs: grain, crude, gold, ship.\\nThink step by step and end with \\\"The answer is CLASS.\\\"\\n\\nText: %s\\nReasoning:\\n\"}\n", id, input
	}' ids train.jsonl >prompts.jsonl
	"$program" generate --quiet --model "$tiny" --adapter whole/stage-0/adapter --data prompts.jsonl --output said.jsonl \
		--max-new-tokens 6 --slots 4 &&
		"$program" score --quiet --model "$tiny" --adapter whole/stage-0/adapter --data said.jsonl --output scored.jsonl || return 1
	value ifd <scored.jsonl >want
	grep '"ifd"' whole/stage-1/scores.jsonl | value ifd >got
	paste want got | awk '{ d = $1 / $2 - 1; if (d < 0) d = -d; if (d > 1e-4) { print; bad = 1 } } END { exit bad || NR < 10 }'
}

# The naive backend takes the same examples for the same reasons.
other_backend()
{
	plan naive && sed -i 's/slots: 4/slots: 4, backend: reference/' naive.yaml && run naive --until 1.select || return 1
	cmp whole/stage-1/allocation.json naive/stage-1/allocation.json || return 1
	value selected <whole/stage-1/scores.jsonl >a.selected && value selected <naive/stage-1/scores.jsonl | cmp - a.selected || return 1
	# It is the one that is named, or none; it may change, and that is told.
	sed 's/backend: reference/backend: openblas/; s/^output_dir: .*/output_dir: unbuilt/' naive.yaml >unbuilt.yaml && mkdir no-modules &&
		(export BALDISTILL_MODULE_DIR="$folder/no-modules" && ! "$program" run --quiet unbuilt.yaml 2>said) && grep "backend 'openblas' is" said || return 1
	sed -i 's/backend: reference/backend: auto/' naive.yaml && "$program" run naive.yaml --until 1.annotate 2>said && grep 'another backend than before' said
}

# Presets (METHOD section 4): what is done with a wrong rationale and with a synthetic example of another class.
presets()
{
	for preset in recommended paper authors; do
		plan "$preset" "method: {name: baldistill-naive, preset: $preset, policy_index_base: 0}" && run "$preset" || return 1
		cat "$preset"/stage-*/collected.json >"$preset.all"
	done
	grep -q '"wrong answer":1' recommended.all && grep -q '"wrong answer":1' authors.all && ! grep -q 'wrong answer' paper.all
}

full_and_parse()
{
	plan full 'method: baldistill-naive' && sed -i 's/^budget: .*/budget: 48/' full.yaml && run full || return 1
	plan parse 'method: {name: baldistill-naive, preset: paper}' && sed -i 's/^budget: .*/budget: 48/' parse.yaml && run parse || return 1
	cat full/stage-*/collected.json >full.all && cat parse/stage-*/collected.json >parse.all
	grep -o '"dropped":{[^}]*}' full.all | sort | uniq -c
	grep -q 'other label\|label is not' full.all && ! grep -q 'other label\|label is not' parse.all && grep -q 'no input' parse.all
}

# A unit that was not used in one stage buys one more example of the same domain in the next.
replaces()
{
	grep -v 'annotate.*rose [0-9]*[13579] of [12]' teacher.jsonl >fewer.jsonl
	plan replace 'method: baldistill-naive' && sed -i 's/cassette: teacher.jsonl/cassette: fewer.jsonl, on_missing: skip/' replace.yaml &&
		run replace || return 1
	lost=$(grep -ho 'not recorded":[0-9]*' replace/stage-*/collected.json | awk -F: '{ n += $2 } END { print n + 0 }')
	more=$(grep -ho '"replacements":[0-9]*' replace/stage-*/allocation.json | awk -F: '{ n += $2 } END { print n + 0 }')
	echo "$lost lost, $more asked for again"
	[ "$lost" -gt 0 ] && [ "$more" -gt 0 ] && [ "$more" -le "$lost" ] || return 1
	sed 's/^method: .*/method: {name: baldistill-naive, replace_unusable: false}/; s/^output_dir: .*/output_dir: unreplaced/' replace.yaml >unreplaced.yaml &&
		run unreplaced --until 2.select && ! grep '"replacements":[1-9]' unreplaced/stage-*/allocation.json
}

repeats_rows()
{
	grep -q '"id":"repeat/' duplicate-finetune-cot/stage-0/train.jsonl
}

buys_nothing()
{
	grep -q '"used": 0,' random-finetune/status.json && grep -q '"completion":"The answer is grain."' random-finetune/stage-0/train.jsonl &&
		[ "$(wc -l <random-finetune/stage-0/train.jsonl)" -eq 18 ]
}

synthesises()
{
	grep -q '"origin":"synthetic"' baldistill-naive/stage-2/train.jsonl &&
		grep -q '"synthetic/[0-9]/ship/[0-9]"' baldistill-naive/stage-2/train.jsonl &&
		grep -q '"dropped":{"wrong answer":1}' baldistill-naive/stage-0/collected.json
}

grows()
{
	plan grow && run grow --until 0.train || return 1
	sed -i 's/^budget: .*/budget: 22/' grow.yaml && run grow && grep -q '"used": 22,' grow/status.json || return 1
	sed -i 's/^budget: .*/budget: 40/' grow.yaml && ends 78 'every stage has begun' run --quiet grow.yaml || return 1
	sed -i 's/^budget: .*/budget: 22/' grow.yaml && run grow # what was refused has changed nothing
}

# A row whose prompt alone fills max_length is bought and left out; it does not end the run.
too_long()
{
	plan long "method: random-finetune-cot" && sed -i 's/, learning_rate/, max_length: 190, learning_rate/; s/^budget: .*/budget: 26/' long.yaml &&
		awk 'NR == 2 { sub(/price rose 2 of 1/, "price rose 2 of 1 and rose and rose and rose and rose and rose and rose and rose and rose and rose and rose and rose and rose") } 1' train.jsonl >longer.jsonl &&
		sed -i 's/train: train.jsonl/train: longer.jsonl/; s/cassette: teacher.jsonl/cassette: teacher.jsonl, on_missing: skip/' long.yaml &&
		"$program" plan --quiet long.yaml && "$program" run long.yaml 2>said
	status=$?
	cat said
	[ $status -eq 0 ] && grep 'left out' said
}

changed_data()
{
	cp train.jsonl mine.jsonl && plan changed && sed -i 's/train: train.jsonl/train: mine.jsonl/' changed.yaml &&
		run changed --until 0.train && sed -i '1s/wheat/oats/' mine.jsonl && ends 78 'began with' run --quiet changed.yaml
}

# Weights that are replaced between two starts; a moved modification time is nothing.
changed_student()
{
	mkdir own-student && cp "$tiny"/*.json "$tiny"/*.safetensors own-student && chmod u+w own-student/* && plan restudied &&
		sed -i 's|model_name_or_path: [^,]*|model_name_or_path: own-student|' restudied.yaml &&
		run restudied --until 0.select && touch own-student/* && run restudied --until 0.train &&
		printf '\1' | dd of=own-student/model.safetensors bs=1 seek=20000 conv=notrunc 2>dd.log &&
		ends 78 'another student' run --quiet restudied.yaml
}

made_up_id()
{
	sed '1s/"id": 1/"id": "synthetic\/1\/ship\/0"/' train.jsonl >own.jsonl && plan own && sed -i 's/train: train.jsonl/train: own.jsonl/' own.yaml &&
		ends 65 'own.jsonl:1: ids' run --quiet own.yaml
}

# The closing sentence names no class: that is another answer than the gold one.
no_class()
{
	sed 's/\("kind": "annotate".*\)The answer is [a-z]*/\1The answer is weather/' teacher.jsonl >weather.jsonl && plan weather 'method: random-finetune-cot' &&
		sed -i 's/cassette: teacher.jsonl/cassette: weather.jsonl/' weather.yaml && ends 80 'not one row' run --quiet weather.yaml
}

plans_all_methods()
{
	for method in zero-shot-cot random-finetune active-finetune-cot baldistill-naive; do
		"$program" plan --quiet --json $method.yaml | grep -q '"queries": *{' || return 1
	done
}

until_beyond()
{
	ends 78 'this run has 3' run --quiet whole.yaml --until 9.select &&
		ends 78 'evaluation.stages' compare --quiet none.yaml --methods random-finetune-cot --seeds 1 &&
		ends 78 'twice' compare --quiet whole.yaml --methods random-finetune-cot --seeds 1,1
}

# final/ can be made again from the stages, and is.
final_again()
{
	results whole >before && echo x >>whole/final/merged/config.json && rm whole/final/dataset/train.jsonl &&
		"$program" run whole.yaml 2>said && grep 'making it again' said && results whole | cmp - before
}

# A run is closed to a tracer that may not look into everything: as root of a name space of its own it may.
may_trace()
{
	as=
	[ "$(id -u)" -eq 0 ] || as='unshare -r'
	$as strace -f -o /dev/null true 2>/dev/null || { echo 'strace is not here, or may not trace a run'; return 77; }
}

# What a file system cannot tell is not taken for absent.
not_told()
{
	may_trace || return
	plan told && mkdir told && for part in evaluate.part/metrics.json train.part/adapter select.part/scores.jsonl; do
		rm -rf told
		ASAN_OPTIONS=detect_leaks=0 $as strace -f -o /dev/null -P "$folder/told/stage-0/$part" -e trace=lstat,newfstatat,access,faccessat2 \
			-e inject=lstat,newfstatat,access,faccessat2:error=EIO "$program" run --quiet "$folder/told.yaml"
		[ $? -eq 74 ] && run told && results told | sed '/plan.yaml\|report.html/d' | cmp - a || { echo "$part"; return 1; }
	done
}

# A training that has come to its end is not done again where a kill keeps it out of the ledger: its clock times stay.
trained_once()
{
	may_trace || return
	plan once
	# When its result is in place and about to be read for the ledger.
	place=$folder/once/stage-0/adapter/adapter_config.json
	(ulimit -c 0; ASAN_OPTIONS=detect_leaks=0 $as strace -f -qq -o /dev/null -P "$place" -e trace=openat \
		-e inject=openat:signal=KILL "$program" run --quiet "$folder/once.yaml")
	[ $? -eq 137 ] && find once/stage-0 -name trainer_log.jsonl -exec cp {} kept \; && run once &&
		cmp kept once/stage-0/adapter/trainer_log.jsonl &&
		results once | sed '/plan.yaml\|report.html/d' | cmp - a
}

# What a student costs is measured in memory.
plan_writes_nothing()
{
	TMPDIR=$folder/nowhere "$program" plan --quiet --json whole.yaml | grep '"seconds": *[0-9]'
}

escapes()
{
	cp train.jsonl "$(printf 'a\033[31mb.jsonl')"
	plan escapes && sed -i 's|train: train.jsonl|train: "a\\e[31mb.jsonl"|' escapes.yaml && "$program" run escapes.yaml --until 0.select 2>said
	cat -v said
	! grep -q "$(printf '\033')" said && grep -q 'x1B' said
}

damaged()
{
	echo >>twin/stage-1/scores.jsonl && ends 82 'stage-1/scores.jsonl' run --quiet twin.yaml
}

# A step of an earlier start is no place to go back to.
until_passed()
{
	cp whole/status.json stood && run whole --until 0.select && cmp stood whole/status.json
}

# Tokens of a file from elsewhere: an end before the first one, a number that the student does not have.
crafted()
{
	plan crafted && run crafted --until 0.evaluate && mv crafted crafted-before || return 1
	part=crafted/stage-1/select.part
	for try in 1 2 3 4 5 6 7 8 9; do
		rm -rf crafted && cp -R crafted-before crafted
		"$program" run --quiet crafted.yaml &
		while [ ! -s $part/configuration ] && kill -0 $! 2>gone; do :; done
		kill -KILL $! 2>gone
		wait $! 2>gone
		[ ! -s $part/configuration ] || break
	done
	for row in '{"of":0,"stop":true,"ids":[],"logp":[]}' '{"of":0,"stop":false,"ids":[999999],"logp":[0]}'; do
		echo "$row" >$part/completions.jsonl && ends 65 'completions.jsonl' run --quiet crafted.yaml || return 1
	done
}

# A student that cannot be opened, or a length that no prompt has room in, is told before anything is bought; the
# corrected plan may then go on in the same directory.
told_before_buying()
{
	plan early && taught_by early sh "$folder/teacher.sh" "$folder/early-calls" &&
		cp early.yaml early.good && sed -i 's/model_name_or_path: [^,]*/model_name_or_path: nope/' early.yaml &&
		ends 66 'nope' run --quiet early.yaml && sed 's/num_train_epochs: 1/num_train_epochs: 1, max_length: 4/' early.good >early.yaml &&
		ends 78 'max_length is 4' run --quiet early.yaml && [ ! -e early-calls ] &&
		sed 's/num_train_epochs: 1/num_train_epochs: 1, finetuning_type: full/; s/slots: 4/slots: 4, memory: 192KiB/' early.good >early.yaml &&
		ends 71 'full fine-tuning needs' run --quiet early.yaml && [ ! -e early-calls ] && no_end_token early &&
		cp early.good early.yaml && run early --until 0.annotate && [ -s early-calls ]
}

# no_end_token PLAN: the same with a student that has no end token
no_end_token()
{
	mkdir endless && cp "$tiny"/*.json "$tiny"/*.safetensors endless && chmod u+w endless/* &&
		sed -i 's/"eos_token_id": [^,}]*\(, 3]\)*/"eos_token_id": null/' endless/config.json endless/generation_config.json &&
		sed -i 's/"eos_token": *"[^"]*"/"eos_token": null/' endless/tokenizer_config.json &&
		sed 's|model_name_or_path: [^,]*|model_name_or_path: endless|' "$1.good" >"$1.yaml" &&
		ends 65 'names no end token' run --quiet "$1.yaml" && [ ! -e "$1-calls" ]
}

# 400 rows of 512 positions, with keys and values of 256 bytes each: 50 MiB, which the few rows that are tried do not take.
plans_the_cache()
{
	awk '{ for (i = 0; i < 40; i++) { row = $0; sub(/"id": [0-9]*/, "\"id\": " ++id, row); print row } }' test.jsonl >many.jsonl &&
		plan much && sed -i 's/test: test.jsonl/test: many.jsonl/; s/slots: 4/slots: 400/; s/{max_new_tokens: 8/{max_new_tokens: 800/' much.yaml &&
		few=$("$program" plan --quiet --json whole.yaml | value memory) && many=$("$program" plan --quiet --json much.yaml | value memory) &&
		[ $((many - few)) -gt 30000000 ] || { echo "$few, $many"; return 1; }
}

# Prompts that leave no room for an answer are told before they are bought, not hidden from who pays for them.
long_prompts_are_told()
{
	awk 'NR == 1 { for (words = ""; n < 400; n++) words = words " wheat"; sub(/"input": "/, "&" words) } 1' train.jsonl >wordy.jsonl &&
		plan wordy && sed -i 's/train: train.jsonl/train: wordy.jsonl/; s/num_train_epochs: 1/num_train_epochs: 1, max_length: 300/' wordy.yaml &&
		taught_by wordy sh "$folder/teacher.sh" "$folder/wordy-calls" && "$program" run wordy.yaml --until 0.select 2>said &&
		grep '1 of 26 prompts have 300 tokens or more' said
}

# What a plan will cost at most, by its prices; without a student on disk it still says how much is asked.
plans_the_money()
{
	plan money 'method: baldistill-naive' && taught_by money sh "$folder/teacher.sh" "$folder/money-calls" &&
		sed -i 's/^\(teacher: .*\)}$/\1, prices: {input: 10, output: 30}, max_tokens: 64}/' money.yaml &&
		"$program" plan --quiet --json money.yaml | grep -o '"tokens":.*"cost":[^,]*' | tee cost_told | tr -c '0-9.\n' ' ' |
		awk '{ off = $3 - ($1 * 10 + $2 * 30) / 1e6; exit !($1 > 18 * 50 && $2 == 18 * 64 && off * off < 1e-8) }' || { cat cost_told; return 1; }
	sed 's/model_name_or_path: [^,]*/model_name_or_path: nowhere/' money.yaml >abstract.yaml && "$program" plan --json abstract.yaml 2>said | tee cost_told |
		grep '"total":18},"tokens":null,"cost":null,"memory":null,"seconds":null}' && grep 'nowhere is not there' said
}

# Told before anything is opened or bought: a step that is none, more files than may be open, a test set of another domain or none at all.
tells_at_once()
{
	ends 78 "'--until' knows" run --quiet whole.yaml --until lunch || return 1
	sed '1s/"label": "[a-z]*"/"label": "tea"/' test.jsonl >tea.jsonl && plan tea && sed -i 's/test: test.jsonl/test: tea.jsonl/' tea.yaml &&
		ends 65 "tea.jsonl:1: no example of the training file is of domain 'tea'" run --quiet tea.yaml && [ ! -e tea ] &&
		sed -i 's/, test: tea.jsonl//' tea.yaml && ends 78 'needs task.test' compare --quiet tea.yaml --methods random-finetune || return 1
	sed 's/max_wait: 1/&, max_concurrent_requests: 300/' alone.yaml >open.yaml && (ulimit -n 256 && ends 78 'may open 256 files' run --quiet open.yaml)
}

# A send that reached nobody is billed by nobody.
not_billed()
{
	plan alone && sed -i 's|^teacher: .*|teacher: {kind: openai, base_url: "http://127.0.0.1:9/v1", model: m, api_key_env: "", max_wait: 1}|' alone.yaml
	"$program" run --quiet --allow-http alone.yaml
	[ $? -eq 69 ] && "$program" ledger audit alone >audit && cat audit && ! grep -q '^released *0$' audit &&
		grep -q '^wire *0$' audit && grep -q '^not counted *0 ' audit
}

# Plain http to another machine is asked for; of a comparison too, which then finds nobody there.
http_is_asked_for()
{
	plan http 'method: random-finetune-cot' && sed -i 's|^teacher: .*|teacher: {kind: openai, base_url: "http://teacher.invalid/v1", model: m, api_key_env: "", max_wait: 1}|' http.yaml &&
		ends 78 'allow-http' run --quiet http.yaml --until 0.select && run http --until 0.select --allow-http || return 1
	ends 78 'allow-http' compare --quiet http.yaml --methods random-finetune-cot --max-queries 200 &&
		without_proxies "$program" compare --quiet http.yaml --methods random-finetune-cot --max-queries 200 --allow-http
	[ $? -eq 69 ]
}

# A command's path is seen from the plan, wherever the run is started.
from_elsewhere()
{
	printf '#!/bin/sh\nexec sh %s/teacher.sh %s/asked-there\n' "$folder" "$folder" >ask.sh && chmod +x ask.sh && plan there &&
		taught_by there ./ask.sh && run there --until 0.annotate &&
		mkdir -p elsewhere && (cd elsewhere && "$program" run --quiet ../there.yaml) && grep -q '"used": 18,' there/status.json
}

# With gold targets a row that is too long ranks last, as with generated ones.
gold_too_long()
{
	awk 'NR == 2 { for (i = 0; i < 600; i++) more = more " and rose"; sub(/price rose 2 of 1/, "price rose 2 of 1" more) } 1' \
		train.jsonl >longest.jsonl && plan gold &&
		sed -i 's/^selection: .*/selection: {ifd_target: gold}/; s/train: train.jsonl/train: longest.jsonl/' gold.yaml &&
		"$program" run gold.yaml --until 1.select 2>said
	status=$?
	cat said
	[ $status -eq 0 ] && grep -q '1 candidates are too long' said
}

# restrict_pool: what is answered at a later attempt is known; a pool that another cassette makes is another run.
restricted()
{
	cp whole/cassette.jsonl known.jsonl
	sed -n '/"annotate".*"answered"/{s/"answered","reason":null/"released","reason":"http 503"/p;q}' known.jsonl >first.row
	cat first.row known.jsonl >refused.jsonl
	grep -v "$(sed -n 's/.*"prompt_sha256":"\([0-9a-f]*\)".*/\1/p' first.row)" known.jsonl >less.jsonl
	for cassette in known refused less; do
		plan pool-$cassette && sed -i "s/cassette: teacher.jsonl/cassette: $cassette.jsonl, on_missing: skip, restrict_pool: true/" \
			pool-$cassette.yaml && run pool-$cassette --until 0.select &&
			grep -o '"pool":[0-9]*' pool-$cassette/stage-0/allocation.json >pool-$cassette.n || return 1
	done
	cmp pool-known.n pool-refused.n && ! cmp -s pool-known.n pool-less.n && cp known.jsonl less.jsonl &&
		ends 78 'began with' run --quiet pool-less.yaml
}

other_plan()
{
	sed -i 's/^selection: .*/selection: {max_new_tokens: 7}/' pieces.yaml && ends 78 max_new_tokens run --quiet pieces.yaml
}

not_a_run()
{
	mkdir other && echo x >other/notes && plan other && ends 73 other run --quiet other.yaml
}

unknown_answer()
{
	sed 1d teacher.jsonl >short.jsonl
	plan short && sed -i 's/cassette: teacher.jsonl/cassette: short.jsonl/; s/^budget: .*/budget: 26/; s/^stages: .*/stages: 1/' short.yaml &&
		echo 'method: random-finetune-cot' >>short.yaml && ends 65 short.jsonl run --quiet short.yaml || return 1
	rm -r short && sed -i 's/cassette: short.jsonl/cassette: short.jsonl, on_missing: skip/' short.yaml && run short &&
		grep -q '"used": 25,' short/status.json
}

# A paid teacher: answers every request and keeps a list of them.
write_teacher()
{
	cat >teacher.sh <<-'END'
	while read -r line; do
		echo x >>"$1"
		id=$(printf '%s\n' "$line" | sed 's/.*"id": *\("[^"]*"\|[0-9]*\).*/\1/')
		printf '{"id": %s, "content": "It names the thing. The answer is grain."}\n' "$id"
	done
	END
}

paid()
{
	write_teacher && plan paid && taught_by paid sh "$folder/teacher.sh" "$folder/calls" &&
		run paid && [ "$(wc -l <calls)" -eq 18 ] && grep -q '"used": 18,' paid/status.json
}

# plan_signal NAME SIGNAL...: a plan whose teacher, amid an answer, sends these signals to the run
plan_signal()
{
	cat >signal.sh <<-'END'
	while read -r line; do
		id=$(printf '%s\n' "$line" | sed 's/.*"id": *\("[^"]*"\|[0-9]*\).*/\1/')
		[ "$id" != 3 ] || { for signal; do kill -"$signal" $PPID; sleep 0.1; done; sleep 0.3; }
		printf '{"id": %s, "content": "It names the thing. The answer is grain."}\n' "$id"
	done
	END
	plan "$1" && shift && taught_by "$plan" sh "$folder/signal.sh" "$@"
}

# waits_out NAME SIGNAL...: answers that are being paid for are waited for; one left armed the next start would doubt
waits_out()
{
	plan_signal "$@" && "$program" run --quiet "$1.yaml"
	[ $? -eq 75 ] && "$program" status --json "$1" | tr -d ' ' >said && cat said && grep '"armed":0' said && grep '"in_doubt":0' said
}

# A terminal that goes sends its signal twice: that is one; a run under nohup does not stop.
hung_up()
{
	ignored=$(sed -n 's/^SigIgn:.*\(.\)$/\1/p' /proc/self/status) # SIGHUP is its lowest bit; who starts under nohup keeps it
	case $ignored in [13579bdf]) echo 'SIGHUP is ignored here'; return 77 ;; esac
	waits_out hangup HUP HUP && plan_signal nohup HUP HUP && (trap '' HUP; run nohup) && grep -q '"used": 18,' nohup/status.json
}

# signalled SIGNAL NUMBER: the first ends the run when nothing is in flight, the second at once
signalled()
{
	waits_out "one-$1" "$1" && plan_signal "two-$1" "$1" "$1" || return 1
	"$program" run --quiet "two-$1.yaml"
	[ $? -eq $((128 + $2)) ]
}

# A cassette does not go where the ledger is.
ledger_stays()
{
	ends 73 "'paid/ledger.db' is a part of the run" ledger export paid --output paid/ledger.db && "$program" ledger audit paid >audit &&
		"$program" ledger export paid --output exported.jsonl && [ "$(wc -l <exported.jsonl)" -eq 18 ]
}

# A process that holds a key leaves no core, and no other process of its user reads its environment or memory. Root
# reads everything, so the run is then nobody's; the teacher's program looks at its parent.
locked()
{
	place=$(mktemp -d) && as=
	[ "$(id -u)" -ne 0 ] || as='setpriv --reuid=65534 --regid=65534 --clear-groups'
	cat >"$place/look.sh" <<-'END'
	exec >"$1/seen" 2>&1
	grep '^Max core' /proc/$PPID/limits
	cat /proc/$$/environ >/dev/null && echo 'own environment seen'
	cat /proc/$PPID/environ >/dev/null && echo 'environment seen'
	(: </proc/$PPID/mem) && echo 'memory seen'
	END
	plan locked && taught_by locked sh "$place/look.sh" "$place" &&
		cp locked.yaml ./*.jsonl "$place" && chmod 755 "$place" || return 1
	[ -z "$as" ] || chown -R 65534:65534 "$place"
	if ! $as "$program" --version || ! $as test -r "$tiny/config.json"; then
		as=
	fi
	(cd "$place" && BALDISTILL_STATE_DIR=$place/state $as "$program" run --quiet locked.yaml)
	cat "$place/seen"
	cp "$place/seen" seen
	rm -rf "$place"
	grep -q '^Max core file size  *0  *0 ' seen || return 1
	[ -n "$as" ] || [ "$(id -u)" -ne 0 ] || { echo 'root reads everything, and nobody cannot run the program'; return 77; }
	grep -q 'own environment seen' seen || { echo 'no process reads another here'; return 77; }
	! grep -q '^environment seen\|memory seen' seen
}

without_proxies()
{
	env -u http_proxy -u https_proxy -u HTTPS_PROXY -u all_proxy -u ALL_PROXY -u no_proxy -u NO_PROXY \
		OPENAI_API_KEY=sk-of-this-test "$@"
}

# What stands between the run and its teacher is told at the start, without its password; nothing is asked here.
proxy_told()
{
	plan proxied && sed -i 's|^teacher: .*|teacher: {kind: openai, base_url: "https://teacher.test/v1", model: m}|' proxied.yaml || return 1
	without_proxies https_proxy=http://me:sesame@proxy.test:3128 "$program" run proxied.yaml --until 0.select 2>said || return 1
	cat said
	grep -q "through the proxy 'http://proxy.test:3128';" said && ! grep -q sesame said && ! grep -rq sesame proxied || return 1
	without_proxies ALL_PROXY=proxy.test no_proxy=a.test "$program" run proxied.yaml --until 0.select 2>said || return 1
	grep -q "through the proxy 'proxy.test', unless no_proxy names the teacher;" said || return 1
	without_proxies "$program" run proxied.yaml --until 0.select 2>said && ! grep proxy said
}

# What one run of a comparison has paid for serves the next; nothing is sent without a bound.
shares()
{
	plan both && taught_by both sh "$folder/teacher.sh" "$folder/asked" || return 1
	ends 78 'max-queries' compare --quiet both.yaml --methods random-finetune-cot,baldistill-adaptive && [ ! -e asked ] || return 1
	ends 78 'less than the' compare --quiet both.yaml --methods random-finetune-cot,baldistill-adaptive --max-queries 100 || return 1
	ends 78 'less than the' compare --quiet both.yaml --methods random-finetune-cot,baldistill-adaptive --seeds 1,2 --max-queries 471 || return 1
	"$program" compare --quiet both.yaml --methods random-finetune-cot,baldistill-adaptive --seeds 1,2 --max-queries 500 --json >both.json || return 1
	shared=$(cat both/*/*/cassette.jsonl | grep -c '"reason":"shared"') calls=$(wc -l <asked)
	echo "$shared shared, $calls calls"
	[ "$shared" -gt 5 ] && [ $((shared + calls)) -eq 72 ] && grep -q '"baseline": *"random-finetune-cot"' both.json &&
		[ -s both/compare.json ] && grep -q '<td>baldistill-adaptive</td>' both/compare.html && [ -s both/baldistill-adaptive/2/report.html ]
}

# What a run has paid for is not bought again by another that has another plan.
reuses()
{
	plan spender 'method: random-finetune-cot' && taught_by spender sh "$folder/teacher.sh" "$folder/spender-asked" && run spender &&
		"$program" ledger export spender --output answers.jsonl && [ "$(wc -l <spender-asked)" -gt 5 ] || return 1
	plan reusing 'method: random-finetune-cot' && sed -i 's/learning_rate: 1.0e-2/learning_rate: 1.0e-3/' reusing.yaml &&
		taught_by reusing sh "$folder/teacher.sh" "$folder/reusing-asked" || return 1
	sed -i 's/^\(teacher: .*\)}$/\1, reuse: none.jsonl}/' reusing.yaml && ends 66 'none.jsonl' run --quiet reusing.yaml && [ ! -e reusing ] || return 1
	sed -i 's/reuse: none.jsonl/reuse: teacher.jsonl/' reusing.yaml && ends 65 'prompt_sha256' run --quiet reusing.yaml && [ ! -e reusing ] || return 1
	sed -i 's/reuse: teacher.jsonl/reuse: answers.jsonl/' reusing.yaml && run reusing && [ ! -e reusing-asked ] && "$program" status --json reusing | tr -d ' \n' | tee said &&
		grep -q '"wire":0' said && cmp spender/stage-0/train.jsonl reusing/stage-0/train.jsonl
}

# A plan may name its files in another way, or their new places; what lies there must be the same.
finds_moved_files()
{
	plan moves 'method: random-finetune-cot' && run moves --until 0.annotate && mkdir -p elsewhere && cp train.jsonl elsewhere/pool.jsonl &&
		sed -i 's|train: train.jsonl|train: elsewhere/pool.jsonl|' moves.yaml && run moves || return 1
	plan altered 'method: random-finetune-cot' && run altered --until 0.annotate && sed 1d train.jsonl >elsewhere/pool.jsonl &&
		sed -i 's|train: train.jsonl|train: elsewhere/pool.jsonl|' altered.yaml && ends 78 'may be moved, not changed' run --quiet altered.yaml
}

# A pool whose prompts are mostly too long to learn from costs nothing; plan tells of it.
tells_long_prompts()
{
	awk 'NR > 8 { sub(/"input": *"/, "&very very very very long ") } 1' train.jsonl >lengthy.jsonl && plan lengthy &&
		taught_by lengthy sh "$folder/teacher.sh" "$folder/lengthy-asked" &&
		sed -i 's/^training: {/training: {max_length: 122, /; s/train: train.jsonl/train: lengthy.jsonl/' lengthy.yaml &&
		"$program" plan lengthy.yaml >said 2>&1 || { cat said; return 1; }
	cat said
	grep 'what is bought for such an example cannot be learned' said && ends 78 '^[^:]*: 18 of 26 prompts have 122 tokens or more' run --quiet lengthy.yaml &&
		[ ! -e lengthy-asked ] && [ ! -e lengthy ]
}

# A small student with the rate of a large one is told before it costs anything.
tells_of_the_rate()
{
	told='learning_rate is 0.0002.* million may hardly learn'
	plan slow && taught_by slow sh "$folder/teacher.sh" "$folder/slow-asked" && sed -i 's/learning_rate: 1.0e-2/learning_rate: 2.0e-4/' slow.yaml &&
		"$program" plan slow.yaml 2>&1 | grep "$told" && "$program" run slow.yaml --until 0.select 2>&1 | grep "$told" &&
		[ ! -e slow-asked ] || return 1
	sed -i 's/learning_rate: 2.0e-4/learning_rate: 1.0e-2/' slow.yaml && "$program" plan slow.yaml >said 2>&1 && ! grep 'hardly learn' said &&
		sed -i 's/learning_rate: 1.0e-2/learning_rate: 2.0e-4, finetuning_type: full/' slow.yaml && "$program" plan slow.yaml >said 2>&1 &&
		! grep 'hardly learn' said
}

# Answers that are longer than the student's may be are told of where they are learned, and what was cut off where it is scored.
tells_of_cut_answers()
{
	learned='6 of 6 answers to learn from are longer than evaluation.max_new_tokens, 8'
	plan brief && "$program" run brief.yaml --until 0.evaluate >said 2>&1 && grep "$learned" said &&
		grep '^baldistill: [1-9][0-9]* of 10 answers were cut off at 8 tokens' said &&
		plan spoken && sed -i 's/^evaluation: .*/evaluation: {max_new_tokens: 400, stages: all}/' spoken.yaml &&
		"$program" run spoken.yaml --until 0.train >said 2>&1 && ! grep 'answers to learn from' said &&
		plan unheard && sed -i 's/^evaluation: .*/evaluation: {max_new_tokens: 8, stages: none}/' unheard.yaml &&
		"$program" run unheard.yaml --until 0.train >said 2>&1 && ! grep 'answers to learn from' said
}

check 'a run ends with every result' whole_run
check 'the allocation is the policy' allocates
check 'no query is asked twice' nothing_asked_twice
check 'the same command again changes nothing' again_is_nothing_to_do
check 'a second run gives the same bytes' same_bytes_twice
check 'stopped after every step: the same bytes' in_pieces
check 'killed again and again: the same bytes' killed
check "the run's own cassette replays to the same bytes" replays
for name in zero-shot-cot random-finetune random-finetune-cot duplicate-finetune-cot balance-finetune-cot \
	active-finetune-cot active-finetune-cot-staged baldistill-naive; do
	check "method $name" method $name
done
check 'the hardest of the head are taken' takes_the_hardest
check 'selection scores like generate and score' equals_score
check 'the reference selects the same' other_backend
check 'presets keep or drop wrong rationales' presets
check 'synthetic rows are verified, or parsed alone' full_and_parse
check 'units left over replace what was lost' replaces
check 'duplicates repeat real rows' repeats_rows
check 'no teacher: gold answers, nothing spent' buys_nothing
check 'tail domains get synthetic rows, bad ones are dropped' synthesises
check 'a paid teacher is asked for every unit once' paid
check 'a hung up terminal loses no paid answer' hung_up
check 'an interrupt loses no paid answer, a second one ends at once' signalled INT 2
check 'a termination loses no paid answer, a second one ends at once' signalled TERM 15
check 'an export does not replace the ledger' ledger_stays
check 'a run that may hold a key is closed to others' locked
check 'a proxy is told at the start' proxy_told
check 'a comparison shares what was paid for, within a bound' shares
check 'what another run paid for is reused' reuses
check 'files may be moved' finds_moved_files
check 'prompts too long to learn from are told before they cost' tells_long_prompts
check 'the rate of a large student is told of a small one' tells_of_the_rate
check 'answers that are cut off are told' tells_of_cut_answers
check 'a budget may grow while a stage is left' grows
check 'a prompt that is too long is left out' too_long
check 'changed data are refused' changed_data
check 'a changed student is refused' changed_student
check "ids of a run's own kind are refused" made_up_id
check 'an answer that is no class is a wrong one' no_class
check 'plan knows every kind of method' plans_all_methods
plan none && sed -i 's/stages: all/stages: none/' none.yaml
check 'a stage, a figure, a seed that is not there' until_beyond
check '--until names a step that is past' until_passed
check 'a comparison of no method' ends 64 'names no method' compare --quiet whole.yaml --methods ,
check 'completions that no student made' crafted
check "a teacher's program, from another directory" from_elsewhere
check 'plain http to another machine is asked for' http_is_asked_for
check 'what reached nobody is not called billed' not_billed
check 'plan tells the money, and needs no student' plans_the_money
check 'what cannot be is told at once' tells_at_once
check 'what cannot be trained is told before buying' told_before_buying
check 'plan counts the cache of all slots' plans_the_cache
check 'prompts that leave no room are told before buying' long_prompts_are_told
plan text && sed -i 's/num_train_epochs: 1/num_train_epochs: "1"/' text.yaml
check 'a number in quotes' ends 78 "text.yaml:6:.*'num_train_epochs' takes a value without quotes" plan --quiet text.yaml
plan valid && sed -i 's/stages: all/stages: all, on: valid/' valid.yaml
check 'on: valid without a file' ends 78 'valid.yaml:8:.*task.valid' plan --quiet valid.yaml
check 'gold targets that are too long' gold_too_long
check 'a pool that a cassette restricts' restricted
check 'a damaged final/ is made again' final_again
check 'an error of the file system ends the run, not a result' not_told
check 'a training is done once, whenever it is killed' trained_once
check 'a plan needs no place to write' plan_writes_nothing
check 'nothing drives the terminal' escapes
check 'a changed result is refused' damaged
check 'a changed plan is refused' other_plan
check 'a foreign directory is left alone' not_a_run
check 'a recorded teacher without an answer' unknown_answer
echo "1..$cases"
