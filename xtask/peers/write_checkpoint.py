"""Writes a synthetic BitNet b1.58 2B-4T in the packed format of Hugging Face: write_checkpoint.py DIR [TOKENIZER_DIR]

With a tokenizer, servers can run the model. Its vocabulary is filled up to the model's with unused words.
"""

import json
import os
import sys

import numpy as np

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


FILES = ("tokenizer_config.json", "special_tokens_map.json", "generation_config.json")


def packed(rows, columns):
    """Packs four codes into a byte, one from each quarter of the rows. The first quarter has the low bits."""
    quarters = shape.codes(rows, columns).reshape(4, rows // 4, columns)
    return quarters[0] | quarters[1] << 2 | quarters[2] << 4 | quarters[3] << 6


def bf16(values):
    """Cuts floats to bf16, as bits."""
    return (np.asarray(values, dtype=np.float32).view(np.uint32) >> 16).astype(np.uint16)


def tensors():
    """Yields every tensor by name: ternary ones as bytes, floats as the bits of bf16."""
    random = np.random.default_rng(6)
    rows = (shape.VOCABULARY, shape.HIDDEN)
    yield "model.embed_tokens.weight", bf16(random.standard_normal(rows, dtype=np.float32))
    yield "model.norm.weight", bf16(np.ones(shape.HIDDEN))
    matrices = {name: packed(*size) for name, size in shape.MATRICES.items()}
    for layer in range(shape.LAYERS):
        for name, size in shape.NORMS.items():
            yield f"model.layers.{layer}.{NORM_NAMES[name]}.weight", bf16(np.ones(size))
        for name, matrix in matrices.items():
            prefix = f"model.layers.{layer}.{MATRIX_NAMES[name]}"
            yield f"{prefix}.weight", matrix
            yield f"{prefix}.weight_scale", bf16([shape.WEIGHT_SCALE])


def save(path):
    """Writes the tensors as safetensors."""
    header, end = {"__metadata__": {"format": "pt"}}, 0
    for name, array in tensors():
        dtype = {np.dtype(np.uint8): "U8", np.dtype(np.uint16): "BF16"}[array.dtype]
        header[name] = {"dtype": dtype, "shape": array.shape, "data_offsets": [end, end + array.nbytes]}
        end += array.nbytes
    text = json.dumps(header).encode()
    with open(f"{path}.tmp", "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for _, array in tensors():
            array.tofile(file)
    os.replace(f"{path}.tmp", path)


def save_tokenizer(folder, source):
    """Copies a tokenizer, and adds words until every id of the model has one. Returns its part of config.json."""
    with open(os.path.join(source, "tokenizer.json"), encoding="utf-8") as file:
        tokenizer = json.load(file)
    words = tokenizer["model"]["vocab"]
    known = len(words) + len(tokenizer["added_tokens"])
    words.update({f"unused{token}": token for token in range(known, shape.VOCABULARY)})
    with open(os.path.join(folder, "tokenizer.json"), "w", encoding="utf-8") as file:
        json.dump(tokenizer, file)
    for name in FILES:
        with open(os.path.join(source, name), encoding="utf-8") as read:
            with open(os.path.join(folder, name), "w", encoding="utf-8") as write:
                write.write(read.read())
    with open(os.path.join(source, "config.json"), encoding="utf-8") as file:
        config = json.load(file)
    return {name: config[name] for name in ("bos_token_id", "eos_token_id")}


def main(folder, tokenizer=None):
    os.makedirs(folder, exist_ok=True)
    config = CONFIG if tokenizer is None else CONFIG | save_tokenizer(folder, tokenizer)
    save(os.path.join(folder, "model.safetensors"))
    with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as file:
        json.dump(config, file, indent=2)


main(*sys.argv[1:])
