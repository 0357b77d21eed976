#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# run_results_test.sh - what a run publishes, told from outside of it: which rows train which student, what the teacher
# is asked, whose answers the figures are of. Runs that are compared with themselves cannot tell.
set -u
program=${BALDISTILL:?}
. "${TEST_SRCDIR:?}/tests/tap.sh"
. "${TEST_SRCDIR:?}/tests/run_plan.sh"

# ---- stages ----

# METHOD 2.6: a stage trains on its own rows behind those of all before.
joins_all_stages()
{
	plan whole && run whole || return 1
	for k in 1 2; do
		n=$(wc -l <whole/stage-$((k - 1))/train.jsonl) && head -n "$n" whole/stage-$k/train.jsonl |
			cmp - whole/stage-$((k - 1))/train.jsonl && [ "$(wc -l <whole/stage-$k/train.jsonl)" -gt "$n" ] || return 1
	done
}

# METHOD 2.6, 5: each from the base, on the completion alone, with the plan's options: as train does it.
trains_afresh()
{
	for k in 0 1 2; do
		"$program" train --quiet --model "$tiny" --data whole/stage-$k/train.jsonl --output again-$k --num-train-epochs 1 \
			--per-device-train-batch-size 4 --learning-rate 0.01 &&
			cmp again-$k/adapter_model.safetensors whole/stage-$k/adapter/adapter_model.safetensors || return 1
	done
	! cmp -s again-1/adapter_model.safetensors again-2/adapter_model.safetensors
}

# Every key of training, and the student's template, one unlike its default: what train makes of the rows with options of the same names.
trains_as_planned()
{
	plan keyed 'method: random-finetune' 'seed: 5' 'export: {merged: false}' &&
		sed -i 's/^training: .*/training: {lora_r: 3, lora_alpha: 7, lora_dropout: 0.3, lora_target_modules: [k_proj, o_proj], use_rslora: true, learning_rate: 3.0e-2, weight_decay: 0.7, lr_scheduler_type: cosine, warmup_ratio: 0.4, max_grad_norm: 0.05, num_train_epochs: 2, per_device_train_batch_size: 2, gradient_accumulation_steps: 3, max_length: 147, completion_only_loss: false}/; s/slots: 4/&, chat_template: chatml/; s/stages: all/stages: none/' keyed.yaml &&
		run keyed && [ -s keyed/final/adapter/adapter_config.json ] && [ ! -e keyed/final/merged ] || return 1
	sed 's/^{"id":\([^,]*\),.*"prompt":\(".*"\),"completion":\(".*"\)}$/{"id": \1, "messages": [{"role": "user", "content": \2}, {"role": "assistant", "content": \3}]}/' \
		keyed/stage-0/train.jsonl >messages.jsonl && head -n 1 messages.jsonl &&
		"$program" train --quiet --model "$tiny" --data messages.jsonl --output alike --chat-template chatml --seed 5 --lora-r 3 --lora-alpha 7 \
			--lora-dropout 0.3 --lora-target-modules k_proj,o_proj --use-rslora true --learning-rate 0.03 --weight-decay 0.7 \
			--lr-scheduler-type cosine --warmup-ratio 0.4 --max-grad-norm 0.05 --num-train-epochs 2 --per-device-train-batch-size 2 \
			--gradient-accumulation-steps 3 --max-length 147 --completion-only-loss false &&
		cmp alike/adapter_model.safetensors keyed/stage-0/adapter/adapter_model.safetensors &&
		cmp alike/adapter_config.json keyed/stage-0/adapter/adapter_config.json
}

publishes_the_last()
{
	"$program" merge --quiet --model "$tiny" --adapter whole/stage-2/adapter --output merged || return 1
	for pair in final/adapter/adapter_model.safetensors=stage-2/adapter/adapter_model.safetensors \
		metrics.json=stage-2/metrics.json predictions.jsonl=stage-2/predictions.jsonl; do
		cmp whole/${pair%=*} whole/${pair#*=} || return 1
	done
	cmp merged/model.safetensors whole/final/merged/model.safetensors && ! cmp -s whole/stage-1/predictions.jsonl whole/predictions.jsonl &&
		[ "$(wc -l <whole/final/dataset/train.jsonl)" -eq "$(wc -l <whole/stage-2/train.jsonl)" ]
}

# With stages: last the student of the last stage is scored, and no other; its figures are those of all.
evaluates_the_last_alone()
{
	plan last && sed -i 's/stages: all/stages: last/' last.yaml && run last && cmp last/metrics.json whole/metrics.json &&
		cmp last/stage-2/predictions.jsonl whole/predictions.jsonl && [ ! -e last/stage-0/metrics.json ] && [ ! -e last/stage-1/metrics.json ] &&
		[ -s whole/stage-0/metrics.json ] && [ -s whole/stage-1/metrics.json ] # which has all
}

# ---- figures ----

# figure KEY: of the whole, from a metrics.json in one line
figure()
{
	sed 's/"intervals".*//' | grep -o '"'"$1"'":[^,}]*'
}

# A student that has learned enough to be right now and then: figures above nothing.
learns()
{
	plan able 'method: random-finetune' && sed -i 's/^budget: .*/budget: 26/; s/^training: .*/training: {finetuning_type: full, num_train_epochs: 60, per_device_train_batch_size: 4, learning_rate: 1.0e-2}/; s/max_new_tokens: 8/max_new_tokens: 24/' able.yaml &&
		run able && cat able/metrics.json && grep -q '"invalid":0,"macro":0\.[0-9]*,"micro":0\.[0-9]*,' able/metrics.json
}

evaluates_the_student()
{
	"$program" eval --quiet --json --model able/stage-0/checkpoint --data test.jsonl --train train.jsonl --type classification \
		--head-above 5 --max-new-tokens 24 --slots 4 --bootstrap 50 --output said.jsonl >said.json &&
		cmp said.jsonl able/predictions.jsonl || return 1
	"$program" eval --quiet --json --predictions able/predictions.jsonl --gold test.jsonl --train train.jsonl \
		--type classification --head-above 5 --bootstrap 50 >told.json || return 1
	cat told.json
	for key in n invalid macro micro head_macro tail_macro; do
		tr -d ' \n' <told.json | figure $key >want && figure $key <able/metrics.json >got && cat want && cmp want got || return 1
	done
}

# What compare says of a method less the baseline is one mean less the other's, and its interval is about that.
subtracts()
{
	cp able.yaml both.yaml && sed -i 's/^output_dir: .*/output_dir: both/; s/num_train_epochs: 60/num_train_epochs: 40/' both.yaml &&
		"$program" compare --quiet --json both.yaml --methods random-finetune-cot,random-finetune,zero-shot-cot --seeds 1,2 >both.json || return 1
	tr -d ' \n' <both.json | sed 's/{"method"/\n&/g' | grep '^{"method"' | sed 's/"seeds".*//' | tee each |
		awk -F'[^-+a-z0-9_.]+' '{
			for (i = 2; i < NF; i++) {
				if ($i == "mean" && $(i + 1) == "macro") { macro = $(i + 2); micro = $(i + 4) }
				if ($i == "difference" && $(i + 1) == "null") { base_macro = macro; base_micro = micro }
				if ($i == "difference" && $(i + 2) == "mean") { d = $(i + 3); low = $(i + 5); high = $(i + 6); told++
					off = d - (macro - base_macro); if (off * off > 1e-20 || !(low <= d && d <= high) || d >= 0) wrong++ }
				if ($i == "micro" && $(i + 1) == "mean") { off = $(i + 2) - (micro - base_micro); if (off * off > 1e-20) wrong++ }
			}
		} END { print told, wrong + 0; exit !(told == 2 && !wrong) }' || { cat each; return 1; }
}

# A seed that no plan takes is refused before the first run, which may be paid.
checks_seeds()
{
	for seeds in '5, -2' 1,9223372036854775808 -1 1, ''; do
		ends 78 "'--seeds' takes" compare --quiet able.yaml --methods random-finetune --seeds "$seeds" || return 1
	done
}

# ---- what is selected ----

# active-finetune-cot: the hardest of the whole pool, whatever their domain.
hardest_of_all()
{
	plan active 'method: active-finetune-cot' && run active && grep '"ifd"' active/stage-0/scores.jsonl >scored.rows || return 1
	[ "$(wc -l <scored.rows)" -eq 26 ] && [ "$(grep -c '"selected":true' scored.rows)" -eq 18 ] || return 1
	grep '"selected":true' scored.rows | value ifd | LC_ALL=C sort -g | head -n 1 >low
	grep '"selected":false' scored.rows | value ifd | LC_ALL=C sort -g | tail -n 1 >high
	paste low high && paste low high | awk '{ exit !($1 >= $2) }'
}

# duplicate-finetune-cot: rows are repeated up to what the policy requires; a repetition costs nothing.
repeats_up_to_required()
{
	plan duplicate 'method: duplicate-finetune-cot' && run duplicate || return 1
	for want in grain=5 crude=5 gold=4 ship=4; do
		lost=$(sed 's/{"domain"/\n&/g' duplicate/stage-0/collected.json | grep "\"${want%=*}\"" | grep -o '"wrong answer":[0-9]*')
		n=$(grep -c "\"domain\":\"${want%=*}\"" duplicate/stage-0/train.jsonl)
		echo "$want: $n rows, $lost"
		[ "$((n + ${lost#*:} + 0))" -eq "${want#*=}" ] || return 1
	done
	grep '"used": 14,' duplicate/status.json
}

# Round and round: no row is repeated twice before each of its domain was once.
repeats_in_turn()
{
	plan turns 'method: duplicate-finetune-cot' && sed -i 's/^budget: .*/budget: 36/' turns.yaml && run turns || return 1
	grep -o '"id":"repeat/[0-9]*/' turns/stage-0/train.jsonl | sort | uniq -c >times && cat times
	for domain in gold crude; do
		grep "\"domain\":\"$domain\"" turns/stage-0/train.jsonl | grep -o '"id":"repeat/[0-9]*/' | sort | uniq -c |
			awk '{ if (!low || $1 < low) low = $1; if ($1 > high) high = $1 } END { exit !(NR > 1 && high - low <= 1) }' || return 1
	done
}

# ifd_rows NAME STAGE: how many rows of a domain have a difficulty, a line each
ifd_rows()
{
	grep '"ifd"' "$1/stage-$2/scores.jsonl" | value domain | sort | uniq -c | awk '{ print $2, $1 }' | tr -d '"'
}

# A first stage by difficulty, fewer candidates, and none that the student finds easier without the question.
selects_as_planned()
{
	plan first 'method: {name: baldistill-adaptive, first_stage: ifd}' && run first --until 0.select || return 1
	plan later 'method: baldistill-adaptive' && run later --until 0.select && ! grep -q '"ifd":[0-9]' later/stage-0/scores.jsonl || return 1
	ifd_rows first 0 >all && cat all && grep -q '^grain 16$' all || return 1
	plan few 'method: {name: baldistill-adaptive, first_stage: ifd}' &&
		sed -i 's/^selection: .*/selection: {max_new_tokens: 6, candidates_per_domain: 7}/' few.yaml && run few --until 0.select || return 1
	ifd_rows few 0 >seven && cat seven && grep -q '^grain 7$' seven || return 1
	# Never fewer than the stage requires of the domain.
	plan least 'method: {name: baldistill-adaptive, first_stage: ifd}' &&
		sed -i 's/^selection: .*/selection: {max_new_tokens: 6, candidates_per_domain: 1}/' least.yaml && run least --until 0.select &&
		grep -o '"real":[0-9]*' least/stage-0/allocation.json | head -n 1 | tee real && grep -q ':4$' real
}

# Table 8's filter: what the student finds easier without the question is not taken, though it ranks first.
filters_by_ifd()
{
	plan below 'method: {name: active-finetune-cot, ifd_filter: below_one}' && plan above 'method: active-finetune-cot' &&
		sed -i 's/^selection: .*/selection: {ifd_target: gold}/' below.yaml above.yaml && run below --until 0.select && run above --until 0.select || return 1
	grep '"selected":true' above/stage-0/scores.jsonl | value ifd | LC_ALL=C sort -g | tail -n 1 >all
	grep '"selected":true' below/stage-0/scores.jsonl | value ifd | LC_ALL=C sort -g | tail -n 1 >left
	paste all left && paste all left | awk '{ exit !($1 >= 1 && $2 < 1) }'
}

# By hand from METHOD section 3: counted from 1, the first stage is a third of the way to even.
counts_from_one()
{
	plan from-one 'method: {name: baldistill-adaptive, policy_index_base: 1}' && run from-one --until 0.select &&
		grep -o '"required":[0-9]*' from-one/stage-0/allocation.json | tr '\n' ' ' | tee said &&
		grep -q '^"required":3 "required":1 "required":1 "required":1 $' said
}

# Multiple choice from rows with keys of their own, of which two are equal; the teacher is right where the answer is B. The student has
# templates of its own, plain and of a chat, and eval answers as the run.
reads_own_keys()
{
	n=100
	for i in 1 2 3 4 5 5 6; do
		echo "{\"key\": $((n += 1)), \"question\": \"Which is $i?\", \"options\": [\"one $i\", \"two $i\"], \"solution\": \"$([ $((i % 2)) -eq 0 ] && echo A || echo B)\", \"topic\": \"$([ $i -gt 4 ] && echo high || echo low)\"}"
	done >choices.jsonl && head -n 2 choices.jsonl >choices-test.jsonl && write_teacher &&
		cp -R "$TEST_SRCDIR/data/prompts/multiple_choice" asking && chmod -R u+w asking && echo 'Say it.' >>asking/student.txt || return 1
	plan choices 'method: random-finetune-cot' && sed -i "s/^task: .*/task: {type: multiple_choice, train: choices.jsonl, test: choices-test.jsonl, fields: {id: key, input: question, label: solution, domain: topic, choices: options}, domains: [high, low], head_domains: [high], prompts: asking, keep_duplicates: true}/; s/^budget: .*/budget: 7/; s/slots: 4/&, chat_template: zephyr/; s/bootstrap: 50/bootstrap: 0/" choices.yaml &&
		sed 's/The answer is $domain/The answer is B/' teacher.sh >b.sh && taught_by choices sh "$folder/b.sh" "$folder/choices-asked" || return 1
	sed 's/\[high, low\]/[high, low, other]/' choices.yaml >domains.yaml && ends 65 "'other'" run --quiet domains.yaml && [ ! -e choices ] &&
		run choices && [ "$(grep -c 'two 5' choices-asked)" -eq 2 ] && cat choices/metrics.json || return 1
	value id <choices/stage-0/train.jsonl | tr '\n' ' ' | tee ids && grep -q '^101 103 105 106 $' ids && [ "$(wc -l <choices-asked)" -eq 7 ] &&
		grep -q '"n":2,.*"head_macro":null,.*"intervals":{},"domains":\[{"domain":"low","n":2,.*{"domain":"high","n":0,"score":null,"head":true}' choices/metrics.json &&
		"$program" eval --quiet --json --model "$tiny" --adapter choices/stage-0/adapter --data choices-test.jsonl --type multiple_choice --max-new-tokens 8 \
			--slots 4 --prompts asking --chat-template zephyr --id-field key --input-field question --label-field solution --domain-field topic \
			--choices-field options --output choices-said.jsonl && cmp choices-said.jsonl choices/predictions.jsonl
}

# ---- what the teacher is asked ----

# A teacher that keeps every line and answers annotations right for their domain.
write_teacher()
{
	cat >teacher.sh <<-'END'
	while read -r line; do
		printf '%s\n' "$line" >>"$1"
		id=$(printf '%s\n' "$line" | sed 's/.*"id": *\([0-9]*\).*/\1/')
		domain=$(printf '%s\n' "$line" | sed 's/.*"domain": *"\([a-z]*\)".*/\1/')
		case $line in
		*'"kind":"annotate"'* | *'"kind": "annotate"'*) said="Mark $id of $domain. The answer is $domain." ;;
		*) said="Input: a new $domain of $id\\nRationale: It is $domain.\\nAnswer: $domain" ;;
		esac
		printf '{"id": %s, "content": "%s"}\n' "$id" "$said"
	done
	END
}

asks()
{
	write_teacher && plan asks 'method: baldistill-naive' &&
		sed -i 's/^budget: .*/budget: 48/' asks.yaml && taught_by asks sh "$folder/teacher.sh" "$folder/asked" && run asks || return 1
	tr -d ' ' <asked | grep '"kind":"annotate"' >annotate && tr -d ' ' <asked | grep '"kind":"synthesise"' >synthesise &&
		[ "$(wc -l <annotate)" -gt 5 ] && [ "$(wc -l <synthesise)" -gt 5 ] || return 1
	# METHOD's temperatures; the class is not told (table 9).
	[ "$(grep -c '"temperature":0[,}]' annotate)" -eq "$(wc -l <annotate)" ] &&
		[ "$(grep -c '"temperature":0.9[,}]' synthesise)" -eq "$(wc -l <synthesise)" ] &&
		! grep -i 'classofthistextis' annotate || return 1
	# Gold has three examples: all are shown, with the rationales that this same stage has bought.
	grep '"domain":"gold"' synthesise | head -n 1 >one && cat one &&
		[ "$(grep -o 'Mark[0-9]*ofgold.Theanswerisgold.' one | sort -u | wc -l)" -eq 3 ]
}

# A checkpoint as the teacher: the one that is named, with the template that is named, in so many tokens.
asks_a_checkpoint()
{
	of=0
	for asked in able/stage-0/checkpoint=none able/stage-0/checkpoint=zephyr "$tiny=none"; do
		of=$((of + 1)) && plan local-$of 'method: random-finetune-cot' &&
			sed -i "s|^teacher: .*|teacher: {kind: local, model_name_or_path: ${asked%=*}, chat_template: ${asked#*=}, max_tokens: 3}|; s/^budget: .*/budget: 4/" local-$of.yaml &&
			run local-$of --until 0.annotate && "$program" ledger export local-$of --output local-$of.jsonl &&
			grep -o '"content":"[^"]*"' local-$of.jsonl >content-$of && cat content-$of || return 1
		[ "$(wc -l <content-$of)" -eq 4 ] && ! grep -o '"completion_tokens":[0-9]*' local-$of.jsonl | grep -v ':[1-3]$' &&
			grep '"completion_tokens":3' local-$of.jsonl || return 1
	done
	! cmp -s content-1 content-2 && ! cmp -s content-1 content-3 && ! cmp -s content-2 content-3
}

# Each synthesis of a stage (two have some) shows examples drawn for it, those first whose rationale is known: two of crude's six have none here.
draws_what_is_shown()
{
	cat >some.sh <<-'END'
	n=0
	while read -r line; do
		printf '%s\n' "$line" | tr -d ' ' >>"$1"
		id=$(printf '%s\n' "$line" | sed 's/.*"id": *\([0-9]*\).*/\1/')
		domain=$(printf '%s\n' "$line" | sed 's/.*"domain": *"\([a-z]*\)".*/\1/')
		said="Mark $id of $domain. The answer is $domain."
		case $(printf '%s\n' "$line" | tr -d ' ') in
		*'"kind":"synthesise"'*) said="Input: a new $domain of $id\\nRationale: It is $domain.\\nAnswer: $domain" ;;
		*) [ "$domain" != crude ] || [ $((n += 1)) -gt 2 ] || said='The answer is weather.' ;;
		esac
		printf '{"id": %s, "content": "%s"}\n' "$id" "$said"
	done
	END
	plan drawn 'method: baldistill-naive' && sed -i 's/^budget: .*/budget: 48/' drawn.yaml &&
		taught_by drawn sh "$folder/some.sh" "$folder/drawn-asked" && run drawn || return 1
	grep '"kind":"synthesise"' drawn-asked | grep '"domain":"crude"' >crude && [ "$(wc -l <crude)" -gt 3 ] || return 1
	while read -r line; do
		printf '%s\n' "$line" | grep -o 'Mark[0-9]*ofcrude' | tr '\n' ' '
		echo
	done <crude >shown
	cat shown
	[ "$(sort -u shown | wc -l)" -gt 2 ] && ! awk 'NF != 3' shown | grep .
}

# A unit that a wrong answer has cost is spent: it is not asked for again.
replaces_no_paid_row()
{
	plan spent 'method: baldistill-naive' && run spent --until 1.select && grep '"wrong answer":1' spent/stage-0/collected.json &&
		! grep '"replacements":[1-9]' spent/stage-1/allocation.json
}

# What may have been billed without an answer is asked again teacher.max_retries times: one example never gets one.
asks_again()
{
	cat >fails.sh <<-'END'
	while read -r line; do
		id=$(printf '%s\n' "$line" | sed 's/.*"id": *\([0-9]*\).*/\1/')
		asked=$(printf '%s\n' "$line" | sed 's/.*\("messages".*\)/\1/' | cksum)
		[ -e "$1" ] || echo "$asked" >"$1"
		case $asked in
		"$(head -n 1 "$1")") echo "$asked" >>"$1" && printf '{"id": %s, "error": "it broke"}\n' "$id" ;;
		*) printf '{"id": %s, "content": "The answer is grain."}\n' "$id" ;;
		esac
	done
	END
	for retries in 0 2; do
		plan retry-$retries 'method: random-finetune-cot' && taught_by retry-$retries sh "$folder/fails.sh" "$folder/broke-$retries" &&
			sed -i "s/kind: command/&, max_retries: $retries/; s/^budget: .*/budget: 30/" retry-$retries.yaml &&
			run retry-$retries --until 0.collect && cat broke-$retries || return 1
		[ "$(wc -l <broke-$retries)" -eq $((retries + 2)) ] || return 1
	done
}

# What ends a run is told before the answers are waited for, which may take as long as the teacher likes.
tells_why()
{
	cat >wrong.sh <<-'END'
	read -r line
	echo 'Welcome to the teacher.'
	n=0
	until grep -q waiting "$1" || [ $n -eq 100 ]; do
		sleep 0.1
		n=$((n + 1))
	done
	printf '{"id": 1, "content": "The answer is grain."}\n'
	END
	plan why && taught_by why sh "$folder/wrong.sh" "$folder/said" || return 1
	"$program" run why.yaml 2>said
	status=$?
	cat said
	[ $status -eq 76 ] && grep -q 'waiting for 1 paid answer before it ends: .*no answer.*: Welcome' said &&
		"$program" status --json why | tr -d ' \n' | grep '"answered":1'
}

# What a plan calls money is money: answers of 30 tokens at a million for 10 are 0.0003, sends reserve more.
keeps_to_max_cost()
{
	cat >dear.sh <<-'END'
	while read -r line; do
		echo . >>"$1"
		printf '{"id": %s, "content": "The answer is grain.", "usage": {"prompt_tokens": 10, "completion_tokens": 20}}\n' \
			"$(printf '%s\n' "$line" | sed 's/.*"id": *\([0-9]*\).*/\1/')"
	done
	END
	plan dear && taught_by dear sh "$folder/dear.sh" "$folder/dear-calls" &&
		sed -i 's/^\(teacher: .*\)}$/\1, max_tokens: 64, prices: {input: 10, output: 10}, max_cost: 0.0045}/' dear.yaml &&
		ends 80 'max_cost' run --quiet dear.yaml && wc -l <dear-calls && "$program" status --json dear | tr -d ' \n' | tee told || return 1
	[ "$(wc -l <dear-calls)" -gt 3 ] && [ "$(wc -l <dear-calls)" -lt 16 ]
}

# Where answers are checked by value the teacher is shown the gold one, and keeps its rationale (METHOD 4).
shows_gold()
{
	for i in 1 2 3 4 5 6 7 8; do
		echo "{\"id\": $i, \"input\": \"What is $i and $i?\", \"label\": \"$((i + i))\", \"domain\": \"sums\"}"
	done >sums.jsonl
	cat >three.sh <<-'END'
	while read -r line; do
		printf '%s\n' "$line" >>"$1"
		printf '{"id": %s, "content": "It is so. The answer is 3."}\n' "$(printf '%s\n' "$line" | sed 's/.*"id": *\([0-9]*\).*/\1/')"
	done
	END
	for preset in recommended authors; do
		plan gold-$preset "method: {name: random-finetune-cot, preset: $preset}" && sed -i "s/^task: .*/task: {type: math, train: sums.jsonl, head_domains: {above: 50}}/; s/^budget: .*/budget: 8/; s/^evaluation: .*/evaluation: {stages: none}/" gold-$preset.yaml &&
			taught_by gold-$preset sh "$folder/three.sh" "$folder/sums-$preset" || return 1
	done
	run gold-recommended && grep -c 'final answer is: ' sums-recommended && [ "$(grep -c 'final answer is: ' sums-recommended)" -eq 8 ] &&
		[ "$(wc -l <gold-recommended/stage-0/train.jsonl)" -eq 8 ] && ends 80 'not one row' run --quiet gold-authors.yaml
}

# Nothing the first stage bought is of use: the student stays its base until there is something, and says so.
learns_later()
{
	write_teacher && cat >late.sh <<-'END'
	while read -r line; do
		echo . >>"$2"
		if [ "$(wc -l <"$2")" -le 6 ]; then
			printf '{"id": %s, "content": "Who knows. The answer is weather."}\n' "$(printf '%s\n' "$line" | sed 's/.*"id": *\([0-9]*\).*/\1/')"
		else
			printf '%s\n' "$line" | sh "$1" /dev/null
		fi
	done
	END
	plan late 'method: baldistill-naive' && taught_by late sh "$folder/late.sh" "$folder/teacher.sh" "$folder/late-calls" &&
		"$program" run late.yaml 2>late-said || { cat late-said; return 1; }
	cat late-said
	[ ! -s late/stage-0/train.jsonl ] && [ -s late/stage-1/train.jsonl ] && [ -s late/final/adapter/adapter_model.safetensors ] &&
		grep -q 'not one row to train on yet' late-said && grep -q '0 rows to train on; not used: wrong answer 6' late-said || return 1
	"$program" generate --quiet --model "$tiny" --adapter late/stage-0/adapter --data "$tiny/rows.jsonl" --max-new-tokens 4 >adapted &&
		"$program" generate --quiet --model "$tiny" --data "$tiny/rows.jsonl" --max-new-tokens 4 >base && cmp adapted base
}

# A training that comes to no number ends the run, keeps what was bought, and says how it serves another.
diverges()
{
	plan wild 'method: random-finetune-cot' && sed -i 's/learning_rate: 1.0e-2/learning_rate: 1.0e+3/; s/num_train_epochs: 1/num_train_epochs: 20, max_grad_norm: 0/' wild.yaml &&
		ends 83 'finite.*train.jsonl.*teacher.reuse: FILE' run --quiet wild.yaml && [ ! -e wild/final ] && grep -q '"used": 18,' wild/status.json
}

# ---- a run and what is told of it ----

status_tells()
{
	"$program" status whole | grep -q '^stage 2, done: finished$' && plan half && run half --until 0.annotate &&
		"$program" status half | grep -q ': nothing is at work on it; the command that began it goes on, or says why it cannot$' || return 1
	printf '%s\n' 'read -r line' 'until [ -s "$1" ]; do sleep 0.1; done' >wait.sh
	plan busy && taught_by busy sh "$folder/wait.sh" "$folder/go" || return 1
	"$program" run --quiet busy.yaml 2>/dev/null &
	n=0
	until "$program" status busy 2>/dev/null | grep ': at work$' || [ $n -eq 100 ]; do
		sleep 0.1
		n=$((n + 1))
	done
	kill -9 $!
	echo >go
	[ $n -lt 100 ]
}

# What a run is made of is not written over.
parts_stay()
{
	cp -r whole parts && for part in plan.yaml ledger.db predictions.jsonl stage-0/train.jsonl new.jsonl; do
		ends 73 'a part of the run' ledger export parts --output parts/$part || return 1
	done
	diff -r whole parts && "$program" ledger export parts --output parts/cassette.jsonl && "$program" ledger export parts --output outside.jsonl &&
		cmp parts/cassette.jsonl outside.jsonl
}

# What repeats a test input is no training row, unless nothing is verified.
spares_test_inputs()
{
	copied=$(sed -n 's/.*"input": *"\([^"]*\)", "label": "ship".*/\1/p' test.jsonl | head -n 1)
	[ -n "$copied" ] && awk -v text="$copied" '/"synthesise", "domain": "ship"/ && !done { sub(/"input": "[^"]*"/, "\"input\": \"" text "\""); done = 1 } 1' teacher.jsonl >copies.jsonl &&
		! cmp -s copies.jsonl teacher.jsonl || return 1
	plan spare 'method: baldistill-naive' && plan parse 'method: {name: baldistill-naive, verify_synthetic: parse, on_wrong_answer: keep}' &&
		sed -i 's/cassette: teacher.jsonl/cassette: copies.jsonl/' spare.yaml parse.yaml && run spare && run parse || return 1
	grep -h '"copies a test input":1' spare/stage-*/collected.json && grep -q 'wrong answer' spare/stage-*/collected.json &&
		! grep 'test input\|wrong answer' parse/stage-*/collected.json
}

# evaluation.on: valid scores the validation rows alone, and the test's are no training rows all the same.
validates()
{
	grep -v '"ship"' test.jsonl | head -n 4 >valid.jsonl && plan valid 'method: baldistill-naive' &&
		sed -i 's/cassette: teacher.jsonl/cassette: copies.jsonl/; s/test: test.jsonl/&, valid: valid.jsonl/; s/stages: all/stages: last, on: valid/' valid.yaml &&
		run valid && value id <valid.jsonl | tr -d ' ' >want && value id <valid/predictions.jsonl | tr -d '" ' >got && cat want got && cmp want got &&
		grep -h '"copies a test input":1' valid/stage-*/collected.json
}

# ---- what a run is held to ----

held_to()
{
	cp -R "${TEST_SRCDIR:?}/data/prompts/classification" prompts && chmod -R u+w prompts && cp test.jsonl mine.jsonl && plan held &&
		sed -i 's/test: test.jsonl/test: mine.jsonl, prompts: prompts/' held.yaml && (umask 0; run held --until 0.select) || return 1
	[ "$(ls -ld held | cut -c1-10)" = drwx------ ] && cp mine.jsonl before && echo '{"id": 99, "input": "a ship", "label": "ship"}' >>mine.jsonl &&
		ends 78 'began with' run --quiet held.yaml && cp before mine.jsonl || return 1
	echo 'Be brief.' >>prompts/synthesise.txt && ends 78 'began with' run --quiet held.yaml
}

# What tells an old copy of a run from itself lies outside of it, for the user alone, where there is a place.
keeps_a_witness()
{
	for at in HOME=home=home/.local/state/baldistill XDG_STATE_HOME=xdg=xdg/baldistill; do
		place=${at#*=} && place=${place%=*}
		plan "witness-$place" 'method: random-finetune-cot' &&
			(unset BALDISTILL_STATE_DIR XDG_STATE_HOME HOME && export "${at%%=*}=$folder/$place" && run "witness-$place" --until 0.annotate) &&
			[ "$(ls -l "${at##*=}"/*.witness | cut -c1-10)" = -rw------- ] && ! grep '^0*$' "${at##*=}"/*.witness || return 1
	done
	(unset BALDISTILL_STATE_DIR XDG_STATE_HOME HOME && ends 78 'no place to keep a witness' run --quiet witness-xdg.yaml) &&
		(export BALDISTILL_STATE_DIR=state && ends 78 'must be an absolute path' run --quiet witness-xdg.yaml)
}

# A run that was moved goes on at its new place, and buys nothing again.
moved()
{
	plan moved && run moved --until 1.select && mkdir away && mv moved away/run &&
		sed -i 's|^output_dir: .*|output_dir: away/run|' moved.yaml && run moved && grep -q '"used": 18,' away/run/status.json &&
		plan stayed && run stayed && cmp away/run/predictions.jsonl stayed/predictions.jsonl && [ ! -e moved ]
}

# A rationale that ends in no sentence of its own is closed with the label that its example has; {label} may stand in a template.
closes_with_the_label()
{
	cp -R "$TEST_SRCDIR/data/prompts/classification" labelled && chmod -R u+w labelled && echo 'Class: {label}' >>labelled/synthesise.txt &&
		plan closes 'method: baldistill-naive' && sed -i 's/test: test.jsonl/test: test.jsonl, prompts: labelled/; s/^budget: .*/budget: 48/' closes.yaml || return 1
	sed 's|Rationale: It is $domain.|Rationale: It is $domain, not wheat.|' teacher.sh >other.sh && taught_by closes sh "$folder/other.sh" "$folder/told" &&
		"$program" plan --quiet closes.yaml && run closes || return 1
	grep -h '"origin":"synthetic"' closes/stage-*/train.jsonl >rows && grep -o '"completion":"[^"]*"' rows | sort | uniq -c
	grep -q 'not wheat. The answer is ship' rows && ! grep '"label":"ship"' rows | grep -q 'The answer is wheat' && grep -q 'Class: ship' told
}

check 'a stage trains on all stages so far' joins_all_stages
check 'a stage trains afresh from the base' trains_afresh
check 'every key of training is obeyed' trains_as_planned
check 'what is published is the last stage' publishes_the_last
check 'the last stage alone is evaluated' evaluates_the_last_alone
check 'a student that learns is scored above nothing' learns
check 'the figures are those of its answers' evaluates_the_student
check 'a comparison subtracts' subtracts
check 'a seed is checked before anything is run' checks_seeds
check 'active takes the hardest of the pool' hardest_of_all
check 'duplicates repeat up to what is required' repeats_up_to_required
check 'repetitions go round' repeats_in_turn
check 'selection follows its keys' selects_as_planned
check 'the filter leaves out what is easier alone' filters_by_ifd
check 'the policy counts stages as planned' counts_from_one
check 'rows with keys of their own' reads_own_keys
check 'the teacher is asked as METHOD says' asks
check 'a checkpoint is asked as the plan says' asks_a_checkpoint
check 'demonstrations are drawn for each synthesis' draws_what_is_shown
check 'what was paid for is not asked for again' replaces_no_paid_row
check 'what may have been billed is asked again as often as the plan says' asks_again
check 'why a run ends is told before its answers are waited for' tells_why
check 'a run keeps to max_cost' keeps_to_max_cost
check 'a run has its witness where the user keeps such things' keeps_a_witness
check 'a run that was moved goes on' moved
check 'a synthetic rationale is closed with its label' closes_with_the_label
check 'where gold is shown its rationale is kept' shows_gold
check 'a stage without a row of use is passed over' learns_later
check 'a training that comes to no number ends the run' diverges
check 'status tells whether anything is at work' status_tells
check 'no part of a run is written over' parts_stay
check 'test inputs are no training rows' spares_test_inputs
check 'validation rows are scored where the plan says so' validates
check 'a run is held to its files, and is its user'"'"'s' held_to
echo "1..$cases"
