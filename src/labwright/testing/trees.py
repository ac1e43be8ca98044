"""Small trees of events, and a study of two of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import uproot
import yaml

Columns = dict[str, Any]
SIGNAL, BACKGROUND = 300, 400
"""Events of the tiny study."""


def events(count: int = 24, jets: tuple[int, int] = (4, 7), seed: int = 0) -> Columns:
    """Columns of a flat tree: ``count`` events with so many jets (from, to), all of them well above 40 GeV and inside 2.4."""
    random = np.random.default_rng(seed)
    lengths = random.integers(jets[0], jets[1] + 1, count)
    total = int(lengths.sum())
    parts = {
        "pt": 45 + random.exponential(60, total),
        "eta": random.uniform(-2.3, 2.3, total),
        "phi": random.uniform(-np.pi, np.pi, total),
        "mass": random.uniform(1, 15, total),
    }
    columns: Columns = {f"jet_{name}": ak.unflatten(values.astype(np.float32), lengths) for name, values in parts.items()}
    columns |= {
        "run": np.full(count, 7, np.uint32),
        "luminosityBlock": np.ones(count, np.uint32),
        "event": np.arange(count, dtype=np.uint64) + np.uint64(1000 * seed),
        "weight": np.linspace(0.5, 1.5, count).astype(np.float32),
    }
    return columns


def write_root(path: Path, columns: Mapping[str, Any], tree: str = "Events") -> Path:
    """Each column a branch of its own, so that their lengths may disagree."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with uproot.recreate(path) as file:
        types = {name: getattr(values, "type", None) or np.asarray(values).dtype for name, values in columns.items()}
        file.mktree(tree, types, counter_name=lambda name: f"n_{name}")
        if len(next(iter(columns.values()))):
            file[tree].extend(dict(columns))
    return path


def tiny_trees(folder: Path) -> Path:
    """``signal.root`` and ``background.root`` in ``folder``, of two years and of weight 1; returns the folder."""
    for name, count, seed in (("signal", SIGNAL, 1), ("background", BACKGROUND, 2)):
        write_root(folder / f"{name}.root", tiny_columns(count, seed))
    return folder


def tiny_columns(count: int, seed: int, jets: tuple[int, int] = (4, 9)) -> Columns:
    """Columns of the tiny study's files."""
    return {**events(count, jets, seed), "weight": np.ones(count), "year": 17.0 + np.arange(count) % 2}


def events_study(folder: Path, classes: Mapping[str, Any], groups: Sequence[Mapping[str, Any]] = (), **steps: Any) -> Path:
    """The study of :func:`tiny_trees` in ``folder / "data"``, with further groups and options of other steps; returns its file."""
    named = [{"tags": "label:S", "files": ["signal*.root"]}, {"tags": "label:B", "files": ["background.root"]}]
    source = {"kind": "flat", "path": "data", "groups": [*named, *groups]}
    content = {"recipe": "events", "pack": {"source": source, "classes": dict(classes), "chunk_events": 128}, "run": {"seed": 7}, **steps}
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return path
