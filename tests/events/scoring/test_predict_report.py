from __future__ import annotations

import numpy as np
import pytest

from labwright.events.packing.classes import NONE
from labwright.events.scoring.predict_report import blinded, report, shown, sums
from labwright.events.scoring.scores import COUNT
from labwright.events.table import BITS

NAMES = shown("svb", ("B", "S"))


def part(count: list[int], label: list[int], values: list[float], hidden: list[bool] | None = None) -> dict[str, object]:
    """The figures of a part whose columns all hold ``values``, and a tenth of them as spread."""
    whole = np.array(values, np.float32)
    found = dict.fromkeys(NAMES, whole) | {f"{name}_std": whole / 10 for name in NAMES} | {COUNT: np.array(count, np.uint8)}
    told = sums(found, np.array(label, np.uint8), NAMES, np.array(hidden or [False] * len(label)))
    return {"classes": told, "scored": int(np.count_nonzero(count)), "device": "cpu"}


def test_means_are_over_the_events_that_have_a_score_or_a_spread() -> None:
    nan = float("nan")
    parts = [part([2, 1, 0], [0, 0, 0], [1.0, 3.0, nan]), part([2, 0], [0, 255], [5.0, nan])]
    files = [{"file": "a.root", "rows": 8, "scored": 3}]
    content = {"name": "SvB", "objective": "svb", "classes": ["B", "S"], "events": 5, "members": [{}], "files": files}
    figures, sections = report(content, parts, [])
    assert (figures["scored"], figures["rows_without_score"], figures["joules"]) == (3, 5, None)
    rows = {row[0]: row[1:] for row in sections[1]["rows"]}
    assert rows["B"] == [4, 3, *(pytest.approx(value) for _ in NAMES for value in (3.0, 0.3))]
    assert rows["none"] == [1, 0, *[None] * 6]
    assert "S" not in rows


def test_joules_are_shared_among_the_events_and_name_their_method() -> None:
    content = {"name": "FvT", "objective": "fvt", "classes": ["d4", "d3"], "events": 4, "members": [], "files": []}
    row = {"stage": "predict", "joules": 2.0, "method": "estimate", "scope": ""}
    figures, sections = report(content, [{"classes": {}, "scored": 0, "device": "cpu"}], [row, {**row, "joules": None, "method": "RAPL"}])
    assert figures["joules_per_event"] == 0.5
    assert {one["method"] for one in sections[0]["items"]} == {"", "estimate"}


def test_what_is_blinded_is_in_no_mean_and_no_count() -> None:
    content = {"name": "FvT", "objective": "fvt", "classes": ["d4", "d3"], "events": 4, "members": [{}], "files": []}
    some = part([1] * 4, [0, 0, NONE, NONE], [1.0, 100.0, 3.0, 100.0], [False, True, False, True])
    figures, (_, table, _) = report(content, [some], [])
    rows = {row[0]: row[1:] for row in table["rows"]}
    assert (rows["d4"][:3], rows["none"][:3]) == ([1, 1, 1.0], [1, 1, 3.0])
    assert figures["scored"] == 4, "how many there are of all kinds together tells nothing"
    assert "left out here" in table["note"]


def test_four_tag_data_of_the_signal_region_are_blinded_of_whatever_label() -> None:
    bits = [BITS["SR"] | BITS["four_tag"], BITS["SR"], BITS["SR"] | BITS["three_tag"], BITS["SB"] | BITS["four_tag"]]
    flags = np.array(bits * 3, np.uint16)
    label = np.repeat(np.array([0, 1, NONE], np.uint8), 4)
    expected = [True, True, True, False, *[False] * 4, True, True, False, False]
    assert blinded("fvt", ("d4", "d3"), label, flags).tolist() == expected
    assert not blinded("svb", ("B", "S"), label, flags).any()
