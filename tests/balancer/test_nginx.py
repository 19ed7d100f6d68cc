"""Two servers behind nginx with the documentation's configuration, asked by OpenAI's client."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

ROOT = Path(__file__).parents[2]
CONFIGURATION = ROOT / "docs" / "operations" / "nginx.conf"


class Server:
    """A server on a free port."""

    def __init__(self, cache: Path, port: int = 0) -> None:
        program = os.environ.get("TERCET", str(ROOT / "target" / "debug" / "tercet"))
        self.process = subprocess.Popen(
            [program, "serve", "--port", str(port), "--threads", "1", "--log", "off"],
            env=os.environ | {"TERCET_CACHE_DIR": str(cache)},
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stderr is not None
        self.address = next(filter(None, (re.search(r"[\w.]+:\d+", line) for line in self.process.stderr)))[0]
        threading.Thread(target=self.process.stderr.read, daemon=True).start()
        wait_for(f"http://{self.address}/ready")

    def requests(self) -> int:
        """Returns the number of requests for texts."""
        text = urllib.request.urlopen(f"http://{self.address}/metrics").read().decode()
        return sum(int(float(line.split()[-1])) for line in text.splitlines() if line.startswith("tercet_requests_total"))


def wait_for(url: str) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except OSError:
            assert time.monotonic() < deadline, url
            time.sleep(0.05)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Server]]:
    cache = tmp_path_factory.mktemp("cache")
    found = [Server(cache), Server(cache)]
    yield found
    for server in found:
        server.process.kill()


@pytest.fixture(scope="module")
def client(servers: list[Server], tmp_path_factory: pytest.TempPathFactory) -> Iterator[openai.OpenAI]:
    folder = tmp_path_factory.mktemp("nginx")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    text = CONFIGURATION.read_text().replace("listen 80;", f"listen 127.0.0.1:{port};")
    for name, server in zip(("10.0.0.1:8080", "10.0.0.2:8080"), servers):
        text = text.replace(name, server.address)
    folders = " ".join(
        f"{name}_temp_path {folder}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    text = text.replace("http {", f"http {{ access_log off; {folders}", 1)
    path = folder / "nginx.conf"
    path.write_text(f"daemon off; pid {folder}/pid; error_log {folder}/errors;\n{text}")
    nginx = shutil.which("nginx")
    assert nginx is not None
    process = subprocess.Popen([nginx, "-p", str(folder), "-c", str(path), "-e", f"{folder}/errors"])
    wait_for(f"http://127.0.0.1:{port}/ready")
    yield openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none", max_retries=0)
    process.terminate()
    process.wait(30)


def ask(client: openai.OpenAI, text: str, tokens: int = 4, **options: Any) -> Any:
    messages = options.pop("messages", [{"role": "user", "content": text}])
    return client.chat.completions.create(
        model="fairy-tales", messages=messages, max_tokens=tokens, temperature=0, **options
    )


def shares(servers: list[Server], work: Any) -> list[int]:
    """Returns the number of requests that each server gets."""
    before = [server.requests() for server in servers]
    work()
    return [server.requests() - count for server, count in zip(servers, before)]


def test_the_turns_of_a_chat_go_to_one_server(servers: list[Server], client: openai.OpenAI) -> None:
    def chat() -> None:
        messages = [{"role": "system", "content": "Be \"brief\"."}, {"role": "user", "content": "Tell me of the sea"}]
        for turn in range(5):
            said = ask(client, "", messages=messages)
            cached = said.usage.prompt_tokens_details.cached_tokens
            assert (cached > 0) == (turn > 0), (turn, cached)
            messages.append({"role": "assistant", "content": said.choices[0].message.content or "."})
            messages.append({"role": "user", "content": f"And {turn}?"})

    assert sorted(shares(servers, chat)) == [0, 5]
    many = shares(servers, lambda: [ask(client, f"{i}. story", 1) for i in range(32)])
    assert min(many) > 4


def test_a_session_has_one_server(servers: list[Server], client: openai.OpenAI) -> None:
    def session() -> None:
        for i in range(6):
            ask(client, f"{i}. story", 1, extra_headers={"X-Session-Id": "somebody"})

    assert sorted(shares(servers, session)) == [0, 6]


def test_a_stream_comes_as_it_grows(client: openai.OpenAI) -> None:
    whole = ask(client, "Tell me a story", 200).choices[0].message.content
    pieces, times = [], []
    for chunk in ask(client, "Tell me a story", 200, stream=True):
        pieces.append(chunk.choices[0].delta.content or "")
        times.append(time.monotonic())
    assert "".join(pieces) == whole
    assert len(pieces) > 50 and times[-1] - times[0] > 5 * (times[1] - times[0])


def test_a_server_that_is_killed_loses_no_request(servers: list[Server], client: openai.OpenAI, tmp_path: Path) -> None:
    texts = [f"The {i}. tale" for i in range(24)]
    expected = {text: ask(client, text, 60).choices[0].message.content for text in texts}
    found: dict[str, Any] = {}
    threads = [
        threading.Thread(target=lambda text=text: found.update({text: ask(client, text, 60)})) for text in texts
    ]
    for thread in threads:
        thread.start()
    time.sleep(0.2)
    servers[0].process.kill()
    for thread in threads:
        thread.join()
    assert {text: answer.choices[0].message.content for text, answer in found.items()} == expected
    port = int(servers[0].address.rsplit(":", 1)[1])
    servers[0] = Server(tmp_path, port)
    time.sleep(6)
    assert min(shares(servers, lambda: [ask(client, text, 1) for text in texts])) > 2
