"""lm-evaluation-harness with Tercet against the same model in transformers, on tasks from local files."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

os.environ["HF_DATASETS_OFFLINE"] = "1"
# transformers compiles its unpacking of weights, which takes minutes and changes nothing.
os.environ["TORCHDYNAMO_DISABLE"] = "1"

import lm_eval
import torch
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from lm_eval.models.openai_completions import LocalCompletionsAPI
from lm_eval.tasks import TaskManager
from lm_eval.utils import make_table
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer

from tercet.lm_eval import TercetLM

FAIRY_TALES = Path(__file__).parents[2] / "models" / "fairy-tales"
SENTENCES = 48


def sentences() -> list[str]:
    """Returns sentences of the held-out text that two halves can be made of."""
    text = (FAIRY_TALES / "valid.txt").read_text(encoding="utf-8").replace("\n", " ")
    return [part.strip() for part in text.split(". ") if 12 <= len(part.split()) <= 40][:SENTENCES]


def rows() -> dict[str, list[dict[str, Any]]]:
    """Returns the rows of each task."""
    halves = [(words[: len(words) // 2], words[len(words) // 2 :]) for words in map(str.split, sentences())]
    ends = [" ".join(end) for _, end in halves]
    text = (FAIRY_TALES / "valid.txt").read_text(encoding="utf-8")
    return {
        "endings": [
            {"context": " ".join(start), "choices": [ends[(i + j * 7) % len(ends)] for j in range(4)], "gold": 0}
            for i, (start, _) in enumerate(halves)
        ],
        # The last one exceeds the context.
        "rolling": [{"text": part} for part in [text[:300], text[900:2000], text[3000:6500]]],
        "stories": [{"context": f"Once there was a {who}", "target": "."} for who in ("king", "girl", "fox", "ship")],
    }


def tasks(folder: Path) -> list[dict[str, Any]]:
    """Writes the rows below ``folder``, and returns the tasks' descriptions."""
    described = {
        "endings": {
            "output_type": "multiple_choice",
            "doc_to_text": "{{context}}",
            "doc_to_target": "gold",
            "doc_to_choice": "{{choices}}",
            "metric_list": [{"metric": "acc"}, {"metric": "acc_norm"}],
        },
        "rolling": {
            "output_type": "loglikelihood_rolling",
            "doc_to_text": "",
            "doc_to_target": "{{text}}",
            "metric_list": [{"metric": "word_perplexity"}, {"metric": "bits_per_byte"}],
        },
        "stories": {
            "output_type": "generate_until",
            "doc_to_text": "{{context}}",
            "doc_to_target": "{{target}}",
            "generation_kwargs": {"until": [".", "!"], "max_gen_toks": 24, "do_sample": False},
            "metric_list": [{"metric": "exact_match"}],
        },
    }
    for name, lines in rows().items():
        path = folder / f"{name}.jsonl"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        described[name] |= {
            "task": name,
            "dataset_path": "json",
            "dataset_kwargs": {"data_files": {"test": str(path)}, "cache_dir": str(folder / "cache")},
            "test_split": "test",
        }
    return list(described.values())


def evaluated(model: Any, folder: Path) -> dict[str, Any]:
    found = lm_eval.simple_evaluate(
        model=model, tasks=tasks(folder), task_manager=TaskManager(), log_samples=True, bootstrap_iters=0
    )
    assert found is not None
    return dict(found)


def answers(found: dict[str, Any], task: str) -> list[Any]:
    """Returns the model's answers to each request of a task."""
    samples = sorted(found["samples"][task], key=lambda sample: sample["doc_id"])
    return [answer for sample in samples for answer in sample["filtered_resps"]]


def rolling(found: dict[str, Any]) -> dict[str, float]:
    """Returns the figures of whole texts."""
    return {name: value for name, value in found["results"]["rolling"].items() if isinstance(value, float)}


def table(found: dict[str, Any]) -> str:
    """Returns the harness's table of all other tasks."""
    return make_table({**found, "results": {k: v for k, v in found["results"].items() if k != "rolling"}})


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    model = AutoModelForCausalLM.from_pretrained(FAIRY_TALES, dtype=torch.float32, attn_implementation="eager")
    nn.Module.float(model)
    tokenizer = AutoTokenizer.from_pretrained(FAIRY_TALES)
    return evaluated(HFLM(pretrained=model, tokenizer=tokenizer, batch_size=64), tmp_path_factory.mktemp("hf"))


def test_the_exact_mode_prints_the_same_table(reference: dict[str, Any], tmp_path: Path) -> None:
    found = evaluated(TercetLM("fairy-tales", mode="exact", cache_type="f32"), tmp_path)
    # Sums in another order round a few activations to the next whole number, which shows in sums over long texts.
    assert rolling(found)["bits_per_byte,none"] == pytest.approx(rolling(reference)["bits_per_byte,none"], rel=5e-4)
    assert table(found) == table(reference)
    for expected, answer in zip(answers(reference, "endings"), answers(found, "endings")):
        assert answer[0] == pytest.approx(expected[0], rel=0.01)
        assert answer[1] == expected[1]
    assert answers(found, "stories") == answers(reference, "stories")
    assert len(answers(found, "endings")) == 4 * SENTENCES and len(answers(found, "stories")) == 4


def test_the_fast_mode_stays_within_its_error(reference: dict[str, Any], tmp_path: Path) -> None:
    found = evaluated(TercetLM("fairy-tales", cache_type="f32"), tmp_path)
    assert rolling(found)["bits_per_byte,none"] == pytest.approx(rolling(reference)["bits_per_byte,none"], rel=0.005)
    same = [a[1] == b[1] for a, b in zip(answers(reference, "endings"), answers(found, "endings"))]
    assert sum(same) >= 0.99 * len(same)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Starts a server on a free port and returns its address."""
    command = [sys.executable, "-m", "tercet", "serve", "--port", "0", "-m", "fairy-tales", "--log", "off"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        found = next(filter(None, (re.search(r"http://[\w.:]+", line) for line in process.stderr)))
        yield found[0]
        process.terminate()


def test_local_completions_answer_as_the_model_itself(server: str, tmp_path: Path) -> None:
    """The server's probabilities of prompts, and its texts."""
    completions = LocalCompletionsAPI(
        base_url=f"{server}/v1/completions",
        model="fairy-tales",
        tokenizer=str(FAIRY_TALES),
        tokenizer_backend="huggingface",
        add_bos_token=True,
        max_length=512,
        batch_size=8,
    )
    (tmp_path / "server").mkdir()
    found = evaluated(completions, tmp_path / "server")
    # The harness leaves room for a token that it generates, and for one more before whole texts.
    expected = evaluated(TercetLM("fairy-tales", max_length=510), tmp_path)
    assert table(found) == table(expected)
    assert answers(found, "stories") == answers(expected, "stories")
    for task in ("endings", "rolling"):
        assert len(answers(found, task)) == len(answers(expected, task)) > 0
    for answer, wanted in zip(answers(found, "endings"), answers(expected, "endings")):
        assert answer[0] == pytest.approx(wanted[0], abs=1e-9) and answer[1] == wanted[1]
    assert rolling(found) == pytest.approx(rolling(expected), rel=1e-9)


def test_contexts_and_texts_may_be_empty_or_too_long() -> None:
    model = TercetLM("fairy-tales", max_length=64)

    def request(kind: str, *arguments: Any) -> Instance:
        return Instance(request_type=kind, doc={}, arguments=arguments, idx=0)

    long = "Once upon a time there was a girl. " * 20
    [empty, cut] = model.loglikelihood([request("loglikelihood", "", "Once"), request("loglikelihood", long, " She")])
    assert empty[0] < 0 and cut[0] < 0
    kwargs = {"until": ["."], "max_gen_toks": 16}
    texts = model.generate_until([request("generate_until", text, kwargs) for text in (long, "The sea")])
    assert len(texts) == 2 and not any("." in text for text in texts)
    assert "Hi" in model.apply_chat_template([{"role": "user", "content": "Hi"}])


def test_the_command_knows_the_model(tmp_path: Path) -> None:
    lines = tasks(tmp_path)[0]
    (tmp_path / "endings.yaml").write_text(json.dumps(lines))
    command = [sys.executable, "-m", "tercet.lm_eval", "run", "--model", "tercet", "--model_args", "model=fairy-tales"]
    command += ["--tasks", "endings", "--include_path", str(tmp_path), "--limit", "4"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "|endings|" in done.stdout
