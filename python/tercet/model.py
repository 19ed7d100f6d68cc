"""A loaded model."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Optional, Union

import numpy as np
import numpy.typing as npt

from . import _tercet
from .ids import Ids, one, read
from .machine import LitesparkMode, Mode, machine_options, tercet_mode
from .tokenizer import Tokenizer

#: Takes a piece of text. Returns False to end the generation; None goes on.
Callback = Callable[[str], Optional[bool]]


def load_model(
    name: Union[str, os.PathLike[str], None] = None,
    *,
    isa: Optional[str] = None,
    threads: Optional[int] = None,
    packing: Optional[Literal["2bit", "1.6bit"]] = None,
    mode: Union[Mode, LitesparkMode, None] = None,
    activations: Optional[Literal["int8", "f32"]] = None,
    head: Optional[Literal["exact", "bf16", "int8"]] = None,
    cache_type: Optional[Literal["f16", "f32"]] = None,
) -> tuple[Model, Tokenizer]:
    """Loads a model and its tokenizer.

    ``name`` is one of these:

    - a directory with a model in the Hugging Face format, or a GGUF file;
    - a short name that ``tercet models`` lists, such as ``bitnet-2b``;
    - ``hf:OWNER/REPO``, a repository on the Hugging Face hub.

    A model that is not on this machine is downloaded. Without a name, the environment variable
    ``TERCET_MODEL`` names the model. The default is ``fairy-tales``, a small model inside the package.

    The other arguments are options of the ``tercet`` command; ``tercet generate --help`` explains
    them. The defaults are the best choices for this machine.

    ``mode="fast"`` is the default. ``mode="exact"`` computes in floats, as transformers does. It is
    slow, and serves to judge the fast mode; ``activations="f32"`` leaves its activations unrounded.
    The mode names of Litespark-Inference are accepted too: ``neon`` is ``fast``, and ``accelerate``
    is ``exact``.
    """
    options = machine_options(
        isa=isa,
        threads=threads,
        packing=packing,
        mode=tercet_mode(mode),
        activations=activations,
        head=head,
        cache_type=cache_type,
    )
    model = Model(_tercet.Model.load(name, options))
    return model, model.tokenizer


class Model:
    """A loaded model. Several threads may use it at the same time."""

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
        """The instruction set of its kernels."""
        return self._native.isa

    @property
    def mode(self) -> str:
        """The mode of computing: ``fast`` (integers) or ``exact`` (floats)."""
        return self._native.mode

    @property
    def threads(self) -> int:
        """The number of threads that compute each token."""
        return self._native.threads

    @property
    def vocab_size(self) -> int:
        """The number of rows of the embedding: the largest token id plus one."""
        return self._native.vocab_size

    @property
    def context_length(self) -> int:
        """The maximum number of tokens in a sequence."""
        return self._native.context_length

    def memory_use(self) -> dict[str, int]:
        """Returns the sizes of the model's parts in bytes.

        ``ternary``: the packed matrices. ``embedding`` and ``head``: the tables. ``screen``: the
        quantized copy of the head. ``cache_per_token``: keys and values of one position.
        """
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
        repetition_window: Optional[int] = None,
        presence_penalty: float = 0.0,
        frequency_penalty: float = 0.0,
        logit_bias: Optional[Mapping[int, float]] = None,
        do_sample: Optional[bool] = None,
        seed: int = 0,
        stop: Union[str, Sequence[str], None] = None,
        stop_id: Union[int, Sequence[int], None] = None,
        json_schema: Union[str, Mapping[str, Any], None] = None,
        json_object: bool = False,
        regex: Optional[str] = None,
        grammar: Optional[str] = None,
        eos_token_id: Union[int, Sequence[int], None] = None,
        streamer: Any = None,
        callback: Optional[Callback] = None,
    ) -> Any:
        """Returns the tokens of the prompt and of its continuation, in the form of ``input_ids``.

        ``input_ids`` is one prompt or several prompts. Several prompts share every read of the
        weights. Shorter rows of arrays and tensors are padded with the end token.

        Sampling follows the model's ``generation_config.json``; the arguments override it.
        ``do_sample=False`` or ``temperature=0`` always takes the most likely token. The same model,
        prompt and seed give the same tokens on every machine.

        ``presence_penalty`` and ``frequency_penalty`` are taken from the logits of generated tokens,
        once or for each time. ``logit_bias`` maps tokens to numbers that are added to their logits.

        ``stop`` ends the text before any of these strings, which may spell special tokens. ``stop_id``
        ends it at any of these tokens, besides the model's end tokens. ``eos_token_id`` replaces the end tokens
        of the model; with ``[]`` no token ends the text.

        ``json_schema`` makes the text JSON that is valid by a schema, ``json_object`` a JSON object.
        ``regex`` is matched by the whole text. ``grammar`` describes the text in GBNF or Lark. At
        most one of them can be given.

        A ``streamer`` has the methods ``put(ids)`` and ``end()``, as in transformers. A ``callback``
        gets each new piece of text, and ends the generation if it returns False. Both need a single
        prompt. Ctrl-C interrupts.
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
            repetition_window=repetition_window,
            presence_penalty=presence_penalty,
            frequency_penalty=frequency_penalty,
            logit_bias=logit_bias,
            do_sample=do_sample,
            seed=seed,
            stop=stop,
            stop_id=stop_id,
            json_schema=json_schema,
            json_object=json_object,
            regex=regex,
            grammar=grammar,
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
        """Continues several prompts, each a text or a list of ids. Takes the options of :meth:`generate`.

        Returns for each prompt the new text and tokens, the stop reason, and times.
        """
        if isinstance(prompts, str):
            raise TypeError("prompts must be a list of prompts, not one string")
        ids = [self._prompt(prompt) for prompt in prompts]
        on_token = _on_token(ids, streamer, callback)
        generations = self._native.generate(ids, _requested(max_new_tokens, **options), on_token)
        if streamer is not None:
            streamer.end()
        return generations

    def stream(self, prompt: Union[str, Ids], max_new_tokens: int = 100, **options: Any) -> _tercet.Stream:
        """Returns an iterator over the pieces of text that continue a prompt.

        A piece is yielded once later tokens cannot change it. Takes the sampling arguments of
        :meth:`generate`, its ends and its grammars.
        """
        return self._native.stream(self._prompt(prompt), _requested(max_new_tokens, **options))

    def logits(self, ids: Ids) -> npt.NDArray[np.float32]:
        """Returns the logits of every position of one sequence: positions × vocabulary."""
        return self._native.logits(one(ids))

    def perplexity(self, text: Union[str, Ids], window: Optional[int] = None) -> float:
        """Returns the perplexity of a text, as ``tercet perplexity`` measures it.

        It is exp of the mean of -ln p over all tokens. The text is cut into windows of ``window``
        tokens, each after the start token. The default is 511, or less if the context is shorter.
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
    repetition_window: Optional[int] = None,
    presence_penalty: float = 0.0,
    frequency_penalty: float = 0.0,
    logit_bias: Optional[Mapping[int, float]] = None,
    do_sample: Optional[bool] = None,
    seed: int = 0,
    stop: Union[str, Sequence[str], None] = None,
    stop_id: Union[int, Sequence[int], None] = None,
    json_schema: Union[str, Mapping[str, Any], None] = None,
    json_object: bool = False,
    regex: Optional[str] = None,
    grammar: Optional[str] = None,
    eos_token_id: Union[int, Sequence[int], None] = None,
) -> dict[str, Any]:
    """Returns the arguments in the form that the native half reads."""
    whole = {
        "max_new_tokens": max_new_tokens,
        "top_k": top_k,
        "repetition_window": repetition_window,
        "seed": seed,
    }
    for what, value in whole.items():
        if value is not None and value < 0:
            raise ValueError(f"{what}: {value} is out of range; use 0 or more")
    if sum((json_schema is not None, json_object, regex is not None, grammar is not None)) > 1:
        raise ValueError("give one of json_schema, json_object, regex and grammar")
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
        "repetition_window": repetition_window,
        "presence_penalty": presence_penalty,
        "frequency_penalty": frequency_penalty,
        "logit_bias": dict(logit_bias or {}),
        "seed": seed,
        "eos": None if eos is None else list(eos),
        "stop": [stop] if isinstance(stop, str) else list(stop or ()),
        "stop_id": [stop_id] if isinstance(stop_id, int) else list(stop_id or ()),
        "json_schema": json_schema if isinstance(json_schema, (str, type(None))) else json.dumps(json_schema),
        "json_object": json_object,
        "regex": regex,
        "grammar": grammar,
    }


def _on_token(
    prompts: list[list[int]], streamer: Any, callback: Optional[Callback]
) -> Optional[Callable[[int, int, str], Optional[bool]]]:
    """Returns the function that the native half calls for each token, or None."""
    if streamer is None and callback is None:
        return None
    if len(prompts) > 1:
        raise ValueError("a streamer or callback needs a single prompt")
    if streamer is not None:
        streamer.put(np.array(prompts, dtype=np.int64))

    def on_token(index: int, id: int, text: str) -> Optional[bool]:
        if streamer is not None:
            streamer.put(np.array([id], dtype=np.int64))
        return callback(text) if callback is not None and text else None

    return on_token
