"""Anthropic's client: messages and their tokens."""

from __future__ import annotations

import anthropic
import pytest
from conftest import KEY, MODEL, QUESTION

#: This version of the client knows no sampling, as the newest models of Anthropic have none.
GREEDY = {"temperature": 0}

CITIES = ["Rome", "Oslo"]
CITY = {"type": "object", "properties": {"city": {"type": "string", "enum": CITIES}}, "required": ["city"]}
WEATHER = {"name": "get_weather", "description": "Tell the weather", "input_schema": CITY}


@pytest.fixture(scope="module")
def client(server: str) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=server, api_key=KEY, max_retries=0, _strict_response_validation=True)


def test_a_message_streams_what_it_answers(client: anthropic.Anthropic) -> None:
    request = {"model": MODEL, "messages": [QUESTION], "max_tokens": 12, "system": "Be brief."}
    request |= {"extra_body": GREEDY, "metadata": {"user_id": "somebody"}}
    whole = client.messages.create(**request)
    assert whole.stop_reason == "max_tokens" and whole.usage.output_tokens == 12
    with client.messages.stream(**request) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == whole.content[0].text == final.content[0].text
    assert final.stop_reason == whole.stop_reason
    assert final.usage.output_tokens == whole.usage.output_tokens


def test_a_stop_sequence_is_named(client: anthropic.Anthropic) -> None:
    message = client.messages.create(
        model=MODEL, messages=[QUESTION], max_tokens=200, stop_sequences=["."], extra_body=GREEDY
    )
    assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", ".")


def test_tokens_are_counted(client: anthropic.Anthropic) -> None:
    counted = client.messages.count_tokens(model=MODEL, messages=[QUESTION])
    message = client.messages.create(model=MODEL, messages=[QUESTION], max_tokens=1)
    usage = message.usage
    assert counted.input_tokens == usage.input_tokens + (usage.cache_read_input_tokens or 0)


def test_faults_are_exceptions(client: anthropic.Anthropic, server: str) -> None:
    with pytest.raises(anthropic.NotFoundError, match="claude"):
        client.messages.create(model="claude", messages=[QUESTION], max_tokens=1)
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": ""}}
    with pytest.raises(anthropic.BadRequestError, match="image"):
        client.messages.create(model=MODEL, messages=[{"role": "user", "content": [image]}], max_tokens=1)
    with pytest.raises(anthropic.AuthenticationError):
        anthropic.Anthropic(base_url=server, api_key="wrong").messages.count_tokens(
            model=MODEL, messages=[QUESTION]
        )


def test_tools_are_called(client: anthropic.Anthropic) -> None:
    request = {"model": MODEL, "messages": [QUESTION], "max_tokens": 100, "extra_body": GREEDY}
    request |= {"tools": [WEATHER], "tool_choice": {"type": "any", "disable_parallel_tool_use": True}}
    whole = client.messages.create(**request)
    [call] = whole.content
    assert whole.stop_reason == "tool_use" and call.type == "tool_use" and call.name == "get_weather"
    assert call.input["city"] in CITIES
    with client.messages.stream(**request) as stream:
        snapshots = [event.snapshot for event in stream if event.type == "input_json"]
        final = stream.get_final_message()
    assert snapshots[-1] == final.content[0].input == call.input
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "Snow"}
    turns = [QUESTION, {"role": "assistant", "content": whole.content}, {"role": "user", "content": [result]}]
    request |= {"messages": turns, "tool_choice": {"type": "none"}}
    assert client.messages.create(**request).content[0].type == "text"
