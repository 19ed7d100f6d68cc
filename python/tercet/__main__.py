"""The ``tercet`` command, as ``python -m tercet``."""

import signal
import sys

from ._tercet import command


def main() -> int:
    """Runs the command with the arguments of this process, and returns its exit status."""
    # Python's own handler runs only between Python instructions: never while the command runs.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return command(["tercet", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
