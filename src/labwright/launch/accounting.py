"""Joules of jobs as Slurm's accounting has them, and how far each figure is to be trusted.

``ConsumedEnergy`` is counted by node: it is a job's own only where nobody else could be on its nodes. Often it is 0 or blank, which
means that no plugin counts, never that a job took no energy; and now and then a counter jumps and would wreck a sum. So each
job gets a verdict, and only figures that are measured, final, the job's own and possible are added up.

Text is parsed, and not the JSON that newer tools print: its layout changes with every release. Time limits, cancelled jobs and all
attempts of a requeued one are listed (``--duplicates``): their joules were spent.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from labwright.launch.launcher import call
from labwright.launch.site import Site
from labwright.launch.submission import submissions
from labwright.runs.energy import NOT_MEASURED
from labwright.runs.errors import CommandError, FaultError, MissingError
from labwright.runs.run import Run

METHOD = "slurm"
WITHIN_S = 60.0
"""How long sacct may take: it searches a database that all of the cluster writes to."""
ANYWHERE = Site(kind="slurm")
"""Bounds of what a node can draw, where no site says more."""

OWN, RUNNING, SHARED, PERHAPS_SHARED, IMPLAUSIBLE = "own nodes", "running", "shared node", "nodes unknown", "implausible"
"""Verdicts beside ``not measured``; only a figure of ``own nodes`` is added up."""

FIELDS = (
    "JobID", "User", "Account", "NNodes", "NodeList", "AllocCPUS", "ElapsedRaw", "Elapsed", "State", "ConsumedEnergyRaw",
    "ConsumedEnergy", "JobName",
)  # fmt: skip
"""A job's name may hold the delimiter and is asked for last."""
_DISPENSABLE = {"AllocCPUS", "ElapsedRaw", "ConsumedEnergyRaw"}
_INVALID_FIELD = re.compile(r"[Ii]nvalid field requested: \"?(\w+)")
_ID = re.compile(r"(?P<job>\d+(_(\d+|\[[^]]*\]))?(\+\d+)?)(\.(?P<step>[\w+]+))?")
_UNITS = {"": 1.0, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15}
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)([KMGTP]?)")
# NO_VAL and INFINITE in 32 and 64 bits; some releases print them as numbers.
_NO_VALUE = {float(2**32 - 1), float(2**32 - 2)}
_LARGEST = float(2**63)
_UNFINISHED = {"PENDING", "RUNNING", "SUSPENDED", "RESIZING", "COMPLETING", "CONFIGURING", "STAGE_OUT", "STOPPED", "SIGNALING"}


@dataclass
class Used:
    """What accounting holds of one job, or of one attempt of a job that was queued again."""

    id: str
    user: str
    account: str
    name: str
    nodes: int
    node_list: str
    cpus: int
    """Processors over all nodes."""
    seconds: float
    state: str
    joules: float | None
    raw: str
    """The figure as Slurm printed it."""
    steps: dict[str, float] = field(default_factory=dict)
    """Joules of the job's steps, where they have any."""

    @property
    def began(self) -> bool:
        return self.seconds > 0 or self.state.partition(" ")[0] not in {"PENDING", "CANCELLED"}


def ask(
    *, since: str = "", until: str = "", user: str = "", jobs: Sequence[str] = (), within_s: float = WITHIN_S
) -> tuple[list[Used], int]:
    """Ask ``sacct`` for all jobs that ran in a period, or for some by id.

    Args:
        since: the first moment, as ``YYYY-MM-DDTHH:MM:SS`` (see :func:`moment`); a job that began before and ran then counts wholly.
        until: the last.
        user: names, separated by commas; without, those whom Slurm shows by default: oneself, for root everybody.
        jobs: ids; all by default.
        within_s: how long it may take.

    Returns:
        The jobs, and how many lines could not be read.

    Raises:
        MissingError: sacct is absent, failed or gave no answer in time: what the jobs used is unknown.
    """
    times = [f"--{side}time={text}" for side, text in (("start", since), ("end", until)) if text]
    which = [*([f"--user={user}"] if user else ()), *([f"--jobs={','.join(jobs)}"] if jobs else ())]
    fields = list(FIELDS)
    while True:
        words = ["sacct", "--noheader", "--parsable2", "--noconvert", "--duplicates", *times, *which, f"--format={','.join(fields)}"]
        try:
            return parse(call(*words, within_s=within_s), fields)
        except (FaultError, MissingError) as error:
            # Old releases lack some, and say so of one at a time.
            lacking = _INVALID_FIELD.search(error.what)
            if lacking is None or lacking[1] not in _DISPENSABLE.intersection(fields):
                raise MissingError(
                    f"what the jobs used is unknown: {error.what}",
                    where=" ".join(words),
                    todo="Ask again later, on a machine with Slurm's tools; `sacct` alone says whether accounting answers.",
                ) from error
            fields.remove(lacking[1])


def parse(text: str, fields: Sequence[str] = FIELDS) -> tuple[list[Used], int]:
    """The jobs in the lines of ``sacct --parsable2``, with the figures of their steps, and how many lines could not be read."""
    jobs: dict[str, Used] = {}
    found: list[Used] = []
    skipped = 0
    for line in filter(str.strip, text.splitlines()):
        values = line.split("|", len(fields) - 1)
        row = dict(zip(fields, values, strict=False))
        id = _ID.fullmatch(row["JobID"])
        # A step follows its own attempt of the job.
        if len(values) != len(fields) or id is None or (id["step"] and id["job"] not in jobs):
            skipped += 1
            continue
        joules, raw = _joules(row)
        if id["step"]:
            if joules is not None:
                jobs[id["job"]].steps[id["step"]] = joules
            continue
        try:
            job = Used(
                id=id["job"],
                user=row["User"],
                account=row["Account"],
                name=row["JobName"],
                nodes=int(row["NNodes"] or 0),
                node_list=row["NodeList"],
                cpus=int(row.get("AllocCPUS") or 0),
                seconds=_seconds(row),
                state=row["State"],
                joules=joules,
                raw=raw,
            )
        except ValueError:
            skipped += 1
            continue
        jobs[job.id] = job
        found.append(job)
    for job in found:
        if job.joules is None:
            job.joules = _by_steps(job)
    return found, skipped


def joules_of(text: str) -> float | None:
    """Joules of a figure such as ``101630``, ``101.63K`` or ``4.58M``; None where it says nothing (blank, 0) or cannot be read."""
    match = _AMOUNT.fullmatch(text.strip())
    if match is None:
        return None
    joules = float(match[1]) * _UNITS[match[2]]
    return joules if 0 < joules < _LARGEST and joules not in _NO_VALUE else None


def node_cpus() -> dict[str, int]:
    """Processors of each node of the cluster; nothing where sinfo does not tell."""
    try:
        lines = call("sinfo", "--noheader", "--Node", "--format=%N|%c").splitlines()
    except (FaultError, MissingError):
        return {}
    return {name: int(cpus) for name, _, cpus in (line.strip().partition("|") for line in lines) if cpus.isdecimal()}


def hosts(node_list: str) -> list[str]:
    """The nodes of a Slurm host list: ``n[01-03,7],gpu2`` → n01, n02, n03, n7, gpu2."""
    found = []
    for entry in re.findall(r"(?:[^,\[]|\[[^]]*\])+", node_list):
        names = [""]
        for literal, ranges in re.findall(r"([^\[\]]+)|\[([^]]*)\]", entry):
            names = [name + end for name in names for end in ([literal] if literal else _numbers(ranges))]
        found += names
    return found


def verdict(job: Used, cpus: Mapping[str, int], site: Site = ANYWHERE) -> tuple[str, str]:
    """How far the joules of a job are to be trusted, and a remark.

    Args:
        job: the job.
        cpus: processors by node, as :func:`node_cpus` gives them.
        site: its ``idle_watts`` and ``max_watts`` bound what a node can draw.

    Returns:
        One of the verdicts, and more about it, or nothing.
    """
    state = job.state.partition(" ")[0]
    if state in _UNFINISHED:
        return RUNNING, "not final"
    if job.joules is None:
        return NOT_MEASURED, f"Slurm says {job.raw!r}" if job.raw else ""
    mean = job.joules / job.seconds / job.nodes if job.seconds > 0 and job.nodes else float("inf")
    if not site.idle_watts <= mean <= site.max_watts:
        return IMPLAUSIBLE, f"{mean:.0f} W a node" if mean < float("inf") else "in no time"
    names = hosts(job.node_list)
    if len(names) != job.nodes or any(name not in cpus for name in names):
        return PERHAPS_SHARED, "perhaps shared with other jobs"
    whole = sum(cpus[name] for name in names)
    if job.cpus < whole:
        return SHARED, f"held {job.cpus} of {whole} processors; the joules are those of all jobs on the node"
    return OWN, f"{mean:.0f} W a node"


def rows(jobs: Iterable[Used], cpus: Mapping[str, int], site: Site = ANYWHERE) -> list[dict[str, Any]]:
    """A row for each job that began: user, account, id, name, nodes, seconds, state, joules, trust, remark and raw."""
    made = []
    for job in jobs:
        if job.began:
            trust, remark = verdict(job, cpus, site)
            names = ("user", "account", "id", "name", "nodes", "seconds", "state", "joules", "raw")
            made.append({**{name: getattr(job, name) for name in names}, "trust": trust, "remark": remark})
    return made


def totals(listed: Iterable[Mapping[str, Any]]) -> dict[str, tuple[int, float | None]]:
    """By verdict: how many jobs, and the sum of their joules (None where none has a figure)."""
    sums: dict[str, tuple[int, float | None]] = {}
    for row in listed:
        count, joules = sums.get(row["trust"], (0, None))
        sums[row["trust"]] = (count + 1, joules if row["joules"] is None else (joules or 0.0) + row["joules"])
    return sums


def compare(run: Run, site: Site = ANYWHERE) -> dict[str, Any] | None:
    """What Slurm counted for the jobs of a run, as a row beside those of its meters (see ``runs.energy.rows``); never to be added to them.

    Slurm counts whole nodes, with all that hangs on them, from the start of a job to its end; a meter counts a device or a process,
    while a stage is open.

    Returns:
        ``joules`` is None, with the reason as ``scope``, unless every job of the run has a figure of its own nodes; None where no
        job of the run is known.
    """
    sent = [
        (submission.when, job) for submission in submissions(run.folder.parent) for job in submission.jobs if job.kind == "slurm" and job.id
    ]
    ids = [
        f"{job.id}_{index}" if len(job.tasks) > 1 else job.id
        for _, job in sent
        for index, task in enumerate(job.tasks)
        if task.run.resolve() == run.folder.resolve()
    ]
    if not ids:
        return None
    row: dict[str, Any] = {"stage": "whole jobs", "method": METHOD, "scope": "", "joules": None, "seconds": 0.0, "coverage": 0.0}
    first = datetime.datetime.fromisoformat(min(when for when, _ in sent)).astimezone()
    try:
        jobs, _ = ask(since=moment((first - datetime.timedelta(minutes=5)).isoformat()), jobs=ids)
    except MissingError as error:
        return {**row, "scope": error.what}
    listed = rows(jobs, node_cpus(), site)
    row["seconds"] = sum(one["seconds"] for one in listed)
    sums = totals(listed)
    if not sums:
        return {**row, "scope": "accounting lists none of its jobs"}
    if set(sums) == {OWN}:
        return {**row, "scope": f"{len(listed)} jobs on nodes of their own", "joules": sums[OWN][1], "coverage": 1.0}
    return {**row, "scope": ", ".join(f"{trust}: {count} of {len(listed)} jobs" for trust, (count, _) in sums.items() if trust != OWN)}


def moment(text: str, *, end: bool = False) -> str:
    """A date, or a date and time, as Slurm's tools take it: ``YYYY-MM-DDTHH:MM:SS``, local time.

    Args:
        text: ``2026-11-20``, ``2026-11-20T08:00``, ``2026-11-20 08:00:00`` or ``now``.
        end: a date alone means its last second, and not its first.

    Raises:
        CommandError: it is neither.
    """
    if text == "now":
        return datetime.datetime.now().isoformat(timespec="seconds")
    try:
        day = datetime.date.fromisoformat(text)
        when = datetime.datetime.combine(day, datetime.time(23, 59, 59) if end else datetime.time())
    except ValueError:
        try:
            when = datetime.datetime.fromisoformat(text)
        except ValueError as error:
            raise CommandError(
                f"{text!r} is no date or time", where="--until" if end else "--since", todo="Write 2026-11-20 or 2026-11-20T08:00."
            ) from error
    if when.tzinfo is not None:
        when = when.astimezone().replace(tzinfo=None)
    return when.isoformat(timespec="seconds")


def _joules(row: Mapping[str, str]) -> tuple[float | None, str]:
    """The figure of a line, and its text; the raw column goes first."""
    texts = [row.get(name, "").strip() for name in ("ConsumedEnergyRaw", "ConsumedEnergy")]
    for text in texts:
        if (joules := joules_of(text)) is not None:
            return joules, text
    return None, texts[0] or texts[1]


def _by_steps(job: Used) -> float | None:
    """Of a job without a figure of its own. Steps of one kind follow each other, those of unlike kinds overlap."""
    numbered = [joules for step, joules in job.steps.items() if step[0].isdecimal()]
    # The script's step runs on the first node only.
    whole = [joules for step, joules in job.steps.items() if not step[0].isdecimal() and job.nodes == 1]
    return max([*([sum(numbered)] if numbered else ()), *whole], default=None)


def _seconds(row: Mapping[str, str]) -> float:
    """Elapsed seconds; old releases have ``[DAYS-]HH:MM:SS`` only."""
    if row.get("ElapsedRaw"):
        return float(int(row["ElapsedRaw"]))
    days, _, clock = row["Elapsed"].rpartition("-")
    seconds = 0.0
    for part in clock.split(":"):
        seconds = seconds * 60 + float(part)
    return seconds + 86400 * int(days or 0)


def _numbers(ranges: str) -> list[str]:
    """``01-03,7`` → 01, 02, 03, 7."""
    found = []
    for one in ranges.split(","):
        first, _, last = one.partition("-")
        if first.isdecimal() and last.isdecimal():
            found += [str(number).zfill(len(first)) for number in range(int(first), int(last) + 1)]
        else:
            found.append(one)
    return found
