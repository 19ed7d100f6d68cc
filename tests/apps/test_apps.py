"""The plugin for ``llm``, the page by Gradio, and the notebook."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

import tercet

APPS = Path(__file__).parents[2] / "python" / "examples" / "apps"
QUESTION = "Tell me about the sea"


def said(tokens: int) -> str:
    """Returns the model's answer to the question."""
    model, _ = tercet.load_model("fairy-tales")
    return tercet.Chat(model, temperature=0).say(QUESTION, tokens)


def llm(folder: Path, *arguments: str) -> str:
    """Runs the command ``llm``. Returns its output."""
    done = subprocess.run(
        [sys.executable, "-m", "llm", *arguments],
        capture_output=True,
        text=True,
        env=os.environ | {"LLM_USER_PATH": str(folder)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_llm_answers_and_remembers(tmp_path: Path) -> None:
    models = llm(tmp_path, "models")
    assert "tercet/bitnet-2b" in models and "tercet/fairy-tales" in models
    options = ["-m", "tercet/fairy-tales", "-o", "max_tokens", "12", "-o", "temperature", "0"]
    assert llm(tmp_path, *options, QUESTION).strip() == said(12).strip()
    assert llm(tmp_path, *options, "--no-stream", QUESTION).strip() == said(12).strip()
    llm(tmp_path, *options, "-c", "And then?")
    log = json.loads(llm(tmp_path, "logs", "-n", "1", "--json", "--usage"))
    model, tokenizer = tercet.load_model("fairy-tales")
    turns = [
        {"role": "user", "content": QUESTION},
        {"role": "assistant", "content": said(12)},
        {"role": "user", "content": "And then?"},
    ]
    prompt = tokenizer.apply_chat_template(turns, add_generation_prompt=True)
    assert log[0]["input_tokens"] == len(prompt) and log[0]["output_tokens"] == 12
    schema = '{"type": "object", "properties": {"city": {"enum": ["Oslo", "Rome"]}}, "required": ["city"]}'
    answer = json.loads(llm(tmp_path, "-m", "tercet/fairy-tales", "--schema", schema, "Where?"))
    assert answer["city"] in ("Oslo", "Rome")


def test_the_page_of_gradio_answers() -> None:
    from gradio_client import Client

    spec = importlib.util.spec_from_file_location("chat_page", APPS / "chat_page.py")
    assert spec is not None and spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    page = module.page("fairy-tales")
    _, address, _ = page.launch(prevent_thread_lock=True, quiet=True, server_name="127.0.0.1")
    try:
        client = Client(address, verbose=False)
        answers = [client.predict(text, api_name="/answer") for text in (QUESTION, "And then?")]
    finally:
        page.close()
    assert all(isinstance(answer, str) and len(answer) > 20 for answer in answers)


def test_the_notebook_runs_from_top_to_bottom(tmp_path: Path) -> None:
    notebook = nbformat.read(APPS / "tour.ipynb", as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells), "keep it without outputs"
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    printed = "".join(output.get("text", "") for output in outputs)
    assert "times as fast" in printed and "to the last bit" in printed and "roofline" in printed
    assert any("image/svg+xml" in output.get("data", {}) for output in outputs)
    faults = [output["text"] for output in outputs if output.get("name") == "stderr" and "Error" in output["text"]]
    assert not faults
