"""Conversations, concurrent callers, and models in other processes."""

from __future__ import annotations

import asyncio
import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import tercet


def from_scratch(model: tercet.Model, messages: list[dict[str, str]], seed: int) -> str:
    """Returns the reply to messages that the model reads all anew."""
    prompt = model.tokenizer.apply_chat_template(messages, add_generation_prompt=True)
    return model.complete([prompt], 12, temperature=0.8, seed=seed)[0].text


def test_turns_read_only_what_is_new(model: tercet.Model) -> None:
    chat = tercet.Chat(model, system="Be brief.", temperature=0.8, seed=4)
    messages = [{"role": "system", "content": "Be brief."}]
    for turn, text in enumerate(["Tell me about a king and his many ships", "And then?", "And then?"]):
        messages.append({"role": "user", "content": text})
        expected = from_scratch(model, messages, 4 + turn)
        assert (chat.say(text, 12) if turn % 2 else "".join(chat.stream(text, 12))) == expected
        messages.append({"role": "assistant", "content": expected})
        assert chat.messages == messages
        assert chat.latest is not None and (chat.latest.cached_tokens > 10) == (turn > 0)
    assert repr(chat) == "Chat('fairy-tales', 7 messages)"
    assert chat.undo() == "And then?" and chat.messages == messages[:5]
    chat.reset()
    assert chat.messages == messages[:1] and chat.undo() is None


def test_a_reply_that_is_left_stays_as_far_as_it_came(model: tercet.Model) -> None:
    chat = tercet.Chat(model, temperature=0)
    stream: list[str] = []
    for piece in chat.stream("Tell me about the sea", 60):
        stream.append(piece)
        if len(stream) == 3:
            break
    assert chat.messages[1]["content"].startswith("".join(stream))
    assert len(chat.say("And then?", 5)) > 0 and len(chat.messages) == 4


def test_conversations_are_kept_in_files(model: tercet.Model, tmp_path: Path) -> None:
    chat = tercet.Chat(model, temperature=0)
    chat.say("Grüße", 8)
    path = tmp_path / "chat.json"
    chat.save(path)
    assert json.loads(path.read_text(encoding="utf-8"))["messages"] == chat.messages
    again = tercet.Chat.load(model, path, temperature=0)
    assert again.messages == chat.messages and again.say("And then?", 8) == chat.say("And then?", 8)
    path.write_text("[]")
    with pytest.raises(ValueError, match="holds no conversation"):
        tercet.Chat.load(model, path)
    with pytest.raises(ValueError, match="context holds"):
        chat.say("word " * 2000)
    assert len(chat.messages) == 4


def test_concurrent_callers_get_their_own_texts(model: tercet.Model) -> None:
    prompts = [f"Once there was a {who}" for who in ("king", "girl", "fox", "ship", "dragon", "boy")]

    async def streamed(prompt: str, seed: int) -> str:
        return "".join([piece async for piece in model.astream(prompt, 20, temperature=0.9, seed=seed)])

    async def all_of_them() -> list[str]:
        texts = [streamed(prompt, seed) for seed, prompt in enumerate(prompts)]
        return list(await asyncio.gather(*texts))

    expected = [made.text for made in model.complete(prompts, 20, temperature=0.9)]
    assert asyncio.run(all_of_them()) == expected
    # Another event loop uses the same batcher.
    assert asyncio.run(model.acomplete(prompts[1], 20, temperature=0.9, seed=1)).text == expected[1]


def test_callers_may_leave_and_fail(model: tercet.Model) -> None:
    async def leaves() -> str:
        async for piece in model.astream("Once upon a time", 400, eos_token_id=[]):
            return piece
        return ""

    async def fails() -> str:
        with pytest.raises(ValueError, match="outside the vocabulary"):
            await model.acomplete([10**6], 4)
        return "failed"

    async def is_cancelled() -> str:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(model.acomplete("Once upon a time", 400, eos_token_id=[]), 0.01)
        return "cancelled"

    async def all_of_them() -> list[str]:
        return list(await asyncio.gather(leaves(), fails(), is_cancelled()))

    first, *others = asyncio.run(all_of_them())
    assert first and others == ["failed", "cancelled"]
    assert asyncio.run(model.acomplete("The sea", 4, do_sample=False)).ids == model.complete(["The sea"], 4, do_sample=False)[0].ids


def test_a_pickled_model_loads_itself_again(model: tercet.Model, tmp_path: Path) -> None:
    path = tmp_path / "model.pickle"
    path.write_bytes(pickle.dumps(model))
    code = f"import pickle; m = pickle.load(open({str(path)!r}, 'rb')); print(m.complete(['The sea'], 9)[0].text, m)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == f"{model.complete(['The sea'], 9)[0].text} {model}\n"
