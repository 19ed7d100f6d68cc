"""Shared fixtures: models and reference outputs."""

from __future__ import annotations

import importlib.util
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tercet

ROOT = Path(__file__).parents[2]
FAIRY_TALES = ROOT / "models" / "fairy-tales"
TINY = ROOT / "tests" / "fixtures" / "bitnet-tiny"

os.environ.pop("TERCET_MODEL", None)


@pytest.fixture(scope="session")
def loaded() -> tuple[tercet.Model, tercet.Tokenizer]:
    return tercet.load_model("fairy-tales", threads=2)


@pytest.fixture(scope="session")
def model(loaded: tuple[tercet.Model, tercet.Tokenizer]) -> tercet.Model:
    return loaded[0]


@pytest.fixture(scope="session")
def tokenizer(loaded: tuple[tercet.Model, tercet.Tokenizer]) -> tercet.Tokenizer:
    return loaded[1]


@pytest.fixture(scope="session")
def torch() -> Any:
    if importlib.util.find_spec("torch") is None:
        pytest.skip("torch is not installed: tests with tensors are skipped")
    return importlib.import_module("torch")


def read_golden(path: Path) -> dict[str, Any]:
    """Returns the tensors of a safetensors file by name. Tensors of other types are left out."""
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    header.pop("__metadata__", None)
    types = {"F32": np.float32, "I64": np.int64, "F16": np.float16, "I32": np.int32}
    tensors = {}
    for name, about in header.items():
        start, end = about["data_offsets"]
        if about["dtype"] in types:
            part = data[8 + size + start : 8 + size + end]
            tensors[name] = np.frombuffer(part, types[about["dtype"]]).reshape(about["shape"])
    return tensors
