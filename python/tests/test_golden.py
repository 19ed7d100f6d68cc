"""Logits against outputs of Hugging Face transformers in float32."""

from __future__ import annotations

import numpy as np
import pytest

import tercet
from conftest import FAIRY_TALES, TINY, read_golden

@pytest.mark.parametrize("mode", ["fast", "exact"])
def test_the_tiny_model(mode: str) -> None:
    golden = read_golden(TINY / "golden.safetensors")
    model, _ = tercet.load_model(TINY, mode=mode, cache_type="f32", threads=2)  # type: ignore[arg-type]
    expected = golden["logits.f32_offline"]
    found = np.stack([model.logits(ids) for ids in golden["input_ids"]])
    assert np.abs(found - expected).mean() < 0.005
    assert (found.argmax(-1) == expected.argmax(-1)).all()


@pytest.mark.parametrize("mode", ["fast", "exact"])
def test_fairy_tales(mode: str) -> None:
    golden = read_golden(FAIRY_TALES / "golden.safetensors")
    model, _ = tercet.load_model(FAIRY_TALES, mode=mode, cache_type="f32", threads=2)  # type: ignore[arg-type]
    differences = []
    for prompt in range(3):
        ids, expected = golden[f"{prompt}.ids"], golden[f"{prompt}.logits"]
        differences.append(np.abs(model.logits(ids) - expected).ravel())
        certain = np.minimum.accumulate(golden[f"{prompt}.greedy_gap"] > 0.3)
        greedy = model.generate(ids, 32, do_sample=False, eos_token_id=[])[len(ids) :]
        assert greedy[certain].tolist() == golden[f"{prompt}.greedy"][certain].tolist()
    assert np.concatenate(differences).mean() < 0.005
