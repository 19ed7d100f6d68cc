"""Batch inference by Ray on two nodes of this machine, against a single process."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import ray
from ray._private.state import available_resources_per_node
from ray.cluster_utils import Cluster

import tercet
import tercet.ray
from tercet.ray.batch import read_rows, run
from tercet.ray.rows import Rows, id_of

ROWS = 500
OPTIONS: dict[str, Any] = {"temperature": 0.9, "seed": 11}
TOKENS = 16


def rows() -> list[dict[str, Any]]:
    """Returns rows with prompts of many lengths. Some are equal, and some are bad."""
    words = "king queen dragon sea wood fox girl boy ship moon".split()
    made: list[dict[str, Any]] = []
    for i in range(ROWS):
        prompt = " ".join(["Once there was a", *words[: i % 7], words[i % len(words)]])
        made.append({"id": f"r{i}", "prompt": prompt * 200 if i % 97 == 13 else prompt})
    return made


@pytest.fixture(scope="session")
def expected() -> dict[str, Any]:
    """Returns the answer of a single process to each row."""
    model, _ = tercet.load_model("fairy-tales", threads=1)
    given = rows()
    answers = Rows(model, TOKENS, **OPTIONS).answer(given)
    return {row["id"]: vars(answer) for row, answer in zip(given, answers)}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2})
    cluster.add_node(num_cpus=2)
    ray.init(address=cluster.address, log_to_driver=False)
    cluster.wait_for_nodes()
    ray.data.DataContext.get_current().enable_progress_bars = False
    yield cluster
    ray.shutdown()
    cluster.shutdown()


def answers(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns the answer to each row. No row may be answered twice."""
    made = {row["id"]: {name: row[name] for name in tercet.ray.COLUMNS} for row in found}
    assert len(made) == len(found)
    return made


def test_two_nodes_equal_a_single_process(cluster: Cluster, expected: dict[str, Any]) -> None:
    for size in (64, 7):
        dataset = ray.data.from_arrow(pa.Table.from_pylist(rows())).repartition(9)
        found = tercet.ray.generate(dataset, "fairy-tales", TOKENS, batch_size=size, **OPTIONS).take_all()
        assert answers(found) == expected
    errors = [answer["error"] for answer in expected.values() if answer["error"]]
    assert len(errors) == len(range(13, ROWS, 97)) and all("context holds" in error for error in errors)
    texts = [answer["text"] for answer in expected.values() if answer["text"]]
    assert len(set(texts)) > 0.9 * len(texts)


def test_a_run_goes_on_where_it_was(cluster: Cluster, expected: dict[str, Any], tmp_path: Path) -> None:
    some = rows()[:40]
    source = tmp_path / "rows.parquet"
    pq.write_table(pa.Table.from_pylist(some), source)
    lines, folder = tmp_path / "texts.jsonl", tmp_path / "texts"
    first = [{**row, **expected[row["id"]]} for row in some[:9]]
    lines.write_text("".join(json.dumps(row) + "\n" for row in first) + '{"id": "r9", "te')
    before = lines.read_text()[: lines.read_text().rfind("\n") + 1]
    for target in (lines, folder, folder):
        run(source, target, "fairy-tales", TOKENS, **OPTIONS)
    assert lines.read_text().startswith(before)
    wanted = {row["id"]: expected[row["id"]] for row in some}
    assert answers([json.loads(line) for line in lines.read_text().splitlines()]) == wanted
    assert answers(pq.read_table(folder).to_pylist()) == wanted


def test_openai_batches(cluster: Cluster, tmp_path: Path) -> None:
    chat = {"messages": [{"role": "user", "content": "Tell me about the sea"}], "max_tokens": 9, "temperature": 0}
    completion = {"prompt": "Once upon a time", "max_tokens": 5, "seed": 3, "stop": ["."]}
    bodies: list[tuple[str, dict[str, Any]]] = [
        ("/v1/chat/completions", chat),
        ("/v1/completions", completion),
        ("/v1/chat/completions", {**chat, "tools": []}),
        ("/v1/chat/completions", {"messages": []}),
        ("/v1/embeddings", {"input": "a"}),
    ]
    source, target = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    given = [{"custom_id": f"c{i}", "method": "POST", "url": url, "body": body} for i, (url, body) in enumerate(bodies)]
    source.write_text("".join(json.dumps(row) + "\n" for row in given))
    command = [sys.executable, "-m", "tercet.ray", "batch", str(source), str(target), "-m", "fairy-tales"]
    command += ["--cpus", "1", "--address", cluster.address]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "5/5 rows" in done.stderr and "3 errors" in done.stderr
    found = {line["custom_id"]: line["response"] for line in map(json.loads, target.read_text().splitlines())}
    assert [found[f"c{i}"]["status_code"] for i in range(5)] == [200, 200, 400, 400, 400]
    model, tokenizer = tercet.load_model("fairy-tales")
    prompt = tokenizer.apply_chat_template(chat["messages"], add_generation_prompt=True)
    [said] = model.complete([prompt], 9, temperature=0)
    body = found["c0"]["body"]
    assert body["choices"][0]["message"]["content"] == said.text
    assert body["usage"] == {
        "prompt_tokens": len(prompt),
        "completion_tokens": len(said.ids),
        "total_tokens": len(prompt) + len(said.ids),
    }
    [text] = model.complete(["Once upon a time"], 5, seed=3, stop=["."])
    assert found["c1"]["body"]["choices"][0]["text"] == text.text
    assert "tools: " in found["c2"]["body"]["error"]["message"]
    assert "url: " in found["c4"]["body"]["error"]["message"]


def test_a_dataset_goes_on_by_the_checkpoint_of_ray(cluster: Cluster, expected: dict[str, Any], tmp_path: Path) -> None:
    """Ray's own checkpoint names the rows that are written: another run answers the others only."""
    some = rows()[:40]
    source, target, checkpoint = tmp_path / "rows", tmp_path / "texts", tmp_path / "checkpoint"
    source.mkdir()
    for part in range(4):
        pq.write_table(pa.Table.from_pylist(some[part * 10 : part * 10 + 10]), source / f"{part}.parquet")
    checkpoint.mkdir()
    pq.write_table(pa.table({"id": [row["id"] for row in some[:15]]}), checkpoint / "done.parquet")
    context = ray.data.DataContext.get_current()
    context.checkpoint_config = ray.data.checkpoint.CheckpointConfig(
        id_column="id", checkpoint_path=str(checkpoint), delete_checkpoint_on_success=False
    )
    try:
        read = ray.data.read_parquet(str(source))
        tercet.ray.generate(read, "fairy-tales", TOKENS, cpus=1, **OPTIONS).write_parquet(str(target))
    finally:
        context.checkpoint_config = None
    assert answers(pq.read_table(target).to_pylist()) == {row["id"]: expected[row["id"]] for row in some[15:]}
    assert sorted(pq.read_table(checkpoint)["id"].to_pylist()) == sorted(row["id"] for row in some)


def test_a_batch_that_fails_as_a_whole_may_be_left_out(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Failing(tercet.ray.Generate):
        def __call__(self, batch: pa.Table) -> pa.Table:
            if any('"r17"' in line for line in batch["line"].to_pylist()):
                raise MemoryError("no memory for this batch")
            return super().__call__(batch)

    source, target = tmp_path / "rows.jsonl", tmp_path / "texts.jsonl"
    source.write_text("".join(json.dumps({"id": f"r{i}", "prompt": "The sea"}) + "\n" for i in range(20)))
    context = ray.data.DataContext.get_current()
    with monkeypatch.context() as patch:
        patch.setattr(context, "max_errored_blocks", 1)
        patch.setattr(tercet.ray, "Generate", Failing)
        assert run(source, target, "fairy-tales", 4, batch_size=5, actors="1-2", cpus=1) == 5
    assert "5 rows have no answer: run this again" in capsys.readouterr().err
    assert run(source, target, "fairy-tales", 4, batch_size=5, actors="1-2", cpus=1) == 0
    found = [json.loads(line)["id"] for line in target.read_text().splitlines()]
    assert sorted(found) == sorted(f"r{i}" for i in range(20))


def test_bad_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    for text, match in [("{\n", "line 1: "), ("[1]\n", "line 1: it is not"), ('{"id": 1}\n{"id": 1}\n', "the id '1'")]:
        path.write_text(text)
        with pytest.raises(ValueError, match=match):
            list(read_rows(path))
    path.write_text('{"prompt": "a"}\n\n{"prompt": "a"}\n')
    assert [id_of(row) for row in read_rows(path)] == ["row-0", "row-1"]


# The last one: it leaves the cluster with one node.
def test_a_killed_node_loses_no_row_and_repeats_none(
    cluster: Cluster, expected: dict[str, Any], tmp_path: Path
) -> None:
    source, target = tmp_path / "rows.jsonl", tmp_path / "texts.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows()))
    worker = next(node for node in cluster.list_all_nodes() if node != cluster.head_node)
    killed = threading.Event()

    def kill() -> None:
        while not target.exists() or target.read_text().count("\n") < 40:
            time.sleep(0.05)
        if available_resources_per_node()[worker.node_id].get("CPU", 0) < 2:
            cluster.remove_node(worker, allow_graceful=False)
            killed.set()

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    errors = run(source, target, "fairy-tales", TOKENS, batch_size=8, actors=2, cpus=1, **OPTIONS)
    assert killed.is_set() and errors == sum(answer["error"] is not None for answer in expected.values())
    found = [json.loads(line) for line in target.read_text().splitlines()]
    assert answers(found) == expected
