"""``labwright queue SUBMISSION_FOLDER``: start the jobs of a submission on this machine as they become due."""

from __future__ import annotations

import argparse
from pathlib import Path


def run(arguments: argparse.Namespace) -> int:
    """Work until all tasks are over; 75 where a signal came before."""
    from labwright.launch.local_queue import conduct

    return conduct(Path(arguments.folder))
