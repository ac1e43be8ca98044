"""The pool does what is missing, in an order that respects ``after``, and with any number of workers the same."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labwright.parts.claims import LOCK
from labwright.parts.execute import execute
from labwright.parts.pool import Outcome, run_parts
from labwright.runs.errors import DataError, Exit, FaultError, Stopped
from labwright.runs.publish import TEMPORARY
from labwright.runs.run import Run
from labwright.study.plan import create, plan
from labwright.study.resolve import resolve
from labwright.study.step import Part
from labwright.testing.tiny import tiny_sequences, tiny_study
from tests.parts.toy_recipe import Desk, output_of, until


class Bench:
    """A job without a run folder, of a step that is no faster in several processes: what is done is kept in a list."""

    def __init__(self, done: list[str] | None = None, stop_after: int | None = None) -> None:
        self.done = list(done or [])
        self.before = len(self.done)
        self.stop_after = stop_after
        self.said: list[str] = []
        self.begun: list[str] = []
        self.failed: list[str] = []
        self.machine = SimpleNamespace(workers=4)
        self.run = SimpleNamespace(step="toy", folder=Path("toy"))
        self.again = True

    def results(self) -> dict[str, Any]:
        return dict.fromkeys(self.done)

    def stopping(self) -> bool:
        return self.stop_after is not None and len(self.done) - self.before >= self.stop_after

    def record(self, kind: str, **fields: Any) -> None:
        {"begin": self.begun, "part": self.done, "failed": self.failed}[kind].append(fields["id" if kind == "part" else "part"])

    def say(self, text: str) -> None:
        self.said.append(text)

    def progress(self, done: int, total: int, title: str) -> None:
        assert done <= total

    def work(
        self, parts: list[Part], everything: list[Part] | None = None, fail: Callable[[str], Exception | None] = lambda _: None
    ) -> Outcome:
        def work(_job: Any, part: Part) -> dict[str, Any]:
            error = fail(part.id)
            if error:
                raise error
            return {"id": part.id}

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("labwright.parts.pool.replace", lambda job, **_: job)
            return run_parts(SimpleNamespace(work=work, parallel=False), self, parts, everything or parts)  # type: ignore[arg-type]


@st.composite
def parts(draw: st.DrawFn) -> list[Part]:
    """Parts of which each may come after some of those before it, in any order."""
    count = draw(st.integers(0, 10))
    made = [
        Part(str(number), draw(st.floats(0, 9)), tuple(map(str, draw(st.sets(st.integers(0, number - 1), max_size=3)))))
        if number
        else Part("0")
        for number in range(count)
    ]
    return draw(st.permutations(made))


@given(parts())
def test_each_part_is_worked_on_once_and_after_those_it_names(made: list[Part]) -> None:
    bench = Bench()
    assert bench.work(made) == Outcome(len(made), None, False)
    assert sorted(bench.done) == sorted(part.id for part in made)
    for part in made:
        assert all(bench.done.index(name) < bench.done.index(part.id) for name in part.after)


@given(parts(), st.data())
def test_what_is_done_is_not_done_again(made: list[Part], data: st.DataObject) -> None:
    first = Bench(stop_after=data.draw(st.integers(0, len(made))))
    outcome = first.work(made)
    assert outcome.stopped == (len(first.done) < len(made))
    second = Bench(first.done)
    second.work(made)
    assert sorted(second.done) == sorted(part.id for part in made)


def test_the_costly_parts_come_first() -> None:
    bench = Bench()
    bench.work([Part("a", 1), Part("b", 3), Part("c", 2), Part("d", 3)])
    assert bench.done == ["b", "d", "c", "a"]


def test_a_failing_part_leaves_the_others_finished() -> None:
    bench = Bench()
    made = [Part("a"), Part("b"), Part("c", after=("a",)), Part("d", after=("b",)), Part("e")]
    outcome = bench.work(made, fail=lambda name: DataError("it is broken", where=name) if name in "ae" else None)
    assert bench.done == ["b", "d"]
    assert (bench.begun, bench.failed) == (["a", "b", "d", "e"], ["a", "e"])
    assert str(outcome.error) == "a: it is broken"
    assert len(bench.said) == 2


def test_a_part_that_was_stopped_is_left_for_the_next_attempt() -> None:
    bench = Bench()
    outcome = bench.work([Part("a", 2), Part("b")], fail=lambda name: Stopped("stopped") if name == "a" else None)
    assert outcome == Outcome(0, None, True)


def test_an_error_of_ours_is_not_swallowed() -> None:
    with pytest.raises(ZeroDivisionError):
        Bench().work([Part("a")], fail=lambda _: ZeroDivisionError())


def test_parts_of_another_share_are_waited_for_outside() -> None:
    everything = [Part("a"), Part("b", after=("a",))]
    with pytest.raises(Stopped, match="another share"):
        Bench().work(everything[1:], everything)
    bench = Bench(["a"])
    assert bench.work(everything[1:], everything).done == 1


def test_a_name_that_is_no_part_holds_nobody_up() -> None:
    assert Bench().work([Part("a", after=("gone",))]).done == 1


def test_workers_give_the_same_bytes(tmp_path: Path) -> None:
    study = resolve([tiny_study(tmp_path / "study", tiny_sequences(tmp_path / "data", frames=5))])
    outputs = []
    for workers in (1, 2):
        folder = tmp_path / f"runs{workers}"
        (planned,) = plan(study, runs=folder, steps=["pack"])
        run = create(planned, study)
        assert execute(run, quiet=True, workers=workers) == Exit.DONE
        outputs.append(output_of(run))
    assert len(outputs[0]) > 10
    assert outputs[0] == outputs[1]


def test_workers_hand_back_findings_sources_and_what_libraries_print(desk: Desk) -> None:
    run = desk.created("count")
    execute(run, quiet=True, workers=2)
    assert [(one["code"], one["place"]) for one in run.findings()] == [("TOY001", "c")]
    assert sorted(run.sources()) == ["a.txt", "b.txt", "c.txt"]
    log = (run.folder / "journal" / "0001.log").read_text()
    assert sorted(line for line in log.splitlines() if line.startswith("native")) == [f"native words about {name}" for name in "abc"]
    assert [row["stage"] for row in run.energy()][:2] == ["other", "count"]


def test_a_failing_part_in_a_worker_hands_back_its_finding_too(desk: Desk) -> None:
    run = desk.created("count", "count.fail=[b]")
    with pytest.raises(DataError, match="b: the text cannot be read"):
        execute(run, quiet=True, workers=2)
    assert {"a", "c"} == set(run.part_figures())
    assert "TOY003" in [one["code"] for one in run.findings()]


def test_a_killed_worker_is_said_and_the_rest_is_kept(desk: Desk) -> None:
    run = desk.created("count", "count.die=[c]")
    with pytest.raises(FaultError, match="worker process was killed") as caught:
        execute(run, quiet=True, workers=2)
    assert "run.on.workers=1" in caught.value.todo
    assert run.state() == "failed"
    assert "c" not in run.part_figures()


LEFT = """
import sys
from pathlib import Path
import psutil
from labwright.parts.execute import execute
from labwright.runs.run import Run
if __name__ == "__main__":
    execute(Run.open(sys.argv[1]), quiet=True, workers=2)
    print([one.cmdline() for one in psutil.Process().children()])
"""


def test_nothing_that_outlives_the_workers_holds_the_log_open(desk: Desk) -> None:
    run = desk.created("count")
    script = desk.folder / "left.py"
    script.write_text(LEFT)
    outcome = desk.labwright(str(run.folder), python=[str(script)])
    assert outcome.returncode == 0, outcome.stderr
    assert "tee.py" not in outcome.stdout


def test_workers_of_a_killed_process_end_with_it(desk: Desk) -> None:
    words = ("run", "study.yaml", "--step", "count", "--set", "count.sleep_s=30", "--set", "run.on.workers=2")
    with desk.start(*words) as process:
        workers: list[psutil.Process] = []

        def at_work() -> bool:
            workers[:] = [one for one in psutil.Process(process.pid).children() if "spawn_main" in " ".join(one.cmdline())]
            log = next(desk.folder.glob("runs/*/journal/0001.log"), None)
            return len(workers) == 2 and log is not None and log.read_text().count("native words") == 2

        until(at_work)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    until(lambda: not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in workers), seconds=5)


def test_a_stop_reaches_the_workers(desk: Desk) -> None:
    words = ("run", "study.yaml", "--step", "count", "--set", "count.sleep_s=1", "--set", "run.on.workers=2")
    with desk.start(*words) as process:
        until(lambda: any("native words" in path.read_text() for path in desk.folder.glob("runs/*/journal/0001.log")))
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=30)
    assert process.returncode == Exit.AGAIN
    assert "stopped early: SIGTERM came" in err
    run = Run.open(next(desk.folder.glob("runs/count-*")))
    assert run.state() == "stopped"
    assert len(run.part_figures()) == 2, "parts at work are finished, the third is not begun"


def test_the_next_attempt_waits_for_workers_that_a_killed_one_left_behind(desk: Desk) -> None:
    run = desk.created("count", "run.on.workers=2", "count.sleep_s=0.5")
    with desk.start("step", str(run.folder)) as first:
        until(lambda: len(attending(first.pid)) == 2)
        orphans = attending(first.pid)
        for orphan in orphans:
            orphan.suspend()
        first.kill()
        first.wait()
        with desk.start("step", str(run.folder)) as second:
            assert second.stderr is not None
            assert "waiting for worker processes of a killed attempt" in second.stderr.readline()
            assert run.attempts() == 1
            for orphan in orphans:
                orphan.resume()
            second.communicate(timeout=60)
    assert second.returncode == Exit.DONE
    assert run.attempts() == 2
    assert not any(orphan.is_running() and orphan.status() != psutil.STATUS_ZOMBIE for orphan in orphans)
    assert not list(run.folder.rglob(f"{TEMPORARY}*"))


def attending(pid: int) -> list[psutil.Process]:
    """The worker processes of a process that are at work."""
    return [child for child in psutil.Process(pid).children() if any(file.path.endswith(LOCK) for file in child.open_files())]


def test_workers_of_one_share_keep_no_other_share_waiting(desk: Desk) -> None:
    run = desk.created("count", "run.on.workers=2", "count.sleep_s=0.3")
    shares = [desk.start("step", str(run.folder), "--share", f"{index}/2") for index in range(2)]
    for process in shares:
        _, err = process.communicate(timeout=60)
        assert "waiting for worker processes" not in err
        assert process.returncode in (Exit.DONE, Exit.AGAIN), "share 0 waits for the parts that its last one gathers"
