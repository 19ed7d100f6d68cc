"""This machine: its CPU, options for its use, and tuning of kernels."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from typing import Any, Literal, Optional, Union, cast

from . import _tercet


def cpu() -> _tercet.Cpu:
    """Describes the CPU of this machine, with the instruction sets that kernels can use."""
    return _tercet.cpu()


def tune(
    model: Union[str, os.PathLike[str], None] = None,
    *,
    shapes: Optional[Sequence[tuple[int, int]]] = None,
    budget: float = 30.0,
    **options: Any,
) -> list[_tercet.Tuned]:
    """Finds the fastest kernels for the matrices of a model, or for matrices of the shapes (n, k).

    Takes about ``budget`` seconds. The winners are kept in the user's cache directory
    (``TERCET_CACHE_DIR``), and later loads use them. Tuning changes speed, never results. The options
    are those of :func:`tercet.load_model` for the machine.
    """
    found, not_kept = _tercet.tune(model, None if shapes is None else list(shapes), budget, machine_options(**options))
    if not_kept is not None:
        warnings.warn(f"the tuning is not kept: {not_kept}", RuntimeWarning, stacklevel=2)
    return found


#: The modes of Tercet.
Mode = Literal["fast", "exact"]
#: The same modes, as Litespark-Inference calls them.
LitesparkMode = Literal["neon", "accelerate"]
LITESPARK_MODES = {"neon": "fast", "accelerate": "exact"}


def tercet_mode(name: Optional[str]) -> Optional[Mode]:
    """Returns Tercet's mode for a mode name of Litespark-Inference. Other names stay as they are."""
    # The native half refuses unknown names.
    return None if name is None else cast(Mode, LITESPARK_MODES.get(name, name))


def machine_options(
    *,
    isa: Optional[str] = None,
    threads: Optional[int] = None,
    packing: Optional[Literal["2bit", "1.6bit"]] = None,
    mode: Optional[Mode] = None,
    activations: Optional[Literal["int8", "f32"]] = None,
    head: Optional[Literal["exact", "bf16", "int8"]] = None,
    cache_type: Optional[Literal["f16", "f32"]] = None,
) -> dict[str, Any]:
    """Returns the options in the form that the native half reads."""
    return {
        "isa": isa,
        "threads": threads,
        "packing": packing,
        "mode": mode,
        "activations": activations,
        "head": head,
        "cache_type": cache_type,
    }
