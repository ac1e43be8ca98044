"""Bad trees through the command line: the right code, the finding with what to do, no traceback, and the good events packed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
import pytest

from labwright.cli.main import main
from labwright.events.findings import CATALOGUE
from labwright.runs.errors import Exit
from labwright.runs.run import runs_in
from labwright.testing.hostile import Hostile
from labwright.testing.hostile_events import CLASSES, CORPUS
from labwright.testing.trees import BACKGROUND, SIGNAL, events_study, tiny_columns, tiny_trees, write_root


@pytest.mark.parametrize("case", CORPUS, ids=lambda case: case.name)
def test_bad_trees_become_a_finding_and_good_events_are_packed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], case: Hostile, record_property: Callable[[str, object], None]
) -> None:
    assert case.expect_code is not None
    code = main(["check", str(case.make(tmp_path)), "--set", "run.on.workers=1"])
    said = capsys.readouterr()
    traceback = "Traceback" in said.out + said.err
    clear = case.expect_code in said.out and code == case.expect_exit
    record_property("hostile", "traceback" if traceback else "clear" if clear else "silent")
    assert code == case.expect_exit, said
    assert not traceback
    pack, check = (next(run for run in runs_in(tmp_path / "runs") if run.step == step) for step in ("pack", "check"))
    found = [one for one in check.findings() if one["code"] == case.expect_code]
    assert found, check.findings()
    assert all(one["place"] and one["text"] for one in found)
    assert case.expect_text in "\n".join(f"{one['code']} {one['place']}: {one['text']}" for one in found)
    if CATALOGUE[case.expect_code].severity == "error":
        assert CATALOGUE[case.expect_code].todo in said.out
    assert pack.state() == "done"
    assert pack.figures()["events"] >= BACKGROUND


def test_every_code_that_reading_packing_and_checking_give_has_a_case() -> None:
    # Those of training, and from EVT040 on of scores, are in test_regressions, test_predict and test_merge.
    asked = {code for code in CATALOGUE if code < "EVT040"} - {"EVT037"}
    assert {case.expect_code for case in CORPUS if case.expect_text} == asked


@pytest.mark.parametrize("jets", [4, 15])
def test_events_without_other_jets_or_with_too_many_are_scored(tmp_path: Path, jets: int, capsys: pytest.CaptureFixture[str]) -> None:
    for name, count, seed in (("signal", SIGNAL, 1), ("background", BACKGROUND, 2)):
        write_root(tmp_path / "data" / f"{name}.root", tiny_columns(count, seed, (jets, jets)))
    train = {"epochs": 1, "batch_size": 64, "folds": {"k": 2}, "network": {"kind": "hcr", "width": 4}, "accelerator": "cpu"}
    path = events_study(tmp_path, CLASSES, train=train)
    sets = ["--set", "run.on.workers=1", "--set", "run.on.threads=1"]
    assert [main(["run", str(path), "--step", step, *sets]) for step in ("train", "predict")] == [Exit.DONE, Exit.DONE]
    said = capsys.readouterr()
    assert ("EVT019" in said.out) == (jets > 12)
    scores = parquet.read_table(next(run for run in runs_in(tmp_path / "runs") if run.step == "predict").output("scores.parquet"))
    assert scores.num_rows == SIGNAL + BACKGROUND
    assert np.isfinite(scores.column("p_S").to_numpy()).all()


def test_a_file_that_is_not_there_is_missing_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny_trees(tmp_path / "data")
    path = events_study(tmp_path, {"S": {}}, [{"files": ["backgruond.root"]}])
    assert main(["check", str(path)]) == Exit.MISSING
    said = capsys.readouterr().err
    assert "backgruond.root: there is no such file" in said
    assert "source.groups" in said
    assert len(said.strip().splitlines()) == 1
