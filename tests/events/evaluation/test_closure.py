"""The report of a closure: its figures, tables and plots, and what stays blinded."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from labwright.events.evaluation import closure
from labwright.events.evaluation.truth import graded
from labwright.events.packing.classes import NONE
from labwright.events.packing.load import PackedEvents, load
from labwright.events.recipe import EvaluateOptions
from labwright.events.toy import write_toy
from tests.events.evaluation.test_closing import toy_study
from tests.events.studies import conducted
from tests.learn.fake import FakeJob


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> PackedEvents:
    return load(conducted(toy_study(tmp_path_factory.mktemp("closure"), 3000, 6)))


def reported(packed: PackedEvents, folder: Path, fvt: Any = None, **options: Any) -> tuple[dict[str, Any], list[dict[str, Any]], Path]:
    job: Any = FakeJob(folder)
    job.options = EvaluateOptions.model_validate({"variables": ["m4j"], "bins": 6, "bootstrap": 5, "formats": ["png"], **options})
    scores: Any = SimpleNamespace(columns={"FvT": packed.column("r_true").astype(np.float32) if fvt is None else fvt})
    figures, sections = closure.report(job, packed, scores)
    return dict(figures), sections, folder / "output"


def test_four_tag_data_of_the_signal_region_stay_unseen(packed: PackedEvents, tmp_path: Path) -> None:
    figures, sections, output = reported(packed, tmp_path)
    graded = {"fvt_bias_SR", "fvt_rms_SR", "fvt_rms_of_constant_SR"}
    assert {name for name in figures if name.endswith("_SR")} == graded
    assert {path.name for path in (output / "plots").iterdir() if "SR" in path.name} == {"closure-SR-truth.png"}
    assert [one["body"] for one in sections if one["title"] == "Signal region"] == [
        "Its four-tag data stay unseen; `evaluate.unblind: true` shows them."
    ]
    count = int(((packed.label == 0) & packed.has("SR")).sum())
    assert f"{count}" not in json.dumps([one["rows"] for one in sections if one["kind"] == "table"])


def test_three_tag_data_are_graded_by_the_known_ratio_where_four_tag_data_are_withheld(packed: PackedEvents, tmp_path: Path) -> None:
    """With blinded four-tag data as with none at all, as `fvt.yaml` has it; never by a four-tag event."""
    fvt = packed.column("r_true").astype(np.float32)
    inside, label = packed.has("SR").numpy(), packed.label.numpy()
    fvt[inside & (label == 1)] *= 1.5
    fvt[inside & (label == 0)] = 99.0
    none = replace(packed, label=torch.where(packed.has("SR") & (packed.label == 0), NONE, packed.label))
    for name, events, unblind in (("blinded", packed, False), ("none", none, False), ("asked", none, True)):
        figures, sections, output = reported(events, tmp_path / name, fvt, unblind=unblind)
        assert [figures["fvt_bias_SR"], figures["fvt_rms_SR"]] == pytest.approx([0.5, 0.5], abs=1e-6)
        assert figures["fvt_rms_SB"] < 1e-6
        assert (output / "plots" / "closure-SR-truth.png").is_file()
        (told,) = [one for one in sections if one["title"] == "Signal region: FvT against the known ratio"]
        assert "three-tag data alone" in told["note"]


def test_a_region_is_told_in_figures_tables_and_plots(packed: PackedEvents, tmp_path: Path) -> None:
    figures, sections, output = reported(packed, tmp_path, unblind=True)
    for region in ("SB", "SR"):
        assert abs(figures[f"c2st_pull_{region}"]) < 4
        assert figures[f"n_eff_{region}"] < figures[f"n_eff_without_fvt_{region}"]
        assert figures[f"fvt_rms_{region}"] < 1e-6 < figures[f"fvt_rms_of_constant_{region}"]
        assert figures[f"fvt_above_10_{region}"] == figures[f"fvt_negative_{region}"] == 0
    json.dumps([figures, sections], allow_nan=False)
    shown = [item["path"] for one in sections if one["kind"] == "images" for item in one["items"]]
    assert len(shown) == 8
    assert {path.name for path in (output / "plots").iterdir()} == {Path(name).name for name in shown}
    (table,) = [one for one in sections if one["title"] == "Signal region: χ² by variable"]
    assert [row[0] for row in table["rows"]] == ["four-jet mass [GeV]", "FvT", "known ratio"]


def test_the_known_ratio_fills_the_axis_and_the_legend_hides_no_error() -> None:
    random = np.random.default_rng(2)
    known = random.uniform(0.8, 1.2, 2000)
    figure = closure._truth(graded(known * random.normal(1, 1.5, 2000), known, np.ones(2000)), "FvT", "TOY")
    (axes,) = figure.axes
    low, high = axes.get_xlim()
    assert 0.5 < low < 0.85
    assert 1.15 < high < 1.5
    figure.canvas.draw()
    box = axes.get_legend().get_window_extent()
    ends = np.concatenate([segments for one in axes.collections for segments in one.get_segments()])
    inside = axes.transData.transform(ends)
    assert len(inside) == 20
    assert not np.any((inside[:, 0] > box.x0) & (inside[:, 0] < box.x1) & (inside[:, 1] > box.y0))


def test_events_without_a_score_are_counted(packed: PackedEvents, tmp_path: Path) -> None:
    fvt = packed.column("r_true").astype(np.float32)
    rows = np.flatnonzero(packed.labelled.numpy())[:7]
    fvt[rows] = np.nan
    figures, sections, _ = reported(packed, tmp_path, fvt)
    assert figures["fvt_unscored"] == 7
    assert "7 events have no score" in sections[0]["note"]
    json.dumps(sections, allow_nan=False)


def test_a_pack_without_four_tag_data_has_nothing_to_close(packed: PackedEvents, tmp_path: Path) -> None:
    none = replace(packed, label=torch.where(packed.label == 0, NONE, packed.label))
    figures, sections, _ = reported(none, tmp_path)
    assert "c2st_auc_SB" not in figures
    assert (sections[0]["title"], sections[0]["body"]) == ("Sideband", "There are no three-tag or no four-tag data in this region.")


def test_scores_of_no_event_close_nothing(packed: PackedEvents, tmp_path: Path) -> None:
    figures, sections, _ = reported(packed, tmp_path, np.full(packed.n, np.nan, np.float32))
    assert figures == {"fvt_unscored": int(packed.labelled.sum())}
    assert [one["title"] for one in sections] == ["Sideband", "Signal region"]


@pytest.mark.slow
def test_fvt_finds_the_known_ratio_where_it_never_saw_four_tag_data(tmp_path: Path, repository: Path) -> None:
    """Trained on one toy and judged on another: four-tag data of the signal region are in no training."""
    told = (repository / "docs" / "results" / "fvt-toy.yaml").read_text(encoding="utf-8")
    for name, events, seed in (("one", 300_000, 1), ("other", 30_000, 3)):
        write_toy(tmp_path / name / "toy", "fvt", events, seed)
        (tmp_path / name / "study.yaml").write_text(told, encoding="utf-8")
    trained = conducted(tmp_path / "one" / "study.yaml", step="train")
    sets = [f"predict.checkpoint={trained.folder}", "evaluate.formats=[png]", "evaluate.bootstrap=20"]
    figures = conducted(tmp_path / "other" / "study.yaml", *sets, step="evaluate").done()["figures"]
    for region in ("SB", "SR"):
        assert abs(figures[f"c2st_pull_{region}"]) < 2
        assert figures[f"c2st_pull_without_fvt_{region}"] > 5
        assert figures[f"chi2_per_ndf_{region}"] < 1.5
        assert abs(figures[f"data_over_model_{region}"] - 1) < 3 * figures[f"data_over_model_sigma_{region}"]
        assert abs(figures[f"fvt_bias_{region}"]) < 0.05
        assert figures[f"fvt_rms_{region}"] < 0.15 < 0.4 < figures[f"fvt_rms_of_constant_{region}"]
