"""Writes two tiny random embedding models, and the vectors that sentence-transformers computes with them.

embedding.py DIRECTORY

The models have the layouts of microsoft/bitnet-embedding-0.6b and -270m: Qwen3 and Gemma 3 without an output head, with a
norm before every linear layer, and weights that each call rounds to trits. transformers has no class for such layers; this
file has one. Everything is computed in float32, with eager attention.

golden.safetensors has the tensors `embeddings` and `queries` [texts, hidden], and `ids.N`, the tokens of each text.
"""

import json
import os
import sys

os.environ["TORCHDYNAMO_DISABLE"] = "1"

import torch
from safetensors.torch import save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from torch import nn
from transformers import AutoTokenizer, Gemma3TextConfig, Gemma3TextModel, PreTrainedTokenizerFast, Qwen3Config, Qwen3Model
from transformers.integrations.bitnet import ActQuant, WeightQuant
from transformers.models.gemma3.modeling_gemma3 import Gemma3RMSNorm
from transformers.models.qwen3.modeling_qwen3 import Qwen3RMSNorm

END = "<|endoftext|>"
#: Qwen's cut of a text into words.
WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
TEXTS = [
    "The sea is wide and blue.",
    "A ship sails over the wide sea.",
    "",
    "My cat sleeps on the warm stove. " * 20,
    "Bread is baked in the morning; the whole street smells of it.",
    "é ß 🦀 <|endoftext|> x",
]


class BitLinear(nn.Module):
    """A norm, then a layer that rounds its weights and activations at every call."""

    def __init__(self, n, k):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(n, k) / k**0.5)
        self.norm = Qwen3RMSNorm(k, eps=1e-6)
        self.norm.weight.data = torch.rand(k) + 0.5

    def forward(self, x):
        return nn.functional.linear(ActQuant.apply(self.norm(x)), WeightQuant.apply(self.weight))


def tokenizer(folder):
    """Writes a tokenizer like Qwen3's, which puts the end token after every text. Returns it as transformers reads it."""
    bpe = Tokenizer(models.BPE())
    bpe.normalizer = normalizers.NFC()
    bpe.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(WORDS), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=[END], initial_alphabet=alphabet, show_progress=False
    )
    bpe.train_from_iterator(TEXTS, trainer)
    bpe.post_processor = processors.TemplateProcessing(single=f"$A {END}", special_tokens=[(END, 0)])
    PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token=END, pad_token=END, padding_side="left").save_pretrained(folder)
    path = os.path.join(folder, "tokenizer_config.json")
    with open(path, encoding="utf-8") as file:
        settings = json.load(file)
    with open(path, "w", encoding="utf-8") as file:
        json.dump({**settings, "tokenizer_class": "Qwen2Tokenizer"}, file, indent=2)
    return AutoTokenizer.from_pretrained(folder)


def qwen3(**sizes):
    rope = {"rope_type": "default", "rope_theta": 1e6}
    return Qwen3Model(Qwen3Config(**sizes, num_hidden_layers=2, head_dim=40, rope_parameters=rope))


def gemma3(**sizes):
    """Two of three layers see a window, which is shorter than a text."""
    return Gemma3TextModel(Gemma3TextConfig(
        **sizes, num_hidden_layers=3, head_dim=64, query_pre_attn_scalar=64, sliding_window=40,
        layer_types=["sliding_attention", "sliding_attention", "full_attention"],
    ))


def model(make, vocabulary):
    made = make(
        vocab_size=vocabulary, hidden_size=128, intermediate_size=160, num_attention_heads=4, num_key_value_heads=2,
        max_position_embeddings=512, tie_word_embeddings=True, bos_token_id=None, eos_token_id=0, pad_token_id=0,
        attn_implementation="eager",
    )
    for name, module in list(made.named_modules()):
        if isinstance(module, nn.Linear):
            made.set_submodule(name, BitLinear(*module.weight.shape))
        elif isinstance(module, Qwen3RMSNorm):
            module.weight.data = torch.rand(module.weight.shape) + 0.5
        elif isinstance(module, Gemma3RMSNorm):
            module.weight.data = torch.rand(module.weight.shape) - 0.5
    made.embed_tokens.weight.data = torch.randn(made.embed_tokens.weight.shape) / made.config.hidden_size**0.5
    # The weights are stored in bf16.
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(parameter.bfloat16())
    return made.eval()


@torch.no_grad()
def write(folder, make):
    torch.manual_seed(5)
    os.makedirs(folder, exist_ok=True)
    words = tokenizer(folder)
    made = model(make, len(words))
    made.config.architectures = [type(made).__name__]
    made.config.dtype = torch.bfloat16
    type(made)(made.config).save_pretrained(folder)
    transformer = Transformer(folder, model_kwargs={"dtype": torch.float32, "attn_implementation": "eager"})
    transformer.model = made
    pooling = Pooling(transformer.get_embedding_dimension(), pooling_mode="lasttoken")
    embedder = SentenceTransformer(modules=[transformer, pooling, Normalize()], prompts={"query": "query: "}, device="cpu")
    embeddings = embedder.encode(TEXTS, batch_size=1, convert_to_tensor=True)
    queries = embedder.encode(TEXTS, batch_size=1, prompt_name="query", convert_to_tensor=True)
    embedder.save(folder, create_model_card=False)
    # The layers of this file in the place of transformers'.
    tensors = {name: value.bfloat16().contiguous() for name, value in made.state_dict().items()}
    save_file(tensors, os.path.join(folder, "model.safetensors"), metadata={"format": "pt"})
    outputs = {"embeddings": embeddings.contiguous(), "queries": queries.contiguous()}
    outputs |= {f"ids.{i}": torch.tensor(words(text).input_ids) for i, text in enumerate(TEXTS)}
    save_file(outputs, os.path.join(folder, "golden.safetensors"))
    with open(os.path.join(folder, "texts.json"), "w", encoding="utf-8") as file:
        json.dump(TEXTS, file, ensure_ascii=False, indent=1)
        file.write("\n")
    similar = embeddings @ embeddings.T
    print(f"{folder}: cosines from {similar.min():.3f} to {(similar - torch.eye(len(TEXTS))).max():.3f}")


os.umask(0o022)
write(os.path.join(sys.argv[1], "embedding-tiny"), qwen3)
write(os.path.join(sys.argv[1], "embedding-gemma-tiny"), gemma3)
