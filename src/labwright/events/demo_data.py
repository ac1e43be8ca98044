"""The data of the bundled sample study: TOY events, drawn when the demo is made rather than kept in the package."""

from __future__ import annotations

from pathlib import Path

from labwright.events.toy import write_toy

EVENTS, SEED = 12_000, 1
"""Three-tag multijet events of the toy data: two seconds and 4 MB."""


def write_demo_data(folder: Path) -> None:
    """Write the TOY files that ``sample/study.yaml`` names to ``data`` in ``folder``, the study's folder."""
    write_toy(folder / "data", "svb", EVENTS, SEED)
