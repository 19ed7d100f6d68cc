"""One micro-kernel: its code, its results and its speed."""

from __future__ import annotations

from typing import Literal, Optional, Union

import numpy as np
import numpy.typing as npt

from . import _tercet

#: Sums as they are stored: whole numbers, or floats by the epilogue ``f32``.
Sums = Union[npt.NDArray[np.int32], npt.NDArray[np.float32]]


class Kernel:
    """A ternary micro-kernel. It is emitted on any CPU, and runs on CPUs with its instruction set.

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
        """Emits the kernel. Arguments that are None are planned for this CPU and ``tokens`` tokens.

        ``isa`` may also be the full name of a kernel, such as
        ``avx512-vnni/2bit/x4/m1n64u2/planes/p8192/i32``. ``tercet dump --help`` explains its parts.
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
        """The full name. It determines the code."""
        return self._native.name

    @property
    def isa(self) -> str:
        """The instruction set."""
        return self._native.parts[0]

    @property
    def packing(self) -> str:
        """The packing of the weights: ``2bit`` or ``1.6bit``."""
        return self._native.parts[1]

    @property
    def tile(self) -> str:
        """The register tile: tokens, rows, and steps over k in one iteration of the loop."""
        return self._native.parts[2]

    @property
    def unpack(self) -> str:
        """The strategy that unpacks bytes into operands."""
        return self._native.parts[3]

    @property
    def epilogue(self) -> str:
        """The type of the stored sums: ``i32``, or ``f32`` after a conversion."""
        return self._native.parts[4]

    @property
    def runs_here(self) -> bool:
        """True if this CPU can run the kernel."""
        return self._native.runs_here

    @property
    def code(self) -> Optional[bytes]:
        """The machine code. None for the portable family: its code is compiled Rust."""
        return self._native.code

    def disassemble(self) -> str:
        """Returns the annotated listing that ``tercet dump`` prints."""
        return self._native.disassemble()

    def loop_mix(self) -> dict[str, int]:
        """Counts the instructions in one iteration of the loop over k, by kind."""
        return self._native.loop_mix()

    def __call__(self, weights: npt.ArrayLike, activations: npt.ArrayLike) -> Sums:
        """Returns ``activations @ weights.T``, exactly.

        ``weights`` are n × k numbers -1, 0 and 1. ``activations`` are one row or m rows of k numbers
        that fit int8.
        """
        acts = _int8("activations", activations)
        if acts.ndim == 1:
            product: Sums = self._sums(weights, acts[None, :])[0]
            return product
        return self._sums(weights, acts)

    def _sums(self, weights: npt.ArrayLike, acts: npt.NDArray[np.int8]) -> Sums:
        return self._native.sums(_int8("weights", weights), acts)

    def time(self, n: int, k: int, m: int = 1, *, threads: int = 1, budget: float = 0.2) -> float:
        """Returns the seconds of the fastest product of n × k weights with m tokens.

        The weights come from memory, not from a cache. Measures for about ``budget`` seconds.
        """
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
