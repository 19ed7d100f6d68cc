"""Generation with objects of transformers: its tokenizers and its streamers."""

from __future__ import annotations

from pathlib import Path
from threading import Thread

import pytest
from transformers import AutoTokenizer, TextIteratorStreamer

import tercet

FAIRY_TALES = Path(__file__).parents[2] / "models" / "fairy-tales"
TEXTS = ["Once upon a time", "The sea", "One day, a little girl named Lily went to the park"]


@pytest.fixture(scope="module")
def model() -> tercet.Model:
    return tercet.load_model(FAIRY_TALES, threads=2)[0]


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_padded_batch_of_a_tokenizer(model: tercet.Model, side: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(FAIRY_TALES, padding_side=side)
    tokenizer.pad_token = tokenizer.eos_token
    inputs = tokenizer(TEXTS, padding=True, return_tensors="np")
    rows = model.generate(**inputs, max_new_tokens=12, do_sample=False, eos_token_id=[])
    width = inputs["input_ids"].shape[1]
    assert rows[:, :width].tolist() == inputs["input_ids"].tolist()
    expected = model.complete(TEXTS, 12, do_sample=False, eos_token_id=[])
    assert rows[:, width:].tolist() == [made.ids for made in expected]


def test_a_streamer_of_transformers_hears_the_text(model: tercet.Model) -> None:
    tokenizer = AutoTokenizer.from_pretrained(FAIRY_TALES)
    streamer = TextIteratorStreamer(tokenizer, skip_prompt=True, skip_special_tokens=True)
    [made] = model.complete(TEXTS[:1], 40, do_sample=False)
    arguments = {"streamer": streamer, "do_sample": False}
    thread = Thread(target=model.generate, args=(tokenizer.encode(TEXTS[0]), 40), kwargs=arguments)
    thread.start()
    pieces = list(streamer)
    thread.join()
    assert "".join(pieces) == made.text and len(pieces) > 5
