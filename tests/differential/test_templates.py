"""Chat templates against transformers: the same text, or an error where transformers has one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Callable, Optional

import pytest
from conftest import ROOT, TINY, Folder, load

sys.path.insert(0, str(ROOT / "tests" / "templates"))

from cases import CONTEXT, SPECIAL_TOKENS, conversations, render
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
