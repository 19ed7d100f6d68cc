"""OpenAI's client: chats, completions, responses and models."""

from __future__ import annotations

from typing import Literal

import openai
import pydantic
import pytest
from conftest import KEY, MODEL, QUESTION


@pytest.fixture(scope="module")
def client(server: str) -> openai.OpenAI:
    return openai.OpenAI(
        base_url=f"{server}/v1", api_key=KEY, max_retries=0, _strict_response_validation=True
    )


def test_models(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == [MODEL]
    assert client.models.retrieve(MODEL).object == "model"


def test_a_chat_streams_what_it_answers(client: openai.OpenAI) -> None:
    request = {"model": MODEL, "messages": [QUESTION], "max_completion_tokens": 12, "seed": 7}
    whole = client.chat.completions.create(**request, logprobs=True, top_logprobs=2)
    assert whole.choices[0].logprobs and len(whole.choices[0].logprobs.content) == 12
    chunks = list(
        client.chat.completions.create(**request, stream=True, stream_options={"include_usage": True})
    )
    text = "".join(c.delta.content or "" for chunk in chunks for c in chunk.choices)
    assert text == whole.choices[0].message.content
    assert chunks[-1].usage and chunks[-1].usage.completion_tokens == 12
    assert {chunk.id for chunk in chunks} == {chunks[0].id}
    assert whole.system_fingerprint == chunks[0].system_fingerprint


def test_several_choices(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model=MODEL, messages=[QUESTION], n=3, max_tokens=4, user="somebody", store=False
    )
    assert [choice.index for choice in answer.choices] == [0, 1, 2]


def test_a_completion_streams_what_it_answers(client: openai.OpenAI, server: str) -> None:
    request = {"model": MODEL, "prompt": "Once upon a time", "max_tokens": 8, "seed": 1, "logprobs": 1}
    whole = client.completions.create(**request)
    # The client's types do not allow for the null that OpenAI sends as finish_reason until the end.
    lenient = openai.OpenAI(base_url=f"{server}/v1", api_key=KEY)
    chunks = list(lenient.completions.create(**request, stream=True))
    assert "".join(chunk.choices[0].text for chunk in chunks) == whole.choices[0].text


def test_a_response_streams_what_it_answers(client: openai.OpenAI) -> None:
    request = {"model": MODEL, "input": [QUESTION], "instructions": "Be brief.", "temperature": 0}
    whole = client.responses.create(**request, max_output_tokens=16)
    assert whole.status == "incomplete" and whole.usage and whole.usage.output_tokens == 16
    events = list(client.responses.create(**request, max_output_tokens=16, stream=True))
    assert events[0].type == "response.created"
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    last = events[-1]
    assert last.type == "response.incomplete"
    assert text == last.response.output_text == whole.output_text


def test_a_response_that_ends_is_completed(client: openai.OpenAI) -> None:
    # The server's stop strings work here too, although OpenAI's have none.
    with client.responses.stream(
        model=MODEL, input="Tell me a story", temperature=0, extra_body={"stop": ["."]}
    ) as stream:
        assert stream.get_final_response().status == "completed"


class Answer(pydantic.BaseModel):
    """A city."""

    city: Literal["Rome", "Oslo"]


def test_a_response_calls_functions(client: openai.OpenAI) -> None:
    tools = [openai.pydantic_function_tool(Answer, name="answer")["function"] | {"type": "function"}]
    request = {"model": MODEL, "input": "Where is it?", "tools": tools, "tool_choice": "required"}
    request |= {"temperature": 0, "parallel_tool_calls": False}
    whole = client.responses.create(**request)
    [call] = whole.output
    assert call.type == "function_call" and Answer.model_validate_json(call.arguments)
    with client.responses.stream(**request) as stream:
        deltas = [event.delta for event in stream if event.type == "response.function_call_arguments.delta"]
        final = stream.get_final_response()
    assert "".join(deltas) == call.arguments == final.output[0].arguments
    output = {"type": "function_call_output", "call_id": call.call_id, "output": "Snow"}
    turns = [{"role": "user", "content": "Where is it?"}, call, output]
    answer = client.responses.create(**request | {"input": turns, "tool_choice": "none", "max_output_tokens": 16})
    assert answer.output_text


def test_structured_output_is_parsed(client: openai.OpenAI) -> None:
    response = client.responses.parse(model=MODEL, input="Name a city", text_format=Answer, temperature=0)
    assert response.output_parsed and response.output_parsed.city
    chat = client.chat.completions.parse(
        model=MODEL, messages=[QUESTION], response_format=Answer, temperature=0
    )
    assert chat.choices[0].message.parsed and chat.choices[0].message.parsed.city


def test_faults_are_exceptions(client: openai.OpenAI, server: str) -> None:
    with pytest.raises(openai.NotFoundError) as unknown:
        client.chat.completions.create(model="gpt-4", messages=[QUESTION])
    assert unknown.value.code == "model_not_found"
    with pytest.raises(openai.BadRequestError) as wrong:
        client.chat.completions.create(model=MODEL, messages=[QUESTION], temperature=-1)
    assert wrong.value.param == "temperature"
    with pytest.raises(openai.BadRequestError, match="previous_response_id"):
        client.responses.create(model=MODEL, input="x", previous_response_id="resp_1")
    with pytest.raises(openai.AuthenticationError):
        openai.OpenAI(base_url=f"{server}/v1", api_key="wrong").models.list()
