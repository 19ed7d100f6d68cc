"""Puts a ternary layer into your own model, and measures its accuracy, memory and time.

    python bring_your_own_layer.py [ROWS COLUMNS]
"""

import sys
import time
from collections.abc import Callable

import numpy as np

from tercet import TernaryLinear

# %% The size of the matrix
rows, columns = (int(size) for size in sys.argv[1:3]) if len(sys.argv) > 2 else (2048, 2048)
random = np.random.default_rng(0)

# %% Round a float matrix: each weight becomes the nearest of -1, 0 and 1 times the mean magnitude
weights = random.standard_normal((rows, columns)).astype(np.float32)
layer = TernaryLinear.round(weights)
print(f"{layer}: {layer.nbytes / 1e6:.1f} MB instead of {weights.nbytes / 1e6:.1f} MB")

# %% Or use trained weights -1, 0 and 1, with one scale, or one for each row or group of columns
trits = random.integers(-1, 2, (rows, columns), np.int8)
scales = random.random(rows).astype(np.float32)
trained = TernaryLinear(trits, scales)

# %% The layer rounds its input to int8, as BitNet does. The exact mode can leave it unrounded.
x = random.standard_normal((4, columns)).astype(np.float32)
exact = TernaryLinear(trits, scales, mode="exact", activations="f32")
truth = x @ (scales[:, None] * trits).T
for name, output in (("fast", trained(x)), ("exact", exact(x))):
    print(f"{name:<6} mean |difference| {np.abs(output - truth).mean() / np.abs(truth).mean():.2e} of the mean output")


# %% The speed
def seconds(call: Callable[[], object], repeat: int = 20) -> float:
    """Returns the time of the fastest call in seconds."""
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


ours, numpys = seconds(lambda: layer(x[0])), seconds(lambda: weights @ x[0])
print(f"one row: {1e6 * ours:.0f} µs; numpy in float32: {1e6 * numpys:.0f} µs")
