"""Text to token ids and back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, Optional, overload

from . import _tercet
from .ids import IdArray, Ids, as_tensors, one

if TYPE_CHECKING:
    import torch


class Tokenizer:
    """A model's tokenizer, with the methods of a Hugging Face tokenizer."""

    def __init__(self, native: _tercet.Tokenizer) -> None:
        self._native = native

    @property
    def bos_token_id(self) -> Optional[int]:
        """The token called BOS. Whether texts begin with it is up to the tokenizer."""
        return self._native.bos_token_id

    @property
    def eos_token_id(self) -> Optional[int]:
        """The first of the tokens that end a sequence."""
        return next(iter(self._native.eos_token_ids), None)

    @property
    def eos_token_ids(self) -> list[int]:
        """The tokens that end a sequence."""
        return self._native.eos_token_ids

    @property
    def vocab_size(self) -> int:
        """The number of tokens in the vocabulary."""
        return self._native.vocab_size

    def __len__(self) -> int:
        return self.vocab_size

    @overload
    def encode(
        self,
        text: str,
        *,
        return_tensors: None = None,
        add_special_tokens: bool = True,
        split_special_tokens: bool = False,
    ) -> list[int]: ...
    @overload
    def encode(
        self,
        text: str,
        *,
        return_tensors: Literal["np"],
        add_special_tokens: bool = True,
        split_special_tokens: bool = False,
    ) -> IdArray: ...
    @overload
    def encode(
        self,
        text: str,
        *,
        return_tensors: Literal["pt"],
        add_special_tokens: bool = True,
        split_special_tokens: bool = False,
    ) -> torch.Tensor: ...
    def encode(
        self,
        text: str,
        *,
        return_tensors: Optional[str] = None,
        add_special_tokens: bool = True,
        split_special_tokens: bool = False,
    ) -> object:
        """Returns the tokens of ``text``.

        If ``add_special_tokens`` is true, BOS or what else the tokenizer puts around a text is among
        them. The result is a list, or one row of a numpy array (``return_tensors="np"``) or of a
        torch tensor (``"pt"``). With ``split_special_tokens``, special tokens that the text spells out
        are mere text.
        """
        ids = self._native.encode(text, add_special_tokens, split_special_tokens)
        return as_tensors(ids, return_tensors)

    def decode(self, ids: Ids, skip_special_tokens: bool = False) -> str:
        """Returns the text of one sequence of tokens, or of one token."""
        ids = [ids] if isinstance(ids, int) else ids
        return self._native.decode(one(ids), skip_special_tokens)

    def batch_decode(self, sequences: Iterable[Ids], skip_special_tokens: bool = False) -> list[str]:
        """Returns the texts of several sequences."""
        return [self.decode(ids, skip_special_tokens) for ids in sequences]

    def convert_tokens_to_ids(self, token: str) -> Optional[int]:
        """Returns the id of a token, given as the vocabulary spells it. None if there is no such token."""
        return self._native.id_of(token)

    def convert_ids_to_tokens(self, id: int) -> Optional[str]:
        """Returns the token with this id, as the vocabulary spells it. None if there is no such token."""
        return self._native.token(id)

    @overload
    def apply_chat_template(
        self,
        conversation: Sequence[Mapping[str, object]],
        tools: Optional[Sequence[Mapping[str, object]]] = None,
        documents: Optional[Sequence[Mapping[str, object]]] = None,
        *,
        add_generation_prompt: bool = False,
        continue_final_message: bool = False,
        tokenize: Literal[False],
        return_tensors: Optional[str] = None,
        chat_template_kwargs: Optional[Mapping[str, object]] = None,
        sanitize_control_tokens: bool = False,
        **kwargs: object,
    ) -> str: ...
    @overload
    def apply_chat_template(
        self,
        conversation: Sequence[Mapping[str, object]],
        tools: Optional[Sequence[Mapping[str, object]]] = None,
        documents: Optional[Sequence[Mapping[str, object]]] = None,
        *,
        add_generation_prompt: bool = False,
        continue_final_message: bool = False,
        tokenize: Literal[True] = True,
        return_tensors: None = None,
        chat_template_kwargs: Optional[Mapping[str, object]] = None,
        sanitize_control_tokens: bool = False,
        **kwargs: object,
    ) -> list[int]: ...
    @overload
    def apply_chat_template(
        self,
        conversation: Sequence[Mapping[str, object]],
        tools: Optional[Sequence[Mapping[str, object]]] = None,
        documents: Optional[Sequence[Mapping[str, object]]] = None,
        *,
        add_generation_prompt: bool = False,
        continue_final_message: bool = False,
        tokenize: Literal[True] = True,
        return_tensors: Literal["np"],
        chat_template_kwargs: Optional[Mapping[str, object]] = None,
        sanitize_control_tokens: bool = False,
        **kwargs: object,
    ) -> IdArray: ...
    @overload
    def apply_chat_template(
        self,
        conversation: Sequence[Mapping[str, object]],
        tools: Optional[Sequence[Mapping[str, object]]] = None,
        documents: Optional[Sequence[Mapping[str, object]]] = None,
        *,
        add_generation_prompt: bool = False,
        continue_final_message: bool = False,
        tokenize: Literal[True] = True,
        return_tensors: Literal["pt"],
        chat_template_kwargs: Optional[Mapping[str, object]] = None,
        sanitize_control_tokens: bool = False,
        **kwargs: object,
    ) -> torch.Tensor: ...
    def apply_chat_template(
        self,
        conversation: Sequence[Mapping[str, object]],
        tools: Optional[Sequence[Mapping[str, object]]] = None,
        documents: Optional[Sequence[Mapping[str, object]]] = None,
        *,
        add_generation_prompt: bool = False,
        continue_final_message: bool = False,
        tokenize: bool = True,
        return_tensors: Optional[str] = None,
        chat_template_kwargs: Optional[Mapping[str, object]] = None,
        sanitize_control_tokens: bool = False,
        **kwargs: object,
    ) -> object:
        """Renders messages as a prompt. Each message is a mapping with ``role``, ``content`` and other fields.

        Returns tokens, or text if ``tokenize`` is false. ``add_generation_prompt`` appends the start
        of the model's answer, and ``continue_final_message`` leaves the last message open. ``tools``
        are JSON schemas. Templates see further arguments, such as ``enable_thinking``, and those of
        ``chat_template_kwargs`` as variables. With ``sanitize_control_tokens``, special tokens that the
        messages spell out are mere text in the tokens.
        """
        arguments = {
            "messages": conversation,
            "tools": tools,
            "documents": documents,
            "add_generation_prompt": add_generation_prompt,
            "continue_final_message": continue_final_message,
            "chat_template_kwargs": {**(chat_template_kwargs or {}), **kwargs},
        }
        try:
            input = json.dumps(arguments, default=_plain)
        except TypeError as error:
            raise ValueError(f"messages and their fields are such as JSON knows: {error}") from error
        if not tokenize:
            return self._native.render(input)
        return as_tensors(self._native.encode_chat(input, sanitize_control_tokens), return_tensors)

    def __repr__(self) -> str:
        return f"Tokenizer({self.vocab_size} tokens)"


def _plain(value: object) -> object:
    """Returns a mapping or a sequence as one that JSON can write."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Sequence):
        return list(value)
    raise TypeError(f"a {type(value).__name__} is not")
