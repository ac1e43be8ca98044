"""Commands of ``labwright`` for tests that stop and kill, each in a process of its own.

The processes are forked from one that has imported everything and done nothing, so that a command starts within
milliseconds and not within the seconds that torch takes. What happens from there on is what happens in a shell.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

RECIPE_MODULES = tuple(
    f"labwright.{recipe}.{step}" for recipe in ("cells", "events") for step in ("pack", "check", "train", "predict", "evaluate")
)
_CONTEXT: Any = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["labwright.cli.main", "labwright.cli.commands.run", "labwright.parts.conduct", *RECIPE_MODULES])


class Command:
    """A running ``labwright WORDS…``; what it prints goes to the files ``out`` and ``err``."""

    def __init__(self, words: Sequence[str | Path], folder: Path, *, fault: str = "", before: Callable[[], None] | None = None) -> None:
        """Start it.

        Args:
            words: of the command line, without ``labwright``.
            folder: where the printed text goes; made if need be.
            fault: the point at which it kills itself, as in ``LABWRIGHT_FAULT``.
            before: called in the new process first; an importable function, for what a test has to change there.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.words, self.out, self.err = [str(word) for word in words], folder / "out.txt", folder / "err.txt"
        self.process = _CONTEXT.Process(target=_labwright, args=(self.words, str(self.out), str(self.err), fault, before))
        self.process.start()

    def wait(self, seconds: float = 120.0) -> int:
        """The exit code; that of a process ended by a signal is minus the signal's number.

        Raises:
            TimeoutError: it still runs after so many seconds; it is killed then.
        """
        self.process.join(seconds)
        if self.process.exitcode is None:
            self.kill()
            raise TimeoutError(f"labwright {' '.join(self.words)} ran for more than {seconds} s")
        return int(self.process.exitcode)

    def kill(self) -> None:
        """SIGKILL to it and to every process that it started."""
        self._group(signal.SIGKILL)
        self.process.join()

    def stop(self) -> None:
        """SIGTERM, as a scheduler sends it: to it and to every process that it started."""
        self._group(signal.SIGTERM)

    def said(self) -> str:
        """All that it printed."""
        return "".join(path.read_text(encoding="utf-8", errors="replace") for path in (self.out, self.err) if path.exists())

    def _group(self, number: signal.Signals) -> None:
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            # Not yet a group of its own, or no longer there.
            if self.process.is_alive():
                os.kill(self.process.pid, number)


def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait for ``condition``.

    Raises:
        TimeoutError: it did not come true.
    """
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"nothing came within {seconds} s")
        time.sleep(0.005)


def _labwright(words: list[str], out: str, err: str, fault: str, before: Callable[[], None] | None) -> None:
    from labwright.cli.main import main
    from labwright.runs import faults

    os.setsid()
    for path, number in ((os.devnull, 0), (out, 1), (err, 2)):
        descriptor = os.open(path, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(descriptor, number)
        os.close(descriptor)
    sys.argv = ["labwright", *words]
    os.environ["LABWRIGHT_FAULT"] = fault  # for the workers that it may start
    faults.arm(fault)
    if before is not None:
        before()
    sys.exit(main(words))
