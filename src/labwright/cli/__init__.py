"""The command line: verbs, completion, tables and progress bars."""

from __future__ import annotations

import sys

STOPPED = "labwright: stopped; nothing that was done is lost, run the same command again to go on"


def enter() -> int:
    """``labwright …``: what an interrupt meets while all else is still being imported; returns the exit code."""
    try:
        from labwright.cli.main import main

        return main()
    except KeyboardInterrupt:
        print(STOPPED, file=sys.stderr)
        return 75  # Exit.AGAIN, which may not be imported yet
