"""Which classes are told from which, by what score, and how well."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from labwright.events.evaluation.scored import Scored
from labwright.events.metrics.auc import Auc, bootstrap, delong
from labwright.events.metrics.curves import Roc, roc, thinned, tpr_at
from labwright.events.recipe import EvaluateOptions
from labwright.events.training import losses
from labwright.runs.errors import StudyError
from labwright.study.messages import listed, nearest

Group = Literal["main", "one against the rest", "pairs of classes"]
RATES = (0.1, 0.01, 0.001)
"""Shares of the negatives at which it is told how many positives are kept."""
MOST_PAIRS_OF = 8
"""Classes; of more not every pair is told apart."""


class Contest(NamedTuple):
    """Two groups of classes. Events of others take no part, and their probabilities none in the score."""

    name: str
    positive: tuple[str, ...]
    negative: tuple[str, ...]
    group: Group = "main"

    @property
    def key(self) -> str:
        """As part of a figure's name: ``ZZ_vs_ZH``."""
        return self.name.replace(" ", "_")


class Outcome(NamedTuple):
    """How a contest went."""

    contest: Contest
    auc: Auc
    alike: Auc
    """With each event counted alike."""
    sums: tuple[float, float]
    """Of the weights of positives and negatives."""
    curve: Roc | None
    """Thinned."""
    curve_alike: Roc | None
    kept: tuple[float, ...]
    """Share of the positives at ``RATES``."""


def contests(objective: str, classes: Sequence[str], positive: Sequence[str] = ()) -> list[Contest]:
    """What is told apart, the most important first.

    ``svb``: signal from background, each signal from background, each class from the rest, each pair of classes. ``fvt``: four-tag from
    three-tag data, the same with top pairs, top pairs from data.

    Args:
        objective: ``svb`` or ``fvt``.
        classes: of the scores.
        positive: classes that count as signal, where not those that ``losses.signals`` finds.

    Raises:
        StudyError: a class of ``positive`` is not there, or nothing is left to tell it from.
    """
    if objective == "fvt":
        return list(_fvt(classes))
    wanted = list(positive) or [classes[number] for number in losses.signals(classes)] or [classes[-1]]
    for name in wanted:
        if name not in classes:
            near = nearest(name, classes)
            raise StudyError(
                f"there is no class {name!r}",
                where="evaluate.positive",
                todo=f"Did you mean {near!r}?" if near else f"There are {listed(classes)}.",
            )
    rest = [name for name in classes if name not in wanted]
    if not rest:
        raise StudyError("every class counts as signal", where="evaluate.positive", todo="Leave out those that are background.")
    found = [Contest("signal vs background", tuple(wanted), tuple(rest))]
    found += [Contest(f"{name} vs background", (name,), tuple(rest)) for name in wanted]
    found += [Contest(f"{name} vs rest", (name,), tuple(one for one in classes if one != name), "one against the rest") for name in classes]
    if len(classes) <= MOST_PAIRS_OF:
        pairs = itertools.combinations(sorted(classes, key=lambda name: name not in wanted), 2)
        found += [Contest(f"{one} vs {other}", (one,), (other,), "pairs of classes") for one, other in pairs]
    # With few classes several of these are one and the same.
    sides: dict[frozenset[frozenset[str]], Contest] = {}
    for one in found:
        sides.setdefault(frozenset((frozenset(one.positive), frozenset(one.negative))), one)
    return list(sides.values())


def _fvt(classes: Sequence[str]) -> Iterable[Contest]:
    yield Contest("data 4b vs data 3b", ("d4",), ("d3",))
    tops = [name for name in ("t4", "t3") if name in classes]
    if tops:
        four, three = (tuple(name for name in (f"d{tags}", f"t{tags}") if name in classes) for tags in (4, 3))
        yield Contest("4b vs 3b", four, three)
        yield Contest("ttbar vs data", tuple(tops), ("d4", "d3"))


def score(scored: Scored, contest: Contest) -> NDArray[np.float64]:
    """p(positive) / (p(positive) + p(negative)), (N,): what the probabilities say where it is one of these classes for certain."""
    one, other = scored.share(contest.positive), scored.share(contest.negative)
    found: NDArray[np.float64] = one / np.maximum(one + other, np.finfo(np.float64).tiny)
    return found


def play(scored: Scored, contest: Contest, options: EvaluateOptions, seed: int, among: NDArray[np.bool_] | None = None) -> Outcome:
    """Area with interval, ROC and rates of a contest.

    Args:
        scored: events and scores.
        contest: what is told from what.
        options: of evaluate.
        seed: of the bootstrap.
        among: bool (N,), only these events.
    """
    positive = scored.of_class(contest.positive)
    rows = np.flatnonzero(scored.compared & (positive | scored.of_class(contest.negative)) & (True if among is None else among))
    values = score(scored, contest)[rows]
    # Sorted once; all that follows sorts what is sorted, which takes no time.
    order = np.argsort(values, kind="stable")
    values, side, weight = values[order], positive[rows][order], scored.weight[rows][order]
    used = weight if options.weighted else None
    curve, alike = roc(values, side, used), roc(values, side) if options.weighted else None
    return Outcome(
        contest,
        area(values, side, used, options, seed),
        area(values, side, None, options, seed),
        (float(weight[side].sum()), float(weight[~side].sum())),
        thinned(curve) if curve else None,
        thinned(alike) if alike else None,
        tuple(tpr_at(curve, np.array(RATES)).tolist()) if curve else (math.nan,) * len(RATES),
    )


def area(
    values: NDArray[np.float64], side: NDArray[np.bool_], weight: NDArray[np.float64] | None, options: EvaluateOptions, seed: int
) -> Auc:
    """The area with the interval that the options ask for."""
    if options.interval == "delong":
        return delong(values, side, weight)
    return bootstrap(values, side, weight, resamples=options.bootstrap, seed=seed)


def as_json(outcome: Outcome) -> dict[str, Any]:
    """All of it as plain data; None for what is no number."""
    contest = outcome.contest
    told: dict[str, Any] = {"name": contest.name, "positive": list(contest.positive), "negative": list(contest.negative)}
    told |= {"group": contest.group, "sum_positive": outcome.sums[0], "sum_negative": outcome.sums[1]}
    for name, one in (("", outcome.auc), ("_unweighted", outcome.alike)):
        told |= {f"auc{name}": one.value, f"auc{name}_low": one.low, f"auc{name}_high": one.high}
    told |= {"positives": outcome.auc.positives, "negatives": outcome.auc.negatives, "negative_weights": outcome.auc.negative}
    told |= {f"kept_at_{rate:g}": share for rate, share in zip(RATES, outcome.kept, strict=True)}
    told |= {"bent_points": outcome.curve.bent if outcome.curve else 0, "bent_by": outcome.curve.moved if outcome.curve else 0.0}
    told["curve"] = points(outcome.curve) if outcome.curve else None
    found: dict[str, Any] = plain(told)
    return found


def points(curve: Roc) -> list[tuple[float, float]]:
    """(fpr, tpr), to five digits, which draw the same."""
    return [(float(f"{x:.5g}"), float(f"{y:.5g}")) for x, y in zip(curve.fpr.tolist(), curve.tpr.tolist(), strict=True)]


def plain(value: Any) -> Any:
    """The value with None in place of each NaN, which JSON has not."""
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
