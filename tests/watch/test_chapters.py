"""Beside its own sections each run shows what it used, found and was made with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from labwright.runs.run import Run
from labwright.watch.chapters import chapters
from tests.parts.toy_recipe import Desk

GPU = {"index": 0, "utilisation_percent": 90.0, "memory_bytes": 2**31, "watts": 250.0}


def made(folder: Path, journal: dict[str, list[dict[str, Any]]], **description: Any) -> dict[str, dict[str, Any]]:
    (folder / "journal").mkdir(parents=True)
    facts = {"recipe": "cells", "step": "train", "fingerprint": "f", "options": {}, **description}
    (folder / "step.json").write_text(json.dumps(facts))
    for name, records in journal.items():
        (folder / "journal" / f"{name}.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    return {section["title"]: section for section in chapters(Run.open(folder))}


def start(t: float) -> dict[str, Any]:
    return {"t": t, "kind": "start", "host": "here", "pid": 1}


def usage(t: float, **fields: Any) -> dict[str, Any]:
    facts = {"seconds": 10.0, "cpu_percent": 50.0, "memory_bytes": 2**30, "read_bytes": 20_000_000, "written_bytes": 0, "gpus": []}
    return {"t": t, "kind": "usage", **facts, **fields}


def test_the_use_of_the_machine_is_plotted_with_attempts_marked(tmp_path: Path) -> None:
    first = [start(100), usage(100, cpu_percent=None, seconds=0.0), usage(110, gpus=[GPU])]
    shown = made(tmp_path / "run", {"0001": first, "0002": [start(200), usage(200, gpus=[GPU])]})
    lines = {
        title: {line["name"]: line["points"] for line in shown[title]["series"]}
        for title in ("Processor", "Memory of the process tree", "Disk", "GPU use", "GPU memory", "GPU power")
    }
    assert lines["Processor"] == {"cpu": [[10, 50.0], [100, 50.0]]}
    assert lines["Memory of the process tree"] == {"memory": [[0, 1.0], [10, 1.0], [100, 1.0]]}
    assert lines["Disk"] == {"read": [[10, 2.0], [100, 2.0]], "written": [[10, 0.0], [100, 0.0]]}
    assert lines["GPU use"] == {"gpu 0": [[10, 90.0], [100, 90.0]]}
    assert lines["GPU memory"] == {"gpu 0": [[10, 2.0], [100, 2.0]]}
    assert lines["GPU power"] == {"gpu 0": [[10, 250.0], [100, 250.0]]}
    assert shown["Processor"]["marks"] == [100]


def test_shares_at_work_at_once_have_a_line_each(tmp_path: Path) -> None:
    journal = {f"000{number + 1}-{number}of2-0": [start(100), usage(100), usage(110)] for number in range(2)}
    shown = made(tmp_path / "run", journal)
    assert [line["name"] for line in shown["Processor"]["series"]] == ["cpu 0of2-0", "cpu 1of2-0"]


def test_a_short_run_has_no_curves_of_use(tmp_path: Path) -> None:
    assert "Processor" not in made(tmp_path / "run", {"0001": [start(100), usage(100)]})


def test_energy_says_how_and_what_was_not_measured(tmp_path: Path) -> None:
    energy = {"t": 1, "kind": "energy", "stage": "train", "scope": "GPU 0", "coverage": 1.0, "seconds": 10.0}
    records = [{**energy, "method": "NVML counter", "joules": 1000.0}, {**energy, "method": "RAPL", "joules": None}]
    rows = made(tmp_path / "run", {"0001": records})["Energy by stage"]["rows"]
    assert rows == [
        ["train", 1000.0, 10.0, 100.0, "NVML counter", "GPU 0", 1.0],
        ["train", "not measured", 10.0, None, "RAPL", "GPU 0", 1.0],
    ]


def test_each_attempt_tells_how_it_ended(tmp_path: Path) -> None:
    end = {"t": 150, "kind": "end", "code": 75, "reason": "SIGTERM came"}
    rows = made(tmp_path / "run", {"0001": [start(100), end], "0002": [start(200)]})["Attempts"]["rows"]
    assert [[row[0], *row[4:]] for row in rows] == [["0001", 75, "SIGTERM came"], ["0002", "no end", "killed, or still at work"]]


def test_options_show_where_they_come_from(tmp_path: Path) -> None:
    options = {"epochs": 5, "network": {"widths": [4, 8]}, "extra": {}}
    shown = made(tmp_path / "run", {}, options=options, origins={"epochs": "study.yaml:7", "network.widths": "--set"}, seed=7)
    section = shown["Options and where they come from"]
    assert section["rows"] == [["epochs", "5", "study.yaml:7"], ["network.widths", "[4, 8]", "--set"], ["extra", "{}", "default"]]
    assert section["note"] == "Seed 7."


def test_a_real_run_shows_them_all(desk: Desk) -> None:
    run = Run.open(desk.conduct(step="count")["count"].folder)
    shown = {section["title"]: section for section in chapters(run)}
    assert list(shown) == ["Energy by stage", "Findings", "Attempts", "Options and where they come from", "Machine and versions"]
    assert shown["Findings"]["rows"] == [["TOY001", "warning", "c", "a text without words"]]
    versions = dict(shown["Machine and versions"]["rows"])
    assert {"host", "python", "threads", "numpy"} <= versions.keys()
