"""A run folder that was tampered with is refused with one line that says what to do; doing that gives equal results."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from labwright.runs.errors import Exit
from labwright.runs.run import runs_in
from tests.kill.equal import differences
from tests.kill.ground import Ground, killed

DAMAGE = {
    "description": ("predict", "step.json", b'{"step": '),
    "end": ("pack", "done.json", b"\xff\xfe"),
    "weights": ("train", "output/model/model.safetensors", b"short"),
    "items": ("pack", "output/pack.zarr/items.parquet", b"PAR1"),
    "mask": ("predict", "output/02_RES/mask002.tif", b""),
}


def damaged(runs: Path, step: str, file: str, content: bytes) -> Path:
    (run,) = (run.folder for run in runs_in(runs) if run.step == step)
    (run / file).write_bytes(content)
    return run


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_run_is_refused_and_made_again_once_it_is_removed(ground: Ground, name: str) -> None:
    runs = ground.case("evaluate")
    run = damaged(runs, *DAMAGE[name])
    command = ground.start(runs)
    assert command.wait() == Exit.DATA
    (line,) = command.err.read_text().splitlines()
    assert run.name in line
    assert "Remove the folder and run" in line
    shutil.rmtree(run)
    again = ground.start(runs)
    assert again.wait() == 0, again.said()
    assert differences(ground.unbroken, runs) == []


@pytest.mark.parametrize("content", [b"\xff", b"{}", b'[{"id": 1}]'])
def test_a_damaged_list_of_parts_is_refused(ground: Ground, content: bytes) -> None:
    runs = ground.case("evaluate")
    assert killed(ground.start(runs, fault="part:after-record"))
    damaged(runs, "evaluate", "parts.json", content)
    command = ground.start(runs)
    assert command.wait() == Exit.DATA
    assert "parts.json is not a list of parts" in command.err.read_text()


@pytest.mark.parametrize("content", [bytes(range(256)), b'{"kind": "part"}\n{"kind": "metric"}\n[]\nnull\n'])
def test_a_damaged_journal_costs_what_was_in_it_and_no_more(ground: Ground, content: bytes) -> None:
    runs = ground.case("evaluate")
    assert killed(ground.start(runs, fault="part:after-record"))
    damaged(runs, "evaluate", "journal/0001.jsonl", content)
    again = ground.start(runs)
    assert again.wait() == 0, again.said()
    assert differences(ground.unbroken, runs) == []
