"""The report is one file that needs nothing else, and shows all runs of a study."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from labwright.runs import sections
from labwright.runs.errors import MissingError
from labwright.runs.publish import write_json
from labwright.runs.run import Run, runs_in
from labwright.watch.report import POLICY, write_report
from tests.parts.toy_recipe import Desk
from tests.watch.test_draw import Page

HOSTILE = "</script><script>document.title='taken'</script>"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")


@pytest.fixture
def runs(desk: Desk) -> list[Run]:
    desk.conduct(f"sum.title={HOSTILE}", f"run.name={HOSTILE}")
    return runs_in(desk.folder / "runs")


@pytest.fixture
def report(runs: list[Run], tmp_path: Path) -> Path:
    return write_report(runs, tmp_path / "report.html")


def without_libraries(text: str) -> str:
    """The page less the plotting library, which is not ours to judge."""
    return re.sub(r"<script>(?=.{100000}).*?</script>", "", text, flags=re.DOTALL)


def test_the_page_is_one_file_and_loads_nothing(report: Path) -> None:
    page = Page(without_libraries(report.read_text(encoding="utf-8")))
    loading = [
        (tag, name, value)
        for tag, attributes in page.elements
        for name, value in attributes.items()
        if name in ("src", "href", "srcset", "data", "action", "poster") and not str(value).startswith(("#", "data:"))
    ]
    assert loading == []
    assert page.names().isdisjoint({"link", "iframe", "object", "embed", "base", "form"})
    assert "@import" not in page.text
    assert "url(" not in page.text
    policy = next(attributes["content"] for tag, attributes in page.elements if tag == "meta" and "http-equiv" in attributes)
    assert policy == POLICY
    assert policy is not None
    assert policy.startswith("default-src 'none'")


def test_what_the_study_says_is_shown_and_not_run(report: Path) -> None:
    page = Page(without_libraries(report.read_text(encoding="utf-8")))
    scripts = [attributes for tag, attributes in page.elements if tag == "script"]
    assert all(attributes in ({}, {"type": "application/json"}) for attributes in scripts)
    assert HOSTILE in page.text
    assert scripts.count({}) == 1, "the page's own, beside the library"


def test_every_run_is_there_with_its_state_and_figures(runs: list[Run], report: Path) -> None:
    page = Page(without_libraries(report.read_text(encoding="utf-8")))
    anchors = [attributes["id"] for tag, attributes in page.elements if tag == "article"]
    assert anchors == [run.name for run in reversed(runs)], "the last step comes first"
    links = [attributes["href"] for tag, attributes in page.elements if tag == "a"]
    assert links == [f"#{run.name}" for run in runs]
    assert page.text.count("done") >= len(runs)
    assert "4.375" in page.text


def test_joules_of_unlike_methods_stay_apart(runs: list[Run], tmp_path: Path) -> None:
    energy = '{"t":1,"kind":"energy","stage":"train","joules":%s,"method":"%s","scope":"s","coverage":1.0,"seconds":1.0}\n'
    for run in runs:
        for path in run.folder.glob("journal/*.jsonl"):
            path.write_text(energy % (12345678, "RAPL") + energy % (87654321, "NVML") if run.step == "fit" else "")
    text = Page(without_libraries(write_report(runs, tmp_path / "report.html").read_text(encoding="utf-8"))).text
    assert "12\u202f345\u202f678" in text
    assert "87\u202f654\u202f321" in text
    assert "99\u202f999\u202f999" not in text
    assert "not measured" in text


def test_an_unmeasured_study_says_so(runs: list[Run], tmp_path: Path) -> None:
    for run in runs:
        for path in run.folder.glob("journal/*.jsonl"):
            path.write_text("")
    text = Page(without_libraries(write_report(runs, tmp_path / "report.html").read_text(encoding="utf-8"))).text
    assert "Energynot measured" in text


def with_curve(run: Run) -> None:
    """Leave a curve in the run's report, and a second attempt that went on from step 2."""
    section = sections.curves("Loss", {HOSTILE: [(1, 0.5), (2, 0.25), (3, 0.125)]}, x="step", y="loss")
    write_json(run.output("report.json"), {"sections": [section]}, "report")
    metric = '{"t":1,"kind":"metric","phase":"train","step":2,"epoch":0,"part":"one","values":{"weight":1.0}}\n'
    (run.folder / "journal" / "0002.jsonl").write_text(metric)


def test_attempts_are_marked_where_a_training_went_on(runs: list[Run], tmp_path: Path) -> None:
    with_curve(next(run for run in runs if run.step == "fit"))
    page = Page(without_libraries(write_report(runs, tmp_path / "report.html").read_text(encoding="utf-8")))
    plots = [json.loads(script) for script in page.scripts if script.startswith("{")]
    (plot,) = (plot for plot in plots if plot["data"][0]["name"] == HOSTILE)
    assert [mark["x0"] for mark in plot["layout"]["shapes"]] == [2]


def test_the_same_runs_give_the_same_page(runs: list[Run], report: Path, tmp_path: Path) -> None:
    assert write_report(runs, tmp_path / "again.html").read_bytes() == report.read_bytes()


def test_a_broken_run_does_not_keep_the_others_from_their_reader(runs: list[Run], tmp_path: Path) -> None:
    last = runs[-1]
    last.output("report.json").write_text('{"sections": [{"kind": "table"}, 3]}')
    (last.folder / "done.json").write_text("{")
    text = Page(without_libraries(write_report(runs, tmp_path / "report.html").read_text(encoding="utf-8"))).text
    assert "damaged" in text
    assert all(run.name in text for run in runs)


def test_without_runs_there_is_no_report(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="no run to report on"):
        write_report([], tmp_path / "report.html")


def test_without_plotly_it_is_said_how_to_get_it(runs: list[Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "plotly", None)
    with pytest.raises(MissingError, match="labwright\\[report\\]"):
        write_report(runs, tmp_path / "report.html")
    assert not (tmp_path / "report.html").exists()


def test_it_opens_in_a_browser_and_draws_its_plots(runs: list[Run], tmp_path: Path) -> None:
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip("no chromium on this machine")
    with_curve(runs[-1])
    report = write_report(runs, tmp_path / "report.html")
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=5000", "--dump-dom", report.as_uri()]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    page = Page(without_libraries(shown))
    assert "main-svg" in " ".join(str(attributes.get("class")) for tag, attributes in page.elements if tag == "svg")
    assert "<title>taken" not in shown
