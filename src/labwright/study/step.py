"""The interface between a recipe and everything else: parts, steps, jobs, recipes.

A recipe module holds option models and one ``Recipe``; it imports nothing heavy. Its steps are
``LazyStep``: they name the module that does the work, which is imported when work is done and never
by a name that comes from a file.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from labwright.runs.run import Run
from labwright.study.options import Options

Figures = Mapping[str, Any]
"""Named results: JSON values, numbers mostly, units in the names."""
O = TypeVar("O", bound=Options)  # noqa: E741 - the design's name for a step's options


class Part(NamedTuple):
    """The one restartable unit of a step. ``cost`` is relative, ``after`` names parts that come first."""

    id: str
    cost: float = 1.0
    after: tuple[str, ...] = ()


class RawFile(NamedTuple):
    """A raw file that a step reads: ``name`` is relative to the source folder and enters the fingerprint."""

    path: Path
    name: str
    size: int
    sha256: str = ""
    """Given where the content must count, as for small foreign files; enters the fingerprint."""


class Machine(NamedTuple):
    """What of the machine can change a digit, fixed when the run was made; and what only changes the time."""

    threads: int
    """Threads of a numerical library; recorded in the run and applied again by each attempt."""
    workers: int
    """Processes among which parts are spread; without effect on results."""


class Job(Protocol[O]):
    """All that a step may touch; ``labwright.parts.job.LocalJob`` is it.

    The design asks for at most five methods in a protocol. Here more are honest: each is a thing that some step does to its run
    folder or says to its user, and a step that was given less would reach around it.
    """

    options: O
    seed: int
    run: Run
    inputs: Mapping[str, Run]
    machine: Machine

    # What lasts.
    def output(self, name: str, label: str = "output") -> AbstractContextManager[Path]: ...
    def checkpoints(self, part: Part) -> Path: ...
    def results(self) -> dict[str, dict[str, Any]]: ...

    # The journal.
    def record(self, kind: str, **fields: Any) -> None: ...
    def finding(self, code: str, place: str, text: str, severity: str = "error", *, known: bool = False) -> None: ...
    def source(self, name: str, path: Path, sha256: str) -> None: ...
    def stage(self, name: str) -> AbstractContextManager[None]: ...
    def joules(self) -> float | None: ...

    # The user.
    def stopping(self) -> bool: ...
    def progress(self, done: int, total: int, title: str = "", **fields: Any) -> None: ...
    def say(self, text: str) -> None: ...


class Step(Protocol[O]):
    """One stage of a recipe."""

    name: str
    version: int
    options: type[O]
    needs: tuple[str, ...]
    gates: tuple[str, ...]

    def sources(self, options: O) -> Iterable[RawFile]: ...
    def parts(self, job: Job[O]) -> Sequence[Part]: ...
    def work(self, job: Job[O], part: Part) -> Figures: ...
    def finish(self, job: Job[O]) -> Figures: ...


@dataclass(frozen=True)
class LazyStep(Generic[O]):
    """A step whose four functions live in ``module`` and are imported on first use.

    ``module`` defines ``parts(job)``, ``work(job, part)``, ``finish(job)`` and, where the step reads raw
    files, ``sources(options)``; ``preview(options, inputs)`` may give lines for ``--dry-run``; those that begin with
    ``error `` tell of what would stop the study.
    ``requires`` narrows ``needs`` by the options (a predict that is given a checkpoint file needs no train).
    """

    name: str
    version: int
    options: type[O]
    module: str
    doc: str
    needs: tuple[str, ...] = ()
    gates: tuple[str, ...] = ()
    trains: bool = False
    gpu: bool = False
    """Whether it computes on a GPU where there is one; clusters queue it accordingly."""
    parallel: bool = True
    """Whether parts gain from several processes on one machine; not where one part uses every core itself. They are as many as the
    step's own option `workers` says, where it has one and it is not 0, else as `run.on.workers` says."""
    requires: Callable[[O], tuple[str, ...]] | None = None
    optional: bool = False
    """Whether it is planned only where the study says something of it, or where it is asked for by name."""
    replaces: tuple[str, ...] = ()
    """Earlier steps in whose place it feeds the later ones, where an optional step is planned."""
    runs: Callable[[O], Iterable[Path]] | None = None
    """Runs made elsewhere that the options name; they feed the step beside those it needs, under the names of their folders."""

    def _call(self, function: str, *arguments: Any) -> Any:
        return getattr(importlib.import_module(self.module), function)(*arguments)

    def needed(self, options: O) -> tuple[str, ...]:
        """The steps whose runs feed this one, under these options."""
        return self.requires(options) if self.requires else self.needs

    def named(self, options: O) -> Sequence[Path]:
        """The folders of further runs that feed this one, under these options."""
        return tuple(self.runs(options)) if self.runs else ()

    def sources(self, options: O) -> Iterable[RawFile]:
        module = importlib.import_module(self.module)
        return module.sources(options) if hasattr(module, "sources") else ()

    def preview(self, options: O, inputs: Mapping[str, Run]) -> Sequence[str]:
        """What the step would read and make, a line each; opens the sources and writes nothing."""
        module = importlib.import_module(self.module)
        return module.preview(options, inputs) if hasattr(module, "preview") else ()

    def parts(self, job: Job[O]) -> Sequence[Part]:
        parts: Sequence[Part] = self._call("parts", job)
        return parts

    def work(self, job: Job[O], part: Part) -> Figures:
        figures: Figures = self._call("work", job, part)
        return figures

    def finish(self, job: Job[O]) -> Figures:
        figures: Figures = self._call("finish", job)
        return figures


@dataclass(frozen=True)
class Recipe:
    """A kind of study: its steps in order, and the ready studies it ships."""

    name: str
    doc: str
    steps: tuple[LazyStep[Any], ...]
    extra: str
    """The optional dependency group that the recipe's work needs."""
    demo: str = ""
    """Folder name of the bundled sample study below ``labwright/<recipe>/sample``."""
    studies: Mapping[str, str] = field(default_factory=dict)
    """The ready studies by name, each with a line about it; the files are ``labwright/<recipe>/studies/<name>.yaml``."""
    tools: Mapping[str, str] = field(default_factory=dict)
    """What the recipe offers outside of a run, by name → "module:attribute"; written in code, never in a file.
    Known names: ``evaluate_folders(predictions, truth, size)``, ``export_weights(run, to)``, ``findings`` (a catalogue of codes),
    ``demo_data(folder)`` (makes the data of the sample study in its folder, where none are bundled)."""
    beginning: Mapping[str, Any] = field(default_factory=dict)
    """Options that ``labwright new`` writes out with a value of their own, by path, where no default can be right."""
    check: Callable[[Mapping[str, Options]], Iterable[tuple[str, str]]] | None = None
    """What is wrong across steps: (path of an option, what is wrong with it) each. Steps taken from elsewhere are not among those given."""

    def tool(self, name: str) -> Any:
        """The function or table behind a tool; KeyError where the recipe has none of that name."""
        module, _, attribute = self.tools[name].partition(":")
        return getattr(importlib.import_module(module), attribute)

    @property
    def package(self) -> str:
        """Name of the package that holds the sample and the ready studies."""
        return self.steps[0].options.__module__.rpartition(".")[0]

    def step(self, name: str) -> LazyStep[Any]:
        for step in self.steps:
            if step.name == name:
                return step
        raise KeyError(name)
