"""Litespark-Inference's documented examples, with only the import line changed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from conftest import FAIRY_TALES

#: Its documentation's program.
DOCUMENTED = """
from litespark_inference import load_model, BitNet

model, tokenizer = load_model("bitnet-2b")                 # mode="neon" (fast) or mode="accelerate" (f32)
input_ids = tokenizer.encode("Hello, world!", return_tensors="pt")
output = model.generate(input_ids, max_new_tokens=100)
print(tokenizer.decode(output[0]))
bn = BitNet.from_pretrained("bitnet-2b"); print(bn.generate("Write a short poem", max_new_tokens=100, chat=True))
"""


def run(program: str, folder: Path) -> str:
    """What the program prints where fairy-tales is what bitnet-2b names, and there is no network."""
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
    said = run(program, tmp_path)
    assert "Hello, world!" in said and len(said.splitlines()) > 1
