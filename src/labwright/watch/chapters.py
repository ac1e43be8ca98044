"""What every run has to show beside its own sections: energy, usage, findings, attempts, options, versions."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from labwright.runs import sections
from labwright.runs.run import Run
from labwright.runs.sections import Cell, Section

Record = dict[str, Any]
Points = dict[str, list[tuple[float, float]]]
FEWEST_SAMPLES = 3
"""Fewer make no curve."""


def chapters(run: Run) -> list[Section]:
    """The common sections of a run, in the order in which people open them."""
    starts, ends, usage = run.records("start"), run.records("end"), run.records("usage")
    made = [energy(run.energy()), *machine_use(usage, starts), findings(run.findings()), attempts(starts, ends)]
    return [section for section in (*made, options(run), versions(run)) if section is not None]


def energy(merged: Sequence[Record]) -> Section | None:
    """Joules by stage, from ``runs.energy.rows``."""
    rows: list[list[Cell]] = []
    for row in merged:
        joules, seconds = row["joules"], row["seconds"]
        watts = joules / seconds if joules is not None and seconds else None
        rows.append(
            [row["stage"], "not measured" if joules is None else joules, seconds, watts, row["method"], row["scope"], row["coverage"]]
        )
    columns = ["stage", "joules", "seconds", "watts", "method", "scope", "coverage"]
    return sections.table("Energy by stage", columns, rows, "Rows of unlike methods are not added up.") if rows else None


def machine_use(records: Sequence[Record], starts: Sequence[Record]) -> list[Section]:
    """Curves of the usage records, with the begin of each attempt after the first."""
    if len(records) < FEWEST_SAMPLES:
        return []
    began = records[0]["t"]
    plots: dict[tuple[str, str], Points] = {}
    for record in records:
        # Shares of a run work at the same time: a line each.
        share = record["file"].partition("-")[2]
        for title, unit, line, value in _samples(record):
            name = f"{line} {share}".strip()
            plots.setdefault((title, unit), {}).setdefault(name, []).append((record["t"] - began, value))
    marks = [record["t"] - began for record in starts[1:] if record["t"] >= began]
    return [sections.curves(title, lines, x="seconds", y=unit, marks=marks) for (title, unit), lines in plots.items()]


def _samples(record: Record) -> Iterator[tuple[str, str, str, float]]:
    """What one usage record measured: title and unit of the plot, name of the line, value."""
    seconds = record.get("seconds")
    amounts = [
        ("Processor", "% of one core", "cpu", record.get("cpu_percent"), 1.0),
        ("Memory of the process tree", "GiB", "memory", record.get("memory_bytes"), 2**30),
        ("Disk", "MB/s", "read", record.get("read_bytes") if seconds else None, 1e6 * (seconds or 1.0)),
        ("Disk", "MB/s", "written", record.get("written_bytes") if seconds else None, 1e6 * (seconds or 1.0)),
    ]
    for gpu in record.get("gpus") or []:
        name = f"gpu {gpu.get('index')}"
        amounts += [
            ("GPU use", "%", name, gpu.get("utilisation_percent"), 1.0),
            ("GPU memory", "GiB", name, gpu.get("memory_bytes"), 2**30),
            ("GPU power", "W", name, gpu.get("watts"), 1.0),
        ]
    for title, unit, line, amount, scale in amounts:
        if amount is not None:
            yield title, unit, line, amount / scale


def findings(found: Sequence[Record]) -> Section | None:
    """What was found in the data."""
    columns = ["code", "severity", "place", "text"]
    rows = [[one[column] for column in columns] for one in found]
    return (
        sections.table("Findings", columns, rows, "`labwright list findings --finding CODE` says what to do about one.") if rows else None
    )


def attempts(starts: Sequence[Record], ends: Sequence[Record]) -> Section:
    """Each process that worked on the run, and how it ended."""
    by_file = {record["file"]: record for record in ends}
    rows: list[list[Cell]] = []
    for start in starts:
        end = by_file.get(start["file"], {"code": "no end", "reason": "killed, or still at work"})
        began = datetime.datetime.fromtimestamp(start["t"]).isoformat(" ", "seconds")
        rows.append([start["file"], began, start["host"], start["pid"], end["code"], end["reason"]])
    return sections.table("Attempts", ["attempt", "began", "host", "process", "exit code", "reason"], rows)


def options(run: Run) -> Section:
    """The options of a run, each with where it was set."""
    origins = run.description.get("origins", {})
    rows: list[list[Cell]] = [[name, str(value), origins.get(name, "default")] for name, value in flat(run.options).items()]
    return sections.table("Options and where they come from", ["option", "value", "origin"], rows, f"Seed {run.description.get('seed')}.")


def versions(run: Run) -> Section:
    """What the run was made with."""
    machine = run.description.get("machine", {})
    facts = [name for name in ("host", "platform", "cpu", "cores", "threads", "python") if name in machine]
    rows: list[list[Cell]] = [[name, str(machine[name])] for name in facts]
    rows += [[name, version] for name, version in machine.get("versions", {}).items()]
    return sections.table("Machine and versions", ["what", "value"], rows)


def flat(options: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Options by their whole path."""
    found: dict[str, Any] = {}
    for name, value in options.items():
        if isinstance(value, dict) and value:
            found |= flat(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = value
    return found
