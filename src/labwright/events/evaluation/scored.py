"""Packed events beside their scores, and which of them figures and plots may show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from labwright.events.packing.load import PackedEvents, load
from labwright.events.scoring.scores import Scores, open_scores, pack_of
from labwright.events.training.losses import BLIND
from labwright.runs.errors import DataError
from labwright.runs.run import Run


@dataclass(frozen=True)
class Scored:
    """N packed events with what models that never saw them say of them; row i of each is the same event.

    Args:
        packed: the events.
        scores: all columns of the scores.
        p: float32 (N, classes), probability of each class.
        label: uint8 (N,), 255 for events of no class.
        weight: float64 (N,).
        shown: bool (N,): of a class, with a score, and not blinded.
        compared: bool (N,), of those shown the ones of which each class is there: for FvT those outside of the signal region, where
            four-tag data are missing.
        counts: events in all, and those left out by the reason; what is blinded is in none of them, or its yield could be read off.
    """

    packed: PackedEvents
    scores: Scores
    p: NDArray[np.float32]
    label: NDArray[np.uint8]
    weight: NDArray[np.float64]
    shown: NDArray[np.bool_]
    compared: NDArray[np.bool_]
    counts: Mapping[str, int]

    @property
    def classes(self) -> tuple[str, ...]:
        return self.scores.classes

    def of_class(self, names: Sequence[str]) -> NDArray[np.bool_]:
        """Events of any of these classes, bool (N,)."""
        found: NDArray[np.bool_] = np.isin(self.label, [self.classes.index(name) for name in names])
        return found

    def share(self, names: Sequence[str]) -> NDArray[np.float64]:
        """The probability of any of these classes, (N,)."""
        found: NDArray[np.float64] = self.p[:, [self.classes.index(name) for name in names]].sum(axis=1, dtype=np.float64)
        return found


@lru_cache(maxsize=1)
def open_scored(folder: Path, unblind: bool = False) -> Scored:
    """The scores in a run folder of predict or merge, and the events they are for; read once by each process.

    Raises:
        MissingError: there are no scores, or their pack is gone.
        DataError: the scores are not those of this pack.
    """
    run = Run.open(folder)
    scores = open_scores(run)
    packed = load(pack_of(run))
    return joined(packed, scores, unblind)


def joined(packed: PackedEvents, scores: Scores, unblind: bool = False) -> Scored:
    """Events with their scores, row by row; ``unblind`` shows four-tag data of FvT's signal region too.

    Raises:
        DataError: the scores are not those of these events.
    """
    if scores.n != packed.n or scores.classes != packed.classes:
        raise DataError(
            f"there are scores of {scores.n:,} events and classes {', '.join(scores.classes)}; "
            f"the pack has {packed.n:,} and {', '.join(packed.classes)}",
            where=str(scores.run.folder),
            todo="Run predict again.",
        )
    p = np.stack([scores.columns[f"p_{name}"] for name in scores.classes], axis=1)
    label = packed.label.numpy()
    of_class, known = packed.labelled.numpy(), ~np.isnan(p).any(axis=1)
    blind = np.zeros(packed.n, bool)
    compared = np.ones(packed.n, bool)
    if scores.objective == "fvt":
        four_tag_data = packed.has("SR").numpy() & (label == packed.classes.index(BLIND))
        if not unblind:
            # A study may keep them out of every class.
            blind = four_tag_data | (packed.has("SR") & packed.has("four_tag") & ~packed.labelled).numpy()
        if not unblind or not four_tag_data.any():
            compared = ~packed.has("SR").numpy()
    shown = of_class & known & ~blind
    counts = {
        "events": int(np.count_nonzero(~blind)),
        "unlabelled": int(np.count_nonzero(~of_class & ~blind)),
        "unscored": int(np.count_nonzero(of_class & ~known & ~blind)),
        "shown": int(np.count_nonzero(shown)),
        "compared": int(np.count_nonzero(shown & compared)),
        "negative_weights": int(np.count_nonzero(shown & (packed.weight.numpy() < 0))),
    }
    return Scored(packed, scores, p, label, packed.weight.numpy().astype(np.float64), shown, compared & shown, counts)
