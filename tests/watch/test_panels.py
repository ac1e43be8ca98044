"""What a page says about a run follows from its files."""

from __future__ import annotations

import json
from pathlib import Path

from labwright.runs import sections
from labwright.watch import panels
from tests.watch import made

NOW = 1000.0
GPU = {"index": 1, "utilisation_percent": 90.0, "memory_bytes": 2**31, "watts": 250.0}


def items(section: sections.Section | None) -> dict[str, object]:
    assert section is not None
    return {item["name"]: item["value"] for item in section["items"]}


def test_progress_tells_pace_wait_and_devices(tmp_path: Path) -> None:
    told = [made.progress(NOW - 20 + t, 10.0 * t, 1000, epoch=3, loss=0.5, data_wait="34%", joules=7.0) for t in range(0, 20, 5)]
    records = [made.start(NOW - 20), *told, made.usage(NOW - 1, gpus=[GPU])]
    section = panels.progress(made.followed(made.run_folder(tmp_path / "run", {"0001": records}), NOW), NOW)
    assert section is not None
    (bar,) = section["bars"]
    assert (bar["title"], bar["done"], bar["total"], bar["words"]) == ("train model", 150, 1000, "about 80 s left")
    found = items(section)
    assert (found["speed"], found["epoch"], found["loss"], found["waits for data"]) == (10.0, 3, 0.5, "34%")
    assert (found["GPU 1"], found["GPU 1 memory"], found["processor"], found["memory"]) == (90.0, 2.0, 50.0, 1.0)
    assert next(item["note"] for item in section["items"] if item["name"] == "waits for data") == "bound by reading"


def test_progress_of_an_earlier_attempt_is_not_that_of_this_one(tmp_path: Path) -> None:
    journals = {"0001": [made.progress(NOW - 50, 5, 10), made.end(NOW - 40, 75)], "0002": [made.start(NOW - 5, attempt=2)]}
    assert panels.progress(made.followed(made.run_folder(tmp_path / "run", journals), NOW), NOW) is None
    assert panels.progress(made.followed(made.run_folder(tmp_path / "other"), NOW), NOW) is None


def test_curves_mark_attempts_and_the_best(tmp_path: Path) -> None:
    first = [made.metric(1, 10, loss=0.5), made.metric(2, 20, "validate", loss=0.4, dice=0.7), made.metric(3, 30, loss=0.3)]
    best = {"t": 4, "kind": "checkpoint", "part": "model", "step": 30, "best": 20}
    second = [made.metric(5, 25, loss=0.35), made.metric(6, 30, loss=0.31)]
    run = made.run_folder(tmp_path / "run", {"0001": [*first, best], "0002": second})
    loss, dice = panels.curves(made.followed(run))
    assert {line["name"]: line["points"] for line in loss["series"]} == {
        "train model": [[10, 0.5], [25, 0.35], [30, 0.31]],
        "validate model": [[20, 0.4]],
    }
    assert loss["marks"] == dice["marks"] == [25]
    assert dice["best"] == [["validate model", 20, 0.7]]
    assert dice["note"] == "best so far, validate model: 0.7 at step 20"


def test_joules_of_unlike_methods_stay_apart_and_none_is_not_zero(tmp_path: Path) -> None:
    run = made.run_folder(tmp_path / "run", {"0001": [made.energy(1, 7200), made.energy(2, 100, "NVML counter", "GPU 0", coverage=0.5)]})
    section = panels.joules(made.followed(run))
    assert [(item["name"], item["value"], item["unit"], item["method"]) for item in section["items"]] == [
        ("RAPL", "7.2", "kJ", "CPU"),
        ("NVML counter", "100", "J", "GPU 0"),
    ]
    assert section["items"][0]["note"] == "2 Wh; covers 100% of the time or more"
    assert section["items"][1]["note"].endswith("covers 50% of the time or more")
    silent = made.followed(made.run_folder(tmp_path / "silent", {"0001": [made.energy(1, None, "not measured")]}))
    assert panels.joules(silent)["items"] == [sections.figure("joules", None)]


def test_changed_options_are_those_since_the_run_before(tmp_path: Path) -> None:
    options = {"epochs": 5, "network": {"widths": [4]}}
    old = made.run_folder(tmp_path / "a", options=options, created="1", seed=1)
    this = made.run_folder(tmp_path / "b", options={"epochs": 6, "network": {"widths": [4]}, "extra": True}, created="2", seed=2)
    later = made.run_folder(tmp_path / "c", options=options, created="3", seed=1)
    other = made.run_folder(tmp_path / "d", step="pack", created="2")
    assert panels.parent_of(this, [later, other, old]) is old
    assert panels.parent_of(old, [later, this, other]) is later, "nothing older: the newest"
    assert panels.parent_of(other, [old]) is None
    section = panels.changes(this, old)
    assert section is not None
    assert sorted(section["rows"]) == [["epochs", "5", "6"], ["extra", "–", "True"], ["seed", "1", "2"]]
    assert panels.changes(this, None) is None
    assert panels.changes(later, old)["kind"] == "text"  # type: ignore[index]


def test_the_map_shows_each_part(tmp_path: Path) -> None:
    records = [
        made.start(NOW - 9),
        *({"t": NOW - 8, "kind": "begin", "part": part} for part in "abc"),
        {"t": NOW - 7, "kind": "part", "id": "a", "figures": {}, "seconds": 1.0},
        {"t": NOW - 6, "kind": "failed", "part": "b", "reason": "b: broken"},
    ]
    run = made.run_folder(tmp_path / "run", {"0001": records})
    (run.folder / "parts.json").write_text(json.dumps([{"id": part, "cost": 1, "after": []} for part in "abcd"]))
    section = panels.blocks(made.followed(run, NOW), NOW)
    assert section is not None
    assert section["blocks"] == [["a", "done"], ["b", "failed"], ["c", "running"], ["d", "waiting"]]
    assert section["counts"] == {"done": 1, "running": 1, "failed": 1, "waiting": 1}
    assert section["note"] == "b: b: broken"
    made.append(run.folder, made.end(NOW - 5, 65))
    assert panels.blocks(made.followed(run, NOW), NOW)["blocks"][2] == ["c", "waiting"]  # type: ignore[index]


def test_many_parts_share_squares_that_show_what_needs_a_look(tmp_path: Path) -> None:
    run = made.run_folder(tmp_path / "run", {"0001": [{"t": 1, "kind": "failed", "part": "7", "reason": ""}]})
    names = [str(number) for number in range(panels.MOST_BLOCKS * 3)]
    (run.folder / "parts.json").write_text(json.dumps([{"id": name, "cost": 1, "after": []} for name in names]))
    section = panels.blocks(made.followed(run))
    assert section is not None
    assert len(section["blocks"]) == panels.MOST_BLOCKS
    assert section["blocks"][2] == ["6 … 8", "failed"]


def test_commands_fit_the_state_and_can_be_pasted(tmp_path: Path) -> None:
    run = made.run_folder(tmp_path / "it's a run")
    stopped = [command for _, command in panels.commands(run, "stopped")["commands"]]
    assert f"labwright step '{tmp_path}/it'\"'\"'s a run'" in stopped
    running = " ".join(command for _, command in panels.commands(run, "running", {"id": "1", "state": "running"})["commands"])
    assert "labwright step" not in running
    assert "labwright attach" in running
    assert "labwright cancel" in running
    assert "labwright logs" in running
