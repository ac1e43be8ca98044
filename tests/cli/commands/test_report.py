"""``report``: a page about the runs that the study's options mean, or about runs that are named."""

from __future__ import annotations

import webbrowser
from pathlib import Path

import pytest

from labwright.cli.commands.report import with_inputs
from labwright.runs.run import Run

pytest.importorskip("plotly")


def test_the_page_shows_the_planned_runs(labwright, study: Path) -> None:
    said = labwright("report", "study.yaml")
    assert said.code == 66
    assert "labwright run" in said.err
    labwright("run", "study.yaml", "--sweep", "train.guess=1,2", "--quiet")
    told = labwright("report", "study.yaml", "--set", "train.guess=2", "--json").json
    assert len(told["runs"]) == 4
    assert Path(told["report"]) == study.parent / "report.html"
    text = Path(told["report"]).read_text(encoding="utf-8")
    assert all(name in text for name in told["runs"])


def test_steps_that_are_not_done_are_named(labwright, study: Path) -> None:
    labwright("run", "study.yaml", "--quiet")
    assert labwright("report", "study.yaml").err == ""
    said = labwright("report", "study.yaml", "--set", "train.guess=2")
    assert said.code == 0
    assert said.err == "not done with these options: train, evaluate\n"
    assert labwright("report", "study.yaml", "--set", "train.guess=2", "--json").json["not_done"] == ["train", "evaluate"]


def test_named_runs_come_with_what_fed_them(labwright, study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labwright("run", "study.yaml", "--quiet")
    (evaluate,) = Path("runs").glob("evaluate-*")
    assert [run.step for run in with_inputs([Run.open(evaluate), Run.open(evaluate)])] == ["pack", "train", "evaluate"]
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    page = tmp_path / "page.html"
    assert labwright("report", evaluate, "--to", page, "--open").out == f"{page}\n"
    assert opened == [page.as_uri()]


def test_the_rows_of_a_sweep_stand_beside_one_another(labwright, study: Path) -> None:
    labwright("run", "study.yaml", "--sweep", "train.guess=1,2", "--sweep", "evaluate.scale=1,10", "--quiet")
    said = labwright("report", "study.yaml", "--sweep", "train.guess=1,2,5", "--json")
    assert said.code == 0
    assert sorted(name.split("-")[0] for name in said.json["runs"]) == ["check", "evaluate", "evaluate", "pack", "train", "train"]
    assert said.json["not_done"] == ["train", "evaluate"]
    text = Path("report.html").read_text(encoding="utf-8")
    rows = [row.split("<td") for row in text.partition("Sweep")[2].partition("</table>")[0].split("<tr>")[2:]]
    cells = [[cell.partition(">")[2].partition("</td>")[0] for cell in row[1:]] for row in rows]
    assert [row[:2] for row in cells] == [["1", "done"], ["2", "done"], ["5", "train is not begun"]]
    assert "1.417" in cells[0][2]


def test_a_folder_of_runs_shows_its_sweep(labwright, study: Path) -> None:
    labwright("run", "study.yaml", "--sweep", "train.guess=1,2", "--sweep", "evaluate.scale=1,10", "--quiet")
    said = labwright("report", "runs", "--json")
    assert said.code == 0
    assert Path(said.json["report"]) == Path("runs/report.html")
    table = Path("runs/report.html").read_text(encoding="utf-8").partition("Sweep")[2].partition("</table>")[0]
    assert table.count("<tr>") == 1 + 4
    assert ">guess<" in table
    assert ">scale<" in table
    assert labwright("report", "data").code == 66
