"""A job → the shell script that does one of its tasks on this machine; pure text, and it works by hand: ``bash train.sh [TASK]``."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from labwright.launch import script
from labwright.launch.job import Job
from labwright.launch.site import Site

_FREE_PORT = "import socket; taken = socket.create_server(('127.0.0.1', 0)); print(taken.getsockname()[1])"


def render(job: Job, site: Site, place: Path) -> Mapping[str, str]:
    """``<job>.sh``; its one word is the number of the task, 0 by default. What it prints goes where its caller wants it."""
    lines = [
        "#!/usr/bin/env bash",
        f"# {job.name}: submitted as {place.name} to {site.name}; by hand: bash {job.name}.sh{' TASK' if job.is_array else ''}",
        *(_ranks(job.ranks_per_node) if job.ranks_per_node > 1 else []),
        *script.lines(job, site, index='"${1:-0}"', start="ranks" if job.ranks_per_node > 1 else "", extra_env=_deadline(job, site)),
        'exit "$code"',
    ]
    return {f"{job.name}.sh": "\n".join(lines) + "\n"}


def _deadline(job: Job, site: Site) -> dict[str, str]:
    """An attempt ends by itself before its limit, and goes on when it is its turn again."""
    if not job.resources.minutes:
        return {}
    limit = job.resources.minutes * 60
    return {"LABWRIGHT_STOP_AFTER_S": str(max(limit - site.signal_before_s, limit // 2))}


def _ranks(count: int) -> list[str]:
    """A shell function that starts the payload once for each GPU, by the variables of ``torchrun``.

    ``torchrun`` itself would turn every exit code but 0 into 1, and "run me again" with them.
    """
    return [
        "ranks() {",
        "  local rank pids=() one told= code=0",
        f"  export WORLD_SIZE={count} LOCAL_WORLD_SIZE={count} MASTER_ADDR=127.0.0.1",
        f"  MASTER_PORT=$({shlex.quote(sys.executable)} -c {shlex.quote(_FREE_PORT)}); export MASTER_PORT",
        """  trap 'told=yes; kill -USR1 "${pids[@]}" 2>/dev/null' TERM USR1 INT""",
        "  for ((rank = 0; rank < WORLD_SIZE; rank++)); do",
        '    RANK=$rank LOCAL_RANK=$rank "$@" &',
        '    pids+=("$!"); [ -z "$told" ] || kill -USR1 "$!"',
        "  done",
        '  for rank in "${!pids[@]}"; do',
        "    while :; do",
        "      told=",
        '      wait "${pids[rank]}"; one=$?',
        '      [ -n "$told" ] || break',
        "    done",
        # All leave with the same code, but one that was killed.
        "    ((one > code)) && code=$one",
        "  done",
        '  return "$code"',
        "}",
    ]
