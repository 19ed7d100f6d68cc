"""Differential tests: the same input goes through Tercet and through the package that users compare it with.

Inputs are generated from a fixed seed. `--full` takes ten times as many.
"""

from __future__ import annotations

import functools
import json
import os
import tempfile
from pathlib import Path
from typing import Any, Callable

import pytest

import tercet

ROOT = Path(__file__).parents[2]
TINY = ROOT / "tests" / "fixtures" / "bitnet-tiny"
#: Rows of a generated model's embedding: a tokenizer may not have more tokens.
ROWS = 4096
CACHE = tempfile.TemporaryDirectory(prefix="tercet-differential-")

os.environ.pop("TERCET_MODEL", None)
os.environ["TERCET_CACHE_DIR"] = CACHE.name

#: Makes the folder of a tiny model with these files, each a text or JSON. The model has no tokenizer of its own.
Folder = Callable[..., Path]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--full", action="store_true", help="take ten times as many inputs")


@pytest.fixture(scope="session")
def times(request: pytest.FixtureRequest) -> int:
    """The factor for the number of inputs."""
    return 10 if request.config.getoption("--full") else 1


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    def make(files: dict[str, Any], name: str = "model", **config: Any) -> Path:
        path = tmp_path / name
        path.mkdir()
        config = json.loads((TINY / "config.json").read_text()) | {"vocab_size": ROWS} | config
        for file, content in ({"config.json": config} | files).items():
            text = content if isinstance(content, str) else json.dumps(content)
            (path / file).parent.mkdir(exist_ok=True)
            (path / file).write_text(text, encoding="utf-8")
        (path / "model.safetensors").write_bytes(widened())
        return path

    return make


@functools.cache
def widened() -> bytes:
    """Returns the tiny model's tensors with ROWS rows of the embedding, which are its own rows over and over."""
    data = (TINY / "model.safetensors").read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    header.pop("__metadata__", None)
    tensors, at = b"", 0
    for name, about in header.items():
        tensor = data[start + about["data_offsets"][0] : start + about["data_offsets"][1]]
        rows = about["shape"][0]
        if name == "model.embed_tokens.weight":
            about["shape"][0] = ROWS
            tensor = (tensor * (ROWS // rows + 1))[: len(tensor) // rows * ROWS]
        about["data_offsets"] = [at, at + len(tensor)]
        tensors, at = tensors + tensor, at + len(tensor)
    head = json.dumps(header).encode()
    return len(head).to_bytes(8, "little") + head + tensors


def load(path: Path) -> tuple[tercet.Model, tercet.Tokenizer]:
    """Loads a model with one thread, which is enough for a tiny one."""
    return tercet.load_model(path, threads=1)
