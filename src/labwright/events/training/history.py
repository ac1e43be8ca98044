"""What the validations of a part found, and each member's best weights: a file of its own beside the checkpoints.

It cannot wait for the next checkpoint, as the loop validates after it has saved. A training that goes on from an earlier checkpoint
looks at no later step, and makes the same steps and the same file again.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import safetensors.torch
import torch
from torch import Tensor

from labwright.events.network_options import BestOptions
from labwright.learn.tensors import read
from labwright.runs.publish import publish

BEST = "best.safetensors"
METRICS = ("loss", "auc")


class Validation(NamedTuple):
    """What a validation found."""

    step: int
    figures: dict[str, list[Any]]
    """Of each member: ``epochs.FIGURES`` of both ``epochs.SETS``, and ``epochs.PACE``."""


class History(NamedTuple):
    """What ``best.safetensors`` holds."""

    validations: list[Validation]
    best: dict[str, Tensor]
    """Of each member the weights of its best validation, (members, …) by the names of a single network."""
    last: dict[str, Tensor]
    """The same of the validation after which its patience was at an end; empty before any member's is."""


def values_of(validations: Sequence[Validation], place: int, metric: str) -> list[float]:
    """A figure of the member at a place, for each validation."""
    return [one.figures[metric][place] for one in validations]


def chosen(select: BestOptions, values: Sequence[float]) -> int:
    """The validation that a member's best weights are of: the first of equals; the first where none is a number."""
    signed = np.array(values) * (-1.0 if select.mode == "max" else 1.0)
    return int(np.nanargmin(signed)) if len(signed) and not np.isnan(signed).all() else 0


def ended(patience: int | None, select: BestOptions, values: Sequence[float]) -> int | None:
    """The validation after which a member has waited for a better one long enough; None while it has not."""
    if patience is None:
        return None
    return next((index for index in range(len(values)) if index - chosen(select, values[: index + 1]) >= patience), None)


def write_best(path: Path, history: History) -> None:
    """Publish the file of a part's members."""
    validations = history.validations
    names = validations[0].figures if validations else ()
    figures = {f"history.{name}": torch.tensor([one.figures[name] for one in validations], dtype=torch.float64) for name in names}
    content = {
        **{f"best.{name}": tensor.contiguous() for name, tensor in history.best.items()},
        **{f"last.{name}": tensor.contiguous() for name, tensor in history.last.items()},
        **figures,
        "history.step": torch.tensor([one.step for one in validations]),
    }
    with publish(path, "checkpoint") as temporary:
        temporary.write_bytes(safetensors.torch.save(content))


def read_best(path: Path) -> History:
    """What :func:`write_best` wrote.

    Raises:
        DataError: the file is damaged.
    """
    content = read(path)
    kinds = {
        kind: {name.removeprefix(f"{kind}."): one for name, one in content.items() if name.startswith(f"{kind}.")}
        for kind in ("history", "best", "last")
    }
    columns = {name: kinds["history"][name].tolist() for name in sorted(kinds["history"])}
    steps = columns.pop("step")
    validations = [Validation(step, {name: column[index] for name, column in columns.items()}) for index, step in enumerate(steps)]
    return History(validations, kinds["best"], kinds["last"])
