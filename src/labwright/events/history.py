"""What the validations of a part found, and each member's best weights: a file of its own beside the checkpoints.

It cannot wait for the next checkpoint, as the loop validates after it has saved. A training that goes on from an earlier checkpoint
looks at no later step, and makes the same steps and the same file again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import safetensors.torch
import torch
from torch import Tensor

from labwright.learn.tensors import read
from labwright.runs.publish import publish

BEST = "best.safetensors"
METRICS = ("loss", "auc")


class Validation(NamedTuple):
    """What a validation found."""

    step: int
    figures: dict[str, list[Any]]
    """Of each member: ``epochs.FIGURES`` of both ``epochs.SETS``, and ``epochs.PACE``."""


def write_best(path: Path, validations: Sequence[Validation], best: Mapping[str, Tensor]) -> None:
    """Publish the file of a part's members: figures of all validations, and of each member the weights of its best."""
    names = validations[0].figures if validations else ()
    history = {f"history.{name}": torch.tensor([one.figures[name] for one in validations], dtype=torch.float64) for name in names}
    content = {
        **{f"best.{name}": tensor.contiguous() for name, tensor in best.items()},
        **history,
        "history.step": torch.tensor([one.step for one in validations]),
    }
    with publish(path, "checkpoint") as temporary:
        temporary.write_bytes(safetensors.torch.save(content))


def read_best(path: Path) -> tuple[list[Validation], dict[str, Tensor]]:
    """The validations, and the best weights, (members, …) by the names of a single network.

    Raises:
        DataError: the file is damaged.
    """
    content = read(path)
    columns = {name.removeprefix("history."): content.pop(name).tolist() for name in sorted(content) if name.startswith("history.")}
    steps = columns.pop("step")
    validations = [Validation(step, {name: column[index] for name, column in columns.items()}) for index, step in enumerate(steps)]
    return validations, {name.removeprefix("best."): tensor for name, tensor in content.items()}
