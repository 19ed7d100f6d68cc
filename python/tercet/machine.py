"""This machine: its CPU, how it is to be used, and the fastest kernels for it."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from typing import Any, Literal, Optional, Union

from . import _tercet


def cpu() -> _tercet.Cpu:
    """What is known of this machine's CPU, and which instruction sets kernels can be assembled for, the best first."""
    return _tercet.cpu()


def tune(
    model: Union[str, os.PathLike[str], None] = None,
    *,
    shapes: Optional[Sequence[tuple[int, int]]] = None,
    budget: float = 30.0,
    **options: Any,
) -> list[_tercet.Tuned]:
    """Lets kernels race for a model's matrices, or for matrices of the shapes (n, k), for about budget seconds.

    The winners are kept in the user's cache directory (``TERCET_CACHE_DIR``), and used by every model that is loaded from
    then on. Results never change.
    """
    found, not_kept = _tercet.tune(model, None if shapes is None else list(shapes), budget, machine_options(**options))
    if not_kept is not None:
        warnings.warn(f"the tuning is not kept: {not_kept}", RuntimeWarning, stacklevel=2)
    return found


def machine_options(
    *,
    isa: Optional[str] = None,
    threads: Optional[int] = None,
    packing: Optional[Literal["2bit", "1.6bit"]] = None,
    mode: Optional[Literal["fast", "exact", "neon", "accelerate"]] = None,
    activations: Optional[Literal["int8", "f32"]] = None,
    head: Optional[Literal["exact", "bf16", "int8"]] = None,
    cache_type: Optional[Literal["f16", "f32"]] = None,
) -> dict[str, Any]:
    """The options as the native half takes them."""
    return {
        "isa": isa,
        "threads": threads,
        "packing": packing,
        "mode": mode,
        "activations": activations,
        "head": head,
        "cache_type": cache_type,
    }
