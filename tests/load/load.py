#!/usr/bin/env python3
"""Measures servers under load, and prints a table.

Requests arrive at random times, as in a Poisson process, and a number of them run at once. Prompts have 32 to 2,000 tokens,
and a share of them has a common beginning. All servers get the same requests, in turns. With `--llama`, llama.cpp's server
runs beside Tercet. It comes with the Python package xllamacpp.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import math
import multiprocessing
import os
import random
import re
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, Iterator

WORDS = "the fox wolf sea went calm old king girl forest gold ran said house and then night a bird river told small"

#: Share of prompts with a common beginning, and its length in words.
SHARED, PREFIX = 0.5, 200


@dataclass
class Sample:
    """What some requests took, in seconds."""

    first: list[float] = field(default_factory=list)
    between: list[float] = field(default_factory=list)
    tokens: int = 0
    cached: int = 0
    read: int = 0
    time: float = 0.0


def ask(base: str, route: str, body: Any = None) -> Any:
    """Returns the answer of a server."""
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(base + route, data) as answer:
        return json.load(answer)


def wait_for(base: str) -> None:
    """Waits until a server has loaded its model."""
    while True:
        try:
            ask(base, "/health")
            return
        except urllib.error.HTTPError as error:
            if error.code != 503:
                raise
        time.sleep(0.2)


def prompts(base: str, count: int, generated: int, longest: int, source: random.Random) -> list[str]:
    """Returns prompts of 32 to `longest` tokens, as far as the context of the server allows."""
    words = WORDS.split()
    tokens = len(ask(base, "/tokenize", {"content": " ".join(words)})["tokens"]) / len(words)
    context = ask(base, "/props")["default_generation_settings"]["n_ctx"]
    # Tokens of a word differ, and prompts must fit.
    longest = min(longest, int(0.8 * context) - generated)
    prefix = [source.choice(words) for _ in range(min(PREFIX, int(longest / tokens / 2)))]

    def prompt() -> str:
        length = round(math.exp(source.uniform(math.log(32), math.log(longest))) / tokens)
        begin = prefix if source.random() < SHARED and length > len(prefix) else []
        return " ".join(begin + [source.choice(words) for _ in range(max(length - len(begin), 8))])

    return [prompt() for _ in range(count)]


async def stream(base: str, body: dict[str, Any], sample: Sample) -> None:
    """Asks for a completion, and notes when its tokens come."""
    host, port = re.fullmatch(r"http://([^:/]+):(\d+)", base).groups()  # type: ignore[union-attr]
    reader, writer = await asyncio.open_connection(host, int(port))
    data = json.dumps(body).encode()
    head = f"POST /v1/completions HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n"
    writer.write(f"{head}Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data)
    latest = time.perf_counter()
    is_first = True
    while line := await reader.readline():
        if line.startswith(b"HTTP/1.1 ") and b" 200 " not in line:
            raise SystemExit(f"{base} answers {line.decode().strip()}: {(await reader.read()).decode()}")
        if not line.startswith(b"data: {"):
            continue
        chunk = json.loads(line[6:])
        if usage := chunk.get("usage"):
            cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
            sample.tokens += usage["completion_tokens"]
            sample.cached += cached
            sample.read += usage["prompt_tokens"] - cached
        if chunk["choices"] and chunk["choices"][0]["text"]:
            now = time.perf_counter()
            (sample.first if is_first else sample.between).append(now - latest)
            latest, is_first = now, False
    writer.close()


async def run(base: str, texts: list[str], generated: int, at_once: int, rate: float, seed: int) -> Sample:
    """Sends the requests at random times, and returns what they took."""
    sample, room, source = Sample(), asyncio.Semaphore(at_once), random.Random(seed)

    async def one(text: str, delay: float) -> None:
        await asyncio.sleep(delay)
        async with room:
            body = {"prompt": text, "max_tokens": generated, "temperature": 0, "ignore_eos": True, "stream": True}
            await stream(base, body | {"stream_options": {"include_usage": True}}, sample)

    arrivals, arrival = [], 0.0
    for text in texts:
        arrival += source.expovariate(rate * at_once)
        arrivals.append(one(text, arrival))
    start = time.perf_counter()
    await asyncio.gather(*arrivals)
    sample.time = time.perf_counter() - start
    return sample


@contextlib.contextmanager
def tercet(program: str, model: str | None, parallel: int, threads: int, context: int) -> Iterator[str]:
    """Starts `tercet serve`."""
    arguments = ["serve", "--port", "0", "--parallel", str(parallel), "--queue", "1000"]
    arguments += ["--threads", str(threads), "--context", str(context)]
    arguments += ["-m", model] if model else []
    process = subprocess.Popen([program, *arguments], stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    for line in process.stderr:
        if address := re.search(r"http://[\w.]+:\d+", line):
            threading.Thread(target=process.stderr.read, daemon=True).start()
            break
    else:
        raise SystemExit("tercet does not start")
    try:
        wait_for(address[0])
        yield address[0]
    finally:
        process.terminate()
        process.wait()


def serve_llama(address: Any, model: str, parallel: int, threads: int, context: int) -> None:
    """Runs llama.cpp's server, and sends its address."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = model
    params.n_parallel, params.n_ctx, params.verbosity, params.port = parallel, parallel * context, 0, 0
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    server = xllamacpp.Server(params)
    address.send(server.listening_address)
    threading.Event().wait()


@contextlib.contextmanager
def llama(*arguments: Any) -> Iterator[str]:
    """Starts llama.cpp's server, in a process of its own."""
    processes = multiprocessing.get_context("spawn")
    address, sender = processes.Pipe(duplex=False)
    process = processes.Process(target=serve_llama, args=(sender, *arguments))
    process.start()
    # A process that fails closes the other end.
    sender.close()
    try:
        yield address.recv()
    finally:
        process.kill()
        process.join()


def at(values: list[float], share: float) -> str:
    """Returns the value below which this share of values lies, in milliseconds."""
    ordered = sorted(values)
    return f"{1e3 * ordered[min(int(share * len(ordered)), len(ordered) - 1)]:.1f}" if ordered else "-"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--tercet", metavar="PROGRAM", help="the command to measure")
    parser.add_argument("--model", help="model of both servers; by default the embedded one")
    parser.add_argument("--llama", metavar="GGUF", help="also measure llama.cpp's server, with this file")
    parser.add_argument("--url", action="append", default=[], metavar="NAME=URL", help="also measure a server that runs")
    parser.add_argument("--at-once", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--requests", type=int, default=32, help="requests of a turn")
    parser.add_argument("--tokens", type=int, default=64, help="tokens to generate for each")
    parser.add_argument("--longest", type=int, default=2000, help="tokens of the longest prompt")
    parser.add_argument("--rate", type=float, default=2.0, help="requests a second, for each that may run at once")
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--context", type=int, default=4096)
    parser.add_argument("--seed", type=int, default=0)
    wanted = parser.parse_args()
    shape = (max(wanted.at_once), wanted.threads, wanted.context)
    samples: dict[tuple[str, int], list[Sample]] = defaultdict(list)
    with contextlib.ExitStack() as stack:
        servers = dict(url.split("=", 1) for url in wanted.url)
        if wanted.tercet:
            servers["tercet"] = stack.enter_context(tercet(wanted.tercet, wanted.model, *shape))
        if wanted.llama:
            servers["llama.cpp"] = stack.enter_context(llama(wanted.llama, *shape))
        source, base = random.Random(wanted.seed), next(iter(servers.values()))
        for turn in range(wanted.turns):
            for at_once in wanted.at_once:
                texts = prompts(base, wanted.requests, wanted.tokens, wanted.longest, source)
                for name, address in servers.items():
                    work = run(address, texts, wanted.tokens, at_once, wanted.rate, wanted.seed + turn)
                    samples[name, at_once].append(asyncio.run(work))
    print("| server | at once | tokens/s | to the first token, ms: p50 | p95 | p99 | between tokens, ms: p50 | p95 | p99 | cached |")
    print("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
    for (name, at_once), turns in samples.items():
        first = [value for sample in turns for value in sample.first]
        between = [value for sample in turns for value in sample.between]
        speed = sum(sample.tokens for sample in turns) / sum(sample.time for sample in turns)
        cached = sum(sample.cached for sample in turns)
        share = cached / max(cached + sum(sample.read for sample in turns), 1)
        cells = [name, str(at_once), f"{speed:.0f}"]
        cells += [at(values, part) for values in (first, between) for part in (0.5, 0.95, 0.99)]
        print("| " + " | ".join([*cells, f"{share:.0%}"]) + " |")


if __name__ == "__main__":
    main()
