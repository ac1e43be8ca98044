"""A job → the shell script that does one of its tasks on this machine; pure text, and it works by hand: ``bash train.sh [TASK]``."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from labwright.launch import script
from labwright.launch.job import Job
from labwright.launch.site import Site


def render(job: Job, site: Site, place: Path) -> Mapping[str, str]:
    """``<job>.sh``; its one word is the number of the task, 0 by default. What it prints goes where its caller wants it."""
    lines = [
        "#!/usr/bin/env bash",
        f"# {job.name}: submitted as {place.name} to {site.name}; by hand: bash {job.name}.sh{' TASK' if job.is_array else ''}",
        *(script.ranks(job.ranks_per_node, sys.executable) if job.ranks_per_node > 1 else []),
        *script.lines(job, site, index='"${1:-0}"', start="ranks" if job.ranks_per_node > 1 else "", extra_env=script.deadline(job, site)),
        'exit "$code"',
    ]
    return {f"{job.name}.sh": "\n".join(lines) + "\n"}
