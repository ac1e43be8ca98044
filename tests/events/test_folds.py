"""Each event is scored by one model that never saw it, and the same event lies in the same fold for ever."""

from __future__ import annotations

import itertools
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2, chi2_contingency

from labwright.events import folds
from labwright.events.folds import TEST, TRAIN, VALIDATE, Folding, Member, fold_of, member, members, prove, roles, scored
from labwright.events.identity import Identity
from labwright.events.train_options import TrainOptions
from labwright.runs.errors import DataError, FaultError


def events(count: int, start: int = 1, run: int = 1) -> Identity:
    """Events numbered in a row, as simulation does."""
    return Identity(
        np.full(count, run, np.uint32), np.arange(count, dtype=np.uint32) // 100, np.arange(start, start + count, dtype=np.uint64)
    )


def trained(**options: Any) -> list[Member]:
    return members(TrainOptions.model_validate({"folds": options}))


def test_folds_of_these_events_never_change() -> None:
    """Models in use hold folds by this rule: another rule would let them score what they have seen."""
    some = Identity(
        np.array([1, 1, 316_000, 362_760], np.uint32), np.array([1, 77, 12, 903], np.uint32), np.array([1, 2**40 + 5, 7, 2**63], np.uint64)
    )
    assert fold_of(some, Folding("random", 3)).tolist() == [2, 1, 0, 2]
    assert fold_of(some, Folding("random", 5, 4, "other")).tolist() == [0, 2, 4, 3]
    assert fold_of(some, Folding("modulo", 3)).tolist() == [1, 0, 1, 2]


@pytest.mark.parametrize("k", [2, 3, 5, 64])
def test_random_folds_are_even_for_events_numbered_in_a_row(k: int) -> None:
    found = fold_of(events(60_000), Folding("random", k, 3))
    counts = np.bincount(found, minlength=k)
    assert len(counts) == k
    assert chi2.sf(((counts - 60_000 / k) ** 2 / (60_000 / k)).sum(), k - 1) > 1e-4


def test_foldings_know_nothing_of_each_other() -> None:
    some = events(60_000)
    ways = [Folding("random", 3, offset) for offset in range(4)] + [Folding("random", 3, 0, "other"), Folding("modulo", 3)]
    for one, other in itertools.combinations(ways, 2):
        table = np.bincount(fold_of(some, one).astype(int) * 3 + fold_of(some, other), minlength=9).reshape(3, 3)
        assert chi2_contingency(table).pvalue > 1e-4, (one, other)


@pytest.mark.parametrize("column", ["run", "lumi", "event"])
def test_each_of_run_lumi_and_event_counts(column: str) -> None:
    some = events(30_000)
    other = some._replace(**{column: getattr(some, column) + 1})
    agreement = np.mean(fold_of(some, Folding("random", 3)) == fold_of(other, Folding("random", 3)))
    assert agreement == pytest.approx(1 / 3, abs=0.02)


def test_members_are_foldings_by_folds_by_seeds() -> None:
    names = [
        one.name for one in members(TrainOptions.model_validate({"folds": {"kind": "random", "k": 3, "offsets": "1-2"}, "seeds": "0 5"}))
    ]
    assert len(names) == len(set(names)) == 12
    assert names[:3] == ["random3.1-f0-s0", "random3.1-f0-s5", "random3.1-f1-s0"]
    assert [one.name for one in trained(kind="modulo", k=5, offsets="0 3")] == ["modulo5-f0-s0", "modulo5-f3-s0"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"kind": "modulo", "k": 3, "offsets": "0-3"}, "offset 3 is outside of k: 3 folds are numbered 0 to 2"),
        ({"k": 2, "test": True}, "needs k of 3 or more"),
        ({"offsets": "2-0"}, "runs backwards"),
    ],
)
def test_folds_that_cannot_be_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        trained(**options)


def test_a_member_survives_json() -> None:
    for one in (*trained(kind="random", k=4, offsets="2", test=True), *trained(kind="modulo", k=3, offsets="1")):
        assert member(json.loads(json.dumps(one.as_json()))) == one


identities = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 20)), min_size=1, max_size=60).map(
    lambda rows: Identity(*(np.array(column, kind) for column, kind in zip(zip(*rows, strict=True), ("u4", "u4", "u8"), strict=True)))
)


@given(identities, st.sampled_from(["modulo", "random"]), st.integers(3, 6), st.booleans())
def test_every_event_is_scored_once_by_a_model_that_never_saw_it(some: Identity, kind: str, k: int, test: bool) -> None:
    mine = trained(kind=kind, k=k, offsets=f"0-{k - 1}" if kind == "modulo" else "0", test=test)
    scores = np.array([scored(one, some) for one in mine])
    assert (scores.sum(axis=0) == 1).all()
    for one in mine:
        role = roles(one, some)
        assert set(role.tolist()) <= ({TRAIN, VALIDATE, TEST} if test else {TRAIN, VALIDATE})
        assert not (scored(one, some) & (role == TRAIN)).any()
        if test:
            assert not (scored(one, some) & (role == VALIDATE)).any(), "what picks the best epoch is not what is reported"
    told = prove(mine, some)
    assert [one["unscored"] for one in told["foldings"]] == [0]
    assert told["events"] == len(some.event)


def test_a_nested_test_fold_rotates() -> None:
    mine = trained(kind="modulo", k=4, offsets="0-3", test=True)
    assert [one.roles_of_folds.tolist() for one in mine] == [[2, 1, 0, 0], [0, 2, 1, 0], [0, 0, 2, 1], [1, 0, 0, 2]]


def test_folds_that_nobody_trains_are_counted_as_unscored() -> None:
    told = prove(trained(kind="modulo", k=3, offsets="0 1"), events(300))
    assert told["foldings"] == [{"name": "modulo3", "sizes": [100, 100, 100], "unscored": 100}]


def test_the_audit_counts_the_events_of_each_class() -> None:
    some = events(3000)
    label = (np.arange(3000) % 3).astype(np.uint8)
    label[label == 2] = 255
    told = prove(trained(), some, label, ["signal", "background"])
    rows = told["members"]
    assert [row["name"] for row in rows] == ["random3.0-f0-s0", "random3.0-f1-s0", "random3.0-f2-s0"]
    assert sum(row["events"]["validate"]["signal"] for row in rows) == 1000
    assert all(row["events"]["train"]["background"] + row["events"]["validate"]["background"] == 1000 for row in rows)
    assert json.loads(json.dumps(told)) == told


def test_a_class_that_a_model_would_never_see_is_told() -> None:
    some = events(30)
    label = np.zeros(30, np.uint8)
    label[4] = 1
    with pytest.raises(DataError, match=r"has no event of class signal to (train|validate) on"):
        prove(trained(), some, label, ["background", "signal"])


def test_the_proof_fails_where_folds_go_by_place_and_not_by_event(monkeypatch: pytest.MonkeyPatch) -> None:
    """Copies of an event would be trained on and scored."""
    some = events(30)
    copied = Identity(*(np.concatenate([column, column]) for column in some))
    monkeypatch.setattr(folds, "fold_of", lambda identity, folding: (np.arange(len(identity.event)) % 4 % 3).astype(np.int8))
    prove(trained(), some)
    with pytest.raises(FaultError, match="copies of one event into several folds"):
        prove(trained(), copied)


def test_the_proof_fails_where_two_models_score_one_event() -> None:
    mine = trained()
    with pytest.raises(FaultError, match=r"two models of random3\.0 score the same event"):
        prove([*mine, mine[0]], events(30))


def test_the_proof_fails_where_a_model_sees_what_it_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Member, "scoring", TRAIN)
    with pytest.raises(FaultError, match=r"scores what it has seen|two models"):
        prove(trained(test=True), events(30))
