"""Texts that grow together."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Optional, Union

from . import _tercet

#: Takes the number of a text, its new tokens and its new text. Returns False to end it.
OnStep = Callable[[int, list[int], str], bool]


@dataclass(frozen=True)
class Text:
    """A prompt to continue."""

    prompt: list[int]
    request: _tercet.Request
    seed: int


def grow(
    model: _tercet.Model, texts: Iterable[Text], on_step: Optional[OnStep] = None
) -> list[Union[_tercet.Generation, Exception]]:
    """Continues all prompts in one scheduler. Each gets its result, or the exception that ended it."""
    scheduler = model.scheduler(False)
    places = {scheduler.submit(text.prompt, text.request, text.seed): i for i, text in enumerate(texts)}
    results: dict[int, Union[_tercet.Generation, Exception]] = {}
    while not scheduler.is_idle:
        for number, ids, text, ended in scheduler.round():
            place = places[number]
            if ended is not None:
                results[place] = ended
            elif on_step is not None and not on_step(place, ids, text):
                scheduler.cancel(number)
    return [results[place] for place in range(len(places))]


def all_made(results: Iterable[Union[_tercet.Generation, Exception]]) -> list[_tercet.Generation]:
    """Returns the results. Raises the first exception among them."""
    made = []
    for result in results:
        if isinstance(result, Exception):
            raise result
        made.append(result)
    return made
