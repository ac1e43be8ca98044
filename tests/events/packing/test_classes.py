"""Classes take what their tags and flags say, and weigh as they are told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labwright.events.findings import BadFile
from labwright.events.folds import Folding, fold_of
from labwright.events.identity import Identity
from labwright.events.pack_options import ClassOptions, PackOptions
from labwright.events.packing.classes import (
    AMBIGUOUS,
    HEAVY,
    KEPT,
    NONE,
    PRESCALED,
    UNCLAIMED,
    UNWEIGHED,
    Assigned,
    assigned,
    figures,
    normalised,
)
from labwright.events.table import BITS, EventTable

FILES = ("signal.root", "data.root", "top.root")
TAGS = (frozenset({"label:ggF", "kl:1", "year:UL18"}), frozenset({"label:data", "year:UL18"}), frozenset({"label:ttbar", "year:UL17"}))


def table(file: Any, flags: Any = 0, weight: Any = 1.0, **extra: Any) -> EventTable:
    """Events of these files, each argument an array or one value for all."""
    file = np.atleast_1d(np.asarray(file, np.uint16))
    count = len(file)
    full = {name: np.broadcast_to(np.asarray(value, float), count) for name, value in {"weight": weight, **extra}.items()}
    return EventTable(
        can_jets=np.zeros((count, 4, 4), np.float32),
        other_jets=np.zeros((count, 8, 5), np.float32),
        run=np.ones(count, np.uint32),
        lumi=np.arange(count, dtype=np.uint32) // 100,
        event=np.arange(count, dtype=np.uint64),
        weight=full.pop("weight"),
        flags=np.broadcast_to(np.asarray(flags, np.uint16), count),
        file=file,
        row=np.arange(count),
        extra=full,
        files=FILES,
    )


def classes(**options: dict[str, Any]) -> dict[str, ClassOptions]:
    return PackOptions.model_validate({"source": {}, "classes": options}).classes


def scaled(some: EventTable, of: dict[str, ClassOptions]) -> tuple[Assigned, np.ndarray[Any, Any], list[str]]:
    found = assigned(some, TAGS, of)
    weight, findings = normalised(found.label, found.fate, some.file, found.weight, TAGS, of)
    return found, weight, [one.code for one in findings]


def test_a_file_is_of_a_class_whose_tags_are_all_its_own() -> None:
    of = classes(old={"tags": "year:UL17"}, new={"tags": "label:ggF, year:UL18"})
    assert assigned(table([0, 1, 2]), TAGS, of).label.tolist() == [1, NONE, 0]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (["SR"], [1, 3]),
        (["!SR"], [0, 2]),
        (["SR", "four_tag"], [3]),
        (["SR|SB"], [1, 2, 3]),
        (["SR|SB", "!four_tag"], [1, 2]),
        (["!SR|four_tag"], [0, 2, 3]),
        ([], [0, 1, 2, 3]),
    ],
)
def test_conditions_are_flags_their_opposites_and_alternatives(where: list[str], expected: list[int]) -> None:
    some = table([0, 0, 0, 0], [0, BITS["SR"], BITS["SB"], BITS["SR"] | BITS["four_tag"]])
    found = assigned(some, TAGS, classes(one={"where": where}))
    assert np.flatnonzero(found.label == 0).tolist() == expected
    assert set(found.fate[found.label == NONE].tolist()) <= {UNCLAIMED}


@pytest.mark.parametrize(
    ("flag", "said"), [("Sr", "did you mean 'SR'"), ("four_tags", "did you mean 'four_tag'"), ("blue", "there are SB, SR")]
)
def test_a_flag_that_is_not_there_is_told(flag: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        classes(one={"where": [flag]})


@given(st.integers(0, 2**9 - 1), st.sampled_from(list(BITS)))
def test_a_condition_and_its_opposite_part_all_events(flags: int, flag: str) -> None:
    of = classes(yes={"where": [flag]}, no={"where": [f"!{flag}"]})
    assert assigned(table([0], [flags]), TAGS, of).label.tolist() == [0 if flags & BITS[flag] else 1]


def test_the_weight_is_the_product_of_its_columns() -> None:
    some = table([1, 1], weight=[2.0, 3.0], pseudo_tag_weight=[0.5, 0.1], FvT=[10.0, -1.0])
    found = assigned(some, TAGS, classes(d3={"weight": ["weight", "pseudo_tag_weight", "FvT"]}))
    assert found.weight.tolist() == pytest.approx([10.0, -0.3])
    assert assigned(some, TAGS, classes(d3={"weight": []})).weight.tolist() == [1.0, 1.0]


def test_a_column_that_is_not_there_names_the_nearest_and_the_file() -> None:
    with pytest.raises(BadFile, match=r"data\.root: there is no column 'pseudoTagWeight' .* class d3; did you mean 'pseudo_tag_weight'"):
        assigned(table([1], pseudo_tag_weight=1), TAGS, classes(d3={"weight": ["pseudoTagWeight"]}))
    # What a class does not take need not have its columns.
    assert assigned(table([0]), TAGS, classes(d3={"tags": "label:data", "weight": ["FvT"]})).label.tolist() == [NONE]


def test_an_event_that_two_classes_want_is_of_none() -> None:
    of = classes(sr={"where": ["SR"]}, tagged={"where": ["four_tag"]})
    found = assigned(table([0, 0, 0], [BITS["SR"], BITS["SR"] | BITS["four_tag"], BITS["four_tag"]]), TAGS, of)
    assert found.fate.tolist() == [KEPT, AMBIGUOUS, KEPT]
    assert found.clashes == {("sr", "tagged"): 1}
    assert found.weight[1] == 0


def test_weights_that_are_no_numbers_are_left_out() -> None:
    found = assigned(table([0, 0, 0], weight=[1.0, 2.0, 3.0], FvT=[np.nan, np.inf, 2.0]), TAGS, classes(a={"weight": ["weight", "FvT"]}))
    assert found.fate.tolist() == [UNWEIGHED, UNWEIGHED, KEPT]
    assert found.weight.tolist() == [0, 0, 6]


def test_events_of_too_great_weight_are_left_out_whatever_their_sign() -> None:
    """Two events of weight 726 and 5996 outweighed a whole sample."""
    found = assigned(table([0] * 4, weight=[0.5, 726.0, -5996.0, 1.0]), TAGS, classes(a={"max_weight": 1.0}))
    assert found.fate.tolist() == [KEPT, HEAVY, HEAVY, KEPT]


def test_a_prescale_keeps_the_sum_and_depends_on_the_event_alone() -> None:
    rng = np.random.default_rng(3)
    some = table([2] * 40_000, weight=rng.normal(1.0, 0.5, 40_000))
    found = assigned(some, TAGS, classes(t3={"prescale": 10}))
    kept = found.fate == KEPT
    assert np.count_nonzero(kept) == pytest.approx(4000, abs=4 * 60)
    assert set(found.fate[~kept].tolist()) == {PRESCALED}
    assert np.allclose(found.weight[kept], 10 * some.weight[kept])
    assert found.weight.sum() == pytest.approx(some.weight.sum(), rel=0.06)
    part = some.take(np.arange(40_000) % 7 == 2)
    assert np.array_equal(assigned(part, TAGS, classes(t3={"prescale": 10})).fate == KEPT, kept[np.arange(40_000) % 7 == 2])


def test_a_prescale_knows_nothing_of_folds() -> None:
    """Else one fold would hold all that is left."""
    some = table([2] * 30_000)
    kept = assigned(some, TAGS, classes(t3={"prescale": 3})).fate == KEPT
    folds = fold_of(Identity(some.run, some.lumi, some.event), Folding("random", 3))
    assert np.bincount(folds[kept], minlength=3) / kept.sum() == pytest.approx([1 / 3] * 3, abs=0.02)


def test_norm_scales_each_class_by_itself() -> None:
    some = table([0, 0, 1, 1, 2], weight=[1.0, 3.0, 5.0, 5.0, 7.0])
    _, weight, found = scaled(
        some, classes(s={"tags": "label:ggF", "norm": 1}, b={"tags": "label:data", "norm": 6}, t={"tags": "label:ttbar"})
    )
    assert weight.tolist() == pytest.approx([0.25, 0.75, 3, 3, 7])
    assert found == []


def test_classes_can_be_scaled_together() -> None:
    """The background of SvB is multijet and top pairs; their ratio is known and only the sum is set."""
    some = table([1, 1, 2], weight=[5.0, 5.0, 2.0])
    _, weight, _ = scaled(some, classes(multijet={"tags": "label:data", "norm": 6}, ttbar={"tags": "label:ttbar", "norm_with": "multijet"}))
    assert weight.tolist() == pytest.approx([2.5, 2.5, 1.0])


def test_each_value_of_a_tag_can_be_scaled_by_itself() -> None:
    tags = (frozenset({"label:ggF", "kl:0"}), frozenset({"label:ggF", "kl:5"}), frozenset({"label:ggF"}))
    some = table([0, 0, 1, 2], weight=[1.0, 1.0, 8.0, 4.0])
    of = classes(ggF={"tags": "label:ggF", "norm": 2, "norm_per": "kl"})
    found = assigned(some, tags, of)
    weight, _ = normalised(found.label, found.fate, some.file, found.weight, tags, of)
    assert weight.tolist() == pytest.approx([1, 1, 2, 2])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"a": {"norm_with": "b"}}, "'b' is no class with a norm of its own"),
        ({"a": {"norm_with": "a"}}, "'a' is no class"),
        ({"a": {"norm_with": "b"}, "b": {"norm_with": "a"}}, "no class with a norm of its own"),
        ({"a": {"norm_with": "b", "norm": 2}, "b": {}}, "leave them out here"),
        ({"a": {"norm_per": "kl"}}, "norm_per needs norm"),
        ({}, "at least 1"),
    ],
)
def test_norms_that_cannot_be_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        classes(**options)


def test_negative_weights_are_kept_and_counted() -> None:
    some = table([0] * 4, weight=[3.0, -1.0, 2.0, -1.0])
    of = classes(a={"norm": 30})
    found, weight, _ = scaled(some, of)
    assert weight.tolist() == pytest.approx([30, -10, 20, -10])
    (told,) = figures(found.label, found.fate, found.weight, weight, of)
    assert (told.events, told.negative, told.raw_sum, told.raw_absolute) == (4, 2, 3.0, 7.0)
    assert told.negative_share == pytest.approx(2 / 7)
    assert told.sum == pytest.approx(30)
    assert told.effective == pytest.approx(900 / 1500)


@pytest.mark.parametrize("weight", [[0.0, 0.0], [1.0, -1.0], [1.0, -3.0], [0.1 + 0.2, -0.3]])
def test_weights_that_add_up_to_nothing_are_an_error(weight: list[float]) -> None:
    _, after, found = scaled(table([0, 0], weight=weight), classes(a={"norm": 1}))
    assert found == ["EVT034"]
    assert np.isfinite(after).all()


def test_a_class_without_events_says_what_was_looked_for() -> None:
    of = classes(a={"tags": "label:ggf"}, b={"tags": "label:data", "where": ["SR", "four_tag"]})
    some = table([0, 1])
    found = assigned(some, TAGS, of)
    _, findings = normalised(found.label, found.fate, some.file, found.weight, TAGS, of)
    assert [one.code for one in findings] == ["EVT033", "EVT033"]
    assert "no file has all of its tags 'label:ggf'; did you mean label:ggF" in findings[0].text
    assert findings[1].text == "1 file has its tags 'label:data', but no event is left that fulfils SR and four_tag"


@given(
    st.lists(st.floats(-5, 10).map(lambda value: round(value, 3)), min_size=1, max_size=40),
    st.floats(0.01, 1000),
)
def test_the_sum_after_the_norm_is_the_norm_or_an_error(weights: list[float], norm: float) -> None:
    _, after, found = scaled(table([0] * len(weights), weight=weights), classes(a={"norm": norm}))
    if found:
        assert found == ["EVT034"]
        assert sum(weights) <= 1e-6
    else:
        assert after.sum() == pytest.approx(norm, rel=1e-6)
        assert np.array_equal(np.sign(after), np.sign(weights))


def test_a_class_of_positive_weights_has_a_negative_share_of_plain_zero() -> None:
    of = classes(a={})
    found, weight, _ = scaled(table([0, 0]), of)
    (told,) = figures(found.label, found.fate, found.weight, weight, of)
    assert str(told.negative_share) == "0.0"
