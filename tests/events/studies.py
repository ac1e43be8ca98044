"""Small trees of events and studies of them, conducted in this process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from labwright.parts.conduct import conduct
from labwright.runs.run import Run
from labwright.study.resolve import resolve
from labwright.testing.trees import events, write_root

PLAIN = ("run.on.workers=1", "run.on.threads=1")


def tree(path: Path, count: int, seed: int = 0, *, jets: int | None = None, **columns: Any) -> Path:
    """A file of ``count`` events of weight 1 with four to nine jets each, or ``jets``; columns as given, an array or one value for all."""
    whole = events(count, (jets, jets) if jets else (4, 9), seed)
    given = {"weight": 1.0, "year": 18.0, **columns}
    whole |= {name: np.full(count, values) if np.ndim(values) == 0 else np.asarray(values) for name, values in given.items()}
    return write_root(path, whole)


def study(folder: Path, groups: Sequence[Mapping[str, Any]], classes: Mapping[str, Any], **pack: Any) -> Path:
    """A study file of flat trees in ``folder``."""
    source = {"kind": "flat", "path": "data", "groups": [dict(group) for group in groups], **pack.pop("source", {})}
    content = {"recipe": "events", "pack": {"source": source, "classes": dict(classes), "chunk_events": 128, **pack}, "run": {"seed": 7}}
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def two(folder: Path, *, signal: Mapping[str, Any] | None = None, background: Mapping[str, Any] | None = None, **pack: Any) -> Path:
    """700 signal and 900 background events in two files; ``signal`` and ``background`` are arguments of :func:`tree`."""
    tree(folder / "data" / "signal.root", **{"count": 700, "seed": 1, **(signal or {})})
    tree(folder / "data" / "background.root", **{"count": 900, "seed": 2, **(background or {})})
    groups = [{"tags": "label:S", "files": ["signal.root"]}, {"tags": "label:B", "files": ["background.root"]}]
    return study(folder, groups, pack.pop("classes", {"B": {"tags": "label:B", "norm": 2}, "S": {"tags": "label:S", "norm": 1}}), **pack)


def conducted(path: Path, *sets: str, step: str = "pack", runs: Path | None = None) -> Run:
    """The run of a step; what it needs runs too."""
    results = list(conduct(resolve([path], sets=[*PLAIN, *sets]), step=step, runs=runs, quiet=True))
    return Run.open(results[-1].folder)


def codes(run: Run) -> list[tuple[str, str, str]]:
    """Code, severity and place of a run's findings."""
    return [(one["code"], one["severity"], one["place"]) for one in run.findings()]
