"""A loaded model."""

from __future__ import annotations

import os
import warnings
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, Any, Optional, Protocol, Union, cast, overload

import numpy as np
import numpy.typing as npt

from . import _tercet
from .concurrent import Batcher, pieces
from .ids import IdArray, Ids, is_flat, masked, one, read
from .machine import LoadOptions, MachineOptions, machine_options
from .options import Options, StoppingCriterion, checked, one_text, requested, samples, seeds, some, tokens
from .texts import OnStep, Text, all_made, grow
from .tokenizer import Tokenizer

if TYPE_CHECKING:
    import torch
    from typing_extensions import Unpack

#: A text, or its tokens.
Prompt = Union[str, Sequence[int], npt.NDArray[np.integer[Any]], "torch.Tensor"]
#: Takes a piece of text. Returns False to end the generation; None goes on.
Callback = Callable[[str], Optional[bool]]


class Streamer(Protocol):
    """Takes tokens as they are generated, as transformers' streamers do."""

    def put(self, value: IdArray, /) -> None:
        """Takes the prompt, and then each token."""

    def end(self) -> None:
        """Hears that the text has ended."""


def load_model(
    name: Union[str, os.PathLike[str], None] = None,
    **options: Unpack[LoadOptions],
) -> tuple[Model, Tokenizer]:
    """Loads a model and its tokenizer.

    ``name`` is one of these:

    - a directory with a model in the Hugging Face format, or a GGUF file;
    - a short name that ``tercet models`` lists, such as ``bitnet-2b``;
    - ``hf:OWNER/REPO``, a repository on the Hugging Face hub.

    A model that is not on this machine is downloaded. Without a name, the environment variable
    ``TERCET_MODEL`` names the model. The default is ``fairy-tales``, a small model inside the package.

    ``context`` is the most tokens of a prompt and its text together. Without it, the model's own limit
    holds.

    ``draft_model`` names a smaller model with the same tokens. It drafts several tokens, which the model
    checks in one pass. That changes no text, and happens only where it saves time: a text grows alone, without
    a grammar, a ``logits_processor`` or ``stopping_criteria``. ``drafted`` and ``accepted`` of
    :meth:`Model.complete` count the tokens.

    The other arguments are options of the ``tercet`` command; ``tercet generate --help`` explains
    them. The defaults are the best choices for this machine.

    ``mode="fast"`` is the default. ``mode="exact"`` computes in floats, as transformers does. It is
    slow, and serves to judge the fast mode; ``activations="f32"`` leaves its activations unrounded.
    The mode names of Litespark-Inference are accepted too: ``neon`` is ``fast``, and ``accelerate``
    is ``exact``.
    """
    model = _load(name, options)
    return model, model.tokenizer


def _load(name: Union[str, os.PathLike[str], None], options: LoadOptions) -> Model:
    own = LoadOptions.__annotations__.keys() - MachineOptions.__annotations__.keys()
    of_machine = cast(MachineOptions, {name: value for name, value in options.items() if name not in own})
    context, draft_model = options.get("context"), options.get("draft_model")
    model = Model(_tercet.Model.load(name, machine_options(**of_machine), context, draft_model))
    model._context = context
    model._source = (_anywhere(name), {**options, "draft_model": _anywhere(draft_model)})
    return model


def _anywhere(name: Union[str, os.PathLike[str], None]) -> Union[str, os.PathLike[str], None]:
    """Returns the name under which a process that starts in another folder finds the same files."""
    return os.path.abspath(name) if name is not None and os.path.exists(name) else name


class Model:
    """A loaded model. Several threads may use it at the same time."""

    def __init__(self, native: _tercet.Model) -> None:
        self._native = native
        self._source: Optional[tuple[Union[str, os.PathLike[str], None], LoadOptions]] = None
        self._context: Optional[int] = None
        self._batcher: Optional[Batcher] = None
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

    @overload
    def generate(
        self,
        input_ids: Sequence[int],
        max_new_tokens: Optional[int] = None,
        *,
        attention_mask: Optional[Ids] = None,
        pad_token_id: Optional[int] = None,
        streamer: Optional[Streamer] = None,
        callback: Optional[Callback] = None,
        **options: Unpack[Options],
    ) -> list[int]: ...
    @overload
    def generate(
        self,
        input_ids: Sequence[Sequence[int]],
        max_new_tokens: Optional[int] = None,
        *,
        attention_mask: Optional[Ids] = None,
        pad_token_id: Optional[int] = None,
        streamer: Optional[Streamer] = None,
        callback: Optional[Callback] = None,
        **options: Unpack[Options],
    ) -> list[list[int]]: ...
    @overload
    def generate(
        self,
        input_ids: npt.NDArray[np.integer[Any]],
        max_new_tokens: Optional[int] = None,
        *,
        attention_mask: Optional[Ids] = None,
        pad_token_id: Optional[int] = None,
        streamer: Optional[Streamer] = None,
        callback: Optional[Callback] = None,
        **options: Unpack[Options],
    ) -> IdArray: ...
    @overload
    def generate(
        self,
        input_ids: torch.Tensor,
        max_new_tokens: Optional[int] = None,
        *,
        attention_mask: Optional[Ids] = None,
        pad_token_id: Optional[int] = None,
        streamer: Optional[Streamer] = None,
        callback: Optional[Callback] = None,
        **options: Unpack[Options],
    ) -> torch.Tensor: ...
    def generate(
        self,
        input_ids: Ids,
        max_new_tokens: Optional[int] = None,
        *,
        attention_mask: Optional[Ids] = None,
        pad_token_id: Optional[int] = None,
        streamer: Optional[Streamer] = None,
        callback: Optional[Callback] = None,
        **options: Unpack[Options],
    ) -> object:
        """Returns the tokens of the prompt and of its continuation, in the form of ``input_ids``.

        ``input_ids`` is one prompt or several prompts. Several prompts share every read of the
        weights. Shorter rows of arrays and tensors are padded with the end token, or with
        ``pad_token_id``. Where ``attention_mask`` is 0 there is no token, as in a padded batch.

        A text has at most ``max_new_tokens`` tokens, 100 if the caller does not say. :class:`Options`
        explains the other options. What transformers' ``generate`` takes is accepted where it can be
        done, and refused by name elsewhere.

        A ``streamer`` has the methods ``put(ids)`` and ``end()``, as in transformers. A ``callback``
        gets each new piece of text, and ends the generation if it returns False. Both need a single
        prompt. Ctrl-C interrupts.
        """
        rows, like = read(input_ids)
        prompts = rows if attention_mask is None else masked(rows, attention_mask)
        known = checked(options)
        n = samples(known)
        if n > 1 and is_flat(input_ids):
            raise ValueError("n: several texts come back as rows; give the prompt as a row, as in [ids]")
        made = self._grow(prompts, max_new_tokens, known, [len(row) for row in rows], streamer, callback)
        pad = self.tokenizer.eos_token_id or 0 if pad_token_id is None else pad_token_id
        return like([rows[i // n] + text.ids for i, text in enumerate(made)], pad)

    def complete(
        self,
        prompts: Sequence[Prompt],
        max_new_tokens: Optional[int] = None,
        *,
        streamer: Optional[Streamer] = None,
        callback: Optional[Callback] = None,
        **options: Unpack[Options],
    ) -> list[_tercet.Generation]:
        """Continues several prompts, each a text or a list of ids. Takes the options of :meth:`generate`.

        Returns for each prompt the new text and tokens, the stop reason, and times. With ``n``, the
        texts of one prompt follow each other.
        """
        if isinstance(prompts, str):
            raise TypeError("prompts must be a list of prompts, not one string")
        ids = [self._prompt(prompt) for prompt in prompts]
        return self._grow(ids, max_new_tokens, checked(options), [len(row) for row in ids], streamer, callback)

    def stream(
        self, prompt: Prompt, max_new_tokens: Optional[int] = None, **options: Unpack[Options]
    ) -> _tercet.Stream:
        """Returns an iterator over the pieces of text that continue a prompt.

        A piece is yielded once later tokens cannot change it. Takes the options of :meth:`generate`,
        but for several texts and criteria.
        """
        text = self._text(prompt, max_new_tokens, options)
        return self._native.stream(text.prompt, text.request, text.seed)

    async def astream(
        self, prompt: Prompt, max_new_tokens: Optional[int] = None, **options: Unpack[Options]
    ) -> AsyncIterator[str]:
        """Yields the pieces of text that continue a prompt, as :meth:`stream` does.

        The event loop stays free. Concurrent callers share every read of the weights.
        """
        async for piece in pieces(self._batched(), self._text(prompt, max_new_tokens, options)):
            if isinstance(piece, str):
                yield piece

    async def acomplete(
        self, prompt: Prompt, max_new_tokens: Optional[int] = None, **options: Unpack[Options]
    ) -> _tercet.Generation:
        """Continues a prompt. Concurrent callers share every read of the weights, as in :meth:`astream`."""
        async for piece in pieces(self._batched(), self._text(prompt, max_new_tokens, options)):
            if not isinstance(piece, str):
                return piece
        raise RuntimeError("the text has no end")

    def _text(self, prompt: Prompt, max_new_tokens: Optional[int], options: Options) -> Text:
        """Returns the only text that the options ask for."""
        ids, known = self._prompt(prompt), checked(options)
        one_text(known)
        request = self._native.request(requested(tokens(max_new_tokens, known, len(ids), self._context), known))
        return Text(ids, request, seeds(known, 1)[0])

    def _batched(self) -> Batcher:
        if self._batcher is None:
            self._batcher = Batcher(self._native)
        return self._batcher

    def _grow(
        self,
        prompts: list[list[int]],
        max_new_tokens: Optional[int],
        options: Options,
        lengths: list[int],
        streamer: Optional[Streamer],
        callback: Optional[Callback],
    ) -> list[_tercet.Generation]:
        """Continues prompts. ``lengths`` are those that ``max_length`` counts."""
        n = samples(options)
        if (streamer is not None or callback is not None) and len(prompts) * n > 1:
            raise ValueError("a streamer or callback needs a single prompt")
        most = [tokens(max_new_tokens, options, length, self._context) for length in lengths]
        requests = {count: self._native.request(requested(count, options)) for count in set(most)}
        each = [(prompt, requests[count]) for prompt, count in zip(prompts, most) for _ in range(n)]
        texts = [Text(*text, seed) for text, seed in zip(each, seeds(options, len(each)))]
        if streamer is not None:
            streamer.put(np.array(prompts, dtype=np.int64))
        watch = watcher([text.prompt for text in texts], some(options.get("stopping_criteria")), streamer, callback)
        made = all_made(grow(self._native, texts, watch))
        if streamer is not None:
            streamer.end()
        return made

    def logprobs(
        self, prompts: Union[str, Sequence[Prompt]], continuations: Sequence[Prompt]
    ) -> list[_tercet.Scored]:
        """Returns how probable each continuation is after its prompt: ln p of its tokens.

        Prompts and continuations are texts or lists of ids. One text as ``prompts`` comes before every
        continuation. Common beginnings are read once, and all share passes over the weights.

        Two texts are encoded as one. If a token lies across their border, it belongs to the continuation.
        """
        before = [prompts] * len(continuations) if isinstance(prompts, str) else list(prompts)
        if len(before) != len(continuations):
            raise ValueError(f"there are {len(before)} prompts for {len(continuations)} continuations")
        return self._native.logprobs([self._pair(*pair) for pair in zip(before, continuations)])

    def logits(self, ids: Ids, last: Optional[int] = None) -> npt.NDArray[np.float32]:
        """Returns the logits of one sequence: positions × vocabulary.

        They are those of every position, or of the ``last`` positions only, which takes less time and memory.
        """
        if last is not None and last < 1:
            raise ValueError(f"last: {last} is out of range; use 1 or more")
        return self._native.logits(one(ids), last)

    def embed(
        self,
        texts: Union[str, Sequence[str]],
        *,
        prompt_name: Optional[str] = None,
        dimensions: Optional[int] = None,
    ) -> npt.NDArray[np.float32]:
        """Returns the embeddings of texts: one row for each text, or one vector for a single text.

        The model must be made for embeddings. ``prompt_name="query"`` puts the model's words for
        queries before each text, as sentence-transformers does. ``dimensions`` cuts the vectors, if the
        model was trained for it. All texts share passes over the weights.
        """
        rows = self._native.embed([texts] if isinstance(texts, str) else list(texts), prompt_name, dimensions)
        return rows.reshape(-1) if isinstance(texts, str) else rows

    def perplexity(self, text: Union[str, Ids], window: Optional[int] = None) -> float:
        """Returns the perplexity of a text, as ``tercet perplexity`` measures it.

        It is exp of the mean of -ln p over all tokens. The text is cut into windows of ``window``
        tokens, each after the start token. The default is 511, or less if the context is shorter.
        """
        ids = self.tokenizer.encode(text, add_special_tokens=False) if isinstance(text, str) else one(text)
        return self._native.perplexity(ids, window)

    def _pair(self, prompt: Prompt, continuation: Prompt) -> tuple[list[int], list[int]]:
        """Returns the tokens of a prompt and of its continuation."""
        before = self._prompt(prompt)
        if not isinstance(continuation, str):
            return before, one(continuation)
        if not isinstance(prompt, str):
            return before, self.tokenizer.encode(continuation, add_special_tokens=False)
        whole = self.tokenizer.encode(prompt + continuation)
        common = next((i for i, (a, b) in enumerate(zip(before, whole)) if a != b), min(len(before), len(whole)))
        return whole[:common], whole[common:]

    def _prompt(self, prompt: Prompt) -> list[int]:
        return self.tokenizer.encode(prompt) if isinstance(prompt, str) else one(prompt)

    def __reduce__(self) -> tuple[Callable[..., Model], tuple[object, ...]]:
        """Pickles the model's name: unpickling loads it again."""
        if self._source is None:
            raise TypeError("only models of load_model can be pickled")
        return _load, self._source

    def __repr__(self) -> str:
        return f"Model({self.name!r}, {self.mode}, {self.isa}, threads={self.threads})"


def watcher(
    prompts: list[list[int]],
    criteria: list[StoppingCriterion],
    streamer: Optional[Streamer],
    callback: Optional[Callback],
) -> Optional[OnStep]:
    """Returns the function that hears of every token and decides whether a text goes on. None if nobody listens."""
    if not criteria and streamer is None and callback is None:
        return None
    so_far = [list(prompt) for prompt in prompts]

    def on_step(text: int, ids: list[int], piece: str) -> bool:
        goes_on = True
        for id in ids:
            so_far[text].append(id)
            if streamer is not None:
                streamer.put(np.array([id], dtype=np.int64))
            if criteria:
                all_ids = np.array(so_far[text], dtype=np.int64)
                goes_on &= not any([bool(criterion(all_ids)) for criterion in criteria])
        if callback is not None and piece:
            answer = callback(piece)
            goes_on &= answer is None or bool(answer)
        return goes_on

    return on_step
