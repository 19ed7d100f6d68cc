"""The native half: all computation. Use it through the classes of the package."""

import os
from collections.abc import Callable, Iterator
from typing import Optional, TypedDict, Union, final, type_check_only

import numpy as np
import numpy.typing as npt

__all__ = [
    "Cpu",
    "Error",
    "Generation",
    "Kernel",
    "Model",
    "Request",
    "Scheduler",
    "Scored",
    "Stream",
    "TernaryLinear",
    "Tokenizer",
    "Tuned",
    "VERSION",
    "command",
    "cpu",
    "model_names",
    "options",
    "tune",
]

VERSION: str

class Error(ValueError):
    """A model's file is damaged, contradicts another file, or is not supported."""

def command(arguments: list[str]) -> int: ...
def cpu() -> Cpu: ...
def model_names() -> list[str]: ...
def options() -> list[tuple[str, list[str], str]]: ...
def tune(
    name: Union[str, os.PathLike[str], None],
    shapes: Optional[list[tuple[int, int]]],
    budget: float,
    options: MachineChoices,
) -> tuple[list[Tuned], Optional[str]]: ...

@final
class Cpu:
    """The CPU of this machine."""

    @property
    def vendor(self) -> str:
        """The name of the manufacturer."""
    @property
    def brand(self) -> str:
        """The name of the CPU, or an empty string."""
    @property
    def features(self) -> list[str]:
        """Features that both the CPU and the operating system enable, as Linux spells them."""
    @property
    def isas(self) -> list[str]:
        """The instruction sets that kernels can use, the best first."""
    @property
    def caches(self) -> list[tuple[int, str, int]]:
        """Level, kind and size in bytes of each cache of a core, the innermost first."""
    @property
    def logical(self) -> int:
        """The number of logical CPUs online."""
    @property
    def threads(self) -> int:
        """The default number of threads of a model."""

@final
class Tuned:
    """The result of tuning for one problem: n × k weights and m tokens."""

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
        """The kernel that is used without tuning."""
    @property
    def winner(self) -> str:
        """The fastest kernel."""
    @property
    def threads(self) -> int:
        """The fastest number of threads."""
    @property
    def task_kib(self) -> int:
        """The fastest size of a task: KiB of weights that a thread takes at a time."""
    @property
    def seconds(self) -> float:
        """The winner's time for one product, in seconds."""
    @property
    def gain(self) -> float:
        """The default's time divided by the winner's time."""

@type_check_only
class MachineChoices(TypedDict):
    """Options for the use of this machine. The environment and the machine stand for None."""

    isa: Optional[str]
    threads: Optional[int]
    packing: Optional[str]
    mode: Optional[str]
    activations: Optional[str]
    head: Optional[str]
    cache_type: Optional[str]

@type_check_only
class KernelChoices(TypedDict):
    """The parts of a kernel. The planner chooses those that are None."""

    isa: Optional[str]
    packing: Optional[str]
    tile: Optional[str]
    unpack: Optional[str]
    prefetch: Optional[int]
    interleave: Optional[int]
    epilogue: str
    tokens: Optional[int]

@final
class Kernel:
    def __new__(cls, choices: KernelChoices) -> Kernel: ...
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
    def sums(
        self, weights: npt.NDArray[np.int8], activations: npt.NDArray[np.int8]
    ) -> Union[npt.NDArray[np.int32], npt.NDArray[np.float32]]: ...
    def time(self, shape: tuple[int, int], m: int, threads: int, budget: float) -> float: ...

@final
class TernaryLinear:
    @staticmethod
    def new(
        trits: npt.NDArray[np.int8], scales: list[float], size: Optional[int], options: MachineChoices
    ) -> TernaryLinear: ...
    @staticmethod
    def round(weights: npt.NDArray[np.float32], options: MachineChoices) -> TernaryLinear: ...
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
    def encode(self, text: str, framed: bool, as_text: bool) -> list[int]: ...
    def decode(self, ids: list[int], skip_special: bool) -> str: ...
    def render(self, input: str) -> str: ...
    def encode_chat(self, input: str, as_text: bool) -> list[int]: ...
    def token(self, id: int) -> Optional[str]: ...
    def id_of(self, token: str) -> Optional[int]: ...

@final
class Model:
    @staticmethod
    def load(
        name: Union[str, os.PathLike[str], None],
        options: MachineChoices,
        context: Optional[int],
        draft_model: Union[str, os.PathLike[str], None],
    ) -> Model: ...
    @staticmethod
    def synthetic(preset: str, options: MachineChoices) -> Model: ...
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
    def request(self, requested: Requested) -> Request: ...
    def scheduler(self, interactive: bool) -> Scheduler: ...
    def stream(self, prompt: list[int], request: Request, seed: int) -> Stream: ...
    def logprobs(self, pairs: list[tuple[list[int], list[int]]]) -> list[Scored]: ...
    def logits(self, ids: list[int], last: Optional[int]) -> npt.NDArray[np.float32]: ...
    def embed(
        self, texts: list[str], prompt_name: Optional[str], dimensions: Optional[int]
    ) -> npt.NDArray[np.float32]: ...
    def perplexity(self, ids: list[int], window: Optional[int]) -> float: ...

@type_check_only
class Requested(TypedDict):
    """What a caller asks for. The model's own defaults stand for None."""

    max_tokens: int
    greedy: bool
    temperature: Optional[float]
    top_k: Optional[int]
    top_p: Optional[float]
    min_p: Optional[float]
    repetition_penalty: Optional[float]
    repetition_window: Optional[int]
    presence_penalty: float
    frequency_penalty: float
    logit_bias: dict[int, float]
    eos: Optional[list[int]]
    stop: list[str]
    stop_id: list[int]
    json_schema: Optional[str]
    json_object: bool
    regex: Optional[str]
    grammar: Optional[str]
    logits_processor: Optional[
        Callable[[npt.NDArray[np.int64], npt.NDArray[np.float32]], Optional[npt.NDArray[np.float32]]]
    ]
    one_by_one: bool

@final
class Request: ...

@final
class Scheduler:
    def submit(self, prompt: list[int], request: Request, seed: int) -> int: ...
    def cancel(self, number: int) -> None: ...
    @property
    def is_idle(self) -> bool: ...
    def round(self) -> list[tuple[int, list[int], str, Union[Generation, Exception, None]]]: ...

@final
class Generation:
    """The result of one generation."""

    @property
    def ids(self) -> list[int]:
        """The generated tokens, including an end token."""
    @property
    def text(self) -> str:
        """The generated text, without special tokens and without the stop string."""
    @property
    def stop(self) -> str:
        """The stop reason: ``eos``, ``length``, ``stop_string``, ``stop_id`` or ``cancelled``."""
    @property
    def prompt_tokens(self) -> int:
        """The number of tokens in the prompt, without those that another text had in common."""
    @property
    def cached_tokens(self) -> int:
        """The number of tokens that another text had in common."""
    @property
    def prefill_s(self) -> float:
        """Seconds from the start to the logits of the first token."""
    @property
    def decode_s(self) -> float:
        """Seconds from there to the end."""
    @property
    def drafted(self) -> int:
        """The number of tokens that were drafted."""
    @property
    def accepted(self) -> int:
        """The number of drafted tokens that were accepted."""

@final
class Scored:
    """The probabilities of a continuation's tokens."""

    @property
    def ids(self) -> list[int]:
        """The tokens."""
    @property
    def logprobs(self) -> list[float]:
        """ln p of each token, after the prompt and the tokens before it."""
    @property
    def best(self) -> list[int]:
        """The token that the model finds most likely in each place."""
    @property
    def total(self) -> float:
        """ln p of the whole continuation."""
    @property
    def is_greedy(self) -> bool:
        """True if every token is the most likely one: greedy decoding would choose the continuation."""

@final
class Stream(Iterator[str]):
    """An iterator over the pieces of text that continue a prompt."""

    def __iter__(self) -> Stream: ...
    def __next__(self) -> str: ...
    @property
    def ids(self) -> list[int]:
        """The tokens generated so far."""
    @property
    def stop(self) -> Optional[str]:
        """The stop reason, or None before the end."""
