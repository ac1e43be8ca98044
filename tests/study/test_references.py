"""A path in an option may mean one run, or many; one that is not done is never left out without a word."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from labwright.runs import publish
from labwright.runs.errors import DataError, MissingError
from labwright.study.references import named


def run(folder: Path, step: str, *, done: bool = True) -> Path:
    (folder / "output").mkdir(parents=True)
    (folder / "output" / "x").write_text("x")
    facts = {"recipe": "toy", "step": step, "fingerprint": "f" * 64, "options": {}}
    (folder / "step.json").write_text(json.dumps(facts))
    if done:
        content = {"figures": {}, "output": publish.manifest(folder / "output")}
        (folder / "done.json").write_text(json.dumps(content))
    return folder.resolve()


@pytest.fixture
def runs(tmp_path: Path) -> dict[str, Path]:
    return {name: run(tmp_path / "runs" / name, name.partition("-")[0]) for name in ("pack-0", "fit-1", "fit-2")}


def test_what_a_path_means(runs: dict[str, Path], tmp_path: Path) -> None:
    both = [runs["fit-1"], runs["fit-2"]]
    assert named([runs["fit-2"]], ["fit"]) == [runs["fit-2"]]
    assert named([tmp_path / "fit-1"], ["fit"]) == [runs["fit-1"]]
    assert named([tmp_path / "runs" / "fit-*"], ["fit"]) == both
    assert named([tmp_path], ["fit"]) == both
    assert named([tmp_path / "runs"], ["fit"]) == both
    assert named([tmp_path.parent / f"{tmp_path.name[:-1]}?"], ["fit"]) == both
    assert named([tmp_path], ["pack", "fit"]) == [*both, runs["pack-0"]]
    assert named([], ["fit"]) == []


def test_a_run_named_twice_is_one(runs: dict[str, Path], tmp_path: Path) -> None:
    assert named([runs["fit-2"], tmp_path / "runs" / "fit-*"], ["fit"]) == [runs["fit-2"], runs["fit-1"]]


def test_nothing_that_fits_is_an_error(runs: dict[str, Path], tmp_path: Path) -> None:
    for place in (tmp_path / "nowhere", tmp_path / "runs" / "no-*", runs["pack-0"], tmp_path / "runs" / "pack-*"):
        with pytest.raises(MissingError, match="there is no run of fit"):
            named([place], ["fit"])


def test_a_run_that_is_not_done_or_damaged_is_an_error(runs: dict[str, Path], tmp_path: Path) -> None:
    (runs["fit-1"] / "output" / "x").write_text("longer")
    with pytest.raises(DataError, match="does not fit its manifest"):
        named([tmp_path], ["fit"])
    run(tmp_path / "more" / "runs" / "fit-3", "fit", done=False)
    with pytest.raises(MissingError, match="the run is ready, not done"):
        named([tmp_path / "more" / "runs" / "fit-*"], ["fit"])
