"""A monitor as one writes it first: each second it reads all journals of all runs from their beginning."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def summary(folder: Path) -> dict[str, dict[str, Any]]:
    """By run name: the curves, the joules by method, and when the newest record was written."""
    found = {}
    for description in sorted(folder.glob("*/step.json")):
        curves: dict[str, dict[int, float]] = {}
        joules: dict[str, float] = {}
        seen_at = 0.0
        for journal in sorted(description.parent.glob("journal/*.jsonl")):
            for line in journal.read_bytes().splitlines():
                record = json.loads(line)
                seen_at = record["t"]
                if record["kind"] == "metric":
                    for name, value in record["values"].items():
                        curves.setdefault(f"{record['part']}/{record['phase']}/{name}", {})[record["step"]] = value
                elif record["kind"] == "energy":
                    joules[record["method"]] = joules.get(record["method"], 0.0) + record["joules"]
        found[description.parent.name] = {"curves": curves, "joules": joules, "seen_at": seen_at}
    return found
