"""Errors are sentences with an exit code, and stay so on the way between processes."""

from __future__ import annotations

import pickle

import pytest

from labwright.runs import errors
from labwright.runs.errors import Exit, LabwrightError

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, LabwrightError)]


def test_the_codes_are_those_that_job_scripts_know() -> None:
    assert {code.name: code.value for code in Exit} == {
        "DONE": 0, "COMMAND": 64, "DATA": 65, "MISSING": 66, "FAULT": 70, "AGAIN": 75, "STUDY": 78,
    }  # fmt: skip


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_error_crosses_between_processes_whole(kind: type[LabwrightError]) -> None:
    error = kind("it broke", where="train.epochs", todo="Mend it.")
    # A pool sends errors so; what is read here was written here.
    again = pickle.loads(pickle.dumps(error))  # noqa: S301
    assert type(again) is kind
    assert str(again) == str(error) == "train.epochs: it broke. Mend it."
    assert again.code == kind.code


def test_place_and_advice_are_left_out_where_there_are_none() -> None:
    assert str(LabwrightError("it broke")) == "it broke"
