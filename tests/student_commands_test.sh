#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# student_commands_test.sh - score, generate, tokenize and inspect on the tiny student of data/tiny: that they agree
# with each other, name what they refuse, and that generate goes on where it was killed.
set -u
program=${BALDISTILL:?}
tiny=${TEST_SRCDIR:?}/data/tiny
. "${TEST_SRCDIR:?}/tests/tap.sh"
cd "$folder" || exit 99

# quietly COMMAND ARGUMENTS...: of the tiny student
quietly()
{
	command=$1
	shift
	"$program" "$command" --quiet --model "$tiny" "$@"
}

# number KEY: its value in each row
number()
{
	sed -n 's/.*[{,]"'"$1"'":\([^],}]*\).*/\1/p'
}

# near TOLERANCE: every line holds two numbers whose difference is at most the tolerance of the first; there are lines
near()
{
	awk -v t="$1" '{ d = $1 - $2; s = $1; if (d < 0) d = -d; if (s < 0) s = -s; if (!(d <= t * s) || NF != 2) bad = 1 }
		END { exit bad || !NR }'
}

i=0
while [ $i -lt 50 ]; do
	i=$((i + 1))
	printf '{"id":"r%d","prompt":"Name the topic of report %d.\\nTopic:","completion":" gold %d","note":[1.50,null]}\n' \
		$i $((i * i)) $i
done >rows.jsonl

# ---- score ----

some_lines() { sed -n '1p;2p;3p;7p;50p' "$1"; }

# alone COMMAND...: some rows, each in a file of its own
alone()
{
	for line in 1 2 3 7 50; do
		sed -n ${line}p rows.jsonl >one.jsonl
		quietly "$@" --data one.jsonl || return 1
	done
}

rows_alone_exactly()
{
	alone "$@" --batch-invariant >alone.jsonl && quietly "$@" --batch-invariant --data rows.jsonl >all.jsonl &&
		[ "$(wc -l <all.jsonl)" -eq 50 ] && some_lines all.jsonl | diff alone.jsonl -
}

# f32 through two layers: 1e-5 of a value is ten times what rounding moves
rows_alone_nearly()
{
	alone score >alone.jsonl && quietly score --data rows.jsonl >all.jsonl || return 1
	for key in nll_conditional nll_unconditional ppl_conditional ppl_unconditional ifd; do
		number $key <alone.jsonl >a
		some_lines all.jsonl | number $key | paste -d ' ' a - | near 1e-5 || { echo "$key differs"; return 1; }
	done
}

# A library that has cut a product for more threads than OpenMP then gives never does the rest.
fewer_threads()
{
	"$program" backends | grep -q '^onednn *usable' || { echo 'onednn is not here'; return 77; }
	quietly score --data rows.jsonl --backend onednn >all.jsonl || return 1
	for less in OMP_THREAD_LIMIT=1 OMP_DYNAMIC=true OMP_MAX_ACTIVE_LEVELS=0; do
		env $less "$program" score --quiet --model "$tiny" --data rows.jsonl --backend onednn >less.jsonl || return 1
		for key in nll_conditional nll_unconditional; do
			number $key <all.jsonl >a
			number $key <less.jsonl | paste -d ' ' a - | near 1e-5 || { echo "$less: $key differs"; return 1; }
		done
	done
}

formulas_hold()
{
	quietly score --data rows.jsonl >all.jsonl || return 1
	for key in nll_conditional nll_unconditional ppl_conditional ppl_unconditional ifd; do
		number $key <all.jsonl >$key
	done
	paste -d ' ' ppl_conditional ppl_unconditional ifd | awk '{ printf "%s %.17g\n", $3, $1 / $2 }' | near 1e-12 &&
		paste -d ' ' nll_conditional ppl_conditional | awk '{ printf "%s %.17g\n", $2, exp($1) }' | near 1e-12
}

# score_agrees ARGUMENTS...: score of what generate wrote finds the mean that generate gave
score_agrees()
{
	quietly generate --data rows.jsonl "$@" >generated.jsonl && quietly score --data generated.jsonl >scored.jsonl &&
		[ "$(grep -c '"finish_reason":"stop"' scored.jsonl)" -gt 0 ] &&
		[ "$(grep -c '"finish_reason":"length"' scored.jsonl)" -gt 0 ] || return 1
	number completion_tokens <generated.jsonl >a
	sed 's/.*"prompt_tokens"/{"prompt_tokens"/' scored.jsonl | number completion_tokens | diff a - || return 1
	number nll <scored.jsonl >a
	number nll_conditional <scored.jsonl | paste -d ' ' a - | near 1e-5
}

check "score: rows alone and in a file are equal, exactly, where asked for" rows_alone_exactly score
check "score: rows alone and in a file are equal up to rounding" rows_alone_nearly
check "score: a smaller team of threads gives the same numbers" fewer_threads
check "score: perplexities and ifd follow from the means" formulas_hold
check "generate, greedy: rows alone and in a file are equal, exactly" rows_alone_exactly generate --token-nll
check "generate, drawn: rows alone and in a file are equal, exactly" \
	rows_alone_exactly generate --token-nll --temperature 1
check "score of generate's output finds its nll, greedy" score_agrees --max-new-tokens 20
check "score of generate's output finds its nll, drawn" score_agrees --max-new-tokens 20 --temperature 1 --seed 5

token_means()
{
	quietly generate --data rows.jsonl --max-new-tokens 9 --token-nll >generated.jsonl || return 1
	number nll <generated.jsonl >a
	sed 's/.*"token_nll":\[\([^]]*\)\].*/\1/' generated.jsonl |
		awk -F, '{ sum = 0; for (i = 1; i <= NF; i++) sum += $i; printf "%.17g\n", sum / NF }' | paste -d ' ' a - | near 1e-5
}

# the row's own members come out as they went in, in every command
carried()
{
	for command in score generate; do
		quietly $command --data rows.jsonl >out.jsonl || return 1
		[ "$(grep -c '^{"id":"r[0-9]*","prompt":"Name.*"note":\[1\.50,null\]' out.jsonl)" -eq 50 ] || return 1
	done
	echo '{"text":"a","note":{"x":1e2},"id":9}' >text.jsonl
	quietly tokenize --data text.jsonl | grep '^{"id":9,"note":{"x":1e2},"ids":\[0,101\]}$'
}

written_as_printed()
{
	for command in score generate tokenize inspect; do
		data=rows.jsonl
		[ $command = tokenize ] && data=$tiny/texts.jsonl
		quietly $command --data "$data" >printed && quietly $command --data "$data" --output written >out &&
			cmp printed written && [ -s written ] && [ ! -s out ] && rm written || return 1
	done
}

quiet_is_silent()
{
	for command in score generate; do
		quietly $command --data rows.jsonl >out 2>err && [ ! -s err ] || return 1
		"$program" $command --model "$tiny" --data rows.jsonl >out 2>err || return 1
		grep "$command: .* rows\|$command: .* passes" err && [ "$(wc -l <out)" -eq 50 ] || return 1
	done
}

seeds_matter()
{
	quietly generate --data rows.jsonl --temperature 1 >a && quietly generate --data rows.jsonl --temperature 1 >b &&
		quietly generate --data rows.jsonl --temperature 1 --seed 2 >c && cmp a b && ! cmp a c
}

# a row's draws depend on its id, not on where it stands
order_does_not_matter()
{
	sort -r rows.jsonl >turned.jsonl
	quietly generate --batch-invariant --data rows.jsonl --temperature 1 | sort >a
	quietly generate --batch-invariant --data turned.jsonl --temperature 1 | sort >b
	[ -s a ] && ! cmp rows.jsonl turned.jsonl && cmp a b
}

no_rows()
{
	: >empty.jsonl
	for command in score generate tokenize inspect; do
		quietly $command --data empty.jsonl --output written && [ -f written ] && [ ! -s written ] && rm written || return 1
	done
}

check "generate: nll is the mean of token_nll" token_means
check "other members are carried through as they are" carried
check "--output holds what standard output would" written_as_printed
check "--quiet is silent, without it there is progress" quiet_is_silent
check "generate: the seed decides" seeds_matter
check "generate: the order of rows does not" order_does_not_matter
check "no rows in, no rows out" no_rows

# ---- tokenize and inspect ----

round_trip()
{
	printf '%s\n' '{"id":1,"text":"the wheat of the year"}' '{"id":2,"text":" Žluté  zboží 😀\n\ttab"}' \
		'{"id":3,"text":""}' >texts.jsonl
	quietly tokenize --data texts.jsonl >ids.jsonl &&
		quietly tokenize --decode --no-special-tokens --data ids.jsonl >back.jsonl &&
		cmp texts.jsonl back.jsonl && quietly tokenize --decode --data ids.jsonl | sed -n 1p |
		grep '"text":"\\u003c|begin|>the wheat of the year"}' &&
		quietly tokenize --no-special-tokens --data texts.jsonl | sed -n 3p | grep '^{"id":3,"ids":\[\]}$'
}

# what inspect shows is what score counts
inspect_counts()
{
	quietly generate --data rows.jsonl --max-new-tokens 20 >generated.jsonl || return 1
	for data in rows.jsonl generated.jsonl "$tiny/rows.jsonl"; do
		quietly score --data "$data" | sed 's/.*"prompt_tokens"/{"prompt_tokens"/' >scores
		quietly inspect --json --data "$data" >shown || return 1
		for key in prompt_tokens completion_tokens; do
			number $key <scores >a
			number $key <shown | diff a - || return 1
		done
		# as many false as prompt tokens, then as many true as targets, in each of the three lists
		sed 's/.*"prompt_tokens":\([0-9]*\),"completion_tokens":\([0-9]*\),"ids":\[\([^]]*\)\].*"targets":\[\([^]]*\)\].*/\1 \2 \3 \4/' \
			shown | awk '{ n = split($4, mask, ","); if (split($3, id, ",") != n || n != $1 + $2) bad = 1
			for (i = 1; i <= n; i++) if (mask[i] != (i > $1 ? "true" : "false")) bad = 1 } END { exit bad || !NR }' ||
			{ echo "$data: the mask"; return 1; }
	done
	# the ids of a completion are the targets as they stand
	sed 's/.*"completion_ids":\[\([^]]*\)\].*/\1/' generated.jsonl >a
	quietly inspect --json --data generated.jsonl | sed 's/.*"ids":\[\([^]]*\)\].*/\1/' | paste -d ' ' a - |
		awk '{ if (substr($2, length($2) - length($1)) != "," $1) bad = 1 } END { exit bad || !NR }'
}

inspect_text()
{
	printf '%s\n' '{"id":"x","prompt":"the oil\nof a|b","completion":"gold \\ trade"}' >one.jsonl
	quietly inspect --data one.jsonl >out || return 1
	printf 'row x: 11 prompt tokens, 8 targets\n%s\n\n' \
		'<|begin|>|t|h|e|Ġoil|Ċ|o|f|Ġa|||b[g][o][l][d][Ġ][\\][Ġtrade][<|end|>]' >expected
	diff expected out
}

# an id may hold what drives a terminal: 1B, U+202E, U+0085 and a line's end must not come out as they are
inspect_escapes()
{
	printf '{"id":"a\\u001b[31m\\u202eb\\u0085\\nc","prompt":"p","completion":"c"}\n' >one.jsonl
	quietly inspect --data one.jsonl >out && head -n 1 out &&
		head -n 1 out | grep -F 'row a\x1B[31m\xE2\x80\xAEb\xC2\x85\nc: 2 prompt tokens, 2 targets'
}

# on a terminal the targets are green, and the text is the same
inspect_colours()
{
	script -qec true /dev/null >/dev/null 2>&1 || { echo "no script(1)"; return 77; }
	quietly inspect --data "$tiny/rows.jsonl" >plain
	escape=$(printf '\033')
	env -u NO_COLOR script -qec "'$program' inspect --model '$tiny' --data '$tiny/rows.jsonl'" /dev/null </dev/null |
		tr -d '\r' >coloured
	[ "$(grep -c "$escape\[1;32m\[.*\]$escape\[0m" coloured)" -eq 6 ] || return 1
	sed "s/$escape\[[0-9;]*m//g" coloured | diff plain - && ! grep -q "$escape" plain
}

inspect_chat()
{
	quietly inspect --chat-template chatml --data "$tiny/chat.jsonl" >out &&
		grep '|<|im_start|>|a|s|s|i|s|t|a|n|t|Ċ\[g\]\[r\]\[a\]\[i\]\[n\]\[<|im_end|>\]$' out
}

# asks ANSWER: the greedy ids for a conversation that ends with this answer of the assistant's, none where it is empty
asks()
{
	answer=${1:+",{\"role\":\"assistant\",\"content\":\"$1\"}"}
	printf '{"id":1,"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"},%s%s]}\n' \
		'{"role":"user","content":"c"}' "$answer" >asked.jsonl
	quietly generate --chat-template "$family" --max-new-tokens 5 --data asked.jsonl
}

# A last answer is what is asked for: it is no part of the prompt, whatever it says.
last_answer_is_dropped()
{
	for family in chatml zephyr llama2; do
		asks '' | number completion_ids >none && [ -s none ] || return 1
		for answer in grain 'no such thing at all'; do
			asks "$answer" | number completion_ids | diff none - || return 1
		done
	done
	echo '{"messages":[{"role":"assistant","content":"b"}]}' >asked.jsonl
	ends 65 'asked.jsonl:1.*needs a message' generate --quiet --model "$tiny" --chat-template chatml --data asked.jsonl
}

# The ids that generate wrote into a row of messages are its targets, in every command.
ids_before_messages()
{
	"$program" generate --quiet --model "$tiny" --data "$tiny/chat.jsonl" --chat-template chatml --max-new-tokens 9 \
		--output answered.jsonl && number nll <answered.jsonl >a && [ -s a ] || return 1
	quietly score --chat-template chatml --data answered.jsonl | number nll_conditional | paste -d ' ' a - | near 1e-5 ||
		return 1
	sed 's/.*"completion_ids":\[\([^]]*\)\].*/\1/' answered.jsonl >a
	quietly inspect --json --chat-template chatml --data answered.jsonl | sed 's/.*"ids":\[\([^]]*\)\].*/\1/' |
		paste -d ' ' a - | awk '{ if (substr($2, length($2) - length($1)) != "," $1) bad = 1 } END { exit bad || !NR }' &&
		"$program" train --quiet --model "$tiny" --data answered.jsonl --chat-template chatml --num-train-epochs 1 \
			--output taught && grep -q "$(awk -F, '{ n += NF } END { print n }' a) of them targets" taught/README.md
}

check "tokenize and --decode round trip" round_trip
check "inspect: counts, ids and mask are those of score" inspect_counts
check "inspect: tokens of the prompt between bars, targets in brackets" inspect_text
check "inspect: control and bidirectional characters are escaped" inspect_escapes
check "inspect: colours on a terminal, the same text" inspect_colours
check "inspect: the last answer of a conversation is the target" inspect_chat
check "generate: a last answer is no part of the prompt" last_answer_is_dropped
check "score, train, inspect: the ids of a row of messages are its targets" ids_before_messages

# ---- what is refused ----

two='{"prompt":"a","completion":"b","text":"c"}'
bad() { printf '%s\n\n%s\n' "$two" "$1" >bad.jsonl; }
long=$(printf 'x %.0s' $(seq 1 600))

# refuses_row COMMAND PATTERN ROW [STATUS]: rows before it may have been shown
refuses_row()
{
	bad "$3"
	"$program" "$1" --quiet --model "$tiny" --data bad.jsonl >out 2>err
	[ $? -eq "${4-65}" ] && cat err && [ "$(wc -l <err)" -eq 1 ] && grep -q "bad\.jsonl:3: .*$2" err
}
nothing_written() { "$@" && [ ! -e written ] && [ -z "$(ls -A | grep -e '\.tmp$' -e '\.part$')" ]; }

for command in score inspect; do
	check "$command: a row without completion is named" refuses_row $command "'completion'" '{"prompt":"a"}'
	check "$command: a row without target is named" refuses_row $command 'no target' '{"prompt":"a","completion_ids":[]}'
	check "$command: an id outside the vocabulary is named" refuses_row $command '99999' \
		'{"prompt":"a","completion_ids":[99999]}'
	check "$command: messages without a chat template are named" refuses_row $command 'chat' \
		'{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}' 78
done
for command in score generate; do
	check "$command: a row without prompt is named" refuses_row $command "'prompt'" '{"completion":"a"}'
	check "$command: a row longer than the model's positions is named" refuses_row $command '512 positions' \
		"{\"prompt\":\"$long\",\"completion\":\"a\"}"
	check "$command: no file of a refused row" nothing_written \
		ends 65 'bad.jsonl:3' $command --model "$tiny" --data bad.jsonl --output written
	check "$command: unknown backend: 78" ends 78 "'nothing'" $command --model "$tiny" --data rows.jsonl --backend nothing
	check "$command: unknown dtype: 78" ends 78 "'int4'" $command --model "$tiny" --data rows.jsonl --dtype int4
	check "$command: an adapter that is not there: 66" ends 66 "'x'" $command --model "$tiny" --data rows.jsonl --adapter x
	check "$command: too little memory: 71" ends 71 'raise --memory' $command --model "$tiny" --data rows.jsonl --memory 96KiB
done
# what `backends --json` says of onednn, on one line
of_onednn()
{
	"$program" backends --json | tr -d ' \n' | sed 's/.*{"name":"onednn"\([^}]*\)}.*/\1/'
}

onednn_refuses_bf16()
{
	case $(of_onednn) in
	*bfloat16*) echo "this CPU multiplies bfloat16"; return 77 ;;
	*'"usable":true'*) ends 78 'AVX512-BF16' score --model "$tiny" --data rows.jsonl --backend onednn --dtype bfloat16 ;;
	*) echo "no onednn here"; return 77 ;;
	esac
}

# the same ranking numbers from both CPU backends
onednn_agrees()
{
	case $(of_onednn) in *'"usable":true'*) ;; *) echo "no onednn here"; return 77 ;; esac
	quietly score --data rows.jsonl --dtype float32 | number ifd >plain.txt &&
		quietly score --data rows.jsonl --dtype float32 --backend onednn | number ifd >other.txt &&
		paste plain.txt other.txt | near 1e-4
}
check "score: onednn refuses bfloat16 on a CPU without it: 78" onednn_refuses_bf16
check "score: onednn and openblas agree" onednn_agrees
check "tokenize: a row without text is named" refuses_row tokenize "'text'" '{"prompt":"a"}'
check "tokenize: no chat template, which it would pass over: 64" ends 64 'chat-template' tokenize --model "$tiny" --data rows.jsonl --chat-template chatml
check "generate: no token asked for: 78" ends 78 "max-new-tokens" generate --model "$tiny" --data rows.jsonl --max-new-tokens 0
check "generate: a temperature below 0: 78" ends 78 "temperature" generate --model "$tiny" --data rows.jsonl --temperature -1
check "generate: top-k beyond 2^31: 78" ends 78 "top-k" generate --model "$tiny" --data rows.jsonl --top-k 4294967296
check "generate: top-p of 0: 78" ends 78 "top-p" generate --model "$tiny" --data rows.jsonl --top-p 0

mkdir hollow
for command in score generate tokenize inspect; do
	check "$command: no model named: 64" ends 64 "'--model' is missing" $command --data rows.jsonl
	check "$command: no rows named: 64" ends 64 "'--data' is missing" $command --model "$tiny"
	check "$command: an operand: 64" ends 64 "'extra'" $command --model "$tiny" --data rows.jsonl extra
	check "$command: no such model: 66" ends 66 "'nowhere" $command --model nowhere --data rows.jsonl
	check "$command: a model directory without files: 65" ends 65 "hollow" $command --model hollow --data rows.jsonl
	check "$command: no such rows: 66" ends 66 "'nowhere.jsonl'" $command --model "$tiny" --data nowhere.jsonl
	check "$command: a directory of rows: 66" ends 66 "'hollow' is a directory" $command --model "$tiny" --data hollow
	check "$command: no directory for the output: 73" nothing_written \
		ends 73 "'nowhere/written'" $command --model "$tiny" --data rows.jsonl --output nowhere/written
	check "$command: a directory in place of the output: 73" nothing_written \
		ends 73 "'hollow': it is a directory" $command --model "$tiny" --data rows.jsonl --output hollow
done

# The rows themselves are not replaced by what comes of them.
rows_stay()
{
	cp rows.jsonl mine.jsonl && ln mine.jsonl linked.jsonl && echo '{"text": "a"}' >texts.jsonl &&
		ends 73 "'mine.jsonl' is an input" generate --model "$tiny" --data mine.jsonl --output mine.jsonl &&
		ends 73 "'linked.jsonl' is an input" score --model "$tiny" --data mine.jsonl --output linked.jsonl &&
		ends 73 "'texts.jsonl' is an input" tokenize --model "$tiny" --data texts.jsonl --output texts.jsonl &&
		cmp rows.jsonl mine.jsonl && rm mine.jsonl linked.jsonl texts.jsonl
}

check "no command writes over its rows: 73" rows_stay

# ---- resume of generate ----

# One slot makes blocks of 16 rows: four of them.
work() { "$program" generate --model "$tiny" --data rows.jsonl --slots 1 --max-new-tokens 30 --temperature 1 "$@"; }
work --quiet --output whole.jsonl || echo "# generate failed"

# killed_at N: stopped where a file would grow past N pieces of 512 bytes; the blocks are left as a kill there leaves them
killed_at()
{
	(ulimit -f "$1"; work --quiet --output part.jsonl) 2>/dev/null
	[ $? -eq 74 ]
}

# goes_on ROWS: a new start says that it goes on after so many, and ends with the same bytes
goes_on()
{
	[ ! -e part.jsonl ] && [ -e part.jsonl.part ] && work --output part.jsonl 2>err || return 1
	cat err
	cmp whole.jsonl part.jsonl && [ ! -e part.jsonl.part ] && rm part.jsonl &&
		if [ "$1" -gt 0 ]; then grep -q "holds $1 of 50 rows; going on" err; else ! grep -q 'going on' err; fi
}

# every 512 bytes of the file: within a line of ours, within a row, between blocks
kill_points()
{
	point=1 killed=0 resumed=0
	while killed_at $point; do
		killed=$((killed + 1))
		work --output part.jsonl 2>err && cmp whole.jsonl part.jsonl && [ ! -e part.jsonl.part ] || return 1
		grep -q 'going on' err && resumed=$((resumed + 1))
		rm part.jsonl
		point=$((point + 1))
	done
	echo "$killed killed, $resumed resumed"
	[ $killed -ge 20 ] && [ $resumed -ge 10 ]
}

# SIGKILL at some moment after the first block is there
killed_outright()
{
	i=0
	while [ $i -lt 50 ]; do
		i=$((i + 1))
		"$program" generate --quiet --model "$tiny" --data rows.jsonl --slots 1 --max-new-tokens 30 --temperature 1 \
			--output part.jsonl &
		process=$!
		until [ "$(cat part.jsonl.part 2>/dev/null | wc -c)" -gt 2000 ] || [ -e part.jsonl ]; do :; done
		kill -9 $process 2>/dev/null
		wait $process 2>/dev/null
		if [ ! -e part.jsonl ]; then
			work --output part.jsonl 2>err && cat err && grep -q 'going on' err && cmp whole.jsonl part.jsonl
			return
		fi
		rm part.jsonl
	done
	echo "it was always done before it could be killed"
	return 77
}

# two_blocks N: a file with two whole blocks and a torn one
two_blocks() { rm -f part.jsonl*; killed_at "$1" && cp part.jsonl.part kept; }
first_two=$(($(head -n 32 whole.jsonl | wc -c) / 512 + 2))

goes_on_after_two() { two_blocks $first_two && goes_on 32; }
cut_short() { two_blocks $first_two && head -c $(($(head -n 32 whole.jsonl | wc -c) - 100)) kept >part.jsonl.part && goes_on 16; }
grown() { two_blocks $first_two && echo "block 0000000000000005 garbage" >>part.jsonl.part && goes_on 32; }
changed_byte()
{
	two_blocks $first_two && printf '#' | dd of=part.jsonl.part bs=1 seek=$(($(head -n 20 whole.jsonl | wc -c))) conv=notrunc &&
		goes_on 16
}
zeros_at_end() { two_blocks $first_two && head -c 3000 /dev/zero >>part.jsonl.part && goes_on 32; }
cut_first_line() { two_blocks $first_two && head -c 40 kept >part.jsonl.part && goes_on 0; }

# starts_anew ARGUMENTS...: other options do not go on with these blocks
starts_anew()
{
	two_blocks $first_two && work --quiet "$@" >expected && work "$@" --output part.jsonl 2>err && cat err &&
		grep -q 'other work .*starting anew' err && cmp expected part.jsonl
}

other_rows()
{
	two_blocks $first_two && cp rows.jsonl rows.kept && sed 's/"id":"r40"/"id":"r4000"/' rows.kept >rows.jsonl
	work --quiet >expected && work --output part.jsonl 2>err && grep -q 'starting anew' err && cmp expected part.jsonl
	status=$?
	mv rows.kept rows.jsonl
	return $status
}

other_model()
{
	two_blocks $first_two && cp -r "$tiny" copy && chmod -R u+w copy || return 1
	work --model copy --output part.jsonl 2>err && grep 'holds 32 of 50 rows' err || return 1
	two_blocks $first_two && sed -i 's/"rope_theta": 10000.0/"rope_theta": 20000.0/' copy/config.json || return 1
	work --quiet --model copy >expected && work --model copy --output part.jsonl 2>err && grep -q 'starting anew' err &&
		cmp expected part.jsonl && ! cmp expected whole.jsonl
}

somebody_elses()
{
	rm -f part.jsonl*
	echo "dear diary" >part.jsonl.part
	ends 73 "'part.jsonl.part'.*another file" generate --model "$tiny" --data rows.jsonl --output part.jsonl &&
		[ "$(cat part.jsonl.part)" = "dear diary" ] && [ ! -e part.jsonl ] && rm part.jsonl.part && mkdir part.jsonl.part &&
		ends 73 "'part.jsonl.part'" generate --model "$tiny" --data rows.jsonl --output part.jsonl && rmdir part.jsonl.part &&
		ln -s elsewhere part.jsonl.part &&
		ends 73 "'part.jsonl.part'" generate --model "$tiny" --data rows.jsonl --output part.jsonl && [ ! -e elsewhere ]
	status=$?
	rm -rf part.jsonl.part
	return $status
}

two_at_once()
{
	command -v flock >/dev/null || { echo "no flock(1)"; return 77; }
	two_blocks $first_two || return 1
	flock part.jsonl.part "$program" generate --model "$tiny" --data rows.jsonl --slots 1 --max-new-tokens 30 \
		--temperature 1 --output part.jsonl 2>err
	[ $? -eq 75 ] && cmp kept part.jsonl.part && grep "another process" err
}

# a file system with room for one block: 74, the block stays, and with more room the work goes on
disk_full()
{
	rm -f part.jsonl*
	unshare -rm mount -t tmpfs none /mnt 2>/dev/null || { echo "no tmpfs of our own can be mounted"; return 77; }
	export program tiny folder
	unshare -rm sh -c '
		mkdir -p full && mount -t tmpfs -o size=16k none full || exit 77
		run() { "$program" generate --model "$tiny" --data rows.jsonl --slots 1 --max-new-tokens 30 --temperature 1 \
			--output full/part.jsonl; }
		run 2>err
		[ $? -eq 74 ] && cat err && grep -q "No space left" err && [ ! -e full/part.jsonl ] || exit 1
		mount -o remount,size=1m full && run 2>err && cat err && grep -q "going on" err && cmp whole.jsonl full/part.jsonl'
}

too_large()
{
	rm -f part.jsonl*
	(ulimit -f 4; work --quiet --output part.jsonl 2>err)
	[ $? -eq 74 ] && grep "'part.jsonl.part'" err && [ ! -e part.jsonl ] && [ ! -e part.jsonl.part ]
}

# What cannot be read is not thrown away.
unreadable()
{
	rm -f part.jsonl*
	strace -qq -o /dev/null true 2>/dev/null || { echo "no strace"; return 77; }
	two_blocks $first_two && cp part.jsonl.part before || return 1
	strace -f -qq -o /dev/null -P part.jsonl.part -e trace=pread64 -e inject=pread64:error=EIO:when=4 \
		"$program" generate --quiet --model "$tiny" --data rows.jsonl --slots 1 --max-new-tokens 30 --temperature 1 \
		--output part.jsonl 2>err
	[ $? -eq 74 ] && grep "cannot read 'part.jsonl.part'" err && cmp before part.jsonl.part && goes_on 32
}

# killed at its last steps, when all blocks are there: the file's name and the removal of the blocks
killed_at_the_end()
{
	strace -qq -o /dev/null true 2>/dev/null || { echo "no strace"; return 77; }
	for call in renameat '?unlink,unlinkat'; do
		rm -f part.jsonl*
		(ulimit -c 0; strace -f -qq -o /dev/null -P part.jsonl -P part.jsonl.part -e trace=$call \
			-e inject=$call:signal=KILL:when=1 "$program" generate --quiet --model "$tiny" --data rows.jsonl \
			--slots 1 --max-new-tokens 30 --temperature 1 --output part.jsonl) 2>/dev/null
		[ -e part.jsonl.part ] && work --output part.jsonl 2>err && grep 'holds 50 of 50 rows' err &&
			cmp whole.jsonl part.jsonl && [ ! -e part.jsonl.part ] || return 1
	done
}

printed_the_same() { work --quiet >printed && cmp whole.jsonl printed; }

check "generate: printed and kept in blocks, the same bytes" printed_the_same
check "generate: killed at every 512 bytes, it ends with the same bytes" kill_points
check "generate: SIGKILL after the first block, it ends with the same bytes" killed_outright
check "generate: killed when all blocks are there, it ends with the same bytes" killed_at_the_end
check "generate: blocks that cannot be read stay: 74" unreadable
check "generate: whole blocks are not done again" goes_on_after_two
check "generate: a block cut short is done again" cut_short
check "generate: a block with a changed byte is done again" changed_byte
check "generate: what follows the last block is dropped" grown
check "generate: zeros behind the last block are dropped" zeros_at_end
check "generate: a first line cut short begins anew" cut_first_line
check "generate: another length begins anew" starts_anew --max-new-tokens 29
check "generate: another seed begins anew" starts_anew --seed 2
check "generate: other slots begin anew" starts_anew --slots 2
check "generate: another backend begins anew" starts_anew --backend reference
check "generate: other rows begin anew" other_rows
check "generate: the same model elsewhere goes on, another begins anew" other_model
check "generate: somebody else's file is not touched: 73" somebody_elses
check "generate: two at once: 75" two_at_once
check "generate: a full disk: 74, and on with more room" disk_full
check "generate: a file that cannot grow: 74, no file left without a block" too_large
echo "1..$cases"
