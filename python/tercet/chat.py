"""Conversations."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Optional, TypedDict, Union, cast

from . import _tercet
from .options import Options, checked, one_text, requested, seeds, tokens
from .texts import Text

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .model import Model


class Message(TypedDict):
    """A message of one side."""

    role: str
    content: str


#: Tokens of a reply if the caller does not say.
TOKENS = 512


class Chat:
    """A conversation with a model. Only what is new goes through the model.

    >>> chat = Chat(model, system="Be brief.")
    >>> print(chat.say("Tell me about the sea"))
    >>> for piece in chat.stream("And the moon?"):
    ...     print(piece, end="", flush=True)

    ``messages`` is the conversation so far. It may be changed: what stays the same is not read again.
    """

    def __init__(
        self,
        model: Model,
        system: Optional[str] = None,
        *,
        chat_template_kwargs: Optional[Mapping[str, object]] = None,
        **options: Unpack[Options],
    ) -> None:
        """Starts a conversation. ``options`` are those of :meth:`Model.generate`, for every reply.

        ``chat_template_kwargs`` are variables of the chat template, such as ``enable_thinking``.
        """
        self.model = model
        self.messages: list[Message] = [] if system is None else [{"role": "system", "content": system}]
        #: The latest reply with its tokens, the reason why it ended, and times.
        self.latest: Optional[_tercet.Generation] = None
        self._options = checked(options)
        self._variables = chat_template_kwargs
        self._scheduler = model._native.scheduler(True)

    def say(self, text: str, max_new_tokens: Optional[int] = None, **options: Unpack[Options]) -> str:
        """Says ``text`` and returns the reply. Both become part of the conversation."""
        return "".join(self.stream(text, max_new_tokens, **options))

    def stream(
        self, text: str, max_new_tokens: Optional[int] = None, **options: Unpack[Options]
    ) -> Iterator[str]:
        """Says ``text`` and yields the reply piece by piece.

        A reply that the caller leaves early is part of the conversation as far as it came.
        """
        known = cast(Options, {**self._options, **checked(options)})
        one_text(known)
        said: Message = {"role": "user", "content": text}
        prompt = self._prompt([*self.messages, said])
        if max_new_tokens is None and known.get("max_length") is None:
            max_new_tokens = max(1, min(TOKENS, self.model.context_length - len(prompt)))
        request = self.model._native.request(requested(tokens(max_new_tokens, known, len(prompt), self.model._context), known))
        # Another seed for each turn, so that a question that is asked again gets another answer.
        seed = seeds(known, 1)[0] + sum(message["role"] == "user" for message in self.messages)
        return self._reply(said, Text(prompt, request, seed))

    def _reply(self, said: Message, text: Text) -> Iterator[str]:
        number = self._scheduler.submit(text.prompt, text.request, text.seed)
        ended: Optional[_tercet.Generation] = None
        try:
            while ended is None:
                piece, ended = self._advance(number)
                if piece:
                    yield piece
        finally:
            self._scheduler.cancel(number)
            while not self._scheduler.is_idle:
                _, ended = self._advance(number)
            if ended is not None and ended.ids:
                self.latest = ended
                self.messages += [said, {"role": "assistant", "content": ended.text}]

    def _advance(self, number: int) -> tuple[str, Optional[_tercet.Generation]]:
        """Lets the model go on. Returns the new text, and at the end the whole reply."""
        piece, reply = "", None
        for of, _, text, ended in self._scheduler.round():
            if of == number:
                piece += text
            if of == number and isinstance(ended, Exception):
                raise ended
            if of == number and isinstance(ended, _tercet.Generation):
                reply = ended
        return piece, reply

    def _prompt(self, messages: list[Message]) -> list[int]:
        ids: list[int] = self.model.tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, chat_template_kwargs=self._variables
        )
        return ids

    def undo(self) -> Optional[str]:
        """Takes the last turn back, and returns what the user had said. None if there is none."""
        for at in reversed(range(len(self.messages))):
            if self.messages[at]["role"] == "user":
                said = self.messages[at]["content"]
                del self.messages[at:]
                return said
        return None

    def reset(self) -> None:
        """Forgets everything but the system's message."""
        self.messages = [message for message in self.messages[:1] if message["role"] == "system"]

    def save(self, path: Union[str, os.PathLike[str]]) -> None:
        """Writes the messages as JSON, in the form that ``load`` and OpenAI's clients read."""
        text = json.dumps({"messages": self.messages}, ensure_ascii=False, indent=2)
        Path(path).write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, model: Model, path: Union[str, os.PathLike[str]], **options: Unpack[Options]) -> Chat:
        """Continues the conversation of a file that ``save`` wrote."""
        try:
            messages = json.loads(Path(path).read_text(encoding="utf-8"))["messages"]
            read: list[Message] = [{"role": str(m["role"]), "content": str(m["content"])} for m in messages]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{os.fspath(path)}: it holds no conversation: {error!r}") from error
        chat = cls(model, **options)
        chat.messages = read
        return chat

    def __repr__(self) -> str:
        return f"Chat({self.model.name!r}, {len(self.messages)} messages)"
