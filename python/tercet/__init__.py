"""Ternary language models (BitNet b1.58) on ordinary CPUs.

>>> from tercet import load_model
>>> model, tokenizer = load_model("fairy-tales")
>>> ids = tokenizer.encode("Once upon a time", return_tensors="np")
>>> print(tokenizer.decode(model.generate(ids, max_new_tokens=20)[0], skip_special_tokens=True))

numpy goes in and out; torch tensors are accepted, and returned to who passed them, without torch being needed otherwise.
"""

from ._tercet import VERSION as __version__
from ._tercet import Generation, Stream
from .bitnet import BitNet
from .model import Model, load_model
from .tokenizer import Tokenizer

__all__ = [
    "BitNet",
    "Generation",
    "Model",
    "Stream",
    "Tokenizer",
    "__version__",
    "load_model",
]
