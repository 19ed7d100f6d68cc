"""Tokenizers against transformers: the same ids and the same text."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import ROOT, load
from transformers import AutoTokenizer

MODELS = [ROOT / "models" / "fairy-tales", ROOT / "tests" / "fixtures" / "bitnet-tiny"]


@pytest.mark.parametrize("path", MODELS, ids=lambda path: path.name)
def test_models_of_this_repository(path: Path) -> None:
    theirs = AutoTokenizer.from_pretrained(path)
    _, ours = load(path)
    for text in ["", "Once upon a time", "naïve café, 日本語 🦀", "a <|eot_id|> b"]:
        ids = theirs(text).input_ids
        assert ours.encode(text) == ids
        for skip in (False, True):
            assert ours.decode(ids, skip_special_tokens=skip) == theirs.decode(ids, skip_special_tokens=skip)
