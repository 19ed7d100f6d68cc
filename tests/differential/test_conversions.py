"""Converted models in llama.cpp: the same greedy text.

The weights are those of the embedded model, in the architecture of each family that llama.cpp runs. `bitnet-b1.58` and
`bitnet-25` with I2_S matrices are left out, because only bitnet.cpp knows them. BitNet with ReLU² cannot be the same: llama.cpp
runs all BitNet models with SiLU.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import xllamacpp
from conftest import ROOT, load

SOURCE = ROOT / "models" / "fairy-tales"
PROMPT = "Once upon a time"
TOKENS = 10
#: The width of the feed-forward block, padded to a multiple of 256 as TQ1_0 and TQ2_0 need it.
WIDTH = 768


class Tensor(NamedTuple):
    dtype: str
    shape: list[int]
    data: bytes


def read(path: Path) -> dict[str, Tensor]:
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    header.pop("__metadata__", None)

    def tensor(about: dict[str, Any]) -> Tensor:
        first, end = about["data_offsets"]
        return Tensor(about["dtype"], about["shape"], data[start + first : start + end])

    return {name: tensor(about) for name, about in header.items()}


def write(path: Path, tensors: dict[str, Tensor]) -> None:
    header, data = {}, b""
    for name, tensor in tensors.items():
        end = len(data) + len(tensor.data)
        header[name] = {"dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": [len(data), end]}
        data += tensor.data
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


def padded(name: str, tensor: Tensor) -> Tensor:
    """Adds zeros to a matrix of the feed-forward block, which change nothing."""
    if "mlp" not in name or tensor.dtype != "U8":
        return tensor
    packed = np.frombuffer(tensor.data, np.uint8).reshape(tensor.shape)
    codes = np.concatenate([packed >> shift & 3 for shift in (0, 2, 4, 6)])
    rows, columns = codes.shape
    # 1 is the code of the weight 0.
    wide = np.ones((rows, WIDTH) if "down_proj" in name else (WIDTH, columns), np.uint8)
    wide[:rows, :columns] = codes
    packed = sum(part << shift for part, shift in zip(np.split(wide, 4), (0, 2, 4, 6)))
    return Tensor("U8", list(packed.shape), packed.astype(np.uint8).tobytes())


def variant(family: str, path: Path) -> Path:
    """Makes the embedded model in the architecture of a family."""
    tensors = read(SOURCE / "model.safetensors")
    config = json.loads((SOURCE / "config.json").read_text()) | {"hidden_act": "silu"}
    if family == "1bitLLM":
        config["architectures"] = ["BitnetForCausalLM"]
        for usual, own in (("attn_sub_norm", "inner_attn_ln"), ("ffn_sub_norm", "ffn_layernorm")):
            tensors = {name.replace(usual, own): tensor for name, tensor in tensors.items()}
    else:
        tensors = {name: padded(name, tensor) for name, tensor in tensors.items() if "sub_norm" not in name}
        config |= {"architectures": [f"{family}ForCausalLM"], "model_type": family.lower()}
        config["intermediate_size"] = WIDTH
    if family == "Qwen3":
        head = config["head_dim"] = config["hidden_size"] // config["num_attention_heads"]
        ones = Tensor("F32", [head], np.ones(head, np.float32).tobytes())
        for layer in range(config["num_hidden_layers"]):
            tensors |= {f"model.layers.{layer}.self_attn.{part}_norm.weight": ones for part in "qk"}
    path.mkdir()
    (path / "config.json").write_text(json.dumps(config))
    write(path / "model.safetensors", tensors)
    for file in ("tokenizer.json", "tokenizer_config.json"):
        (path / file).write_bytes((SOURCE / file).read_bytes())
    return path


def convert(model: Path, out: Path, kind: str) -> list[str]:
    """Converts a model, and returns what the command tells of it."""
    command = [sys.executable, "-m", "tercet", "convert", "-m", model, "-o", out, "--type", kind, "--json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)["differences"]


def in_tercet(path: Path) -> str:
    model, tokenizer = load(path)
    prompt = tokenizer.encode(PROMPT)
    return tokenizer.decode(model.generate(prompt, TOKENS, do_sample=False)[len(prompt) :])


def in_llama_cpp(path: Path) -> str:
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.n_ctx, params.n_parallel, params.warmup, params.verbosity = 256, 1, False, 0
    params.cpuparams.n_threads = 1
    server = xllamacpp.Server(params)
    answer = server.handle_completions({"prompt": PROMPT, "n_predict": TOKENS, "temperature": 0})
    return answer["choices"][0]["text"]


FORMATS = [
    ("Llama", "tq1_0"),
    ("Llama", "tq2_0"),
    ("Llama", "q2_0"),
    ("Qwen3", "tq2_0"),
    ("Qwen3", "q2_0"),
    ("1bitLLM", "q2_0"),
]


@pytest.mark.parametrize(("family", "kind"), FORMATS)
def test_llama_cpp_continues_like_tercet(family: str, kind: str, tmp_path: Path) -> None:
    source, out = variant(family, tmp_path / "model"), tmp_path / "model.gguf"
    # llama.cpp knows this token as the end of a turn, whatever the file says.
    [told] = convert(source, out, kind)
    assert "these tokens also end a text: <|eot_id|>" in told
    assert in_llama_cpp(out) == in_tercet(source) == in_tercet(out)


def test_an_activation_that_llama_cpp_lacks_is_named(tmp_path: Path) -> None:
    out = tmp_path / "model.gguf"
    assert any("SiLU" in line for line in convert(SOURCE, out, "q2_0"))
    # If llama.cpp learns the activation, the line has to go.
    assert in_llama_cpp(out) != in_tercet(out)
