"""The training curve between two records: means of the figures, and a watch for losses that are not finite."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor

from labwright.data.sampler import IntArray
from labwright.runs.errors import DataError

LOOK_EVERY = 20
"""Losses looked at together on an accelerator, where looking waits for the device."""


class Curve:
    """Sums stay on the device until they are asked for."""

    def __init__(self, fabric: Fabric, sums: Mapping[str, float | None], weight: float) -> None:
        """``sums`` and ``weight`` are those of ``content`` of an earlier attempt, or empty and 0."""
        self._fabric = fabric
        self._dtype = torch.float32 if fabric.device.type == "mps" else torch.float64
        # What was not finite is null in a file.
        self._sums = {name: self._tensor(math.nan if value is None else value) for name, value in sums.items()}
        self._weight = weight
        self._step: dict[str, Tensor] = {}
        self._unseen: list[tuple[int, IntArray, Tensor]] = []

    def add(self, step: int, items: IntArray, loss: Tensor, figures: Mapping[str, Any], share: float) -> None:
        """Take in a piece of a step's batch; the shares of a step's pieces have the mean 1 over the devices.

        Raises:
            DataError: a loss was not finite.
        """
        for name, value in {"loss": loss, **figures}.items():
            self._step[name] = self._step.get(name, 0.0) + share * self._tensor(value)
        self._unseen.append((step, items, loss.detach()))
        if self._fabric.device.type == "cpu" or len(self._unseen) >= LOOK_EVERY:
            self.check()

    def end_step(self) -> None:
        """All pieces of a step are in: take the means over all devices."""
        if self._fabric.world_size > 1:
            means: Any = self._fabric.all_reduce(torch.stack(list(self._step.values())), reduce_op="mean")
            self._step = dict(zip(self._step, means.unbind(), strict=True))
        for name, mean in self._step.items():
            self._sums[name] = self._sums.get(name, 0.0) + mean
        self._weight += 1.0
        self._step = {}

    def check(self) -> None:
        """Look at the losses that came in since the last look.

        Raises:
            DataError: one is not finite; the first such step and its items are named.
        """
        if self._unseen and not torch.stack([loss for *_, loss in self._unseen]).isfinite().all():
            step, items, loss = next(entry for entry in self._unseen if not entry[-1].isfinite())
            numbers = ", ".join(map(str, items.flatten()[:16].tolist())) + (", …" if items.size > 16 else "")
            todo = "Look at these items; else lower learning_rate, set clip_norm, or use precision: fp32."
            raise DataError(f"the loss is {loss.item()} at step {step + 1}", where=f"training items {numbers}", todo=todo)
        self._unseen.clear()

    def means(self) -> dict[str, float]:
        """Means since the last call, by name; they start anew."""
        means = {name: value.item() / self._weight for name, value in self._sums.items()}
        self._sums, self._weight = {}, 0.0
        return means

    def content(self) -> tuple[dict[str, float | None], float]:
        """Sums and weight so far, exactly."""
        return {name: value.item() for name, value in self._sums.items()}, self._weight

    def _tensor(self, value: Any) -> Tensor:
        if not isinstance(value, Tensor):
            return torch.tensor(float(value), dtype=self._dtype, device=self._fabric.device)
        return value.detach().to(device=self._fabric.device, dtype=self._dtype)
