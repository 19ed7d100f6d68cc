"""Writes `tests/fixtures/templates.json`: templates, and what transformers makes of them in the first contexts.

    pip install -r tests/differential/requirements.txt
    python tests/templates/golden.py
"""

from __future__ import annotations

import json
from pathlib import Path

from cases import CONTEXT, conversations, render
from constructs import CONSTRUCTS
from families import TEMPLATES
from snippets import snippets

FIXTURE = Path(__file__).parents[1] / "fixtures" / "templates.json"


def main() -> None:
    contexts = [CONTEXT, *conversations()]
    cases = [{"template": template, "results": [render(template, CONTEXT)]} for template in snippets()]
    for template in TEMPLATES + CONSTRUCTS:
        cases.append({"template": template, "results": [render(template, context) for context in contexts]})
    lines = [json.dumps(case, ensure_ascii=False) for case in cases]
    text = json.dumps({"contexts": contexts}, ensure_ascii=False)[:-1]
    FIXTURE.write_text(text + ',\n"cases": [\n' + ",\n".join(lines) + "\n]}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
