"""``labwright.open`` gives a run or a pack, with what a notebook shows and takes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import labwright
from labwright.notebook import OpenRun
from labwright.parts.execute import execute
from labwright.runs.errors import MissingError
from labwright.study.plan import create, plan
from labwright.study.resolve import resolve
from labwright.testing.tiny import tiny_sequences, tiny_study
from tests.parts.toy_recipe import Desk


def test_a_run_opens_with_figures_curves_and_a_short_repr(desk: Desk) -> None:
    folder = desk.conduct("run.name=<b>first</b>")["fit"].folder
    run = labwright.open(folder)
    assert isinstance(run, OpenRun)
    assert run.figures() == {"weight": 4.375}
    assert repr(run) == f"<Run {folder.name}: done; weight=4.375>"
    assert "4.375" in run._repr_html_()
    table = run.table()
    assert table.column_names == ["part", "phase", "name", "step", "value"]
    assert table.to_pylist()[-1] == {"part": "one", "phase": "train", "name": "weight", "step": 3, "value": 4.375}


def test_a_run_without_curves_has_an_empty_table(desk: Desk) -> None:
    table = labwright.open(str(desk.created("count").folder)).table()
    assert (table.num_rows, table.num_columns) == (0, 5)


@pytest.mark.parametrize("place", [lambda run: run, lambda run: next(run.rglob("manifest.json")).parent])
def test_a_pack_opens_by_its_run_and_by_its_own_folder(tmp_path: Path, place: Callable[[Path], Path]) -> None:
    study = resolve([tiny_study(tmp_path / "study", tiny_sequences(tmp_path / "data", frames=2, size=32))])
    (planned,) = plan(study, steps=["pack"])
    execute(create(planned, study), quiet=True, workers=1)
    opened = labwright.open(place(planned.folder))
    pack = opened.pack() if isinstance(opened, OpenRun) else opened
    assert pack.items.num_rows == 4
    assert pack.arrays["images/01"][0].dtype == np.uint16
    assert pack.arrays["images/01"][0].shape == (32, 32)


def test_what_is_neither_is_said_to_be_neither(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent", os.fspath(tmp_path)):
        with pytest.raises(MissingError, match="neither a run folder nor a pack"):
            labwright.open(path)
