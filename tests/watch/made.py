"""Run folders as tests need them: a description and journals, written by hand."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from labwright.runs.run import Run
from labwright.watch.follow import Follow

HOSTILE = "</script><script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">"


def run_folder(folder: Path, journals: dict[str, list[dict[str, Any]]] | None = None, **description: Any) -> Run:
    """A run with these journal files (stem → records); without ``done.json``."""
    (folder / "journal").mkdir(parents=True, exist_ok=True)
    facts = {"recipe": "cells", "step": "train", "fingerprint": "f", "options": {}, "created": "2026-01-01", **description}
    (folder / "step.json").write_text(json.dumps(facts))
    for stem, records in (journals or {}).items():
        append(folder, *records, stem=stem)
    return Run.open(folder)


def append(folder: Path, *records: dict[str, Any], stem: str = "0001") -> None:
    """Add records to a journal file."""
    with (folder / "journal" / f"{stem}.jsonl").open("a") as stream:
        stream.writelines(json.dumps(record) + "\n" for record in records)


def finished(run: Run, **figures: Any) -> Run:
    """The run, made complete."""
    (run.folder / "done.json").write_text(json.dumps({"figures": figures, "output": {}}))
    return run


def followed(run: Run, now: float | None = None) -> Follow:
    """Read to the present end."""
    follow = Follow(run)
    while follow.look(now, at_once=True):
        continue
    return follow


def start(t: float, attempt: int = 1, **fields: Any) -> dict[str, Any]:
    facts = {"attempt": attempt, "share": "0/1", "rank": 0, "pid": os.getpid(), "host": "here", "argv": []}
    return {"t": t, "kind": "start", **facts, **fields}


def end(t: float, code: int = 0, reason: str = "") -> dict[str, Any]:
    return {"t": t, "kind": "end", "code": code, "reason": reason}


def metric(t: float, step: int, phase: str = "train", part: str = "model", **values: float) -> dict[str, Any]:
    return {"t": t, "kind": "metric", "phase": phase, "step": step, "epoch": 0, "part": part, "values": values}


def usage(t: float, **fields: Any) -> dict[str, Any]:
    facts = {"seconds": 10.0, "cpu_percent": 50.0, "memory_bytes": 2**30, "read_bytes": 0, "written_bytes": 0, "gpus": []}
    return {"t": t, "kind": "usage", **facts, **fields}


def energy(t: float, joules: float | None, method: str = "RAPL", scope: str = "CPU", **fields: Any) -> dict[str, Any]:
    facts = {"stage": "train", "coverage": 1.0, "seconds": 10.0}
    return {"t": t, "kind": "energy", "joules": joules, "method": method, "scope": scope, **facts, **fields}


def progress(t: float, done: float, total: float, title: str = "train model", **fields: Any) -> dict[str, Any]:
    return {"t": t, "kind": "progress", "title": title, "done": done, "total": total, **fields}
