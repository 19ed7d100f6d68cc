"""Tokenizers against transformers: the same ids and the same text."""

from __future__ import annotations

import functools
import shutil
from pathlib import Path
from typing import Any

import pytest
import texts
import zoo
from conftest import ROOT, Folder, load
from tokenizers import AddedToken
from transformers import AutoTokenizer

FIXTURES = ROOT / "tests" / "fixtures"
MODELS = [ROOT / "models" / "fairy-tales", *sorted(file.parent for file in FIXTURES.glob("*/tokenizer.json"))]
FAMILIES = ["bonsai-tiny", "falcon3-tiny", "llama-tiny", "one-bit-llm-tiny", "qwen3-tiny"]
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %} u {{ m.content }} a"
    "{% else %}{{ m.content }}{% endif %}{% endfor %}"
)
PLAIN = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
LATE = {"content": "<|late|>", "lstrip": False, "rstrip": False, "normalized": False, "single_word": False}
LISTED = {"added_tokens_decoder": {"5000": {**LATE, "special": True}, "1": {**LATE, "content": "<s>", "special": True}}}

BPE_TOO = "clean_up_tokenization_spaces_for_bpe_even_though_it_will_corrupt_output"

#: Tokenizers with the settings beside them: each list of settings is tried with each tokenizer.
SETTINGS: list[tuple[list[str], list[dict[str, Any]]]] = [
    (
        ["llama3", "gpt2", "spm-bpe-normalizer-bytes"],
        [
            PLAIN | {"add_bos_token": True, "add_eos_token": True},
            PLAIN | {"add_bos_token": False},
            PLAIN | {"bos_token": None},
            PLAIN | {"add_prefix_space": True},
            PLAIN | {"split_special_tokens": True},
            PLAIN | {"extra_special_tokens": ["<|late|>", "<N  n>"]},
            PLAIN | {"additional_special_tokens": ["<|late|>", "the"], "image_token": "<image>"},
            PLAIN | {"extra_special_tokens": {"late_token": "<|late|>"}, "mask_token": "king"},
            PLAIN | {"clean_up_tokenization_spaces": True},
            PLAIN | LISTED,
            PLAIN | LISTED | {"pad_token": "<pad>", "cls_token": "the"},
            PLAIN | {"tokenizer_class": "SomethingElse", "padding_side": "left", "truncation_side": "left"},
            {},
        ],
    ),
    (
        ["spm-bpe-normalizer-bytes", "spm-bpe-first-bytes", "llama3"],
        [
            PLAIN | {"tokenizer_class": name} | options
            for name in ("LlamaTokenizer", "LlamaTokenizerFast")
            for options in (
                {},
                {"legacy": True},
                {"legacy": False, "add_prefix_space": False},
                {"legacy": True, "add_bos_token": False, "unk_token": "<none>"},
                LISTED,
            )
        ],
    ),
    (
        ["spm-unigram-first-bytes", "spm-bpe-first-bytes"],
        [PLAIN | {"clean_up_tokenization_spaces": True, BPE_TOO: True}, PLAIN | {"clean_up_tokenization_spaces": True}],
    ),
    (
        ["qwen2", "llama3"],
        [
            PLAIN | {"tokenizer_class": name} | options
            for name in (
                "Qwen2Tokenizer", "Qwen3_5Tokenizer", "GPT2Tokenizer", "GPTNeoXTokenizerFast", "CodeGenTokenizer", "CohereTokenizer"
            )
            for options in ({}, {"add_prefix_space": True}, {"pad_token": "<|x|>", "unk_token": "king"}, LISTED)
        ],
    ),
    (
        ["spm-bpe-normalizer-bytes", "spm-bpe-first-bytes"],
        [
            PLAIN | {"tokenizer_class": "GemmaTokenizer"} | options
            for options in ({}, {"add_prefix_space": True}, {"unk_token": "king"}, {"unk_token": "<|x|>"}, LISTED)
        ],
    ),
]
CASES = [(name, settings) for names, rows in SETTINGS for name in names for settings in rows]


@functools.cache
def tokenizer_json(name: str) -> str:
    return zoo.make(name).to_str()


def clear(tokenizer: Any, ids: list[int]) -> bool:
    """Returns false if tokenizers 0.23 decodes one of these tokens by its normalized form, and then never skips it."""
    normalizer = tokenizer.backend_tokenizer.normalizer
    added = [tokenizer.added_tokens_decoder[id] for id in set(ids) if id in tokenizer.added_tokens_decoder]
    normalized = [token.content for token in added if token.normalized and normalizer is not None]
    return all(normalizer.normalize_str(content) == content for content in normalized)


def compare(path: Path, inputs: list[str]) -> None:
    """Requires the same ids for these texts, and the same text for the ids."""
    theirs = AutoTokenizer.from_pretrained(path)
    _, ours = load(path)
    for special in (True, False):
        expected = theirs(inputs, add_special_tokens=special).input_ids
        for text, ids in zip(inputs, expected):
            assert ours.encode(text, add_special_tokens=special) == ids, text
            for skip in (False, True) if clear(theirs, ids) else ():
                assert ours.decode(ids, skip) == theirs.decode(ids, skip_special_tokens=skip), (text, ids)
    assert ours.bos_token_id == theirs.bos_token_id


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.name)
def test_models_of_this_repository(path: Path, times: int) -> None:
    compare(path, texts.generate(2, 1000 * times, ["<|begin_of_text|>", "<|eot_id|>", "<|end_of_text|>"]))


@pytest.mark.parametrize("family", FAMILIES)
def test_families(family: str, tmp_path: Path, times: int) -> None:
    """transformers chooses a class by the family where the settings name none."""
    shutil.copytree(FIXTURES / family, tmp_path, dirs_exist_ok=True)
    (tmp_path / "tokenizer.json").write_text(zoo.letters().to_str(), encoding="utf-8")
    compare(tmp_path, texts.generate(9, 200 * times, ["<s>", "</s>", "<|endoftext|>"]))


@pytest.mark.parametrize("name", zoo.NAMES)
def test_the_zoo(name: str, folder: Folder, times: int) -> None:
    path = folder({"tokenizer.json": tokenizer_json(name), "tokenizer_config.json": PLAIN})
    compare(path, texts.generate(3, 1000 * times, zoo.TOKENS))


@pytest.mark.parametrize(("name", "settings"), CASES, ids=range(len(CASES)))
def test_settings(name: str, settings: dict[str, Any], folder: Folder, times: int) -> None:
    path = folder({"tokenizer.json": tokenizer_json(name), "tokenizer_config.json": settings})
    compare(path, texts.generate(4, 150 * times, zoo.TOKENS))


@pytest.mark.parametrize(
    "files",
    [
        {"special_tokens_map.json": {"bos_token": "king", "pad_token": {**LATE, "lstrip": True}}},
        {"special_tokens_map.json": {"bos_token": "king"}, "tokenizer_config.json": PLAIN | LISTED},
        {"special_tokens_map.json": {"extra_special_tokens": ["<|late|>", "the"]}},
        {"added_tokens.json": {"<|late|>": 5000, "said": 6000, "<|x|>": 4}, "tokenizer_config.json": PLAIN},
        {"added_tokens.json": {"<|late|>": 5000}, "special_tokens_map.json": {"pad_token": "<|late|>"}},
    ],
)
def test_older_files(files: dict[str, Any], folder: Folder) -> None:
    for name in ("llama3", "spm-bpe-first-bytes"):
        path = folder({"tokenizer.json": tokenizer_json(name)} | files, name=name)
        compare(path, texts.generate(5, 200, zoo.TOKENS))


@pytest.mark.parametrize("name", zoo.NAMES)
def test_streams_continue_the_prompt(name: str, folder: Folder, times: int) -> None:
    path = folder({"tokenizer.json": tokenizer_json(name), "tokenizer_config.json": PLAIN})
    theirs = AutoTokenizer.from_pretrained(path)
    model, ours = load(path)
    for seed, text in enumerate(texts.generate(6, 30 * times, zoo.TOKENS)):
        prompt = theirs(text).input_ids
        if not prompt or not clear(theirs, prompt):
            continue
        stream = model.stream(prompt, 24, temperature=1.5, seed=seed, eos_token_id=[])
        pieces = "".join(stream)
        if not clear(theirs, stream.ids):
            continue
        known, whole = theirs.decode(prompt, True), theirs.decode(prompt + stream.ids, True)
        # New bytes may spoil a row of bytes at the end of the prompt, whose text then is another one.
        if whole.startswith(known):
            assert known + pieces == whole, (prompt, stream.ids)
        else:
            assert pieces and whole.endswith(pieces), (prompt, stream.ids)
        made = model.complete([prompt], 24, temperature=1.5, seed=seed, eos_token_id=[])[0]
        assert (made.ids, made.text) == (stream.ids, pieces)


@pytest.mark.parametrize("name", zoo.NAMES)
def test_special_tokens_as_text(name: str, folder: Folder, times: int) -> None:
    path = folder({"tokenizer.json": tokenizer_json(name), "tokenizer_config.json": PLAIN})
    theirs = AutoTokenizer.from_pretrained(path)
    _, ours = load(path)
    for text in texts.generate(8, 200 * times, zoo.TOKENS):
        expected = theirs(text, split_special_tokens=True).input_ids
        assert ours.encode(text, split_special_tokens=True) == expected, text


@pytest.mark.parametrize("name", zoo.NAMES)
def test_chats(name: str, folder: Folder, times: int) -> None:
    path = folder({"tokenizer.json": tokenizer_json(name), "tokenizer_config.json": PLAIN | {"chat_template": TEMPLATE}})
    theirs = AutoTokenizer.from_pretrained(path)
    _, ours = load(path)
    for text in texts.generate(7, 100 * times, zoo.TOKENS):
        chat = [{"role": role, "content": text} for role in ("user", "assistant", "user")]
        assert ours.apply_chat_template(chat) == theirs.apply_chat_template(chat, return_dict=False)
        try:
            expected = theirs.apply_chat_template(chat, return_dict=False, sanitize_control_tokens=True)
        except ValueError:
            with pytest.raises(ValueError, match="only as a special token"):
                ours.apply_chat_template(chat, sanitize_control_tokens=True)
        else:
            assert ours.apply_chat_template(chat, sanitize_control_tokens=True) == expected, text


def test_latin_letters(folder: Folder) -> None:
    """transformers 5.24 decodes such tokens wrongly with byte-level decoders: huggingface/tokenizers, issue 1392."""
    tokenizer = zoo.make("llama3")
    tokenizer.add_tokens([AddedToken("café", special=False), AddedToken("Ġx"), AddedToken("đem")])
    path = folder({"tokenizer.json": tokenizer.to_str(), "tokenizer_config.json": PLAIN})
    _, ours = load(path)
    text = "un café, Ġx and đem: é"
    ids = ours.encode(text)
    assert ids == AutoTokenizer.from_pretrained(path)(text).input_ids
    assert ours.decode(ids, skip_special_tokens=True) == text

