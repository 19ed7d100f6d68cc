"""The server's routes on two replicas that Ray Serve runs, asked by OpenAI's client."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import psutil
import pytest
import ray
import yaml
from ray import serve

import tercet
import tercet.ray.serve
from tercet.ray import pool_of
from tercet.ray.serve import beginning, build

CONFIGURATION = Path(__file__).parents[2] / "docs" / "operations" / "rayservice.yaml"
PORT = 8123


def question(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


@pytest.fixture(scope="module")
def client() -> Iterator[openai.OpenAI]:
    ray.init(address="local", num_cpus=2, log_to_driver=False)
    serve.start(http_options={"port": PORT})
    [described] = yaml.safe_load(yaml.safe_load(CONFIGURATION.read_text())["spec"]["serveConfigV2"])["applications"]
    assert described["import_path"] == "tercet.ray.serve:build"
    assert pool_of(described["args"]["replicas"])[1] > 1
    serve.run(build({**described["args"], "model": "fairy-tales", "replicas": "2", "cpus": "1"}))
    yield openai.OpenAI(base_url=f"http://127.0.0.1:{PORT}/v1", api_key="none", max_retries=0)
    serve.shutdown()
    ray.shutdown()
    deadline = time.monotonic() + 30
    while servers():
        assert time.monotonic() < deadline, "servers outlive their replicas"
        time.sleep(0.2)


def servers() -> dict[int, str]:
    """Returns the address of each server by its process."""
    found = {}
    for process in psutil.process_iter(["cmdline"]):
        if (process.info["cmdline"] or [])[1:4] == ["-m", "tercet", "serve"]:
            with contextlib.suppress(psutil.NoSuchProcess):
                for connection in process.net_connections("tcp"):
                    if connection.status == psutil.CONN_LISTEN:
                        found[process.pid] = f"http://127.0.0.1:{connection.laddr.port}"
    return found


def counts() -> list[int]:
    """Returns the number of requests for texts that each server has had."""
    numbers = []
    for address in servers().values():
        text = urllib.request.urlopen(f"{address}/metrics").read().decode()
        lines = [line for line in text.splitlines() if line.startswith("tercet_requests_total")]
        numbers.append(sum(int(float(line.split()[-1])) for line in lines))
    return numbers


def said(text: str, tokens: int) -> str:
    """Returns the answer of the model alone."""
    model, tokenizer = tercet.load_model("fairy-tales", threads=1)
    prompt = tokenizer.apply_chat_template(question(text), add_generation_prompt=True)
    return model.complete([prompt], tokens, temperature=0)[0].text


def ask(client: openai.OpenAI, text: str, tokens: int = 12, **options: Any) -> Any:
    return client.chat.completions.create(
        model="fairy-tales", messages=question(text), max_tokens=tokens, temperature=0, **options
    )


def test_answers_and_streams_are_those_of_the_model(client: openai.OpenAI) -> None:
    expected = said("Tell me about the sea", 12)
    assert ask(client, "Tell me about the sea").choices[0].message.content == expected
    chunks = list(ask(client, "Tell me about the sea", stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == expected
    assert len(chunks) > 5
    assert [model.id for model in client.models.list()] == ["fairy-tales"]
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="gpt-4", messages=question("Hi"))


def test_a_stream_comes_as_it_grows(client: openai.OpenAI) -> None:
    times = [time.monotonic() for _ in ask(client, "Tell me a story", 300, stream=True)]
    assert times[-1] - times[0] > 5 * max(0.001, times[1] - times[0])


def test_the_same_beginning_goes_to_the_same_replica(client: openai.OpenAI) -> None:
    story = "Tell me a long story about a king and his three sons. " * 6
    before = counts()
    cached = [ask(client, story + str(i), 2).usage.prompt_tokens_details.cached_tokens for i in range(6)]
    assert all(tokens > 50 for tokens in cached[1:])
    assert sorted(after - earlier for after, earlier in zip(counts(), before)) == [0, 6]
    for i in range(24):
        ask(client, f"{i}. story", 1)
    assert all(after > earlier for after, earlier in zip(counts(), before))


def test_the_beginning_ends_with_the_first_message_of_the_user() -> None:
    system, user = {"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}
    answer = {"role": "assistant", "content": "Ho"}

    def of(**fields: object) -> str:
        return beginning(json.dumps(fields).encode())

    assert of(messages=[system, user]) == of(messages=[system, user, answer, user])
    assert of(messages=[system, user]) != of(messages=[user])
    assert of(prompt="a" * 500) == of(prompt="a" * 600) == "a" * 256
    assert of(prompt=[5, 6]) != of(prompt=[5, 7]) and of(input="sea") == "sea"
    assert beginning(b"") == beginning(b"[1]") == beginning(b"{") == ""


def test_a_killed_replica_is_replaced_and_no_answer_is_lost(client: openai.OpenAI) -> None:
    expected = {f"The {i}. tale": said(f"The {i}. tale", 40) for i in range(24)}
    found: dict[str, Any] = {}
    threads = [
        threading.Thread(target=lambda text=text: found.update({text: ask(client, text, 40)})) for text in expected
    ]
    before = servers()
    victim = next(iter(before))
    keeper = psutil.Process(victim).parent()
    assert keeper is not None
    replica = keeper.parent()
    assert replica is not None and "ServeReplica" in replica.name() + " ".join(replica.cmdline())
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    os.kill(replica.pid, signal.SIGKILL)
    for thread in threads:
        thread.join()
    assert {text: answer.choices[0].message.content for text, answer in found.items()} == expected
    deadline = time.monotonic() + 60
    while len(servers()) != 2 or victim in servers():
        assert time.monotonic() < deadline, "the replica is not replaced, or its server lives"
        time.sleep(0.2)


def test_a_killed_server_is_replaced(client: openai.OpenAI) -> None:
    victim = next(iter(servers()))
    os.kill(victim, signal.SIGKILL)
    deadline = time.monotonic() + 90
    while len(servers()) != 2 or victim in servers():
        assert time.monotonic() < deadline, "the server is not replaced"
        time.sleep(0.5)
    assert ask(client, "Tell me about the sea").choices[0].message.content == said("Tell me about the sea", 12)


# The last one: it ends the replicas.
def test_requests_under_way_end_before_the_replicas(client: openai.OpenAI) -> None:
    expected = said("Tell me a story", 200)
    stream = iter(ask(client, "Tell me a story", 200, stream=True))
    pieces = [next(stream)]
    ending = threading.Thread(target=serve.delete, args=("default",))
    ending.start()
    pieces += list(stream)
    ending.join()
    assert "".join(piece.choices[0].delta.content or "" for piece in pieces) == expected


def test_a_server_that_cannot_start_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="no such file"):
        tercet.ray.serve.Server(["--model", str(tmp_path / "none")])


def test_sizes_of_pools() -> None:
    assert (pool_of(3), pool_of("3"), pool_of("1-4")) == ((3, 3), (3, 3), (1, 4))
    for wrong in (0, "4-1", "some", "1-"):
        with pytest.raises(ValueError, match="LEAST-MOST"):
            pool_of(wrong)
