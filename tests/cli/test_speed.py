"""Help and completion answer within a blink: CPU time of a whole process, best of 20."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TRIES = 20


def cpu_seconds(*words: str) -> float:
    """The least user and system time that ``python -m labwright WORDS…`` took."""
    best = float("inf")
    for _ in range(TRIES):
        process = subprocess.Popen([sys.executable, "-m", "labwright", *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        best = min(best, usage.ru_utime + usage.ru_stime)
    return best


@pytest.mark.parametrize("words", [("--help",), ("run", "--help"), ("help", "--all")])
def test_help_takes_at_most_100_ms(words: tuple[str, ...]) -> None:
    assert cpu_seconds(*words) <= 0.100


@pytest.mark.parametrize(
    "words", [("--set", "train.learning_rate="), ("--param", ""), ("--run", ""), ("--step", "t")], ids=["value", "parameter", "run", "step"]
)
def test_completion_of_a_value_takes_at_most_50_ms(study: Path, words: tuple[str, str]) -> None:
    study.write_text(study.read_text().replace("toy", "cells"))
    assert cpu_seconds("__complete", "zsh", "labwright", "run", "study.yaml", *words) <= 0.050


@pytest.mark.parametrize(
    "words", [["--help"], ["help", "--all"], ["__complete", "fish", "labwright", "run", "study.yaml", "--set", "train."]]
)
def test_help_and_completion_import_nothing_heavy(study: Path, words: list[str]) -> None:
    code = (
        "import sys\nfrom labwright.cli.main import main\nmain(sys.argv[1:])\n"
        "heavy = {'pydantic', 'importlib.metadata', 'yaml', 'rich', 'numpy', 'torch', 'zarr', 'argparse'} & set(sys.modules)\n"
        "sys.exit(f'loaded: {heavy}' if heavy - ({'argparse'} if 'help' in sys.argv else set()) else 0)"
    )
    outcome = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stderr
