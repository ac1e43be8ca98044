"""Doctor's lines: each has a mark, and each that is not well says what to do."""

from __future__ import annotations

import argparse
import json
import os
import resource
import time
from pathlib import Path

import pytest

from labwright.cli.commands import doctor
from labwright.runs import checkup
from labwright.runs.checkup import Fact, devices, extras, judge_torch, open_files, probe
from labwright.runs.errors import Exit
from labwright.runs.gpus import Visible, visible
from labwright.runs.meters import find
from labwright.testing.nvml import Device, FakeNvml


def seen(*devices: Device, cuda: int = 12040) -> Visible:
    return visible(FakeNvml(*devices, cuda=cuda), {})


def build(version: str, cuda: str | None = None, available: bool = False, hip: str | None = None) -> dict[str, object]:
    return {"version": version, "cuda": cuda, "hip": hip, "available": available}


GPU = Device("GPU-a", millijoules=0)


@pytest.mark.parametrize(
    ("torch", "gpus", "mark", "words"),
    [
        (build("2.13.0+cu124", "12.4", True), seen(GPU), "ok", "driver 550.54 runs up to CUDA 12.4"),
        (build("2.13.0+cpu"), seen(), "ok", "works on the CPU"),
        (build("2.13.0+cpu"), seen(GPU), "warn", "build for the CPU"),
        (build("2.15.0+cu130", "13.0"), seen(GPU), "bad", "Update the driver"),
        (build("2.13.0+cu121", "12.1"), seen(GPU), "bad", "nvidia-smi"),
        (build("2.13.0+rocm6", None, True, "6.2"), seen(), "ok", "ROCm 6.2"),
    ],
)
def test_torch_is_judged_against_the_driver(torch: dict[str, object], gpus: Visible, mark: str, words: str) -> None:
    fact = judge_torch(torch, gpus)
    assert fact.mark == mark
    assert words in fact.text + fact.todo
    assert bool(fact.todo) == (mark != "ok")


def test_who_computes_on_a_gpu_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    (own,) = devices(seen(Device("GPU-a", pids=(os.getpid(),))))
    assert own.mark == "ok"
    assert str(os.getpid()) in own.text
    (foreign,) = devices(seen(Device("GPU-a", pids=(2**22 + 7,))))
    assert foreign.mark == "warn"
    assert "CUDA_VISIBLE_DEVICES" in foreign.todo
    (none,) = devices(Visible([], "no driver"))
    assert (none.mark, none.text) == ("ok", "none: no driver")


def test_a_torchvision_that_cannot_be_imported_is_said_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "torchvision"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]))
    fact = checkup.torchvision()
    assert fact.mark == "bad"
    assert "operator torchvision::nms does not exist" in fact.text
    assert "Lightning" in fact.text
    assert "pip uninstall torchvision" in fact.todo


def test_an_import_that_hangs_does_not_hang_doctor() -> None:
    began = time.monotonic()
    assert probe("import time; time.sleep(600)", timeout_s=0.5) == ("", "no answer within 0.5 s")
    assert time.monotonic() - began < 60


def test_an_import_that_crashes_is_told() -> None:
    answer, error = probe("import os; os.abort()")
    assert answer == ""
    assert "code -6" in error


def test_a_folder_that_cannot_be_written_is_bad(tmp_path: Path) -> None:
    assert checkup.writable(tmp_path).mark == "ok"
    assert list(tmp_path.iterdir()) == []
    missing = checkup.writable(tmp_path / "absent")
    assert missing.mark == "bad"
    assert "--runs" in missing.todo


@pytest.mark.parametrize(("free", "mark"), [(2**40, "ok"), (5 * 2**30, "warn"), (2**20, "bad")])
def test_a_disk_that_fills_up_is_said(monkeypatch: pytest.MonkeyPatch, free: int, mark: str) -> None:
    monkeypatch.setattr(checkup.shutil, "disk_usage", lambda folder: argparse.Namespace(free=free, total=2**40))
    fact = checkup.disk(Path())
    assert fact.mark == mark
    assert bool(fact.todo) == (mark != "ok")


def test_a_low_limit_of_open_files_says_how_to_raise_it() -> None:
    assert open_files(4096, 8192).mark == "ok"
    assert open_files(resource.RLIM_INFINITY, resource.RLIM_INFINITY).mark == "ok"
    assert open_files(256, 8192).todo == "ulimit -n 8192"


def test_meters_are_listed_with_reasons() -> None:
    facts = list(checkup.meters(find(gpus=seen(GPU), powercap=Path("/nowhere"), environment={})))
    assert [(fact.mark, fact.text.partition(":")[0]) for fact in facts] == [
        ("ok", "NVML counter measures gpu 0"),
        ("note", "NVML power not used"),
        ("note", "RAPL not used"),
        ("warn", "estimate for the CPU, not a measurement"),
    ]
    nothing = find(gpus=Visible([], "none"), powercap=Path("/nowhere"), environment={"LABWRIGHT_WATTS_PER_CORE": "0"})
    assert list(checkup.meters(nothing))[-1] == Fact("energy", "warn", "joules will be shown as not measured")


def test_extras_that_lack_something_say_what_to_install() -> None:
    facts = list(
        extras(
            [
                "numpy>=2",
                "pytest; extra == 'plots'",
                'surely-not-installed>1; extra == "views"',
                "labwright[plots]; extra == 'all'",
                "x; extra == 'dev'",
            ]
        )
    )
    assert facts == [
        Fact("extras", "ok", "plots installed"),
        Fact("extras", "warn", "views lacks surely-not-installed", "pip install 'labwright[views]'"),
    ]


def test_doctor_prints_a_line_each_and_leaves_with_66_where_something_is_bad(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    facts = [Fact("python", "ok", "3.11"), Fact("torch", "bad", "not installed", "pip install it")]
    monkeypatch.setattr(checkup, "checkup", lambda folder: iter(facts))
    assert doctor.run(argparse.Namespace(json=False)) == Exit.MISSING
    assert capsys.readouterr().out.splitlines() == ["ok   python      3.11", "bad  torch       not installed → pip install it"]
    assert doctor.run(argparse.Namespace(json=True)) == Exit.MISSING
    printed = json.loads(capsys.readouterr().out)
    assert [fact["mark"] for fact in printed["facts"]] == ["ok", "bad"]
    facts.pop()
    assert doctor.run(argparse.Namespace(json=True)) == Exit.DONE


def test_a_wrong_power_of_a_core_does_not_hide_the_other_facts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LABWRIGHT_WATTS_PER_CORE", "much")
    monkeypatch.setattr(checkup, "torch", lambda seen: Fact("torch", "ok", ""))
    facts = {fact.topic: fact for fact in checkup.checkup(tmp_path)}
    assert facts["energy"].mark == "bad"
    assert "torchvision" in facts
