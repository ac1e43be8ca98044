"""A run's state, figures and findings follow from its files alone, wherever the folder lies."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from labwright.runs.errors import DataError, MissingError
from labwright.runs.publish import TEMPORARY, manifest
from labwright.runs.run import SILENT_AFTER_S, Run, newest_by_worker, runs_in, state_by_journal
from tests.parts.toy_recipe import Desk, output_of

NOW = 1_000_000.0


def made(folder: Path, journal: dict[str, list[dict[str, Any]]] | None = None, **description: Any) -> Run:
    """A run folder by hand, with the journal's records by file."""
    folder.mkdir(parents=True)
    facts = {"recipe": "counting", "step": "count", "fingerprint": "f" * 64, "options": {}, **description}
    (folder / "step.json").write_text(json.dumps(facts))
    (folder / "journal").mkdir()
    for name, records in (journal or {}).items():
        (folder / "journal" / f"{name}.jsonl").write_text("".join(json.dumps({"t": NOW, **record}) + "\n" for record in records))
    return Run.open(folder)


def complete(run: Run, **content: Any) -> Run:
    (run.output()).mkdir()
    (run.output("a.txt")).write_text("12345")
    (run.folder / "done.json").write_text(json.dumps({"figures": {"words": 5}, "output": manifest(run.output()), **content}))
    return run


START = {"kind": "start", "host": "here", "pid": 1}
END = {"kind": "end", "code": 0, "reason": ""}
AGAIN, FAILED = {**END, "code": 75}, {**END, "code": 65}


@pytest.mark.parametrize(
    ("journal", "age_s", "state"),
    [
        ({}, 0, "ready"),
        ({"0001": []}, 0, "ready"),
        ({"0001": [START]}, 0, "running"),
        ({"0001": [START]}, SILENT_AFTER_S - 1, "running"),
        ({"0001": [START]}, SILENT_AFTER_S + 1, "silent"),
        ({"0001": [START, AGAIN]}, 0, "stopped"),
        ({"0001": [START, FAILED]}, 0, "failed"),
        ({"0001": [START], "0002": [START, AGAIN]}, SILENT_AFTER_S + 1, "stopped"),
        ({"0001": [START, FAILED], "0002": [START]}, 0, "running"),
        # The shares of an array are as well as the worst of them.
        ({"0001-0of2-0": [START, END], "0002-1of2-0": [START, END]}, 0, "ready"),
        ({"0001-0of2-0": [START, END], "0002-1of2-0": [START, FAILED]}, 0, "failed"),
        ({"0001-0of2-0": [START, AGAIN], "0002-1of2-0": [START]}, 0, "running"),
        ({"0001-0of2-0": [START, FAILED], "0002-1of2-0": [START, END], "0003-0of2-0": [START, END]}, 0, "ready"),
        # What went before another count of shares is over.
        ({"0001": [START], "0002-0of2-0": [START, END], "0003-1of2-0": [START, END]}, SILENT_AFTER_S + 1, "ready"),
        ({"0001-0of2-0": [START, END], "0002-0of0-0": [START, {**END, "code": 66}], "0003-1of2-0": [START]}, 0, "running"),
    ],
)
def test_the_state_of_a_run_that_is_not_done(tmp_path: Path, journal: dict[str, Any], age_s: float, state: str) -> None:
    run = made(tmp_path / "count-1", journal)
    before = sorted(tmp_path.rglob("*"))
    assert run.state(NOW + age_s) == state
    assert sorted(tmp_path.rglob("*")) == before


def test_the_state_of_a_run_that_is_done(tmp_path: Path) -> None:
    run = complete(made(tmp_path / "count-1", {"0001": [START]}))
    assert run.state(NOW) == "done"
    run.output("a.txt").write_text("123")
    assert run.state(NOW) == "damaged"
    (run.folder / "stale.json").write_text("{}")
    assert run.state(NOW) == "stale"


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"figures": {}, "output": []}', '{"figures": 1, "output": {}}'])
def test_a_done_json_that_is_none_is_damage(tmp_path: Path, content: str) -> None:
    run = made(tmp_path / "count-1")
    (run.folder / "done.json").write_text(content)
    assert run.state() == "damaged"
    assert run.done() is None
    assert run.figures() == {}


def test_a_changed_byte_is_found_by_its_checksum(tmp_path: Path) -> None:
    run = complete(made(tmp_path / "count-1"))
    run.output("a.txt").write_text("12354")
    assert run.verify() == []
    assert run.verify(checksums=True) == ["a.txt differs from its checksum"]


def test_a_copied_folder_of_runs_is_complete(desk: Desk, tmp_path: Path) -> None:
    made_here = desk.conduct()
    shutil.copytree(desk.folder / "runs", tmp_path / "elsewhere" / "runs")
    shutil.rmtree(desk.folder)
    for run in runs_in(tmp_path / "elsewhere" / "runs"):
        assert run.state() == "done"
        assert run.verify(checksums=True) == []
        assert run.figures() == made_here[run.step].figures
        for name, folder in run.inputs.items():
            assert folder == (tmp_path / "elsewhere" / "runs" / made_here[name].folder.name).resolve()
            assert Run.open(folder).fingerprint == run.description["inputs"][name]["fingerprint"]


def test_an_input_that_travelled_along_is_found_beside_the_run(tmp_path: Path) -> None:
    made(tmp_path / "there" / "pack-1")
    run = made(tmp_path / "there" / "train-1", inputs={"pack": {"fingerprint": "1", "folder": "../../other/pack-1"}})
    assert run.inputs == {"pack": tmp_path / "there" / "pack-1"}
    made(tmp_path / "other" / "pack-1")
    assert Run.open(run.folder).inputs == {"pack": tmp_path / "other" / "pack-1"}


def test_runs_are_listed_oldest_first_and_nothing_else_is(tmp_path: Path) -> None:
    made(tmp_path / "b", created="2026-01-02")
    made(tmp_path / "a", created="2026-01-03")
    made(tmp_path / "c", created="2026-01-01")
    made(tmp_path / f"{TEMPORARY}d")
    (tmp_path / "e").mkdir()
    (tmp_path / "e" / "step.json").write_text("{")
    (tmp_path / "f").mkdir()
    assert [run.name for run in runs_in(tmp_path)] == ["c", "b", "a"]
    assert runs_in(tmp_path / "absent") == []


def test_what_is_no_run_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"no step\.json"):
        Run.open(tmp_path)
    for text in ("", "[1]", '{"step": "count"}', "\x00"):
        (tmp_path / "step.json").write_text(text)
        with pytest.raises(DataError, match="not the description of a run"):
            Run.open(tmp_path)


def finding(text: str, part: str) -> dict[str, Any]:
    return {"kind": "finding", "code": "TOY001", "severity": "error", "place": "a", "text": text, "part": part}


def test_a_finding_is_told_once_and_gone_when_mended(tmp_path: Path) -> None:
    done = {"kind": "part", "id": "a", "figures": {}}
    first = [finding("old", "a"), finding("kept", "b"), finding("kept", "b")]
    second = [done, {"kind": "finish"}, finding("of all", "")]
    run = made(tmp_path / "count-1", {"0001": [*first, finding("of all before", "")], "0002": second})
    assert [one["text"] for one in run.findings()] == ["kept", "of all"]
    assert set(run.findings()[0]) == {"code", "severity", "place", "text"}


def test_sections_of_a_broken_report_are_none(tmp_path: Path) -> None:
    run = made(tmp_path / "count-1")
    run.output().mkdir()
    for text in ("", "[]", "{}", '{"sections": 1}', '{"sections": [1]}'):
        run.output("report.json").write_text(text)
        assert run.sections() == []


def test_the_age_of_the_newest_sign_of_life(tmp_path: Path) -> None:
    run = made(tmp_path / "count-1", {"0001": [START], "0002": [{**START, "t": NOW + 5}]})
    assert run.heartbeat_age_s(NOW + 7) == 2
    assert made(tmp_path / "count-2").heartbeat_age_s() is None


def test_a_run_in_short(tmp_path: Path) -> None:
    run = complete(made(tmp_path / "count-1"), figures={"dice": 0.123456, "device": "cpu"})
    assert repr(run) == "<Run count-1: done; dice=0.1235>"


def test_killed_attempts_and_the_one_that_ended_make_one_run(desk: Desk) -> None:
    unbroken = output_of(Run.open(desk.conduct(runs=desk.folder / "unbroken")["fit"].folder))
    for nth in (1, 2):
        assert desk.labwright("run", "study.yaml", fault=f"journal:mid-line@{8 + nth}").returncode == -9
    run = Run.open(desk.conduct()["fit"].folder)
    assert output_of(run) == unbroken
    assert list(run.curves()["one", "train", "weight"]) == [1, 2, 3]


def test_ranks_of_an_attempt_count_together_and_those_of_an_older_one_no_more() -> None:
    def last(kind: str, code: int = 75) -> dict[str, Any]:
        return {"kind": kind, "t": 0.0, "code": code}

    four = [("0001", last("usage")), *((f"0001-0of1-{rank}", last("usage")) for rank in (1, 2, 3))]
    assert sorted(newest_by_worker(four)) == ["", "0of1-1", "0of1-2", "0of1-3"]
    two = [*four, ("0002", last("end")), ("0002-0of1-1", last("end"))]
    assert sorted(newest_by_worker(two)) == ["", "0of1-1"]
    assert state_by_journal(newest_by_worker(two), now=1e6) == "stopped"
    finishing = [*two, ("0003-0of0-0", last("usage"))]
    assert sorted(newest_by_worker(finishing)) == ["0of0-0"]
    shares = [("0001-0of2-0", last("end")), ("0002-1of2-0", last("usage")), ("0003-0of2-0", last("end"))]
    assert sorted(newest_by_worker(shares)) == ["0of2-0", "1of2-0"]
