"""Checks the output of `tercet convert` with transformers and the gguf package: check.py TERCET

The package knows neither I2_S nor Q2_0. Tercet converts such files back, and transformers runs the result.
"""

import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import torch
from gguf import GGUFReader
from gguf.quants import dequantize
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.integrations.bitnet import unpack_weights

ROOT = pathlib.Path(__file__).parent.parent.parent
TINY = ROOT / "tests" / "fixtures" / "bitnet-tiny"
GROUPED = ROOT / "tests" / "fixtures" / "gguf" / "grouped"
NAMES = {
    "q_proj": "attn_q", "k_proj": "attn_k", "v_proj": "attn_v", "o_proj": "attn_output",
    "gate_proj": "ffn_gate", "up_proj": "ffn_up", "down_proj": "ffn_down",
}
TEXT = "The king said: it's 12345 “gold” coins."


def matrices(folder):
    """Yields the unpacked weights of a checkpoint, with their names in GGUF."""
    tensors = load_file(folder / "model.safetensors")
    for name, packed in tensors.items():
        if packed.dtype == torch.uint8:
            scale = tensors[f"{name}_scale"].float()
            layer, part = name.split(".")[2], name.split(".")[4]
            weights = unpack_weights(packed, torch.float32) * scale
            yield f"blk.{layer}.{NAMES[part]}.weight", weights.numpy()


def logits(folder, dtype=torch.bfloat16):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)
    with torch.no_grad():
        return model(torch.arange(0, 64).reshape(1, 64)).logits


def main(tercet):
    def convert(model, output, *arguments):
        subprocess.run([tercet, "convert", "-m", model, "-o", output, *arguments], check=True)
        return output

    expected, tokens = logits(TINY), AutoTokenizer.from_pretrained(TINY)(TEXT).input_ids
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        packed = convert(TINY, folder / "packed")
        assert torch.equal(logits(packed), expected)
        print("safetensors: the same logits in transformers")
        for kind in ["tq1_0", "tq2_0"]:
            gguf = convert(TINY, folder / f"{kind}.gguf", "--type", kind)
            tensors = {tensor.name: tensor for tensor in GGUFReader(gguf).tensors}
            compared = 0
            for name, weights in matrices(TINY):
                tensor = tensors[name]
                assert tensor.tensor_type.name == kind.upper(), tensor.tensor_type
                assert np.array_equal(dequantize(tensor.data, tensor.tensor_type), weights), name
                compared += 1
            assert compared == 14, compared
            print(f"{kind}: {compared} equal matrices in the gguf package")
        for kind in ["i2_s", "tq1_0", "tq2_0"]:
            gguf = convert(TINY, folder / f"again-{kind}.gguf", "--type", kind)
            again = convert(gguf, folder / f"from-{kind}")
            assert torch.equal(logits(again), expected), kind
            assert AutoTokenizer.from_pretrained(again)(TEXT).input_ids == tokens, kind
            print(f"{kind} and back: the same logits and tokens in transformers")
        expected = logits(GROUPED, torch.float32)
        q2_0 = convert(GROUPED, folder / "q2_0.gguf", "--type", "q2_0")
        for source, output in [(GROUPED, "floats"), (q2_0, "from-q2_0")]:
            assert torch.equal(logits(convert(source, folder / output), torch.float32), expected), output
        print("scales for groups: the same logits in transformers, also after q2_0 and back")


main(*sys.argv[1:])
