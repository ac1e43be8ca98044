"""A job as a Slurm batch script: pure text.

Every option stands in an ``#SBATCH`` line before the first command; only what is known when the job is submitted (ids of jobs to wait
for) is left to the command line. A job that asks to be run again (exit code 75) is queued again by this script, outside of the
container, where ``scontrol`` is.
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from labwright.launch import script
from labwright.launch.job import Job, seen_from
from labwright.launch.site import Site, need
from labwright.launch.submission import cancel_marks
from labwright.launch.words import expanding
from labwright.runs.errors import StudyError

RANK_VARIABLES = ("SLURM_PROCID", "SLURM_LOCALID", "SLURM_NTASKS", "SLURM_NODEID", "SLURM_STEP_TASKS_PER_NODE", "SLURM_TASKS_PER_NODE")
"""What tells a process of ``srun`` which one it is."""
BUSY_WITHIN_S, BUSY_WAIT_S = 120, 600
"""Who asks so early to be run again, and was not told to stop, found its run busy; so long it waits before it looks again."""


def render(job: Job, site: Site, place: Path) -> dict[str, str]:
    """The batch script of a job.

    Args:
        job: what to start.
        site: the cluster's habits.
        place: the submission's folder.

    Raises:
        StudyError: the job needs a value that the site marks as unknown.
    """
    _refuse_odd_paths(job, place)
    text = ["#!/bin/bash", *(f"#SBATCH {line}" for line in _options(job, site, place)), "", *_head(job, site, place), *_body(job, site)]
    return {f"{job.name}.sbatch": "\n".join([*text, *_tail(job, site)]) + "\n"}


def output(job: Job, place: Path) -> Path:
    """Where Slurm writes what the job prints, with its own signs for ids."""
    if not job.is_array:
        return job.tasks[0].run / "jobs" / "slurm-%j.out"
    # One pattern serves all tasks: where they are of several runs, the script goes on in the folder of its own.
    return (job.runs[0] / "jobs" if len(job.runs) == 1 else place) / "slurm-%A_%a.out"


def _options(job: Job, site: Site, place: Path) -> Iterator[str]:
    """What stands after ``#SBATCH``."""
    asked, queue = job.resources, job.queue
    folder, pattern = output(job, place).parent, output(job, place).name
    yield f"--job-name={_job_name(job, place)}"
    yield f"--output={_quoted(str(folder).replace('%', '%%'))}/{pattern}"
    yield "--open-mode=append"
    for name in ("partition", "account", "qos", "reservation", "constraint"):
        if value := need(getattr(queue, name), f"queues.{job.queue_name}.{name}", site):
            yield f"--{name}={_quoted(value)}"
    yield f"--nodes={job.nodes}"
    yield f"--ntasks-per-node={job.ranks_per_node}"
    if asked.cpus:
        yield f"--cpus-per-task={asked.cpus}"
    if asked.memory_gb:
        yield f"--mem={_mebibytes(asked.memory_gb * job.ranks_per_node)}M"
    if asked.gpus:
        yield f"--gres=gpu:{asked.gpus}"
    if asked.scratch_gb:
        yield f"--tmp={_mebibytes(asked.scratch_gb)}M"
    if queue.exclusive:
        yield "--exclusive"
    if asked.minutes:
        yield f"--time={_clock(asked.minutes)}"
    if job.is_array:
        yield f"--array=0-{len(job.tasks) - 1}{f'%{site.array_limit}' if site.array_limit else ''}"
    if site.signal_before_s:
        # A limit that is hardly longer than the warning would leave no time to work.
        yield f"--signal=B:USR1@{min(site.signal_before_s, (asked.minutes or math.inf) * 30)}"
    yield "--requeue"
    for name, value in queue.attributes.items():
        yield f"--{name}={_quoted(need(value, f'queues.{job.queue_name}.attributes.{name}', site))}" if value else f"--{name}"


def _head(job: Job, site: Site, place: Path) -> list[str]:
    task = job.tasks[0]
    payload = " ".join(map(expanding, task.argv(script.python(site), seen_from(task.run, site.runs_root))))
    marks = [f'"$place/{mark.name}"' for mark in cancel_marks(Path(), job.name, "$SLURM_ARRAY_TASK_ID")]
    tests = [f"[ -e {mark} ]" for mark in marks[: 3 if job.is_array else 2]]
    return [
        f"# {'The first task' if job.is_array else 'This'} by hand: {payload}",
        f"place={shlex.quote(str(place))}",
        f"cancelled() {{ {' || '.join(tests)}; }}",
        'if cancelled; then echo "labwright: cancelled before it began" >&2; exit 75; fi',
    ]


def _body(job: Job, site: Site) -> list[str]:
    log = "slurm-${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}.out" if len(job.runs) > 1 else ""
    index = "$SLURM_ARRAY_TASK_ID"
    if job.ranks == 1:
        return script.lines(job, site, index=index, log=log)
    # Ranks leave one after the other, the leader last: none is to be killed because another one has left.
    start = f"srun --mpi=none --kill-on-bad-exit=0 --wait=0 --nodes={job.nodes} --ntasks={job.ranks} --ntasks-per-node={job.ranks_per_node}"
    if job.resources.cpus:
        start += f" --cpus-per-task={job.resources.cpus}"
    return script.lines(
        job,
        site,
        index=index,
        log=log,
        start=start,
        before=_rendezvous(job, site),
        extra_env={"LABWRIGHT_RANKS": "slurm"},
        handed_on=RANK_VARIABLES,
    )


def _rendezvous(job: Job, site: Site) -> list[str]:
    """Where the processes of a training meet: on the first node, at a port that nobody has."""
    made = [
        "# Where the processes meet: a port at which nobody answers.",
        # Below the ports that the kernel gives to outgoing connections.
        "while MASTER_PORT=$((20000 + RANDOM % 12000)); (: <>/dev/tcp/127.0.0.1/$MASTER_PORT) 2>/dev/null; do :; done",
        "export MASTER_PORT",
    ]
    if "MASTER_ADDR" in site.env:
        return made
    if job.nodes == 1:
        return ["export MASTER_ADDR=127.0.0.1", *made]
    # A batch script runs on the first node, should scontrol be missing there.
    first = ['first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)', "export MASTER_ADDR=${first:-$(hostname)}"]
    return [*first, *made]


def _tail(job: Job, site: Site) -> list[str]:
    """What becomes of exit code 75."""
    own = "${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}" if job.is_array else "$SLURM_JOB_ID"
    return [
        "# 75: it has saved, and is to be queued again.",
        '[ "$code" -eq 75 ] || exit "$code"',
        # Slurm ends what it has queued again; the lines below are to be done all the same.
        "trap '' TERM",
        'leave() { echo "labwright: $1" >&2; exit 75; }',
        'if cancelled; then leave "cancelled; what is done is kept"; fi',
        # TERM is Slurm's word at scancel, which is to be the end, and at pre-emption, after which Slurm itself queues the job again.
        'case $stop in *TERM*) leave "ended by Slurm; what is done is kept" ;; esac',
        f'if [ "${{SLURM_RESTART_COUNT:-0}}" -ge {site.requeues} ]; then',
        f'  leave "queued again as often as the site allows ({site.requeues} times); submit the study again to go on"',
        "fi",
        f'scontrol requeue "{own}" || leave "it could not be queued again; submit the study again to go on"',
        # Told to stop by nobody, and so early: another process works on the run.
        f'if [ -z "$stop" ] && [ "$SECONDS" -lt {BUSY_WITHIN_S} ]; then scontrol update "JobId={own}" StartTime=now+{BUSY_WAIT_S}; fi',
        "exit 75",
    ]


def _job_name(job: Job, place: Path) -> str:
    """The job and its study, in signs that no tool of Slurm's takes for its own."""
    return re.sub(r"[^\w.@-]+", "_", f"{job.name}@{place.parent.parent.parent.name}")


def _quoted(value: str) -> str:
    """A value as ``sbatch`` reads it from a script's line, where blanks and ``#`` would end it."""
    if re.fullmatch(r"[\w@%+=:,./()*&|\[\]-]*", value):
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _mebibytes(gigabytes: float) -> int:
    """10⁹ bytes in Slurm's M, which are 2²⁰ bytes."""
    return math.ceil(gigabytes * 1e9 / 2**20)


def _clock(minutes: int) -> str:
    """Slurm's way to write a time: ``1-06:30:00``."""
    days, rest = divmod(minutes, 24 * 60)
    return f"{f'{days}-' if days else ''}{rest // 60:02}:{rest % 60:02}:00"


def _refuse_odd_paths(job: Job, place: Path) -> None:
    """In the name of an output file Slurm takes a backslash for a command, and a line ends an option."""
    for path in (place, *job.runs):
        if odd := set("\\\n\r") & set(str(path)):
            raise StudyError(f"Slurm can write to no folder with {sorted(odd)[0]!r} in its name", where=str(path), todo="Rename it.")
