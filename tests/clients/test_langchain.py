"""LangChain's chat model, which speaks through OpenAI's client."""

from __future__ import annotations

from typing import Literal

import pydantic
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


class Tale(pydantic.BaseModel):
    """A tale."""

    animal: Literal["fox", "wolf"]
    pages: int = pydantic.Field(ge=1, le=99)


@pytest.mark.parametrize("method", ["function_calling", "json_schema"])
def test_structured_output_is_valid(model: ChatOpenAI, method: Literal["function_calling", "json_schema"]) -> None:
    teller = model.model_copy(update={"max_tokens": 200}).with_structured_output(Tale, method=method)
    assert isinstance(teller.invoke("Tell me of an animal"), Tale)


def test_tools_are_called(model: ChatOpenAI) -> None:
    caller = model.model_copy(update={"max_tokens": 200}).bind_tools([Tale], tool_choice="Tale")
    [call] = caller.invoke("Tell me of an animal").tool_calls
    assert call["name"] == "Tale" and Tale(**call["args"])
