"""The models of several runs as one set: which they are, in what order, and why some runs do not go together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from labwright.data.findings import Finding
from labwright.events.findings import finding
from labwright.events.folds import Folding, Member
from labwright.events.scoring.scores import Scores, open_scores
from labwright.runs.run import Run
from labwright.study.messages import listed

PACK = "pack"
MOST_MODELS = 255
"""`n_models` is a number of eight bits."""


@dataclass(frozen=True)
class Union:
    """Runs whose scores are averaged.

    Args:
        scores: of the runs.
        members: each model once, in the order in which it counts, with the place of its run among ``scores``.
    """

    scores: tuple[Scores, ...]
    members: tuple[tuple[Member, int], ...]

    @property
    def n(self) -> int:
        return self.scores[0].n

    def trained(self) -> list[tuple[Folding, int]]:
        """The foldings and seeds: each has scored every event once."""
        return list(dict.fromkeys((one.folding, one.seed) for one, _ in self.members))

    def described(self) -> list[dict[str, Any]]:
        """The members as ``scores.json`` says them, with the training that each comes from."""
        told = [{one["name"]: one for one in scores.description["members"]} for scores in self.scores]
        return [told[place][one.name] for one, place in self.members]


def union(runs: Mapping[str, Run]) -> Union:
    """The models of all runs, in an order that does not depend on that of the runs."""
    scores = tuple(open_scores(run) for _, run in sorted(runs.items()))
    members = [(one, place) for place, some in enumerate(scores) for one in some.members]
    return Union(scores, tuple(sorted(members, key=lambda pair: _order(pair[0]))))


def objections(found: Union) -> Iterator[Finding]:
    """Why the runs cannot be merged, one finding for each reason."""
    first, *others = found.scores
    for other in others:
        if other.description[PACK]["fingerprint"] != first.description[PACK]["fingerprint"]:
            mine, its = (one.description[PACK]["run"] for one in (first, other))
            yield finding("EVT050", other.run.name, f"{first.run.name} scored the events of {mine}, {other.run.name} those of {its}")
        elif (other.objective, other.classes) != (first.objective, first.classes):
            told = [f"{one.run.name} has {one.objective} of {', '.join(one.classes)}" for one in (first, other)]
            yield finding("EVT051", other.run.name, "; ".join(told))
    yield from _twice(found)
    yield from _incomplete(found)
    if len(found.trained()) > MOST_MODELS:
        yield finding("EVT054", first.run.name, f"{len(found.trained())} models would score each event, more than {MOST_MODELS}")


def _twice(found: Union) -> Iterator[Finding]:
    owners: dict[tuple[Any, ...], list[tuple[Member, int]]] = {}
    for one, place in found.members:
        owners.setdefault(_order(one), []).append((one, place))
    clashes: dict[tuple[int, ...], list[str]] = {}
    for pairs in owners.values():
        if len(pairs) > 1:
            clashes.setdefault(tuple(sorted({place for _, place in pairs})), []).append(pairs[0][0].name)
    for places, names in clashes.items():
        runs = [found.scores[place].run.name for place in places]
        yield finding("EVT052", runs[-1], f"{listed(names, 4)} {'is' if len(names) == 1 else 'are'} in {listed(runs, 4)}")


def _incomplete(found: Union) -> Iterator[Finding]:
    for folding, seed in found.trained():
        there = {one.fold for one, _ in found.members if (one.folding, one.seed) == (folding, seed)}
        if missing := sorted(set(range(folding.k)) - there):
            owner = next(place for one, place in found.members if (one.folding, one.seed) == (folding, seed))
            text = f"fold {listed(map(str, missing), 6)} of {folding.k} of {folding.name}, seed {seed}, has no model in any run"
            yield finding("EVT053", found.scores[owner].run.name, text)


def _order(one: Member) -> tuple[Any, ...]:
    """What two models must not share; whether one of them keeps a test fold apart makes it no other model of these events."""
    folding = one.folding
    return folding.kind, folding.k, folding.seed if folding.kind == "random" else "", folding.offset, one.fold, one.seed
