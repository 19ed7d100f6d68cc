"""Several samples and seeds, a caller's own functions, and what transformers' ``generate`` takes."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import tercet
from conftest import TINY

PROMPT = "Once upon a time"
Ids = npt.NDArray[np.int64]
Logits = npt.NDArray[np.float32]


def texts(made: list[tercet.Generation]) -> list[str]:
    return [text.text for text in made]


def test_equal_prompts_give_different_texts(model: tercet.Model) -> None:
    together = model.complete([PROMPT] * 3, 16, temperature=1.2, seed=5)
    assert len(set(texts(together))) == 3
    samples = model.complete([PROMPT], 16, temperature=1.2, seed=5, n=3)
    listed = model.complete([PROMPT] * 3, 16, temperature=1.2, seed=[5, 6, 7])
    assert texts(samples) == texts(together) == texts(listed)
    alone = [model.complete([PROMPT], 16, temperature=1.2, seed=seed)[0].text for seed in (5, 6, 7)]
    assert alone == texts(samples)


def test_samples_of_a_prompt_follow_each_other(model: tercet.Model, tokenizer: tercet.Tokenizer) -> None:
    ids = np.array([tokenizer.encode(PROMPT), tokenizer.encode("One day there was")[:5]])
    rows = model.generate(ids, 4, temperature=1.0, num_return_sequences=2, eos_token_id=[])
    assert rows.shape == (4, ids.shape[1] + 4)
    assert rows[:, : ids.shape[1]].tolist() == ids[[0, 0, 1, 1]].tolist()
    cases: list[dict[str, Any]] = [{"n": 0}, {"seed": [1, 2]}, {"seed": -1}]
    for wrong in cases:
        with pytest.raises(ValueError, match=f"^{next(iter(wrong))}: "):
            model.complete([PROMPT], 2, **wrong)
    with pytest.raises(ValueError, match="give the prompt as a row"):
        model.generate(tokenizer.encode(PROMPT), 2, n=2)


def test_a_processor_changes_the_logits(model: tercet.Model, tokenizer: tercet.Tokenizer) -> None:
    [greedy] = model.complete([PROMPT], 12, do_sample=False)
    seen: list[list[int]] = []

    def same(ids: Ids, logits: Logits) -> None:
        assert ids.dtype == np.int64 and logits.dtype == np.float32 and len(logits) == model.vocab_size
        seen.append(ids.tolist())

    assert model.complete([PROMPT], 12, do_sample=False, logits_processor=same)[0].ids == greedy.ids
    prompt = tokenizer.encode(PROMPT)
    assert seen == [prompt + greedy.ids[:i] for i in range(len(greedy.ids))]

    def never_the_first(ids: Ids, logits: Logits) -> Logits:
        return np.where(np.arange(len(logits)) == greedy.ids[0], np.float32(-np.inf), logits)

    def in_place(ids: Ids, logits: Logits) -> None:
        logits[greedy.ids[1]] = -np.inf

    both = [never_the_first, in_place]
    [other] = model.complete([PROMPT], 12, do_sample=False, logits_processor=both)
    biased = model.complete([PROMPT], 12, do_sample=False, logit_bias={id: -1e9 for id in greedy.ids[:2]})[0]
    assert other.ids == biased.ids and not set(greedy.ids[:2]) & set(other.ids)
    assert "".join(model.stream(PROMPT, 12, do_sample=False, logits_processor=both)) == other.text


def test_a_processor_and_a_grammar_agree(model: tercet.Model) -> None:
    def odd(ids: Ids, logits: Logits) -> Logits:
        return -logits

    [made] = model.complete([PROMPT], 20, do_sample=False, regex="(yes|no)!", logits_processor=odd)
    assert made.text in {"yes!", "no!"}


def test_faults_of_a_processor_are_raised(model: tercet.Model) -> None:
    def fails(ids: Ids, logits: Logits) -> None:
        raise ZeroDivisionError("of the processor")

    def fails_later(ids: Ids, logits: Logits) -> None:
        if len(ids) > 8:
            fails(ids, logits)

    for processor in (fails, fails_later):
        with pytest.raises(ZeroDivisionError, match="of the processor"):
            model.complete([PROMPT], 8, logits_processor=processor)
        with pytest.raises(ZeroDivisionError, match="of the processor"):
            list(model.stream(PROMPT, 8, logits_processor=processor))
    wrong: list[tuple[str, Any]] = [
        ("3 logits", lambda ids, logits: logits[:3]),
        ("float32", lambda ids, logits: "logits"),
        ("leaves no token", lambda ids, logits: np.full_like(logits, -np.inf)),
    ]
    for match, processor in wrong:
        with pytest.raises(ValueError, match=f"^logits_processor: .*{match}"):
            model.complete([PROMPT], 8, logits_processor=processor)


def test_criteria_end_each_text(model: tercet.Model, tokenizer: tercet.Tokenizer) -> None:
    prompts = [tokenizer.encode(PROMPT), tokenizer.encode("The old king")[:4]]
    made = model.complete(prompts, 20, eos_token_id=[], stopping_criteria=lambda ids: len(ids) >= 9)
    assert [len(prompt) + len(text.ids) for prompt, text in zip(prompts, made)] == [9, 9]
    assert {text.stop for text in made} == {"cancelled"}
    # A text that repeats its prompt is drafted, several tokens at a time, unless somebody looks at each.
    chorus = tokenizer.encode("The sea and the wood. " * 12)
    [cut] = model.complete([chorus], 60, do_sample=False, stopping_criteria=lambda ids: len(ids) >= len(chorus) + 7)
    assert len(cut.ids) == 7
    never = [lambda ids: False, lambda ids: False]
    assert model.complete(prompts[:1], 5, eos_token_id=[], stopping_criteria=never)[0].stop == "length"


def test_a_draft_model_changes_no_text(model: tercet.Model) -> None:
    drafting, _ = tercet.load_model("fairy-tales", threads=2, draft_model="fairy-tales")
    for known in (drafting, pickle.loads(pickle.dumps(drafting))):
        [text] = known.complete([PROMPT], 40, seed=3)
        assert text.ids == model.complete([PROMPT], 40, seed=3)[0].ids
        assert 0 <= text.accepted <= text.drafted
    with pytest.raises(ValueError, match="^the draft model bitnet-tiny has other tokens than fairy-tales: token "):
        tercet.load_model("fairy-tales", draft_model=TINY)
    of_transformers: dict[str, Any] = {"assistant_model": "fairy-tales"}
    with pytest.raises(ValueError, match="^assistant_model: .*draft_model"):
        model.generate([[1, 2]], 2, **of_transformers)


def test_what_transformers_takes_is_taken(model: tercet.Model, tokenizer: tercet.Tokenizer) -> None:
    long, short = tokenizer.encode("Once upon a time there was"), tokenizer.encode("The sea")
    pad = len(long) - len(short)
    inputs: dict[str, Any] = {
        "input_ids": np.array([long, [0] * pad + short]),
        "attention_mask": np.array([[1] * len(long), [0] * pad + [1] * len(short)]),
    }
    neutral: dict[str, Any] = {"num_beams": 1, "use_cache": True, "return_dict_in_generate": False}
    rows = model.generate(**inputs, max_length=len(long) + 6, do_sample=False, eos_token_id=[], **neutral)
    assert rows.shape == (2, len(long) + 6)
    expected = model.complete([long, short], 6, do_sample=False, eos_token_id=[])
    assert rows[:, len(long) :].tolist() == [text.ids for text in expected]
    ended = model.generate(inputs["input_ids"], 3, eos_token_id=expected[0].ids[0], pad_token_id=7, do_sample=False)
    assert ended[0].tolist()[len(long) + 1 :] == [7, 7]


def test_what_only_transformers_can_do_is_refused_by_name(model: tercet.Model) -> None:
    misspelt: dict[str, Any] = {"num_beems": 1}
    refused: dict[str, Any] = {"num_beams": 4, "no_repeat_ngram_size": 2, "stop_strings": ["a"], "output_scores": True}
    for name, value in refused.items():
        with pytest.raises(ValueError, match=f"^{name}: transformers can do this"):
            model.generate([[1, 2]], 2, **{name: value})
    with pytest.raises(TypeError, match="num_beems"):
        model.generate([[1, 2]], 2, **misspelt)
    with pytest.raises(ValueError, match="^attention_mask: "):
        model.generate([[1, 2]], 2, attention_mask=[[1]])
    with pytest.raises(ValueError, match="^max_length: 2 leaves no room"):
        model.generate([[1, 2]], max_length=2)
    with pytest.raises(ValueError, match="^n: this call gives one text"):
        model.stream(PROMPT, 2, n=2)


def test_misspelt_options_fail_under_mypy(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    program = tmp_path / "program.py"
    good = 'import tercet\nmodel, _ = tercet.load_model("fairy-tales")\nreveal_type(model.generate([1, 2], top_k=5))\n'
    for calls, faults in [("", 0), ("model.complete(['a'], warmth=1.0)\n", 1), ("tercet.load_model(thread=1)\n", 1)]:
        program.write_text(good + calls)
        done = subprocess.run([sys.executable, "-m", "mypy", "--strict", program], capture_output=True, text=True)
        assert done.stdout.count(" error: ") == faults and 'is "list[int]"' in done.stdout, done.stdout


def test_results_say_what_they_are(model: tercet.Model) -> None:
    [made] = model.complete([PROMPT], 3, do_sample=False, eos_token_id=[])
    assert repr(made) == f"Generation({json.dumps(made.text)}, 3 tokens, stop=\"length\")"


def test_no_signature_of_the_package_says_any() -> None:
    """``np.integer[Any]`` is how numpy spells a whole number of any width."""
    package = Path(tercet.__file__).parent
    for file in [*package.glob("*.py"), package / "_tercet.pyi"]:
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
            said = line.replace("np.integer[Any]", "").strip()
            assert "Any" not in said or said.startswith("from typing import"), f"{file.name}:{number}: {line}"


def test_a_context_bounds_prompt_and_text(tokenizer: tercet.Tokenizer) -> None:
    small, _ = tercet.load_model("fairy-tales", context=12, threads=1)
    assert small.context_length == 12
    prompt = tokenizer.encode(PROMPT)
    [made] = small.complete([prompt], 100, eos_token_id=[])
    assert (len(prompt) + len(made.ids), made.stop) == (12, "length")
    assert len(small.generate(prompt, 3, eos_token_id=[])) == len(prompt) + 3
    with pytest.raises(ValueError, match="context: 12 leaves no room after a prompt of"):
        small.complete(["word " * 20])
    with pytest.raises(ValueError, match="context: 0 is out of range; use 1 to 512"):
        tercet.load_model("fairy-tales", context=0)


def test_several_tokens_end_a_text(model: tercet.Model) -> None:
    [whole] = model.complete([PROMPT], 12, temperature=0)
    [cut] = model.complete([PROMPT], 12, temperature=0, stop_ids=[4094, whole.ids[5]])
    assert cut.stop == "stop_id" and cut.ids == whole.ids[: whole.ids.index(whole.ids[5]) + 1]
    assert model.complete([PROMPT], 12, temperature=0, stop_id=whole.ids[5])[0].ids == cut.ids


def test_errors_name_arguments_and_their_values(model: tercet.Model) -> None:
    wrong: dict[str, Any] = {"packing": "3bit"}
    with pytest.raises(ValueError, match=r"packing: \"3bit\" is not known; use 2bit, 1.6bit"):
        tercet.load_model("fairy-tales", **wrong)
    with pytest.raises(ValueError, match="unpack: .* is not known; use .*shift"):
        tercet.Kernel("avx2", unpack="nonsense")
    with pytest.raises(ValueError, match="top_p: 7 is out of range"):
        model.complete([PROMPT], 1, top_p=7.0)


def test_objects_show_what_they_are(model: tercet.Model) -> None:
    stream = model.stream(PROMPT, 3, temperature=0)
    assert repr(stream) == "Stream(0 tokens, growing)"
    list(stream)
    assert repr(stream) == 'Stream(3 tokens, stop="length")'
    assert repr(tercet.cpu()).startswith("Cpu(") and f"threads={tercet.cpu().threads}" in repr(tercet.cpu())
