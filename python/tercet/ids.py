"""Token ids in the forms that callers use: lists, numpy arrays and torch tensors."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Optional, Union, cast

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch
    from typing_extensions import TypeGuard

IdArray = npt.NDArray[np.int64]
#: One sequence or several: a list, a list of lists, or an array or tensor of one or two dimensions.
Ids = Union[Sequence[int], Sequence[Sequence[int]], npt.NDArray[np.integer[Any]], "torch.Tensor"]


def is_tensor(value: object) -> TypeGuard[torch.Tensor]:
    """Returns true if ``value`` is a torch tensor. Never imports torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def read(ids: Ids) -> tuple[list[list[int]], Callable[[list[list[int]], int], object]]:
    """Returns the sequences in ``ids``, and a function that gives other sequences the form of ``ids``.

    The function takes sequences and a padding token. It pads the rows of arrays and tensors on the
    right to the length of the longest row.
    """
    if is_tensor(ids):
        device = ids.device
        sequences, like = read(ids.detach().cpu().numpy())
        torch = sys.modules["torch"]
        return sequences, lambda made, pad: torch.from_numpy(like(made, pad)).to(device)
    if isinstance(ids, np.ndarray):
        if not np.issubdtype(ids.dtype, np.integer):
            raise TypeError(f"token ids must be whole numbers, not {ids.dtype}")
        if ids.ndim not in (1, 2):
            raise ValueError(f"token ids must have 1 or 2 dimensions, not {ids.ndim}")
        sequences = [checked(row) for row in np.atleast_2d(ids).tolist()]
        if ids.ndim == 1:
            return sequences, lambda made, pad: np.array(made[0], dtype=np.int64)
        return sequences, rectangle
    if isinstance(ids, (str, bytes)):
        raise TypeError("token ids must be numbers: encode the text first, or use BitNet.generate")
    given = list(ids)
    if given and not isinstance(given[0], (int, np.integer)):
        return [checked(row) for row in cast("list[Sequence[int]]", given)], lambda made, pad: made
    return [checked(cast("list[int]", given))], lambda made, pad: made[0]


def is_flat(ids: Ids) -> bool:
    """Returns true if ``ids`` is one sequence and not a list of sequences."""
    return np.ndim(ids[:1]) == 1


def masked(rows: list[list[int]], mask: Ids) -> list[list[int]]:
    """Returns the rows without the tokens where ``mask`` is 0."""
    kept, _ = read(mask)
    if [len(row) for row in kept] != [len(row) for row in rows]:
        raise ValueError("attention_mask: it has another shape than input_ids")
    return [[id for id, keeps in zip(*pair) if keeps] for pair in zip(rows, kept)]


def one(ids: Ids) -> list[int]:
    """Returns the only sequence in ``ids``."""
    sequences, _ = read(ids)
    if len(sequences) != 1:
        raise ValueError(f"one sequence is expected, not {len(sequences)}")
    return sequences[0]


def checked(row: Sequence[int]) -> list[int]:
    """Returns the ids as plain integers. Raises ValueError for a number that cannot be a token id."""
    ids = [int(i) for i in row]
    for i, given in zip(ids, row):
        if i != given or not 0 <= i < 1 << 32:
            raise ValueError(f"{given!r} is not a token id")
    return ids


def rectangle(sequences: list[list[int]], pad: int) -> IdArray:
    """Returns the sequences as rows of an array, padded on the right with ``pad``."""
    made = np.full((len(sequences), max(map(len, sequences), default=0)), pad, dtype=np.int64)
    for row, ids in zip(made, sequences):
        row[: len(ids)] = ids
    return made


def as_tensors(ids: list[int], kind: Optional[str]) -> object:
    """Returns the ids as a list, or as one row of a numpy array (``np``) or of a torch tensor (``pt``)."""
    if kind is None:
        return ids
    if kind not in ("np", "pt"):
        raise ValueError(f"return_tensors: {kind!r} is not known; use 'np', 'pt' or None")
    row = np.array([ids], dtype=np.int64)
    if kind == "np":
        return row
    try:
        import torch
    except ImportError as error:
        raise ImportError("return_tensors='pt' needs torch: install it, or use 'np'") from error
    return torch.from_numpy(row)
