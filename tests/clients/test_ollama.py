"""Ollama's client: chats, texts and models."""

from __future__ import annotations

import ollama
import pytest
from conftest import KEY, MODEL, QUESTION


@pytest.fixture(scope="module")
def client(server: str) -> ollama.Client:
    return ollama.Client(host=server, headers={"Authorization": f"Bearer {KEY}"})


def test_models(client: ollama.Client) -> None:
    [listed] = client.list().models
    assert listed.model == f"{MODEL}:latest" and listed.details and listed.size
    [running] = client.ps().models
    assert running.context_length
    shown = client.show(listed.model)
    assert shown.capabilities and "completion" in shown.capabilities and shown.template


def test_a_chat_streams_what_it_answers(client: ollama.Client) -> None:
    request = {"model": MODEL, "messages": [QUESTION], "options": {"num_predict": 12, "temperature": 0}}
    whole = client.chat(**request)
    assert whole.done and whole.done_reason == "length" and whole.eval_count == 12
    parts = list(client.chat(**request, stream=True))
    assert "".join(part.message.content or "" for part in parts) == whole.message.content
    assert [part.done for part in parts].count(True) == 1


def test_a_text_is_generated(client: ollama.Client) -> None:
    options = ollama.Options(num_predict=200, temperature=0, stop=["."])
    answer = client.generate(MODEL, "Tell me a story", options=options)
    assert answer.response and "." not in answer.response and answer.done_reason == "stop"


def test_faults_are_exceptions(client: ollama.Client) -> None:
    with pytest.raises(ollama.ResponseError) as unknown:
        client.chat("llama3", [QUESTION])
    assert unknown.value.status_code == 404
    with pytest.raises(ollama.ResponseError, match="no embeddings"):
        client.embed(MODEL, "Tell me a story")


def test_tools_may_be_called(client: ollama.Client) -> None:
    def get_weather(city: str) -> str:
        """Tell the weather.

        Args:
            city: The city
        """
        return f"Snow in {city}"

    options = {"num_predict": 40, "temperature": 0}
    called = {"function": {"name": "get_weather", "arguments": {"city": "Oslo"}}}
    messages = [QUESTION, {"role": "assistant", "tool_calls": [called]}, {"role": "tool", "content": "Snow"}]
    answer = client.chat(MODEL, messages, tools=[get_weather], options=options)
    parts = list(client.chat(MODEL, messages, tools=[get_weather], options=options, stream=True))
    assert "".join(part.message.content or "" for part in parts) == answer.message.content
    assert "tools" in (client.show(MODEL).capabilities or [])
