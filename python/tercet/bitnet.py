"""A model with its tokenizer: text in, text out. The class is named as in Litespark-Inference."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Mapping, Optional, Union

from ._tercet import Stream
from .model import Model, load_model
from .tokenizer import Tokenizer

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .machine import LoadOptions
    from .options import Options


class BitNet:
    """A model with its tokenizer: text in, text out."""

    def __init__(self, model: Model, tokenizer: Tokenizer) -> None:
        self.model = model
        self.tokenizer = tokenizer

    @classmethod
    def from_pretrained(
        cls, name: Union[str, os.PathLike[str], None] = None, **options: Unpack[LoadOptions]
    ) -> BitNet:
        """Loads a model. Takes the arguments of :func:`tercet.load_model`.

        The mode names of Litespark-Inference are accepted: ``neon`` is Tercet's ``fast``, and
        ``accelerate`` is ``exact``.
        """
        return cls(*load_model(name, **options))

    def generate(
        self,
        prompt: str,
        max_new_tokens: int = 100,
        *,
        chat: bool = False,
        system: Optional[str] = None,
        chat_template_kwargs: Optional[Mapping[str, object]] = None,
        **options: Unpack[Options],
    ) -> str:
        """Returns the text that continues ``prompt``, or the model's answer to it if ``chat`` is true.

        ``system`` is the system message of the chat, and ``chat_template_kwargs`` are further variables
        of its template, such as ``enable_thinking``. Takes the options of :meth:`Model.generate`.
        """
        ids = self._encode(prompt, chat, system, chat_template_kwargs)
        return self.model.complete([ids], max_new_tokens, **options)[0].text

    def stream(
        self,
        prompt: str,
        max_new_tokens: int = 100,
        *,
        chat: bool = False,
        system: Optional[str] = None,
        chat_template_kwargs: Optional[Mapping[str, object]] = None,
        **options: Unpack[Options],
    ) -> Stream:
        """Streams the text of :meth:`generate` piece by piece. Takes the options of :meth:`Model.stream`."""
        ids = self._encode(prompt, chat, system, chat_template_kwargs)
        return self.model.stream(ids, max_new_tokens, **options)

    def _encode(
        self,
        prompt: str,
        chat: bool,
        system: Optional[str],
        chat_template_kwargs: Optional[Mapping[str, object]],
    ) -> list[int]:
        if not chat:
            return self.tokenizer.encode(prompt)
        messages = [{"role": "user", "content": prompt}]
        if system is not None:
            messages.insert(0, {"role": "system", "content": system})
        ids: list[int] = self.tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, chat_template_kwargs=chat_template_kwargs
        )
        return ids

    def __repr__(self) -> str:
        return f"BitNet({self.model!r})"
