"""Writes a synthetic BitNet b1.58 2B-4T for llama.cpp: write_gguf.py TQ1_0|TQ2_0 FILE

The gguf package quantizes each ternary matrix once, and all layers share the result: speed does not depend on
the values. The embedding is also the output head. It has random Q6_K blocks, because the package cannot
quantize to Q6_K.
"""

import os
import sys

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter
from gguf.quants import quantize

import shape

MATRIX_NAMES = {
    "q": "attn_q",
    "k": "attn_k",
    "v": "attn_v",
    "o": "attn_output",
    "gate": "ffn_gate",
    "up": "ffn_up",
    "down": "ffn_down",
}
NORM_NAMES = {
    "input": "attn_norm",
    "attention_sub": "attn_sub_norm",
    "feed_forward": "ffn_norm",
    "feed_forward_sub": "ffn_sub_norm",
}
# Bytes of a block of 256 weights: 128 + 64 bytes of codes, 16 scales, and an f16 factor.
Q6_K_BLOCK = 210


def q6_k_embedding():
    blocks = shape.HIDDEN // 256
    size = (shape.VOCABULARY, blocks, Q6_K_BLOCK)
    rows = np.random.default_rng(6).integers(0, 256, size, dtype=np.uint8)
    rows[..., -2:] = np.array([1e-5], dtype=np.float16).view(np.uint8)
    return rows.reshape(shape.VOCABULARY, blocks * Q6_K_BLOCK)


def main(type_name, path):
    ternary = GGMLQuantizationType[type_name]
    temporary = f"{path}.tmp"
    writer = GGUFWriter(temporary, "bitnet")
    writer.add_name(f"synthetic BitNet b1.58 2B-4T, {type_name}")
    writer.add_block_count(shape.LAYERS)
    writer.add_context_length(shape.CONTEXT)
    writer.add_embedding_length(shape.HIDDEN)
    writer.add_feed_forward_length(shape.INTERMEDIATE)
    writer.add_head_count(shape.HEADS)
    writer.add_head_count_kv(shape.KV_HEADS)
    writer.add_rope_dimension_count(shape.HEAD_SIZE)
    writer.add_rope_freq_base(shape.ROPE_BASE)
    writer.add_layer_norm_rms_eps(shape.EPSILON)
    writer.add_vocab_size(shape.VOCABULARY)
    writer.add_tokenizer_model("none")

    writer.add_tensor("token_embd.weight", q6_k_embedding(), raw_dtype=GGMLQuantizationType.Q6_K)
    writer.add_tensor("output_norm.weight", np.ones(shape.HIDDEN, dtype=np.float32))
    matrices = {}
    for name, size in shape.MATRICES.items():
        weights = (shape.codes(*size).astype(np.float32) - 1) * shape.WEIGHT_SCALE
        matrices[name] = quantize(weights, ternary)
    for layer in range(shape.LAYERS):
        for name, size in shape.NORMS.items():
            writer.add_tensor(f"blk.{layer}.{NORM_NAMES[name]}.weight", np.ones(size, dtype=np.float32))
        for name, matrix in matrices.items():
            writer.add_tensor(f"blk.{layer}.{MATRIX_NAMES[name]}.weight", matrix, raw_dtype=ternary)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    os.replace(temporary, path)


main(*sys.argv[1:])
