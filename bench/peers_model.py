# SPDX-License-Identifier: Apache-2.0
"""peers_model.py SOURCE.gguf DIR: a quantised GGUF file, expanded, as DIR/smollm2 (Hugging Face form, bfloat16) and
DIR/smollm2.f32.gguf and smollm2.bf16.gguf. What is there already stays as it is. Everything is made under another name,
which ends in .part, so that what has its own name is whole."""
import ctypes, os, shutil, sys

source, out = sys.argv[1:]


def make_directory(directory):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

    folder, name = os.path.split(source)
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name)
    read = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32)
    settings = read.config.to_dict()
    for key in ("quantization_config", "_model_name_or_path"):
        settings.pop(key, None)
    model = LlamaForCausalLM(LlamaConfig(**settings))
    model.load_state_dict(read.state_dict())
    model.tie_weights()
    part = directory + ".part"
    model.to(torch.bfloat16).save_pretrained(part)
    tokenizer.save_pretrained(part)
    shutil.rmtree(directory, ignore_errors=True)
    os.rename(part, directory)


def make_gguf(path, kind):
    import llama_cpp

    llama_cpp.llama_backend_init()
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype, params.allow_requantize = kind, True
    part = path + ".part"
    if llama_cpp.llama_model_quantize(source.encode(), part.encode(), ctypes.byref(params)):
        sys.exit(f"{path}: conversion of {source} failed")
    os.rename(part, path)


def filled(name):
    """Is there such a file below DIR, and not an empty one?"""
    path = os.path.join(out, name)
    return os.path.isfile(path) and os.path.getsize(path) > 0


if not filled("smollm2/model.safetensors"):
    make_directory(os.path.join(out, "smollm2"))
for name, kind in (("smollm2.f32.gguf", 0), ("smollm2.bf16.gguf", 32)):  # of llama.cpp's list of file types
    if not filled(name):
        make_gguf(os.path.join(out, name), kind)
print(out)
