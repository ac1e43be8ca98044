"""Small trees of events and studies of them, conducted in this process."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import uproot
import yaml

from labwright.parts.conduct import conduct
from labwright.runs.run import Run
from labwright.study.resolve import resolve

PLAIN = ("run.on.workers=1", "run.on.threads=1")


def tree(path: Path, count: int, seed: int = 0, *, jets: int | None = None, **columns: Any) -> Path:
    """A file of ``count`` events with four to nine jets each, or ``jets``; columns as given, an array or one value for all."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(4, 10, count) if jets is None else np.full(count, jets)
    total = int(lengths.sum())
    flat = {
        "pt": rng.uniform(40, 200, total),
        "eta": rng.normal(0, 1, total),
        "phi": rng.uniform(-3, 3, total),
        "mass": rng.uniform(5, 20, total),
    }
    listed = ak.zip({name: ak.unflatten(values.astype(np.float32), lengths) for name, values in flat.items()})
    whole: dict[str, Any] = {
        "run": np.full(count, 1, np.uint32),
        "luminosityBlock": (np.arange(count) // 100).astype(np.uint32),
        "event": np.arange(count, dtype=np.uint64) + 1_000_000 * seed,
        "weight": np.ones(count, np.float32),
        "year": np.full(count, 18.0, np.float32),
    }
    whole |= {name: np.full(count, values) if np.ndim(values) == 0 else np.asarray(values) for name, values in columns.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    with uproot.recreate(path) as file:
        file.mktree("Events", {"jet": listed.type, **{name: values.dtype for name, values in whole.items()}})
        if count:
            file["Events"].extend({"jet": listed, **whole})
    return path


def study(folder: Path, groups: list[Mapping[str, Any]], classes: Mapping[str, Any], **pack: Any) -> Path:
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
