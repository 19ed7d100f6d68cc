"""Small tokenizers of every kind that ternary models have, made by the trainers of the tokenizers package."""

from __future__ import annotations

import io
import json
from typing import Any

from conftest import ROOT
from sentencepiece import SentencePieceProcessor, SentencePieceTrainer
from texts import generate
from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers, processors, trainers
from tokenizers.models import BPE, Unigram

LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2 = LLAMA3.replace("{1,3}", "")
#: Added tokens with every property. None has a letter that GPT-2's table of bytes has too: see `test_latin_letters`.
ADDED = [
    AddedToken("<|x|>", special=True),
    AddedToken("<|left|>", special=True, lstrip=True),
    AddedToken("<|right|>", lstrip=True, rstrip=True, normalized=False),
    AddedToken("king", single_word=True, normalized=False),
    AddedToken("<N  n>", normalized=True),
    AddedToken("日本", special=True, normalized=True),
]
#: Spelled out in the texts.
TOKENS = [token.content for token in ADDED] + ["<s>", "</s>", "<unk>", "<|late|>"]
SPECIAL = ["<unk>", "<s>", "</s>"]


def corpus() -> list[str]:
    story = (ROOT / "models" / "fairy-tales" / "valid.txt").read_text(encoding="utf-8")[:30_000]
    return [*story.splitlines(), *generate(1, 300, ["x"])]


def framed(tokenizer: Tokenizer, single: str) -> Tokenizer:
    """Lets texts begin and end as `single` says."""
    special = [(token, tokenizer.token_to_id(token)) for token in SPECIAL]
    tokenizer.post_processor = processors.TemplateProcessing(single=single, special_tokens=special)
    return tokenizer


def byte_level(pattern: str | None, **model: Any) -> Tokenizer:
    """Returns byte-level BPE. Without a pattern, it cuts texts as GPT-2 does."""
    tokenizer = Tokenizer(BPE(**model))
    last = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=pattern is None)
    splits = [] if pattern is None else [pre_tokenizers.Split(Regex(pattern), behavior="isolated")]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*splits, last])
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=800, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(corpus(), trainer)
    return tokenizer


def letters() -> Tokenizer:
    """Returns a byte-level tokenizer of few tokens, for models with few rows. It leaves out some bytes."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())[:120]
    tokenizer = Tokenizer(BPE(dict(zip(alphabet, range(120))), []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(SPECIAL)
    return framed(tokenizer, "<s> $A")


def sentence_piece(model: str, prefix: str, byte_fallback: bool) -> Tokenizer:
    """Returns a tokenizer as SentencePiece's are converted. `prefix` says what puts a space before a text."""
    tokenizer = bpe() if model == "bpe" else unigram()
    steps: list[Any] = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    if prefix == "normalizer":
        tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
        tokenizer.pre_tokenizer = None
        tokenizer.decoder = decoders.Sequence([*steps, decoders.Strip(" ", 1, 0)])
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=prefix, split=model != "bpe")
        tokenizer.decoder = (
            decoders.Sequence([*steps, decoders.Strip(" ", 1, 0)])
            if byte_fallback and prefix != "never"
            else decoders.Metaspace(prepend_scheme=prefix)
        )
    return with_bytes(tokenizer) if byte_fallback else tokenizer


def bpe() -> Tokenizer:
    tokenizer = Tokenizer(BPE(unk_token="<unk>", fuse_unk=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    trainer = trainers.BpeTrainer(
        vocab_size=700, special_tokens=SPECIAL, limit_alphabet=120, show_progress=False
    )
    tokenizer.train_from_iterator(corpus(), trainer)
    return tokenizer


def unigram() -> Tokenizer:
    """Takes the pieces of SentencePiece itself, because the other trainer gives others each time."""
    model = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter(corpus()), model_writer=model, vocab_size=700, hard_vocab_limit=False,
        num_threads=1, minloglevel=2,
    )
    pieces = SentencePieceProcessor(model_proto=model.getvalue())
    vocabulary = [(pieces.id_to_piece(id), pieces.get_score(id)) for id in range(len(pieces))]
    tokenizer = Tokenizer(Unigram(vocabulary, 0))
    tokenizer.add_special_tokens(SPECIAL)
    return tokenizer


def with_bytes(tokenizer: Tokenizer) -> Tokenizer:
    """Adds a token for each byte, which stands for characters that the vocabulary does not have."""
    described = json.loads(tokenizer.to_str())
    model = described["model"]
    names = [f"<0x{byte:02X}>" for byte in range(256)]
    if isinstance(model["vocab"], dict):
        model["vocab"].update(zip(names, range(len(model["vocab"]), len(model["vocab"]) + 256)))
    else:
        model["vocab"].extend([name, -20.0] for name in names)
    model["byte_fallback"] = True
    return Tokenizer.from_str(json.dumps(described))


def make(name: str) -> Tokenizer:
    """Makes the tokenizer called `name`, with the added tokens."""
    if name in PLAIN:
        tokenizer = PLAIN[name]()
    else:
        _, model, prefix, fallback = name.split("-")
        tokenizer = framed(sentence_piece(model, prefix, fallback == "bytes"), "<s> $A")
    tokenizer.add_tokens(ADDED)
    return tokenizer


def qwen2() -> Tokenizer:
    tokenizer = byte_level(QWEN2)
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    return tokenizer


PLAIN = {
    "gpt2": lambda: byte_level(None),
    "llama3": lambda: framed(byte_level(LLAMA3, ignore_merges=True), "<s> $A"),
    "qwen2": qwen2,
    "framed": lambda: framed(byte_level(LLAMA3), "<s> $A </s>"),
}
NAMES = [*PLAIN] + [
    f"spm-{model}-{prefix}-{fallback}"
    for model in ("bpe", "unigram")
    for prefix in ("normalizer", "first", "always", "never")
    for fallback in ("bytes", "plain")
]
