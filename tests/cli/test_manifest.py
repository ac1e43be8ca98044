"""The manifest says what the option models say, and learns of third parties' recipes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from labwright.cli.manifest import SHIPPED, build, cache_path, load, refresh, shipped_recipes, text
from labwright.study.registry import recipe


def test_the_shipped_manifest_is_up_to_date() -> None:
    # Where this fails: python -m labwright.cli.pages docs/reference
    assert Path(SHIPPED).read_text(encoding="utf-8") == text(build(shipped_recipes()))


def test_every_option_is_explained() -> None:
    for name, one in load()["recipes"].items():
        for option in one["options"]:
            assert option["doc"], f"{name}: {option['path']} has no docstring"
        for step in one["steps"]:
            assert step["doc"], f"{name}: {step['name']}"


def test_a_third_partys_recipe_is_known_after_it_was_listed(labwright, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "toy" not in load()["recipes"]
    assert [row["recipe"] for row in labwright("list", "recipes", "--json").json] == ["toy", "cells", "events"]
    assert load()["recipes"]["toy"] == build({"toy": recipe("toy")})["recipes"]["toy"]
    assert load()["findings"]["TOY001"]["todo"] == "Measure again."
    # It is forgotten when its package is gone.
    monkeypatch.setattr(sys, "path", [place for place in sys.path if not place.endswith("site")])
    refresh()
    assert "toy" not in load()["recipes"]


def test_a_damaged_cache_is_done_without() -> None:
    refresh()
    Path(cache_path()).write_text("{")
    assert "cells" in load()["recipes"]
