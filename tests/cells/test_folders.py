from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from labwright.cli.main import main


@pytest.fixture
def truth(repository: Path) -> Path:
    return repository / "src" / "labwright" / "cells" / "sample" / "data" / "03_ST" / "SEG"


@pytest.fixture
def renamed(truth: Path, tmp_path: Path) -> Path:
    """The same masks under the names of predictions."""
    for path in truth.iterdir():
        shutil.copy(path, tmp_path / path.name.replace("man_seg", "mask"))
    return tmp_path


def score(*words: object) -> int:
    return main(["evaluate", "--recipe", "cells", *map(str, words)])


def test_equal_masks_score_one_whatever_the_files_are_called(truth: Path, renamed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert score("--predictions", renamed, "--truth", truth) == 0
    shown = {name: value for name, value, *_ in (line.split() for line in capsys.readouterr().out.splitlines() if line)}
    assert (shown["instance_dice"], shown["n_frames"]) == ("1", "5")


def test_both_sides_can_be_scored_at_256(truth: Path, renamed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert score("--predictions", renamed, "--truth", truth, "--size", "256", "--json") == 0
    scores = json.loads(capsys.readouterr().out)
    assert [frame["frame"] for frame in scores["frames"]] == [32, 33, 34, 35, 36]
    assert scores["summary"]["overall"]["instance_dice"] == 1


def test_a_missing_prediction_is_named_and_nothing_is_scored(truth: Path, renamed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (renamed / "mask034.tif").unlink()
    assert score("--predictions", renamed, "--truth", truth) == 66
    assert "frame 34" in capsys.readouterr().err
