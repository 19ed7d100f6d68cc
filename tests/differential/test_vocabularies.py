"""GGUF vocabularies that are slightly off against llama.cpp: the same ids and the same end tokens."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from conftest import load
from vocabularies import LlamaCpp, write

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)
PRE = ["qwen2", "deepseek-r1-qwen", "llama-bpe", "llama3", "falcon3", "falcon-h1", "gpt-2", "mpt", "olmo", "default", ""]
KNOWN = [
    "<|eot_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>", "<|endoftext|>", "</s>", "<|eom_id|>", "<EOT>", "[EOS]", "<eos>",
    "<|end_of_text|>", "<|fim_prefix|>", "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>", "<|call|>", "<|return|>",
    "<|tool_response>", "<|channel|>",
]


def letters() -> list[str]:
    """Returns the spellings of all bytes in byte-level vocabularies."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in shown]
    return [chr(byte) for byte in shown] + [chr(256 + i) for i in range(len(hidden))]


def byte_level(rng: random.Random) -> dict[str, Any]:
    """Returns a byte-level vocabulary with a few random faults."""
    tokens = letters() + ["th", "the", "Ġt", "in", "ing", *rng.sample(KNOWN, 6), "<|x|>", ""]
    merges = ["t h", "th e", "Ġ t", "i n", "in g"]
    if rng.random() < 0.3:
        merges.insert(rng.randrange(5), rng.choice(["z q", "t h", "zz z"]))
    faulty: dict[str, Any] = {"model": "gpt2", "tokens": tokens, "merges": merges, "pre": rng.choice(PRE)}
    if rng.random() < 0.8:
        kinds = [NORMAL] * len(tokens)
        kinds[261:] = [rng.choice([NORMAL, CONTROL, USER_DEFINED]) for _ in tokens[261:]]
        faulty["types"] = kinds + [NORMAL] * rng.choice([0, 0, 3])
    ends = {name: id for name, id in [("bos_token_id", 261), ("eos_token_id", 262)] if rng.random() < 0.8}
    return faulty | ends | ids(rng, len(tokens))


def sentence_piece(rng: random.Random) -> dict[str, Any]:
    """Returns a SentencePiece vocabulary with a few random faults."""
    special = ["<unk>", "<s>", "</s>"]
    pieces = ["▁", "t", "h", "e", "th", "▁the", "the", "▁t", "he", *rng.sample(KNOWN[6:], 4), "<|x|>"]
    tokens = special + [f"<0x{byte:02X}>" for byte in range(256)] + pieces
    scores = [0.0] * 259 + [float(-i) for i in range(len(pieces))]
    faulty: dict[str, Any] = {"model": "llama", "tokens": tokens, "scores": scores + [1.0] * rng.choice([0, 2])}
    if rng.random() < 0.8:
        kinds = [UNKNOWN, CONTROL, CONTROL] + [BYTE] * 256 + [NORMAL] * len(pieces)
        kinds[268:] = [rng.choice([NORMAL, CONTROL, USER_DEFINED, UNUSED]) for _ in tokens[268:]]
        faulty["types"] = kinds
    return faulty | ids(rng, len(tokens))


def ids(rng: random.Random, count: int) -> dict[str, Any]:
    """Returns the ids of some special tokens, in or out of range."""
    names = ["eot", "eom", "padding", "seperator", "mask", "fim_pad", "unknown"]
    chosen = {f"{name}_token_id": rng.choice([count - 2, count, 2**32 - 1]) for name in names if rng.random() < 0.3}
    flags = ["add_bos_token", "add_eos_token", "add_sep_token", "remove_extra_whitespaces"]
    return chosen | {flag: rng.random() < 0.5 for flag in flags if rng.random() < 0.5}


@pytest.mark.parametrize("make", [byte_level, sentence_piece])
def test_vocabularies_that_are_slightly_off(make: Any, times: int, tmp_path: Path) -> None:
    rng = random.Random(4)
    for i in range(15 * times):
        faulty = make(rng)
        path = write(tmp_path / f"{i}.gguf", **faulty)
        tokens = faulty["tokens"]
        theirs = LlamaCpp(path)
        _, ours = load(path)
        for _ in range(10):
            words = rng.choices([*tokens[-16:], "the ", " the", "thing", "é", "\n", "  "], k=5)
            text = "".join(words)
            for framed in (False, True):
                assert ours.encode(text, add_special_tokens=framed) == theirs.encode(text, framed), (text, faulty)
        special = range(len(tokens) - 14, len(tokens))
        assert [id for id in special if id in ours.eos_token_ids] == [id for id in special if theirs.ends(id)], faulty
        path.unlink()
