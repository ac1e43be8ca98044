"""The lines around a payload choose the task, prepare the place, hand signals on, and keep the payload's own exit code."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labwright.launch import script
from labwright.launch.job import Job, Task
from labwright.launch.site import UNKNOWN, Queue, Site
from labwright.parts.shares import Share
from labwright.runs.errors import FaultError, StudyError
from labwright.study.resources import Resources
from labwright.testing.schedulers import Twins

TELLS = 'env -0 >"${0%/*}/env"'
"""A payload that writes down its environment."""


class Bench:
    """A place where bash runs the lines, with a twin of the interpreter."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.twins = folder, Twins(folder / "bin")
        self.site = Site(kind="local", name="toy", python=str(folder / "bin" / "python"))

    def job(self, *names: str, shares: int = 0) -> Job:
        deal: list[Share | None] = [Share(index, shares) for index in range(shares)] if shares else [None]
        return Job("count", "count", tuple(Task(self.folder / name, share) for name in names for share in deal), Resources(), Queue())

    def start(self, job: Job, site: Site | None = None, index: str = "0", **variables: str) -> subprocess.Popen[str]:
        lines = [*script.lines(job, site or self.site, index=index), 'exit "$code"']
        (self.folder / "job.sh").write_text("\n".join(lines))
        environment = {"PATH": self.twins.path, "HOME": str(self.folder), **variables}
        return subprocess.Popen(
            ["bash", self.folder / "job.sh"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=self.folder
        )

    def run(self, job: Job, site: Site | None = None, index: str = "0", **variables: str) -> tuple[int, str]:
        process = self.start(job, site, index, **variables)
        out, _ = process.communicate(timeout=30)
        return process.returncode, out

    def payloads(self) -> list[list[str]]:
        """What followed ``python -m labwright`` in each call."""
        return [words[2:] for words in self.twins.calls("python")]

    def environment(self) -> dict[str, str]:
        return dict(entry.split("=", 1) for entry in (self.twins.folder / "env").read_text().split("\0") if entry)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_each_task_of_an_array_is_another_run_and_share(bench: Bench) -> None:
    bench.twins.runs("python", "exit 0")
    job = bench.job("run a", "run b", shares=3)
    for index in range(6):
        assert bench.run(job, index=str(index))[0] == 0
    assert bench.payloads() == [["step", *task.argv("")[4:]] for task in job.tasks]


def test_tasks_in_another_order_than_shares_are_dealt_are_refused(bench: Bench) -> None:
    job = Job("count", "count", bench.job("a", shares=3).tasks[::-1], Resources(), Queue())
    with pytest.raises(FaultError, match="in turn"):
        script.lines(job, bench.site)


def test_a_setup_line_that_fails_is_shown_and_nothing_begins(bench: Bench) -> None:
    bench.twins.runs("python", "exit 0")
    site = bench.site.model_copy(update={"setup": ("PLACE='it is here'", '[ -n "$NOT_SET" ] # it\'s "odd" $HOME', "touch never")})
    code, said = bench.run(bench.job("a"), site)
    assert code == 78
    assert 'this setup line of site toy failed: [ -n "$NOT_SET" ] # it\'s "odd" $HOME' in said
    assert bench.payloads() == []
    assert not (bench.folder / "never").exists()


def test_setup_lines_prepare_the_shell_of_the_payload(bench: Bench) -> None:
    bench.twins.runs("python", TELLS)
    (bench.folder / "activate").write_text("export FOUND=$UNSET_ELSEWHERE-yes\n")
    site = bench.site.model_copy(update={"setup": ("# modules", "source ./activate", "export TWO=2")})
    assert bench.run(bench.job("a"), site) == (0, "")
    assert {"FOUND": "-yes", "TWO": "2"}.items() <= bench.environment().items()


@settings(max_examples=40)
@given(value=st.text(st.characters(exclude_characters="$", exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=20))
def test_a_value_of_the_site_arrives_as_it_is(value: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    lines = script.environment(Site(kind="local", name="toy", env={"VALUE": value}), {})
    done = subprocess.run(["bash", "-c", "\n".join([*lines, 'printf %s "$VALUE"'])], capture_output=True, check=True)
    assert done.stdout == value.encode()


def test_variables_are_filled_in_where_the_script_runs_and_commands_are_not(bench: Bench) -> None:
    bench.twins.runs("python", TELLS)
    site = bench.site.model_copy(
        update={"env": {"A": "$WHO/${WHO}s `id` $(id) $", "B": "5"}, "scratch": "$WHO/tmp", "data_root": {"/raw $1": "$WHO/raw"}}
    )
    assert bench.run(bench.job("a"), site, WHO="mara lu") == (0, "")
    seen = bench.environment()
    assert (seen["A"], seen["B"]) == ("mara lu/mara lus `id` $(id) $", "5")
    assert seen["LABWRIGHT_PATHS"] == "/raw $1=mara lu/raw"
    assert (bench.folder / seen["TMPDIR"]).is_dir()
    assert "CUDA_VISIBLE_DEVICES" not in seen


@pytest.mark.parametrize(
    "change",
    [{"env": {"A": UNKNOWN}}, {"setup": (UNKNOWN,)}, {"python": UNKNOWN}, {"scratch": UNKNOWN}, {"data_root": {"/raw": UNKNOWN}}],
    ids=lambda change: next(iter(change)),
)
def test_what_nobody_knows_is_refused(bench: Bench, change: dict[str, object]) -> None:
    with pytest.raises(StudyError, match="marked as unknown"):
        script.lines(bench.job("a"), bench.site.model_copy(update=change))


@pytest.mark.parametrize("code", [0, 1, 65, 75, 78, 127, 137])
def test_the_code_of_the_payload_is_kept(bench: Bench, code: int) -> None:
    bench.twins.runs("python", f"exit {code}")
    assert bench.run(bench.job("a"))[0] == code


def test_a_payload_that_cannot_be_started_has_the_code_of_the_shell(bench: Bench) -> None:
    assert bench.run(bench.job("a"), bench.site.model_copy(update={"python": "/nowhere/python"}))[0] == 127


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 20
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.02)


@pytest.mark.parametrize("sent", [signal.SIGUSR1, signal.SIGTERM, signal.SIGINT])
def test_any_signal_is_handed_on_as_often_as_it_comes_and_the_save_waited_for(bench: Bench, sent: signal.Signals) -> None:
    bench.twins.runs(
        "python",
        "trap 'exit 143' TERM INT; trap 'echo saving; sleep 0.3; touch \"${0%/*}/saved\"; exit 75' USR1",
        'touch "${0%/*}/up"',
        "while :; do sleep 0.02; done",
    )
    process = bench.start(bench.job("a"))
    wait_for(bench.twins.folder / "up")
    process.send_signal(sent)
    time.sleep(0.1)
    process.send_signal(sent)
    process.communicate(timeout=20)
    assert process.returncode == 75
    assert (bench.twins.folder / "saved").exists()


def test_a_payload_that_ends_of_a_signal_before_it_listens_is_run_again(bench: Bench) -> None:
    bench.twins.runs("python", 'touch "${0%/*}/up"', "exec sleep 60")
    process = bench.start(bench.job("a"))
    wait_for(bench.twins.folder / "up")
    process.send_signal(signal.SIGUSR1)
    process.communicate(timeout=20)
    assert process.returncode == 75


def test_a_payload_that_was_killed_by_others_is_not_taken_for_stopped(bench: Bench) -> None:
    bench.twins.runs("python", "kill -TERM $$")
    assert bench.run(bench.job("a"))[0] == 143


def test_a_signal_during_setup_keeps_the_payload_from_beginning(bench: Bench) -> None:
    bench.twins.runs("python", "exit 0")
    site = bench.site.model_copy(update={"setup": ("touch up; sleep 0.5",)})
    process = bench.start(bench.job("a"), site)
    wait_for(bench.folder / "up")
    process.send_signal(signal.SIGUSR1)
    process.communicate(timeout=20)
    assert process.returncode == 75
    assert bench.payloads() == []


def test_runs_that_stay_on_the_execute_side_get_their_description_and_send_home_what_tells_of_them(bench: Bench) -> None:
    bench.twins.runs("python", '[ "$3" = bring ] || exit 75')
    site = bench.site.model_copy(update={"runs_root": "$PWD/far away"})
    job = bench.job("run-a", "run-b")
    for task in job.tasks:
        task.run.mkdir()
        (task.run / "step.json").write_text(json.dumps({"name": task.run.name}))
    code, _ = bench.run(job, site, index="1")
    there = bench.folder / "far away" / "run-b"
    assert code == 75
    assert bench.payloads() == [["step", str(there)], ["bring", str(there), str(bench.folder / "run-b")]]
    assert json.loads((there / "step.json").read_text()) == {"name": "run-b"}
    assert (there / "step.json").stat().st_mode == (job.tasks[1].run / "step.json").stat().st_mode
    assert [path.name for path in there.iterdir()] == ["step.json"]


def test_where_nothing_comes_home_the_code_is_still_that_of_the_payload(bench: Bench) -> None:
    bench.twins.runs("python", '[ "$3" != bring ] || exit 70')
    (bench.folder / "a").mkdir()
    (bench.folder / "a" / "step.json").write_text("{}")
    code, said = bench.run(bench.job("a"), bench.site.model_copy(update={"runs_root": "$PWD/far"}))
    assert code == 0
    assert re.search(r"the run stays at .*/far/a; nothing could be brought back", said)
