"""Which jets make a four-jet event, and in which places they go. Pure functions of padded arrays."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from labwright.events.physics.four_vectors import Real
from labwright.events.table import PADDING

Mask = NDArray[np.bool_]
CANDIDATES = 4


class Jets(NamedTuple):
    """Jets of N events in W places each; where ``there`` is false the numbers mean nothing."""

    pt: Real
    eta: Real
    phi: Real
    mass: Real
    there: Mask
    tag: Real | None = None
    """b tag, greater is more b-like; None where the file has none."""
    factor: Real | None = None
    """Factor on pt and mass of a candidate, from the b-jet regression."""

    def take(self, rows: NDArray[Any]) -> Jets:
        return Jets._make(None if array is None else array[rows] for array in self)


class Selection(NamedTuple):
    """Result of ``select`` for N events with W places."""

    order: NDArray[np.int64]
    """(N, W) places of the jets: the selected ones by falling b tag, then the others."""
    selected: Mask
    """(N, W)."""
    enough: Mask
    """(N,), whether there are four selected jets."""
    n_selected: NDArray[np.int64]
    n_tagged: NDArray[np.int64]

    @property
    def four(self) -> NDArray[np.int64]:
        """(N, 4) places of the candidates, by falling b tag; meaningless where ``enough`` is false."""
        return self.order[:, :CANDIDATES]


def select(jets: Jets, min_pt_gev: float = 40.0, max_abs_eta: float = 2.4, b_threshold: float = 0.6) -> Selection:
    """The four selected jets with the highest b tag.

    A jet is selected with pt ≥ ``min_pt_gev`` and |η| ≤ ``max_abs_eta`` (40 GeV and 2.4 in CMS HIG-22-011, arXiv:2403.20241).
    Where tags are equal, or there is none, the greater pt goes first.
    """
    selected = jets.there & (jets.pt >= min_pt_gev) & (np.abs(jets.eta) <= max_abs_eta)
    tag = np.zeros_like(jets.pt) if jets.tag is None else np.where(np.isfinite(jets.tag), jets.tag, -np.inf)
    order = np.lexsort((-jets.pt, -tag, ~selected))
    tagged = selected & (tag >= b_threshold) if jets.tag is not None else np.zeros_like(selected)
    count = selected.sum(axis=1)
    return Selection(order, selected, count >= CANDIDATES, count, tagged.sum(axis=1))


def candidates(jets: Jets, selection: Selection) -> NDArray[np.float32]:
    """float32 (N, 4, 4): pt, eta, phi, mass of the four, after the regression, by falling pt."""
    factor = np.ones_like(jets.pt) if jets.factor is None else jets.factor
    columns = (jets.pt * factor, jets.eta, jets.phi, jets.mass * factor)
    four = np.stack([np.take_along_axis(column, selection.four, axis=1) for column in columns], axis=-1)
    order = np.argsort(-four[..., 0], axis=1, kind="stable")
    return np.take_along_axis(four, order[..., None], axis=1).astype(np.float32)


def others(jets: Jets, selection: Selection, max_others: int = 8, min_pt_gev: float = 0.0) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The jets beside the four, by falling pt.

    Args:
        max_others: places; jets of least pt find none where there are more.
        min_pt_gev: jets below are no jets at all here.

    Returns:
        float32 (N, max_others, 5): pt, eta, phi, mass, is_selected; empty places are 0, 0, 0, 0, ``PADDING``.
        int64 (N,): jets that found no place.
    """
    left = jets.there & (jets.pt >= min_pt_gev)
    np.put_along_axis(left, selection.four, False, axis=1)
    order = np.lexsort((-jets.pt, ~left))[:, :max_others]
    columns = (jets.pt, jets.eta, jets.phi, jets.mass, selection.selected)
    found = np.stack([np.take_along_axis(column, order, axis=1).astype(np.float64) for column in columns], axis=-1)
    found[~np.take_along_axis(left, order, axis=1)] = EMPTY
    places = np.tile(EMPTY, (len(found), max_others, 1))
    places[:, : found.shape[1]] = found
    return places.astype(np.float32), np.maximum(left.sum(axis=1) - max_others, 0)


EMPTY = np.array([0.0, 0.0, 0.0, 0.0, PADDING])
