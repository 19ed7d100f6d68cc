"""Tiny GGUF models with vocabularies that are slightly off, and llama.cpp's view of them."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any, Optional

import numpy as np
import xllamacpp
from gguf import GGMLQuantizationType as Type
from gguf import GGUFWriter
from gguf.quants import quantize

WIDTH = 256


def write(path: Path, model: str, tokens: list[str], *, merges: Optional[list[str]] = None, pre: str = "qwen2",
          types: Optional[list[int]] = None, scores: Optional[list[float]] = None, **ids: Any) -> Path:
    """Writes a Llama of one layer with this vocabulary. `ids` are further keys of the tokenizer."""
    writer = GGUFWriter(path, "llama")
    for add, value in [
        (writer.add_block_count, 1), (writer.add_context_length, 64), (writer.add_embedding_length, WIDTH),
        (writer.add_feed_forward_length, WIDTH), (writer.add_head_count, 4), (writer.add_head_count_kv, 4),
        (writer.add_layer_norm_rms_eps, 1e-5), (writer.add_rope_dimension_count, WIDTH // 4),
        (writer.add_tokenizer_model, model), (writer.add_token_list, tokens),
    ]:
        add(value)
    if model == "gpt2" and pre:
        writer.add_tokenizer_pre(pre)
    if merges is not None:
        writer.add_token_merges(merges)
    if types is not None:
        writer.add_token_types(types)
    if scores is not None:
        writer.add_token_scores(scores)
    for key, value in ids.items():
        add = writer.add_bool if isinstance(value, bool) else writer.add_uint32
        add(f"tokenizer.ggml.{key}", value)
    random = np.random.default_rng(1)
    writer.add_tensor("token_embd.weight", random.normal(size=(len(tokens), WIDTH)).astype(np.float16))
    for name in ["output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"]:
        writer.add_tensor(f"{name}.weight", np.ones(WIDTH, np.float32))
    for name in ["attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"]:
        trits = random.integers(-1, 2, (WIDTH, WIDTH)).astype(np.float32) / 16
        writer.add_tensor(f"blk.0.{name}.weight", quantize(trits, Type.TQ2_0), raw_dtype=Type.TQ2_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


class LlamaCpp:
    """llama.cpp with one model."""

    def __init__(self, path: Path) -> None:
        params = xllamacpp.CommonParams()
        params.model.path = str(path)
        params.n_ctx, params.n_parallel, params.warmup, params.port = 64, 1, False, 0
        params.cpuparams.n_threads, params.fit_params, params.verbosity = 1, False, -1
        self.server = xllamacpp.Server(params)

    def post(self, route: str, **body: Any) -> Any:
        data = json.dumps(body).encode()
        request = urllib.request.Request(
            f"{self.server.listening_address}/{route}", data, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def encode(self, text: str, framed: bool) -> list[int]:
        return self.post("tokenize", content=text, add_special=framed, parse_special=True)["tokens"]

    def ends(self, token: int) -> bool:
        """Whether this token ends an answer."""
        answer = self.post("completion", prompt=[0], n_predict=1, logit_bias=[[token, 1e6]], temperature=0)
        return answer["stop_type"] == "eos"
