"""``labwright demo events``: from nothing to a report, on events that are invented and say so."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import uproot

from labwright.cli.main import main
from labwright.events import demo_data
from labwright.events.source import listing
from labwright.runs.run import runs_in
from labwright.study.resolve import resolve

STEPS = ("pack", "check", "train", "predict", "evaluate")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many events as a test needs."""
    monkeypatch.setattr(demo_data, "EVENTS", 4000)


@pytest.mark.slow
@pytest.mark.usefixtures("small")
def test_it_ends_with_the_report(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    demo = tmp_path / "demo"
    assert main(["demo", "events", "--to", str(demo), "--quiet"]) == 0
    said = capfd.readouterr().out
    assert said.splitlines()[-1] == f"report: {demo / 'report.html'}"
    assert said.count("energy") == len(STEPS)
    page = (demo / "report.html").read_text(encoding="utf-8")
    assert "TOY" in page
    # Nothing of the page comes from elsewhere.
    assert 'src="http' not in page
    runs = {run.step: run for run in runs_in(demo / "runs")}
    assert tuple(sorted(runs, key=STEPS.index)) == STEPS
    assert {run.state() for run in runs.values()} == {"done"}
    assert 0.5 < runs["evaluate"].figures()["auc"] < 1
    assert sorted(path.suffix for path in runs["evaluate"].output("plots").iterdir())[-1] == ".svg"

    assert main(["demo", "events", "--to", str(demo), "--json"]) == 0
    again = json.loads(capfd.readouterr().out)
    assert not any(run["fresh"] for run in again["runs"])


@pytest.mark.usefixtures("small")
def test_its_events_are_drawn_when_it_is_copied_and_are_the_same_each_time(tmp_path: Path) -> None:
    demo_data.write_demo_data(tmp_path / "first")
    demo_data.write_demo_data(tmp_path / "second")
    first, second = (sorted((tmp_path / name / "data").iterdir()) for name in ("first", "second"))
    assert [path.name for path in first] == [path.name for path in second]
    for one, other in zip(first, second, strict=True):
        with uproot.open(one) as ours, uproot.open(other) as theirs:
            assert "TOY" in ours["Events"].title
            for name in ("event", "weight", "r_true"):
                assert np.array_equal(ours["Events"][name].array(library="np"), theirs["Events"][name].array(library="np"))


@pytest.mark.usefixtures("small")
def test_the_study_names_each_of_its_files_once(tmp_path: Path, repository: Path) -> None:
    sample = repository / "src" / "labwright" / "events" / "sample"
    demo_data.write_demo_data(tmp_path)
    (tmp_path / "study.yaml").write_text((sample / "study.yaml").read_text(encoding="utf-8"))
    source = resolve([tmp_path / "study.yaml"]).steps["pack"].source  # type: ignore[attr-defined]
    assert sorted(listing(source).names) == sorted(path.name for path in (tmp_path / "data").iterdir())


def test_everything_of_the_sample_says_that_it_is_a_toy(repository: Path) -> None:
    sample = repository / "src" / "labwright" / "events" / "sample"
    for path in sample.iterdir():
        assert "TOY" in path.read_text(encoding="utf-8").splitlines()[0], path.name
    assert "TOY" in resolve([sample / "study.yaml"]).run.name
