"""HTCondor's job event log, read as it grows: what happened to each job, and how it stands.

The format is that of the manual's appendix "Job Event Log Codes": blocks of text that end in a line of three dots; a block
begins with the event's number, the job as ``(cluster.proc.subproc)``, and a time. A last block without its dots is being
written and is left for the next look.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from labwright.launch.launcher import CANCELLED, DONE, ENDING, FAILED, HELD, QUEUED, RUNNING
from labwright.runs.errors import Exit

END = b"\n...\n"
_HEADER = re.compile(
    r"(?P<number>\d{3}) \((?P<cluster>-?\d+)\.(?P<proc>-?\d+)\.-?\d+\) "
    # Old versions write 11/21 without a year; new ones may add milliseconds and a zone.
    r"(?P<when>(?:\d{4}-\d\d-\d\d|\d\d/\d\d)[ T]\d\d:\d\d:\d\d)\S* ?(?P<head>.*)"
)
MEANINGS: Mapping[int, str] = {
    Exit.COMMAND: "the command is wrong",
    Exit.DATA: "the data have findings of severity error",
    Exit.MISSING: "something that the step needs is missing",
    Exit.FAULT: "it failed by a fault of its own",
    Exit.AGAIN: "it has asked to be run again as often as the site allows",
    Exit.STUDY: "the study, or the job's setup, is wrong",
    130: "it was cancelled",
    137: "it was killed, often for want of memory",
}
"""What exit codes of a job script mean, in plain words."""


class Event(NamedTuple):
    """One block of the log."""

    number: int
    cluster: int
    proc: int
    """-1 where the event is the cluster's."""
    when: str
    """As written: local time, without a year in old versions."""
    head: str
    """What follows the time."""
    body: tuple[str, ...]
    """The other lines, stripped."""


class JobState(NamedTuple):
    """How a job stands by its last events."""

    state: str
    """A word of :mod:`labwright.launch.launcher`."""
    reason: str = ""
    host: str = ""


class EventLog:
    """A log file and what was read of it so far."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.jobs: dict[tuple[int, int], JobState] = {}
        """By cluster and proc."""
        self.nodes: dict[str, int] = {}
        """The last cluster of each node of a DAG, by the node's name."""
        self._offset = 0

    def update(self) -> EventLog:
        """Read on from where the last call ended; a file that is shorter than before is read anew.

        Raises:
            OSError: the file cannot be read.
        """
        events, offset = read(self.path, self._offset)
        if offset < self._offset:
            self.jobs, self.nodes = {}, {}
            events, offset = read(self.path)
        self._offset = offset
        for event in events:
            key = (event.cluster, event.proc)
            if now := after(event, self.jobs.get(key)):
                self.jobs[key] = now
            if event.number == 0 and (node := dag_node(event)):
                self.nodes[node] = event.cluster
        return self


def read(path: Path, offset: int = 0) -> tuple[list[Event], int]:
    """The complete events from ``offset`` bytes on, and where the next one will begin.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as stream:
        size = stream.seek(0, 2)
        if size < offset:
            return [], size
        stream.seek(offset)
        content = stream.read(size - offset)
    complete = content.rfind(END) + len(END) if END in content else 0
    return list(_events(content[:complete].decode(errors="replace"))), offset + complete


def after(event: Event, before: JobState | None) -> JobState | None:
    """How a job stands after an event; None where the event says nothing of that."""
    host = before.host if before else ""
    said = event.body[0] if event.body else ""
    match event.number:
        case 0:
            return JobState(QUEUED)
        case 1:
            return JobState(RUNNING, "", _slot(event) or _address(event.head))
        case 2:
            return JobState(QUEUED, "the job's script could not be started", host)
        case 4:
            return JobState(QUEUED, _evicted(event), host)
        case 5:
            return _ended(event, host)
        case 7:
            return JobState(QUEUED, said or "the connection broke off", host)
        case 9:
            return JobState(CANCELLED, said, host)
        case 10:
            return JobState(RUNNING, "suspended by the machine's owner", host)
        case 12:
            return JobState(HELD, said if not said.startswith("Code ") else "", host)
        case 13:
            return JobState(QUEUED, "released", host)
        case 22:
            return JobState(RUNNING, f"the connection is lost, HTCondor tries to get it back: {said}", host)
        case 11 | 23:
            return JobState(RUNNING, "", host)
        case 24:
            return JobState(QUEUED, said, host)
        case 40:
            return _transferred(event, before)
    return None


def dag_node(event: Event) -> str:
    """The node of a DAG that a submit event names; empty where it names none."""
    return next((line.removeprefix("DAG Node: ") for line in event.body if line.startswith("DAG Node: ")), "")


def meaning(code: int) -> str:
    """An exit code with what it means."""
    return f"{MEANINGS[code]} (exit code {code})" if code in MEANINGS else f"exit code {code}"


def _events(text: str) -> Iterator[Event]:
    block: list[str] = []
    for line in text.split("\n"):
        if line == "...":
            if found := _event(block):
                yield found
            block = []
        else:
            block.append(line)


def _event(block: Sequence[str]) -> Event | None:
    """None for a block that is none, as after a crash in the middle of a line."""
    match = _HEADER.fullmatch(block[0]) if block else None
    if not match:
        return None
    body = tuple(stripped for line in block[1:] if (stripped := line.strip()))
    return Event(int(match["number"]), int(match["cluster"]), int(match["proc"]), match["when"], match["head"].strip(), body)


def _slot(event: Event) -> str:
    """``node1`` of ``SlotName: slot1_1@node1``."""
    return next((line.partition("@")[2] for line in event.body if line.startswith("SlotName: ")), "")


def _address(head: str) -> str:
    """``10.0.0.1`` of ``Job executing on host: <10.0.0.1:9618?…>``."""
    match = re.search(r"<([^:>?]+)", head)
    return match[1] if match else ""


def _evicted(event: Event) -> str:
    text = " ".join(event.body)
    if "requeued" in text and (code := re.search(r"return value (\d+)", text)):
        return "it asked to be run again" if int(code[1]) == Exit.AGAIN else f"{meaning(int(code[1]))}; it is tried again"
    return "evicted; it goes on from what it saved last"


def _ended(event: Event, host: str) -> JobState:
    text = " ".join(event.body)
    if code := re.search(r"return value (\d+)", text):
        number = int(code[1])
        return JobState(DONE, "", host) if number == 0 else JobState(CANCELLED if number == 130 else FAILED, meaning(number), host)
    signal = re.search(r"signal (\d+)", text)
    return JobState(FAILED, f"ended by signal {signal[1]}" if signal else "it ended abnormally", host)


def _transferred(event: Event, before: JobState | None) -> JobState | None:
    before = before or JobState(QUEUED)
    if "output" in event.head:
        # Finished: either the job is over, which the next event tells, or a checkpoint is kept and it goes on.
        return (
            JobState(RUNNING, "", before.host)
            if event.head.startswith("Finished")
            else JobState(ENDING, "its files come back", before.host)
        )
    if event.head.startswith("Finished"):
        return None
    return before._replace(reason="its files are on their way to the machine")
