"""What the check steps of all recipes have in common: they take over what pack found, and report all findings."""

from __future__ import annotations

from typing import Any

from labwright.runs import sections
from labwright.runs.publish import write_json
from labwright.runs.run import Run
from labwright.study.step import Figures, Job


def take_over(job: Job[Any], source: Run) -> None:
    """Record the findings of an earlier run, which has said them: they count here too."""
    for one in source.findings():
        job.finding(one["code"], one["place"], one["text"], one["severity"], known=True)


def report(job: Job[Any], part: str) -> Figures:
    """Write the table of all findings; their counts by severity, and the figures of ``part``."""
    findings = job.run.findings()
    severities = [one["severity"] for one in findings]
    counts = {f"{name}s": severities.count(name) for name in ("error", "warning", "note")}
    rows = [[one["code"], one["severity"], one["place"], one["text"]] for one in findings]
    figures = {**counts, **job.results()[part]}
    made = [
        sections.figures("Check", [sections.figure(name, value) for name, value in figures.items()]),
        sections.table("Findings", ["code", "severity", "place", "text"], rows),
    ]
    write_json(job.run.output("report.json"), {"sections": made}, "report")
    return figures
