"""HTCondor by its command-line tools and by the event logs that it writes into run folders.

How a job stands is read from its event log. Where that cannot be read, ``condor_q`` and ``condor_history`` are asked; what neither
knows is ``unknown``. Several jobs go out as one DAG: their recorded id is that of DAGMan, and the log of its nodes tells their own.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from labwright.launch import dagman
from labwright.launch.eventlog import EventLog, JobState, meaning
from labwright.launch.htcondor_script import LEAVE
from labwright.launch.job import Job
from labwright.launch.launcher import CANCELLED, DONE, ENDING, FAILED, HELD, QUEUED, RUNNING, UNKNOWN, Seen, call
from labwright.launch.site import Site
from labwright.launch.submission import Submission, Submitted
from labwright.runs import publish
from labwright.runs.errors import FaultError, LabwrightError, MissingError

SUBMIT_WITHIN_S = 120.0
"""How long ``condor_submit`` may take; a busy queue is slow, and a job whose id was not heard is hard to find again."""
ASK_WITHIN_S = 15.0
NODES_LOG, DAGMAN_LOG = f"{dagman.FILE}.nodes.log", f"{dagman.FILE}.dagman.log"
_OVER = (DONE, FAILED, CANCELLED)
_STATES = {1: QUEUED, 2: RUNNING, 3: CANCELLED, 4: DONE, 5: HELD, 6: ENDING, 7: RUNNING}
"""HTCondor's JobStatus: idle, running, removed, completed, held, transferring output, suspended."""
_ATTRIBUTES = ("ClusterId", "ProcId", "JobStatus", "HoldReason", "RemoteHost", "LabwrightJob", "ExitCode", "ExitBySignal", "ExitSignal")

_Read = Callable[[Path], EventLog | None]
"""Gives a log as it is now; None where it cannot be read."""


class HTCondor:
    """See :class:`labwright.launch.launcher.Launcher`."""

    def __init__(self) -> None:
        self._logs: dict[Path, EventLog] = {}

    def submit(self, submission: Submission, jobs: Sequence[Job], site: Site) -> None:
        """Queue the jobs: one by ``condor_submit``, several as a DAG.

        Raises:
            MissingError: HTCondor's tools are not installed here.
            FaultError: it refused, or did not say under which id the jobs are queued.
        """
        for job in jobs:
            for run in job.runs:
                for name in ("jobs", "journal"):
                    with publish.disk_said(run):
                        (run / name).mkdir(parents=True, exist_ok=True)
        if len(jobs) == 1:
            words = ["condor_submit", str(submission.folder / f"{jobs[0].name}.sub")]
        else:
            words = ["condor_submit_dag", "-usedagdir", str(submission.folder / dagman.FILE)]
        said = call(*words, within_s=SUBMIT_WITHIN_S)
        match = re.search(r"submitted to cluster (\d+)", said)
        if not match:
            raise FaultError(
                f"it did not say under which number the jobs are queued: {' '.join(said.split())[-200:]}",
                where=" ".join(words),
                todo="`condor_q` shows whether they are; `condor_rm` removes them.",
            )
        for job in jobs:
            submission.queued(job.name, match[1])

    def poll(self, jobs: Sequence[Submitted] | None) -> dict[str, Seen]:
        """How tasks are getting on; see :meth:`Launcher.poll`.

        Raises:
            LabwrightError: ``condor_q`` gave no answer to the question for all jobs.
        """
        if jobs is None:
            return _queue()
        read = cache(self._read)
        seen, unheard = {}, {}
        for job in jobs:
            for index in range(len(job.tasks)):
                if found := _seen(job, index, read):
                    seen[job.key(index)] = found
                else:
                    unheard[job.key(index)] = f"{_cluster(job, read)}.{index}"
        asked = _ask(unheard.values())
        nobody = "its event log cannot be read, and the queue does not know it"
        return seen | {key: asked.get(id) or Seen(id, UNKNOWN, nobody) for key, id in unheard.items()}

    def cancel(self, job: Submitted, indices: Sequence[int] | None = None) -> None:
        """Stop tasks; who was told before, or cannot be reached, is removed at once.

        A running task whose files travel is told in its own folder to save and leave, and then all that it made comes home:
        ``condor_rm`` would drop it, checkpoints and all. Where files are shared ``condor_rm`` gives it the time to save. Where a node
        of a DAG has several tasks, DAGMan removes the others when one leaves.

        Raises:
            LabwrightError: ``condor_rm`` gave no answer.
        """
        chosen = range(len(job.tasks)) if indices is None else indices
        told = {index for index in chosen if job.is_cancelled(index)}
        job.mark_cancelled(indices)
        read = cache(self._read)
        cluster = _cluster(job, read)
        if cluster is None:
            # DAGMan has not come to it, and the mark stops it there.
            return
        seen = {index: _seen(job, index, read) for index in chosen}
        removed = []
        for index, one in seen.items():
            if one is None or one.state not in _OVER:
                saves = one and one.state == RUNNING and index not in told and _files_travel(job)
                if not (saves and _told_to_leave(f"{cluster}.{index}")):
                    removed.append(f"{cluster}.{index}")
        if removed:
            call("condor_rm", *([cluster] if len(removed) == len(job.tasks) else removed))

    def tail(self, job: Submitted, index: int) -> list[str] | None:
        """``condor_tail -f`` while a task runs out of sight; None where, or when, its output lies in the run folder."""
        seen = _seen(job, index, self._read)
        if _files_travel(job) and seen and seen.state == RUNNING:
            return ["condor_tail", "-f", seen.id]
        return None

    def attach(self, job: Submitted, index: int, command: Sequence[str]) -> list[str]:
        """The command that runs another one beside a task, in its container.

        Raises:
            MissingError: the task does not run.
        """
        seen = _seen(job, index, self._read)
        if seen is None or seen.state != RUNNING:
            where = f"{job.name}, task {index}" if len(job.tasks) > 1 else job.name
            raise MissingError(f"it is {seen.state if seen else UNKNOWN}, not running", where=where, todo="`labwright status` tells why.")
        # Without a command it opens a shell with a terminal; the words of one are read again by a shell there.
        words = [] if tuple(command) == ("bash",) else [shlex.join(command)]
        return ["condor_ssh_to_job", "-auto-retry", seen.id, *words]

    def _read(self, path: Path) -> EventLog | None:
        log = self._logs.setdefault(path, EventLog(path))
        try:
            return log.update()
        except OSError:
            return None


LAUNCHER = HTCondor()


def _seen(job: Submitted, index: int, read: _Read) -> Seen | None:
    """What the logs say of a task; None where there is none that can be read."""
    cluster = _cluster(job, read)
    if cluster is None:
        return _waiting(job, index, read)
    own, others = _log(job.tasks[index].run, cluster), (_log(task.run, cluster) for task in job.tasks)
    for path in dict.fromkeys((own, job.folder / NODES_LOG, *others)):
        if log := read(path):
            if state := log.jobs.get((int(cluster), index)):
                return Seen(f"{cluster}.{index}", *state)
            if any(key[0] == int(cluster) for key in log.jobs):
                return Seen(f"{cluster}.{index}", QUEUED, "others of the array go first")
    return None


def _log(run: Path, cluster: str) -> Path:
    """Where the description of a job has its events written."""
    return run / "jobs" / f"condor-{cluster}.log"


def _cluster(job: Submitted, read: _Read) -> str | None:
    """The job's own cluster; None for a job of a DAG that DAGMan has not queued yet."""
    if not (job.folder / dagman.FILE).exists():
        return job.id
    log = read(job.folder / NODES_LOG)
    return str(log.nodes[job.name]) if log and job.name in log.nodes else None


def _waiting(job: Submitted, index: int, read: _Read) -> Seen:
    """How a job stands that DAGMan has not queued yet."""
    if job.is_cancelled(index):
        return Seen(job.id, CANCELLED, "cancelled before its turn came")
    log = read(job.folder / DAGMAN_LOG)
    state = log.jobs.get((int(job.id), 0)) if log else None
    if state is None:
        return _ask([f"{job.id}.0"]).get(f"{job.id}.0", Seen(job.id, UNKNOWN, "nothing is heard of DAGMan"))
    if state.state == HELD:
        return Seen(job.id, HELD, f"DAGMan is held: {state.reason}")
    if state.state in _OVER:
        return Seen(job.id, CANCELLED, "the DAG ended before its turn came")
    return Seen(job.id, QUEUED, "it waits for the jobs before it")


def _told_to_leave(id: str) -> bool:
    try:
        call("condor_ssh_to_job", "-auto-retry", id, LEAVE)
    except LabwrightError:
        return False
    return True


def _files_travel(job: Submitted) -> bool:
    """The rendered description is what HTCondor was told."""
    try:
        return "should_transfer_files = YES" in (job.folder / f"{job.name}.sub").read_text(encoding="utf-8").splitlines()
    except OSError:
        return False


def _queue(*clusters: str) -> dict[str, Seen]:
    return _rows(_table("condor_q", *clusters))


def _ask(ids: Iterable[str]) -> dict[str, Seen]:
    """What the queue, and then its history, know of some jobs; no answer is none."""
    wanted = sorted(set(ids))
    found: dict[str, Seen] = {}
    for tool in ("condor_q", "condor_history"):
        missing = [id for id in wanted if id not in found]
        with suppress(LabwrightError):
            if missing:
                found |= _rows(_table(tool, *missing))
    return found


def _table(tool: str, *ids: str) -> list[Mapping[str, Any]]:
    """What a tool tells as JSON; old versions know no JSON, but ``-autoformat``.

    Raises:
        LabwrightError: neither was answered.
    """
    try:
        said = call(tool, *ids, "-json", "-attributes", ",".join(_ATTRIBUTES), within_s=ASK_WITHIN_S).strip()
        rows = json.loads(said or "[]")
    except (FaultError, ValueError):
        said = call(tool, *ids, "-autoformat:t", *_ATTRIBUTES, within_s=ASK_WITHIN_S)
        rows = [dict(zip(_ATTRIBUTES, line.split("\t"), strict=False)) for line in said.splitlines()]
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _rows(table: Iterable[Mapping[str, Any]]) -> dict[str, Seen]:
    found = {}
    for row in table:
        with suppress(KeyError, ValueError, TypeError):
            id = f"{int(row['ClusterId'])}.{int(row['ProcId'])}"
            state = _state(row)
            found[id] = Seen(id, *state, name=_text(row, "LabwrightJob"))
    return found


def _state(row: Mapping[str, Any]) -> JobState:
    host = _text(row, "RemoteHost").rpartition("@")[2]
    state = _STATES.get(int(row["JobStatus"]), UNKNOWN)
    if state != DONE:
        return JobState(state, _text(row, "HoldReason") if state == HELD else "", host)
    if _text(row, "ExitBySignal").lower() == "true":
        return JobState(FAILED, f"ended by signal {_text(row, 'ExitSignal')}", host)
    code = int(row["ExitCode"])
    return JobState(DONE if code == 0 else FAILED, meaning(code) if code else "", host)


def _text(row: Mapping[str, Any], name: str) -> str:
    value = str(row.get(name, ""))
    return "" if value in ("undefined", "None") else value
