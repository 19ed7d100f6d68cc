"""Litespark-Inference's documented examples, with only the import line changed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import tercet
from conftest import FAIRY_TALES
from tercet.machine import LitesparkMode, Mode, tercet_mode

#: The program in the documentation of Litespark-Inference.
DOCUMENTED = """
from litespark_inference import load_model, BitNet

model, tokenizer = load_model("bitnet-2b")                 # mode="neon" (fast) or mode="accelerate" (f32)
input_ids = tokenizer.encode("Hello, world!", return_tensors="pt")
output = model.generate(input_ids, max_new_tokens=100)
print(tokenizer.decode(output[0]))
bn = BitNet.from_pretrained("bitnet-2b"); print(bn.generate("Write a short poem", max_new_tokens=100, chat=True))
"""


def run(program: str, folder: Path) -> str:
    """Runs a program in a folder where ``bitnet-2b`` is fairy-tales. Returns its standard output."""
    (folder / "bitnet-2b").symlink_to(FAIRY_TALES)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("mode", ["", ', mode="neon"', ', mode="accelerate"'])
def test_documented_examples(mode: str, tmp_path: Path, torch: object) -> None:
    program = DOCUMENTED.replace("from litespark_inference", "from tercet")
    program = program.replace('"bitnet-2b")', f'"bitnet-2b"{mode})')
    assert "Hello, world!" in run(program, tmp_path)


@pytest.mark.parametrize("mode", ["", ', mode="neon"', ', mode="accelerate"'])
def test_documented_examples_without_torch(mode: str, tmp_path: Path) -> None:
    program = DOCUMENTED.replace("from litespark_inference", "from tercet").replace('"pt"', '"np"')
    program = program.replace('"bitnet-2b")', f'"bitnet-2b"{mode})')
    printed = run(program, tmp_path)
    assert "Hello, world!" in printed and len(printed.splitlines()) > 1


@pytest.mark.parametrize("names", [("neon", "fast"), ("accelerate", "exact")])
def test_mode_names_of_litespark_are_accepted(names: tuple[LitesparkMode, Mode]) -> None:
    name, mode = names
    text = "Once upon a time there was a king who had a daughter."
    model, _ = tercet.load_model("fairy-tales", mode=name)
    expected, _ = tercet.load_model("fairy-tales", mode=mode)
    assert model.mode == mode
    assert model.perplexity(text) == expected.perplexity(text)
    drop_in = tercet.BitNet.from_pretrained("fairy-tales", mode=name)
    assert drop_in.model.mode == mode


def test_the_native_half_gets_the_names_of_tercet_only() -> None:
    assert [tercet_mode(name) for name in ("neon", "accelerate")] == ["fast", "exact"]
    assert [tercet_mode(name) for name in (None, "fast", "exact", "other")] == [None, "fast", "exact", "other"]
    with pytest.raises(ValueError, match="mode"):
        tercet.load_model("fairy-tales", mode="other")  # type: ignore[arg-type]
