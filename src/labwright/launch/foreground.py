"""A study on a site, in the foreground: submit, follow, and cancel what is left of it when one stops looking.

Jobs of ``labwright submit`` belong to the scheduler. These belong to a terminal: when it sends Ctrl-C or goes away, when the
process is told to end, or when it falls over an error, what it queued is cancelled.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from labwright.launch import hello
from labwright.launch.job import Job
from labwright.launch.launcher import DONE, UNKNOWN
from labwright.launch.prepare import Prepared, begin, begun, queue
from labwright.launch.status import Placed, Standing, look, standing
from labwright.launch.stop import stop
from labwright.launch.submission import Submission, read
from labwright.parts.conduct import closed_gate
from labwright.runs.errors import CommandError, DataError, Exit, FaultError, LabwrightError, MissingError, Stopped, StudyError
from labwright.runs.run import Run
from labwright.watch.logs import plain
from labwright.watch.tail import Tail

LOOK_AGAIN_S = 0.5
"""How often the files of the runs are looked at."""
ASK_AGAIN_S = {"local": 1.0}
ASK_CLUSTER_AGAIN_S = 15.0
"""How often a scheduler that many people use is asked."""
HELLO_AGAIN_S, PATIENCE = 5.0, 3
"""How often a scheduler is asked about one small job, and how often it may say that the job is over before no answer is waited for."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_KINDS: dict[int, type[LabwrightError]] = {kind.code: kind for kind in (CommandError, DataError, MissingError, Stopped, StudyError)}

Say = Callable[[str], None]


def conduct(prepared: Prepared, say: Say) -> dict[Path, LabwrightError]:
    """Queue the jobs and wait until nothing of them can go on.

    Args:
        prepared: what to queue.
        say: shows a line.

    Returns:
        By run folder why it is not done; empty where all are.

    Raises:
        Stopped: a signal came; the jobs were cancelled.
        LabwrightError: they could not be queued, or not be cancelled.
    """
    # Before the signals are only noted, since another process may have to be waited for.
    with ExitStack() as turn:
        made = turn.enter_context(begun(prepared))
        with _signals() as came:
            logs = _Logs({run for job in prepared.jobs for run in job.runs})
            try:
                made = queue(prepared, made)
                turn.close()
                say(f"queued on {made.site}: {', '.join(f'{job.name} {job.id}' for job in made.jobs)}")
                ended = _follow(prepared, made, logs, say, came)
            finally:
                count = cancel_rest(made.folder)
    if ended is None:
        raise Stopped(
            f"{came[0]} came; {count} {'job was' if count == 1 else 'jobs were'} cancelled", todo="Run the same command to go on."
        )
    return ended


def greet(prepared: Prepared, say: Say, within_s: float) -> dict[str, Any]:
    """Queue a look at a machine, wait for the answer and hand it back.

    Args:
        prepared: of :func:`labwright.launch.prepare.prepare_hello`.
        say: shows how the job is getting on.
        within_s: after so long it is cancelled.

    Raises:
        Stopped: a signal came, or the time is over; the job was cancelled.
        FaultError: the job ended without an answer; its last words are told.
    """
    folder = prepared.jobs[0].tasks[0].run
    with _signals() as came:
        folder.mkdir(parents=True)
        made = begin(prepared)
        end = time.monotonic() + within_s
        answer: dict[str, Any] | None = None
        try:
            made = queue(prepared, made)
            answer = _answer(made, folder, say, lambda: bool(came) or time.monotonic() > end)
        finally:
            if answer is None:
                cancel_rest(made.folder)
    if answer is None:
        why = f"{came[0]} came" if came else f"no machine answered within {within_s / 60:.0f} minutes"
        raise Stopped(f"{why}; the job was cancelled", where=made.site, todo="`labwright status` shows what the site says.")
    return answer


def _answer(made: Submission, folder: Path, say: Say, is_over: Callable[[], bool]) -> dict[str, Any] | None:
    pause_s = ASK_AGAIN_S.get(made.kind, ASK_CLUSTER_AGAIN_S)
    ask_at, told, silent = 0.0, "", 0
    while not is_over():
        if answer := hello.read(folder):
            return answer
        if time.monotonic() >= ask_at:
            one = look(made.jobs)[0]
            ask_at = time.monotonic() + min(pause_s, HELLO_AGAIN_S)
            line = f"job {one.job_id}: {one.seen.state}" + (f" ({one.seen.reason})" if one.seen.reason else "")
            if line != told:
                say(line)
                told = line
            # Files may come later than the word that the job is over.
            silent = 0 if one.is_living or one.seen.state == UNKNOWN else silent + 1
            if silent > PATIENCE:
                printed = [path.read_text(encoding="utf-8", errors="replace") for path in sorted((folder / "jobs").glob("*.*"))]
                words = [text for text in "\n".join(printed).splitlines() if text.strip()]
                raise FaultError(
                    f"job {one.job_id} is {one.seen.state} without an answer: {(words or [one.seen.reason or 'it printed nothing'])[-1]}",
                    where=str(folder / "jobs"),
                )
        time.sleep(LOOK_AGAIN_S)
    return None


def cancel_rest(folder: Path) -> int:
    """Cancel what of a submission may still be queued or running; returns how many jobs that were.

    Raises:
        LabwrightError: the scheduler refused one; the others were cancelled all the same.
    """
    stops = stop(look(read(folder).jobs))
    for one in stops:
        if one.error and not one.is_lost:
            raise one.error
    return len(stops)


def why(run: Run, how: Standing) -> LabwrightError:
    """Why a run is not done, with the exit code of its process where that told one."""
    ends = [record for record in run.last_records().values() if record["kind"] == "end" and record["code"] != Exit.DONE]
    if how.state in ("failed", "stopped") and ends:
        kind = _KINDS.get(ends[0]["code"], FaultError)
        return kind(str(ends[0].get("reason") or how.state), where=run.name, todo=f"`labwright logs {run.folder}` shows all.")
    kind = Stopped if how.state in ("cancelled", "ready", "stopped") else FaultError
    ids = f" (job {', '.join(how.jobs)})" if how.jobs else ""
    return kind(
        f"{how.state}{ids}: {how.reason or 'the scheduler gives no reason'}",
        where=run.name,
        todo=f"See `labwright logs {run.folder} --job`.",
    )


def _follow(prepared: Prepared, made: Submission, logs: _Logs, say: Say, came: Sequence[str]) -> dict[Path, LabwrightError] | None:
    """Show what happens until nothing can go on any more; None where a signal came first."""
    runs = {task.run: Run.open(task.run) for job in made.jobs for task in job.tasks}
    pause_s = ASK_AGAIN_S.get(made.kind, ASK_CLUSTER_AGAIN_S)
    told: dict[Path, tuple[str, str]] = {}
    ask_at = 0.0
    tasks: list[Placed] = []
    while not came:
        asked = time.monotonic() >= ask_at
        if asked:
            tasks = look(made.jobs)
            ask_at = time.monotonic() + pause_s
        how = {path: standing(run, [one for one in tasks if one.task.run == path]) for path, run in runs.items()}
        logs.show(say)
        for path, one in how.items():
            if told.get(path) != (one.state, one.host):
                told[path] = (one.state, one.host)
                say(_line(runs[path], one))
        if asked:
            closed = _closed(prepared, how)
            if not _can_go_on(prepared.jobs, tasks, how, {gate for gate, _ in closed.values()}):
                return {
                    path: closed[path][1] if path in closed else why(runs[path], one) for path, one in how.items() if one.state != "done"
                }
        time.sleep(LOOK_AGAIN_S)
    return None


def _closed(prepared: Prepared, how: Mapping[Path, Standing]) -> dict[Path, tuple[Path, DataError]]:
    """By run the gate of it that is complete and closed, and the sentence that says so."""
    found: dict[Path, tuple[Path, DataError]] = {}
    for _, plan in prepared.rows:
        by_name = {one.name: one for one in plan}
        for one in plan:
            for gate in (by_name[name] for name in one.step.gates if name in by_name and one.folder in how):
                if gate.folder in how and how[gate.folder].state == "done" and (error := closed_gate(gate, one.name)):
                    found[one.folder] = (gate.folder, error)
    return found


def _can_go_on(jobs: Sequence[Job], tasks: Sequence[Placed], how: Mapping[Path, Standing], closed: Collection[Path]) -> bool:
    """Whether a task still works, or waits for what does not wait for one that failed, or for a closed gate."""
    lost: set[tuple[str, int]] = set()
    by_place = {(one.job.name, one.number): one for one in tasks}
    alive = False
    for job in jobs:
        for number, task in enumerate(job.tasks):
            one = by_place[job.name, number]
            state = how[task.run].state
            before = [(after.job, number) if after.each else after.job for after in job.after]
            blocked = any(place in lost if isinstance(place, tuple) else place in {name for name, _ in lost} for place in before)
            if state == "done":
                if task.run in closed:
                    lost.add((job.name, number))
            elif state == "running" or (not blocked and (one.is_living or one.seen.state == UNKNOWN)):
                alive = True
            elif blocked or one.seen.state != DONE:
                lost.add((job.name, number))
    return alive


def _line(run: Run, how: Standing) -> str:
    words = [run.name, how.state]
    if how.host:
        words.append(f"on {how.host}")
    if how.reason and how.state not in ("running", "done"):
        words.append(f"({how.reason})")
    return " ".join(words)


class _Logs:
    """What the runs print from now on."""

    def __init__(self, runs: Collection[Path]) -> None:
        self.runs = runs
        self.tails: dict[Path, Tail | None] = {path: None for run in runs for path in _logs(run)}

    def show(self, say: Say) -> None:
        for run in self.runs:
            for path in _logs(run):
                tail = self.tails.setdefault(path, Tail(path))
                while tail and (lines := tail.read()):
                    for line in lines:
                        # What a log says of itself (versions, options) is for those who open it.
                        if not line.startswith(b"# "):
                            say(f"  {run.name}: {plain(line)}" if len(self.runs) > 1 else f"  {plain(line)}")


def _logs(run: Path) -> list[Path]:
    return sorted((run / "journal").glob("*.log"))


@contextmanager
def _signals() -> Iterator[list[str]]:
    """The names of signals that came and ask for an end; a handler only notes them."""
    came: list[str] = []

    def note(number: int, _frame: FrameType | None) -> None:
        came.append(signal.Signals(number).name)

    # What is ignored on purpose stays so: under `nohup` the terminal may go.
    heeded = [number for number in _SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
    previous = {number: signal.signal(number, note) for number in heeded}
    try:
        yield came
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
