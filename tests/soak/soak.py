#!/usr/bin/env python3
"""Troubles `tercet serve` for a while, and checks that nothing leaks and no text changes.

Many connections ask at once, and some of them are bad clients: they hang up, send rubbish or too much, stop half-way, or
read slowly. Every text that ends must equal that of its request alone. In the end the server must have no more threads than
before, no growing memory, and exit with status 0 on SIGTERM while requests are under way.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import random
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any, Callable

COMPLETION, CHAT = "/v1/completions", "/v1/chat/completions"
STORY = "The fox and the wolf went to the sea, and the sea was calm. "
SCHEMA = {"type": "object", "properties": {"animal": {"enum": ["fox", "wolf"]}}, "required": ["animal"]}

#: Seconds that a client waits for an answer.
WAIT = 300

#: Growth of memory that is no leak: the allocator's leftovers.
SLACK = 32 << 20


def requests() -> list[tuple[str, dict[str, Any]]]:
    """Returns requests of several kinds, each with a seed. Some share a prefix."""
    made: list[tuple[str, dict[str, Any]]] = []
    for seed in range(6):
        prompt = STORY * (1 + 7 * (seed % 3)) + f"Then number {seed}"
        made.append((COMPLETION, {"prompt": prompt, "max_tokens": 20 + 15 * seed, "seed": seed}))
        messages = [{"role": "user", "content": f"Tell me story {seed}"}]
        made.append((CHAT, {"messages": messages, "max_tokens": 48, "seed": seed}))
    format = {"type": "json_schema", "json_schema": {"name": "animal", "schema": SCHEMA}}
    made.append((CHAT, {"messages": messages, "response_format": format, "max_tokens": 60, "seed": 1}))
    return made


class Server:
    """A server with a small room for keys and values, so that its memory has a bound."""

    def __init__(self, program: str, cache: str) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("TERCET_")}
        arguments = ["--port", "0", "--parallel", "6", "--queue", "32", "--kv-size", "24MB", "--drain-time", "20"]
        self.process = subprocess.Popen(
            [program, "serve", "--no-tune", *arguments],
            env=environment | {"TERCET_CACHE_DIR": cache},
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if address := re.search(r"http://([\w.]+):(\d+)", line):
                self.address = (address[1], int(address[2]))
                # Later messages must not fill the pipe.
                threading.Thread(target=self.process.stderr.read, daemon=True).start()
                return
        raise SystemExit("the server did not start")

    def proc(self, file: str) -> Path:
        return Path(f"/proc/{self.process.pid}/{file}")

    def memory(self) -> int:
        return int(self.proc("statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def threads(self) -> int:
        return len(list(self.proc("task").iterdir()))

    def sockets(self) -> int:
        return len(list(self.proc("fd").iterdir()))

    def post(self, route: str, body: bytes) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(*self.address, timeout=WAIT)
        connection.request("POST", route, body)
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        return answer.status, data

    def open_stream(self, route: str, body: dict[str, Any]) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection(*self.address, timeout=WAIT)
        connection.request("POST", route, json.dumps(body | {"stream": True}))
        return connection.getresponse()


def text_of(choice: dict[str, Any]) -> str:
    """Returns the text of a choice, or of a change of one."""
    message = choice.get("message") or choice.get("delta") or {}
    return choice.get("text") or message.get("content") or ""


def text_of_stream(lines: Any) -> str | None:
    """Returns the text of a stream, or none if it does not come to its end."""
    text = ""
    for line in lines:
        data = line.decode().strip().removeprefix("data: ")
        if data == "[DONE]":
            return text
        if data.startswith("{"):
            chunk = json.loads(data)
            if "error" in chunk:
                return None
            text += "".join(text_of(choice) for choice in chunk["choices"])
    return None


class Trouble:
    """Clients of one server, good and bad ones."""

    def __init__(self, server: Server, seed: int) -> None:
        self.server, self.seed = server, seed
        self.requests = requests()
        self.expected = [self.whole(route, body) for route, body in self.requests]
        self.counts: Counter[str] = Counter()
        self.faults: list[str] = []
        self.over = threading.Event()
        self.long = threading.Lock()
        self.early = time.monotonic()

    def whole(self, route: str, body: dict[str, Any]) -> str:
        status, data = self.server.post(route, json.dumps(body).encode())
        if status != 200:
            raise SystemExit(f"{route} answers {status}: {data!r}")
        return text_of(json.loads(data)["choices"][0])

    def check(self, name: str, ok: bool, problem: str) -> None:
        self.counts[name] += 1
        if not ok:
            self.faults.append(f"{name}: {problem}")

    def good(self, random: random.Random) -> None:
        """Asks and compares."""
        index = random.randrange(len(self.requests))
        route, body = self.requests[index]
        status, data = self.server.post(route, json.dumps(body).encode())
        if status == 200:
            text = text_of(json.loads(data)["choices"][0])
            self.check("whole texts", text == self.expected[index], f"{text!r} is not {self.expected[index]!r}")
        else:
            self.check("refused", status in (429, 503), f"status {status}")

    def streamed(self, random: random.Random, pause: float = 0.0) -> None:
        """Reads a stream, slowly with a pause."""
        index = random.randrange(len(self.requests))
        answer = self.server.open_stream(*self.requests[index])
        if answer.status != 200:
            return self.check("refused", answer.status in (429, 503), f"status {answer.status}")

        def lines() -> Any:
            for line in answer:
                time.sleep(pause)
                yield line

        text = text_of_stream(lines())
        self.check("streams", text == self.expected[index], f"{text!r} is not {self.expected[index]!r}")
        answer.close()

    def slow(self, random: random.Random) -> None:
        """Reads slowly."""
        self.streamed(random, pause=0.02)

    def hang_up(self, random: random.Random) -> None:
        """Goes away in the midst of a text."""
        answer = self.server.open_stream(COMPLETION, {"prompt": STORY, "max_tokens": 2000, "ignore_eos": True})
        answer.read(random.randrange(1, 2000))
        answer.close()
        self.counts["hung up"] += 1

    def hang_up_early(self, random: random.Random) -> None:
        """Goes away while the prompt is read, or before."""
        body = json.dumps({"prompt": STORY * random.randrange(1, 150), "max_tokens": 50}).encode()
        with socket.create_connection(self.server.address) as connection:
            head = f"POST {COMPLETION} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
            connection.sendall(head.encode() + body[: random.randrange(len(body) // 2, len(body) + 1)])
            time.sleep(random.random() / 10)
        self.counts["hung up early"] += 1

    def half_open(self, random: random.Random) -> None:
        """Sends a part of a request and waits."""
        with socket.create_connection(self.server.address) as connection:
            connection.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-"[: random.randrange(60)])
            time.sleep(random.random())
        self.counts["half-open"] += 1

    def rubbish(self, random: random.Random) -> None:
        """Sends a body that means nothing."""
        route, body = random.choice(self.requests)
        data = bytearray(json.dumps(body).encode())
        for _ in range(random.randrange(1, 30)):
            data[random.randrange(len(data))] = random.randrange(256)
        status, answer = self.server.post(route, bytes(data))
        # A change may leave the body valid.
        self.check("rubbish", status in (200, 400, 404, 429, 503), f"status {status}: {answer!r}")

    def too_long(self, random: random.Random) -> None:
        """Sends a prompt of a megabyte, whose tokens take seconds to count.

        One at a time leaves room for the others. They come early, because the allocator keeps the memory.
        """
        if time.monotonic() > self.early or not self.long.acquire(blocking=False):
            return
        with contextlib.ExitStack() as stack:
            stack.callback(self.long.release)
            body = json.dumps({"prompt": "a b " * (1 << 18), "max_tokens": 1}).encode()
            status, answer = self.server.post(COMPLETION, body)
            self.check("too long", status == 400 and b"context" in answer, f"status {status}")

    def run(self, number: int, until: float) -> None:
        """Is one client after another."""
        source = random.Random(f"{self.seed} {number}")
        kinds: list[tuple[Callable[[random.Random], None], int]] = [
            (self.good, 6), (self.streamed, 6), (self.slow, 1), (self.hang_up, 3), (self.hang_up_early, 3),
            (self.half_open, 1), (self.rubbish, 3), (self.too_long, 1),
        ]  # fmt: skip
        while time.monotonic() < until and not self.over.is_set():
            kind = source.choices([kind for kind, _ in kinds], [weight for _, weight in kinds])[0]
            try:
                kind(source)
            except OSError as error:
                if not self.over.is_set():
                    self.faults.append(f"{kind.__name__}: {error!r}")
            except http.client.HTTPException as error:
                if not self.over.is_set():
                    self.faults.append(f"{kind.__name__}: {error!r}")


def settle(count: Callable[[], int], most: int) -> int:
    """Waits until a count is small enough, for half a minute at most, and returns it."""
    end = time.monotonic() + 30
    while (now := count()) > most and time.monotonic() < end:
        time.sleep(0.2)
    return now


def soak(program: str, seconds: float, connections: int, seed: int, cache: str) -> list[str]:
    """Returns the faults that were found."""
    server = Server(program, cache)
    trouble = Trouble(server, seed)
    threads, files = server.threads(), server.sockets()
    start = time.monotonic()
    until = start + seconds
    trouble.early = start + seconds / 5
    clients = [threading.Thread(target=trouble.run, args=(number, until)) for number in range(connections)]
    for client in clients:
        client.start()
    samples: list[int] = []
    while time.monotonic() < until:
        time.sleep(min(1.0, seconds / 40))
        samples.append(server.memory())
    for client in clients:
        client.join()
    thirds = [samples[len(samples) * part // 3 : len(samples) * (part + 1) // 3] for part in range(3)]
    second, third = statistics.median(thirds[1]), statistics.median(thirds[2])
    faults = trouble.faults
    if third > 1.05 * second + SLACK:
        faults.append(f"memory grew from {second / 1e6:.0f} MB to {third / 1e6:.0f} MB")
    if (left := settle(server.threads, threads)) > threads:
        faults.append(f"{left} threads are left, and there were {threads}")
    if (left := settle(server.sockets, files)) > files:
        faults.append(f"{left} files are open, and there were {files}")
    if trouble.whole(*trouble.requests[0]) != trouble.expected[0]:
        faults.append("the server's first text is another one in the end")

    # The end comes in the midst of requests.
    clients = [threading.Thread(target=trouble.run, args=(number, until + 60)) for number in range(connections)]
    for client in clients:
        client.start()
    time.sleep(1)
    trouble.over.set()
    server.process.send_signal(signal.SIGTERM)
    status = server.process.wait(timeout=60)
    for client in clients:
        client.join()
    if status != 0:
        faults.append(f"the server ended with status {status}")
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(trouble.counts.items()))
    print(f"{seconds:.0f} s: {kinds}; memory {third / 1e6:.0f} MB, {threads} threads")
    return faults


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program", help="the command tercet")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tercet-soak-") as cache:
        faults = soak(arguments.program, arguments.seconds, arguments.connections, arguments.seed, cache)
    for fault in faults[:20]:
        print(fault, file=sys.stderr)
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
