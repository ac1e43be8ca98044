"""What a step may touch lands where the run folder's readers look for it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from labwright.parts.job import LocalJob, make_job
from labwright.runs.attempt import attempt
from labwright.runs.errors import DataError, Exit, MissingError
from labwright.runs.publish import digest
from labwright.runs.run import Run
from labwright.study.step import Part
from tests.parts.toy_recipe import CountOptions, Desk


def job_of(run: Run) -> tuple[LocalJob[Any], list[dict[str, Any]]]:
    records: list[dict[str, Any]] = []
    _, job = make_job(run, record=lambda kind, **fields: records.append({"kind": kind, **fields}), stopping=lambda: False, workers=2)
    return job, records


def test_the_job_is_what_the_run_folder_describes(desk: Desk) -> None:
    run = desk.created("count", "count.letters=4", "run.on.threads=3")
    job, _ = job_of(run)
    assert job.options == CountOptions(source=desk.texts, letters=4)
    assert job.seed == 3
    assert job.machine == (3, 2)
    assert job.checkpoints(Part("model")) == run.folder / "checkpoints" / "model"


def test_output_is_published_below_the_run(desk: Desk) -> None:
    run = desk.created("count")
    job, _ = job_of(run)
    with job.output("masks/a.txt") as path:
        path.write_text("x")
        assert not run.output("masks/a.txt").exists()
    assert run.output("masks/a.txt").read_text() == "x"


def test_findings_and_sources_are_recorded(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    job, records = job_of(desk.created("count"))
    job.finding("TOY001", "a", "is empty", "warning")
    path = desk.texts / "a.txt"
    job.source("a.txt", path, digest(path))
    assert records == [
        {"kind": "finding", "code": "TOY001", "severity": "warning", "place": "a", "text": "is empty", "part": ""},
        {"kind": "source", "name": "a.txt", "size": 13, "mtime_ns": path.stat().st_mtime_ns, "sha256": digest(path)},
    ]
    assert capsys.readouterr().out == "warning TOY001 a: is empty\n"


def test_a_finding_says_what_its_code_stands_for_and_notes_are_counted(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    run = desk.created("count")
    job, _ = job_of(run)
    titles = {"TOY001": "a text is short", "TOY002": "a word comes twice"}
    with attempt(run) as current:
        job = replace(job, write=current.journal.record, titles=titles)
        job.finding("TOY001", "a", "3 letters", "warning")
        job.finding("TOY001", "b", "a text is short", "warning")
        for place in ("a", "b", "c"):
            job.finding("TOY002", place, "the", "note")
        job.finding("TOY003", "a", "is odd", "note")
        job.finding("TOY004", "a", "is old", "note", known=True)
        job.say_notes()
        current.end(Exit.DONE)
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if "TOY0" in line] == [
        "warning TOY001 a: a text is short: 3 letters",
        "warning TOY001 b: a text is short",
        "note TOY002, 3 times: a word comes twice",
        "note TOY003 a: is odd",
    ]
    assert len(run.findings()) == 7


def test_inputs_are_runs_and_have_to_be_there(desk: Desk, tmp_path: Path) -> None:
    desk.conduct(step="count")
    run = desk.created("gate")
    job, _ = job_of(run)
    assert job.inputs["count"].figures() == {"words": 5}
    job.inputs["count"].folder.rename(tmp_path / "away")
    with pytest.raises(MissingError, match="not a run folder"):
        job_of(Run.open(run.folder))


def test_options_of_another_version_are_said_to_be(desk: Desk) -> None:
    run = desk.created("count")
    run.description["options"]["vowels"] = 3
    with pytest.raises(DataError, match="do not fit this version of count"):
        job_of(run)
