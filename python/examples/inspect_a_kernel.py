"""Shows the code of one kernel, checks its results, and compares its speed with numpy and plain Rust.

Draws a plot if matplotlib is installed.

    python inspect_a_kernel.py [KERNEL]          # such as avx2/2bit/x1/m1n16u1/shift/p0/i32
"""

import sys
import time
from collections.abc import Callable

import numpy as np

from tercet import Kernel, cpu

# %% This machine
machine = cpu()
print(f"{machine.brand or machine.vendor}: {', '.join(machine.isas)}\n")

# %% The machine code of a kernel
kernel = Kernel(sys.argv[1] if len(sys.argv) > 1 else None)
listing = kernel.disassemble().splitlines()
print("\n".join(listing[:40]))
if len(listing) > 40:
    print(f"... and {len(listing) - 40} more lines")

# %% Compare its sums with numpy
random = np.random.default_rng(0)
weights = random.integers(-1, 2, (300, 500), np.int8)
activations = random.integers(-127, 128, 500, np.int8)
assert (kernel(weights, activations) == weights.astype(np.int32) @ activations.astype(np.int32)).all()
print(f"\n{kernel.name} agrees with numpy on every sum")


# %% Compare its time with numpy and with the reference
def best(call: Callable[[], object], budget: float) -> float:
    """Calls for ``budget`` seconds. Returns the time of the fastest call in seconds."""
    end, least = time.perf_counter() + budget, float("inf")
    while time.perf_counter() < end:
        start = time.perf_counter()
        call()
        least = min(least, time.perf_counter() - start)
    return least


reference = Kernel("portable", kernel.packing)
sizes = [256, 512, 1024, 2048]
times: dict[str, list[float]] = {kernel.name: [], "the reference (plain Rust)": [], "numpy, float32": []}
for size in sizes:
    floats = random.standard_normal((size, size)).astype(np.float32)
    vector = floats[0].copy()
    times[kernel.name].append(kernel.time(size, size, budget=0.1))
    times["the reference (plain Rust)"].append(reference.time(size, size, budget=0.1))
    times["numpy, float32"].append(best(lambda: floats @ vector, 0.1))

print(f"\n{'microseconds, size':<44}" + "".join(f"{size:>10}" for size in sizes))
for name, values in times.items():
    print(f"{name:<44}" + "".join(f"{1e6 * value:>10.1f}" for value in values))

# %% A plot
try:
    import matplotlib
except ImportError:
    print("\nmatplotlib is not installed: no plot")
else:
    matplotlib.use("Agg")
    from matplotlib import pyplot

    for name, values in times.items():
        rates = [size * size / value / 1e9 for size, value in zip(sizes, values)]
        pyplot.loglog(sizes, rates, marker="o", base=2, label=name)
    pyplot.xlabel("rows and columns of the matrix")
    pyplot.ylabel("billion multiply-adds per second")
    pyplot.title(f"One token on {machine.brand or machine.vendor}, one thread")
    pyplot.legend()
    pyplot.savefig("kernel.svg")
    print("\nkernel.svg shows it")
