"""Writes a tiny random checkpoint of every model family, and the outputs that transformers computes from it.

families.py DIRECTORY [NAME...]

transformers has no class for 1bitLLM's norms and for group scales. This file has layers for them.
Everything is computed in float32, with eager attention.

golden.safetensors has these tensors:

input_ids         [2, tokens]
logits            [2, tokens, vocabulary]
greedy            a prompt and its greedy continuation
greedy_gap        for each new token, the difference between the best and the second logit
logits.unrounded  only for bonsai-tiny: the logits with unrounded activations
"""

import json
import os
import sys

os.environ["TORCHDYNAMO_DISABLE"] = "1"

import torch
from safetensors.torch import save_file
from torch import nn
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM
from transformers.integrations.bitnet import ActQuant, WeightQuant, pack_weights
from transformers.models.llama.modeling_llama import LlamaRMSNorm

TOKENS = 40
PROMPT = 8
CONTINUATION = 24
BF16, F16 = torch.bfloat16, torch.float16

SMALL = {
    "vocab_size": 160,
    "hidden_size": 128,
    "intermediate_size": 160,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
SMALLER = {**SMALL, "hidden_size": 64, "intermediate_size": 96, "num_attention_heads": 2, "num_key_value_heads": 1}
LLAMA = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu"}
ONE_BIT_LLM = {
    **LLAMA,
    "architectures": ["BitnetForCausalLM"],
    "vocab_size": 128,
    "num_hidden_layers": 1,
    "tie_word_embeddings": True,
    "weight_bits": 1,
    "input_bits": 8,
}
QWEN3 = {"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "hidden_act": "silu"}


def bitnet(**fields):
    return {"quant_method": "bitnet", "modules_to_not_convert": ["lm_head"], **fields}


FAMILIES = {
    # Llama3-8B-1.58: scales that divide, the rope scaling of Llama 3.1, a separate head in f16, shards.
    "llama-tiny": {
        **SMALL,
        **LLAMA,
        "tie_word_embeddings": False,
        "rope_scaling": {
            "rope_type": "llama3",
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 64,
        },
        "quantization_config": bitnet(),
    },
    # Falcon3-1.58bit: heads of 256, which together are wider than the residual.
    "falcon3-tiny": {
        **SMALL,
        **LLAMA,
        "hidden_size": 64,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 256,
        "tie_word_embeddings": True,
        "quantization_config": bitnet(linear_class="autobitlinear", quantization_mode="offline"),
    },
    # Master weights, which are made ternary at load.
    "master-tiny": {
        **SMALLER,
        **LLAMA,
        "num_hidden_layers": 1,
        "tie_word_embeddings": True,
        "quantization_config": bitnet(linear_class="autobitlinear", quantization_mode="online"),
    },
    # A norm before every ternary layer.
    "rms-norm-tiny": {
        **SMALL,
        **LLAMA,
        "tie_word_embeddings": False,
        "quantization_config": bitnet(use_rms_norm=True, rms_norm_eps=1e-4),
    },
    # Qwen3 with YaRN rope scaling.
    "qwen3-tiny": {
        **SMALL,
        **QWEN3,
        "head_dim": 40,
        "tie_word_embeddings": False,
        "rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64},
        "quantization_config": bitnet(),
    },
    # Gemma 3: a window shorter than the texts, norms after the blocks, gains that are stored less 1.
    "gemma3-tiny": {
        **SMALL,
        "architectures": ["Gemma3ForCausalLM"],
        "model_type": "gemma3_text",
        "hidden_activation": "gelu_pytorch_tanh",
        "head_dim": 64,
        "query_pre_attn_scalar": 64,
        "rope_theta": 1e6,
        "rope_local_base_freq": 1e4,
        "sliding_window": 16,
        "sliding_window_pattern": 2,
        "tie_word_embeddings": True,
        "quantization_config": bitnet(linear_class="autobitlinear", quantization_mode="offline"),
    },
    # 1bitLLM: norms before the output projections, head_dim 100, f16 master weights.
    "one-bit-llm-tiny": {
        **SMALL,
        **ONE_BIT_LLM,
        "hidden_size": 100,
        "intermediate_size": 60,
        "num_attention_heads": 1,
        "num_key_value_heads": 1,
    },
    # The same with sizes that GGUF's I2_S can hold.
    "one-bit-llm-64-tiny": {**SMALLER, **ONE_BIT_LLM},
    # Ternary-Bonsai: Qwen3 in f16. Every matrix is ternary, with a scale for each group of columns in a row.
    "bonsai-tiny": {**SMALLER, **QWEN3, "intermediate_size": 128, "head_dim": 64, "tie_word_embeddings": True},
}
#: As in a block of GGUF's Q2_0.
GROUP = 64


class GroupLinear(nn.Module):
    """A layer of ternary weights. It rounds activations in the same groups that weights have scales for."""

    def __init__(self, weight):
        super().__init__()
        self.weight = weight

    def forward(self, x):
        groups = ActQuant.apply(x.unflatten(-1, (-1, GROUP)))
        return nn.functional.linear(groups.flatten(-2), self.weight)


class OnlineLinear(nn.Module):
    """1bitLLM's layer: an optional norm, then weights and activations that are rounded at every call."""

    def __init__(self, weight, norm=None):
        super().__init__()
        self.weight, self.norm = weight, norm

    def forward(self, x):
        x = x if self.norm is None else self.norm(x)
        return nn.functional.linear(ActQuant.apply(x), WeightQuant.apply(self.weight))


def matrices(config):
    """Returns the names and shapes of a block's matrices."""
    hidden, ffn = config["hidden_size"], config["intermediate_size"]
    dim = config.get("head_dim", hidden // config["num_attention_heads"])
    q, kv = config["num_attention_heads"] * dim, config["num_key_value_heads"] * dim
    return {
        "self_attn.q_proj": (q, hidden),
        "self_attn.k_proj": (kv, hidden),
        "self_attn.v_proj": (kv, hidden),
        "self_attn.o_proj": (hidden, q),
        "mlp.gate_proj": (ffn, hidden),
        "mlp.up_proj": (ffn, hidden),
        "mlp.down_proj": (hidden, ffn),
    }


def norms(config, name):
    """Returns the names and widths of a block's norms."""
    hidden, shapes = config["hidden_size"], matrices(config)
    widths = {"input_layernorm": hidden, "post_attention_layernorm": hidden}
    if config["model_type"] == "gemma3_text":
        widths |= {"pre_feedforward_layernorm": hidden, "post_feedforward_layernorm": hidden}
    if config["model_type"] in ("qwen3", "gemma3_text"):
        widths |= {f"self_attn.{part}_norm": config["head_dim"] for part in "qk"}
    if name.startswith("one-bit-llm"):
        widths |= {"self_attn.inner_attn_ln": hidden, "mlp.ffn_layernorm": config["intermediate_size"]}
    if config.get("quantization_config", {}).get("use_rms_norm"):
        widths |= {f"{matrix}.rms_norm": shape[1] for matrix, shape in shapes.items()}
    return widths


def trits(n, k):
    return torch.randint(-1, 2, (n, k)).float()


def grouped(n, k):
    scales = (torch.rand(n, k // GROUP, 1) + 0.5) / k**0.5
    return (trits(n, k).unflatten(1, (-1, GROUP)) * scales.half().float()).flatten(1).half()


def tensors(config, name):
    """Returns a random checkpoint in the form that the family publishes."""
    vocabulary, hidden = config["vocab_size"], config["hidden_size"]
    quantization = config.get("quantization_config")
    bonsai = name == "bonsai-tiny"
    gemma = config["model_type"] == "gemma3_text"
    # If the head is the embedding, large values would make every token repeat itself. Gemma 3 multiplies them.
    spread = 0.03 if gemma else 0.1 if config["tie_word_embeddings"] else 1
    table = grouped if bonsai else lambda n, k: spread * torch.randn(n, k)
    result = {"model.embed_tokens.weight": table(vocabulary, hidden).to(F16 if bonsai else BF16)}
    if not config["tie_word_embeddings"]:
        result["lm_head.weight"] = (0.3 * torch.randn(vocabulary, hidden)).to(F16)
    least = -0.5 if gemma else 0.5
    result["model.norm.weight"] = (torch.rand(hidden) + least).to(BF16)
    for layer in range(config["num_hidden_layers"]):
        prefix = f"model.layers.{layer}"
        for norm, width in norms(config, name).items():
            result[f"{prefix}.{norm}.weight"] = (torch.rand(width) + least).to(BF16)
        for matrix, (n, k) in matrices(config).items():
            weight = f"{prefix}.{matrix}.weight"
            if bonsai:
                result[weight] = grouped(n, k)
            elif quantization is None:
                result[weight] = (torch.randn(n, k) / k**0.5).to(F16)
            elif quantization.get("quantization_mode") == "online":
                result[weight] = (torch.randn(n, k) / k**0.5).to(BF16)
            else:
                scale = k**0.5 * (0.5 + torch.rand(1))
                multiplies = quantization.get("linear_class") == "autobitlinear"
                result[weight] = pack_weights(trits(n, k))
                result[f"{weight}_scale"] = (1 / scale if multiplies else scale).to(BF16)
    return result


def save(folder, config, name, checkpoint):
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as file:
        json.dump(config, file, indent=2)
        file.write("\n")
    if name != "llama-tiny":
        return save_file(checkpoint, os.path.join(folder, "model.safetensors"), metadata={"format": "pt"})
    shards = {"model-00001-of-00002.safetensors": {}, "model-00002-of-00002.safetensors": {}}
    for i, (tensor, value) in enumerate(checkpoint.items()):
        list(shards.values())[i % 2][tensor] = value
    for shard, part in shards.items():
        save_file(part, os.path.join(folder, shard), metadata={"format": "pt"})
    places = {tensor: shard for shard, part in shards.items() for tensor in part}
    with open(os.path.join(folder, "model.safetensors.index.json"), "w", encoding="utf-8") as file:
        json.dump({"metadata": {}, "weight_map": places}, file, indent=1)
        file.write("\n")


def one_bit_llm(config, checkpoint):
    """Returns a Llama model with 1bitLLM's layers."""
    fields = {k: v for k, v in config.items() if k not in ("architectures", "model_type", "weight_bits", "input_bits")}
    model = LlamaForCausalLM(LlamaConfig(**fields, attn_implementation="eager"))
    floats = {tensor: value.float() for tensor, value in checkpoint.items()}
    model.load_state_dict({**floats, "lm_head.weight": floats["model.embed_tokens.weight"]}, strict=False)
    for i, layer in enumerate(model.model.layers):
        for matrix in matrices(config):
            parent, child = matrix.split(".")
            norm = {"o_proj": "self_attn.inner_attn_ln", "down_proj": "mlp.ffn_layernorm"}.get(child)
            if norm:
                gain = floats[f"model.layers.{i}.{norm}.weight"]
                norm = LlamaRMSNorm(len(gain), config["rms_norm_eps"])
                norm.weight.data = gain
            weight = floats[f"model.layers.{i}.{matrix}.weight"]
            setattr(getattr(layer, parent), child, OnlineLinear(weight, norm))
    return model


def load(folder, config, name, checkpoint):
    if name.startswith("one-bit-llm"):
        return one_bit_llm(config, checkpoint)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    # Otherwise scales would stay bf16. The float() of transformers refuses quantized models.
    nn.Module.float(model)
    return model


def round_activations(model):
    for path, module in list(model.named_modules()):
        if isinstance(module, nn.Linear):
            model.set_submodule(path, GroupLinear(module.weight.detach()))


@torch.no_grad()
def write(root, name):
    torch.manual_seed(5)
    config, folder = FAMILIES[name], os.path.join(root, name)
    checkpoint = tensors(config, name)
    save(folder, config, name, checkpoint)
    model = load(folder, config, name, checkpoint).eval()
    ids = torch.randint(3, config["vocab_size"], (2, TOKENS))
    outputs = {"input_ids": ids}
    if name == "bonsai-tiny":
        outputs["logits.unrounded"] = model(ids).logits.contiguous()
        round_activations(model)
    logits = model(ids).logits
    greedy = ids[0, :PROMPT].tolist()
    gaps = []
    for _ in range(CONTINUATION):
        best = model(torch.tensor([greedy])).logits[0, -1].topk(2)
        gaps.append((best.values[0] - best.values[1]).item())
        greedy.append(best.indices[0].item())
    outputs |= {
        "logits": logits.contiguous(),
        "greedy": torch.tensor(greedy),
        "greedy_gap": torch.tensor(gaps),
    }
    save_file(outputs, os.path.join(folder, "golden.safetensors"))
    print(f"{name}: the logits deviate by {logits.std():.3f}, {len(set(greedy[PROMPT:]))} different tokens generated")


os.umask(0o022)
for family in sys.argv[2:] or FAMILIES:
    write(sys.argv[1], family)
