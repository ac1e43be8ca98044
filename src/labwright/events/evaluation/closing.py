"""Closing FvT in a region: whether three-tag data weighted by it, with simulated four-tag top pairs added, look like four-tag data.

FvT = (p_d4 − p_t4) / p_d3, so that d4 ≈ FvT·d3 + t4 wherever FvT is right. The simulation is added to the model rather than taken off the
data: that is the same statement without negative weights.

Out-of-fold scores of the very events that were trained on are nearly, and not quite, independent of them: what fluctuates up in one fold is
learnt for the others. An independent sample is free of it.

A toy knows the ratio that FvT has to find; then FvT is graded event by event, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from labwright.events.evaluation.c2st import Difference, told_apart
from labwright.events.evaluation.truth import Grade, graded
from labwright.events.evaluation.variables import Shown, available, axis, columns, shown, variable
from labwright.events.metrics.agreement import Agreement, Side, agreements
from labwright.events.metrics.histograms import Axis, Histogram, histogram
from labwright.events.packing.load import PackedEvents
from labwright.runs.errors import DataError

FVT, TRUE = "FvT", "r_true"
SIGNAL = "SR"
QUANTILES = (0.01, 0.05, 0.5, 0.95, 0.99)
LARGE = 10.0
Real = NDArray[np.float64]
Rows = NDArray[np.int64]


class NoModel(DataError):
    """FvT makes no model of four-tag data: the weights add up to nothing or less."""


class Count(NamedTuple):
    """A class in a region."""

    name: str
    events: int
    total: float
    """Σw."""
    effective: float
    """(Σw)² / Σw²."""


class Tails(NamedTuple):
    """What FvT is like for three-tag data."""

    quantiles: Mapping[float, float]
    least: float
    greatest: float
    large: float
    """Share of the events above ``LARGE``."""
    negative: float
    """Share of the events below 0."""
    effective_before: float
    """(Σw)² / Σw² without FvT."""
    effective: float
    """With it."""


@dataclass(frozen=True)
class Drawn:
    """A variable's histograms."""

    shown: Shown
    axis: Axis
    data: Histogram
    """Four-tag data."""
    three: Histogram
    """Three-tag data, weighted by FvT."""
    top: Histogram
    """Simulated four-tag top pairs."""
    before: Histogram
    """Three-tag data without FvT, and top pairs."""


@dataclass(frozen=True)
class Closed:
    """The closure of a region."""

    region: str
    counts: tuple[Count, ...]
    ratio: float
    """Σw of four-tag data over that of the model."""
    ratio_sigma: float
    tails: Tails
    drawn: Mapping[str, Drawn]
    after: Mapping[str, Agreement]
    """By variable."""
    before: Mapping[str, Agreement]
    """With FvT = 1; no bootstrap."""
    difference: Difference
    difference_before: Difference
    """With FvT = 1."""
    difference_known: Difference | None
    """With the known ratio in place of FvT, where there is one: what the test says of these very events where nothing is wrong."""
    grade: Grade | None

    @property
    def chi2_per_ndf(self) -> float:
        """Of all variables together; they share events, so that this is no test of its own."""
        return sum(one.chi2 for one in self.after.values()) / max(1, sum(one.ndf for one in self.after.values()))


def closed(packed: PackedEvents, fvt: Real, region: str, names: Sequence[str], *, bins: int, resamples: int, seed: int) -> Closed | None:
    """The closure of a region; None where it has no four-tag or no three-tag data.

    Args:
        packed: N events of the classes d4 and d3, and t4 if there are top pairs.
        fvt: (N,); events where it is NaN stay out.
        region: a flag, ``SB``; events of the signal region are in no other region, since their four-tag data are to be seen there only.
        names: variables to judge; ``FvT`` and the known ratio, if there is one, are judged too.
        bins: of a variable.
        resamples: of the bootstrap, for p-values and for the spread of the classifier test.
        seed: of the bootstrap and of the classifier test.

    Raises:
        NoModel: the weights add up to nothing or less.
        StudyError: there is no such variable.
    """
    rows = _rows(packed, fvt, region)
    data, three, top = (rows.get(name, np.zeros(0, np.int64)) for name in ("d4", "d3", "t4"))
    if not (len(data) and len(three)):
        return None
    weight = packed.weight.numpy().astype(np.float64)
    model = np.concatenate([three, top])
    before = weight[model]
    truth = variable(TRUE, packed) if TRUE in columns(packed) else None

    def modelled(ratio: Real) -> Real:
        """Weights of the model; top pairs are in it as they are."""
        found: Real = before * np.concatenate([ratio[three], np.ones(len(top))])
        return found

    after = modelled(fvt)
    if not after.sum() > 0:
        raise NoModel(f"FvT makes the three-tag data of {region} add up to {after.sum():.4g}", where="FvT", todo="Look at the training.")
    drawn: dict[str, Drawn] = {}
    sides: dict[str, list[tuple[Side, Side]]] = {"after": [], "before": []}
    for name in dict.fromkeys([*names, FVT, *([TRUE] if truth is not None else [])]):
        values = fvt if name == FVT else variable(name, packed)
        known = shown(name, values[np.concatenate([data, model])])
        own = axis(known, bins)
        place = _place(own, values[model])
        data_side = Side(histogram([values[data]], [own], weight[data]), _place(own, values[data]), weight[data])
        of_before = histogram([values[model]], [own], before)
        sides["after"].append((data_side, Side(histogram([values[model]], [own], after), place, after)))
        sides["before"].append((data_side, Side(of_before, place, before)))
        of_three = histogram([values[three]], [own], after[: len(three)])
        drawn[name] = Drawn(known, own, data_side.filled, of_three, histogram([values[top]], [own], weight[top]), of_before)
    used = np.concatenate([data, model])
    features = _features(packed, used)
    first = np.arange(len(used)) < len(data)

    def tested(weights: Real) -> Difference:
        return told_apart(features, first, np.concatenate([weight[data], weights]), seed=seed, resamples=resamples)

    total, sigma = after.sum(), np.sqrt((weight[data] ** 2).sum() / weight[data].sum() ** 2 + (after**2).sum() / after.sum() ** 2)
    return Closed(
        region=region,
        counts=tuple(Count(name, len(own), float(weight[own].sum()), effective(weight[own])) for name, own in rows.items()),
        ratio=float(weight[data].sum() / total),
        ratio_sigma=float(sigma * weight[data].sum() / total),
        tails=tails(fvt[three], weight[three]),
        drawn=drawn,
        after=dict(zip(drawn, agreements(sides["after"], resamples=resamples, seed=seed), strict=True)),
        before=dict(zip(drawn, agreements(sides["before"]), strict=True)),
        difference=tested(after),
        difference_before=tested(before),
        difference_known=None if truth is None else tested(modelled(truth)),
        grade=against_truth(packed, fvt, region),
    )


def against_truth(packed: PackedEvents, fvt: Real, region: str) -> Grade | None:
    """FvT of the three-tag data of a region, graded by the known ratio, which takes no four-tag event; None where nobody knows it."""
    three = _rows(packed, fvt, region).get("d3", np.zeros(0, np.int64))
    if TRUE not in columns(packed) or not len(three):
        return None
    return graded(fvt[three], variable(TRUE, packed)[three], packed.weight.numpy()[three].astype(np.float64))


def tails(fvt: Real, weight: Real) -> Tails:
    """Of three-tag data, (n,) each, n at least 1; the weights are without FvT."""
    return Tails(
        quantiles=dict(zip(QUANTILES, np.quantile(fvt, QUANTILES).tolist(), strict=True)),
        least=float(fvt.min()),
        greatest=float(fvt.max()),
        large=float(np.mean(fvt > LARGE)),
        negative=float(np.mean(fvt < 0)),
        effective_before=effective(weight),
        effective=effective(weight * fvt),
    )


def effective(weight: Real) -> float:
    """(Σw)² / Σw², so many events of equal weight would be as precise; 0 for none."""
    squares = float(weight @ weight)
    return float(weight.sum() ** 2 / squares) if squares else 0.0


def _rows(packed: PackedEvents, fvt: Real, region: str) -> dict[str, Rows]:
    """By class, events of a region that have a score."""
    label, chosen = packed.label.numpy(), np.isfinite(fvt) & packed.has(region).numpy()
    if region != SIGNAL:
        # Flags of files may overlap.
        chosen &= ~packed.has(SIGNAL).numpy()
    return {name: np.flatnonzero(chosen & (label == number)) for number, name in enumerate(packed.classes)}


def _place(own: Axis, values: Real) -> Rows:
    found: Rows = own.place(torch.from_numpy(values)).numpy()
    return found


def _features(packed: PackedEvents, rows: Rows) -> Real:
    """What the classifier test sees: all variables of an event but the answer; those that some event lacks are left out."""
    values = (variable(name, packed)[rows] for name in available(packed) if name != TRUE)
    return np.stack([one for one in values if np.isfinite(one).all()], axis=1)
