"""HTCondor's job event log, written as HTCondor writes it."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from pathlib import Path

HOST = "<127.0.0.1:9618?addrs=127.0.0.1-9618&alias=twin>"
_USAGE = "\t\tUsr 0 00:00:01, Sys 0 00:00:00  -  {} Usage"
_BYTES = "\t0  -  {} Bytes {} By Job"


def write(logs: Iterable[Path], cluster: int, proc: int, event: tuple[int, str], when: datetime.datetime | None = None) -> None:
    """Append an event, one of those below, to logs."""
    number, text = event
    stamp = (when or datetime.datetime.now()).strftime("%Y-%m-%d %H:%M:%S")
    for log in logs:
        with log.open("a", encoding="utf-8") as stream:
            stream.write(f"{number:03d} ({cluster:03d}.{proc:03d}.000) {stamp} {text}\n...\n")


def submitted(notes: str = "") -> tuple[int, str]:
    return 0, f"Job submitted from host: {HOST}" + (f"\n    {notes}" if notes else "")


def executing(slot: str, scratch: str) -> tuple[int, str]:
    return 1, f'Job executing on host: {HOST}\n\tSlotName: {slot}\n\tCondorScratchDir = "{scratch}"\n\tCpus = 1'


def evicted() -> tuple[int, str]:
    return 4, "\n".join(["Job was evicted.", "\t(0) Job was not checkpointed.", *_run()])


def requeued(code: int | None, signal: int) -> tuple[int, str]:
    """It ended, and stays in the queue."""
    ended = f"\t(1) Normal termination (return value {code})" if code is not None else _abnormal(signal)
    return 4, "\n".join(["Job was evicted.", "\t(1) Job terminated and was requeued", *_run(), ended])


def terminated(code: int | None, signal: int = 0) -> tuple[int, str]:
    """It ended, and left the queue."""
    ended = f"\t(1) Normal termination (return value {code})" if code is not None else _abnormal(signal)
    total = [_USAGE.format("Total Remote"), _USAGE.format("Total Local")]
    counts = [_BYTES.format(which, way) for which in ("Run", "Total") for way in ("Sent", "Received")]
    table = [
        "\tPartitionable Resources :    Usage  Request Allocated",
        "\t   Cpus                 :        0        1         1",
        "\t   Disk (KB)            :      123     1024      2048",
        "\t   Memory (MB)          :       12      128       128",
    ]
    return 5, "\n".join(["Job terminated.", ended, *_run()[:2], *total, *counts, *table])


def shadow_exception(reason: str) -> tuple[int, str]:
    return 7, "\n".join(["Shadow exception!", f"\t{reason}", *_run()[2:]])


def aborted(reason: str) -> tuple[int, str]:
    return 9, f"Job was aborted.\n\t{reason}"


def suspended() -> tuple[int, str]:
    return 10, "Job was suspended.\n\tNumber of processes actually suspended: 1"


def unsuspended() -> tuple[int, str]:
    return 11, "Job was unsuspended."


def held(reason: str, code: int, subcode: int) -> tuple[int, str]:
    return 12, f"Job was held.\n\t{reason}\n\tCode {code} Subcode {subcode}"


def released(reason: str) -> tuple[int, str]:
    return 13, f"Job was released.\n\t{reason}"


def disconnected(reason: str, slot: str) -> tuple[int, str]:
    return 22, f"Job disconnected, attempting to reconnect\n    {reason}\n    Trying to reconnect to {slot} {HOST}"


def reconnected(slot: str) -> tuple[int, str]:
    return 23, f"Job reconnected to {slot}\n    startd address: {HOST}\n    starter address: {HOST}"


def reconnect_failed(reason: str, slot: str) -> tuple[int, str]:
    return 24, f"Job reconnection failed\n    {reason}\n    Can not reconnect to {slot}, rescheduling job"


def skipped(node: str) -> tuple[int, str]:
    """DAGMan leaves a node out."""
    return 34, f"PRE script return value is PRE_SKIP value\n    DAG Node: {node}"


def transfer(way: str, which: str) -> tuple[int, str]:
    """``way``: Started or Finished; ``which``: input or output."""
    return 40, f"{way} transferring {which} files" + ("\n\tTransferring to host: " + HOST if (way, which) == ("Started", "input") else "")


def _run() -> list[str]:
    return [_USAGE.format("Run Remote"), _USAGE.format("Run Local"), _BYTES.format("Run", "Sent"), _BYTES.format("Run", "Received")]


def _abnormal(signal: int) -> str:
    return f"\t(0) Abnormal termination (signal {signal})\n\t(0) No core file"
