"""Embeddings: texts as vectors."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tercet
from conftest import ROOT

FOLDER = ROOT / "tests" / "fixtures" / "embedding-tiny"


@pytest.fixture(scope="module")
def embedder() -> tercet.Model:
    return tercet.load_model(FOLDER, threads=2)[0]


def test_vectors_have_length_one(embedder: tercet.Model) -> None:
    texts = json.loads((FOLDER / "texts.json").read_text(encoding="utf-8"))
    for prompt_name in (None, "query"):
        found = embedder.embed(texts, prompt_name=prompt_name)
        assert found.shape == (len(texts), 128) and found.dtype == np.float32
        assert np.allclose((found * found).sum(axis=1), 1)
        assert (embedder.embed(texts[0], prompt_name=prompt_name) == found[0]).all()
    assert embedder.embed([]).shape == (0, 128)


def test_faults_are_named(embedder: tercet.Model, model: tercet.Model) -> None:
    with pytest.raises(ValueError, match="dimensions: 7"):
        embedder.embed("a", dimensions=7)
    with pytest.raises(ValueError, match="poem"):
        embedder.embed("a", prompt_name="poem")
    with pytest.raises(ValueError, match="has no embeddings"):
        model.embed("a")
