"""What ``squeue`` and ``sacct`` print → how tasks are getting on.

Text is read, not JSON, whose layout changes with every release. Lines that make no sense are passed over: less is known then, and
nothing is concluded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from labwright.launch.launcher import CANCELLED, DONE, ENDING, FAILED, HELD, QUEUED, RUNNING, UNKNOWN, Seen
from labwright.runs.errors import Exit

QUEUE_FORMAT = "%i|%T|%r|%S|%N|%j"
"""Id, state, reason, start, nodes, name, as ``squeue --format`` takes it; a name may hold the sign that parts them."""
BOOK_FIELDS = ("JobID", "State", "ExitCode", "NodeList")
"""Fields of ``sacct`` that the oldest releases know too."""

_ID = re.compile(r"(\d+)(?:_(\d+|\[([^]]*)\]?))?")
_IN_QUEUE = {
    QUEUED: ("PENDING", "REQUEUED", "REQUEUE_FED"),
    HELD: ("REQUEUE_HOLD", "SPECIAL_EXIT", "SUSPENDED", "STOPPED", "RESV_DEL_HOLD"),
    RUNNING: ("RUNNING", "CONFIGURING", "RESIZING"),
    ENDING: ("COMPLETING", "SIGNALING", "STAGE_OUT"),
    DONE: ("COMPLETED",),
    FAILED: ("FAILED", "TIMEOUT", "OUT_OF_MEMORY", "NODE_FAIL", "BOOT_FAIL", "DEADLINE"),
    CANCELLED: ("CANCELLED", "PREEMPTED", "REVOKED"),
}
_STATES = {word: state for state, words in _IN_QUEUE.items() for word in words}
_WAITING = {
    "None": "",
    "Priority": "other jobs go first",
    "Resources": "no node is free that has what it asks for",
    "Dependency": "a job that it needs is not done",
    "DependencyNeverSatisfied": "a job that it needs did not end well; this one will never start",
    "JobArrayTaskLimit": "as many tasks of the array run as may run at a time",
    "BeginTime": "queued again",
    "JobHeldUser": "its owner holds it: `scontrol release` lets it go",
    "JobHeldAdmin": "an administrator holds it, or it failed to start too often",
    "JobHoldMaxRequeue": "Slurm holds it: it was queued again too often",
    "launch failed requeued held": "Slurm holds it: it failed to start",
    "ReqNodeNotAvail": "its nodes are down, reserved, or needed for maintenance before it would end",
    "Reservation": "its reservation has not begun, or has no room",
    "InvalidAccount": "the account does not exist here, or may not be used",
    "InvalidQOS": "the quality of service does not exist here, or may not be used",
    "PartitionDown": "the partition is closed",
    "PartitionInactive": "the partition is closed",
    "PartitionNodeLimit": "it asks for more nodes than the partition gives to one job",
    "PartitionTimeLimit": "it asks for more time than the partition gives: run.on.resources.….minutes",
    "BadConstraints": "no node has all that it asks for",
    "Licenses": "it waits for a licence",
    "Cleaning": "what it left at its last start is being cleaned up",
    "NodeDown": "its node is down",
}
_LIMIT = re.compile(r"(QOS|Assoc|Max)\w*(Limit|Cpu|Mem|GRES|Jobs|Submit|Per)\w*")
_ENDED = {
    "TIMEOUT": "its time was over: run.on.resources.….minutes",
    "OUT_OF_MEMORY": "it needed more memory than it asked for: run.on.resources.….memory_gb",
    "NODE_FAIL": "a node failed",
    "BOOT_FAIL": "a node did not start",
    "DEADLINE": "it could not have ended in time",
    "PREEMPTED": "it had to make room for another job; submit it again to go on",
    "REVOKED": "another cluster has it",
}
_CODES: dict[int, str] = {
    Exit.COMMAND: "wrong command",
    Exit.DATA: "the data have findings of severity error",
    Exit.MISSING: "something that it needs is missing",
    Exit.FAULT: "a fault",
    Exit.AGAIN: "it stopped early; submit it again to go on",
    Exit.STUDY: "the study or the site is wrong, or a setup line failed",
}


def queue(text: str) -> dict[str, Seen]:
    """The lines of ``squeue`` in :data:`QUEUE_FORMAT`, by the ids that it prints, less the limit of an array."""
    found = {}
    for line in text.splitlines():
        fields = line.split("|", 5)
        if len(fields) == 6 and _ID.match(fields[0]):
            id, word, reason, start, nodes, name = (field.strip() for field in fields)
            id = re.sub(r"%\d+\]?$", "]", id)
            state = _STATES.get(word, UNKNOWN)
            if state == QUEUED and "held" in reason.lower():
                state = HELD
            found[id] = Seen(id, state, _why(state, word, reason, start), nodes, name)
    return found


def book(text: str) -> dict[str, Seen]:
    """The lines of ``sacct --parsable2 --noheader`` with :data:`BOOK_FIELDS`, by id; of several with one id the last."""
    found = {}
    for line in text.splitlines():
        fields = line.split("|")
        if len(fields) >= 2 and _ID.match(fields[0]) and "." not in fields[0]:
            id, said, code, nodes, *_ = [*fields, "", ""]
            word = said.partition(" ")[0].rstrip("+")
            state = _STATES.get(word, UNKNOWN)
            host = "" if nodes == "None assigned" else nodes
            found[re.sub(r"%\d+\]?$", "]", id)] = Seen(id, state, _how(state, word, said, code), host)
    return found


def by_task(found: dict[str, Seen]) -> dict[str, Seen]:
    """The same, with ranges of an array (``1234_[5-9,12]``) as their tasks; the rest of a list that was cut short is ``1234_``."""
    tasks: dict[str, Seen] = {}
    for id, seen in found.items():
        match = _ID.match(id)
        if match and match[3] is not None:
            tasks |= {f"{match[1]}_{rest}": seen._replace(id=f"{match[1]}_{rest}") for rest in _indices(match[3])}
        else:
            tasks[id] = seen
    return tasks


def of_task(tasks: dict[str, Seen], id: str) -> Seen | None:
    """How one task, or a job that is no array, is getting on."""
    rest = tasks.get(f"{id.partition('_')[0]}_") if "_" in id else None
    return tasks.get(id) or (rest._replace(id=id) if rest else None)


def exit_code(seen: Seen) -> int | None:
    """The exit code with which Slurm says that a task failed."""
    match = re.match(r"exit code (\d+)", seen.reason) if seen.state == FAILED else None
    return int(match[1]) if match else None


def _indices(text: str) -> Iterator[str]:
    """``1,3-5,8-16:4`` → 1, 3, 4, 5, 8, 12, 16; a list that ends with an ellipsis ends with an empty index."""
    for piece in text.partition("%")[0].split(","):
        match = re.fullmatch(r"(\d+)(?:-(\d+))?(?::(\d+))?", piece)
        if match:
            yield from map(str, range(int(match[1]), int(match[2] or match[1]) + 1, int(match[3] or 1)))
        elif piece:
            yield ""


def _why(state: str, word: str, reason: str, start: str) -> str:
    """Why a task is in the queue."""
    if state == UNKNOWN:
        return f"Slurm says {word}"
    if state not in (QUEUED, HELD):
        return "its node is being made ready" if word == "CONFIGURING" else ""
    if word != "PENDING":
        return "Slurm has suspended it" if word in ("SUSPENDED", "STOPPED") else f"Slurm holds it: {word}"
    first = reason.partition(",")[0].strip("()")
    limit = "a limit of the account or its users is reached" if _LIMIT.fullmatch(first) else reason
    text = _WAITING.get(first, limit)
    soon = f"starts at {start}" if re.match(r"\d{4}-", start) and state == QUEUED else ""
    detail = f" ({first})" if text and text != reason else ""
    return ", ".join(filter(None, [f"{text}{detail}", soon if first == "BeginTime" or not text else ""]))


def _how(state: str, word: str, said: str, code: str) -> str:
    """How a task ended."""
    if state == UNKNOWN:
        return f"Slurm says {said}"
    if word == "CANCELLED":
        user = said.partition(" by ")[2]
        return "Slurm or its administrator cancelled it" if user == "0" else f"user {user} cancelled it" if user else "it was cancelled"
    if word != "FAILED":
        return _ENDED.get(word, "")
    status, _, signal = code.partition(":")
    if signal == "53":
        return "its output file could not be opened"
    if signal.isdecimal() and int(signal):
        return f"signal {signal} ended it"
    if not status.isdecimal():
        return ""
    known = _CODES.get(int(status), "")
    return f"exit code {status}: {known}" if known else f"exit code {status}"
