"""The command at a terminal."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Optional

import pytest

pty = pytest.importorskip("pty", reason="the system has no pseudo-terminals")

COMMAND = [sys.executable, "-m", "tercet"]
GREEDY = ["--greedy", "-n", "6"]


class Terminal:
    """A command with a terminal of its own."""

    def __init__(self, arguments: list[str], kind: str) -> None:
        self.output = ""
        self.status: Optional[int] = None
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            environment = {**os.environ, "TERM": kind, "TERCET_NO_TUNE": "1"}
            os.execvpe(COMMAND[0], [*COMMAND, *arguments], environment)

    def write(self, text: str) -> None:
        os.write(self.fd, text.encode())

    def wait_for(self, pattern: str, seconds: float = 30) -> None:
        """Reads until the pattern stands in the output after what was waited for before."""
        end = time.monotonic() + seconds
        while not (found := re.search(pattern, self.output, re.S)):
            assert time.monotonic() < end, f"no {pattern!r} in {self.output!r}"
            assert self.read(), f"no {pattern!r} at the end of {self.output!r}"
        self.output = self.output[found.end() :]

    def read(self) -> bool:
        if select.select([self.fd], [], [], 0.1)[0]:
            try:
                self.output += os.read(self.fd, 1 << 16).decode(errors="replace")
            except OSError:
                return False
        return True

    def end(self) -> int:
        """Reads to the end and returns the exit status."""
        end = time.monotonic() + 30
        while self.read():
            assert time.monotonic() < end, f"no end after {self.output!r}"
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@contextmanager
def at_terminal(*arguments: str, kind: str = "xterm") -> Iterator[Terminal]:
    terminal = Terminal(list(arguments), kind)
    yield terminal
    os.close(terminal.fd)


def test_lines_typed_ahead_are_all_taken() -> None:
    lines = "one\ntwo\nthree\n"
    piped = subprocess.run([*COMMAND, "chat", *GREEDY], input=lines, capture_output=True, text=True, check=True)
    replies = [reply for reply in piped.stdout.split("\n") if reply]
    assert len(replies) == 3
    with at_terminal("chat", "-m", "fairy-tales", *GREEDY) as chat:
        chat.write(lines)
        for reply in replies:
            chat.wait_for(re.escape(reply))
        chat.wait_for("> ")
        chat.write("\x04")
        assert chat.end() == 0


def test_ctrl_c_ends_the_reply_and_not_the_chat() -> None:
    with at_terminal("chat", "-m", "fairy-tales", "--ignore-eos", "--threads", "1", "--isa", "portable") as chat:
        chat.wait_for("> ")
        chat.write("Tell me a story\n")
        chat.wait_for("story.*\n.*[a-z]{3}")
        chat.write("\x03")
        time.sleep(0.03)
        chat.write("\x03")
        chat.wait_for("> ", 2)
        # A Ctrl-C at the prompt drops what is typed at once after it.
        time.sleep(0.5)
        chat.write("/reset\n/nonsense 1\n")
        chat.wait_for("there is no command /nonsense")
        chat.write("/quit\n")
        assert chat.end() == 0


@pytest.mark.parametrize(("kind", "status"), [("xterm", 0), ("dumb", 130)])
def test_ctrl_c_twice_at_the_prompt_leaves(kind: str, status: int) -> None:
    """A dumb terminal sends a signal where others send a key."""
    with at_terminal("chat", "-m", "fairy-tales", kind=kind) as chat:
        chat.wait_for("> ")
        chat.write("half a line\x03")
        chat.wait_for("once more" if kind == "dumb" else "once more.*> ")
        chat.write("\x03")
        assert chat.end() == status


def test_a_full_context_is_no_dead_end() -> None:
    with at_terminal("chat", "-m", "fairy-tales", "--context", "64", *GREEDY) as chat:
        chat.wait_for("> ")
        chat.write("Tell me a story about a king and a queen\n")
        chat.wait_for("queen.*\n.*\n.*> ")
        long = "a story about a long and dark night in the wood where the wolf lives"
        long += " and the old owl too and a small bird and a little mouse and a very big bad bear"
        chat.write(f"{long}\n")
        chat.wait_for("context holds 64: /drop 1 forgets the oldest of 1 turn.*--context N holds up to 512")
        chat.write("/drop\n")
        chat.wait_for("forgot 1 turn, 0 turns left")
        chat.write(f"{long}\n/quit\n")
        assert chat.end() == 0
        assert "context holds" not in chat.output


def test_control_characters_do_not_reach_the_terminal() -> None:
    prompt = "a\x1b]0;title\x07b\x9b31m\u202e"
    with at_terminal("generate", prompt, "-n", "1") as run:
        assert run.end() == 0
        assert "a␛]0;title␇b�31m�" in run.output and "\x1b]0" not in run.output
    with at_terminal("generate", prompt, "-n", "1", "--raw") as run:
        assert run.end() == 0
        assert prompt in run.output
    with at_terminal("info", "-m", "/no/such/\x1b[31mmodel") as run:
        assert run.end() == 2
        assert "no/such" in run.output and "\x1b[31m" not in run.output
    piped = subprocess.run([*COMMAND, "generate", prompt, "-n", "1"], capture_output=True, text=True, check=True)
    assert piped.stdout.startswith(prompt)
