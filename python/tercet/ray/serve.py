"""The routes of ``tercet serve`` on replicas, by Ray Serve.

>>> from ray import serve
>>> import tercet.ray.serve
>>> serve.run(tercet.ray.serve.application("bitnet-2b", replicas="1-4"))

Each replica runs ``tercet serve`` on a port that only its machine reaches. Requests with the same beginning
go to the same replica, which has its keys and values already, as long as that replica has room.

Needs the extra ``ray``, ``pip install tercet[ray]``, and a POSIX system.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional, Union

import aiohttp
from ray import serve
from ray.exceptions import RayActorError
from ray.serve.config import AutoscalingConfig, RequestRouterConfig
from ray.serve.handle import DeploymentHandle
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from yarl import URL

from . import pool_of, smallest_node

#: Characters of a prompt that decide its replica.
BEGINNING = 256
#: Replicas that a request is sent to, one after the other, if they die before they answer.
ATTEMPTS = 3
#: Headers that belong to a connection, and not to what it carries.
OF_CONNECTIONS = {"connection", "host", "keep-alive", "transfer-encoding", "upgrade"}

#: Runs a server until standard input ends, as it does with the process that started this one.
KEEPER = '"$@" & server=$!; exec 2>&-; read -r _; kill $server; wait $server'

Headers = list[tuple[str, str]]


@dataclass(frozen=True)
class Asked:
    """A request as it came."""

    method: str
    #: The path and the query, encoded.
    target: str
    headers: Headers
    body: bytes


@dataclass(frozen=True)
class Head:
    """The beginning of an answer."""

    status: int
    headers: Headers


class Server:
    """``tercet serve`` on a free port of this machine, with these arguments.

    It ends with this process. Once it is ready, this process ends with it, too: Ray then starts another replica,
    and sends the requests to others.
    """

    def __init__(self, arguments: Sequence[str]) -> None:
        command = [sys.executable, "-m", "tercet", "serve", "--host", "127.0.0.1", "--port", "0", *arguments]
        self._process = subprocess.Popen(
            ["sh", "-c", KEEPER, "sh", *command], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self._ended, self._is_needed = threading.Event(), False
        said = []
        assert self._process.stderr is not None
        for line in self._process.stderr:
            said.append(line)
            if address := re.search(r"http://127\.0\.0\.1:\d+", line):
                self.address = address[0]
                break
        else:
            self.stop()
            raise RuntimeError(f"tercet serve did not start: {''.join(said).strip()}")
        threading.Thread(target=self._pass_on, daemon=True).start()
        while not self._is_ready():
            if self._ended.is_set():
                self.stop()
                raise RuntimeError("tercet serve ended while it loaded the model: its log has the reason")
            time.sleep(0.1)
        self._is_needed = True

    def _pass_on(self) -> None:
        """Writes the server's log to this process's, to its end."""
        assert self._process.stderr is not None
        for line in self._process.stderr:
            sys.stderr.write(line)
        self._ended.set()
        if self._is_needed:
            os._exit(1)

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.address}/ready", timeout=10):
                return True
        except urllib.error.URLError:
            return False

    def stop(self) -> None:
        """Ends the server, once its requests are done."""
        self._is_needed = False
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


class Replica:
    """A server, and the way to it."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self._server = Server(arguments)
        self._client: Optional[aiohttp.ClientSession] = None

    def _connected(self) -> aiohttp.ClientSession:
        """Returns the client, which belongs to the event loop."""
        if self._client is None:
            self._client = aiohttp.ClientSession(
                auto_decompress=False,
                connector=aiohttp.TCPConnector(limit=0),
                timeout=aiohttp.ClientTimeout(total=None),
            )
        return self._client

    async def answer(self, asked: Asked) -> AsyncIterator[Union[Head, bytes]]:
        """Yields the beginning of the server's answer, and then its body as it comes."""
        url = URL(self._server.address + asked.target, encoded=True)
        request = self._connected().request(
            asked.method, url, headers=asked.headers, data=asked.body, allow_redirects=False
        )
        async with request as answer:
            yield Head(answer.status, kept(answer.headers.items()))
            async for part in answer.content.iter_any():
                yield part

    async def check_health(self) -> None:
        """Raises if the server does not live. Ray then starts another replica."""
        async with self._connected().get(f"{self._server.address}/health") as answer:
            answer.raise_for_status()

    def __del__(self) -> None:
        if hasattr(self, "_server"):
            self._server.stop()


class Routes:
    """Sends every request to a replica, and its answer back."""

    def __init__(self, replicas: DeploymentHandle) -> None:
        self._replicas = replicas

    async def __call__(self, request: Request) -> Response:
        """Answers a request, as it grows."""
        body = await request.body()
        query = f"?{request.url.query}" if request.url.query else ""
        asked = Asked(request.method, request.url.path + query, kept(request.headers.items()), body)
        to_replica = self._replicas.options(stream=True, session_id=beginning(body)).answer
        for _ in range(ATTEMPTS):
            answer = to_replica.remote(asked)
            try:
                head = await answer.__anext__()
                # An answer of known length is sent once it is all there.
                is_whole = any(name.lower() == "content-length" for name, _ in head.headers)
                whole = b"".join([part async for part in answer]) if is_whole else None
            except RayActorError:
                # Nothing was sent to the client yet: another replica answers in its place.
                continue
            response = StreamingResponse(parts(answer), head.status) if whole is None else Response(whole, head.status)
            response.raw_headers = [(name.lower().encode(), value.encode()) for name, value in head.headers]
            return response
        fault = {"message": "the replicas are gone: try again", "type": "server_error", "code": None}
        return JSONResponse({"error": fault}, 503, {"Retry-After": "1"})


async def parts(answer: Any) -> AsyncIterator[bytes]:
    """Yields an answer's body. A client that hangs up cancels the answer."""
    try:
        async for part in answer:
            yield part
    finally:
        answer.cancel()


def kept(headers: Iterable[tuple[str, str]]) -> Headers:
    """Returns the headers that belong to a request or answer."""
    return [(name, value) for name, value in headers if name.lower() not in OF_CONNECTIONS]


def beginning(body: bytes) -> str:
    """Returns what decides the replica of a request: the first characters of its prompt.

    They end with the user's first message, so that all turns of a chat have one replica. A request without a
    prompt has none, and goes to any replica.
    """
    try:
        fields = json.loads(body)
    except ValueError:
        return ""
    if not isinstance(fields, Mapping):
        return ""
    prompt = next((fields[name] for name in ("messages", "prompt", "input") if fields.get(name)), "")
    if isinstance(prompt, list):
        users = [at for at, part in enumerate(prompt) if isinstance(part, Mapping) and part.get("role") == "user"]
        prompt = json.dumps(prompt[: users[0] + 1] if users else prompt)
    return str(prompt)[:BEGINNING]


def application(
    model: Union[str, os.PathLike[str], None] = None,
    *,
    replicas: Union[int, str] = 1,
    cpus: Optional[int] = None,
    ongoing: int = 8,
    arguments: Sequence[str] = (),
) -> serve.Application:
    """Returns the application, for ``serve.run``.

    ``replicas`` are their number, or the least and the most, such as ``"1-4"``: Ray adds replicas once half of
    ``ongoing`` requests wait at each. A replica takes ``ongoing`` requests at a time. ``cpus`` are its CPUs and
    threads; the default is all of the smallest node. ``arguments`` are those of ``tercet serve``.
    """
    least, most = pool_of(replicas)
    each = cpus or smallest_node()
    named = [] if model is None else ["--model", os.fspath(model)]
    router = "ray.serve.experimental.consistent_hash_router.ConsistentHashRouter"
    replica = serve.deployment(
        Replica,
        ray_actor_options={"num_cpus": each},
        max_ongoing_requests=ongoing,
        autoscaling_config=AutoscalingConfig(
            min_replicas=least, max_replicas=most, target_ongoing_requests=max(1, ongoing / 2)
        ),
        request_router_config=RequestRouterConfig(
            request_router_class=router, request_router_kwargs={"num_fallback_replicas": most - 1}
        ),
        graceful_shutdown_timeout_s=60,
    )
    routes = serve.deployment(
        Routes, ray_actor_options={"num_cpus": 0}, max_ongoing_requests=10_000, graceful_shutdown_timeout_s=60
    )
    threads = [] if "--threads" in arguments else ["--threads", str(each)]
    return routes.bind(replica.bind([*named, *threads, *arguments]))


def build(arguments: dict[str, Any]) -> serve.Application:
    """Returns the application for Ray's command and files, whose arguments are :func:`application`'s.

    ``serve run tercet.ray.serve:build model=bitnet-2b replicas=1-4``
    """
    # Ray's command passes texts.
    numbers: dict[str, Any] = {name: int(arguments[name]) for name in ("cpus", "ongoing") if name in arguments}
    return application(**(arguments | numbers))
