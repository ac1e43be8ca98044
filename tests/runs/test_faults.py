"""Every point at which the kill matrix can kill is in the code, and none is there that it does not know."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from labwright.runs.faults import POINTS, PUBLISHED

NAMED = re.compile(r'(?:fault|armed)\("([a-z:-]+)"\)')
LABELS = re.compile(r'(?:write_json|publish|output)\([^\n]*, "([a-z]+)"\)')


def sources(repository: Path) -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted((repository / "src").rglob("*.py")))


def test_the_named_points_and_the_list_agree(repository: Path) -> None:
    published = {point for point in POINTS if point.partition(":")[0] in PUBLISHED}
    assert set(NAMED.findall(sources(repository))) == set(POINTS) - published


def test_only_known_labels_are_published(repository: Path) -> None:
    assert set(LABELS.findall(sources(repository))) <= set(PUBLISHED)


@pytest.mark.parametrize(("variable", "passed"), [("train:step", 0), ("train:step@3", 2), ("train:prune", 5)])
def test_the_process_dies_at_the_nth_pass_of_the_armed_point_alone(variable: str, passed: int) -> None:
    code = "from labwright.runs.faults import fault\nfor n in range(5):\n    fault('train:step')\n    print(n, flush=True)"
    outcome = subprocess.run([sys.executable, "-c", code], env={"LABWRIGHT_FAULT": variable}, capture_output=True, text=True, check=False)
    assert len(outcome.stdout.split()) == passed
    assert outcome.returncode == (0 if passed == 5 else -9)


def test_a_point_that_does_not_exist_cannot_be_armed() -> None:
    code = "import labwright.runs.faults"
    outcome = subprocess.run(
        [sys.executable, "-c", code], env={"LABWRIGHT_FAULT": "checkpoint:before-renaming"}, capture_output=True, text=True, check=False
    )
    assert outcome.returncode == 1
    assert "checkpoint:before-renaming" in outcome.stderr
