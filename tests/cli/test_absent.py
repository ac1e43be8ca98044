"""What is said where an extra was not installed."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import pytest

from labwright.cli.absent import not_installed
from labwright.study.step import Recipe


def test_the_line_to_type_names_the_extra(labwright, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def without_uproot(recipe: Recipe, name: str) -> NoReturn:
        raise ModuleNotFoundError("No module named 'uproot'", name="uproot")

    monkeypatch.setattr(Recipe, "tool", without_uproot)
    monkeypatch.setattr("labwright.cli.absent.requires", lambda name: ['torch>=2.4; extra == "learn"', 'uproot>=5.4; extra == "events"'])
    said = labwright("demo", "events", "--to", tmp_path / "demo")
    assert said.code == 66
    assert said.err == "labwright: error: the package uproot is not installed. Type: pip install 'labwright[events]'\n"
    assert not (tmp_path / "demo").exists()


def test_a_module_of_our_own_is_our_fault() -> None:
    assert not_installed(ModuleNotFoundError("No module named 'labwright.x'", name="labwright.x")) is None


def test_a_package_of_no_extra_is_named_all_the_same() -> None:
    found = not_installed(ModuleNotFoundError("No module named 'gizmo'", name="gizmo.parts"))
    assert str(found) == "the package gizmo is not installed. Install it, or the package that asks for it again."
