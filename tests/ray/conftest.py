"""Ray for tests on a machine that does other things, too."""

import os

# Ray's workers give way to all other programs unless told otherwise, and may then take minutes to start.
os.environ.setdefault("RAY_worker_niceness", "0")
os.environ.setdefault("RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S", "60")
