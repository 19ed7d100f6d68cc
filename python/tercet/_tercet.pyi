"""The native half: what computes. Use it through the package's classes."""

import os
from collections.abc import Callable, Iterator
from typing import Any, Optional, Union, final

import numpy as np
import numpy.typing as npt

VERSION: str

def command(arguments: list[str]) -> int: ...

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
