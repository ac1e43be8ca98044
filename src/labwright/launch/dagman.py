"""The jobs of a submission as one DAG for HTCondor's DAGMan, which queues each after those that it needs: pure text.

A job that fails is held by its own description and so keeps its node open; a node fails only when its job is removed. Before a
node DAGMan asks ``ready.sh``, which leaves out what is complete by now and fails what was cancelled.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from labwright.launch.htcondor_files import runs_folder
from labwright.launch.job import Job
from labwright.launch.submission import CANCELLED

FILE = "study.dag"
READY = "ready.sh"
SKIP = 3
"""What ``ready.sh`` says of a job whose runs are complete."""


def render(jobs: Sequence[Job], place: Path) -> Mapping[str, str]:
    """``study.dag`` and ``ready.sh`` for several jobs; nothing for one, which needs no order.

    All names in them count from the submission's folder, so ``condor_submit_dag`` has to be told ``-usedagdir`` elsewhere.
    """
    if len(jobs) < 2:
        return {}
    lines = [f"# Submission {place.name}; by hand: condor_submit_dag -usedagdir {shlex.quote(str(place / FILE))}"]
    for job in jobs:
        lines += ["", f"JOB {job.name} {job.name}.sub"]
        lines += [f"SCRIPT PRE {job.name} ./{READY} {job.name}", f"PRE_SKIP {job.name} {SKIP}"]
    lines.append("")
    lines += [f"PARENT {' '.join(after.job for after in job.after)} CHILD {job.name}" for job in jobs if job.after]
    return {FILE: "\n".join(lines) + "\n", READY: _ready(runs_folder(jobs[0]))}


def _ready(runs: Path) -> str:
    return f"""#!/usr/bin/env bash
# DAGMan asks before it queues a job: 0 queue it, 1 it was cancelled, {SKIP} its runs are complete.
cd "$(dirname "$0")" || exit 0
if [ -e {CANCELLED} ] || [ -e "{CANCELLED}.$1" ]; then exit 1; fi
[ -s "$1.tasks" ] || exit 0
while read -r run rest; do
  [ -e {shlex.quote(str(runs))}/"$run"/done.json ] || exit 0
done <"$1.tasks"
exit {SKIP}
"""
