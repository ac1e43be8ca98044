"""The check step: stop bad data before training.

What pack found while it read counts here too; then the classes are looked at as a whole.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from labwright.data.checked import report, take_over
from labwright.data.findings import Finding
from labwright.events.findings import finding
from labwright.events.pack import SUMMARY
from labwright.events.recipe import CheckOptions
from labwright.study.step import Figures, Job, Part

ALIKE = 1e-9
"""An input whose least and greatest values differ by less than this of the greater counts as the same in all events."""


def parts(job: Job[CheckOptions]) -> list[Part]:
    return [Part("pack")]


def work(job: Job[CheckOptions], part: Part) -> Figures:
    """Record the findings of the pack and of its classes."""
    source = job.inputs["pack"]
    take_over(job, source)
    summary = json.loads(source.output(SUMMARY).read_text(encoding="utf-8"))
    with job.stage("check"):
        for found in (*_weights(summary, job.options), *_inputs(summary), *_jets(summary, job.options)):
            job.finding(found.code, found.place, found.text, found.severity)
    return {name: summary["figures"][name] for name in ("events", "labelled", "repeated")}


def finish(job: Job[CheckOptions]) -> Figures:
    return report(job, "pack")


def _weights(summary: Mapping[str, Any], options: CheckOptions) -> Iterator[Finding]:
    for one in summary["classes"]:
        if one["negative_share"] > options.max_negative:
            text = f"{one['negative_share']:.1%} of the absolute weight is negative, in {one['negative']:,} of {one['events']:,} events"
            yield finding("EVT035", one["name"], text)


def _inputs(summary: Mapping[str, Any]) -> Iterator[Finding]:
    for one in summary["ancillary"]:
        if one["greatest"] - one["least"] <= ALIKE * max(abs(one["greatest"]), abs(one["least"])):
            yield finding("EVT038", one["name"], f"it is {one['least']:g} in all events")


def _jets(summary: Mapping[str, Any], options: CheckOptions) -> Iterator[Finding]:
    """More jets than are kept are only noted by the file; where that is frequent, it is a choice to think about."""
    share = summary["overfull"] / max(summary["figures"]["events"], 1)
    if share > options.max_other_jets_dropped:
        text = f"{share:.1%} of all events have more other jets than source.jets.max_others keeps"
        yield finding("EVT019", "events", text)._replace(severity="warning")
