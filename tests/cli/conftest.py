"""A third party's recipe named toy, a study of it, and the command line called within this process."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from labwright.cli.main import main
from tests.cli.scheduler import Scheduler

SITE = Path(__file__).parent / "site"
"""On the path it makes the recipe an installed one: a package and the metadata that registers it."""
STUDY = """\
recipe: toy
parameters:
  data: {type: path, default: ./data, help: folder with the numbers}
pack: {path: "${data}"}
run: {on: {workers: 1}, name: first, tags: [night]}
"""


class Said(NamedTuple):
    """What a command answered."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Labwright = Callable[..., Said]


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.syspath_prepend(str(SITE))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study with three numbers, in the current folder."""
    folder = tmp_path / "lab"
    (folder / "data").mkdir(parents=True)
    for name, number in (("a", 1.5), ("b", 2.5), ("c", 3.25)):
        (folder / "data" / f"{name}.txt").write_text(str(number))
    (folder / "study.yaml").write_text(STUDY)
    monkeypatch.chdir(folder)
    return folder / "study.yaml"


@pytest.fixture
def labwright(capfd: pytest.CaptureFixture[str]) -> Labwright:
    """Call ``labwright WORDS…``."""

    def call(*words: str | Path) -> Said:
        capfd.readouterr()
        # Python's streams on the descriptors themselves, as in a process of its own: a run keeps a log of those.
        with open(1, "w", closefd=False) as out, open(2, "w", closefd=False) as err, redirect_stdout(out), redirect_stderr(err):
            code = main([str(word) for word in words])
        return Said(code, *capfd.readouterr())

    return call


@pytest.fixture
def slurm(monkeypatch: pytest.MonkeyPatch) -> Scheduler:
    """What ``--on slurm`` reaches instead of Slurm's tools."""
    scheduler = Scheduler()
    monkeypatch.setattr("labwright.launch.slurm.LAUNCHER", scheduler)
    # Whether the machine of the tests has Slurm's tools shall not matter.
    monkeypatch.setattr("labwright.cli.commands.status.shutil.which", lambda tool: f"/usr/bin/{tool}" if tool == "squeue" else None)
    monkeypatch.setattr("labwright.launch.foreground.ASK_CLUSTER_AGAIN_S", 0.05)
    monkeypatch.setattr("labwright.launch.foreground.LOOK_AGAIN_S", 0.02)
    return scheduler
