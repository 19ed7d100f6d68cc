"""A file of rows in, a file of answers out, on all nodes of a cluster."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Optional, Union, cast

import pyarrow as pa
import pyarrow.parquet as pq
import ray

from . import COLUMNS, generate
from .rows import Answer, id_of, response

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ..options import Sampling

#: The column that carries a row's JSON through Ray, whose tables need one type for a column.
LINE = "line"


def read_rows(path: Path) -> Iterator[dict[str, object]]:
    """Yields the rows of a Parquet file, of a folder of Parquet files, or of a file with JSON lines.

    A row without ``custom_id`` and ``id`` gets the number of its line as ``id``.
    """
    numbered = enumerate(_parquet(path) if path.is_dir() or path.suffix == ".parquet" else _lines(path))
    seen: set[str] = set()
    for number, row in numbered:
        if row.get("custom_id") is None and row.get("id") is None:
            row["id"] = f"row-{number}"
        name = id_of(row)
        if name in seen:
            raise ValueError(f"{path}: two rows have the id {name!r}; give each its own")
        seen.add(name)
        yield row


def _parquet(path: Path) -> Iterator[dict[str, object]]:
    for file in sorted(path.glob("*.parquet")) if path.is_dir() else [path]:
        for batch in pq.ParquetFile(file).iter_batches():
            yield from batch.to_pylist()


def _lines(path: Path) -> Iterator[dict[str, object]]:
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                yield _object(path, number, line)


def _object(path: Path, number: int, line: str) -> dict[str, object]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise ValueError(f"{path}, line {number}: {error}") from error
    if not isinstance(row, dict):
        raise ValueError(f"{path}, line {number}: it is not a JSON object")
    return row


class LinesOut:
    """Answers as JSON lines, appended as they come. In OpenAI's batch format if the row was."""

    def __init__(self, path: Path, model: str) -> None:
        self._path, self._model = path, model
        self._file: Optional[IO[str]] = None

    def done(self) -> set[str]:
        """Returns the ids of the rows that have their answers. A line that is cut is removed."""
        if not self._path.exists():
            return set()
        text = self._path.read_bytes()
        whole = text[: text.rfind(b"\n") + 1]
        if len(whole) < len(text):
            self._path.write_bytes(whole)
        return {id_of(json.loads(line)) for line in whole.splitlines() if line.strip()}

    def write(self, answers: Iterable[tuple[dict[str, object], Answer]]) -> None:
        """Appends answers."""
        if self._file is None:
            self._file = self._path.open("a", encoding="utf-8")
        for row, answer in answers:
            openai = row.get("body") is not None
            line = response(row, answer, self._model, int(time.time())) if openai else {**row, **vars(answer)}
            self._file.write(json.dumps(line, ensure_ascii=False, default=str) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Closes the file."""
        if self._file is not None:
            self._file.close()


class ParquetOut:
    """Answers as a folder of Parquet files, one for each batch."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def done(self) -> set[str]:
        """Returns the ids of the rows that have their answers."""
        return {id_of(row) for row in _parquet(self._path)} if self._path.exists() else set()

    def write(self, answers: Iterable[tuple[dict[str, object], Answer]]) -> None:
        """Writes a file, which appears whole or not at all."""
        pairs = list(answers)
        if not pairs:
            return
        self._path.mkdir(parents=True, exist_ok=True)
        table = pa.Table.from_pylist([row for row, _ in pairs])
        for name, kind in COLUMNS.items():
            table = table.append_column(name, pa.array([getattr(answer, name) for _, answer in pairs], kind))
        parts = len(list(self._path.glob("part-*.parquet")))
        unfinished = self._path / f".part-{parts:05}"
        pq.write_table(table, unfinished)
        unfinished.rename(self._path / f"part-{parts:05}.parquet")

    def close(self) -> None:
        """Does nothing: every file is whole."""


class Progress:
    """Tells how far a run is, on standard error."""

    INTERVAL = 2.0

    def __init__(self, rows: int, done: int) -> None:
        self._all, self._before, self._rows = rows, done, 0
        self._tokens = self._errors = 0
        self._start = self._told = time.monotonic()

    def add(self, answers: list[Answer]) -> None:
        """Takes note of answers."""
        self._rows += len(answers)
        self._tokens += sum(answer.completion_tokens or 0 for answer in answers)
        self._errors += sum(answer.error is not None for answer in answers)
        if time.monotonic() - self._told >= self.INTERVAL:
            self._told = time.monotonic()
            self.tell()

    def missing(self) -> int:
        """Returns the number of rows that have no answer."""
        return self._all - self._before - self._rows

    def tell(self) -> None:
        """Prints a line."""
        seconds = max(time.monotonic() - self._start, 1e-9)
        rate, done = self._rows / seconds, self._before + self._rows
        left = "" if done == self._all or not rate else f", {(self._all - done) / rate:.0f} s left"
        errors = f", {self._errors} errors" if self._errors else ""
        speed = f"{rate:.2f} rows/s, {self._tokens / seconds:.1f} tokens/s"
        print(f"{done}/{self._all} rows, {speed}{errors}{left}", file=sys.stderr)


def run(
    source: Union[str, os.PathLike[str]],
    target: Union[str, os.PathLike[str]],
    model: Union[str, os.PathLike[str], None] = None,
    max_new_tokens: Optional[int] = None,
    *,
    batch_size: int = 128,
    seed: int = 0,
    actors: Union[int, str, None] = None,
    cpus: Optional[int] = None,
    **options: Unpack[Sampling],
) -> int:
    """Answers the rows of ``source`` that have no answer in ``target`` yet.

    Returns the number of errors among them, rows without an answer included. Those are there if Ray's
    ``max_errored_blocks`` allows a batch to fail.
    """
    source, target = Path(source), Path(target)
    name = "fairy-tales" if model is None else os.fspath(model)
    lines = target.suffix in (".jsonl", ".json", ".ndjson")
    out: Union[LinesOut, ParquetOut] = LinesOut(target, name) if lines else ParquetOut(target)
    done = out.done()
    rows = list(read_rows(source))
    left = [row for row in rows if id_of(row) not in done]
    progress, errors = Progress(len(rows), len(rows) - len(left)), 0
    if left:
        table = pa.table({LINE: [json.dumps(row, default=str) for row in left]})
        parts = [table.slice(at, batch_size) for at in range(0, len(left), batch_size)]
        answered = generate(
            ray.data.from_arrow(parts),
            model,
            max_new_tokens,
            seed=seed,
            actors=actors,
            cpus=cpus,
            batch_size=batch_size,
            json_column=LINE,
            **options,
        )
        for batch in answered.iter_batches(batch_format="pyarrow", batch_size=None):
            pairs = [_pair(row) for row in batch.to_pylist()]
            out.write(pairs)
            progress.add([answer for _, answer in pairs])
            errors += sum(answer.error is not None for _, answer in pairs)
    out.close()
    progress.tell()
    if missing := progress.missing():
        print(f"{missing} rows have no answer: run this again", file=sys.stderr)
    return errors + missing


def _pair(row: Mapping[str, object]) -> tuple[dict[str, object], Answer]:
    """Returns a row as it was read, and its answer."""
    read: dict[str, object] = json.loads(cast(str, row[LINE]))
    return read, Answer(**{name: row[name] for name in COLUMNS})  # type: ignore[arg-type]
