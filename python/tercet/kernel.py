"""One micro-kernel, to be looked at, run and timed."""

from __future__ import annotations

from typing import Any, Literal, Optional

import numpy as np
import numpy.typing as npt

from . import _tercet


class Kernel:
    """A ternary micro-kernel, emitted for any instruction set, and run where the CPU has it.

    >>> kernel = Kernel("avx2", packing="2bit", tile="m4n16u1")
    >>> kernel(weights, activations)        # activations @ weights.T, in int32
    >>> print(kernel.disassemble())
    >>> kernel.time(2560, 2560)             # seconds
    """

    def __init__(
        self,
        isa: Optional[str] = None,
        packing: Optional[str] = None,
        tile: Optional[str] = None,
        *,
        unpack: Optional[str] = None,
        prefetch: Optional[int] = None,
        interleave: Optional[int] = None,
        epilogue: Literal["i32", "f32"] = "i32",
        tokens: Optional[int] = None,
    ) -> None:
        """What is not given is planned, for this CPU and for ``tokens`` tokens. isa may be a kernel's full name, such as
        ``avx512-vnni/2bit/x4/m1n64u2/planes/p8192/i32``; ``tercet dump --help`` explains its parts.
        """
        self._native = _tercet.Kernel(
            {
                "isa": isa,
                "packing": packing,
                "tile": tile,
                "unpack": unpack,
                "prefetch": prefetch,
                "interleave": interleave,
                "epilogue": epilogue,
                "tokens": tokens,
            }
        )

    @property
    def name(self) -> str:
        """The full name, which determines the code."""
        return self._native.name

    @property
    def isa(self) -> str:
        """The instruction set."""
        return self._native.parts[0]

    @property
    def packing(self) -> str:
        """How weights are packed."""
        return self._native.parts[1]

    @property
    def tile(self) -> str:
        """The register block: tokens, rows, and steps of k in a turn of the loop."""
        return self._native.parts[2]

    @property
    def unpack(self) -> str:
        """How packed bytes become operands."""
        return self._native.parts[3]

    @property
    def epilogue(self) -> str:
        """What is stored: ``i32`` sums, or these as ``f32``."""
        return self._native.parts[4]

    @property
    def runs_here(self) -> bool:
        """Whether this CPU can run it."""
        return self._native.runs_here

    @property
    def code(self) -> Optional[bytes]:
        """The machine code; none for the portable family, which is compiled."""
        return self._native.code

    def disassemble(self) -> str:
        """The annotated listing, as ``tercet dump`` prints it."""
        return self._native.disassemble()

    def loop_mix(self) -> dict[str, int]:
        """Instructions of a turn of the loop over k, by kind."""
        return self._native.loop_mix()

    def __call__(self, weights: npt.ArrayLike, activations: npt.ArrayLike) -> npt.NDArray[Any]:
        """activations @ weights.T, exactly: n × k weights of -1, 0 and 1, and one or m rows of k int8 activations."""
        acts = _int8("activations", activations)
        if acts.ndim == 1:
            product: npt.NDArray[Any] = self._sums(weights, acts[None, :])[0]
            return product
        return self._sums(weights, acts)

    def _sums(self, weights: npt.ArrayLike, acts: npt.NDArray[np.int8]) -> npt.NDArray[Any]:
        return self._native.sums(_int8("weights", weights), acts)

    def time(self, n: int, k: int, m: int = 1, *, threads: int = 1, budget: float = 0.2) -> float:
        """Seconds for a product of n × k weights, which no cache holds, with m tokens: the least within about budget seconds."""
        return self._native.time((n, k), m, threads, budget)

    def __repr__(self) -> str:
        return f"Kernel({self.name!r})"


def _int8(what: str, values: npt.ArrayLike) -> npt.NDArray[np.int8]:
    array = np.asarray(values)
    if not np.issubdtype(array.dtype, np.integer):
        raise TypeError(f"{what} must be whole numbers, not {array.dtype}")
    if array.dtype != np.int8 and array.size and not (-128 <= array.min() and array.max() <= 127):
        raise ValueError(f"{what} must be within -128 and 127")
    return np.ascontiguousarray(array, dtype=np.int8)
