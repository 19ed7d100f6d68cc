"""Writes tests/fixtures/gguf, and the seeds in fuzz/seeds/gguf, with the gguf package: write.py

types.gguf        a tensor of every type that Tercet reads, and the values that the package reads from it
blocks.gguf       more types of floats, with random codes and scales, and ik_llama.cpp's ternary types
bitnet-*.gguf     a small BitNet in every ternary type; bitnet/ has it in the Hugging Face format
llama-*.gguf      a small Llama in every ternary type; llama/ has it in the Hugging Face format
grouped-*.gguf    a small Qwen3 with a scale for every 128 weights, in every form of Q2_0; embedding and
                  head are ternary too; grouped/ has it as floats
rope.gguf         only the rotary embedding of tests/fixtures/llama-tiny, as llama.cpp's converter stores it
bpe.gguf          a byte-level BPE tokenizer without a model
spm.gguf          a SentencePiece tokenizer without a model
tokens.json       the output of the Hugging Face tokenizers for some texts

The package cannot write I2_S, a type of bitnet.cpp: `i2_s` below follows quantize_i2_s in its
ggml-bitnet-mad.cpp. It cannot write Q2_0 either: `q2_0` follows dequantize_row_q2_0 in llama.cpp's
ggml-quants.c. In ggml, Q2_0 has blocks of 64 weights. PrismML's llama.cpp first used the same type
number for blocks of 128 weights, and now has a separate number for them. It knows none of ik_llama.cpp's
types: `iq1_bn` and `iq2_bn` follow IQ1BNQuantizer in its iqk_quantize.cpp.
"""

import json
import pathlib
import shutil
import tempfile

import numpy as np
import sentencepiece
from gguf import GGMLQuantizationType as Type
from gguf import GGML_QUANT_SIZES, MODEL_ARCH, GGUFWriter, TensorNameMap, TokenType
from gguf.quants import dequantize, quantize
from tokenizers import Tokenizer
from tokenizers.normalizers import Prepend, Replace, Sequence
from transformers import LlamaTokenizer

HERE = pathlib.Path(__file__).parent
OUT = HERE.parent / "fixtures" / "gguf"
FAIRY_TALES = HERE.parent.parent / "models" / "fairy-tales"
LLAMA_TINY = HERE.parent / "fixtures" / "llama-tiny"
I2_S = 36
# For each form: the number of the type in the file, and the number of weights in a block.
Q2_0 = {"q2_0": (42, 64), "q2_0-prism": (42, 128), "pq2_0": (142, 128)}
GROUP = 128

TEXTS = [
    "",
    "Once upon a time, there was a king who had 12345 horses.",
    "  two  spaces,\ttabs\n\n and lines \r\n",
    "It's HE'LL don't - “quotes” naïve Ünïcödé 魔法の森 🐉👩‍👩‍👧",
    "<|begin_of_text|>The fox<|eot_id|> and the <s>hen</s>.",
    "x",
    " ",
]


def i2_s(trits, scale):
    """Packs each 128 weights into 32 bytes, the first quarter in the highest bits.

    The scale of the tensor follows the codes, eight times.
    """
    codes = (trits.reshape(-1, 4, 32) + 1).astype(np.uint8)
    packed = codes[:, 0] << 6 | codes[:, 1] << 4 | codes[:, 2] << 2 | codes[:, 3]
    return np.concatenate([packed.reshape(-1), np.full(8, scale, np.float32).view(np.uint8)])


def q2_0(trits, scales, block):
    """Packs each block: a scale in half precision, then codes, four in a byte, the first in the lowest bits."""
    scales = np.repeat(scales.reshape(-1), GROUP // block).astype(np.float16)
    codes = (trits.reshape(-1, block // 4, 4) + 1).astype(np.uint8)
    packed = codes[..., 0] | codes[..., 1] << 2 | codes[..., 2] << 4 | codes[..., 3] << 6
    return np.concatenate([scales[:, None].view(np.uint8), packed], axis=1).reshape(-1)


def iq1_bn(trits, scales):
    """Packs each row: a scale in half precision, then blocks of 64 trits in 13 bytes.

    A byte holds five digits in base 3, the first one lowest. The last byte of a block has the 16th, 32nd,
    48th and 64th trit.
    """
    codes = (trits + 1).astype(np.uint16).reshape(len(trits), -1, 4, 16)
    fives = codes[..., :15].reshape(*codes.shape[:2], 12, 5) @ 3 ** np.arange(5, dtype=np.uint16)
    lasts = codes[..., 15] @ 3 ** np.arange(4, dtype=np.uint16)
    digits = np.concatenate([fives, lasts[..., None]], axis=-1).reshape(len(trits), -1)
    packed = ((256 * digits.astype(np.uint32) + 242) // 243).astype(np.uint8)
    return np.concatenate([scales.astype(np.float16)[:, None].view(np.uint8), packed], axis=1).reshape(-1)


def iq2_bn(trits, scales):
    """Packs each row: a scale, then blocks of 64 trits in 16 bytes, the first quarter in the lowest bits."""
    codes = (trits + 1).astype(np.uint8).reshape(len(trits), -1, 4, 16)
    packed = codes[..., 0, :] | codes[..., 1, :] << 2 | codes[..., 2, :] << 4 | codes[..., 3, :] << 6
    scales = scales.astype(np.float32)[:, None].view(np.uint8)
    return np.concatenate([scales, packed.reshape(len(trits), -1)], axis=1).reshape(-1)


def add_payload(writer, name, shape, payload, number):
    """Adds a tensor of a type that the package does not know, and whose size it cannot compute."""
    writer.add_tensor_info(name, shape, np.dtype(np.int8), payload.nbytes, raw_dtype=number)
    writer.tensors[-1][name].tensor = payload


def add_ternary(writer, name, trits, scale, kind):
    if kind == "I2_S":
        add_payload(writer, name, trits.shape, i2_s(trits, scale), I2_S)
    elif kind in Q2_0:
        number, block = Q2_0[kind]
        add_payload(writer, name, trits.shape, q2_0(trits, scale, block), number)
    else:
        kind = Type[kind]
        writer.add_tensor(name, quantize(trits.astype(np.float32) * scale, kind), raw_dtype=kind)


def finish(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def types():
    random = np.random.default_rng(1)
    writer = GGUFWriter(OUT / "types.gguf", "test")
    values = random.normal(size=(2, 256)).astype(np.float32)
    for kind in [Type.F32, Type.F16, Type.BF16, Type.Q4_0, Type.Q8_0]:
        stored = quantize(values, kind)
        writer.add_tensor(kind.name, stored, raw_dtype=kind)
        writer.add_tensor(f"{kind.name}.values", dequantize(stored, kind))
    # The package reads Q6_K but does not write it.
    stored = random.integers(0, 256, (2, 210), dtype=np.uint8)
    stored[:, -2:] = np.array([[0.01], [-3.0]], np.float16).view(np.uint8)
    writer.add_tensor("Q6_K", stored, raw_dtype=Type.Q6_K)
    writer.add_tensor("Q6_K.values", dequantize(stored, Type.Q6_K))
    trits = random.integers(-1, 2, (2, 768)).astype(np.int8)
    trits[0, :256] = 0
    for name, scale in [("same", np.full((2, 3), 0.0625)), ("mixed", np.arange(1, 7).reshape(2, 3) / 8)]:
        values = trits * np.repeat(scale, 256, axis=1).astype(np.float32)
        for kind in [Type.TQ1_0, Type.TQ2_0]:
            stored = quantize(values, kind)
            writer.add_tensor(f"{name}.{kind.name}", stored, raw_dtype=kind)
            writer.add_tensor(f"{name}.{kind.name}.values", dequantize(stored, kind))
    add_ternary(writer, "I2_S", trits, 0.3, "I2_S")
    writer.add_tensor("I2_S.values", trits * np.float32(0.3))
    scales = (np.arange(1, 13) / 64).reshape(2, 6).astype(np.float32)
    for kind in ["q2_0", "pq2_0"]:
        add_ternary(writer, kind.upper(), trits, scales, kind)
        writer.add_tensor(f"{kind.upper()}.values", trits * np.repeat(scales, GROUP, axis=1))
    finish(writer)


def blocks():
    random = np.random.default_rng(2)
    writer = GGUFWriter(OUT / "blocks.gguf", "test")
    # For each type: the places of the numbers in half precision, and the bytes of a block.
    kinds = {
        Type.Q4_1: ([0, 2], 20), Type.Q5_0: ([0], 22), Type.Q5_1: ([0, 2], 24), Type.IQ4_NL: ([0], 18),
        Type.Q2_K: ([80, 82], 84), Type.Q3_K: ([108], 110), Type.Q4_K: ([0, 2], 144), Type.Q5_K: ([0, 2], 176),
        Type.IQ4_XS: ([0], 136),
    }
    for kind, (places, size) in kinds.items():
        count = 256 // GGML_QUANT_SIZES[kind][0]
        stored = random.integers(0, 256, (count, size), dtype=np.uint8)
        for place in places:
            factors = random.normal(size=(count, 1)).astype(np.float16)
            stored[:, place : place + 2] = factors.view(np.uint8)
        stored = stored.reshape(1, -1)
        writer.add_tensor(kind.name, stored, raw_dtype=kind)
        writer.add_tensor(f"{kind.name}.values", dequantize(stored, kind))
    trits, scales = random.integers(-1, 2, (4, 192)).astype(np.int8), np.array([0.5, 0.25, 3, 0.125])
    for name, pack, number in [("IQ1_BN", iq1_bn, 134), ("IQ2_BN", iq2_bn, 135)]:
        add_payload(writer, name, trits.shape, pack(trits, scales), number)
        writer.add_tensor(f"{name}.values", (trits * scales[:, None]).astype(np.float32))
    finish(writer)


def bf16(values):
    """Rounds toward zero to bf16, and returns f32."""
    return (values.astype(np.float32).view(np.uint32) & 0xFFFF0000).view(np.float32)


def bf16_bits(values):
    return (values.view(np.uint32) >> 16).astype(np.uint16)


class Model:
    """A model with random weights. Scales, norms and embeddings are exact in bf16 and f16.

    With `grouped`, every matrix is ternary, including embedding and head. A scale belongs to 128 weights
    of a row.
    """

    def __init__(self, seed, config, grouped=False):
        self.config, random = config, np.random.default_rng(seed)
        hidden, ffn, head = config["hidden_size"], config["intermediate_size"], config["head_dim"]
        q, kv = config["num_attention_heads"] * head, config["num_key_value_heads"] * head
        floats = lambda *shape: bf16(random.normal(size=shape) * 0.5)
        gains = lambda n: bf16(random.uniform(0.5, 2, n))
        self.norm, self.tables = gains(hidden), {}
        tables = ["model.embed_tokens"] + ["lm_head"] * (not config["tie_word_embeddings"])
        if not grouped:
            self.tables = {f"{name}.weight": floats(config["vocab_size"], hidden) for name in tables}
        shapes = {
            "self_attn.q_proj": (q, hidden), "self_attn.k_proj": (kv, hidden), "self_attn.v_proj": (kv, hidden),
            "self_attn.o_proj": (hidden, q), "mlp.gate_proj": (ffn, hidden), "mlp.up_proj": (ffn, hidden),
            "mlp.down_proj": (hidden, ffn),
        }
        shapes = {f"model.layers.0.{name}": shape for name, shape in shapes.items()}
        if grouped:
            shapes |= {name: (config["vocab_size"], hidden) for name in tables}
        scales = lambda n, k: bf16(random.uniform(0.02, 0.2, (n, k // GROUP) if grouped else ()))
        self.matrices = {
            f"{name}.weight": (random.integers(-1, 2, shape).astype(np.int8), scales(*shape))
            for name, shape in shapes.items()
        }
        self.norms = {"input_layernorm": gains(hidden), "post_attention_layernorm": gains(hidden)}
        if config["model_type"] == "bitnet":
            self.norms |= {"self_attn.attn_sub_norm": gains(q), "mlp.ffn_sub_norm": gains(ffn)}
        if config["model_type"] == "qwen3":
            self.norms |= {"self_attn.q_norm": gains(head), "self_attn.k_norm": gains(head)}

    def floats(self):
        yield from self.tables.items()
        yield "model.norm.weight", self.norm
        for name, gain in self.norms.items():
            yield f"model.layers.0.{name}.weight", gain

    def write_safetensors(self, folder):
        folder.mkdir()
        (folder / "config.json").write_text(json.dumps(self.config, indent=2))
        tensors = {name: ("BF16", bf16_bits(values)) for name, values in self.floats()}
        for name, (trits, scale) in self.matrices.items():
            if scale.ndim:
                tensors[name] = ("F16", (trits * np.repeat(scale, GROUP, axis=1)).astype(np.float16))
                continue
            rows = trits.shape[0] // 4
            codes = (trits + 1).astype(np.uint8).reshape(4, rows, -1)
            packed = codes[0] | codes[1] << 2 | codes[2] << 4 | codes[3] << 6
            tensors[name] = ("U8", packed)
            tensors[f"{name}_scale"] = ("BF16", bf16_bits(np.array([scale])))
        header, data = {}, b""
        for name, (kind, array) in tensors.items():
            raw = array.tobytes()
            span = [len(data), len(data) + len(raw)]
            header[name] = {"dtype": kind, "shape": array.shape, "data_offsets": span}
            data += raw
        header = json.dumps(header).encode()
        header += b" " * (-len(header) % 8)
        (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + data)

    def write_gguf(self, name, arch, kind, float_kind, metadata):
        config, writer = self.config, GGUFWriter(OUT / name, arch)
        writer.add_block_count(config["num_hidden_layers"])
        writer.add_context_length(config["max_position_embeddings"])
        writer.add_embedding_length(config["hidden_size"])
        writer.add_feed_forward_length(config["intermediate_size"])
        writer.add_head_count(config["num_attention_heads"])
        writer.add_head_count_kv(config["num_key_value_heads"])
        writer.add_key_length(config["head_dim"])
        writer.add_value_length(config["head_dim"])
        writer.add_rope_dimension_count(config["head_dim"])
        writer.add_rope_freq_base(config["rope_theta"])
        writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
        writer.add_vocab_size(config["vocab_size"])
        metadata(writer)
        for name, values in self.floats():
            stored = Type.F32 if values.ndim == 1 else float_kind
            assert (dequantize(quantize(values, stored), stored) == values).all()
            writer.add_tensor(gguf_name(name), quantize(values, stored), raw_dtype=stored)
        for name, (trits, scale) in self.matrices.items():
            heads = {"q_proj": "num_attention_heads", "k_proj": "num_key_value_heads"}
            part = name.split(".")[-2]
            if arch == "llama" and part in heads:
                trits = permuted(trits, config[heads[part]])
            add_ternary(writer, gguf_name(name), trits, scale, kind)
        finish(writer)


def permuted(rows, heads):
    """Turns the halves of each head into pairs, as LlamaModel.permute in convert_hf_to_gguf.py does."""
    return rows.reshape(heads, 2, rows.shape[0] // heads // 2, -1).swapaxes(1, 2).reshape(rows.shape)


def gguf_name(name):
    # The package knows these two norms by their names in 1bitLLM's models.
    name = name.replace("attn_sub_norm", "inner_attn_ln").replace("ffn_sub_norm", "ffn_layernorm")
    base = name.removesuffix(".weight")
    for arch in [MODEL_ARCH.BITNET, MODEL_ARCH.LLAMA, MODEL_ARCH.QWEN3]:
        if (found := TensorNameMap(arch, 1).get_name(base)) is not None:
            return f"{found}.weight"
    raise KeyError(name)


def quantization():
    return {"quant_method": "bitnet", "linear_class": "autobitlinear", "quantization_mode": "offline"}


CHARACTERS = "Ġabcdefghijklmnopqrstuvwxyz.,!?'ABCDEFGHIJKLMNOPQRSTUVWXYZ-Ċ"
SPECIAL = ["<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>"]
TEMPLATE = "{{ bos_token }}{% for message in messages %}{{ message['content'] + '<|eot_id|>' }}{% endfor %}"


def letters(writer):
    """Writes a vocabulary of 64 tokens: letters and special tokens."""
    assert len(CHARACTERS) + len(SPECIAL) + 1 == 64
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("llama-bpe")
    writer.add_token_list([*CHARACTERS, *SPECIAL, "th"])
    writer.add_token_types([TokenType.NORMAL] * 60 + [TokenType.CONTROL] * 3 + [TokenType.NORMAL])
    writer.add_token_merges(["t h"])
    writer.add_bos_token_id(60)
    writer.add_eos_token_id(61)
    writer.add_chat_template(TEMPLATE)


def models():
    bitnet = Model(2, {
        "architectures": ["BitNetForCausalLM"], "model_type": "bitnet", "hidden_act": "relu2",
        "vocab_size": 64, "hidden_size": 256, "intermediate_size": 256, "num_hidden_layers": 1,
        "num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 64, "max_position_embeddings": 64,
        "rms_norm_eps": 1e-5, "rope_theta": 50000.0, "tie_word_embeddings": True,
        "bos_token_id": 60, "eos_token_id": [61, 62], "quantization_config": quantization(),
    })
    bitnet.write_safetensors(OUT / "bitnet")
    bitnet.write_gguf("bitnet-i2_s.gguf", "bitnet-b1.58", "I2_S", Type.F32, letters)

    def relu2(writer):
        letters(writer)
        writer.add_string("bitnet.hidden_activation", "relu2")

    bitnet.write_gguf("bitnet-tq1_0.gguf", "bitnet", "TQ1_0", Type.F16, relu2)
    bitnet.write_gguf("bitnet-tq2_0.gguf", "bitnet", "TQ2_0", Type.BF16, relu2)
    llama = Model(3, {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
        "vocab_size": 64, "hidden_size": 256, "intermediate_size": 256, "num_hidden_layers": 1,
        "num_attention_heads": 8, "num_key_value_heads": 2, "head_dim": 32, "max_position_embeddings": 64,
        "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "tie_word_embeddings": False,
        "bos_token_id": 60, "eos_token_id": [61, 62], "quantization_config": quantization(),
    })
    llama.write_safetensors(OUT / "llama")
    for kind in ["I2_S", "TQ1_0", "TQ2_0"]:
        llama.write_gguf(f"llama-{kind.lower()}.gguf", "llama", kind, Type.F16, letters)
    grouped = Model(4, {
        "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "hidden_act": "silu",
        "vocab_size": 64, "hidden_size": 256, "intermediate_size": 128, "num_hidden_layers": 1,
        "num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 64, "max_position_embeddings": 64,
        "rms_norm_eps": 1e-6, "rope_theta": 1000000.0, "tie_word_embeddings": False,
        "bos_token_id": 60, "eos_token_id": [61, 62],
    }, grouped=True)
    grouped.write_safetensors(OUT / "grouped")
    for kind in Q2_0:
        grouped.write_gguf(f"grouped-{kind}.gguf", "qwen3", kind, Type.F16, letters)


def rope():
    """Writes rope.gguf as LlamaModel.generate_extra_tensors in convert_hf_to_gguf.py does."""
    config = json.loads((LLAMA_TINY / "config.json").read_text())
    scaling = config["rope_scaling"]
    dim = config["hidden_size"] // config["num_attention_heads"]
    waves = 2 * np.pi * config["rope_theta"] ** (np.arange(0, dim, 2) / dim)
    factor, low, high = (scaling[name] for name in ["factor", "low_freq_factor", "high_freq_factor"])
    context = scaling["original_max_position_embeddings"]
    smooth = np.clip((context / waves - low) / (high - low), 0, 1)
    writer = GGUFWriter(OUT / "rope.gguf", "llama")
    for add, value in [
        (writer.add_block_count, 1), (writer.add_context_length, config["max_position_embeddings"]),
        (writer.add_embedding_length, config["hidden_size"]), (writer.add_feed_forward_length, 4),
        (writer.add_head_count, config["num_attention_heads"]), (writer.add_layer_norm_rms_eps, 1e-5),
        (writer.add_rope_dimension_count, dim), (writer.add_rope_freq_base, config["rope_theta"]),
    ]:
        add(value)
    writer.add_tensor("token_embd.weight", np.ones((1, config["hidden_size"]), np.float32))
    writer.add_tensor("rope_freqs.weight", (1 / ((1 - smooth) / factor + smooth)).astype(np.float32))
    finish(writer)


def expected(tokenizer):
    """Returns for each text its ids, without tokens of a post-processor, and their decoded text."""
    ids = [tokenizer.encode(text, add_special_tokens=False).ids for text in TEXTS]
    return [
        {"text": text, "ids": ids, "decoded": tokenizer.decode(ids, skip_special_tokens=False)}
        for text, ids in zip(TEXTS, ids)
    ]


def bpe():
    tokenizer = Tokenizer.from_file(str(FAIRY_TALES / "tokenizer.json"))
    model = json.loads((FAIRY_TALES / "tokenizer.json").read_text())["model"]
    vocabulary = tokenizer.get_vocab_size()
    special = {id for id, token in tokenizer.get_added_tokens_decoder().items() if token.special}
    writer = GGUFWriter(OUT / "bpe.gguf", "bitnet-b1.58")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("llama-bpe")
    writer.add_token_list([tokenizer.id_to_token(id) for id in range(vocabulary)])
    kinds = [TokenType.CONTROL if id in special else TokenType.NORMAL for id in range(vocabulary)]
    writer.add_token_types(kinds)
    writer.add_token_merges([" ".join(pair) for pair in model["merges"]])
    finish(writer)
    return expected(tokenizer)


def spm():
    """Trains a small SentencePiece model like Llama's: pairs by score, bytes for unknown characters."""
    with tempfile.TemporaryDirectory() as folder:
        prefix = f"{folder}/tokenizer"
        sentencepiece.SentencePieceTrainer.train(
            input=str(FAIRY_TALES / "valid.txt"), model_prefix=prefix, vocab_size=600, model_type="bpe",
            byte_fallback=True, split_digits=True, normalization_rule_name="identity", minloglevel=2,
            remove_extra_whitespaces=False, add_dummy_prefix=True,
        )
        pieces = sentencepiece.SentencePieceProcessor(model_file=f"{prefix}.model")
        tokenizer = LlamaTokenizer.from_pretrained(folder, legacy=True).backend_tokenizer
        # A space before any text, as in the tokenizer.json of Llama 2 and in SentencePiece.
        tokenizer.normalizer = Sequence([Prepend("▁"), Replace(" ", "▁")])
        tokenizer.pre_tokenizer = None
        for text in TEXTS:
            if "<s>" not in text:
                ids = tokenizer.encode(text, add_special_tokens=False).ids
                assert ids == pieces.encode(text) and tokenizer.decode(ids) == pieces.decode(ids), text
        writer = GGUFWriter(OUT / "spm.gguf", "llama")
        writer.add_tokenizer_model("llama")
        size = pieces.vocab_size()
        writer.add_token_list([pieces.id_to_piece(id) for id in range(size)])
        writer.add_token_scores([pieces.get_score(id) for id in range(size)])
        kinds = []
        for id in range(size):
            kind = TokenType.NORMAL
            for test, found in [
                (pieces.is_unknown, TokenType.UNKNOWN), (pieces.is_control, TokenType.CONTROL),
                (pieces.is_unused, TokenType.UNUSED), (pieces.is_byte, TokenType.BYTE),
            ]:
                kind = found if test(id) else kind
            kinds.append(kind)
        writer.add_token_types(kinds)
        writer.add_bos_token_id(pieces.bos_id())
        writer.add_eos_token_id(pieces.eos_id())
        finish(writer)
        return expected(tokenizer)


def seed(path, arch, vocabulary):
    """Writes a seed for the fuzz target: a small file with every kind of content."""
    writer = GGUFWriter(path, arch)
    for add, value in [
        (writer.add_block_count, 1), (writer.add_context_length, 8), (writer.add_embedding_length, 4),
        (writer.add_feed_forward_length, 4), (writer.add_head_count, 2), (writer.add_head_count_kv, [1]),
        (writer.add_key_length, 2), (writer.add_layer_norm_rms_eps, 1e-5), (writer.add_rope_freq_base, 1e4),
    ]:
        add(value)
    vocabulary(writer)
    ones = np.ones((2, 256), np.float32)
    writer.add_tensor("token_embd.weight", np.ones((8, 4), np.float16))
    writer.add_tensor("output_norm.weight", np.ones(4, np.float32))
    for kind in [Type.TQ1_0, Type.TQ2_0, Type.Q8_0]:
        writer.add_tensor(kind.name, quantize(ones, kind), raw_dtype=kind)
    writer.add_tensor("Q6_K", np.ones((1, 210), np.uint8), raw_dtype=Type.Q6_K)
    add_ternary(writer, "blk.0.attn_q.weight", np.ones((4, 32), np.int8), 0.5, "I2_S")
    trits, scales = np.ones((1, 128), np.int8), np.full((1, 1), 0.5)
    add_ternary(writer, "blk.0.attn_k.weight", trits, scales, "q2_0")
    add_ternary(writer, "blk.0.attn_v.weight", trits, scales, "pq2_0")
    writer.add_tensor("rope_freqs.weight", np.ones(1, np.float32))
    finish(writer)


def seeds():
    def bpe(writer):
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre("qwen2")
        writer.add_token_list(["t", "h", "e", "th", "the", "Ġ", "<|im_end|>", "<|x|>"])
        writer.add_token_types([1, 1, 1, 1, 1, 1, 3, 4])
        writer.add_token_merges(["t h", "th e"])
        writer.add_eos_token_id(6)
        writer.add_chat_template("{{ messages[0]['content'] }}")

    def spm(writer):
        writer.add_tokenizer_model("llama")
        writer.add_token_list(["<unk>", "<s>", "</s>", "<0x20>", "▁", "t", "h", "th"])
        writer.add_token_scores([0.0, 0.0, 0.0, 0.0, -1.0, -2.0, -3.0, -0.5])
        writer.add_token_types([2, 3, 3, 6, 1, 1, 1, 1])

    folder = HERE.parent.parent / "fuzz" / "seeds" / "gguf"
    folder.mkdir(exist_ok=True)
    seed(folder / "bpe.gguf", "qwen3", bpe)
    seed(folder / "spm.gguf", "llama", spm)


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    seeds()
    types()
    blocks()
    models()
    rope()
    tokens = {"bpe": bpe(), "spm": spm()}
    (OUT / "tokens.json").write_text(json.dumps(tokens, ensure_ascii=False, indent=1))


main()
