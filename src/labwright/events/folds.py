"""Folds by event: who trains on an event, who picks its best epoch on it, who scores it; and the proof that nobody does both.

A fold is a function of (run, lumi, event) alone, so that the same event lies in the same fold in whatever file, pack or year it
is met, and a model can be asked years later whether it has seen an event.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labwright.events.identity import Identity, draw, groups
from labwright.events.intervals import intervals
from labwright.events.train_options import FoldOptions, TrainOptions
from labwright.runs.errors import DataError, FaultError

TRAIN, VALIDATE, TEST = 0, 1, 2
USUAL_WORD: str = FoldOptions().seed
ROLES = ("train", "validate", "test")
RULES = {
    "modulo": "event modulo k",
    "random": "(w*k) >> 32 with w the first word of Philox4x32-10, counter (event low, event high, lumi, run), "
    'key the first eight bytes, little endian, of SHA-256 of the JSON text ["fold", seed, offset]',
}
"""How a fold is found, in words; goes with every exported model."""


@dataclass(frozen=True)
class Folding:
    """One way to deal events into ``k`` folds."""

    kind: str
    k: int
    offset: int = 0
    """Number of the random folding; 0 for ``modulo``, of which there is but one."""
    seed: str = "fold"
    test: bool = False
    """Whether a model's score is for a fold that did not pick its best epoch either."""

    @property
    def name(self) -> str:
        """``modulo3``, ``random3.1``, ``random3.1.word`` of another word than the usual one; fit for the name of a file."""
        if self.kind != "random":
            return f"{self.kind}{self.k}"
        word = self.seed if re.fullmatch(r"\w{1,32}", self.seed, re.ASCII) else hashlib.sha256(self.seed.encode()).hexdigest()[:8]
        return f"{self.kind}{self.k}.{self.offset}" + ("" if self.seed == USUAL_WORD else f".{word}")


@dataclass(frozen=True)
class Member:
    """One model: it scores the events of ``fold``."""

    folding: Folding
    fold: int
    seed: int

    @property
    def name(self) -> str:
        """``modulo3-f0-s0``, ``random3.1-f2-s0``."""
        return f"{self.folding.name}-f{self.fold}-s{self.seed}"

    @property
    def roles_of_folds(self) -> NDArray[np.int8]:
        """What it does with the events of each fold, int8 (k,)."""
        found = np.full(self.folding.k, TRAIN, np.int8)
        found[self.fold] = VALIDATE
        if self.folding.test:
            found[[self.fold, (self.fold + 1) % self.folding.k]] = TEST, VALIDATE
        return found

    @property
    def scoring(self) -> int:
        """The role of the events that its score is for."""
        return TEST if self.folding.test else VALIDATE

    @property
    def seeing(self) -> tuple[int, ...]:
        """The roles of the events that had a say in it; with a test fold also those that picked the best epoch."""
        return (TRAIN, VALIDATE) if self.folding.test else (TRAIN,)

    def as_json(self) -> dict[str, Any]:
        """All that tells which events it has seen; ``member`` reads it."""
        return {
            "name": self.name,
            "folding": {**asdict(self.folding), "rule": RULES[self.folding.kind]},
            "fold": self.fold,
            "seed": self.seed,
        }


def member(described: dict[str, Any]) -> Member:
    """The member that :meth:`Member.as_json` describes; KeyError or TypeError where it is none."""
    folding = {name: value for name, value in described["folding"].items() if name != "rule"}
    return Member(Folding(**folding), int(described["fold"]), int(described["seed"]))


def members(options: TrainOptions) -> list[Member]:
    """The models to train: foldings × folds × seeds."""
    return [Member(folding, fold, seed) for folding, fold in _folds(options.folds) for seed in intervals(options.seeds)]


def _folds(options: FoldOptions) -> Iterator[tuple[Folding, int]]:
    numbers = intervals(options.offsets)
    if options.kind == "modulo":
        yield from ((Folding("modulo", options.k, test=options.test), fold) for fold in numbers)
    else:
        foldings = (Folding("random", options.k, offset, options.seed, options.test) for offset in numbers)
        yield from ((folding, fold) for folding in foldings for fold in range(options.k))


def fold_of(identity: Identity, folding: Folding) -> NDArray[np.int8]:
    """The fold of each event, int8 (N,), 0 to k − 1."""
    if folding.kind == "modulo":
        return (identity.event % np.uint64(folding.k)).astype(np.int8)
    # The high half of the product spreads 2**32 numbers over k folds evenly to 1 in 2**32 / k.
    scaled = draw(identity, "fold", folding.seed, folding.offset).astype(np.uint64) * np.uint64(folding.k)
    return (scaled >> np.uint64(32)).astype(np.int8)


def roles(one: Member, identity: Identity) -> NDArray[np.int8]:
    """What a model does with each event, int8 (N,): ``TRAIN``, ``VALIDATE`` or ``TEST``."""
    return one.roles_of_folds[fold_of(identity, one.folding)]


def scored(one: Member, identity: Identity) -> NDArray[np.bool_]:
    """The events that a model's score is for, bool (N,)."""
    found: NDArray[np.bool_] = roles(one, identity) == one.scoring
    return found


def prove(
    models: Sequence[Member], identity: Identity, label: NDArray[np.uint8] | None = None, classes: Sequence[str] = ()
) -> dict[str, Any]:
    """Show on the events themselves that no model scores what it has seen, and tell of it as JSON (``output/folds.json``).

    For each folding and seed: all copies of an event lie in one fold; of the events that a model scores it has trained on none,
    in no copy; no event is scored by two models; it is scored by one unless the model for its fold is not among ``models``,
    which are then counted as ``unscored``.

    Args:
        models: that are trained.
        identity: of the N events.
        label: class of each, uint8 (N,), ``len(classes)`` or more for none.
        classes: their names.

    Raises:
        FaultError: it is not so.
        DataError: a model would train on, or be judged on, no event of a class.
    """
    same = groups(identity)
    distinct = int(same.max(initial=-1)) + 1
    rows, foldings = [], []
    for folding in dict.fromkeys(one.folding for one in models):
        fold = fold_of(identity, folding)
        of_group = np.empty(distinct, np.int8)
        of_group[same] = fold
        if (apart := of_group[same] != fold).any():
            raise _leak(f"{folding.name} puts copies of one event into several folds", identity, apart)
        mine = [one for one in models if one.folding == folding]
        for seed in dict.fromkeys(one.seed for one in mine):
            count = np.zeros(len(fold), np.int16)
            for one in (one for one in mine if one.seed == seed):
                role = one.roles_of_folds[fold]
                seen = np.zeros(distinct, bool)
                seen[same[np.isin(role, one.seeing)]] = True
                if (leaked := seen[same] & (role == one.scoring)).any():
                    raise _leak(f"{one.name} scores what it has seen", identity, leaked)
                count += role == one.scoring
                rows.append({**one.as_json(), "events": _counts(one, role, label, classes)})
            if (count > 1).any():
                raise _leak(f"two models of {folding.name} score the same event", identity, count > 1)
        sizes = np.bincount(fold, minlength=folding.k).tolist()
        foldings.append({"name": folding.name, "sizes": sizes, "unscored": int(np.count_nonzero(count == 0))})
    told = "Every event is scored by exactly one model of each folding and seed, less those unscored, and never by one that saw it."
    return {"proof": told, "events": len(same), "distinct": distinct, "foldings": foldings, "members": rows}


def _counts(one: Member, role: NDArray[np.int8], label: NDArray[np.uint8] | None, classes: Sequence[str]) -> dict[str, Any]:
    """Events by role, of each class where there are classes."""
    if label is None:
        return {name: int(np.count_nonzero(role == number)) for number, name in enumerate(ROLES)}
    counts = {
        name: np.bincount(label[(role == number) & (label < len(classes))], minlength=len(classes)) for number, name in enumerate(ROLES)
    }
    for name in ("train", "validate", *(("test",) if one.folding.test else ())):
        for number, events in enumerate(counts[name].tolist()):
            if not events:
                raise DataError(
                    f"{one.name} has no event of class {classes[number]} to {name} on",
                    where="train.folds",
                    todo="Take fewer folds, another train.folds.kind, or more events.",
                )
    return {name: dict(zip(classes, events.tolist(), strict=True)) for name, events in counts.items()}


def _leak(what: str, identity: Identity, where: NDArray[np.bool_]) -> FaultError:
    first = int(np.argmax(where))
    run, lumi, event = (int(column[first]) for column in identity)
    return FaultError(
        f"{what}: {np.count_nonzero(where):,} events, the first is run {run}, lumi {lumi}, event {event}",
        where="folds",
        todo="This is a fault of Labwright; please tell its developers.",
    )
