"""``labwright hello [FOLDER]``: print as JSON which machine this is."""

from __future__ import annotations

import argparse
from pathlib import Path

from labwright.cli.tables import print_json
from labwright.runs.errors import Exit


def run(arguments: argparse.Namespace) -> int:
    """Print what a job finds here, and leave it in the folder."""
    from labwright.launch.hello import look

    print_json(look(Path(arguments.folder) if arguments.folder else None))
    return Exit.DONE
