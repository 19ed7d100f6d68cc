"""The sampling that a model's files suggest, against the settings that transformers' `generate` would use."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, Folder
from transformers import GenerationConfig

FAMILIES = [ROOT / "models" / "fairy-tales", *(path.parent for path in sorted(ROOT.glob("tests/fixtures/*/config.json")))]
#: A tokenizer of the letters of "Once", for families whose golden model has none.
LETTERS: dict[str, Any] = {
    "version": "1.0",
    "model": {"type": "BPE", "vocab": {"O": 3, "n": 4, "c": 5, "e": 6}, "merges": []},
    "added_tokens": [],
}
SUGGESTIONS: list[dict[str, Any]] = [
    {},
    {"temperature": 0.5, "top_p": 0.8},
    {"do_sample": False, "temperature": 0.5},
    {"do_sample": True},
    {"do_sample": True, "temperature": 0.6, "top_p": 0.95},
    {"do_sample": True, "temperature": 0.6, "top_p": 0.95, "top_k": 20, "min_p": 0},
    {"do_sample": True, "top_k": 0, "min_p": 0.05},
    {"do_sample": True, "top_k": None, "repetition_penalty": 1.1},
    {"repetition_penalty": 1.2},
]
#: Words of the command's summary and the fields of transformers, with the values that the summary leaves out.
WORDS = {
    "temperature": ("temperature", None),
    "top-k": ("top_k", 0),
    "top-p": ("top_p", 1.0),
    "min-p": ("min_p", 0.0),
    "repetition penalty": ("repetition_penalty", 1.0),
}


def of_transformers(path: Path) -> dict[str, float]:
    """Returns the settings that `GenerationMixin._prepare_generation_config` makes of the file, without calling it: that needs torch."""
    exists = (path / "generation_config.json").exists()
    config = GenerationConfig.from_pretrained(path) if exists else GenerationConfig()
    config.update(**config._get_default_generation_params(), defaults_only=True)
    fields = list(WORDS.items()) if config.do_sample else [("repetition penalty", WORDS["repetition penalty"])]
    values = {word: getattr(config, field) for word, (field, _) in fields}
    return {word: value for word, value in values.items() if value is not None and value != WORDS[word][1]}


def of_tercet(path: Path) -> dict[str, float]:
    """Returns the settings in the command's summary."""
    command = [sys.executable, "-m", "tercet", "generate", "-m", path, "-n", "1", "Once"]
    run = subprocess.run(command, capture_output=True, encoding="utf-8", check=True)
    (line,) = re.findall(r"^\[.*\]$", run.stderr, flags=re.MULTILINE)
    summary = line.rsplit(" | ")[-1]
    found = {word: re.search(rf"\b{word} ([0-9.]*[0-9])", summary) for word in WORDS}
    assert ("greedy" in summary) == (found["temperature"] is None), summary
    return {word: float(match[1]) for word, match in found.items() if match}


@pytest.mark.parametrize("path", FAMILIES, ids=lambda path: path.name)
def test_every_family_samples_as_in_transformers(path: Path, tmp_path: Path) -> None:
    if not (path / "tokenizer.json").exists():
        path = Path(shutil.copytree(path, tmp_path / path.name))
        (path / "tokenizer.json").write_text(json.dumps(LETTERS))
    assert of_tercet(path) == pytest.approx(of_transformers(path))


@pytest.mark.parametrize("suggestion", SUGGESTIONS, ids=json.dumps)
def test_settings_that_a_file_leaves_out_are_those_of_transformers(folder: Folder, suggestion: dict[str, Any]) -> None:
    names = ("tokenizer.json", "tokenizer_config.json")
    tokenizer = {name: (ROOT / "tests/fixtures/bitnet-tiny" / name).read_text() for name in names}
    path = folder(tokenizer | {"generation_config.json": suggestion})
    assert of_tercet(path) == pytest.approx(of_transformers(path))
