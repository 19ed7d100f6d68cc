"""Generation: forms of ids, sampling, streams, stop conditions and errors."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tercet
from conftest import TINY

PROMPT = "Once upon a time"


def test_the_package_and_the_command_write_the_same_text(model: tercet.Model, tokenizer: tercet.Tokenizer) -> None:
    arguments = ["generate", "--json", "--seed", "7", "-n", "24", PROMPT]
    done = subprocess.run([sys.executable, "-m", "tercet", *arguments], capture_output=True, check=True)
    printed = json.loads(done.stdout)
    [made] = model.complete([PROMPT], 24, seed=7)
    assert (made.text, made.ids, made.stop) == (printed["text"], printed["ids"], printed["stop"])
    assert made.prompt_tokens == len(tokenizer.encode(PROMPT))


def test_every_form_of_ids_comes_back(model: tercet.Model, tokenizer: tercet.Tokenizer) -> None:
    ids = tokenizer.encode(PROMPT)
    expected = model.generate(ids, 8)
    assert isinstance(expected, list) and expected[: len(ids)] == ids
    assert model.generate([ids], 8) == [expected]
    assert model.generate(tuple(ids), 8) == expected
    for dtype in (np.int32, np.int64, np.uint16):
        flat = model.generate(np.array(ids, dtype), 8)
        assert flat.dtype == np.int64 and flat.tolist() == expected
    rows = model.generate(np.array([ids, ids]), 8, seed=[0, 0])
    assert rows.tolist() == [expected, expected]


def test_tensors_come_back(model: tercet.Model, tokenizer: tercet.Tokenizer, torch: Any) -> None:
    ids = tokenizer.encode(PROMPT, return_tensors="pt")
    assert ids.dtype == torch.int64
    assert model.generate(ids, 8)[0].tolist() == model.generate(ids[0].tolist(), 8)


def test_torch_stays_out() -> None:
    code = "import sys, tercet; m, t = tercet.load_model(); m.generate(t.encode('Hi', return_tensors='np'), 2)"
    subprocess.run([sys.executable, "-c", code + "; assert 'torch' not in sys.modules"], check=True)


def test_sampling_is_seeded(model: tercet.Model, tokenizer: tercet.Tokenizer) -> None:
    ids = tokenizer.encode(PROMPT)
    sampled = {tuple(model.generate(ids, 16, temperature=1.2, seed=seed)) for seed in (1, 2, 3, 1)}
    assert len(sampled) == 3
    greedy = model.generate(ids, 16, do_sample=False)
    assert greedy == model.generate(ids, 16, temperature=0) == model.generate(ids, 16, top_k=1)


def test_streams_and_callbacks_say_the_same(model: tercet.Model) -> None:
    [made] = model.complete([PROMPT], 32)
    stream = model.stream(PROMPT, 32)
    pieces = list(stream)
    assert len(pieces) > 5 and "".join(pieces) == made.text
    assert (stream.ids, stream.stop) == (made.ids, made.stop)
    told: list[str] = []
    model.complete([PROMPT], 32, callback=told.append)
    assert "".join(told) == made.text


def test_a_callback_ends_the_text(model: tercet.Model, tokenizer: tercet.Tokenizer) -> None:
    told: list[str] = []

    def callback(text: str) -> bool:
        told.append(text)
        return len(told) < 3

    output = model.generate(tokenizer.encode(PROMPT), 50, callback=callback)
    assert len(told) == 3 and len(output) < 30


def test_a_streamer_is_fed_like_transformers_does(model: tercet.Model, tokenizer: tercet.Tokenizer) -> None:
    class Streamer:
        def __init__(self) -> None:
            self.put_ids: list[Any] = []
            self.ended = False

        def put(self, ids: Any) -> None:
            self.put_ids.append(ids)

        def end(self) -> None:
            self.ended = True

    streamer, ids = Streamer(), tokenizer.encode(PROMPT)
    output = model.generate(ids, 8, streamer=streamer)
    assert streamer.ended and streamer.put_ids[0].tolist() == [ids]
    assert [i for put in streamer.put_ids[1:] for i in put.tolist()] == output[len(ids) :]


def test_stop_strings_and_end_tokens(model: tercet.Model, tokenizer: tercet.Tokenizer) -> None:
    [whole] = model.complete([PROMPT], 40, do_sample=False)
    word = whole.text.split()[4]
    [cut] = model.complete([PROMPT], 40, do_sample=False, stop=word)
    assert cut.stop == "stop_string" and whole.text.startswith(cut.text) and word not in cut.text
    [ended] = model.complete([PROMPT], 40, do_sample=False, eos_token_id=whole.ids[6])
    assert ended.stop == "eos" and ended.ids == whole.ids[: whole.ids.index(whole.ids[6]) + 1]


def test_special_tokens_and_ids_are_stops(model: tercet.Model, tokenizer: tercet.Tokenizer) -> None:
    options: dict[str, Any] = {"temperature": 0.8, "top_p": 0.95, "seed": 1}
    ended = model.complete(["Once upon a time"], 480, **options)[0]
    assert ended.stop == "eos"
    spelling = tokenizer.decode([ended.ids[-1]], skip_special_tokens=False)
    by_text = model.complete(["Once upon a time"], 480, eos_token_id=[], stop=spelling, **options)[0]
    assert (by_text.stop, by_text.ids, by_text.text) == ("stop_string", ended.ids, ended.text)
    for stop_id in (ended.ids[-1], [ended.ids[-1], 0]):
        by_id = model.complete(["Once upon a time"], 480, eos_token_id=[], stop_id=stop_id, **options)[0]
        assert (by_id.stop, by_id.ids, by_id.text) == ("stop_id", ended.ids, ended.text)
    with pytest.raises(ValueError, match="stop_id"):
        model.generate(tokenizer.encode("Once"), 1, stop_id=4096)



def test_grammars_hold_the_text(model: tercet.Model) -> None:
    schema = {
        "type": "object",
        "properties": {"age": {"type": "integer", "minimum": 0, "maximum": 9}},
        "required": ["age"],
        "additionalProperties": False,
    }
    for form in (schema, json.dumps(schema)):
        [made] = model.complete([PROMPT], 60, temperature=1.5, json_schema=form)
        assert made.stop == "eos" and 0 <= json.loads(made.text)["age"] <= 9
    answers = {"yes!", "no!"}
    assert "".join(model.stream(PROMPT, regex="(yes|no)!")) in answers
    for grammar in ('root ::= ("yes" | "no") "!"', 'start: ("yes" | "no") "!"'):
        assert model.complete([PROMPT], grammar=grammar)[0].text in answers
    assert model.complete([PROMPT], json_object=True)[0].text.startswith("{")
    with pytest.raises(ValueError, match="^grammar: line 1, column 11: "):
        model.complete([PROMPT], grammar="root ::= (")
    with pytest.raises(ValueError, match="give one of"):
        model.complete([PROMPT], regex="a", json_object=True)


def test_chat_templates(tokenizer: tercet.Tokenizer) -> None:
    messages = [{"role": "user", "content": "Hi"}]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    ids = tokenizer.apply_chat_template(messages, add_generation_prompt=True)
    assert "Hi" in text and tokenizer.decode(ids) == text
    with pytest.raises(ValueError, match="at least one message"):
        tokenizer.apply_chat_template([])
    with pytest.raises(ValueError, match="object"):
        tokenizer.apply_chat_template([{"role": "user", "content": object()}])


def test_variables_of_chat_templates(tmp_path: Path) -> None:
    path = shutil.copytree(TINY, tmp_path / "model")
    template = "{{ messages[0].content }} {{ mood | default('calm') }}"
    (path / "chat_template.jinja").write_text(template)
    bitnet = tercet.BitNet.from_pretrained(path, threads=1)
    glad: dict[str, Any] = {"chat": True, "chat_template_kwargs": {"mood": "glad"}, "temperature": 0}
    messages = [{"role": "user", "content": "Hi"}]
    ids = bitnet.tokenizer.apply_chat_template(messages, mood="glad")
    assert bitnet.tokenizer.decode(ids) == "Hi glad"
    said = bitnet.generate("Hi", 8, **glad)
    assert said == bitnet.model.complete([ids], 8, temperature=0)[0].text
    assert said == "".join(bitnet.stream("Hi", 8, **glad))
    assert said != bitnet.generate("Hi", 8, chat=True, temperature=0)


def test_decoding(tokenizer: tercet.Tokenizer) -> None:
    ids = tokenizer.encode("Grüße, 王!")
    assert ids[0] == tokenizer.bos_token_id
    assert tokenizer.decode(ids, skip_special_tokens=True) == "Grüße, 王!"
    assert tokenizer.batch_decode(np.array([ids]), True) == ["Grüße, 王!"]
    assert tokenizer.encode("a", add_special_tokens=False) == tokenizer.encode("a")[1:]
    assert len(tokenizer) == tokenizer.vocab_size


def test_errors_name_the_bad_argument(model: tercet.Model, tokenizer: tercet.Tokenizer, tmp_path: Path) -> None:
    ids = tokenizer.encode(PROMPT)
    cases: list[tuple[type[Exception], str, Callable[[], object]]] = [
        (FileNotFoundError, "nowhere: no such file", lambda: tercet.load_model(tmp_path / "nowhere")),
        (FileNotFoundError, "config.json", lambda: tercet.load_model(tmp_path)),
        (ValueError, "isa", lambda: tercet.load_model("fairy-tales", isa="mmx")),
        (ValueError, "^threads: 0 is out of range", lambda: tercet.load_model("fairy-tales", threads=0)),
        (ValueError, "no tokens", lambda: model.generate([], 3)),
        (ValueError, "outside the vocabulary", lambda: model.generate([10**6], 3)),
        (ValueError, "not a token id", lambda: model.generate([-1], 3)),
        (ValueError, "not a token id", lambda: model.generate([[1, 2.5]], 3)),
        (TypeError, "whole numbers", lambda: model.generate(np.array([1.0, 2.0]), 3)),
        (ValueError, "dimensions", lambda: model.generate(np.zeros((1, 1, 1), np.int64), 3)),
        (TypeError, "encode the text", lambda: model.generate("text", 3)),
        (ValueError, "context holds", lambda: model.generate(ids * 1000, 3)),
        (ValueError, "^temperature: -1 is out of range", lambda: model.generate(ids, 3, temperature=-1.0)),
        (ValueError, "^top_p: 0 is out of range", lambda: model.generate(ids, 3, top_p=0.0)),
        (ValueError, "max_new_tokens", lambda: model.generate(ids, -1)),
        (ValueError, "^stop: a stop string is empty", lambda: model.generate(ids, 3, stop="")),
        (ValueError, "return_tensors", lambda: tokenizer.encode("a", return_tensors="tf")),  # type: ignore[call-overload]
        (TypeError, "unexpected keyword", lambda: model.generate(ids, 3, warmth=1.0)),  # type: ignore[call-overload]
        (ValueError, "single prompt", lambda: model.generate([ids, ids], 3, callback=print)),
    ]
    for error, match, call in cases:
        with pytest.raises(error, match=match):
            call()
    with pytest.raises(ZeroDivisionError):
        model.generate(ids, 3, callback=lambda text: 1 / 0)  # type: ignore[arg-type, return-value]


@pytest.mark.parametrize(
    "normalizer",
    [
        {"type": "Replace", "pattern": {"String": ""}, "content": "a"},
        {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "aa"}] * 30},
        # The tokenizers library panics when it is used.
        {"type": "Precompiled", "precompiled_charsmap": "BAAAAAAAAABhYgBjAA=="},
    ],
)
def test_a_hostile_tokenizer_is_an_error(normalizer: dict[str, object], tmp_path: Path) -> None:
    for file in TINY.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    tokenizer = json.loads((TINY / "tokenizer.json").read_text())
    (tmp_path / "tokenizer.json").write_text(json.dumps(tokenizer | {"normalizer": normalizer}))
    with pytest.raises(tercet.Error, match="tokenizer.json"):
        tercet.load_model(tmp_path, threads=1)[1].encode("a b")


def test_a_directory_is_loaded() -> None:
    model, tokenizer = tercet.load_model(TINY, threads=1, packing="1.6bit", isa="portable")
    assert (model.name, model.isa, model.threads) == ("bitnet-tiny", "portable", 1)
    assert model.vocab_size >= tokenizer.vocab_size and model.memory_use()["ternary"] > 0
    assert "bitnet-tiny" in repr(model)
