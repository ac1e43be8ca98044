"""A job: which payload processes to start, with what, and after which other jobs. Nothing here knows a scheduler.

The payload is always ``python -m labwright step RUN_FOLDER [--share i/n | --finish]``: it works by hand and in any container.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from labwright.launch.site import Queue
from labwright.parts.shares import Share
from labwright.study.resources import Resources


class Task(NamedTuple):
    """One payload: a run, and what of it to do. A job of several tasks is an array, a task an index from 0."""

    run: Path
    """The run folder on the submit side, absolute."""
    share: Share | None = None
    finish: bool = False
    verb: str = "step"
    """``hello`` where nothing shall be done but a machine be looked at; ``run`` is a folder for the answer then."""

    @property
    def words(self) -> tuple[str, ...]:
        """What follows the run folder in the payload."""
        return ("--finish",) if self.finish else ("--share", str(self.share)) if self.share else ()

    def argv(self, python: str, folder: str = "") -> tuple[str, ...]:
        """The payload, with the run folder as the execute side sees it (as here by default)."""
        return (python, "-m", "labwright", self.verb, folder or str(self.run), *self.words)


class After(NamedTuple):
    """A job that has to end well first; ``each``: only its task of the same index, as between the rows of two sweeps."""

    job: str
    each: bool = False


@dataclass(frozen=True)
class Job:
    """What a scheduler gets in one go."""

    name: str
    """Unique within a submission, and usable in a file name: ``train``, ``predict``, ``predict-finish``."""
    step: str
    tasks: tuple[Task, ...]
    resources: Resources
    """Of one task, each filled that the site or the study knows; None is left to the scheduler."""
    queue: Queue
    queue_name: str = ""
    """The key of the queue in the site's file, for messages; empty where the site has none that fits."""
    gpu: bool = False
    """Whether a GPU makes it faster."""
    trains: bool = False
    """Whether its processes train together: one for each GPU of each node."""
    after: tuple[After, ...] = ()
    inputs: tuple[Path, ...] = ()
    """Runs that feed it, and those that feed them; they travel along where the file system is not shared."""
    fed_by: Mapping[Path, tuple[Path, ...]] = field(default_factory=dict)
    """Which of them feed each of its runs, by run folder; all where a run is not named."""
    raw: tuple[Path, ...] = ()
    """Folders of raw files that it reads."""

    def inputs_of(self, run: Path) -> tuple[Path, ...]:
        """The runs that feed one of its runs."""
        return self.fed_by.get(run, self.inputs)

    @property
    def is_array(self) -> bool:
        return len(self.tasks) > 1

    @property
    def nodes(self) -> int:
        return (self.resources.nodes or 1) if self.trains else 1

    @property
    def ranks_per_node(self) -> int:
        """Processes of one task on a node: one for each GPU in a training, else one."""
        return max(self.resources.gpus or 1, 1) if self.trains else 1

    @property
    def ranks(self) -> int:
        return self.nodes * self.ranks_per_node

    @property
    def runs(self) -> tuple[Path, ...]:
        """The run folders, each once."""
        return tuple(dict.fromkeys(task.run for task in self.tasks))


def seen_from(folder: Path, runs_root: str) -> str:
    """A run folder as the execute side sees it, where runs lie below ``runs_root`` there."""
    return posixpath.join(runs_root, folder.name) if runs_root else str(folder)
