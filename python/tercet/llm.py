"""A plugin for the command ``llm``: ``llm -m tercet/bitnet-2b "Why is the sea salty?"``.

It runs the models in the command's own process, without a server. ``llm install tercet`` installs it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Optional

import llm
from pydantic import Field

from . import _tercet
from .chat import Chat, Message
from .model import Model, load_model


@lru_cache(maxsize=1)
def loaded(name: str) -> Model:
    """Returns the model called ``name``. The latest one stays loaded."""
    return load_model(name)[0]


class Tercet(llm.Model):
    """A model for ``llm``."""

    needs_key = None
    can_stream = True
    supports_schema = True

    class Options(llm.Options):
        """What ``llm -o`` takes. The model's own settings stand for what is not given."""

        max_tokens: Optional[int] = Field(description="Most tokens of the answer", default=None)
        temperature: Optional[float] = Field(description="Divisor of the logits; 0 takes the best token", default=None)
        top_k: Optional[int] = Field(description="Number of candidates", default=None)
        top_p: Optional[float] = Field(description="Probability that the candidates hold together", default=None)
        seed: Optional[int] = Field(description="Seed of the random choices", default=None)

    def __init__(self, name: str) -> None:
        self.name = name
        self.model_id = f"tercet/{name}"

    def execute(
        self, prompt: llm.Prompt, stream: bool, response: llm.Response, conversation: Optional[llm.Conversation]
    ) -> Iterator[str]:
        """Yields the answer piece by piece."""
        options = {name: value for name, value in prompt.options.model_dump().items() if value is not None}
        tokens = options.pop("max_tokens", None)
        *before, question = [said(message) for message in prompt.messages]
        chat = Chat(loaded(self.name), json_schema=prompt.schema, **options)
        chat.messages += before
        yield from chat.stream(question["content"], tokens)
        if made := chat.latest:
            response.set_usage(input=made.prompt_tokens + made.cached_tokens, output=len(made.ids))


def said(message: llm.Message) -> Message:
    """Returns a message of ``llm`` as one of a chat."""
    return {"role": message.role, "content": "".join(getattr(part, "text", "") for part in message.parts)}


@llm.hookimpl
def register_models(register: Callable[[llm.Model], None]) -> None:
    """Registers every model with a short name."""
    for name in _tercet.model_names():
        register(Tercet(name))
