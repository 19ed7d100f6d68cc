"""The ``tercet`` command, as ``python -m tercet``."""

import signal
import sys

from ._tercet import command


def main() -> int:
    """Runs the command with this process's arguments; its exit status."""
    # Python's handler waits for Python code to run, and there is none until the command has ended.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return command(["tercet", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
