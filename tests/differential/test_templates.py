"""Chat templates against transformers: the same text, or an error where transformers has one."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from typing import Any, Callable, Optional

import pytest
from conftest import ROOT, TINY, Folder, load
from transformers import PreTrainedTokenizerFast

sys.path.insert(0, str(ROOT / "tests" / "templates"))

from cases import CONTEXT, SPECIAL_TOKENS, TOOLS, conversations, render
from constructs import CONSTRUCTS
from families import TEMPLATES
from generated import generated
from snippets import snippets

Render = Callable[[str, dict[str, Any]], Optional[str]]


@pytest.fixture
def ours(folder: Folder) -> Render:
    """Returns a function that renders a template of a model's folder. Errors are None."""
    path: Path = folder({
        "tokenizer.json": (TINY / "tokenizer.json").read_text(encoding="utf-8"),
        "tokenizer_config.json": SPECIAL_TOKENS,
    })
    _, tokenizer = load(path)

    def render(template: str, context: dict[str, Any]) -> Optional[str]:
        # A tokenizer reads the template when it is used.
        (path / "chat_template.jinja").write_bytes(template.encode())
        try:
            text = tokenizer.apply_chat_template(
                context["messages"],
                context["tools"],
                context["documents"],
                add_generation_prompt=context["add_generation_prompt"],
                tokenize=False,
                **context["chat_template_kwargs"],
            )
        except ValueError:
            return None
        assert isinstance(text, str)
        return text

    return render


def outcome(tokenizer: Any, **arguments: Any) -> Optional[str]:
    """Returns the prompt for a question, or None if there is no template for it."""
    try:
        text = tokenizer.apply_chat_template([{"role": "user", "content": "Hi"}], tokenize=False, **arguments)
    except ValueError:
        return None
    assert isinstance(text, str)
    return text


def test_one_of_several_templates(folder: Folder) -> None:
    texts = {"default": "{{ messages[0].content }}", "tool_use": "{{ tools|length }} tools", "rag": "rag"}
    extra = "additional_chat_templates"
    variants: list[dict[str, Any]] = [{"tokenizer_config.json": {"chat_template": texts["default"]}}]
    for count in (1, 2, 3):
        for names in itertools.combinations(texts, count):
            listed = [{"name": name, "template": texts[name]} for name in names]
            variants.append({"tokenizer_config.json": {"chat_template": listed}})
            files = {f"{extra}/{name}.jinja": texts[name] for name in names if name != "default"}
            files |= {"chat_template.jinja": texts["default"]} if "default" in names else {}
            variants.append({"tokenizer_config.json": {"chat_template": "config"}} | files)
    source = (TINY / "tokenizer.json").read_text(encoding="utf-8")
    for number, files in enumerate(variants):
        path = folder({"tokenizer.json": source} | files, f"model{number}")
        _, ours = load(path)
        theirs = PreTrainedTokenizerFast.from_pretrained(path)
        for tools in (None, [], TOOLS):
            assert outcome(ours, tools=tools) == outcome(theirs, tools=tools), (files, tools)


def test_snippets(ours: Render) -> None:
    for template in snippets():
        assert ours(template, CONTEXT) == render(template, CONTEXT).get("text"), template


def test_families(ours: Render) -> None:
    for template in TEMPLATES + CONSTRUCTS:
        for context in conversations():
            assert ours(template, context) == render(template, context).get("text"), template


def test_generated_templates(ours: Render, times: int) -> None:
    for template in generated(18, 1500 * times):
        theirs = render(template, CONTEXT).get("text")
        # What Python refuses, such as a generator as JSON, may have a text here.
        if theirs is not None and " object at 0x" not in theirs:
            assert ours(template, CONTEXT) == theirs, template
