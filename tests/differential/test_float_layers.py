"""Layers that `modules_to_not_convert` keeps as floats, against the arithmetic of transformers in numpy.

A kept module is an `nn.Linear`. The others are an `AutoBitLinear` in online mode: weights are rounded to trits of their
mean magnitude, and activations to int8 token by token.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tercet

HIDDEN, FFN, HEADS, VOCABULARY, EPS = 64, 96, 2, 64, 1e-5
IDS = [1, 2, 3, 40, 7, 7, 63]
SHAPES = {
    "self_attn.q_proj": (HIDDEN, HIDDEN),
    "self_attn.k_proj": (HIDDEN, HIDDEN),
    "self_attn.v_proj": (HIDDEN, HIDDEN),
    "self_attn.o_proj": (HIDDEN, HIDDEN),
    "mlp.gate_proj": (FFN, HIDDEN),
    "mlp.up_proj": (FFN, HIDDEN),
    "mlp.down_proj": (HIDDEN, FFN),
}


def tensors() -> dict[str, np.ndarray]:
    random = np.random.default_rng(5)
    found = {f"model.layers.0.{name}": random.normal(0, 0.2, shape) for name, shape in SHAPES.items()}
    found |= {name: random.normal(0, 0.5, (VOCABULARY, HIDDEN)) for name in ("model.embed_tokens", "lm_head")}
    for norm in ("model.norm", "model.layers.0.input_layernorm", "model.layers.0.post_attention_layernorm"):
        found[norm] = random.uniform(0.5, 1.5, HIDDEN)
    return {f"{name}.weight": values.astype(np.float32) for name, values in found.items()}


def write(path: Path, kept: list[str]) -> None:
    """Writes the model, with master weights in f32."""
    path.mkdir()
    quantization = {
        "quant_method": "bitnet",
        "linear_class": "autobitlinear",
        "quantization_mode": "online",
        "modules_to_not_convert": kept,
    }
    config = {
        "model_type": "llama",
        "vocab_size": VOCABULARY,
        "hidden_size": HIDDEN,
        "intermediate_size": FFN,
        "num_hidden_layers": 1,
        "num_attention_heads": HEADS,
        "max_position_embeddings": 64,
        "rms_norm_eps": EPS,
        "quantization_config": quantization,
    }
    (path / "config.json").write_text(json.dumps(config))
    vocabulary = {chr(0x100 + i): i for i in range(VOCABULARY)}
    model = {"type": "BPE", "vocab": vocabulary, "merges": []}
    (path / "tokenizer.json").write_text(json.dumps({"version": "1.0", "added_tokens": [], "model": model}))
    header, data = {}, b""
    for name, values in tensors().items():
        header[name] = {
            "dtype": "F32",
            "shape": list(values.shape),
            "data_offsets": [len(data), len(data) + values.nbytes],
        }
        data += values.tobytes()
    head = json.dumps(header).encode()
    (path / "model.safetensors").write_bytes(len(head).to_bytes(8, "little") + head + data)


def logits(kept: set[str]) -> np.ndarray:
    weights = {name.removesuffix(".weight"): values.astype(np.float64) for name, values in tensors().items()}

    def linear(name: str, x: np.ndarray) -> np.ndarray:
        weight = weights[name]
        if name not in kept:
            scale = np.abs(weight).mean()
            weight = np.clip(np.round(weight / scale), -1, 1) * scale
            step = 127 / np.abs(x).max(axis=-1, keepdims=True)
            x = np.clip(np.round(x * step), -128, 127) / step
        return x @ weight.T

    def norm(name: str, x: np.ndarray) -> np.ndarray:
        return x / np.sqrt((x * x).mean(axis=-1, keepdims=True) + EPS) * weights[name]

    def heads(x: np.ndarray) -> np.ndarray:
        return x.reshape(len(IDS), HEADS, -1).transpose(1, 0, 2)

    def rotate(x: np.ndarray) -> np.ndarray:
        half = x.shape[-1] // 2
        angles = np.arange(len(IDS))[:, None] / 10_000.0 ** (np.arange(half) / half)
        a, b = x[..., :half], x[..., half:]
        cos, sin = np.cos(angles), np.sin(angles)
        return np.concatenate([a * cos - b * sin, b * cos + a * sin], axis=-1)

    layer = "model.layers.0"
    x = weights["model.embed_tokens"][IDS]
    normed = norm(f"{layer}.input_layernorm", x)
    q, k, v = (heads(linear(f"{layer}.self_attn.{part}_proj", normed)) for part in "qkv")
    scores = rotate(q) @ rotate(k).transpose(0, 2, 1) / np.sqrt(q.shape[-1])
    scores[:, np.triu_indices(len(IDS), 1)[0], np.triu_indices(len(IDS), 1)[1]] = -np.inf
    shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
    attended = shares / shares.sum(axis=-1, keepdims=True) @ v
    x = x + linear(f"{layer}.self_attn.o_proj", attended.transpose(1, 0, 2).reshape(len(IDS), HIDDEN))
    normed = norm(f"{layer}.post_attention_layernorm", x)
    gate, up = (linear(f"{layer}.mlp.{part}_proj", normed) for part in ("gate", "up"))
    x = x + linear(f"{layer}.mlp.down_proj", gate / (1 + np.exp(-gate)) * up)
    return linear("lm_head", norm("model.norm", x))


@pytest.mark.parametrize(
    ("patterns", "kept"),
    [
        (["lm_head"], []),
        (["lm_head", "model.layers.0.mlp.down_proj"], ["mlp.down_proj"]),
        (["lm_head", "q_proj", r"model\.layers\.\d+\.mlp"], ["self_attn.q_proj", *list(SHAPES)[4:]]),
        (["lm_head", "model.layers"], list(SHAPES)),
        (["v_proj"], ["self_attn.v_proj"]),
    ],
    ids=lambda value: ",".join(value) or "none",
)
def test_kept_modules_multiply_by_floats(tmp_path: Path, patterns: list[str], kept: list[str]) -> None:
    write(tmp_path / "model", patterns)
    names = {f"model.layers.0.{name}" for name in kept} | ({"lm_head"} & set(patterns))
    expected = logits(names)
    for mode in ("fast", "exact"):
        model, _ = tercet.load_model(tmp_path / "model", threads=1, mode=mode)
        found = model.logits(IDS)
        # One activation that rounds the other way moves the logits by about a hundredth.
        assert np.abs(found - expected).mean() < (0.05 if mode == "fast" else 0.01), mode
        assert (found.argmax(axis=-1) == expected.argmax(axis=-1)).all()
