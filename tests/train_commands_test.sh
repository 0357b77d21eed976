#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# train_commands_test.sh - train, merge and check-adapter on the tiny student of data/tiny: files, exit statuses, what
# is refused, and that a killed training goes on to the same bytes.
set -u
program=${BALDISTILL:?}
tiny=${TEST_SRCDIR:?}/data/tiny
. "${TEST_SRCDIR:?}/tests/tap.sh"
cd "$folder" || exit 99

short="--quiet --model $tiny --data $tiny/rows.jsonl --num-train-epochs 3 --per-device-train-batch-size 2
	--learning-rate 0.01 --threads 2"

# train OUTPUT OPTIONS...: a short training
train()
{
	output=$1
	shift
	"$program" train $short --output "$output" "$@"
}

# value KEY LINE FILE: of trainer_log.jsonl
value()
{
	sed -n "$2"'s/.*"'"$1"'":\([^,}]*\).*/\1/p' "$3"
}

adapter_is_whole()
{
	train lora && [ -s lora/adapter_model.safetensors ] && grep -q '"r": 8' lora/adapter_config.json &&
		grep -q '"base_model_name_or_path"' lora/adapter_config.json && ! grep -q use_rslora lora/adapter_config.json &&
		grep -q '^# LoRA adapter' lora/README.md && ! ls -d lora/checkpoint-* 2>/dev/null
}

# names_base DIRECTORY FILE...: each configuration names the base as it is found from everywhere
names_base()
{
	base=$(cd "$1" && pwd -P)
	shift
	for config; do
		grep -F "\"base_model_name_or_path\": \"$base\"" "$config" || { grep base_model "$config"; return 1; }
	done
}

# Begun in one folder and finished from another.
base_is_absolute()
{
	mkdir shells && cp -R "$tiny" planned && chmod -R u+w planned && rm -rf planned/run &&
		(cd planned && "$program" run --quiet plan.yaml --until 0.train) &&
		(cd shells && "$program" run --quiet ../planned/plan.yaml) &&
		names_base planned planned/run/stage-*/adapter/adapter_config.json planned/run/final/adapter/adapter_config.json &&
		(cd planned && "$program" train --quiet --model . --data rows.jsonl --num-train-epochs 1 --output ../near) &&
		names_base planned near/adapter_config.json
}

log_falls()
{
	lines=$(wc -l <lora/trainer_log.jsonl)
	first=$(value loss 1 lora/trainer_log.jsonl) last=$(value loss '$' lora/trainer_log.jsonl)
	echo "$first $last"
	[ "$lines" -ge 6 ] && awk "BEGIN { exit !($last < $first) }" && grep -q '"domain_loss":{' lora/trainer_log.jsonl
}

same_again()
{
	train again && cmp lora/adapter_model.safetensors again/adapter_model.safetensors
}

# At a rate of 0 the loss of each step is that of its row, in the order of the file: score's.
keeps_the_order()
{
	train ordered --no-shuffle --learning-rate 0 --lora-dropout 0 --num-train-epochs 1 --per-device-train-batch-size 1 &&
		"$program" score --quiet --model "$tiny" --data "$tiny/rows.jsonl" | value nll_conditional '' - >scored_losses &&
		value loss '' ordered/trainer_log.jsonl | paste scored_losses - | tee paired_losses | awk '{ d = $1 - $2; if (d < 0) d = -d; bad += d > 1e-4 * $1 } END { exit bad || NR < 4 }' &&
		[ "$(cut -f 1 paired_losses | sort -u | wc -l)" -eq "$(wc -l <paired_losses)" ]
}

split_is_the_same()
{
	train split --per-device-train-batch-size 1 --gradient-accumulation-steps 2 --lora-dropout 0.2 &&
		train whole --lora-dropout 0.2 &&
		awk -v a="$(value loss '$' split/trainer_log.jsonl)" -v b="$(value loss '$' whole/trainer_log.jsonl)" \
			'BEGIN { d = a - b; if (d < 0) d = -d; exit !(d <= 1e-5 * a) }'
}

killed_goes_on()
{
	train uninterrupted --save-steps 1 --num-train-epochs 30 || return 1
	"$program" train $short --output killed --save-steps 1 --num-train-epochs 30 &
	child=$!
	while [ "$(cat killed/trainer_log.jsonl 2>/dev/null | wc -l)" -lt 20 ] && kill -0 $child 2>/dev/null; do :; done
	ends 75 'another training is at work' train $short --output killed --save-steps 1 --num-train-epochs 30 || return 1
	kill -9 $child 2>/dev/null
	wait $child
	[ $? -eq 137 ] && train killed --save-steps 1 --num-train-epochs 30 &&
		cmp uninterrupted/adapter_model.safetensors killed/adapter_model.safetensors
}

# A training holds its directory until the result is in it: stopped between two of its files, and another tried.
held_to_the_end()
{
	export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0"
	strace -qq -o /dev/null true 2>/dev/null || { echo "no strace"; return 77; }
	strace -f -qq -o named -e trace=renameat,renameat2 "$program" train $short --output counted || return 1
	call=$(sed -n 's/^[0-9]* *\([a-z0-9]*\)(.*"README.md").*/\1/p' named)
	n=$(grep " $call(" named | sed -n '/"README.md"/=')
	strace -f -qq -o /dev/null -e trace=$call -e inject=$call:signal=STOP:when=$((n + 1)) \
		sh -c 'echo $$ >pid; exec "$@"' sh "$program" train $short --output held &
	tracer=$!
	while [ ! -e held/README.md ] && kill -0 $tracer; do sleep 0.1; done
	ends 75 'another training is at work' train $short --output held &&
		ends 75 'at work' train $short --output held --lora-r 2
	refused=$?
	while kill -CONT "$(cat pid)" 2>/dev/null; do sleep 0.1; done
	wait $tracer && [ $refused -eq 0 ] && cmp lora/adapter_model.safetensors held/adapter_model.safetensors &&
		ends 73 "'held' holds a finished" train $short --output held --lora-r 2
}

# What killed processes were writing aside goes; what looks alike stays.
asides_go()
{
	dead=$(sh -c 'echo $$') && mkdir after merged_after && for output in after merged_after; do
		echo half | tee $output/.README.md.$dead.0.tmp >$output/.notes.tmp
	done
	train after && "$program" merge --model "$tiny" --adapter lora --output merged_after --quiet &&
		ls -A after merged_after && [ ! -e after/.README.md.$dead.0.tmp ] && [ ! -e merged_after/.README.md.$dead.0.tmp ] &&
		[ -e after/.notes.tmp ] && [ -e merged_after/.notes.tmp ]
}

# What others left in a directory stays: the Trainer of Hugging Face names its checkpoints as ours are.
others_stay()
{
	mkdir -p trainer/checkpoint-7 project && echo theirs | tee trainer/checkpoint-7/trainer_state.json >project/README.md || return 1
	ends 73 "'trainer/checkpoint-7' is no checkpoint of this program" train $short --output trainer --quiet &&
		ends 73 "'project' holds .*README.md" train $short --output project --quiet &&
		[ "$(cat trainer/checkpoint-7/trainer_state.json project/README.md)" = "$(printf 'theirs\ntheirs')" ]
}

config_is_read()
{
	printf 'lora_r: 4\nlora_alpha: 8\nlora_target_modules: [q_proj, down_proj]\n' >c.yaml
	train configured --config c.yaml --lora-alpha 6 && grep -q '"r": 4' configured/adapter_config.json &&
		grep -q '"lora_alpha": 6' configured/adapter_config.json && grep -q down_proj configured/adapter_config.json
}

other_names_are_told()
{
	printf 'learning_rate: 1e-3\ncutoff_len: 12\n' >other.yaml
	ends 78 "other.yaml:2: 'cutoff_len' is called 'max_length' here" train --model "$tiny" --data "$tiny/rows.jsonl" \
		--output other --config other.yaml
}

# The mean over rows of score's nll_conditional, with options
loss_with()
{
	"$program" score --quiet --data "$tiny/rows.jsonl" "$@" |
		sed -n 's/.*"nll_conditional":\([^,}]*\).*/\1/p' | awk '{ s += $1 } END { printf "%.6f", s / NR }'
}

adapter_is_used()
{
	base=$(loss_with --model "$tiny") adapted=$(loss_with --model "$tiny" --adapter lora)
	echo "$base $adapted"
	awk "BEGIN { exit !($adapted < 0.95 * $base) }"
}

merged_says_the_same()
{
	"$program" merge --model "$tiny" --adapter lora --output merged --quiet || return 1
	adapted=$(loss_with --model "$tiny" --adapter lora) merged=$(loss_with --model merged)
	echo "$adapted $merged"
	cmp "$tiny/tokenizer.json" merged/tokenizer.json && cmp "$tiny/config.json" merged/config.json &&
		awk "BEGIN { d = $adapted - $merged; if (d < 0) d = -d; exit !(d < 0.02 * $adapted) }"
}

full_is_a_checkpoint()
{
	train full --finetuning-type full --learning-rate 0.001 && [ -s full/model.safetensors ] &&
		cmp "$tiny/config.json" full/config.json && grep -q '^# Fine-tuned checkpoint' full/README.md || return 1
	base=$(loss_with --model "$tiny") tuned=$(loss_with --model full)
	echo "$base $tuned"
	awk "BEGIN { exit !($tuned < $base) }"
}

random_weights_learn()
{
	mkdir empty && cp "$tiny"/*.json empty && rm -f empty/generation_config.json
	for i in 1 2 3 4 5 6; do echo '{"text": "the price of oil rose in the year"}'; done >text.jsonl
	"$program" train --quiet --init random --finetuning-type full --model empty --data text.jsonl --output grown \
		--num-train-epochs 40 --learning-rate 0.01 --threads 2 &&
		awk -v l="$(value loss '$' grown/trainer_log.jsonl)" 'BEGIN { exit !(l < 0.5) }' &&
		"$program" generate --quiet --model grown --data "$tiny/rows.jsonl" --max-new-tokens 3
}

# "text" is what is learned only where a row has nothing else to learn.
text_comes_last()
{
	sed 's/^{/{"text": "some words of no meaning", /' "$tiny/rows.jsonl" >both.jsonl
	"$program" train $short --data both.jsonl --output both && cmp lora/adapter_model.safetensors both/adapter_model.safetensors
}

# null is what writers of tables put where a row lacks a column.
null_is_nothing()
{
	sed 's/^{/{"text": null, "messages": null, "completion_ids": null, /' "$tiny/rows.jsonl" >nulls.jsonl
	"$program" train $short --data nulls.jsonl --output nulls && cmp lora/adapter_model.safetensors nulls/adapter_model.safetensors &&
		echo '{"text": "the wheat crop fell", "prompt": null, "messages": null}' >plain.jsonl &&
		"$program" train $short --data plain.jsonl --output plain
}

gradients_are_dumped()
{
	train dumped --dump-gradients g.safetensors &&
		head -c 4000 g.safetensors | grep -q 'base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight'
}

# A base whose files end it at another token than the tokenizer's end, which is what training teaches.
ends_where_taught()
{
	mkdir other && cp "$tiny"/*.json other && rm -f other/generation_config.json &&
		sed -i 's/"eos_token_id": 1/"eos_token_id": 2/' other/config.json || return 1
	"$program" train --quiet --init random --finetuning-type full --model other --data text.jsonl --output taught \
		--num-train-epochs 40 --learning-rate 0.01 --threads 2 || return 1
	echo '{"prompt": "the price of oil rose in the"}' >begun.jsonl
	"$program" generate --quiet --model taught --data begun.jsonl --max-new-tokens 20 >made && cat made &&
		grep -q '"finish_reason": *"stop"' made && cat taught/generation_config.json &&
		tr -d ' \n' <taught/generation_config.json | grep -q '"eos_token_id":\[2,1\]' &&
		cmp other/config.json taught/config.json && cmp "$tiny/generation_config.json" full/generation_config.json
}

# byte N...: in octal for printf
bytes()
{
	for byte; do printf "\\$(printf %03o "$byte")"; done
}

# sharded FOLDER TENSOR HEADER: data/tiny with a second shard of one tensor, whose bytes come from stdin
sharded()
{
	mkdir "$1" && cp "$tiny"/*.json "$1" && cp "$tiny/model.safetensors" "$1/model-00001-of-00002.safetensors" ||
		return 1
	{ bytes ${#3} 0 0 0 0 0 0 0 && printf %s "$3" && cat; } >"$1/model-00002-of-00002.safetensors"
	names=$(grep -ao '"[a-z_.0-9]*":{"dtype"' "$tiny/model.safetensors" | sed 's/:{.*/: "model-00001-of-00002.safetensors",/')
	echo "{\"weight_map\": {$names \"$2\": \"model-00002-of-00002.safetensors\"}}" \
		>"$1/model.safetensors.index.json"
}

# A tensor that is no weight travels as it is.
merges_around_buffers()
{
	bytes 0 0 0 0 0 0 0 0 1 0 0 0 0 0 0 0 |
		sharded more position_ids \
			'{"position_ids":{"dtype":"I64","shape":[1,2],"data_offsets":[0,16]}}   ' || return 1
	"$program" merge --model more --adapter lora --output around --quiet &&
		grep -aq '"position_ids":{"dtype":"I64","shape":\[1,2\]' around/model.safetensors &&
		[ "$(tail -c 16 around/model.safetensors | od -An -tu8 | tr -s ' ')" = ' 0 1' ]
}

# A head of its own beside a tied embedding: which of the two is meant cannot be told.
merge_refuses_another_head()
{
	head -c 24064 /dev/zero | sharded heads lm_head.weight \
		'{"lm_head.weight":{"dtype":"BF16","shape":[376,32],"data_offsets":[0,24064]}}   ' &&
		ends 65 'lm_head.weight.*set tie_word_embeddings to false or remove' \
			merge --model heads --adapter lora --output headless --quiet && [ ! -e headless/config.json ]
}

# config.json comes last: what a failed merge leaves is no model, and the same command makes one.
merge_begins_again()
{
	(trap '' XFSZ && ulimit -f 40 && ends 74 'model.safetensors' merge --model "$tiny" --adapter lora --output halves --quiet) || return 1
	ls halves
	[ ! -e halves/config.json ] && "$program" merge --model "$tiny" --adapter lora --output halves --quiet &&
		cmp merged/model.safetensors halves/model.safetensors
}

# The type that weights have decides what rounding may cost, also where config.json does not tell it.
merge_without_dtype()
{
	mkdir untold && cp "$tiny"/* untold && sed -i 's/.*"torch_dtype".*//; s/"eos_token_id": 1,/"eos_token_id": 1/' untold/config.json &&
		"$program" merge --model untold --adapter lora --output told --quiet && cmp merged/model.safetensors told/model.safetensors
}

# Trained to the end, not saved: the next start has no step to do, and tells the last one's loss all the same.
saves_later()
{
	mkdir -p later/README.md && ends 73 'README.md' train $short --output later && rmdir later/README.md &&
		ends 73 'the first step' train $short --output later --dump-gradients g2 && train later &&
		cmp lora/README.md later/README.md && cmp lora/adapter_model.safetensors later/adapter_model.safetensors
}

# With --init-adapter the card tells that one's rank.
card_of_another()
{
	train further --init-adapter lora --lora-r 3 --lora-alpha 99 && cat further/README.md &&
		grep -q '^| lora_r | 8 |' further/README.md && grep -q '^| lora_alpha | 16 |' further/README.md
}

# one_alpha DIRECTORY: the card's is that of the configuration
one_alpha()
{
	card=$(sed -n 's/^| lora_alpha | \(.*\) |$/\1/p' "$1/README.md")
	config=$(sed -n 's/.*"lora_alpha": \(.*\),$/\1/p' "$1/adapter_config.json")
	echo "$1: $card, $config"
	awk "BEGIN { d = $card - $config; exit !($config > 17 && d < 1e-6 && d > -1e-6) }"
}

# An rsLoRA adapter is written as the plain one of the same scale, its card too, and one that goes on from another's.
card_of_rslora()
{
	train scaled --use-rslora true && one_alpha scaled && cp -r lora others &&
		sed -i 's/"revision": null/"use_rslora": true/' others/adapter_config.json &&
		train scaled_on --init-adapter others && one_alpha scaled_on
}

loaders_say_yes()
{
	"$program" check-adapter lora >out && cat out && [ "$(grep -c ' yes' out)" -eq 3 ]
}

loaders_say_no()
{
	cp -r lora bad && sed -i 's/"revision": null/"use_rslora": true, "modules_to_save": ["lm_head"]/; s/"modules_to_save": null/"x": null/' bad/adapter_config.json
	"$program" check-adapter bad >out 2>err
	[ $? -eq 65 ] || return 1
	cat out
	grep -q '^peft *yes' out && grep -q '^vllm *no.*modules_to_save' out && grep -q '^llama.cpp *no.*use_rslora' out || return 1
	"$program" check-adapter --for peft bad >out && cat out && [ "$(wc -l <out)" -eq 1 ] # the others are not asked
}

# verdict CONFIG TENSORS LOADER PATTERN: what a loader is said to do with the adapter after two edits by sed
verdict()
{
	rm -rf edited && cp -r lora edited && LC_ALL=C sed -i "$1" edited/adapter_config.json &&
		LC_ALL=C sed -i "$2" edited/adapter_model.safetensors || return 1
	"$program" check-adapter --for "$3" edited >out 2>err
	cat out
	grep -q "^$3 *$4" out
}

loaders_look_at_tensors()
{
	for loader in peft vllm llama.cpp; do
		verdict 's/"LORA"/"LOHA"/' '' $loader "no *peft_type is 'LOHA'" &&
			verdict 's/"peft_type": "LORA",//' '' $loader "no *peft_type is ''" &&
			verdict 's/"q_proj"/"k_proj"/' '' $loader 'no .*q_proj.*target_modules' &&
			verdict 's/"q_proj"/"_proj"/' '' $loader 'no .*q_proj.*target_modules' &&
			verdict 's/"q_proj"/"self_attn.q_proj"/' '' $loader 'yes' &&
			verdict 's/"target_modules"/"targets"/' '' $loader 'no *target_modules is missing' &&
			verdict '' 's/base_model.model.model/base_model.other.model/g' $loader 'no *no tensor is' ||
			return 1
	done
	verdict ':a; N; $!ba; s/\("target_modules": *\)\[[^]]*\]/\1"all-linear"/' '' peft yes &&
		grep -q '"target_modules": "all-linear"' edited/adapter_config.json
}

# with_key KEYS PEFT VLLM LLAMA: what the three say where these keys are added, as patterns
with_key()
{
	for verdict in "peft $2" "vllm $3" "llama.cpp $4"; do
		verdict "s/\"revision\": null/$1/" "${tensors-}" "${verdict%% *}" "${verdict#* }" || { echo "$1: $verdict"; return 1; }
	done
}

# What a loader does not read although it changes what is computed.
loaders_read_keys()
{
	with_key '"alpha_pattern": {"q_proj": 4}' yes 'no .*alpha_pattern' 'no .*alpha_pattern' &&
		with_key '"rank_pattern": {"k_proj": 4}' yes 'no .*rank_pattern' yes &&
		with_key '"layer_replication": [[0, 2], [1, 2]]' yes 'no .*layer_replication' 'no .*layer_replication' &&
		with_key '"layer_replication": null, "alpha_pattern": {}, "exclude_modules": []' yes yes yes || return 1
	for left in '"layers_to_transform": [0]' '"layers_to_transform": 0'; do
		with_key "$left" 'no .*layers.1.*layers_to_transform' 'no .*layers_to_transform' 'no .*layers_to_transform' || return 1
	done
	with_key '"layers_to_transform": [1, 0]' yes yes yes && with_key '"layers_to_transform": []' yes yes yes &&
		with_key '"exclude_modules": ["layers.0.self_attn.k_proj", "_proj"]' yes yes yes &&
		with_key '"exclude_modules": ["v_proj"]' 'no .*v_proj.*exclude' 'no .*exclude' 'no .*exclude' || return 1
	for init in pissa olora loftq; do
		verdict "s/\(\"init_lora_weights\": \)true/\1\"$init\"/" '' peft yes || return 1
		for loader in vllm llama.cpp; do
			verdict "s/\(\"init_lora_weights\": \)true/\1\"$init\"/" '' $loader "no .*init_lora_weights is '$init'" || return 1
		done
	done
	for init in gaussian eva orthogonal; do
		verdict "s/\(\"init_lora_weights\": \)true/\1\"$init\"/" '' vllm yes || return 1
	done
	for alpha in '"lora_alpha": null' '"x": 1'; do
		verdict "s/\"lora_alpha\": 16/$alpha/" '' peft yes && verdict "s/\"lora_alpha\": 16/$alpha/" '' vllm 'no .*lora_alpha' &&
			verdict "s/\"lora_alpha\": 16/$alpha/" '' llama.cpp 'no .*lora_alpha' || return 1
	done
}

# What PEFT reads beside A and B: biases of B, and modules by the end of their names, which is any end.
loaders_read_more_than_pairs()
{
	biases='s/layers.0.self_attn.q_proj.lora_A.weight":/layers.0.self_attn.q_proj.lora_B.bias":  /
		s/layers.0.self_attn.q_proj.lora_B.weight":/layers.0.self_attn.k_proj.lora_B.bias":  /'
	norms='s/layers.0.self_attn.q_proj.lora_A.weight":/layers.0.input_layernorm.weight":        /
		s/layers.0.self_attn.q_proj.lora_B.weight":/layers.0.other_layernorm.weight":        /'
	tensors=$biases with_key '"lora_bias": true' yes 'no .*lora_B.bias' 'no .*lora_B.bias' &&
		tensors=$biases with_key '"lora_bias": false' 'no .*lora_B.bias' no no || return 1
	for saved in yes:norm yes:input_layernorm,other_layernorm no:norms; do
		words=$(echo "${saved#*:}" | sed 's/,/", "/')
		verdict "s/\"modules_to_save\": null/\"modules_to_save\": [\"$words\"]/" "$norms" peft "${saved%:*}" || return 1
	done
	verdict 's/"modules_to_save": null/"modules_to_save": []/' '' vllm yes
}

# A tensor that is no A or B, at home in a module that modules_to_save names, or in none.
loaders_look_beside_pairs()
{
	saved='s/"modules_to_save": null/"modules_to_save": ["x_proj"]/'
	odd='s/\(layers.0.self_attn.\)q\(_proj.lora_[AB].\)weight/\1x\2weighs/g'
	verdict '' "$odd" peft 'no .*x_proj.lora_A.weighs' && verdict '' "$odd" vllm 'no .*x_proj.lora_A.weighs' &&
		verdict "$saved" "$odd" peft yes && verdict "$saved" "$odd" vllm 'no .*modules_to_save'
}

rows='--model '$tiny' --data '$tiny/rows.jsonl
printf '{"prompt": "a b", "completion": "c"}\n{"prompt": "%s", "completion": "c"}\n' "$(yes word | head -n 400 | tr '\n' ' ')" >long.jsonl

check "a training leaves an adapter, its card and its log" adapter_is_whole
check "an adapter names its base wherever it was trained from" base_is_absolute
check "the log has a line a step, and the loss falls" log_falls
check "the same seed gives the same bytes" same_again
check "the order of the file is kept where asked for" keeps_the_order
check "accumulation gives the losses of the large batch" split_is_the_same
check "a killed training goes on to the same bytes" killed_goes_on
check "a training holds its output to the end: 75" held_to_the_end
check "what killed processes were writing aside goes" asides_go
check "what others left in the output is refused: 73" others_stay
check "a file of keys, and options over it" config_is_read
check "another program's name for a key is told ours" other_names_are_told
check "score takes the adapter" adapter_is_used
check "merged is what base and adapter were" merged_says_the_same
check "full fine-tuning leaves a checkpoint" full_is_a_checkpoint
check "random weights learn plain text" random_weights_learn
check "plain text beside prompt and completion is not learned" text_comes_last
check "null is as if it were not there" null_is_nothing
check "the first gradients are written" gradients_are_dumped
check "generation ends where training taught it to" ends_where_taught
check "merging around a tensor that is no weight" merges_around_buffers
check "merging where a tied head is another" merge_refuses_another_head
check "a failed merge can be given again" merge_begins_again
check "merging where config.json tells no type" merge_without_dtype
check "what was trained is saved by the next start" saves_later
check "a card of an adapter that went on" card_of_another
check "a card of an rsLoRA adapter" card_of_rslora
check "three loaders take the adapter" loaders_say_yes
check "and refuse what they cannot run" loaders_say_no
check "each looks at kind, modules and names" loaders_look_at_tensors
check "each looks at the keys that it does not read" loaders_read_keys
check "peft reads biases and whole modules" loaders_read_more_than_pairs
check "a tensor beside the pairs is a no" loaders_look_beside_pairs
check "a finished output is not overwritten" ends 73 "'lora' holds a finished" train $rows --output lora
check "a row without room for a target is named" ends 65 'long.jsonl:2: .*max_length' train --model "$tiny" \
	--data long.jsonl --output long --max-length 64
check "a missing adapter" ends 66 'nowhere' score $rows --adapter nowhere
check "a directory that is no adapter" ends 65 'adapter_config.json' score $rows --adapter "$tiny"
check "a target nobody knows" ends 78 'lora_target_modules' train $rows --output x --lora-target-modules q_proj,head
check "--output is needed" ends 64 "'--output' is missing" train $rows
check "adapters on random weights" ends 78 'finetuning-type full' train $rows --output x --init random
for job in "train $rows --output x" "merge --model $tiny --adapter lora --output x" "eval --model $tiny --data $tiny/test.jsonl --type classification"; do
	check "${job%% *}: unknown backend: 78" ends 78 "'nothing'" $job --backend nothing
	check "${job%% *}: unknown dtype: 78" ends 78 "'int4'" $job --dtype int4
	check "${job%% *}: too little memory: 71" ends 71 'raise --memory' $job --memory 64KiB
done
check "merge into a model's directory" ends 73 'holds a model already' merge --model "$tiny" --adapter lora --output merged
echo "1..$cases"
