"""A study does what is missing and nothing else, and stops with a sentence where it must not go on."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from labwright.parts import pool
from labwright.parts.conduct import find_run
from labwright.runs.errors import CommandError, DataError, Exit, MissingError
from labwright.runs.run import Run, runs_in
from tests.parts.toy_recipe import Desk


def touch(path: Path) -> None:
    later = time.time() + 10
    os.utime(path, (later, later))


def test_steps_are_done_in_order_once(desk: Desk) -> None:
    first = desk.conduct()
    assert list(first) == ["count", "gate", "fit", "sum"]
    assert all(result.fresh and result.state == "done" for result in first.values())
    assert first["sum"].figures == {"total": 5, "weight": 4.375}
    second = desk.conduct()
    assert not any(result.fresh for result in second.values())
    assert [result.folder for result in second.values()] == [result.folder for result in first.values()]
    assert all(run.attempts() == 1 for run in runs_in(desk.folder / "runs"))


def test_a_changed_option_redoes_what_depends_on_it_alone(desk: Desk) -> None:
    first = desk.conduct()
    second = desk.conduct("fit.rounds=5")
    assert [result.step for result in second.values() if result.fresh] == ["fit", "sum"]
    assert second["fit"].folder != first["fit"].folder
    assert first["fit"].folder.is_dir(), "the old run stays beside the new one"


def test_an_option_without_effect_redoes_nothing(desk: Desk) -> None:
    desk.conduct()
    assert not any(result.fresh for result in desk.conduct("run.on.workers=2", "run.name=again", "fit.sleep_s=0.01").values())


def test_workers_are_those_of_this_call_and_not_of_the_first(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    run = desk.created("count", "run.on.workers=2")

    def refuse(*_: object) -> None:
        raise AssertionError("this call has one worker")

    monkeypatch.setattr(pool, "_Processes", refuse)
    desk.conduct("run.on.workers=1", step="count")
    assert run.state() == "done"
    assert Run.open(run.folder).description["machine"]["workers"] == 2


def test_a_gate_with_errors_stops_the_training(desk: Desk) -> None:
    with pytest.raises(DataError) as caught:
        desk.conduct("gate.most=1")
    assert caught.value.code == Exit.DATA
    assert "gate found 2 errors, so fit does not start" in str(caught.value)
    assert "TOY002 a: 3 words are too many" in str(caught.value)
    assert not list(desk.folder.glob("runs/fit-*"))


def test_a_gate_is_no_matter_for_what_has_passed_it(desk: Desk) -> None:
    first = desk.conduct()
    # The gate asks for more now; what is trained stays trained, and the gate is not even run.
    results = desk.conduct("gate.most=1", step="sum")
    assert list(results) == ["count", "fit", "sum"]
    assert results["sum"].folder == first["sum"].folder


def test_no_training_starts_unasked(desk: Desk) -> None:
    with pytest.raises(MissingError, match="no run of fit is done") as caught:
        desk.conduct(step="sum")
    assert caught.value.code == Exit.MISSING
    assert not (desk.folder / "runs").exists()
    done = desk.conduct()["fit"].folder.name
    with pytest.raises(MissingError, match="no training starts unasked") as caught:
        desk.conduct("fit.rate=0.25", step="sum")
    assert f"{done}: rate: 0.5 there, 0.25 planned" in caught.value.what
    assert "--step fit" in caught.value.todo
    assert "--run" in caught.value.todo
    assert len(list(desk.folder.glob("runs/fit-*"))) == 1
    with pytest.raises(MissingError, match="same options, other inputs"):
        desk.conduct("count.letters=4", step="sum")


def test_a_chosen_run_is_taken(desk: Desk) -> None:
    done = desk.conduct()["fit"].folder
    results = desk.conduct("fit.rate=0.25", step="sum", chosen={"fit": find_run(desk.folder / "runs", "fit-").folder})
    assert results["fit"].folder == done
    assert not results["fit"].fresh
    assert results["sum"].figures["weight"] == 4.375
    with pytest.raises(MissingError, match="this is a run of fit, not of count"):
        desk.conduct(chosen={"count": done})


def test_a_step_that_is_none_is_refused(desk: Desk) -> None:
    with pytest.raises(CommandError, match="count, gate, fit, mean, sum"):
        desk.conduct(step="counts")


def test_changed_raw_files_make_a_run_stale_for_good(desk: Desk) -> None:
    desk.conduct()
    text = desk.texts / "a.txt"
    before = text.read_text()
    text.write_text(before.upper())  # as long, of other bytes
    touch(text)
    with pytest.raises(DataError, match=r"raw files changed after they were read: a\.txt") as caught:
        desk.conduct()
    assert caught.value.code == Exit.DATA
    assert "clean --stale" in caught.value.todo
    run = Run.open(next(desk.folder.glob("runs/count-*")))
    assert run.state() == "stale"
    with pytest.raises(DataError, match="raw files changed"):
        desk.conduct(step="sum")


def test_touched_raw_files_change_nothing(desk: Desk) -> None:
    desk.conduct()
    for path in desk.texts.iterdir():
        touch(path)
    assert not any(result.fresh for result in desk.conduct().values())


def test_a_damaged_run_is_refused(desk: Desk) -> None:
    desk.conduct()
    folder = next(desk.folder.glob("runs/count-*"))
    (folder / "output" / "all.json").write_text("{}")
    with pytest.raises(DataError, match=r"all\.json has 2 bytes"):
        desk.conduct()


def test_runs_elsewhere_are_the_same_runs(desk: Desk) -> None:
    here = desk.conduct()
    there = desk.conduct(runs=desk.folder / "scratch")
    assert all(result.fresh for result in there.values())
    assert [result.folder.name for result in there.values()] == [result.folder.name for result in here.values()]
    assert all(result.folder.parent == (desk.folder / "scratch").resolve() for result in there.values())
    assert not any(result.fresh for result in desk.conduct(f"run.folder={desk.folder / 'scratch'}").values())


def test_a_step_of_another_study_is_taken_and_verified(desk: Desk, tmp_path: Path) -> None:
    taken = desk.conduct(step="count")["count"].folder
    other = Desk(tmp_path / "other")
    other.path.write_text(f"recipe: counting\ncount: {{from: {taken}}}\nrun: {{on: {{workers: 1}}}}\n")
    results = other.conduct()
    assert results["count"].folder == taken
    assert not results["count"].fresh
    assert results["sum"].figures["total"] == 5
    content = (taken / "output" / "all.json").read_bytes()
    (taken / "output" / "all.json").write_bytes(content.replace(b"3", b"4"))  # as long, of another byte
    with pytest.raises(DataError, match=r"all\.json differs from its checksum"):
        other.conduct()
    (taken / "done.json").unlink()
    with pytest.raises(MissingError, match="not done"):
        other.conduct()


def test_a_run_is_found_by_the_beginning_of_its_name(desk: Desk) -> None:
    first, second = (desk.conduct(f"fit.rounds={rounds}")["fit"].folder for rounds in (1, 2))
    runs = desk.folder / "runs"
    assert find_run(runs, first.name).folder == runs / first.name
    assert find_run(runs, second.name[:-2]).name == second.name
    assert find_run(runs, str(first)).name == first.name
    with pytest.raises(MissingError, match="several runs begin") as caught:
        find_run(runs, "fit-")
    assert first.name in caught.value.todo
    assert "count-" not in caught.value.todo
    with pytest.raises(MissingError, match="no run begins"):
        find_run(runs, "train")
    with pytest.raises(MissingError, match="no run begins") as caught:
        find_run(runs, "fit-0123456789")
    assert caught.value.todo == f"There are, newest first: {second.name}, {first.name}."


def test_the_joules_of_a_result_are_those_of_its_run(desk: Desk) -> None:
    folder = desk.conduct(step="count")["count"].folder
    done = json.loads((folder / "done.json").read_text())
    # What finishing itself took comes to the journal after done.json.
    (folder / "done.json").write_text(json.dumps({**done, "energy": []}))
    assert desk.conduct(step="count")["count"].energy == Run.open(folder).energy() != []
