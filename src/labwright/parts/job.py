"""The job that a step gets: options, inputs and the few things it may do to its run folder."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from labwright.parts.progress import Progress
from labwright.parts.shares import Share
from labwright.runs import light
from labwright.runs.energy import Energy
from labwright.runs.patience import patiently
from labwright.runs.publish import publish
from labwright.runs.run import Run
from labwright.study import registry
from labwright.study.options import Options
from labwright.study.plan import options_of
from labwright.study.step import LazyStep, Machine, Part

O = TypeVar("O", bound=Options)  # noqa: E741 - the design's name for a step's options


@dataclass
class LocalJob(Generic[O]):
    """The ``Job`` of design §5 on this machine."""

    options: O
    seed: int
    run: Run
    inputs: Mapping[str, Run]
    machine: Machine
    write: Callable[..., None]
    """Appends a journal record: kind, then fields."""
    stop: Callable[[], bool]
    energy: Energy
    terminal: int | None = None
    part: str = ""
    """The part at work, which findings are recorded with; empty while the run is finished."""
    share: Share = field(default_factory=Share)
    """The share of the parts that this process works on."""
    again: bool = True
    """Whether a part is worked on again where the file system went away meanwhile; processes that train together cannot each by itself."""
    titles: Mapping[str, str] = field(default_factory=dict)
    """What the recipe's own finding codes stand for."""
    _progress: dict[str, Progress] = field(default_factory=dict)

    def output(self, name: str, label: str = "output") -> AbstractContextManager[Path]:
        """A temporary path; leaving the block publishes it as ``output/name``."""
        return publish(self.run.output(name), label)

    def checkpoints(self, part: Part) -> Path:
        """The folder for a part's checkpoints."""
        return self.run.folder / "checkpoints" / part.id

    def record(self, kind: str, **fields: Any) -> None:
        """Append a record to the journal."""
        self.write(kind, **fields)

    def stopping(self) -> bool:
        """Whether a signal or the deadline asks for a stop."""
        return self.stop()

    def finding(self, code: str, place: str, text: str, severity: str = "error", *, known: bool = False) -> None:
        """Record something found in the data; errors and warnings are also said on the terminal, unless ``known`` from an earlier run."""
        self.record("finding", code=code, severity=severity, place=place, text=text, part=self.part, **({"known": True} if known else {}))
        if severity != "note" and not known:
            self._say_finding(code, severity, place, text)

    def say_notes(self) -> None:
        """Say what the run noted, a line for each code: there may be one for each of thousands of items."""
        notes: dict[str, list[dict[str, Any]]] = {}
        for one in self.run.findings(own=True):
            if one["severity"] == "note":
                notes.setdefault(one["code"], []).append(one)
        for code, found in notes.items():
            if len(found) == 1:
                self._say_finding(**found[0])
            else:
                self.say(f"note {code}, {len(found)} times" + (f": {self.titles[code]}" if code in self.titles else ""))

    def _say_finding(self, code: str, severity: str, place: str, text: str) -> None:
        self.say(f"{severity} {code} {place}: {titled(self.titles.get(code, ''), text)}")

    def source(self, name: str, path: Path, sha256: str) -> None:
        """Record the digest of a raw file, taken while it was read."""
        status = path.stat()
        self.record("source", name=name, size=status.st_size, mtime_ns=status.st_mtime_ns, sha256=sha256)

    def results(self) -> dict[str, dict[str, Any]]:
        """The figures of the parts done so far, by part id; for ``finish``."""
        return patiently(self.run.part_figures, self.run.folder)

    def stage(self, name: str) -> AbstractContextManager[None]:
        """Joules and seconds of the block are booked to ``name``."""
        return self.energy.stage(name)

    def joules(self) -> float | None:
        """Joules of this attempt so far; None where nothing can be measured."""
        return self.energy.joules()

    def progress(self, done: int, total: int, title: str = "", **fields: Any) -> None:
        """Show how far the work is."""
        title = title or self.run.step
        if title not in self._progress:
            self.end_progress()
            self._progress[title] = Progress(title, self.terminal, self.write)
        self._progress[title].update(done, total, **fields)

    def end_progress(self) -> None:
        """Take the live bar away."""
        for progress in self._progress.values():
            progress.close()
        self._progress.clear()

    def say(self, text: str) -> None:
        """One line for the user and the log."""
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()


def titled(title: str, text: str) -> str:
    """The text of a finding after what its code stands for; once where they are the same."""
    return f"{title}: {text}" if title and title != text else text


def make_job(
    run: Run,
    *,
    record: Callable[..., None],
    stopping: Callable[[], bool],
    workers: int,
    share: Share = Share(),  # noqa: B008 - frozen
    energy: Energy | None = None,
    terminal: int | None = None,
) -> tuple[LazyStep[Any], LocalJob[Any]]:
    """The step and the job that a run folder describes; without ``energy`` another process measures."""
    description = run.description
    light.refuse_partial(run.inputs.values())
    recipe = registry.recipe(description["recipe"])
    step = recipe.step(description["step"])
    codes = recipe.tool("findings") if "findings" in recipe.tools else {}
    job: LocalJob[Any] = LocalJob(
        options=options_of(run, step),
        seed=int(description["seed"]),
        run=run,
        inputs={name: Run.open(folder) for name, folder in run.inputs.items()},
        machine=Machine(threads=int(description["machine"]["threads"]), workers=workers),
        write=record,
        stop=stopping,
        share=share,
        energy=energy or Energy(record, meters=()),
        terminal=terminal,
        titles={name: code.title for name, code in codes.items()},
    )
    return step, job
