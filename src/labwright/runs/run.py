"""A run folder, read: its description, its state as a pure function of its files, and what it made.

Nothing here writes. ``step.json`` is the first file of a run and ``done.json`` the last; what lies
between is told by the journal.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from labwright.runs import journal, light
from labwright.runs.errors import DataError, Exit, MissingError
from labwright.runs.patience import gone
from labwright.runs.publish import TEMPORARY, verify

SILENT_AFTER_S = 60.0
"""A process beats every 10 s; after this long without a record it is taken for lost."""


class Run:
    """One execution of one step: a folder. Open with :meth:`Run.open`."""

    def __init__(self, folder: Path, description: dict[str, Any]) -> None:
        self.folder = folder
        self.description = description

    @classmethod
    def open(cls, folder: Path | str) -> Self:
        """Read ``folder/step.json``.

        Raises:
            MissingError: there is no run.
            DataError: ``step.json`` is not readable as one.
        """
        folder = Path(folder)
        path = folder / "step.json"
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            raise MissingError(
                "this is not a run folder: it holds no step.json", where=str(folder), todo="Name a folder such as runs/train-0123456789."
            ) from error
        try:
            description = json.loads(text)
            if not {"recipe", "step", "fingerprint", "options"} <= description.keys():
                raise ValueError
        except (ValueError, AttributeError) as error:
            raise DataError(
                "step.json is not the description of a run", where=str(path), todo="Remove the folder and run the step again."
            ) from error
        return cls(folder, description)

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def step(self) -> str:
        return str(self.description["step"])

    @property
    def fingerprint(self) -> str:
        return str(self.description["fingerprint"])

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.description["options"])

    def output(self, name: str = "") -> Path:
        """Where the run's output lies, or one thing in it."""
        return self.folder / "output" / name if name else self.folder / "output"

    def records(self, *kinds: str) -> list[dict[str, Any]]:
        """Journal records of all attempts, oldest attempt first; of the given kinds, or all."""
        return journal.read(self.folder / "journal", *kinds)

    def done(self) -> dict[str, Any] | None:
        """The content of ``done.json``; None while the run is not complete.

        Raises:
            OSError: the file system went away, which tells nothing of the run.
        """
        try:
            content = json.loads((self.folder / "done.json").read_text(encoding="utf-8"))
            return content if isinstance(content["figures"], dict) and isinstance(content["output"], dict) else None
        except (OSError, ValueError, TypeError, KeyError) as error:
            if gone(error):
                raise
            return None

    def figures(self) -> dict[str, Any]:
        """The final figures; empty while the run is not complete."""
        done = self.done()
        return dict(done["figures"]) if done else {}

    def state(self, now: float | None = None) -> str:
        """How the run is getting on: a pure function of its files and of ``now`` (seconds since 1970; the clock by default).

        Returns:
            ``done``: complete. ``damaged``: complete once, but files of the output are missing or of another size.
            ``stale``: raw files changed after they were read. ``running``: a process gave a sign of life within
            ``SILENT_AFTER_S``; ``silent``: none did, and none said that it ended. ``stopped``: ended early on a signal
            or a deadline. ``failed``: ended with an error. ``ready``: not begun, or all that was begun ended well.
        """
        if (self.folder / "stale.json").is_file():
            return "stale"
        if (self.folder / "done.json").exists():
            return "done" if not self.verify() else "damaged"
        return state_by_journal(self.last_records(), time.time() if now is None else now)

    def last_records(self) -> dict[str, dict[str, Any]]:
        """The last record of the newest attempt of each share and rank, by ``<share>-<rank>`` (empty for the whole run)."""
        return newest_by_worker((path.stem, journal.last(path)) for path in journal.files(self.folder / "journal"))

    def heartbeat_age_s(self, now: float | None = None) -> float | None:
        """Seconds since the newest record; None before the first."""
        times = [record["t"] for record in self.last_records().values()]
        return (time.time() if now is None else now) - max(times) if times else None

    def attempts(self) -> int:
        """How many attempts were made; processes that train together make one."""
        return len({path.stem.partition("-")[0] for path in journal.files(self.folder / "journal")})

    def findings(self, *, own: bool = False) -> list[dict[str, Any]]:
        """What the run found in the data, each once: code, severity, place, text; without what it took over from its inputs if ``own``.

        Of a part that was worked on twice only the newer findings count: the data may have been mended in between.
        """
        records = [(str(record.get("part", record.get("id", ""))), record) for record in self.records("finding", "part", "finish")]
        newest = {part: record["file"] for part, record in records}
        found = [record for part, record in records if record["kind"] == "finding" and record["file"] == newest[part]]
        found = [one for one in found if not (own and one.get("known"))]
        told = [{key: one[key] for key in ("code", "severity", "place", "text")} for one in found]
        return list({(one["code"], one["place"], one["text"]): one for one in told}.values())

    def part_figures(self) -> dict[str, dict[str, Any]]:
        """The figures of each finished part, by part id."""
        return {record["id"]: record["figures"] for record in self.records("part")}

    def sources(self) -> dict[str, dict[str, Any]]:
        """Raw files read, by relative name: size, mtime_ns, sha256."""
        return {record["name"]: {key: record[key] for key in ("size", "mtime_ns", "sha256")} for record in self.records("source")}

    def sections(self) -> list[dict[str, Any]]:
        """The report sections that the step left in ``output/report.json``."""
        try:
            content = json.loads(self.output("report.json").read_text(encoding="utf-8"))
            return [section for section in content["sections"] if isinstance(section, dict)]
        except (OSError, ValueError, KeyError, TypeError):
            return []

    def curves(self) -> dict[tuple[str, str, str], dict[int, float]]:
        """Metric series by (part, phase, name) → {step: value}, one continuous curve over all attempts."""
        return journal.series(self.records("metric"))

    @cached_property
    def inputs(self) -> dict[str, Path]:
        """The run folders that fed this one, by step name; one that is not where it was is looked for beside this run."""
        named = {step: (self.folder / entry["folder"]).resolve() for step, entry in self.description.get("inputs", {}).items()}
        # Runs that travelled to another machine lie side by side there.
        beside = {step: (self.folder.parent / folder.name).resolve() for step, folder in named.items()}
        return {step: beside[step] if not folder.exists() and beside[step].exists() else folder for step, folder in named.items()}

    def energy(self) -> list[dict[str, Any]]:
        """Joules by stage and method, over all attempts; see ``runs.energy.rows``."""
        from labwright.runs.energy import rows

        return rows(self.records("energy"))

    def verify(self, *, checksums: bool = False) -> list[str]:
        """What is wrong with the files of a complete run: sizes always, SHA-256 on demand."""
        done = self.done()
        if done is None:
            return ["done.json is missing or not readable"]
        expected = done.get("output", {})
        # Of a run that is kept elsewhere only what came here can be looked at.
        return verify(
            self.output(), light.present(expected, self.output()) if light.kept_at(self.folder) else expected, checksums=checksums
        )

    def __repr__(self) -> str:
        figures = ", ".join(f"{name}={value:.4g}" for name, value in self.figures().items() if isinstance(value, float))
        return f"<Run {self.name}: {self.state()}{'; ' + figures if figures else ''}>"


def newest_by_worker(last: Iterable[tuple[str, dict[str, Any] | None]]) -> dict[str, dict[str, Any]]:
    """The last records of journal files (stem, record), oldest file first → those of :meth:`Run.last_records`."""
    newest: dict[str, tuple[str, dict[str, Any]]] = {}
    for stem, record in last:
        if record is not None:
            number, _, worker = stem.partition("-")
            # Unlike counts of shares never work at a time (parts.claims), and ranks work together under one number:
            # what went before another count, or before a newer attempt on the same share, is over.
            newest = {
                other: one
                for other, one in newest.items()
                if _share(other)[1] == _share(worker)[1] and (_share(other) != _share(worker) or one[0] == number)
            }
            newest[worker] = (number, record)
    return {worker: record for worker, (_, record) in newest.items()}


def state_by_journal(last: Mapping[str, Mapping[str, Any]], now: float) -> str:
    """How a run without ``done.json`` is getting on, by its :meth:`Run.last_records`: ``ready``, ``running``, ``silent``, …"""
    open_ends = [record for record in last.values() if record["kind"] != "end"]
    if any(now - record["t"] < SILENT_AFTER_S for record in open_ends):
        return "running"
    if open_ends:
        return "silent"
    codes = {record["code"] for record in last.values()}
    if codes <= {Exit.DONE}:
        return "ready"
    return "stopped" if codes <= {Exit.DONE, Exit.AGAIN} else "failed"


def runs_in(folder: Path) -> list[Run]:
    """All runs directly in ``folder``, oldest first; folders that are none are passed over."""
    return sorted(_runs(folder), key=lambda run: str(run.description.get("created", "")))


def _runs(folder: Path) -> Iterator[Run]:
    for path in sorted(folder.glob("*/step.json")):
        if not path.parent.name.startswith(TEMPORARY):
            try:
                yield Run.open(path.parent)
            except (DataError, MissingError):
                continue


def _share(worker: str) -> tuple[str, str]:
    """Index and count of the share in ``2of8-0``, of which the whole run is ``0of1``."""
    index, _, count = (worker.partition("-")[0] or "0of1").partition("of")
    return index, count
