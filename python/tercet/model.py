"""A loaded model."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from typing import Any, Literal, Optional, Union

import numpy as np
import numpy.typing as npt

from . import _tercet
from .ids import Ids, one, read
from .machine import machine_options
from .tokenizer import Tokenizer

#: Text in, and whether to go on out; none goes on.
Callback = Callable[[str], Optional[bool]]


def load_model(
    name: Union[str, os.PathLike[str], None] = None,
    *,
    isa: Optional[str] = None,
    threads: Optional[int] = None,
    packing: Optional[Literal["2bit", "1.6bit"]] = None,
    mode: Optional[Literal["fast", "exact", "neon", "accelerate"]] = None,
    activations: Optional[Literal["int8", "f32"]] = None,
    head: Optional[Literal["exact", "bf16", "int8"]] = None,
    cache_type: Optional[Literal["f16", "f32"]] = None,
) -> tuple[Model, Tokenizer]:
    """Loads a model and its tokenizer.

    name is the directory of a model in the Hugging Face format, a GGUF file, a short name that ``tercet models`` lists, such
    as ``bitnet-2b``, or ``hf:OWNER/REPO``; what is not on this machine is downloaded. Without a name it is ``TERCET_MODEL``,
    or else ``fairy-tales``, a small model that is part of the package. The other arguments are the options of the same names of
    the ``tercet`` command, which explains them; by default the best of this machine is used. ``mode="exact"`` computes in
    floats as transformers does, slowly, to judge the fast mode by; ``activations="f32"`` leaves its activations unrounded.
    """
    options = machine_options(
        isa=isa,
        threads=threads,
        packing=packing,
        mode=mode,
        activations=activations,
        head=head,
        cache_type=cache_type,
    )
    model = Model(_tercet.Model.load(name, options))
    return model, model.tokenizer


class Model:
    """A model that is ready to run. May be used by several threads at once."""

    def __init__(self, native: _tercet.Model) -> None:
        self._native = native
        self.tokenizer = Tokenizer(native.tokenizer)
        for warning in native.warnings:
            warnings.warn(warning, RuntimeWarning, stacklevel=3)

    @property
    def name(self) -> str:
        """The model's name."""
        return self._native.name

    @property
    def isa(self) -> str:
        """The instruction set that its kernels were assembled for."""
        return self._native.isa

    @property
    def mode(self) -> str:
        """In which arithmetic it computes: ``fast`` or ``exact``."""
        return self._native.mode

    @property
    def threads(self) -> int:
        """Threads that share a token's work."""
        return self._native.threads

    @property
    def vocab_size(self) -> int:
        """Rows of the embedding: one more than the largest token."""
        return self._native.vocab_size

    @property
    def context_length(self) -> int:
        """The most tokens that a sequence may have."""
        return self._native.context_length

    def memory_use(self) -> dict[str, int]:
        """Bytes in memory: ternary matrices, embedding, head, the head's quantized copy, keys and values of a position."""
        parts = ("ternary", "embedding", "head", "screen", "cache_per_token")
        return dict(zip(parts, self._native.memory_use()))

    def generate(
        self,
        input_ids: Ids,
        max_new_tokens: int = 100,
        *,
        temperature: Optional[float] = None,
        top_k: Optional[int] = None,
        top_p: Optional[float] = None,
        min_p: Optional[float] = None,
        repetition_penalty: Optional[float] = None,
        do_sample: Optional[bool] = None,
        seed: int = 0,
        stop: Union[str, Sequence[str], None] = None,
        eos_token_id: Union[int, Sequence[int], None] = None,
        streamer: Any = None,
        callback: Optional[Callback] = None,
    ) -> Any:
        """The tokens of the prompt and of its continuation, in the form that the prompt came in.

        input_ids is one prompt or several, which share every read of the weights. Rows of arrays and tensors are filled up with
        the end token where others are longer. Sampling follows the model's ``generation_config.json`` unless an argument says otherwise;
        ``do_sample=False`` or ``temperature=0`` takes the best token always. The same model, prompt and seed give the
        same tokens on every machine.

        ``stop`` ends the text before any of these strings; ``eos_token_id`` replaces the model's end tokens, and ``[]``
        knows none. A ``streamer`` has ``put(ids)`` and ``end()`` as in transformers; a ``callback`` is told each new piece
        of text and ends the generation by returning False. Both need a single prompt. Ctrl-C interrupts.
        """
        prompts, like = read(input_ids)
        generations = self.complete(
            prompts,
            max_new_tokens,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            min_p=min_p,
            repetition_penalty=repetition_penalty,
            do_sample=do_sample,
            seed=seed,
            stop=stop,
            eos_token_id=eos_token_id,
            streamer=streamer,
            callback=callback,
        )
        pad = self.tokenizer.eos_token_id or 0
        return like([prompt + made.ids for prompt, made in zip(prompts, generations)], pad)

    def complete(
        self,
        prompts: Sequence[Union[str, Sequence[int]]],
        max_new_tokens: int = 100,
        *,
        streamer: Any = None,
        callback: Optional[Callback] = None,
        **options: Any,
    ) -> list[_tercet.Generation]:
        """Continues several prompts, texts or ids, as :meth:`generate` does: text, tokens, why each ended, and times."""
        if isinstance(prompts, str):
            raise TypeError("prompts must be a list of prompts, not one string")
        ids = [self._prompt(prompt) for prompt in prompts]
        on_token = _on_token(ids, streamer, callback)
        generations = self._native.generate(ids, _requested(max_new_tokens, **options), on_token)
        if streamer is not None:
            streamer.end()
        return generations

    def stream(self, prompt: Union[str, Ids], max_new_tokens: int = 100, **options: Any) -> _tercet.Stream:
        """An iterator over the pieces of text that continue a prompt, as they become certain.

        Takes the sampling arguments of :meth:`generate`, ``stop`` and ``eos_token_id``.
        """
        return self._native.stream(self._prompt(prompt), _requested(max_new_tokens, **options))

    def logits(self, ids: Ids) -> npt.NDArray[np.float32]:
        """The logits of every position of one sequence, positions × vocabulary."""
        return self._native.logits(one(ids))

    def perplexity(self, text: Union[str, Ids], window: Optional[int] = None) -> float:
        """How badly the model predicts a text, as ``tercet perplexity`` measures it: cut into windows of 511 tokens, or what the
        context allows, each after the start token; the exponential of the mean of -ln p.
        """
        ids = self.tokenizer.encode(text, add_special_tokens=False) if isinstance(text, str) else one(text)
        return self._native.perplexity(ids, window)

    def _prompt(self, prompt: Any) -> list[int]:
        return self.tokenizer.encode(prompt) if isinstance(prompt, str) else one(prompt)

    def __repr__(self) -> str:
        return f"Model({self.name!r}, {self.mode}, {self.isa}, threads={self.threads})"


def _requested(
    max_new_tokens: int,
    temperature: Optional[float] = None,
    top_k: Optional[int] = None,
    top_p: Optional[float] = None,
    min_p: Optional[float] = None,
    repetition_penalty: Optional[float] = None,
    do_sample: Optional[bool] = None,
    seed: int = 0,
    stop: Union[str, Sequence[str], None] = None,
    eos_token_id: Union[int, Sequence[int], None] = None,
) -> dict[str, Any]:
    """The arguments as the native half takes them."""
    for what, value in (("max_new_tokens", max_new_tokens), ("top_k", top_k), ("seed", seed)):
        if value is not None and value < 0:
            raise ValueError(f"{what}: {value} is out of range; use 0 or more")
    if do_sample and temperature is None:
        temperature = 1.0
    eos = [eos_token_id] if isinstance(eos_token_id, int) else eos_token_id
    return {
        "max_tokens": max_new_tokens,
        "greedy": do_sample is False,
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "min_p": min_p,
        "repetition_penalty": repetition_penalty,
        "seed": seed,
        "eos": None if eos is None else list(eos),
        "stop": [stop] if isinstance(stop, str) else list(stop or ()),
    }


def _on_token(
    prompts: list[list[int]], streamer: Any, callback: Optional[Callback]
) -> Optional[Callable[[int, Optional[int], str], Optional[bool]]]:
    """What the native half is to call for each token, if anything."""
    if streamer is None and callback is None:
        return None
    if len(prompts) > 1:
        raise ValueError("a streamer or callback needs a single prompt")
    if streamer is not None:
        streamer.put(np.array(prompts, dtype=np.int64))

    def on_token(index: int, id: Optional[int], text: str) -> Optional[bool]:
        if streamer is not None and id is not None:
            streamer.put(np.array([id], dtype=np.int64))
        return callback(text) if callback is not None and text else None

    return on_token
