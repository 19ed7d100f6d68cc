"""The native half: what computes. Use it through the package's classes."""

import os
from collections.abc import Callable, Iterator
from typing import Any, Optional, Union, final

import numpy as np
import numpy.typing as npt

__all__ = [
    "Cpu",
    "Generation",
    "Kernel",
    "Model",
    "Stream",
    "TernaryLinear",
    "Tokenizer",
    "Tuned",
    "VERSION",
    "command",
    "cpu",
    "tune",
]

VERSION: str

def command(arguments: list[str]) -> int: ...
def cpu() -> Cpu: ...
def tune(
    name: Union[str, os.PathLike[str], None],
    shapes: Optional[list[tuple[int, int]]],
    budget: float,
    options: dict[str, Any],
) -> tuple[list[Tuned], Optional[str]]: ...

@final
class Cpu:
    """What is known of this machine's CPU."""

    @property
    def vendor(self) -> str:
        """Who made it."""
    @property
    def brand(self) -> str:
        """Its name; empty where it has none."""
    @property
    def features(self) -> list[str]:
        """What CPU and operating system both enable, as Linux spells it."""
    @property
    def isas(self) -> list[str]:
        """The instruction sets that kernels can be assembled for, the best first."""
    @property
    def caches(self) -> list[tuple[int, str, int]]:
        """Level, kind and bytes of each cache that a core sees, innermost first."""
    @property
    def logical(self) -> int:
        """Logical CPUs online."""
    @property
    def threads(self) -> int:
        """Threads that a model uses unless told otherwise."""

@final
class Tuned:
    """What a race among the kernels for one problem found."""

    @property
    def n(self) -> int:
        """Output features."""
    @property
    def k(self) -> int:
        """Input features."""
    @property
    def m(self) -> int:
        """Tokens."""
    @property
    def default(self) -> str:
        """The kernel by rule."""
    @property
    def winner(self) -> str:
        """The fastest."""
    @property
    def threads(self) -> int:
        """Threads that share its work best."""
    @property
    def task_kib(self) -> int:
        """KiB of weights that one of them takes at a time."""
    @property
    def seconds(self) -> float:
        """Its time for one product."""
    @property
    def gain(self) -> float:
        """How many times faster than the default it is."""

@final
class Kernel:
    def __new__(cls, choices: dict[str, Any]) -> Kernel: ...
    @property
    def name(self) -> str: ...
    @property
    def parts(self) -> list[str]: ...
    @property
    def runs_here(self) -> bool: ...
    @property
    def code(self) -> Optional[bytes]: ...
    def disassemble(self) -> str: ...
    def loop_mix(self) -> dict[str, int]: ...
    def sums(self, weights: npt.NDArray[np.int8], activations: npt.NDArray[np.int8]) -> npt.NDArray[Any]: ...
    def time(self, shape: tuple[int, int], m: int, threads: int, budget: float) -> float: ...

@final
class TernaryLinear:
    @staticmethod
    def new(
        trits: npt.NDArray[np.int8], scales: list[float], size: Optional[int], options: dict[str, Any]
    ) -> TernaryLinear: ...
    @staticmethod
    def round(weights: npt.NDArray[np.float32], options: dict[str, Any]) -> TernaryLinear: ...
    @property
    def shape(self) -> tuple[int, int]: ...
    @property
    def nbytes(self) -> int: ...
    @property
    def isa(self) -> str: ...
    def forward(self, x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]: ...

@final
class Tokenizer:
    @property
    def bos_token_id(self) -> Optional[int]: ...
    @property
    def eos_token_ids(self) -> list[int]: ...
    @property
    def vocab_size(self) -> int: ...
    def encode(self, text: str, add_bos: bool) -> list[int]: ...
    def decode(self, ids: list[int], skip_special: bool) -> str: ...
    def render(self, messages: list[tuple[str, str]], add_generation_prompt: bool) -> str: ...
    def token(self, id: int) -> Optional[str]: ...
    def id_of(self, token: str) -> Optional[int]: ...

@final
class Model:
    @staticmethod
    def load(name: Union[str, os.PathLike[str], None], options: dict[str, Any]) -> Model: ...
    @staticmethod
    def synthetic(preset: str, options: dict[str, Any]) -> Model: ...
    @property
    def tokenizer(self) -> Tokenizer: ...
    @property
    def name(self) -> str: ...
    @property
    def isa(self) -> str: ...
    @property
    def mode(self) -> str: ...
    @property
    def threads(self) -> int: ...
    @property
    def warnings(self) -> list[str]: ...
    @property
    def vocab_size(self) -> int: ...
    @property
    def context_length(self) -> int: ...
    def memory_use(self) -> list[int]: ...
    def generate(
        self,
        prompts: list[list[int]],
        request: dict[str, Any],
        on_token: Optional[Callable[[int, Optional[int], str], Optional[bool]]],
    ) -> list[Generation]: ...
    def stream(self, prompt: list[int], request: dict[str, Any]) -> Stream: ...
    def logits(self, ids: list[int]) -> npt.NDArray[np.float32]: ...
    def perplexity(self, ids: list[int], window: Optional[int]) -> float: ...

@final
class Generation:
    """What was generated."""

    @property
    def ids(self) -> list[int]:
        """The tokens, an end token included."""
    @property
    def text(self) -> str:
        """Their text, without special tokens and without the stop string."""
    @property
    def stop(self) -> str:
        """Why it ended: ``eos``, ``length``, ``stop_string`` or ``cancelled``."""
    @property
    def prompt_tokens(self) -> int:
        """Tokens of the prompt."""
    @property
    def prefill_s(self) -> float:
        """Seconds until the first token's logits."""
    @property
    def decode_s(self) -> float:
        """Seconds from there to the end."""

@final
class Stream(Iterator[str]):
    """Texts that continue a prompt, as they become certain."""

    def __iter__(self) -> Stream: ...
    def __next__(self) -> str: ...
    @property
    def ids(self) -> list[int]:
        """The tokens generated so far."""
    @property
    def stop(self) -> Optional[str]:
        """Why the text ended, once it has."""
