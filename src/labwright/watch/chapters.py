"""What every run has to show beside its own sections: energy, usage, findings, attempts, options, versions."""

from __future__ import annotations

import datetime
from typing import Any

from labwright.runs import sections
from labwright.runs.run import Run
from labwright.runs.sections import Section


def chapters(run: Run) -> list[Section]:
    """The common sections of a run, in the order in which people open them."""
    made = [_energy(run), *_usage(run), _findings(run), _attempts(run), _options(run), _versions(run)]
    return [section for section in made if section is not None]


def _energy(run: Run) -> Section | None:
    rows = run.energy()
    if not rows:
        return None
    columns = ["stage", "joules", "seconds", "watts", "method", "scope", "coverage"]
    cells: list[list[sections.Cell]] = []
    for row in rows:
        joules, seconds = row["joules"], row["seconds"]
        watts = joules / seconds if joules is not None and seconds else None
        cells.append([row["stage"], "not measured" if joules is None else joules, seconds, watts, row["method"], row["scope"], row["coverage"]])
    return sections.table("Energy by stage", columns, cells, "Rows of unlike methods are not added up.")


def _usage(run: Run) -> list[Section]:
    records = run.records("usage")
    if len(records) < 3:
        return []
    began = records[0]["t"]
    marks = [record["t"] - began for record in run.records("start")[1:]]
    percent = {"cpu": [(record["t"] - began, record["cpu_percent"]) for record in records if record.get("cpu_percent") is not None]}
    memory = {"memory": [(record["t"] - began, record["memory_bytes"] / 2**30) for record in records if record.get("memory_bytes") is not None]}
    watts: dict[str, list[tuple[float, float]]] = {}
    for record in records:
        for gpu in record.get("gpus") or []:
            name = f"gpu {gpu.get('index')}"
            if gpu.get("utilisation_percent") is not None:
                percent.setdefault(name, []).append((record["t"] - began, gpu["utilisation_percent"]))
            if gpu.get("watts") is not None:
                watts.setdefault(name, []).append((record["t"] - began, gpu["watts"]))
    made = [
        sections.curves("Processor use", percent, x="seconds", y="% of one core", marks=marks),
        sections.curves("Memory of the process tree", memory, x="seconds", y="GiB", marks=marks),
    ]
    return [*made, sections.curves("GPU power", watts, x="seconds", y="W", marks=marks)] if watts else made


def _findings(run: Run) -> Section | None:
    found = run.findings()
    if not found:
        return None
    rows = [[one["code"], one["severity"], one["place"], one["text"]] for one in found]
    return sections.table("Findings", ["code", "severity", "place", "text"], rows, "`labwright list findings --finding CODE` says what to do about one.")


def _attempts(run: Run) -> Section:
    ends = {record["file"]: record for record in run.records("end")}
    rows: list[list[sections.Cell]] = []
    for start in run.records("start"):
        end = ends.get(start["file"])
        began = datetime.datetime.fromtimestamp(start["t"]).isoformat(" ", "seconds")
        rows.append(
            [start["file"], began, start["host"], start["pid"], end["code"] if end else "no end", end["reason"] if end else "killed, or still at work"]
        )
    return sections.table("Attempts", ["attempt", "began", "host", "process", "exit code", "reason"], rows)


def _options(run: Run) -> Section:
    origins = run.description.get("origins", {})
    rows: list[list[sections.Cell]] = [[name, str(value), origins.get(name, "default")] for name, value in _flat(run.options).items()]
    return sections.table("Options and where they come from", ["option", "value", "origin"], rows, f"Seed {run.description.get('seed')}.")


def _versions(run: Run) -> Section:
    machine = run.description.get("machine", {})
    facts: list[list[sections.Cell]] = [[name, str(machine[name])] for name in ("host", "platform", "cpu", "cores", "threads", "python") if name in machine]
    versions: list[list[sections.Cell]] = [[name, version] for name, version in machine.get("versions", {}).items()]
    return sections.table("Machine and versions", ["what", "value"], [*facts, *versions])


def _flat(options: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in options.items():
        if isinstance(value, dict) and value:
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat
