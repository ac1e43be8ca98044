"""Follow a file that grows: each look costs what was added since the last, however long the file is."""

from __future__ import annotations

import os
from pathlib import Path

CHUNK_BYTES = 1 << 18
LONGEST_LINE_BYTES = 1 << 20
"""A longer line is dropped: no record is that long, and a hostile one shall not fill the memory."""


class Tail:
    """The whole lines of one file, each handed out once."""

    def __init__(self, path: Path, offset: int = 0) -> None:
        """Begin at ``offset``; where that is not 0, with the first line that begins after it."""
        self.path = path
        self.offset = offset
        self._torn = b""
        self._dropping = offset > 0

    @classmethod
    def near_end(cls, path: Path, window: int) -> Tail:
        """Begin about ``window`` bytes before the end of the file."""
        return cls(path, max(0, _size(path) - window))

    def read(self, most: int = CHUNK_BYTES) -> list[bytes]:
        """The lines that became whole since the last call, without their ends, from at most ``most`` bytes.

        A file that shrank was written anew and is read from its beginning. A file that cannot be read has no lines.
        """
        size = _size(self.path)
        if size < self.offset:
            self.offset, self._torn, self._dropping = 0, b"", False
        if size <= self.offset:
            return []
        try:
            with self.path.open("rb", buffering=0) as stream:
                stream.seek(self.offset)
                data = stream.read(min(most, size - self.offset))
        except OSError:
            return []
        self.offset += len(data)
        *lines, self._torn = (self._torn + data).split(b"\n")
        if self._dropping and lines:
            self._dropping = False
            del lines[0]
        if len(self._torn) > LONGEST_LINE_BYTES or self._dropping:
            self._torn, self._dropping = b"", True
        return lines

    def left(self) -> int:
        """How many bytes the file holds beyond what was read."""
        return _size(self.path) - self.offset


def _size(path: Path) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
