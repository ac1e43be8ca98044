"""Closing FvT in a region of TOY events, whose right answer is known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from labwright.events.evaluation.closing import Closed, NoModel, closed, effective, tails
from labwright.events.packing.load import PackedEvents, load
from labwright.events.toy import write_toy
from tests.events.judging import flag
from tests.events.studies import conducted, study

CLASSES = {
    "d4": {"tags": "label:data", "where": ["four_tag", "SB|SR"]},
    "d3": {"tags": "label:data", "where": ["three_tag", "SB|SR"], "weight": ["weight", "pseudo_tag_weight"]},
    "t4": {"tags": "label:ttbar", "where": ["four_tag", "SB|SR"]},
    "t3": {"tags": "label:ttbar", "where": ["three_tag", "SB|SR"], "weight": ["weight", "pseudo_tag_weight"]},
}
GROUPS = [
    {"tags": f"label:{sample},year:{year}", "files": [f"toy_{sample}_{year}.root"]}
    for sample in ("data", "ttbar")
    for year in ("UL17", "UL18")
]


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    torch.set_num_threads(1)


def toy_study(folder: Path, events: int, seed: int) -> Path:
    """A study of TOY events drawn with a seed."""
    write_toy(folder / "data", "fvt", events, seed)
    return study(folder, GROUPS, CLASSES, source={"jets": {"min_pt_gev": 40, "max_abs_eta": 2.4}})


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> PackedEvents:
    return load(conducted(toy_study(tmp_path_factory.mktemp("closing"), 12_000, 6)))


@pytest.fixture(scope="module")
def right(packed: PackedEvents) -> Closed:
    return close(packed, packed.column("r_true"))


def close(packed: PackedEvents, fvt: Any, region: str = "SR") -> Closed:
    found = closed(packed, fvt, region, ("m4j", "dR_min", "n_selected"), bins=10, resamples=20, seed=3)
    assert found is not None
    return found


def test_the_known_ratio_closes(right: Closed) -> None:
    assert abs(right.difference.pull) < 3
    assert right.difference_known is not None
    assert right.difference_known.auc == pytest.approx(right.difference.auc, abs=1e-3)
    assert right.difference_before.pull > 5
    assert right.ratio == pytest.approx(1, abs=4 * right.ratio_sigma)
    assert min(one.p for one in right.after.values()) > 1e-3
    assert right.before["m4j"].p < 1e-6
    assert set(right.after) == {"m4j", "dR_min", "n_selected", "FvT", "r_true"}
    assert right.grade is not None
    assert abs(right.grade.bias) < 1e-6


def test_a_wrong_ratio_is_found(packed: PackedEvents) -> None:
    wrong = close(packed, packed.column("r_true") ** 2)
    assert wrong.difference.pull > 4
    assert wrong.difference_known is not None
    assert abs(wrong.difference_known.pull) < 3
    assert wrong.after["r_true"].p < 1e-6
    assert wrong.grade is not None
    assert wrong.grade.rms > 0.2


def test_top_pairs_are_part_of_the_model(packed: PackedEvents, right: Closed) -> None:
    drawn = right.drawn["m4j"]
    counts = {one.name: one for one in right.counts}
    assert drawn.top.sums.sum() == pytest.approx(counts["t4"].total)
    assert drawn.data.sums.sum() == counts["d4"].events
    assert drawn.before.sums.sum() == pytest.approx(counts["d3"].total + counts["t4"].total, rel=1e-6)
    assert right.ratio == pytest.approx(drawn.data.sums.sum() / (drawn.three.sums + drawn.top.sums).sum())


def test_the_sideband_is_a_region_of_its_own(packed: PackedEvents, right: Closed) -> None:
    sideband = closed(packed, packed.column("r_true"), "SB", (), bins=5, resamples=0, seed=3)
    assert sideband is not None
    inside = int(((packed.label == 0) & packed.has("SB")).sum())
    assert {one.name: one.events for one in sideband.counts}["d4"] == inside
    assert np.isnan(sideband.after["FvT"].p_bootstrap)


def test_the_sideband_has_no_event_of_the_signal_region(packed: PackedEvents) -> None:
    """Flags that come from files may overlap."""
    both = replace(packed, flags=torch.where(packed.has("SR"), packed.flags | flag("SB"), packed.flags))
    sideband = closed(both, both.column("r_true"), "SB", (), bins=5, resamples=0, seed=3)
    assert sideband is not None
    wanted = both.labelled & ~both.has("SR") & both.has("SB")
    assert sum(one.events for one in sideband.counts) == int(wanted.sum()) < int((both.labelled & both.has("SB")).sum())


def test_events_without_a_score_stay_out_and_an_empty_region_is_none(packed: PackedEvents) -> None:
    fvt = np.where(np.arange(packed.n) % 2, packed.column("r_true"), np.nan)
    half = closed(packed, fvt, "SR", (), bins=5, resamples=0, seed=3)
    assert half is not None
    assert sum(one.events for one in half.counts) == int((packed.labelled & packed.has("SR"))[1::2].sum())
    assert closed(packed, np.full(packed.n, np.nan), "SR", (), bins=5, resamples=0, seed=3) is None


def test_a_ratio_that_cancels_everything_is_told(packed: PackedEvents) -> None:
    with pytest.raises(NoModel, match="three-tag data of SR"):
        closed(packed, np.full(packed.n, -1.0), "SR", (), bins=5, resamples=0, seed=3)


def test_tails_tell_of_ratios_that_run_away() -> None:
    fvt = np.concatenate([np.ones(96), [20.0, 30.0, -1.0, -2.0]])
    found = tails(fvt, np.ones(100))
    assert (found.large, found.negative, found.least, found.greatest) == (0.02, 0.02, -2.0, 30.0)
    assert found.effective_before == 100
    assert found.effective == pytest.approx((96 + 47) ** 2 / (96 + 400 + 900 + 5))
    assert found.quantiles[0.5] == 1
    assert effective(np.zeros(0)) == 0
