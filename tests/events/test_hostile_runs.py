"""Bad trees through the command line: the right code, the finding with what to do, no traceback, and the good events packed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from labwright.cli.main import main
from labwright.events.findings import CATALOGUE
from labwright.runs.errors import Exit
from labwright.runs.run import runs_in
from labwright.testing.hostile import Hostile
from labwright.testing.hostile_events import CORPUS
from labwright.testing.trees import BACKGROUND, events_study, tiny_trees


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
    later = {"EVT037", "EVT040", *(f"EVT05{number}" for number in range(5))}
    assert {case.expect_code for case in CORPUS if case.expect_text} == set(CATALOGUE) - later


def test_a_file_that_is_not_there_is_missing_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny_trees(tmp_path / "data")
    path = events_study(tmp_path, {"S": {}}, [{"files": ["backgruond.root"]}])
    assert main(["check", str(path)]) == Exit.MISSING
    said = capsys.readouterr().err
    assert "backgruond.root: there is no such file" in said
    assert "source.groups" in said
    assert len(said.strip().splitlines()) == 1
