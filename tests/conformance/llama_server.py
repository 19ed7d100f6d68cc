#!/usr/bin/env python3
"""Starts `tercet serve` with llama-server's flags, for llama.cpp's own server tests.

`TERCET` names the program, and `FAIRY_TALES` a folder with the model's two forms. Flags about the machine have no
counterpart and are ignored. Defaults of requests are the affair of `plugin.py`.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

MODELS = Path(os.environ["FAIRY_TALES"])

#: Variables that llama-server gives to every template.
VARIABLES = """\
{%- set enable_thinking = enable_thinking | default(THINKING) -%}
{%- set date_string = strftime_now("%d %b %Y") -%}
{%- set datetime = strftime_now("%b %d %Y") -%}
{%- set functions = tools | default([], true) | tojson -%}
"""

#: Origins of this machine, which llama-server calls `localhost`.
LOCAL = [f"http://{host}{port}" for host in ["localhost", "127.0.0.1", "[::1]"] for port in ["", ":3000", ":8080"]]


def flags(arguments: list[str]) -> argparse.Namespace:
    """Returns the flags that have a meaning here."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", default="8080")
    parser.add_argument("--alias", default="fairy-tales")
    parser.add_argument("--api-key")
    parser.add_argument("--chat-template-file", type=Path)
    parser.add_argument("--cors-origins")
    parser.add_argument("--ctx-size", type=int, default=4096)
    parser.add_argument("--parallel", type=int, default=1)
    parser.add_argument("--reasoning", default="auto")
    return parser.parse_known_args(arguments)[0]


def model(folder: Path, alias: str, template: str | None) -> Path:
    """Returns the model called `alias`: a GGUF file, or a directory if it has another template."""
    if template is None:
        path = folder / f"{alias}.gguf"
        path.symlink_to(MODELS / "fairy-tales.gguf")
        return path
    path = folder / alias
    path.mkdir()
    for file in (MODELS / "fairy-tales").iterdir():
        (path / file.name).symlink_to(file)
    (path / "chat_template.jinja").write_text(template, encoding="utf-8")
    return path


def main() -> None:
    wanted = flags(sys.argv[1:])
    template = None
    if wanted.chat_template_file:
        thinking = "false" if wanted.reasoning == "off" else "true"
        template = VARIABLES.replace("THINKING", thinking)
        template += wanted.chat_template_file.read_text(encoding="utf-8")
    folder = Path(tempfile.mkdtemp(dir=MODELS / "served"))
    command = [os.environ["TERCET"], "serve", "-m", model(folder, wanted.alias, template)]
    command += ["--host", wanted.host, "--port", wanted.port, "--parallel", str(wanted.parallel)]
    # Without a common pool, llama-server gives every slot an equal share.
    shares = 1 if "--kv-unified" in sys.argv else wanted.parallel
    command += ["--context", str(wanted.ctx_size // shares), "--drain-time", "0", "--no-tune", "--no-cache"]
    if wanted.api_key:
        command += ["--api-key", wanted.api_key]
    if wanted.cors_origins == "localhost":
        command += [word for origin in LOCAL for word in ("--cors", origin)]
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
