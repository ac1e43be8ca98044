"""The state of a training beside its tensors: position, sums, the best so far. Total, and plain JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from labwright.learn.options import FitOptions
from labwright.runs.errors import StudyError


@dataclass
class State:
    """All that the loop decides by. Randomness is not in it: it is a function of (seed, epoch, batch)."""

    threads: int
    """Of torch on the CPU; each attempt takes the first one's."""
    precision: str = ""
    device: str = ""
    step: int = 0
    """Steps done."""
    epoch: int = 0
    """Epochs done."""
    batch: int = 0
    """Batches done in the present epoch: 0 at its edges."""
    total_steps: int = 0
    items_seen: int = 0
    items_before: int = 0
    """Thereof by the training that this one continues."""
    sums: dict[str, float | None] = field(default_factory=dict)
    """Sums of the training figures since the last record."""
    summed: float = 0.0
    """How many steps are in these sums."""
    validated_step: int = 0
    best: list[dict[str, Any]] = field(default_factory=list)
    """The best checkpoints, best first: step, value, and all figures of that validation."""
    waited: int = 0
    """Validations since the last better one."""
    ended: str = ""
    """Why the training ended before its length: "patience" or "joules"."""
    joules: float | None = None
    """Used by the attempts so far."""
    seconds: float = 0.0
    """Taken by the attempts so far."""
    wait_seconds: float = 0.0
    """Thereof waiting for data."""
    scaler: dict[str, Any] = field(default_factory=dict)
    """Of fp16's loss scaling."""
    optimizer: dict[str, Any] = field(default_factory=dict)
    """What of the optimiser is not a tensor."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> State:
        """The state from its JSON; ValueError where a field is missing or unknown."""
        names = {one.name for one in fields(cls)}
        if names != content.keys():
            raise ValueError(f"the state's fields differ from this version's: {', '.join(sorted(names ^ content.keys()))}")
        return cls(**content)

    def advance(self, items: int, lengths: Sequence[int]) -> None:
        """One step more, on so many items; ``lengths`` are the batches of each epoch."""
        self.step += 1
        self.batch += 1
        self.items_seen += items
        if self.batch == lengths[self.epoch]:
            self.epoch, self.batch = self.epoch + 1, 0

    def judge(self, figures: Mapping[str, Any], options: FitOptions) -> None:
        """Take in a validation: note it among the best, or count the wait; end on patience.

        Raises:
            StudyError: the selecting figure is not among the figures.
        """
        name = options.select.metric
        if name not in figures:
            raise StudyError(
                f"the validation gives no figure {name}", where="select.metric", todo=f"It gives {', '.join(figures) or 'none'}."
            )
        value = figures[name]
        self.validated_step = self.step
        if value is None or not math.isfinite(value):
            value = None
        mark = {"step": self.step, "value": value, "figures": {key: _finite(one) for key, one in figures.items()}}
        sign = -1.0 if options.select.mode == "max" else 1.0
        # The sort is stable and a value that is not a number comes last: of equals the earlier stays ahead.
        ranked = sorted([*self.best, mark], key=lambda one: math.inf if one["value"] is None else sign * one["value"])
        self.waited = 0 if ranked[0] is mark else self.waited + 1
        self.best = ranked[: options.keep.best]
        if options.stop.patience is not None and self.waited >= options.stop.patience:
            self.ended = "patience"


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
