"""Shares: share i/n of a step's parts is ``parts[i::n]``, what one process of an array works on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from labwright.runs.errors import CommandError
from labwright.study.step import Part


@dataclass(frozen=True)
class Share:
    """Share ``index`` (from 0) of ``count``."""

    index: int = 0
    count: int = 1

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    @classmethod
    def parse(cls, text: str) -> Share:
        """``"2/8"`` → Share(2, 8).

        Raises:
            CommandError: the text is not a share.
        """
        index, _, count = text.partition("/")
        if not (index.isdigit() and count.isdigit() and int(index) < int(count)):
            raise CommandError(f"{text!r} is not a share", where="--share", todo="Write i/n with i from 0 to n-1, such as 2/8.")
        return cls(int(index), int(count))

    def of(self, parts: Sequence[Part]) -> list[Part]:
        """The parts of this share; all shares of a count together hold each part once."""
        return list(parts[self.index :: self.count])
