"""``--dry-run``: what ``run`` would do with each step, and what it would refuse; sources are opened, nothing is written."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from labwright.cli import places
from labwright.cli.main import describe
from labwright.cli.tables import print_json
from labwright.runs.errors import Exit, LabwrightError
from labwright.study.plan import plan

if TYPE_CHECKING:
    from labwright.study.plan import Planned
    from labwright.study.resolve import Study


def print_preview(studies: Sequence[Study], arguments: argparse.Namespace, step: str | None) -> int:
    """Print the steps of each study, those that are done too; returns the code of the first refusal, else 65 where an error was found."""
    previews = [_study(study, arguments, step) for study in studies]
    code = next((preview["code"] for preview in previews if preview["code"] != Exit.DONE), Exit.DONE)
    if arguments.json:
        print_json({"code": code, "rows": previews})
        return int(code)
    for preview in previews:
        if preview["label"]:
            print(preview["label"])
        for one in preview["steps"]:
            print(f"{one['step']}: {one['would']}  ({one['folder']})")
            for line in one["lines"]:
                print(f"  {line}")
    return int(code)


def _study(study: Study, arguments: argparse.Namespace, step: str | None) -> dict[str, Any]:
    from labwright.parts.conduct import unasked

    runs = places.runs_option(arguments)
    steps = plan(study, runs=runs, chosen=places.chosen(arguments, study), steps=[step] if step else None)
    by_name = {one.name: one for one in steps}
    # A training that nobody asked for is refused before the first step starts, anything else when its turn comes.
    beforehand: dict[str, LabwrightError] = {one.name: early for one in steps if (early := unasked(one, study, step, runs))}
    refusal: LabwrightError | None = next(iter(beforehand.values()), None)
    previews = []
    for planned in steps:
        error = beforehand.get(planned.name) or (None if refusal else _refusal(planned, by_name))
        previews.append(_preview(planned, error, after=refusal is not None))
        refusal = refusal or error
    found = Exit.DATA if any(line.startswith("error ") for preview in previews for line in preview["lines"]) else Exit.DONE
    content: dict[str, Any] = {"label": study.label, "code": int(refusal.code if refusal else found), "steps": previews}
    return content | ({"error": describe(refusal)} if refusal else {})


def _refusal(planned: Planned, steps: Mapping[str, Planned]) -> LabwrightError | None:
    from labwright.parts.claims import busy
    from labwright.parts.conduct import closed_gate, unusable

    if planned.state == "running":
        return busy(planned.run)
    if planned.state == "done":
        return None
    gates = [steps[name] for name in planned.step.gates if name in steps and steps[name].state == "done"]
    return unusable(planned) or next((error for gate in gates if (error := closed_gate(gate, planned.name))), None)


def _preview(planned: Planned, error: LabwrightError | None, *, after: bool) -> dict[str, Any]:
    """What would become of one step; ``error`` keeps it from starting, or, ``after`` another was refused, that one's does."""
    preview = {"step": planned.name, "state": planned.state, "folder": str(planned.folder)}
    if error:
        return {**preview, "would": f"would be refused: {error.what}", "lines": [error.todo]}
    if after and planned.state != "done":
        return {**preview, "would": "would not start", "lines": []}
    would = {"done": "done already", "absent": "would run"}.get(planned.state, f"{planned.state}, would go on")
    return {**preview, "would": would, "lines": _lines(planned)}


def _lines(planned: Planned) -> list[str]:
    waiting = [name for name, one in planned.inputs.items() if one.state != "done"]
    lines: list[str] = []
    if planned.sources:
        size = sum(file.size for file in planned.sources)
        lines.append(f"reads {len(planned.sources)} raw {'file' if len(planned.sources) == 1 else 'files'}, {size / 1e6:.1f} MB")
    if planned.inputs:
        lines.append(f"reads {', '.join(one.folder.name for one in planned.inputs.values())}")
    if waiting:
        lines.append(f"what it makes is known once {' and '.join(waiting)} {'is' if len(waiting) == 1 else 'are'} done")
    elif planned.state != "done":
        lines += planned.step.preview(planned.options, {name: one.run for name, one in planned.inputs.items()})
    return lines
