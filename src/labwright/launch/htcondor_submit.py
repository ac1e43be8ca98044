"""A job as an HTCondor submit description, its script and the table of its tasks: pure text.

Output, errors and event log of each task lie in its run folder, named by cluster and process, so nothing is overwritten. The script
(:mod:`labwright.launch.htcondor_script`) gets the name of a run and what follows it in the payload. What exit codes mean:

- 0 leaves the queue, and so does 130, of a task that was cancelled.
- 75 ("run me again") goes on. Where files travel it is HTCondor's ``checkpoint_exit_code``: what was saved goes to the submit side at
  once and the job starts again beside it. Nothing else would be kept: what is saved on the signal of an eviction, in the same
  job, does not count. So steps leave by themselves every ``checkpoint_minutes``.
- What a user has to mend (64, 65, 66, 78) and faults (70) hold the job with the reason in words.
- Anything else, such as a lost device, is tried again a few times and then held.

Rows of ``After.each`` wait for whole jobs here: DAGMan orders clusters, not their processes.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

from labwright.launch import htcondor_script
from labwright.launch.container import form_of
from labwright.launch.eventlog import meaning
from labwright.launch.htcondor_files import checkpoints, kept_there, refuse_signs, runs_folder, transferred
from labwright.launch.job import Job
from labwright.launch.site import Site, need
from labwright.runs.errors import Exit, StudyError

RETRIES = 3
"""So often a task is tried again that failed in a way which may pass."""
HELD_AT_ONCE = (Exit.COMMAND, Exit.DATA, Exit.MISSING, Exit.FAULT, Exit.STUDY)


def render(job: Job, site: Site, place: Path) -> Mapping[str, str]:
    """``<job>.sub``, ``<job>.sh`` and ``<job>.tasks``.

    Raises:
        StudyError: a value is needed that the site marks as unknown; or HTCondor cannot do this.
        CommandError: a folder has a name that HTCondor would take apart.
    """
    if job.nodes > 1:
        raise StudyError(
            f"{job.step} asks for {job.nodes} nodes that train together; on HTCondor a training has one",
            where=f"run.on.resources.{job.step}.nodes",
            todo="Ask for several GPUs of one node instead.",
        )
    refuse_signs(place)
    texts = {f"{job.name}.sub": "\n".join(_description(job, site, place)) + "\n", f"{job.name}.tasks": _tasks(job, site)}
    return {**texts, f"{job.name}.sh": htcondor_script.render(job, site, place)}


def _description(job: Job, site: Site, place: Path) -> Iterator[str]:
    columns = [name for name, used in (("run", True), ("share", _dealt(job)), ("files", not site.shared_files)) if used]
    yield f"# {job.name}: submission {place.name} to {site.name}; by hand: condor_submit {shlex.quote(str(place / f'{job.name}.sub'))}"
    yield from _universe(site)
    yield f"executable = {place / f'{job.name}.sh'}"
    yield f"arguments = {' '.join(['$(run)', *_words(job, site)])}"
    yield ""
    yield f"runs = {runs_folder(job)}"
    yield "initialdir = $(runs)"
    yield "output = $(runs)/$(run)/jobs/condor-$(Cluster).$(Process).out"
    yield "error = $(runs)/$(run)/jobs/condor-$(Cluster).$(Process).err"
    yield "log = $(runs)/$(run)/jobs/condor-$(Cluster).log"
    yield ""
    yield from _transfer(job, site)
    yield ""
    yield from _requests(job, site)
    yield ""
    yield from _policy(site)
    yield ""
    yield f"batch_name = labwright {place.name}"
    yield f'+LabwrightJob = "{job.name}"'
    yield "notification = never"
    if job.is_array and site.array_limit:
        yield f"max_materialize = {site.array_limit}"
    yield f"queue {', '.join(columns)} from {place / f'{job.name}.tasks'}"


def _words(job: Job, site: Site) -> list[str]:
    """What follows the run in the payload; the number of a share differs from task to task."""
    if _dealt(job):
        return ["--share", "$(share)"]
    if job.tasks[0].finish and not site.shared_files and not kept_there(job, site):
        # Parts that wait for those of another share are left for this job, which sees them all: it works, then finishes.
        return []
    return list(job.tasks[0].words)


def _dealt(job: Job) -> bool:
    return job.tasks[0].share is not None


def _universe(site: Site) -> Iterator[str]:
    container = site.container
    image = need(container.image, "container.image", site)
    if "$" in image:
        raise StudyError("HTCondor fills in no variables in the name of an image", where="container.image", todo="Write it out.")
    if container.kind == "none":
        yield "universe = vanilla"
    elif container.kind == "docker":
        yield "universe = docker"
        yield f"docker_image = {image.removeprefix('docker://')}"
    else:
        yield "universe = container"
        yield f"container_image = {f'docker://{image}' if form_of(image) == 'digest' and not image.startswith('docker://') else image}"
        if form_of(image) == "folder":
            # It lies on the execute side, as on CVMFS.
            yield "should_transfer_container = no"


def _transfer(job: Job, site: Site) -> Iterator[str]:
    if site.shared_files:
        yield "should_transfer_files = NO"
        return
    yield "should_transfer_files = YES"
    yield "when_to_transfer_output = ON_EXIT"
    yield "transfer_input_files = $(files)"
    if job.tasks[0].verb == "step":
        # done.json comes last, from a folder of its own: whoever sees it sees all that it tells of.
        yield f"transfer_output_files = $(run), {htcondor_script.LAST}/$(run)"
    else:
        yield "transfer_output_files = $(run)"
    if checkpoints(job, site):
        yield f"checkpoint_exit_code = {int(Exit.AGAIN)}"
        yield "transfer_checkpoint_files = $(run)"


def _requests(job: Job, site: Site) -> Iterator[str]:
    asked, queue = job.resources, job.queue
    if asked.cpus:
        yield f"request_cpus = {asked.cpus * job.ranks_per_node}"
    if asked.memory_gb:
        # HTCondor's MB and KB are powers of two.
        yield f"request_memory = {math.ceil(asked.memory_gb * job.ranks_per_node * 1e9 / 2**20)}MB"
    if asked.scratch_gb:
        yield f"request_disk = {math.ceil(asked.scratch_gb * 1e9 / 2**10)}KB"
    if asked.gpus:
        yield f"request_gpus = {asked.gpus}"
    if account := need(queue.account, f"queues.{job.queue_name}.account", site):
        yield f"accounting_group = {account}"
    if constraint := need(queue.constraint, f"queues.{job.queue_name}.constraint", site):
        yield f"requirements = {constraint}"
    for name, value in queue.attributes.items():
        yield f"{_attribute(name)} = {need(value, f'queues.{job.queue_name}.attributes.{name}', site) or 'true'}"


def _attribute(name: str) -> str:
    """Submit commands are written small (``gpus_minimum_memory``), attributes of a job are not (``+LongJob``)."""
    return name if name.startswith("+") or name.islower() else f"+{name}"


def _policy(site: Site) -> Iterator[str]:
    codes = " || ".join(f"ExitCode == {int(code)}" for code in HELD_AT_ONCE)
    passing = f"ExitBySignal || (ExitCode != 0 && ExitCode != {int(Exit.AGAIN)} && ExitCode != {htcondor_script.CANCELLED})"
    yield f"on_exit_remove = (ExitBySignal =?= False) && (ExitCode == 0 || ExitCode == {htcondor_script.CANCELLED})"
    often = f"(({passing}) && NumJobCompletions > {RETRIES}) || (ExitCode =?= {int(Exit.AGAIN)} && NumJobCompletions > {site.requeues})"
    yield f"on_exit_hold = ((ExitBySignal =?= False) && ({codes})) || {often}"
    known = [f'ExitCode == {int(code)}, "{meaning(code)}"' for code in (*HELD_AT_ONCE, Exit.AGAIN)]
    chain = ['ExitBySignal, strcat("ended by signal ", ExitSignal)', *known]
    yield "on_exit_hold_reason = \\"
    yield from (f"  ifThenElse({one}, \\" for one in chain)
    yield f'  strcat("exit code ", ExitCode){")" * len(chain)}'
    yield "on_exit_hold_subcode = ifThenElse(ExitBySignal, 128 + ExitSignal, ExitCode)"


def _tasks(job: Job, site: Site) -> str:
    """A line a task: the run, its share, what travels."""
    lines = []
    for task in job.tasks:
        words = [task.run.name, *([str(task.share)] if task.share else [])]
        if not site.shared_files:
            words.append(", ".join(transferred(job, task, site)))
        lines.append(" ".join(words))
    return "\n".join(lines) + "\n"
