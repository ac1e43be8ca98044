"""Tables are aligned in a pipe, drawn on a terminal, and objects as JSON."""

from __future__ import annotations

import json
import sys

import pytest

from labwright.cli.tables import print_table

COLUMNS = ("run", "score", "energy_joules")
ROWS = [["train-0", 0.123456, 12.0], ["evaluate-1", None, 345678.9]]


def test_plain_tables_align(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(COLUMNS, ROWS, title="Runs")
    assert capsys.readouterr().out.splitlines() == [
        "Runs",
        "run          score  energy_joules",
        "train-0     0.1235             12",
        "evaluate-1              3.457e+05",
    ]


def test_json_keeps_the_digits(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(COLUMNS, ROWS, title="Runs", json_mode=True)
    assert json.loads(capsys.readouterr().out)[0] == {"run": "train-0", "score": 0.123456, "energy_joules": 12.0}


def test_brackets_in_values_are_no_markup_on_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    print_table(("place",), [["[red]01/frame 3"]])
    assert "[red]01/frame 3" in capsys.readouterr().out


def test_an_empty_table_shows_its_columns(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(COLUMNS, [])
    assert capsys.readouterr().out == "run  score  energy_joules\n"
