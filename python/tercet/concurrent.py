"""Texts of many callers that grow together, in a thread of their own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from queue import Empty, SimpleQueue
from typing import Optional, Union

from . import _tercet
from .texts import Text

#: The end of a text: its result, or what ended it.
End = Union[_tercet.Generation, Exception]
#: Hears new text, and the end.
Listener = Callable[[str, Optional[End]], None]


class Caller:
    """One text of a batcher, and who listens to it."""

    def __init__(self, text: Text, listener: Listener) -> None:
        self.text = text
        self.listener = listener
        self.number: Optional[int] = None
        self.gone = False


class Batcher:
    """Runs the texts of all callers in one scheduler. Its thread ends when there is nothing to do."""

    #: Seconds that the thread waits for more.
    PATIENCE = 1.0

    def __init__(self, model: _tercet.Model) -> None:
        self._scheduler = model.scheduler(True)
        self._inbox: SimpleQueue[Caller] = SimpleQueue()
        self._callers: dict[int, Caller] = {}
        self._lock = threading.Lock()
        self._running = False

    def submit(self, text: Text, listener: Listener) -> Caller:
        """Adds a text. The listener is called in the batcher's thread."""
        caller = Caller(text, listener)
        self._tell(caller)
        return caller

    def leave(self, caller: Caller) -> None:
        """Ends a text, if it has not ended yet. Nobody listens any more."""
        caller.gone = True
        self._tell(caller)

    def _tell(self, caller: Caller) -> None:
        with self._lock:
            self._inbox.put(caller)
            if not self._running:
                self._running = True
                threading.Thread(target=self._run, name="tercet-batcher", daemon=True).start()

    def _run(self) -> None:
        try:
            self._serve()
        except Exception as error:
            with self._lock:
                self._running = False
            for caller in self._callers.values():
                caller.listener("", error)
            self._callers.clear()

    def _serve(self) -> None:
        while True:
            self._take(self.PATIENCE if self._scheduler.is_idle else 0)
            if not self._scheduler.is_idle:
                self._advance()
                continue
            with self._lock:
                if self._inbox.empty():
                    self._running = False
                    return

    def _take(self, wait: float) -> None:
        """Takes what callers want, and waits for the first for a while."""
        try:
            caller = self._inbox.get(timeout=wait) if wait else self._inbox.get_nowait()
            while True:
                self._heed(caller)
                caller = self._inbox.get_nowait()
        except Empty:
            return

    def _heed(self, caller: Caller) -> None:
        if caller.gone:
            if caller.number in self._callers:
                self._scheduler.cancel(caller.number)
        elif caller.number is None:
            text = caller.text
            caller.number = self._scheduler.submit(text.prompt, text.request, text.seed)
            self._callers[caller.number] = caller

    def _advance(self) -> None:
        for number, _, piece, ended in self._scheduler.round():
            caller = self._callers[number] if ended is None else self._callers.pop(number)
            if caller.gone:
                continue
            try:
                caller.listener(piece, ended)
            except RuntimeError:
                # The caller's event loop is closed.
                self._scheduler.cancel(number)


async def pieces(batcher: Batcher, text: Text) -> AsyncIterator[Union[str, _tercet.Generation]]:
    """Yields the pieces of a text, and at the end its result. A caller who leaves ends the text."""
    loop = asyncio.get_running_loop()
    news: asyncio.Queue[tuple[str, Optional[End]]] = asyncio.Queue()
    caller = batcher.submit(text, lambda piece, end: _post(loop, news, piece, end))
    try:
        while True:
            piece, end = await news.get()
            if piece:
                yield piece
            if isinstance(end, Exception):
                raise end
            if end is not None:
                yield end
                return
    finally:
        batcher.leave(caller)


def _post(
    loop: asyncio.AbstractEventLoop,
    news: asyncio.Queue[tuple[str, Optional[End]]],
    piece: str,
    end: Optional[End],
) -> None:
    loop.call_soon_threadsafe(news.put_nowait, (piece, end))
