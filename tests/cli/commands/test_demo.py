"""``demo`` and ``export``: from nothing to a report, and what can be taken along."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def shown(labwright, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    pytest.importorskip("plotly")
    monkeypatch.chdir(tmp_path)
    assert labwright("demo", "toy", "--quiet").code == 0
    return tmp_path / "labwright-demo-toy"


def test_the_sample_is_copied_run_and_reported(labwright, shown: Path) -> None:
    assert (shown / "report.html").stat().st_size > 10_000
    assert len(list(shown.glob("runs/*/done.json"))) == 4
    again = labwright("demo", "toy", "--json").json
    assert not any(run["fresh"] for run in again["runs"])
    assert Path(again["report"]) == Path("labwright-demo-toy/report.html")


def test_it_prints_scores_with_joules(labwright, shown: Path) -> None:
    out = labwright("demo", "toy", "--to", "other").out
    assert "distance_mm  1" in out
    assert out.count("energy") == 4
    assert out.splitlines()[-1] == "report: other/report.html"


def test_it_does_not_mix_with_what_is_there(labwright, study: Path) -> None:
    said = labwright("demo", "toy", "--to", "data")
    assert said.code == 64
    assert "there is something else here" in said.err
    assert not Path("data/study.yaml").exists()


def test_export_calls_the_recipes_exporter(labwright, shown: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(shown)
    assert labwright("export", "weights", "train", "--to", "model").out == "model\n"
    assert Path("model/weights.txt").read_text() == "1.0"
    said = labwright("export", "weights", "trian", "--to", "model")
    assert said.code == 66
    shutil.rmtree("runs")
    assert labwright("export", "weights", "train", "--to", "model").code == 66
