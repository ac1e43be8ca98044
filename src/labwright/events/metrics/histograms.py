"""Weighted histograms in any number of dimensions, filled where the events lie, on a GPU as on a CPU.

Edges are those of the field's `hist`: a bin holds its lower edge and not its upper one, what is below the first edge or from the last
one on goes to the flow bins, and a value that is no number counts as overflow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Real = NDArray[np.float64]
CHUNK_EVENTS = 1 << 20
"""Events at once; the intermediate arrays are a few times as large."""


class Regular(NamedTuple):
    """``bins`` of equal width from ``low`` to ``high``."""

    bins: int
    low: float
    high: float

    @property
    def edges(self) -> Real:
        return np.linspace(self.low, self.high, self.bins + 1)

    def place(self, values: Tensor) -> Tensor:
        """0 for underflow, 1 to ``bins``, ``bins`` + 1 for overflow; int64, of the shape of ``values``."""
        # Divided before it is multiplied, as Boost.Histogram does, so that values on an edge fall to the same side.
        share = (values - self.low) / (self.high - self.low)
        inside = (share * self.bins).nan_to_num(nan=self.bins).clamp(-1, self.bins).floor()
        # A value right below the upper end may round up to it, as it does there; one right below 0 does not round into a bin.
        return torch.where(share < 0, -1.0, inside).long() + 1


class Variable(NamedTuple):
    """Bins between ``points``, which rise."""

    points: tuple[float, ...]

    @property
    def bins(self) -> int:
        return len(self.points) - 1

    @property
    def edges(self) -> Real:
        return np.array(self.points, np.float64)

    def place(self, values: Tensor) -> Tensor:
        """0 for underflow, 1 to ``bins``, ``bins`` + 1 for overflow; int64, of the shape of ``values``."""
        edges = torch.tensor(self.points, dtype=torch.float64, device=values.device)
        return torch.where(values.isnan(), len(self.points), torch.searchsorted(edges, values.contiguous(), right=True))


Axis = Regular | Variable


@dataclass(frozen=True)
class Histogram:
    """Sums over bins, flow bins included: axis i has ``axes[i].bins + 2`` entries, underflow first.

    Args:
        axes: of each dimension.
        sums: float64, Σw.
        squares: float64, Σw².
    """

    axes: tuple[Axis, ...]
    sums: Real
    squares: Real

    @property
    def values(self) -> Real:
        """Σw without the flow bins."""
        return self.sums[(slice(1, -1),) * len(self.axes)]

    @property
    def variances(self) -> Real:
        """Σw² without the flow bins."""
        return self.squares[(slice(1, -1),) * len(self.axes)]


def histogram(columns: Sequence[Any], axes: Sequence[Axis], weight: Any = None, *, chunk: int = CHUNK_EVENTS) -> Histogram:
    """Fill a histogram, in float64, where the first column lies.

    Args:
        columns: one for each axis, (N,) tensors or arrays of any real dtype.
        axes: of each dimension.
        weight: (N,); none counts events.
        chunk: events at once.
    """
    tensors = [torch.as_tensor(column) for column in columns]
    device = tensors[0].device
    weights = None if weight is None else torch.as_tensor(weight)
    shape = tuple(axis.bins + 2 for axis in axes)
    size = int(np.prod(shape))
    totals = torch.zeros(2, size, dtype=torch.float64, device=device)
    for start in range(0, len(tensors[0]), chunk):
        part = slice(start, start + chunk)
        flat = torch.zeros(len(tensors[0][part]), dtype=torch.int64, device=device)
        for axis, column in zip(axes, tensors, strict=True):
            flat = flat * (axis.bins + 2) + axis.place(column[part].to(device, torch.float64))
        if weights is None:
            totals += torch.bincount(flat, minlength=size)
        else:
            own = weights[part].to(device, torch.float64)
            totals[0] += torch.bincount(flat, own, size)
            totals[1] += torch.bincount(flat, own * own, size)
    sums, squares = totals.cpu().numpy().reshape(2, *shape)
    return Histogram(tuple(axes), sums, squares)
