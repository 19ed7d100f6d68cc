"""Keys of GGUF that stretch the rotary embedding, against llama.cpp: the same probabilities of the next token."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Union

import numpy as np
import xllamacpp
from conftest import ROOT, load

FILE = ROOT / "tests" / "fixtures" / "gguf" / "llama-tq2_0.gguf"
IDS = [1, 2, 3, 40, 7, 7, 63, 12, 12, 30]
#: Tokens that are compared: the likeliest ones.
BEST = 8

Keys = dict[str, Union[str, int, float]]

#: The number of bytes of each type of value in GGUF.
SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}


def with_keys(keys: Keys) -> bytes:
    """Returns the file with more keys in front of its own."""
    data = FILE.read_bytes()
    at = 8

    def number(form: str) -> int:
        nonlocal at
        (value,) = struct.unpack_from(f"<{form}", data, at)
        at += struct.calcsize(f"<{form}")
        return value

    def skip(kind: int) -> None:
        nonlocal at
        if kind == 8:
            length = number("Q")
            at += length
        elif kind == 9:
            kind, count = number("I"), number("Q")
            for _ in range(count):
                skip(kind)
        else:
            at += SIZES[kind]

    tensors, values = number("Q"), number("Q")
    start = at
    for _ in range(values):
        skip(8)
        skip(number("I"))
    for _ in range(tensors):
        skip(8)
        dimensions = number("I")
        at += 8 * dimensions + 12
    header = data[start:at]
    more = b""
    for key, value in keys.items():
        more += struct.pack("<Q", len(key)) + key.encode()
        if isinstance(value, str):
            more += struct.pack("<IQ", 8, len(value)) + value.encode()
        else:
            kind, form = (4, "I") if isinstance(value, int) else (6, "f")
            more += struct.pack(f"<I{form}", kind, value)
    whole = data[:8] + struct.pack("<QQ", tensors, values + len(keys)) + more + header
    return whole + bytes(-len(whole) % 32) + data[at + -at % 32 :]


def llama_cpp(path: Path) -> dict[int, float]:
    """Returns llama.cpp's logarithms of the probabilities of the likeliest tokens."""
    params = xllamacpp.CommonParams()
    params.model.path = str(path)
    params.n_ctx, params.cpuparams.n_threads, params.warmup = 64, 1, False
    request = {"prompt": IDS, "n_predict": 1, "temperature": -1, "n_probs": BEST}
    answer = xllamacpp.Server(params).handle_completions(request)
    best = answer["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
    return {token["id"]: token["logprob"] for token in best}


CASES: list[Keys] = [
    {},
    {"attn_factor": 1.5},
    {"factor": 4.0},
    {"type": "none", "factor": 4.0},
    {"type": "linear", "factor": 4.0, "attn_factor": 0.5},
    {"type": "yarn", "factor": 4.0, "original_context_length": 16},
    {"type": "yarn", "factor": 4.0, "attn_factor": 1.5},
]


def test_rope_scaling(tmp_path: Path) -> None:
    paths = [tmp_path / f"{i}.gguf" for i in range(len(CASES))]
    for path, keys in zip(paths, CASES):
        path.write_bytes(with_keys({f"llama.rope.scaling.{name}": value for name, value in keys.items()}))
    expected = [llama_cpp(path) for path in paths]
    for path, keys, answer in zip(paths, CASES, expected):
        model, _ = load(path)
        logits = model.logits(IDS)[-1].astype(np.float64)
        found = logits - np.log(np.exp(logits - logits.max()).sum()) - logits.max()
        distances = [np.mean([abs(found[id] - other[id]) for id in other]) for other in expected]
        # llama.cpp rounds activations in another way, so the probabilities differ a little. Those of other keys are
        # further away.
        assert expected[int(np.argmin(distances))] == answer, (keys, distances)
