"""``labwright watch`` in a process of its own, for the time of a block."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx


class Served(NamedTuple):
    process: subprocess.Popen[str]
    url: str
    token_file: Path

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token_file.read_text().strip()}"}

    def runs(self) -> list[str]:
        return [one["name"] for one in httpx.get(f"{self.url}/api/runs", headers=self.headers).json()["runs"]]


@contextmanager
def served(*words: str | Path, state: Path) -> Iterator[Served]:
    """``labwright watch`` in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path), "XDG_RUNTIME_DIR": str(state)}
    command = [sys.executable, "-m", "labwright", "watch", *map(str, words)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        try:
            first, second = process.stdout.readline(), process.stdout.readline()
            assert first.startswith("watching at http://127.0.0.1:"), first + process.stdout.read()
            yield Served(process, first.split()[-1], Path(second.split()[-1]))
        finally:
            process.kill()
