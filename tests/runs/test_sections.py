"""Every section is plain JSON with a kind that the renderer knows."""

from __future__ import annotations

import json
from pathlib import Path

from labwright.runs import sections
from labwright.watch.draw import draw
from labwright.watch.tree import html

MADE = [
    sections.figures("Scores", [sections.figure("dice", 0.75, unit="", method="original size"), sections.figure("joules", None, unit="J")]),
    sections.table("Frames", ["identity", "cells"], [["a/01/frame 1", 12], ["a/01/frame 2", None]]),
    sections.curves("Loss", {"train": [(1, 0.5), (2, 0.25)]}, x="step", y="loss", marks=[2]),
    sections.film("ROC", ["a"], [0, 1], [sections.frame("1", [[0, 0.5]], "rate 0.1")], x="fpr", y="tpr", over="epoch", hidden=["a"]),
    sections.heat("Confusion", ["S", "B"], ["S", "B"], [[1, 0.5], [None, 1]], x="taken for", y="is"),
    sections.bars("Energy", {"train": 10.0, "validate": 2.0}, unit="J"),
    sections.images("Worst", [("overlays/a.png", "frame 1")]),
    sections.text("Note", "labels are silver"),
]


def test_sections_are_json_that_the_renderer_draws(tmp_path: Path) -> None:
    for section in MADE:
        assert json.loads(json.dumps(section)) == section
        drawn = html(draw(section, tmp_path))
        assert f'class="{section["kind"]}"' in drawn
        assert section["title"] in drawn
