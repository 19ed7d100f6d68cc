"""A ternary layer for models that are written in Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional, Union

import numpy as np
import numpy.typing as npt

from . import _tercet
from .machine import MachineOptions, machine_options

if TYPE_CHECKING:
    from typing_extensions import Unpack


class TernaryLinear:
    """Computes y = x Wᵀ for a ternary matrix W, with the kernels of Tercet's models.

    >>> layer = TernaryLinear(trits, scale=0.02)      # n × k of -1, 0 and 1
    >>> y = layer(x)                                  # rows of k floats to rows of n floats

    Each row of x is scaled by its largest magnitude and rounded to int8, as BitNet rounds activations.
    With ``mode="exact"`` and ``activations="f32"`` x is not rounded. Several threads may use one layer.
    """

    def __init__(
        self,
        weights: npt.ArrayLike,
        scale: Union[float, npt.ArrayLike] = 1.0,
        **options: Unpack[MachineOptions],
    ) -> None:
        """Packs n × k ``weights``: integers -1, 0 and 1.

        ``scale`` multiplies the weights. It is one number, one number for each row (n), or one number
        for each group of columns in a row (n × groups, groups of equal size). The options ``isa``,
        ``threads``, ``packing``, ``mode`` and ``activations`` are those of :func:`tercet.load_model`;
        ``mode`` is ``fast`` or ``exact``.
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
    def round(cls, weights: npt.ArrayLike, **options: Unpack[MachineOptions]) -> TernaryLinear:
        """Rounds n × k float ``weights`` and returns their layer.

        Each weight becomes the nearest of -1, 0 and 1 times the mean magnitude of all weights. BitNet
        rounds its weights in this way in training. The options are those of the constructor.
        """
        floats = np.ascontiguousarray(weights, dtype=np.float32)
        if floats.ndim != 2:
            raise ValueError(f"weights must have 2 dimensions, not {floats.ndim}")
        layer = cls.__new__(cls)
        layer._native = _tercet.TernaryLinear.round(floats, machine_options(**options))
        return layer

    @property
    def shape(self) -> tuple[int, int]:
        """The numbers of output and input features: n and k."""
        return self._native.shape

    @property
    def nbytes(self) -> int:
        """The size of the packed weights in bytes."""
        return self._native.nbytes

    @property
    def isa(self) -> str:
        """The instruction set of its kernels."""
        return self._native.isa

    def __call__(self, x: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Returns x Wᵀ in float32. The last dimension of x must be k; x may have more dimensions."""
        n, k = self.shape
        rows = np.ascontiguousarray(x, dtype=np.float32)
        if rows.ndim == 0 or rows.shape[-1] != k:
            raise ValueError(f"the last dimension of the input must be {k}: its shape is {rows.shape}")
        return self._native.forward(rows.reshape(-1, k)).reshape(*rows.shape[:-1], n)

    def __repr__(self) -> str:
        n, k = self.shape
        return f"TernaryLinear({n} × {k}, {self.isa})"


def _group_size(scales: npt.NDArray[np.float32], shape: tuple[int, ...]) -> Optional[int]:
    """Returns the number of columns that share a scale, or None if one scale serves all weights."""
    n, k = shape
    if scales.size == 1 and scales.ndim < 2:
        return None
    groups = scales.size // n if n else 0
    if scales.shape not in ((n,), (n, groups)) or not groups or k % groups:
        raise ValueError(f"scale has shape {scales.shape}; use one number, {n} or {n} × groups of equal size")
    return k // groups
