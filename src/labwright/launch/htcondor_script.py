"""The script that HTCondor starts for each task: pure text. It gets the name of a run, then what follows it in the payload.

Where files travel, all that it makes lies in the job's own folder, caches too. HTCondor itself has started the container, if there is one.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from labwright.launch import script
from labwright.launch.container import Container
from labwright.launch.htcondor_files import SANDBOX, checkpoints, kept_there, places, runs_folder, travels_whole
from labwright.launch.job import Job
from labwright.launch.site import Site, need
from labwright.launch.words import expanding

LAST = "last"
"""The folder from which ``done.json`` comes home after all else."""
LEAVE = 'touch cancelled && kill -USR1 "$(cat pid)"'
"""What tells a running script, in the job's own folder, to save, leave, and not be started again."""
CANCELLED = 130
"""The exit code of a script that was told so: the job leaves the queue."""
BUSY_WITHIN_S = 60
STOP_AFTER = "LABWRIGHT_STOP_AFTER_S"


def render(job: Job, site: Site, place: Path) -> str:
    """The text of ``<job>.sh``."""
    inner = site.model_copy(
        update={
            "container": Container(),
            "python": _python(site),
            "scratch": need(site.scratch, "scratch", site) or SANDBOX,
            "data_root": places(job, site),
            "runs_root": site.runs_root if kept_there(job, site) else "",
        }
    )
    body = script.lines(
        job,
        inner,
        choice=[*_choice(job, site), *_travel(job, site)],
        words='"$@"',
        start="ranks" if job.ranks_per_node > 1 else "",
        extra_env=_environment(job, site),
    )
    return "\n".join(
        [
            "#!/usr/bin/env bash",
            f"# {job.name}: submission {place.name} to {site.name}; HTCondor calls it with a run's name and what to do of it",
            *(script.ranks(job.ranks_per_node, inner.python) if job.ranks_per_node > 1 else []),
            *body,
            *_afterwards(job, site),
            'exit "$code"',
            "",
        ]
    )


def _python(site: Site) -> str:
    if site.in_container or site.shared_files or site.python:
        return script.python(site)
    # The interpreter that runs now is not there.
    return "python3"


def _choice(job: Job, site: Site) -> list[str]:
    """``$home`` is the run folder that HTCondor brings home, ``$run`` the one that is worked on."""
    # HTCondor starts a job with hardly any variables, and options of a site may hold these.
    lines = ['export USER="${USER:-$(id -un)}" HOME=${HOME:-~}', "name=$1", "shift"]
    if site.shared_files:
        lines += [f"home={shlex.quote(str(runs_folder(job)))}/$name"]
    else:
        lines += [f'cd "{SANDBOX}" || exit 70', "echo $$ >pid", "home=$PWD/$name"]
    return [*lines, f"run={expanding(need(site.runs_root, 'runs_root', site))}/$name" if kept_there(job, site) else "run=$home"]


def _environment(job: Job, site: Site) -> dict[str, str]:
    made = script.deadline(job, site)
    if checkpoints(job, site):
        limits = [*map(int, made.values()), site.checkpoint_minutes * 60]
        made = {STOP_AFTER: str(min(limits))}
    # The home of a container's user may be anywhere, or not to be written.
    return {"HOME": SANDBOX, **made} if site.in_container else made


def _travel(job: Job, site: Site) -> list[str]:
    """What is done with files that came along, and, however the script ends, with those that go home."""
    if site.shared_files:
        return []
    arrived, leaving = [], []
    if job.tasks[0].verb == "step":
        # HTCondor holds a job with an unhelpful reason when something that it shall bring home is missing.
        arrived.append(f'mkdir -p "$home/journal" "{LAST}/$name"')
        leaving.append(f'[ ! -e "$home/done.json" ] || mv "$home/done.json" "{LAST}/$name/done.json"')
    if travels_whole(job, site):
        # Logs of jobs grow on the submit side meanwhile: these copies are not to go back.
        arrived.append('rm -rf "$home/jobs"')
    else:
        arrived.append(
            'for file in step.json journal/*; do [ ! -e "$file" ] || [ -e "$home/$file" ] || cp "$file" "$home/$file" || exit 66; done'
        )
        if not kept_there(job, site):
            # What came along is at home already, and may have grown there.
            leaving.append('for file in step.json journal/*; do [ ! -e "$file" ] || rm -f "$home/$file"; done')
    return [*arrived, *(["go_home() {", *(f"  {line}" for line in leaving), "}", "trap go_home EXIT"] if leaving else [])]


def _afterwards(job: Job, site: Site) -> list[str]:
    """What else 75 may mean: who was neither told to stop nor at its deadline waits for another process."""
    if site.shared_files or kept_there(job, site):
        # It is not asked again and again.
        return [f'if [ "$code" -eq 75 ] && [ -z "$stop" ] && [ "$SECONDS" -lt {BUSY_WITHIN_S} ]; then sleep {BUSY_WITHIN_S}; fi']
    lines = [f'if [ "$code" -eq 75 ] && [ -e cancelled ]; then code={CANCELLED}; fi']
    if not travels_whole(job, site):
        # The parts of other shares never come to this folder: the job that finishes does those that wait for them.
        lines.append(f'if [ "$code" -eq 75 ] && [ -z "$stop" ] && [ "$SECONDS" -lt "${STOP_AFTER}" ]; then code=0; fi')
    return lines
