"""``--dry-run``: what each step would read and make; sources are opened, nothing is written."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from labwright.cli import places
from labwright.cli.tables import print_json
from labwright.study.plan import plan

if TYPE_CHECKING:
    from labwright.study.plan import Planned
    from labwright.study.resolve import Study


def print_preview(studies: Sequence[Study], arguments: argparse.Namespace, step: str | None) -> None:
    """Print the steps of each study, those that are done too."""
    previews = []
    for study in studies:
        chosen = places.chosen(arguments, study)
        steps = plan(study, runs=places.runs_option(arguments), chosen=chosen, steps=[step] if step else None)
        previews.append([_preview(planned) for planned in steps])
    if arguments.json:
        print_json({"code": 0, "rows": previews})
        return
    for preview in previews:
        for one in preview:
            print(f"{one['step']}: {one['would']}  ({one['folder']})")
            for line in one["lines"]:
                print(f"  {line}")


def _preview(planned: Planned) -> dict[str, Any]:
    waiting = [name for name, one in planned.inputs.items() if one.state != "done"]
    lines: list[str] = []
    if planned.sources:
        size = sum(file.size for file in planned.sources)
        lines.append(f"reads {len(planned.sources)} raw files, {size / 1e6:.1f} MB")
    if planned.inputs:
        lines.append(f"reads {', '.join(one.folder.name for one in planned.inputs.values())}")
    if waiting:
        lines.append(f"what it makes is known once {' and '.join(waiting)} {'is' if len(waiting) == 1 else 'are'} done")
    elif planned.state != "done":
        lines += planned.step.preview(planned.options, {name: one.run for name, one in planned.inputs.items()})
    would = {"done": "done already", "absent": "would run"}.get(planned.state, f"{planned.state}, would go on")
    return {"step": planned.name, "state": planned.state, "would": would, "folder": str(planned.folder), "lines": lines}
