"""LangChain's chat model, which speaks through OpenAI's client."""

from __future__ import annotations

import pytest
from conftest import KEY, MODEL
from langchain_openai import ChatOpenAI


@pytest.fixture(scope="module")
def model(server: str) -> ChatOpenAI:
    return ChatOpenAI(base_url=f"{server}/v1", api_key=KEY, model=MODEL, temperature=0, max_tokens=12)


def test_a_chat_streams_what_it_answers(model: ChatOpenAI) -> None:
    messages = [("system", "Be brief."), ("human", "Tell me a story")]
    whole = model.invoke(messages)
    assert whole.usage_metadata and whole.usage_metadata["output_tokens"] == 12
    assert whole.response_metadata["finish_reason"] == "length"
    assert "".join(chunk.text for chunk in model.stream(messages)) == whole.text


def test_responses_have_the_text_of_chats(model: ChatOpenAI) -> None:
    responses = model.model_copy(update={"use_responses_api": True})
    assert responses.invoke("Tell me a story").text == model.invoke("Tell me a story").text
