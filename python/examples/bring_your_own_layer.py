"""A ternary layer in a model of one's own: what it costs in accuracy, and what it saves in memory and time.

    python bring_your_own_layer.py [ROWS COLUMNS]
"""

import sys
import time
from collections.abc import Callable

import numpy as np

from tercet import TernaryLinear

# %% How large
rows, columns = (int(size) for size in sys.argv[1:3]) if len(sys.argv) > 2 else (2048, 2048)
random = np.random.default_rng(0)

# %% Any float matrix becomes a ternary one: the nearest of -1, 0 and 1, times the mean magnitude.
weights = random.standard_normal((rows, columns)).astype(np.float32)
layer = TernaryLinear.round(weights)
print(f"{layer}: {layer.nbytes / 1e6:.1f} MB instead of {weights.nbytes / 1e6:.1f} MB")

# %% Or bring trits that were trained, with one scale, or one for each row or group of a row.
trits = random.integers(-1, 2, (rows, columns), np.int8)
scales = random.random(rows).astype(np.float32)
trained = TernaryLinear(trits, scales)

# %% Inputs are rounded to int8, as BitNet's are; in the exact mode they need not be.
x = random.standard_normal((4, columns)).astype(np.float32)
exact = TernaryLinear(trits, scales, mode="exact", activations="f32")
truth = x @ (scales[:, None] * trits).T
for name, output in (("fast", trained(x)), ("exact", exact(x))):
    print(f"{name:<6} mean |difference| {np.abs(output - truth).mean() / np.abs(truth).mean():.2e} of the mean output")


# %% How fast
def seconds(call: Callable[[], object], repeat: int = 20) -> float:
    """The least time of a call."""
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


ours, numpys = seconds(lambda: layer(x[0])), seconds(lambda: weights @ x[0])
print(f"one row: {1e6 * ours:.0f} µs, in numpy's float32 {1e6 * numpys:.0f} µs")
