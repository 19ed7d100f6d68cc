"""Writes a synthetic BitNet b1.58 2B-4T in the packed format of Hugging Face: write_checkpoint.py DIR"""

import json
import os
import sys

import torch
from safetensors.torch import save_file

import shape

MATRIX_NAMES = {
    "q": "self_attn.q_proj",
    "k": "self_attn.k_proj",
    "v": "self_attn.v_proj",
    "o": "self_attn.o_proj",
    "gate": "mlp.gate_proj",
    "up": "mlp.up_proj",
    "down": "mlp.down_proj",
}
NORM_NAMES = {
    "input": "input_layernorm",
    "attention_sub": "self_attn.attn_sub_norm",
    "feed_forward": "post_attention_layernorm",
    "feed_forward_sub": "mlp.ffn_sub_norm",
}
CONFIG = {
    "architectures": ["BitNetForCausalLM"],
    "model_type": "bitnet",
    "hidden_act": "relu2",
    "hidden_size": shape.HIDDEN,
    "intermediate_size": shape.INTERMEDIATE,
    "num_hidden_layers": shape.LAYERS,
    "num_attention_heads": shape.HEADS,
    "num_key_value_heads": shape.KV_HEADS,
    "vocab_size": shape.VOCABULARY,
    "max_position_embeddings": shape.CONTEXT,
    "rms_norm_eps": shape.EPSILON,
    "rope_theta": shape.ROPE_BASE,
    "tie_word_embeddings": True,
    "torch_dtype": "bfloat16",
    "quantization_config": {
        "quant_method": "bitnet",
        "linear_class": "autobitlinear",
        "quantization_mode": "offline",
    },
}


def packed(rows, columns):
    """Packs four codes into a byte, one from each quarter of the rows. The first quarter has the low bits."""
    quarters = shape.codes(rows, columns).reshape(4, rows // 4, columns)
    return torch.from_numpy(quarters[0] | quarters[1] << 2 | quarters[2] << 4 | quarters[3] << 6)


def main(folder):
    torch.manual_seed(6)
    bf16 = torch.bfloat16
    tensors = {
        "model.embed_tokens.weight": torch.randn(shape.VOCABULARY, shape.HIDDEN, dtype=bf16),
        "model.norm.weight": torch.ones(shape.HIDDEN, dtype=bf16),
    }
    matrices = {name: packed(*size) for name, size in shape.MATRICES.items()}
    for layer in range(shape.LAYERS):
        for name, size in shape.NORMS.items():
            tensors[f"model.layers.{layer}.{NORM_NAMES[name]}.weight"] = torch.ones(size, dtype=bf16)
        for name, matrix in matrices.items():
            prefix = f"model.layers.{layer}.{MATRIX_NAMES[name]}"
            tensors[f"{prefix}.weight"] = matrix.clone()
            tensors[f"{prefix}.weight_scale"] = torch.tensor([shape.WEIGHT_SCALE], dtype=bf16)
    os.makedirs(folder, exist_ok=True)
    weights = os.path.join(folder, "model.safetensors")
    save_file(tensors, f"{weights}.tmp", metadata={"format": "pt"})
    os.replace(f"{weights}.tmp", weights)
    with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as file:
        json.dump(CONFIG, file, indent=2)


main(*sys.argv[1:])
