"""``labwright bring RUN_FOLDER TO``: copy what tells of a run, not its bulk; job scripts call it where whole runs stay on a cluster."""

from __future__ import annotations

import argparse
import socket
from pathlib import Path

from labwright.runs import light
from labwright.runs.errors import Exit
from labwright.runs.run import Run


def run(arguments: argparse.Namespace) -> int:
    """Print how many files were new."""
    found = Run.open(arguments.run)
    kept_at = arguments.kept_at or f"{socket.gethostname()}:{found.folder.resolve()}"
    count = light.bring(found.folder, Path(arguments.to), kept_at)
    print(f"{found.name}: {count} {'file' if count == 1 else 'files'} brought to {arguments.to}")
    return Exit.DONE
