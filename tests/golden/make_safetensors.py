# SPDX-License-Identifier: Apache-2.0
"""Write tensors.safetensors, the golden file of tests/safetensors_test.cc, with the Python package safetensors.

    python3 tests/golden/make_safetensors.py tests/golden/tensors.safetensors
    python3 tests/golden/make_safetensors.py --check FILE...

Needs numpy, torch and safetensors; the tests need only the file. With --check the package reads files that this
program wrote: every tensor must hold 0, 1, 2, … in its own type.
"""
import sys

import safetensors
import torch
from safetensors.torch import load_file, save_file


def make(path):
    count = torch.arange
    save_file(
        {
            "f32.2": (count(6, dtype=torch.float32) - 2.5).reshape(2, 3),
            "bf16.2": (count(8, dtype=torch.float32) / 3).to(torch.bfloat16).reshape(4, 2),
            "f16.1": torch.tensor([0.0, -0.0, 1.0, 6.1035e-05, 5.9605e-08, 65504.0, float("inf"), 1 / 3],
                                  dtype=torch.float16),
            "f32.0": torch.tensor(7.25),
            "f32.empty": torch.zeros(0, 5),
            "i64.1": count(3),
            "bool.1": torch.tensor([True, False, True]),
            "f8.1": torch.tensor([1.0, -2.0]).to(torch.float8_e4m3fn),
            "name \u00e9\u4e16": torch.tensor([1.5]),
        },
        path,
        metadata={"format": "pt", "made by": f"safetensors {safetensors.__version__}"},
    )


def check(path):
    for name, tensor in load_file(path).items():
        expected = torch.arange(tensor.numel(), dtype=torch.float32).to(tensor.dtype).reshape(tensor.shape)
        assert torch.equal(tensor, expected), (path, name)
        print(path, name, tensor.dtype, tuple(tensor.shape))


if __name__ == "__main__":
    if sys.argv[1] == "--check":
        for argument in sys.argv[2:]:
            check(argument)
    else:
        make(sys.argv[1])
