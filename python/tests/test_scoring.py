"""Log probabilities of continuations, against sums over whole rows of logits."""

from __future__ import annotations

import numpy as np
import pytest

import tercet
from conftest import TINY, read_golden

PROMPT = "Once upon a time there was a little"


def by_logits(model: tercet.Model, prompt: list[int], continuation: list[int]) -> list[float]:
    logits = model.logits(prompt + continuation).astype(np.float64)[len(prompt) - 1 : -1]
    totals = np.logaddexp.reduce(logits, axis=1)
    return [float(row[token] - total) for row, token, total in zip(logits, continuation, totals)]


def test_continuations_are_scored_by_the_logits(model: tercet.Model, tokenizer: tercet.Tokenizer) -> None:
    words = [" girl", " boy who lived in a house", " dragon", " and the of"]
    for word, scored in zip(words, model.logprobs(PROMPT, words)):
        prompt, whole = tokenizer.encode(PROMPT), tokenizer.encode(PROMPT + word)
        assert prompt + scored.ids == whole
        assert scored.logprobs == pytest.approx(by_logits(model, prompt, scored.ids), abs=1e-9)
        assert scored.total == pytest.approx(sum(scored.logprobs))
        assert scored.best == model.logits(whole)[len(prompt) - 1 : -1].argmax(1).tolist()


def test_the_greedy_text_is_greedy(model: tercet.Model, tokenizer: tercet.Tokenizer) -> None:
    [made] = model.complete([PROMPT], 20, do_sample=False)
    other = [(made.ids[0] + 1) % model.vocab_size]
    greedy, swapped = model.logprobs([tokenizer.encode(PROMPT)] * 2, [made.ids, other])
    assert greedy.is_greedy and not swapped.is_greedy and greedy.best == made.ids
    assert "20 tokens" in repr(greedy) and greedy.logprobs[0] > swapped.total


def test_a_token_across_the_border_belongs_to_the_continuation(
    model: tercet.Model, tokenizer: tercet.Tokenizer
) -> None:
    [scored] = model.logprobs(["Once upon a tim"], ["e there"])
    assert tokenizer.decode(scored.ids) == " time there"
    apart = model.logprobs([tokenizer.encode("Once upon a tim")], ["e there"])[0]
    assert tokenizer.decode(apart.ids) == "e there"


def test_probabilities_are_those_of_transformers() -> None:
    golden = read_golden(TINY / "golden.safetensors")
    model, _ = tercet.load_model(TINY, mode="exact", cache_type="f32", threads=2)
    for ids, logits in zip(golden["input_ids"].tolist(), golden["logits.f32_offline"].astype(np.float64)):
        log_p = logits - np.logaddexp.reduce(logits, axis=1)[:, None]
        expected = log_p[np.arange(1, len(ids) - 1), ids[2:]]
        [scored] = model.logprobs([ids[:2]], [ids[2:]])
        # Sums in another order round some activations to the next whole number.
        assert np.abs(scored.logprobs - expected).mean() < 0.005


def test_logits_of_the_last_positions(model: tercet.Model, tokenizer: tercet.Tokenizer) -> None:
    ids = tokenizer.encode(PROMPT)
    whole = model.logits(ids)
    for last in (1, 3, len(ids)):
        assert np.array_equal(model.logits(ids, last=last), whole[-last:])
    for last in (0, len(ids) + 1):
        with pytest.raises(ValueError, match="^last: "):
            model.logits(ids, last=last)


def test_bad_scores_are_named(model: tercet.Model) -> None:
    assert model.logprobs([], []) == []
    assert model.logprobs([[1]], [[]])[0].ids == []
    cases: list[tuple[str, list[list[int]], list[list[int]]]] = [
        ("no tokens", [[]], [[1]]),
        ("outside the vocabulary", [[1]], [[10**6]]),
        ("context holds", [[1]], [[1] * 5000]),
        ("2 prompts for 1", [[1], [1]], [[1]]),
    ]
    for match, prompts, continuations in cases:
        with pytest.raises(ValueError, match=match):
            model.logprobs(prompts, continuations)
