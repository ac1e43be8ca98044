"""Which runs go together, told before anything is read."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from labwright.events.folds import Folding, Member
from labwright.events.scoring.union import Union, objections, union


@dataclass
class Told:
    """As much of ``Scores`` as is looked at."""

    name: str
    members: tuple[Member, ...]
    objective: str = "svb"
    classes: tuple[str, ...] = ("B", "S")
    pack: str = "p"
    run: Any = None
    description: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.run = SimpleNamespace(name=self.name)
        self.description = {"pack": {"run": f"pack-{self.pack}", "fingerprint": self.pack}}


def whole(offset: int = 0, *, k: int = 2, kind: str = "random", seeds: int = 1, test: bool = False) -> tuple[Member, ...]:
    return tuple(Member(Folding(kind, k, offset, test=test), fold, seed) for seed in range(seeds) for fold in range(k))


def joined(*scores: Told) -> Union:
    members = [(one, place) for place, some in enumerate(scores) for one in some.members]
    return Union(scores, tuple(members))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([Told("a", whole(0)), Told("b", whole(1))], []),
        ([Told("a", whole(0)), Told("b", whole(0, k=3))], []),
        ([Told("a", whole(0)[:1]), Told("b", whole(0)[1:])], []),
        ([Told("a", whole(0)), Told("b", whole(0))], ["EVT052"]),
        ([Told("a", whole(0)), Told("b", whole(0, k=2, test=True))], ["EVT052"]),
        ([Told("a", whole(0)), Told("b", whole(1)[:1])], ["EVT053"]),
        ([Told("a", whole(0)), Told("b", whole(1), pack="other")], ["EVT050"]),
        ([Told("a", whole(0)), Told("b", whole(1), objective="fvt")], ["EVT051"]),
        ([Told("a", whole(0)), Told("b", whole(1), classes=("S", "B"))], ["EVT051"]),
        ([Told("a", whole(0, seeds=200)), Told("b", whole(1, seeds=200))], ["EVT054"]),
    ],
)
def test_runs_go_together_or_one_reason_says_why_not(scores: list[Told], expected: list[str]) -> None:
    assert [one.code for one in objections(joined(*scores))] == expected


def test_no_runs_have_no_models() -> None:
    assert union({}).members == ()


def test_other_events_are_told_in_a_sentence() -> None:
    (one,) = objections(joined(Told("a", whole(0)), Told("b", whole(1), pack="other")))
    assert one.text == "a scored the events of pack-p, b those of pack-other"
