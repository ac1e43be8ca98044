"""A metric over steps, kept compact: what a page has to remember of a training of any length."""

from __future__ import annotations

import bisect
import math
from array import array
from collections.abc import Iterator

MOST_POINTS = 4000
"""Of more, every second one is let go."""
SHOWN_POINTS = 500


class Series:
    """Points by step; of a step recorded twice the newest attempt's value counts, as in ``journal.series``."""

    def __init__(self) -> None:
        self._steps, self._values, self._files = array("q"), array("d"), array("q")

    def add(self, step: int, value: float | None, file: int) -> None:
        """Take in a value; ``file`` orders the attempts. None is a value that was not finite."""
        number = math.nan if value is None else float(value)
        if not self._steps or step > self._steps[-1]:
            at = len(self._steps)
        else:
            at = bisect.bisect_left(self._steps, step)
            if self._steps[at] == step:
                if file >= self._files[at]:
                    self._values[at], self._files[at] = number, file
                return
        self._steps.insert(at, step)
        self._values.insert(at, number)
        self._files.insert(at, file)
        if len(self._steps) > MOST_POINTS:
            for column in (self._steps, self._values, self._files):
                del column[1:-1:2]

    def items(self) -> Iterator[tuple[int, float | None]]:
        """(step, value) in order of the steps."""
        for step, value in zip(self._steps, self._values, strict=True):
            yield step, None if math.isnan(value) else value

    def at(self, step: int) -> float | None:
        """The value of a step; None where there is none."""
        index = bisect.bisect_left(self._steps, step)
        found = self._values[index] if index < len(self._steps) and self._steps[index] == step else math.nan
        return None if math.isnan(found) else found

    def thinned(self, most: int = SHOWN_POINTS) -> list[tuple[float, float]]:
        """At most so many points, evenly spread, and always the last; for drawing."""
        stride = -(-len(self._steps) // most) if self._steps else 1
        chosen = range((len(self._steps) - 1) % stride, len(self._steps), stride)
        return [(float(self._steps[index]), self._values[index]) for index in chosen if not math.isnan(self._values[index])]
