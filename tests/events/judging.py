"""Packed events with scores that somebody made up, in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from labwright.events.evaluation.scored import Scored, joined
from labwright.events.flags import FLAGS
from labwright.events.identity import Identity
from labwright.events.packing.load import PackedEvents
from labwright.events.scoring.scores import Scores
from labwright.runs.run import Run
from tests.learn.fake import FakeJob

SVB = ("multijet", "ttbar", "ZZ", "ZH")
FVT = ("d4", "d3", "t4", "t3")


def flag(*names: str) -> int:
    return sum(1 << FLAGS.index(name) for name in names)


def made(
    p: NDArray[Any],
    label: Any,
    *,
    classes: tuple[str, ...] = SVB,
    objective: str = "svb",
    weight: Any = 1.0,
    flags: Any = 0,
    columns: dict[str, NDArray[Any]] | None = None,
    files: tuple[dict[str, Any], ...] = ({"name": "a.root", "tags": ["label:x"]},),
    unblind: bool = False,
) -> Scored:
    """Events with probabilities ``p`` (N, classes); ``columns`` are those of the pack's table."""
    n = len(p)
    number = np.arange(n)
    identity = Identity(np.ones(n, np.uint32), np.ones(n, np.uint32), number.astype(np.uint64))
    numbers = {
        name: torch.from_numpy(np.broadcast_to(np.asarray(value, kind), n).copy())
        for name, value, kind in (("weight", weight, np.float32), ("label", label, np.uint8), ("flags", flags, np.int32))
    }
    packed = PackedEvents(
        can_jets=torch.zeros(n, 4, 4),
        other_jets=torch.zeros(n, 0, 5),
        ancillary=torch.zeros(n, 0),
        **numbers,
        identity=identity,
        classes=classes,
        ancillary_names=(),
        files=files,
        folder=Path("/nowhere"),
    )
    scores = Scores(Run(Path("/nowhere"), {}), {"events": n, "name": "S", "objective": objective, "classes": list(classes), "members": []})
    # A cached property keeps its value here.
    scores.__dict__["columns"] = {f"p_{name}": p[:, place].astype(np.float32) for place, name in enumerate(classes)}
    given = columns or {}
    object.__setattr__(packed, "column", given.__getitem__)
    return joined(packed, scores, unblind)


def random(n: int, seed: int = 1, classes: int = 4) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """Probabilities that are true: labels drawn from them."""
    drawn = np.random.default_rng(seed)
    p = drawn.dirichlet(np.full(classes, 0.7), n)
    return p, (p.cumsum(axis=1) < drawn.random((n, 1))).sum(axis=1).clip(max=classes - 1).astype(np.uint8)


def job(folder: Path, options: Any) -> Any:
    """As much of a job as the pages need."""
    found: Any = FakeJob(folder)
    found.options = options
    return found
