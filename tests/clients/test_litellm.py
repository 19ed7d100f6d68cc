"""LiteLLM, which speaks through OpenAI's client."""

from __future__ import annotations

import litellm
from conftest import KEY, MODEL, QUESTION


def test_a_chat_streams_what_it_answers(server: str) -> None:
    known = {"model": f"openai/{MODEL}", "api_base": f"{server}/v1", "api_key": KEY}
    request = {**known, "messages": [QUESTION], "max_tokens": 12, "temperature": 0}
    whole = litellm.completion(**request)
    assert whole.usage.completion_tokens == 12 and whole.choices[0].finish_reason == "length"
    pieces = [chunk.choices[0].delta.content or "" for chunk in litellm.completion(**request, stream=True)]
    assert "".join(pieces) == whole.choices[0].message.content
