"""What is light of a run comes home, tells its state, and is not mistaken for the whole."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from labwright.runs import light, publish
from labwright.runs.errors import MissingError
from labwright.runs.run import Run

LIGHT = ["done.json", "jobs/slurm-7.out", "journal/0001.jsonl", "output/pack.zarr/items.parquet", "output/report.json", "step.json"]
BULK = [
    "checkpoints/one/000001/model.safetensors",
    "output/model/model.safetensors",
    "output/pack.zarr/images/c/0/0",
    "output/pack.zarr/zarr.json",
]


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    folder = tmp_path / "there" / "pack-0123456789"
    for name in (*LIGHT, *BULK, "output/.tmp-1-2-3-x.json"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    step = {"recipe": "toy", "step": "pack", "fingerprint": "0" * 64, "options": {}}
    (folder / "step.json").write_text(json.dumps(step))
    (folder / "done.json").write_text(json.dumps({"figures": {"items": 3}, "output": publish.manifest(folder / "output")}))
    return folder


def test_journals_tables_and_reports_come_home_and_the_bulk_stays(whole: Path, tmp_path: Path) -> None:
    home = tmp_path / "here" / whole.name
    assert light.bring(whole, home, "cluster:/scratch") == len(LIGHT)
    assert sorted(path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file()) == sorted([*LIGHT, "partial.json"])
    assert Run.open(home).state() == "done"
    assert Run.open(home).figures() == {"items": 3}


def test_only_what_changed_is_brought_again(whole: Path, tmp_path: Path) -> None:
    home = tmp_path / "here"
    light.bring(whole, home, "there")
    (whole / "journal" / "0001.jsonl").write_text("longer than before")
    assert light.bring(whole, home, "there") == 1
    assert (home / "journal" / "0001.jsonl").read_text() == "longer than before"


def test_done_json_comes_last(whole: Path) -> None:
    assert light.light_files(whole)[-1] == Path("done.json")


def test_a_file_that_came_and_was_then_cut_makes_the_copy_damaged(whole: Path, tmp_path: Path) -> None:
    home = tmp_path / "here"
    light.bring(whole, home, "there")
    (home / "output" / "report.json").write_text("")
    assert Run.open(home).state() == "damaged"


def test_a_partial_run_cannot_feed_a_step(whole: Path, tmp_path: Path) -> None:
    home = tmp_path / "here"
    light.bring(whole, home, "cluster:/scratch/pack")
    light.refuse_partial([whole])
    with pytest.raises(MissingError, match="the whole is kept at cluster:/scratch/pack"):
        light.refuse_partial([home])
