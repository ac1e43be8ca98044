from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from labwright.events.folds import Folding, Member
from labwright.events.scoring.means import Means
from labwright.events.scoring.scores import COUNT, LEAST, base_columns, columns, decide, derive, open_scores
from labwright.runs.errors import DataError, MissingError, StudyError
from labwright.runs.run import Run

FVT = ("d4", "d3", "t4", "t3")
SVB = ("data", "ttbar", "ZZ", "ZH", "ggF")


def test_fvt_is_the_ratio_of_multijets() -> None:
    found = derive("fvt", FVT, np.array([0.4, 0.2, 0.1, 0.3]))
    expected = {"FvT": 1.5, "p_m4": 0.3, "p_m3": -0.1, "p_data": 0.6, "p_ttbar": 0.4, "p_4b": 0.5, "p_3b": 0.5}
    assert {name: float(value) for name, value in found.items()} == pytest.approx(expected)
    assert derive("fvt", ("d3", "d4"), np.array([0.4, 0.6]))["FvT"] == pytest.approx(1.5)
    assert derive("fvt", FVT, np.array([0.1, 0.2, 0.4, 0.3]))["FvT"] == pytest.approx(-1.5)


def test_a_ratio_to_nothing_is_a_number() -> None:
    assert derive("fvt", ("d4", "d3"), np.array([1.0, 0.0]))["FvT"] == pytest.approx(1 / LEAST)
    assert derive("fvt", FVT, np.array([0.5, 0.0, 0.5, 0.0]))["FvT"] == 0
    assert decide("svb", ("ttbar", "multijet", "S"), np.array([0.0, 0.0, 1.0]))["tt_vs_mj"] == 0


def test_svb_adds_up_signals_and_decides_which_one_an_event_is_like() -> None:
    p = np.array([[0.3, 0.1, 0.2, 0.15, 0.25], [0.6, 0.38, 0.005, 0.006, 0.009], [0.1, 0.2, 0.4, 0.2, 0.1]])
    found = derive("svb", SVB, p)
    np.testing.assert_allclose(found["p_sig"], [0.6, 0.02, 0.7])
    np.testing.assert_allclose(found["p_bkg"], [0.4, 0.98, 0.3])
    found = decide("svb", SVB, p)
    np.testing.assert_allclose(found["tt_vs_mj"], [0.25, 0.38 / 0.98, 2 / 3])
    assert found["passMinPs"].tolist() == [1, 0, 1]
    np.testing.assert_allclose(found["ps_ZZ"], [-1, -2, 0.7])
    np.testing.assert_allclose(found["ps_ZH"], [-1, -2, -1])
    np.testing.assert_allclose(found["ps_ggF"], [0.6, -2, -1])
    assert "tt_vs_mj" not in decide("svb", ("B", "S"), p[:, :2])


def test_an_event_that_nobody_scores_is_decided_by_nobody() -> None:
    assert all(np.isnan(values).all() for values in decide("svb", SVB, np.full((2, 5), np.nan)).values())


def test_the_columns_are_named_once_and_no_class_is_hidden() -> None:
    names = columns("svb", ("bkg", "sig"))
    assert len(names) == len(set(names))
    assert {"p_bkg", "p_sig", "p_sig_std", "ps_sig"} <= set(names)
    with pytest.raises(StudyError, match="p_sig would be both"):
        columns("svb", ("bkg", "sig", "other"))
    with pytest.raises(StudyError, match="p_data would be both"):
        columns("fvt", (*FVT, "data"))


@given(arrays(np.float32, (3, 6, 5), elements=st.floats(0, 1, width=32)), st.lists(st.sets(st.integers(0, 5)), min_size=3, max_size=3))
def test_mean_and_spread_are_those_of_the_models_that_score(values: np.ndarray, scored: list[set[int]]) -> None:
    """Also of what is derived, model by model."""
    classes = ("d4", "d3")
    means = Means("fvt", classes, 6)
    ratio = np.full((3, 6), np.nan)
    view = np.full((3, 6), np.nan)
    for number, rows in enumerate(map(sorted, scored)):
        means.add(np.array(rows, np.int64), values[number, rows])
        ratio[number, rows] = values[number, rows, 0].astype(float) / np.maximum(values[number, rows, 1].astype(float), LEAST)
        view[number, rows] = values[number, rows, 3]
    found = means.columns()
    assert list(found) == columns("fvt", classes)
    for event in range(6):
        for name, whole in (("FvT", ratio), ("q_1324", view)):
            own = whole[~np.isnan(whole[:, event]), event]
            assert found[COUNT][event] == len(own)
            mean, std = (np.mean(own) if len(own) else np.nan), (np.std(own, ddof=1) if len(own) > 1 else np.nan)
            np.testing.assert_allclose([found[name][event], found[f"{name}_std"][event]], [mean, std], rtol=1e-5, atol=1e-6)


def written(folder: Path) -> Run:
    """What a run of predict leaves, as far as readers need it."""
    one = Member(Folding("modulo", 2), 0, 0)
    (folder / "output" / "members").mkdir(parents=True)
    told = {"name": "SvB", "objective": "svb", "classes": ["B", "S"], "events": 4, "members": [{**one.as_json(), "training": {}}]}
    (folder / "output" / "scores.json").write_text(json.dumps(told))
    table = {name: np.arange(4, dtype=np.float32) for name in columns("svb", ("B", "S"))} | {COUNT: np.ones(4, np.uint8)}
    parquet.write_table(pa.table(table), folder / "output" / "scores.parquet")
    own = {"index": np.array([1, 3]), **{name: np.ones(2, np.float32) for name in base_columns(("B", "S"))}}
    parquet.write_table(pa.table(own), folder / "output" / "members" / f"{one.name}.parquet")
    return Run(folder, {})


def test_scores_are_read_by_name(tmp_path: Path) -> None:
    scores = open_scores(written(tmp_path))
    assert (scores.name, scores.objective, scores.classes, scores.n) == ("SvB", "svb", ("B", "S"), 4)
    assert list(scores.columns) == columns("svb", ("B", "S"))
    assert scores.columns["p_S"].tolist() == [0, 1, 2, 3]
    assert scores.columns["p_S"].flags.writeable
    assert scores.of_member(scores.members[0])["index"].tolist() == [1, 3]
    with pytest.raises(DataError, match="Did you mean 'p_S'"):
        _ = scores.columns["p_s"]


def test_scores_that_are_not_there_or_damaged_say_so(tmp_path: Path) -> None:
    run = written(tmp_path)
    (run.output("scores.parquet")).unlink()
    with pytest.raises(MissingError, match="the scores are not there"):
        open_scores(run)
    run.output("scores.json").write_text("{}")
    with pytest.raises(DataError, match="does not describe scores"):
        open_scores(run)
    run.output("scores.json").unlink()
    with pytest.raises(MissingError, match="no scores"):
        open_scores(run)
