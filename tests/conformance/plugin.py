"""Fits llama.cpp's server tests to Tercet: a plugin of pytest.

The tests that count are those of `tests.tsv`. One with a reason beside it is refused on purpose, and must fail.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

import pytest

LIST = Path(__file__).with_name("tests.tsv")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keeps the tests of the list, and marks those that are refused."""
    lines = LIST.read_text(encoding="utf-8").splitlines()
    listed = dict(line.partition("\t")[::2] for line in lines if not line.startswith("#"))
    found = {item.nodeid: item for item in items}
    if absent := listed.keys() - found.keys():
        raise pytest.UsageError(f"{LIST.name} names tests that do not exist: {sorted(absent)}")
    for name, reason in listed.items():
        if reason:
            found[name].add_marker(pytest.mark.xfail(reason=reason, strict=True))
    items[:] = [item for item in items if item.nodeid in listed]
    adapt()


def adapt() -> None:
    """Lets requests bring what llama-server's flags set for all of them."""
    import utils  # It is llama.cpp's.

    # It would download the models.
    utils.ServerPreset.load_all = staticmethod(lambda: None)
    for name in ["make_request", "make_stream_request"]:
        setattr(utils.ServerProcess, name, with_defaults(getattr(utils.ServerProcess, name)))


def with_defaults(request: Callable[..., Any]) -> Callable[..., Any]:
    """Returns `request` with the defaults that its server was started with."""

    def wrapped(server: Any, method: str, path: str, data: Any = None, *rest: Any, **named: Any) -> Any:
        if isinstance(data, dict):
            data = {"seed": server.seed, "temperature": server.temperature} | data
            if server.debug:
                data["verbose"] = True
            # llama-server answers for whatever model it is asked.
            data.pop("model", None)
        answer = request(server, method, path, data, *rest, **named)
        if hasattr(answer, "headers"):
            # The tests look for names in llama-server's case, which has no meaning.
            answer.headers = {name.title(): value for name, value in answer.headers.items()}
        return answer

    return wrapped
