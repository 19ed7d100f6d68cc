"""Ternary language models (BitNet b1.58) on ordinary CPUs.

>>> from tercet import load_model
>>> model, tokenizer = load_model("fairy-tales")
>>> ids = tokenizer.encode("Once upon a time", return_tensors="np")
>>> print(tokenizer.decode(model.generate(ids, max_new_tokens=20)[0], skip_special_tokens=True))

Arrays are numpy arrays. torch is optional: ``generate`` accepts a torch tensor, and then returns one.
"""

from ._tercet import VERSION as __version__
from ._tercet import Cpu, Error, Generation, Scored, Stream, Tuned
from .bitnet import BitNet
from .chat import Chat
from .kernel import Kernel
from .layer import TernaryLinear
from .machine import cpu, tune
from .model import Model, load_model
from .options import Options
from .tokenizer import Tokenizer

__all__ = [
    "BitNet",
    "Chat",
    "Cpu",
    "Error",
    "Generation",
    "Kernel",
    "Model",
    "Options",
    "Scored",
    "Stream",
    "TernaryLinear",
    "Tokenizer",
    "Tuned",
    "__version__",
    "cpu",
    "load_model",
    "tune",
]
