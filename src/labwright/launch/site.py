"""A site: one cluster's habits in a small YAML file, so that a study says nothing about the cluster.

Found by name in ``./sites``, beside the study, in the user's configuration folder and among those that come with Labwright; a path
to a file does as well. What nobody could know is marked with the word ``unknown``; a job that would need it is refused
with a sentence instead of being sent with a guess.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from importlib import resources as packaged
from pathlib import Path
from typing import Any, Literal

import yaml

from labwright.launch.container import Container
from labwright.launch.texts import Attribute, Directive, Folder, Line, Variable
from labwright.runs.errors import MissingError, StudyError
from labwright.study.load import Sort, load
from labwright.study.messages import Mistake, listed, refuse
from labwright.study.options import Options, option
from labwright.study.resources import Resources
from labwright.study.validate import build

SORT = Sort("site", "kind: slurm", "`labwright site probe --to FILE` writes one.")
UNKNOWN = "unknown"
"""Stands for a value that only the site's users or its documentation can tell."""
GENERIC = {"local": "generic-server", "slurm": "generic-slurm", "htcondor": "generic-htcondor"}
"""What ``--on slurm`` and its likes stand for."""
BUNDLED = Path(str(packaged.files("labwright.launch") / "sites"))
"""Where the sites lie that come with Labwright."""


class Queue(Options):
    """Where a site runs one kind of step, and what such a step gets where the study says nothing."""

    partition: Directive = option("")
    """Slurm partition."""
    account: Directive = option("")
    """Account, project or accounting group that pays."""
    qos: Directive = option("")
    """Slurm quality of service."""
    reservation: Directive = option("")
    """Slurm reservation."""
    constraint: Directive = option("")
    """Slurm node features, or HTCondor requirements (a ClassAd expression)."""
    exclusive: bool = option(False)
    """Whole nodes only. Joules that Slurm counts are a job's own only then."""
    attributes: dict[Attribute, Directive] = option(default_factory=dict)
    """Further lines as they are: `#SBATCH --key=value`, or `+Key = value` of HTCondor. An empty value is a bare option."""
    resources: Resources = option(Resources())
    """What a step of this kind gets by default."""


class Habits(Options):
    """What the file of a site can say."""

    kind: Literal["local", "slurm", "htcondor"] = option()
    """Who queues the jobs: nobody but this machine, Slurm, or HTCondor."""
    about: Line = option("")
    """What this is and where its values come from."""
    login: Line = option("")
    """Host that `labwright pull` reaches by ssh. A site of your own with a scheduler needs one; where it is empty, others are copied on
    this machine."""
    python: Line = option("")
    """The interpreter with Labwright in it, on the execute side. Empty: `python3` in a container, else the one running now."""
    shared_files: bool = option(True)
    """Whether the machines that work see the files of the machine that submits."""
    queues: dict[str, Queue] = option(default_factory=dict)
    """By kind of step: `cpu`, `gpu`, or the name of a step, which goes first."""
    container: Container = option(Container())
    """The container in which the payload runs."""
    setup: tuple[str, ...] = option(())
    """Shell lines before the payload (`module load …`, `source …`); one that fails ends the job with its text."""
    env: dict[Variable, Line] = option(default_factory=dict)
    """Environment variables of the payload."""
    scratch: Line = option("")
    """Folder for caches and temporary files on the execute side; may hold `$USER` and the like."""
    data_root: dict[Folder, Line] = option(default_factory=dict)
    """Where raw data lie on the execute side: folder as the study names it → folder there."""
    runs_root: Line = option("")
    """Folder on the execute side in which whole runs stay; journals, findings, tables and reports come back."""
    signal_before_s: int = option(180, ge=0, unit="s")
    """How long before the time limit a step is told to save and stop. Slurm may be up to 60 s early."""
    requeues: int = option(100, ge=0)
    """How often a job that asks for it (exit code 75) is queued again."""
    checkpoint_minutes: int = option(60, ge=1, unit="min")
    """HTCondor: how often a step saves and leaves by itself, so that what it made is kept."""
    array_limit: int = option(0, ge=0)
    """Tasks of one array that may run at a time; 0 sets no limit."""
    slots: int = option(1, ge=1)
    """Local: jobs without a GPU that run at a time."""
    gpus: tuple[int, ...] = option(())
    """Local: the numbers of the GPUs that jobs may take (as `nvidia-smi` prints them); empty: all that nobody uses."""
    idle_watts: float = option(50.0, gt=0, unit="W")
    """The least that a node can draw; a lower figure of the accounting is not believed."""
    max_watts: float = option(12_000.0, gt=0, unit="W")
    """The most that a node can draw; a higher figure of the accounting is not believed."""


class Site(Habits):
    """One machine or cluster as the launchers need to know it."""

    name: str = option("", exclude=True)
    """The name of its file, without the ending."""
    file: str = option("", exclude=True)
    """The file that says all this."""

    def queue_name(self, step: str, *, gpu: bool) -> str:
        """Which queue a step gets: its own, else that of its kind, else the other kind's; empty where there is none."""
        kinds = (step, "gpu", "cpu") if gpu else (step, "cpu", "gpu")
        return next((kind for kind in kinds if kind in self.queues), "")

    def queue(self, step: str, *, gpu: bool) -> Queue:
        """The queue of that name; one that says nothing where there is none."""
        return self.queues.get(self.queue_name(step, gpu=gpu), Queue())

    @property
    def in_container(self) -> bool:
        return self.container.kind != "none"

    @property
    def is_bundled(self) -> bool:
        """Whether its file came with Labwright."""
        return Path(self.file).parent == BUNDLED


def load_site(name: str, beside: Path | None = None, *, asked: str = "--on") -> Site:
    """The site of that name, or in that file.

    Args:
        name: a launcher (``slurm``: its generic site), a site's name, or the path of a file.
        beside: the study folder, whose ``sites`` folder is looked into as well.
        asked: the command or flag that named it, for messages.

    Raises:
        MissingError: there is no such site; those that are there are named.
        StudyError: the file is no site; the message holds every mistake.
    """
    path = _path(name, beside, asked)
    mistakes: list[Mistake] = []
    tree = load(path, str(path), mistakes, SORT)
    habits = build(Habits, tree, "", path.parent, {}, mistakes, noun=SORT.noun)
    refuse(mistakes, str(path))
    assert habits is not None
    return Site(**dict(habits), name=path.stem, file=str(path))


def sites(beside: Path | None = None) -> dict[str, Path]:
    """All sites that can be named, by name; of several files with one name the first in order of search."""
    found: dict[str, Path] = {}
    for folder in _folders(beside):
        for path in sorted(folder.glob("*.yaml")):
            found.setdefault(path.stem, path)
    return found


def need(value: str, option_name: str, site: Site) -> str:
    """A value that a job needs, as it is.

    Raises:
        StudyError: it is marked as unknown.
    """
    if value == UNKNOWN:
        raise StudyError(
            f"{option_name} of site {site.name} is marked as unknown",
            where=site.file or site.name,
            todo=f"Copy that file to sites/{site.name}.yaml, write there what your group uses, or remove the line; "
            "`labwright site probe` finds out what a login node tells.",
        )
    return value


def unknowns(site: Site) -> list[str]:
    """The options of a site that are marked as unknown, by path."""
    return [path for path, value in _leaves(site.model_dump(mode="json"), "") if value == UNKNOWN]


def shown(site: Site) -> str:
    """What a site says, beyond what is so by default, as the text of a site file; what is unknown stands out."""
    said = site.model_dump(mode="json", exclude_defaults=True)
    lines = yaml.safe_dump({"kind": site.kind, **said}, sort_keys=False, allow_unicode=True, width=1000).splitlines()
    marked = [f"{line}  # not known: write it, or remove it" if re.search(rf"[:-] {UNKNOWN}$", line) else line for line in lines]
    return "\n".join([f"# {site.name}: {site.file}", *marked]) + "\n"


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, child in value.items():
            yield from _leaves(child, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from _leaves(child, f"{path}[{index}]")
    else:
        yield path, value


def _path(name: str, beside: Path | None, asked: str) -> Path:
    if "/" in name or name.endswith((".yaml", ".yml")):
        return Path(name)
    found = sites(beside)
    if (wanted := GENERIC.get(name, name)) in found:
        return found[wanted]
    raise MissingError(
        f"there is no site {name!r}", where=asked, todo=f"There are: {listed([*GENERIC, *found])}. `labwright site probe` writes one."
    )


def _folders(beside: Path | None) -> list[Path]:
    configuration = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "labwright" / "sites"
    own = [Path("sites"), *([beside / "sites"] if beside else []), configuration]
    return [*own, BUNDLED]
