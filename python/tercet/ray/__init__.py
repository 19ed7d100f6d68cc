"""Batch inference on several machines, by Ray.

>>> import ray, tercet.ray
>>> rows = ray.data.read_parquet("prompts/")                      # columns: id, and prompt or messages
>>> tercet.ray.generate(rows, "bitnet-2b", 200, temperature=0.7).write_parquet("texts/")

Every row comes out with ``text``, ``ids``, ``finish_reason``, ``prompt_tokens``, ``completion_tokens``
and ``error``. A bad row has an error, and harms no other one. A row's text depends on the row, the
options and the seed only: not on the nodes, the partition or retries.

Needs the extra ``ray``: ``pip install tercet[ray]``.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Optional, Union

import pyarrow as pa
import ray
from ray.data import ActorPoolStrategy, Dataset

from ..model import load_model
from .rows import Answer, Rows

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ..machine import MachineOptions
    from ..options import Sampling

#: The columns that each row gets.
COLUMNS = {
    "text": pa.string(),
    "ids": pa.list_(pa.int64()),
    "finish_reason": pa.string(),
    "prompt_tokens": pa.int64(),
    "completion_tokens": pa.int64(),
    "error": pa.string(),
}


def nodes() -> list[int]:
    """Returns the CPUs of each node."""
    resources = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return [int(each["CPU"]) for each in resources if each.get("CPU")]


def smallest_node() -> int:
    """Returns the CPUs of the smallest node."""
    return min(nodes(), default=1)


def pool_of(size: Union[int, str]) -> tuple[int, int]:
    """Returns the least and the most of a pool: ``4`` is always four, ``"1-4"`` grows with the work."""
    least, dash, most = str(size).partition("-")
    try:
        sizes = int(least), int(most if dash else least)
    except ValueError:
        sizes = 0, 0
    if not 1 <= sizes[0] <= sizes[1]:
        raise ValueError(f"the size of a pool: {size!r} is neither a number nor LEAST-MOST, such as 1-4")
    return sizes


class Generate:
    """A model for ``Dataset.map_batches``, with ``batch_format="pyarrow"``. It is loaded once for each actor.

    A batch runs in one scheduler, so that its rows share every read of the weights. ``machine`` are
    options of :func:`tercet.load_model`, the others those of :meth:`tercet.Model.generate`. ``json_column``
    names a column that holds each row as JSON, for rows that differ in their fields.
    """

    def __init__(
        self,
        model: Union[str, os.PathLike[str], None] = None,
        max_new_tokens: Optional[int] = None,
        *,
        seed: int = 0,
        machine: Optional[MachineOptions] = None,
        json_column: Optional[str] = None,
        **options: Unpack[Sampling],
    ) -> None:
        self._json_column = json_column
        loaded, _ = load_model(model, **(machine or {}))
        self._rows = Rows(loaded, max_new_tokens, seed=seed, **options)

    def __call__(self, batch: pa.Table) -> pa.Table:
        """Returns the rows with their answers."""
        rows = batch.to_pylist()
        if self._json_column is not None:
            rows = [json.loads(row[self._json_column]) for row in rows]
        return with_answers(batch, self._rows.answer(rows))


def with_answers(batch: pa.Table, answers: list[Answer]) -> pa.Table:
    """Appends a column for each part of the answers. Columns of the same names are replaced."""
    for name, kind in COLUMNS.items():
        if name in batch.column_names:
            batch = batch.drop_columns([name])
        batch = batch.append_column(name, pa.array([getattr(answer, name) for answer in answers], kind))
    return batch


def generate(
    rows: Dataset,
    model: Union[str, os.PathLike[str], None] = None,
    max_new_tokens: Optional[int] = None,
    *,
    seed: int = 0,
    actors: Union[int, str, None] = None,
    cpus: Optional[int] = None,
    batch_size: int = 128,
    machine: Optional[MachineOptions] = None,
    json_column: Optional[str] = None,
    **options: Unpack[Sampling],
) -> Dataset:
    """Answers every row of a dataset.

    ``actors`` is their number, or the least and the most of a pool that grows with the work, such as
    ``"1-4"``. The default is one for each node. ``cpus`` are an actor's CPUs, and its threads unless ``machine`` says
    otherwise. The default is all of the smallest node; Ray then keeps one of them for tasks such as reading.
    """
    each = cpus or smallest_node()
    reserved = cpus or (each - 1 if each > 1 else 0.5)
    least, most = pool_of(actors or max(1, len(nodes())))
    known: MachineOptions = {"threads": each, **(machine or {})}
    return rows.map_batches(
        Generate,
        fn_constructor_args=(model, max_new_tokens),
        fn_constructor_kwargs={"seed": seed, "machine": known, "json_column": json_column, **options},
        batch_format="pyarrow",
        batch_size=batch_size,
        num_cpus=reserved,
        compute=ActorPoolStrategy(min_size=least, max_size=most),
    )
