"""A ternary layer for programs that have a model of their own."""

from __future__ import annotations

from typing import Any, Optional, Union

import numpy as np
import numpy.typing as npt

from . import _tercet
from .machine import machine_options


class TernaryLinear:
    """y = x Wᵀ for a ternary matrix W, as a model's layers compute it.

    >>> layer = TernaryLinear(trits, scale=0.02)      # n × k of -1, 0 and 1
    >>> y = layer(x)                                  # float rows of k, to rows of n

    Each row of x is rounded to int8 by its largest magnitude, as BitNet's activations are, unless ``mode="exact"`` and
    ``activations="f32"`` say not to. May be used by several threads at once.
    """

    def __init__(
        self,
        weights: npt.ArrayLike,
        scale: Union[float, npt.ArrayLike] = 1.0,
        **options: Any,
    ) -> None:
        """weights are n × k whole numbers, -1, 0 and 1. scale multiplies them: one number, or one for each row (n), or for
        each of the equal groups of a row (n × groups). The options are those of :func:`tercet.load_model` for the machine:
        ``isa``, ``threads``, ``packing``, ``mode``, ``activations``.
        """
        trits = np.asarray(weights)
        if trits.ndim != 2:
            raise ValueError(f"weights must have 2 dimensions, not {trits.ndim}")
        if not np.issubdtype(trits.dtype, np.integer):
            raise TypeError(f"weights must be -1, 0 and 1, not {trits.dtype}: TernaryLinear.round rounds floats")
        if trits.size and not (-1 <= trits.min() and trits.max() <= 1):
            raise ValueError("weights must be -1, 0 and 1")
        scales = np.asarray(scale, dtype=np.float32)
        self._native = _tercet.TernaryLinear.new(
            np.ascontiguousarray(trits, dtype=np.int8),
            scales.reshape(-1).tolist(),
            _group_size(scales, trits.shape),
            machine_options(**options),
        )

    @classmethod
    def round(cls, weights: npt.ArrayLike, **options: Any) -> TernaryLinear:
        """The layer of float weights, n × k, each rounded to the nearest of -1, 0 and 1 times their mean magnitude, as
        BitNet's are in training.
        """
        floats = np.ascontiguousarray(weights, dtype=np.float32)
        if floats.ndim != 2:
            raise ValueError(f"weights must have 2 dimensions, not {floats.ndim}")
        layer = cls.__new__(cls)
        layer._native = _tercet.TernaryLinear.round(floats, machine_options(**options))
        return layer

    @property
    def shape(self) -> tuple[int, int]:
        """Output and input features, n and k."""
        return self._native.shape

    @property
    def nbytes(self) -> int:
        """Bytes of the weights in memory."""
        return self._native.nbytes

    @property
    def isa(self) -> str:
        """The instruction set that its kernels were assembled for."""
        return self._native.isa

    def __call__(self, x: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """x Wᵀ in float32, for x of any number of dimensions, of which the last is k."""
        n, k = self.shape
        rows = np.ascontiguousarray(x, dtype=np.float32)
        if rows.ndim == 0 or rows.shape[-1] != k:
            raise ValueError(f"the last dimension of the input must be {k}: its shape is {rows.shape}")
        return self._native.forward(rows.reshape(-1, k)).reshape(*rows.shape[:-1], n)

    def __repr__(self) -> str:
        n, k = self.shape
        return f"TernaryLinear({n} × {k}, {self.isa})"


def _group_size(scales: npt.NDArray[np.float32], shape: tuple[int, ...]) -> Optional[int]:
    """How many columns share a scale; none if all weights do."""
    n, k = shape
    if scales.size == 1 and scales.ndim < 2:
        return None
    groups = scales.size // n if n else 0
    if scales.shape not in ((n,), (n, groups)) or not groups or k % groups:
        raise ValueError(f"scale has shape {scales.shape}; use one number, {n} or {n} × groups of equal size")
    return k // groups
