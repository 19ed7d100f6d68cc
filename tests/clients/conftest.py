"""Official clients, in their strict modes, talk to `tercet serve` with the embedded model.

`TERCET` names the program. A strict client checks every answer against its vendor's types.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import Iterator

import pytest

PROGRAM = Path(__file__).parents[2] / "target" / "debug" / "tercet"
KEY = "sesame"
MODEL = "fairy-tales"
QUESTION = {"role": "user", "content": "Tell me a story"}


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """Starts a server on a free port and returns its address."""
    with tempfile.TemporaryDirectory(prefix="tercet-clients-") as cache:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("TERCET_")}
        process = subprocess.Popen(
            [os.environ.get("TERCET", PROGRAM), "serve", "--port", "0", "--api-key", KEY],
            env=environment | {"TERCET_CACHE_DIR": cache},
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        said = ""
        for line in process.stderr:
            said += line
            if address := re.search(r"http://[\w.:]+", line):
                # Later messages must not fill the pipe.
                threading.Thread(target=process.stderr.read, daemon=True).start()
                yield address[0]
                break
        else:
            pytest.fail(f"the server did not start: {said}")
        process.terminate()
        assert process.wait(timeout=60) == 0
