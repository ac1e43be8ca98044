"""Selectors choose what they say, and nothing that leaks goes unseen."""

from __future__ import annotations

from itertools import product
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labwright.data.splits import assign, coverage, leaks
from labwright.runs.errors import StudyError


def rows(*entries: tuple[str, int, str | None], **columns: list[Any]) -> pa.Table:
    """Items from (sequence, frame, split)."""
    sequences, frames, splits = zip(*entries, strict=True) if entries else ((), (), ())
    return pa.table(
        {
            "identity": [f"{sequence}/frame {frame}/{number}" for number, (sequence, frame, _) in enumerate(entries)],
            "sequence": pa.array(sequences, pa.string()),
            "frame": pa.array(frames, pa.int64()),
            "split": pa.array(splits, pa.string()),
            **columns,
        }
    )


def codes(found: list[Any]) -> list[str]:
    return [finding.code for finding in found]


@pytest.mark.parametrize(
    ("selector", "sequence", "frames"),
    [
        ("01", "01", range(30)),
        ("01:0-19", "01", range(20)),
        ("01:0-9,20-29", "01", [*range(10), *range(20, 30)]),
        ("01:7", "01", [7]),
        ("0*", "01", range(30)),
        ("*", "t98g/01", range(30)),
        ("0[12]:3-4", "02", [3, 4]),
        ("a[1]", "a[1]", range(30)),
        ("t:98:0-5", "t:98", range(6)),
        ("01", "011", []),
        ("01", "1", []),
        ("A", "a", []),
    ],
)
def test_a_selector_chooses_what_it_says(selector: str, sequence: str, frames: Any) -> None:
    chosen = [frame for frame in range(30) if assign({"train": [selector]}, sequence, frame) == "train"]
    assert chosen == list(frames)


@pytest.mark.parametrize("selector", ["", ":0-3", "01:", "01:x", "01:3-", "01:-3", "01:1,,2", "01:9-3", "01:0-3 "])
def test_a_wrong_selector_is_quoted(selector: str) -> None:
    with pytest.raises(StudyError, match="selector"):
        assign({"train": [selector]}, "01", 0)


def test_two_splits_cannot_claim_one_item() -> None:
    selectors = {"train": ["01:0-10"], "validate": ["01:10-20"], "test": ["02"]}
    assert assign(selectors, "01", 9) == "train"
    assert assign(selectors, "03", 0) is None
    with pytest.raises(StudyError, match="01, frame 10: the splits train and validate"):
        assign(selectors, "01", 10)


def test_disjoint_sequences_do_not_leak() -> None:
    assert leaks(rows(("01", 0, "train"), ("01", 1, "train"), ("02", 0, "validate"), ("03", 1, None)), 5) == []
    assert leaks(rows(), 5) == []


def test_a_split_in_time_is_a_warning_and_its_edge_an_error() -> None:
    items = rows(*[("01", frame, "train") for frame in range(20)], *[("01", frame, "validate") for frame in range(28, 37)])
    assert codes(leaks(items, 8)) == ["LAB001"]
    near = leaks(items, 9)
    assert codes(near) == ["LAB001", "LAB002"]
    assert near[1].place == "01"
    assert near[1].text == "frame 19 (train) and frame 28 (validate): 8 frames left out between, not 9; 1 such places"


def test_neighbours_may_touch_where_that_is_allowed_but_one_frame_cannot_be_on_both_sides() -> None:
    assert codes(leaks(rows(("01", 3, "train"), ("01", 4, "validate")), 0)) == ["LAB001"]
    assert codes(leaks(rows(("01", 4, "train"), ("01", 4, "validate")), 0)) == ["LAB001", "LAB002"]


ITEMS = st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 30), st.sampled_from(["train", "validate", "test", None])), max_size=14)


@given(ITEMS, st.integers(0, 12))
def test_leaks_are_those_of_all_pairs(entries: list[tuple[str, int, str | None]], gap: int) -> None:
    shared, close = set(), set()
    for (one, frame, split), (other, later, side) in product(entries, entries):
        if one == other and split and side and split != side:
            shared.add(one)
            if abs(frame - later) - 1 < gap:
                close.add(one)
    found = leaks(rows(*entries), gap)
    assert {finding.place for finding in found if finding.code == "LAB001"} == shared
    assert {finding.place for finding in found if finding.code == "LAB002"} == close


def test_equal_content_on_both_sides_is_an_error() -> None:
    entries = [("01", 0, "train"), ("01", 1, "train"), ("02", 0, "validate"), ("03", 0, "validate"), ("04", 0, None)]
    items = rows(*entries, digest=["x", "y", "x", "z", "z"])
    (found,) = leaks(items, 0)
    assert (found.code, found.severity) == ("LAB003", "error")
    assert "01/frame 0/0 (train), 02/frame 0/2 (validate)" in found.text


def test_equal_content_within_a_split_or_without_content_is_none() -> None:
    entries = [("01", 0, "train"), ("01", 1, "train"), ("02", 0, "validate"), ("02", 9, "validate")]
    assert leaks(rows(*entries, digest=["x", "x", "b", None]), 0) == []
    assert leaks(rows(*entries, digest=["b", "x", "b", None], constant=[True, False, True, False]), 0) == []


def test_a_mark_that_is_unknown_hides_nothing() -> None:
    items = rows(
        ("01", 0, "train"),
        ("02", 0, "validate"),
        digest=["x", "x"],
        constant=pa.array([None, None], pa.bool_()),
        labelled=pa.array([None, True]),
    )
    assert codes(leaks(items, 0)) == ["LAB003"]
    assert codes(coverage(items, {"train": ["01"], "validate": ["02"]}, ["train"])) == ["LAB005"]


def test_items_without_sequences_are_checked_by_content() -> None:
    items = pa.table({"identity": ["p/a1", "p/a2"], "split": ["train", "test"], "digest": ["x", "x"]})
    assert codes(leaks(items, 0)) == ["LAB003"]


def test_full_coverage_finds_nothing() -> None:
    items = rows(("01", 0, "train"), ("02", 0, "validate"), labelled=[True, True], constant=[False, False])
    assert coverage(items, {"train": ["01"], "validate": ["0[23]"]}, ["train", "validate"]) == []


def test_what_a_split_lacks_is_found() -> None:
    entries = [("01", 0, "train"), ("01", 1, "train"), ("02", 0, "validate"), ("03", 0, None)]
    items = rows(*entries, labelled=[True, False, False, False], constant=[False, True, True, True])
    selectors = {"train": ["01", "1"], "validate": ["02"], "test": ["04"]}
    found = coverage(items, selectors, ["train"])
    assert codes(found) == ["LAB006", "LAB005", "LAB007", "LAB004", "LAB008"]
    assert "selector '1' matches nothing; the sequences are 01, 02, 03" in found[0].text
    assert found[1].place == "01/frame 1/1"
    assert found[3].place == "test"
    assert found[4].text == "1 of 4 items belong to no split"


def test_many_sequences_are_not_all_listed() -> None:
    items = rows(*[(f"{number:02d}", 0, None) for number in range(40)])
    (empty, _) = coverage(items, {"train": ["x"]})
    assert empty.text.endswith("19 …")
