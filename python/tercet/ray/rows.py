"""From rows to texts: what is the same in one process and on a hundred nodes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Optional, Union, cast

from .. import _tercet
from ..model import Model
from ..options import Options, checked, one_text, requested, seeds, tokens
from ..texts import Text, grow

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ..options import Sampling

Row = Mapping[str, object]


@dataclass
class Answer:
    """The answer to a row: either an error or everything else."""

    text: Optional[str] = None
    ids: Optional[list[int]] = None
    #: ``stop``, or ``length`` if the text was cut.
    finish_reason: Optional[str] = None
    prompt_tokens: Optional[int] = None
    completion_tokens: Optional[int] = None
    error: Optional[str] = None


@dataclass
class Task:
    """The request of a row."""

    prompt: list[int]
    options: Options = field(default_factory=lambda: cast(Options, {}))
    max_new_tokens: Optional[int] = None


def seed_of(seed: int, row: str) -> int:
    """Returns the seed of a row: it depends on nothing but the run's seed and the row's id."""
    digest = hashlib.blake2b(f"{seed}/{row}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big")


class Rows:
    """Answers rows, all of a call in one scheduler. A bad row harms no other one."""

    def __init__(self, model: Model, max_new_tokens: Optional[int] = None, *, seed: int = 0, **options: Unpack[Sampling]) -> None:
        self.model = model
        self._max_new_tokens = max_new_tokens
        self._seed = seed
        self._options = checked(options)
        one_text(self._options)

    def answer(self, rows: Sequence[Row]) -> list[Answer]:
        """Answers each row."""
        answers = [Answer() for _ in rows]
        texts: list[tuple[int, Text]] = []
        for at, row in enumerate(rows):
            try:
                texts.append((at, self._text(row)))
            except (ValueError, TypeError, KeyError) as error:
                answers[at].error = described(error)
        made = grow(self.model._native, [text for _, text in texts])
        for (at, text), result in zip(texts, made):
            answers[at] = answered(text, result)
        return answers

    def _text(self, row: Row) -> Text:
        task = task_of(self.model, row)
        options = cast(Options, {**self._options, **task.options})
        options.setdefault("seed", seed_of(self._seed, id_of(row)))
        most = self._max_new_tokens if task.max_new_tokens is None else task.max_new_tokens
        request = self.model._native.request(requested(tokens(most, options, len(task.prompt)), options))
        return Text(task.prompt, request, seeds(options, 1)[0])


def answered(text: Text, result: Union[_tercet.Generation, Exception]) -> Answer:
    """Returns a row's answer."""
    if isinstance(result, Exception):
        return Answer(error=described(result))
    return Answer(
        text=result.text,
        ids=result.ids,
        finish_reason="length" if result.stop == "length" else "stop",
        prompt_tokens=len(text.prompt),
        completion_tokens=len(result.ids),
    )


def described(error: Exception) -> str:
    """Returns an error in one line."""
    return f"{type(error).__name__}: {error}"


def id_of(row: Row) -> str:
    """Returns a row's id: its ``custom_id`` or ``id``. A row without is known by its contents."""
    for name in ("custom_id", "id"):
        if row.get(name) is not None:
            return str(row[name])
    return json.dumps(dict(row), sort_keys=True, default=str)


def task_of(model: Model, row: Row) -> Task:
    """Returns what a row asks for: it has a ``prompt``, ``messages``, or a ``body`` in OpenAI's batch format."""
    if row.get("body") is not None:
        return of_body(model, row)
    return Task(prompt_of(model, row))


def prompt_of(model: Model, row: Row) -> list[int]:
    """Returns the tokens of the ``prompt`` or ``messages`` of a row or body."""
    prompt, messages = row.get("prompt"), row.get("messages")
    if isinstance(prompt, str):
        return model.tokenizer.encode(prompt)
    if isinstance(messages, Iterable) and not isinstance(messages, (str, Mapping)):
        present = [{k: v for k, v in message.items() if v is not None} for message in messages]
        ids: list[int] = model.tokenizer.apply_chat_template(present, add_generation_prompt=True)
        return ids
    raise ValueError("prompt: the row has neither a text in 'prompt' nor a list in 'messages'")


#: Fields of OpenAI's bodies that are options of the same meaning.
SAME = ("temperature", "top_p", "top_k", "min_p", "presence_penalty", "frequency_penalty", "stop", "seed")
#: Fields of OpenAI's bodies that change no text here.
IGNORED = ("model", "user", "metadata", "store", "service_tier", "stream")


def of_body(model: Model, row: Row) -> Task:
    """Returns what a row in OpenAI's batch format asks for."""
    if row.get("url") not in ("/v1/chat/completions", "/v1/completions"):
        raise ValueError(f"url: {row.get('url')!r} is not known; use /v1/chat/completions or /v1/completions")
    body = row["body"]
    if not isinstance(body, Mapping):
        raise ValueError("body: it is not an object")
    task = Task(prompt_of(model, body))
    for name, value in body.items():
        if value is None or name in ("prompt", "messages", *IGNORED):
            continue
        if name in ("max_tokens", "max_completion_tokens"):
            task.max_new_tokens = whole(name, value)
        elif name in SAME:
            task.options[name] = value  # type: ignore[literal-required]
        elif name == "logit_bias" and isinstance(value, Mapping):
            task.options["logit_bias"] = {int(token): float(bias) for token, bias in value.items()}
        elif name == "response_format" and isinstance(value, Mapping):
            task.options = cast(Options, {**task.options, **format_of(value)})
        elif name != "n" or value != 1:
            raise ValueError(f"{name}: batches do not support it; leave it out")
    return task


def whole(name: str, value: object) -> int:
    """Returns a whole number."""
    if not isinstance(value, int) or value < 0:
        raise ValueError(f"{name}: {value!r} is out of range; use a whole number from 0")
    return value


def format_of(asked: Mapping[str, object]) -> Options:
    """Returns the grammar of a ``response_format``."""
    kind, schema = asked.get("type"), asked.get("json_schema")
    if kind == "text":
        return {}
    if kind == "json_object":
        return {"json_object": True}
    if kind == "json_schema" and isinstance(schema, Mapping) and isinstance(schema.get("schema"), Mapping):
        return {"json_schema": cast(Mapping[str, object], schema["schema"])}
    raise ValueError("response_format: it is neither text, json_object nor json_schema with a schema")


def response(row: Row, answer: Answer, model: str, created: int) -> dict[str, object]:
    """Returns the line of OpenAI's batch output for a row in its batch format."""
    name = id_of(row)
    digest = hashlib.blake2b(name.encode(), digest_size=12).hexdigest()
    outer: dict[str, object] = {"id": f"batch_req_{digest}", "custom_id": name, "response": None, "error": None}
    if answer.error is not None:
        fault = {"message": answer.error, "type": "invalid_request_error", "code": None}
        return {**outer, "response": {"status_code": 400, "request_id": digest, "body": {"error": fault}}}
    chat = row.get("url") == "/v1/chat/completions"
    said: dict[str, object] = {"message": {"role": "assistant", "content": answer.text}} if chat else {"text": answer.text}
    prompt, completion = answer.prompt_tokens or 0, answer.completion_tokens or 0
    body = {
        "id": f"{'chatcmpl' if chat else 'cmpl'}-{digest}",
        "object": "chat.completion" if chat else "text_completion",
        "created": created,
        "model": model,
        "choices": [{"index": 0, **said, "logprobs": None, "finish_reason": answer.finish_reason}],
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
        },
    }
    return {**outer, "response": {"status_code": 200, "request_id": digest, "body": body}}
