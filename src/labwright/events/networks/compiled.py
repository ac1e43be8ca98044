"""Compiled loops for CPUs: how they are made, and which tensors they take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
from numpy.typing import NDArray
from torch import Tensor
from torch._C._functorch import is_functorch_wrapped_tensor


def compiled(function: Callable[..., None]) -> Callable[..., None]:
    """Compile on first use, and keep the code for the next process where there is a folder for it."""
    # Sums may be taken in any order, and so in vectors.
    options: dict[str, Any] = {"nogil": True, "fastmath": {"contract", "reassoc", "nsz"}}
    try:
        made: Callable[..., None] = numba.njit(cache=True, **options)(function)
    except RuntimeError:  # numba finds no folder that it can write
        made = numba.njit(**options)(function)
    return made


def looped(tensor: Tensor) -> bool:
    """Whether loops can have its memory: it lies on a CPU, and no transformation of functions is at work on it."""
    return tensor.device.type == "cpu" and not is_functorch_wrapped_tensor(tensor)


def array(tensor: Tensor, *shape: int) -> NDArray[Any]:
    """The memory of a tensor where it is contiguous, else a copy; in another shape if one is given."""
    made: NDArray[Any] = tensor.detach().contiguous().numpy()
    return made.reshape(shape) if shape else made
