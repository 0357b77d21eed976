#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# teacher_server.sh PEERS [N]: N (200) annotations from a real server, llama-cpp-python's OpenAI one with SmolLM2, eight
# at a time, and whether its own log and our ledger agree on how many there were. PEERS as peers.sh has made it; needs
# llama-cpp-python[server]. BALDISTILL: the program.
set -eu
peers=$(cd "${1:?usage: teacher_server.sh PEERS [N]}" && pwd) n=${2-200}
. "$(dirname "$0")/program.sh"
find_program
demo=$(cd "$(dirname "$0")/../data/demo" && pwd)
folder=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM
port=$((20000 + $$ % 20000))
"$peers/venv/bin/python" -m llama_cpp.server --model "$peers/smollm2.f32.gguf" --port $port --n_ctx 1024 \
	--n_threads "$(nproc)" >"$folder/server.log" 2>&1 &
server=$!
seconds=0
until grep -qs 'Uvicorn running' "$folder/server.log"; do
	if [ $seconds -eq 60 ] || ! kill -0 $server 2>/dev/null; then
		cat "$folder/server.log" >&2
		echo 'teacher_server.sh: the server did not start: see its log above' >&2
		exit 1
	fi
	sleep 1
	seconds=$((seconds + 1))
done
cat >"$folder/plan.yaml" <<END
task: {type: $(sed -n 's/.*type: *\([a-z_]*\).*/\1/p' "$demo/plan.yaml" | head -n 1), train: $demo/train.jsonl}
method: random-finetune-cot
budget: $n
stages: 1
student: {model_name_or_path: $demo/student}
teacher: {kind: openai, base_url: "http://127.0.0.1:$port/v1", model: smollm2, api_key_env: , max_concurrent_requests: 8,
  max_tokens: 200, prices: {input: 0.15, output: 0.6}}
output_dir: run
END
start=$(date +%s)
BALDISTILL_STATE_DIR=$folder/state "$program" run "$folder/plan.yaml" --until 0.annotate || echo "status $?"
echo "$(($(date +%s) - start)) seconds"
"$program" status "$folder/run" | head -n 14
"$program" ledger audit "$folder/run"
echo "server: $(grep -c 'POST /v1/chat/completions' "$folder/server.log") requests"
"$program" ledger export "$folder/run" --output "$folder/cassette"
sed -n 's/.*"state":"\([a-z_]*\)","reason":\("[^"]*"\|null\).*/\1 \2/p' "$folder/cassette" | sort | uniq -c
