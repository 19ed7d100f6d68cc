"""This machine: its CPU, options for its use, and tuning of kernels."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, Optional, TypedDict, Union, cast

from . import _tercet

if TYPE_CHECKING:
    from typing_extensions import Unpack


#: The modes of Tercet.
Mode = Literal["fast", "exact"]
#: The same modes, as Litespark-Inference calls them.
LitesparkMode = Literal["neon", "accelerate"]
LITESPARK_MODES = {"neon": "fast", "accelerate": "exact"}


class MachineOptions(TypedDict, total=False):
    """Options for the use of this machine. ``tercet generate --help`` explains them."""

    isa: Optional[str]
    threads: Optional[int]
    packing: Optional[Literal["2bit", "1.6bit"]]
    mode: Union[Mode, LitesparkMode, None]
    activations: Optional[Literal["int8", "f32"]]
    head: Optional[Literal["exact", "bf16", "int8"]]
    cache_type: Optional[Literal["f16", "f32", "q8"]]


class LoadOptions(MachineOptions, total=False):
    """Options of :func:`tercet.load_model`."""

    #: The most tokens of a prompt and its text together. Without it, the model's own limit holds.
    context: Optional[int]
    #: A smaller model with the same tokens, which makes drafts: a name or path, as for the model. It changes no text.
    draft_model: Union[str, os.PathLike[str], None]


def cpu() -> _tercet.Cpu:
    """Describes the CPU of this machine, with the instruction sets that kernels can use."""
    return _tercet.cpu()


def tune(
    model: Union[str, os.PathLike[str], None] = None,
    *,
    shapes: Optional[Sequence[tuple[int, int]]] = None,
    budget: float = 30.0,
    **options: Unpack[MachineOptions],
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


def tercet_mode(name: Optional[str]) -> Optional[Mode]:
    """Returns Tercet's mode for a mode name of Litespark-Inference. Other names stay as they are."""
    # The native half refuses unknown names.
    return None if name is None else cast(Mode, LITESPARK_MODES.get(name, name))


def machine_options(**options: Unpack[MachineOptions]) -> _tercet.MachineChoices:
    """Returns the options in the form that the native half reads."""
    for name in options:
        if name not in MachineOptions.__annotations__:
            raise TypeError(f"unexpected keyword argument {name!r}")
    return {
        "isa": options.get("isa"),
        "threads": options.get("threads"),
        "packing": options.get("packing"),
        "mode": tercet_mode(options.get("mode")),
        "activations": options.get("activations"),
        "head": options.get("head"),
        "cache_type": options.get("cache_type"),
    }
