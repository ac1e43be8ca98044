"""Mean and spread of what the models say, as they come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labwright.events.scoring.scores import COUNT, Floats, Objective, base_columns, decide, derive


class Means:
    """Mean and sample spread over the models of each of n events, as models come (Welford 1962).

    Args:
        objective: of the training.
        classes: names.
        n: events.
    """

    def __init__(self, objective: Objective, classes: Sequence[str], n: int) -> None:
        self.objective, self.classes = objective, tuple(classes)
        self.names = [*base_columns(classes), *derive(objective, classes, np.zeros((0, len(classes))))]
        self.count = np.zeros(n, np.uint8)
        self._mean, self._squares = (np.zeros((n, len(self.names))) for _ in range(2))

    def add(self, rows: NDArray[np.int64], values: Floats) -> None:
        """What a model says of some events.

        Args:
            rows: which of the n, each once.
            values: ``base_columns``, (len(rows), classes + 3).
        """
        wide = values.astype(np.float64)
        p = wide[:, : len(self.classes)]
        whole = np.concatenate([wide, *(one[:, None] for one in derive(self.objective, self.classes, p).values())], axis=1)
        self.count[rows] += 1
        before = whole - self._mean[rows]
        self._mean[rows] += before / self.count[rows, None]
        self._squares[rows] += before * (whole - self._mean[rows])

    def columns(self) -> dict[str, NDArray[Any]]:
        """The columns of ``scores.parquet``, (n,) each; NaN where no model has scored."""
        count = self.count[:, None]
        mean = np.where(count > 0, self._mean, np.nan)
        std = np.where(count > 1, np.sqrt(self._squares / np.maximum(count - 1.0, 1.0)), np.nan)
        found = dict(zip(self.names, mean.T, strict=True)) | decide(self.objective, self.classes, mean[:, : len(self.classes)])
        found |= {f"{name}_std": values for name, values in zip(self.names, std.T, strict=True)}
        return {name: values.astype(np.float32) for name, values in found.items()} | {COUNT: self.count.copy()}
