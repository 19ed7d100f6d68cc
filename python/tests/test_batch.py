"""Several prompts at once, the two modes, and perplexity."""

from __future__ import annotations

import numpy as np
import pytest

import tercet
from conftest import FAIRY_TALES

PROMPTS = ["Once upon a time", "The dragon", "One day, a little girl named Lily went to the park with her mother"]


def test_prompts_continue_the_same_way_together_and_alone(model: tercet.Model, tokenizer: tercet.Tokenizer) -> None:
    many = [f"{prompt}, and {word}" for prompt in PROMPTS for word in "abcdefghijklm"]
    together = model.complete(many, 12, seed=3, temperature=0.9)
    assert len(together) == 39
    for seed, (prompt, made) in enumerate(zip(many, together), start=3):
        [alone] = model.complete([prompt], 12, seed=seed, temperature=0.9)
        assert (made.ids, made.text, made.stop) == (alone.ids, alone.text, alone.stop)
    ids = [tokenizer.encode(prompt) for prompt in many]
    assert model.generate(ids, 12, seed=3, temperature=0.9) == [a + b.ids for a, b in zip(ids, together)]


def test_short_rows_are_padded_with_the_end_token(model: tercet.Model, tokenizer: tercet.Tokenizer) -> None:
    [whole] = model.complete([PROMPTS[0]], 30, do_sample=False)
    ids = np.array([tokenizer.encode(PROMPTS[0]), tokenizer.encode("One day there was")[:5]])
    output = model.generate(ids, 30, do_sample=False, eos_token_id=whole.ids[3])
    assert output.shape[0] == 2 and output.dtype == np.int64
    ended = output[0, ids.shape[1] :].tolist()
    assert ended[:4] == whole.ids[:4] and set(ended[4:]) <= {tokenizer.eos_token_id}


def test_one_bad_prompt_is_an_error(model: tercet.Model) -> None:
    with pytest.raises(ValueError, match="outside the vocabulary"):
        model.generate([[1, 2], [10**6]], 3)


def test_the_exact_and_the_fast_mode_agree_closely(model: tercet.Model, tokenizer: tercet.Tokenizer) -> None:
    text = (FAIRY_TALES / "valid.txt").read_text(encoding="utf-8")[:1500]
    fast = model.perplexity(text)
    assert model.mode == "fast" and model.perplexity(tokenizer.encode(text, add_special_tokens=False)) == fast
    exact, _ = tercet.load_model("fairy-tales", mode="exact")
    assert exact.mode == "exact" and "exact" in repr(exact)
    assert exact.perplexity(text) == pytest.approx(fast, rel=0.01)
    unrounded, _ = tercet.load_model("fairy-tales", mode="exact", activations="f32")
    assert unrounded.perplexity(text) not in (fast, exact.perplexity(text))
    ids = tokenizer.encode(PROMPTS[2])
    same = exact.logits(ids).argmax(1) == model.logits(ids).argmax(1)
    assert same.mean() > 0.9


def test_perplexity_follows_from_the_logits(model: tercet.Model, tokenizer: tercet.Tokenizer) -> None:
    ids = tokenizer.encode(PROMPTS[2])
    logits = model.logits(ids).astype(np.float64)[:-1]
    shifted = logits - logits.max(1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    expected = np.exp(-log_p[np.arange(len(ids) - 1), ids[1:]].mean())
    assert model.perplexity(ids[1:]) == pytest.approx(expected, rel=1e-6)
    assert model.perplexity(ids[1:], window=2) > expected
    for error, bad in [("no tokens", ""), ("window", "a b")]:
        with pytest.raises(ValueError, match=error):
            model.perplexity(bad, window=10**6)
