"""Litespark-Inference's documented examples, with only the import (and the model's name) changed."""

from __future__ import annotations

from typing import Any

from tercet import BitNet, load_model


def test_load_encode_generate_decode() -> None:
    model, tokenizer = load_model("fairy-tales")
    input_ids = tokenizer.encode("Hello, world!", return_tensors="np")
    output = model.generate(input_ids, max_new_tokens=20)
    text = tokenizer.decode(output[0])
    assert "Hello, world!" in text and len(output[0]) > input_ids.shape[1]


def test_load_encode_generate_decode_with_torch(torch: Any) -> None:
    model, tokenizer = load_model("fairy-tales")
    input_ids = tokenizer.encode("Hello, world!", return_tensors="pt")
    output = model.generate(input_ids, max_new_tokens=20)
    assert type(output) is type(input_ids) and output.shape[0] == 1
    assert "Hello, world!" in tokenizer.decode(output[0])


def test_one_object_for_text_in_and_text_out() -> None:
    bn = BitNet.from_pretrained("fairy-tales")
    print(bn.generate("Write a short poem", max_new_tokens=20, chat=True))
    assert isinstance(bn.generate("Once", max_new_tokens=5), str)
