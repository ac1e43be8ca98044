"""``evaluate`` without a study: two folders by a recipe's own rules."""

from __future__ import annotations

from pathlib import Path


def test_two_folders_are_scored(labwright, study: Path) -> None:
    words = ("evaluate", "--recipe", "toy", "--predictions", "data", "--truth", "data")
    said = labwright(*words, "--json")
    assert said.code == 0
    assert said.json["summary"] == {"score": 1.0, "size": "original"}
    assert "score   1" in labwright(*words, "--size", "256").out


def test_what_is_missing_is_named(labwright, study: Path) -> None:
    assert "STUDY is missing" in labwright("evaluate").err
    said = labwright("evaluate", "--recipe", "toy", "--predictions", "data")
    assert said.code == 64
    assert "--truth is missing" in said.err
    assert labwright("evaluate", "study.yaml", "--truth", "data").code == 64
    assert labwright("evaluate", "--recipe", "toy", "--predictions", "data", "--truth", "absent").code == 66
