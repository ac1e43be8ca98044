"""The image is built from the Containerfile, and payloads run in it with the rendered commands."""

from __future__ import annotations

import json
import os
import shutil
import socket
from importlib.metadata import distributions
from pathlib import Path

import pytest

from labwright.launch.container import Container, prelude, shell_words
from labwright.runs.run import Run
from labwright.study.plan import create, plan
from labwright.study.resolve import resolve
from labwright.testing.tiny import tiny_sequences, tiny_study
from tests.containers.conftest import Image, said

pytestmark = pytest.mark.slow

SOMEBODY = 12345
"""A user whom no image knows."""


def started(container: Container, run: Run, scratch: Path, *binds: Path) -> None:
    """Run the payload as a job script does."""
    words = shell_words(container, ["python3", "-m", "labwright", "step", str(run.folder)], str(scratch), binds=binds)
    said("bash", "-euc", "\n".join([*prelude(container, str(scratch)), words]))


def given_to(user: int, *folders: Path) -> None:
    for folder in folders:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, user, user)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "lab"


@pytest.fixture
def runs(folder: Path) -> dict[str, Run]:
    """The runs of a tiny cells study, described and not begun."""
    study = resolve([tiny_study(folder / "study", tiny_sequences(folder / "data"))])
    return {one.name: create(one, study) for one in plan(study)}


def test_the_image_has_the_versions_of_the_lock_file(image: Image, repository: Path) -> None:
    (packages,) = image.unpacked().glob("opt/labwright/lib/python3.*/site-packages")
    there = {one.name.lower(): one.version.partition("+")[0] for one in distributions(path=[str(packages)])}
    lines = (repository / "requirements" / "lock.txt").read_text(encoding="utf-8").lower().splitlines()
    locked = dict(line.split("==") for line in lines if not line.startswith("#"))
    normal = {name.replace("_", "-"): version for name, version in there.items() if name not in ("labwright", "pip")}
    assert normal == {name.replace("_", "-"): version for name, version in locked.items()}
    assert not (image.unpacked() / "src").exists() or not any((image.unpacked() / "src").iterdir())


def test_the_image_belongs_to_nobody_in_particular(image: Image) -> None:
    config = json.loads(said(*image.podman, "image", "inspect", image.id))[0]["Config"]
    assert config["User"] == "labwright"
    assert config["Labels"]["org.opencontainers.image.licenses"] == "MIT"
    assert config["Entrypoint"] == ["python", "-m", "labwright"]
    assert not [line for line in config["Env"] if not line.startswith("PATH=")]


def test_a_study_is_packed_by_docker_and_trained_by_apptainer(
    image: Image, programs: Path, runs: dict[str, Run], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    # Who starts a job on a cluster is not root: as such a user Docker is told to run it.
    (programs / "id").write_text(f"#!/bin/sh\necho {SOMEBODY}\n")
    (programs / "id").chmod(0o755)
    (scratch / "labwright" / "home").mkdir(parents=True)
    (scratch / "labwright" / "tmp").mkdir()
    given_to(SOMEBODY, folder, scratch)
    monkeypatch.setenv("PYTHONPATH", "/of/a/module")
    started(Container(kind="docker", image=image.id), runs["pack"], scratch, folder)
    assert runs["pack"].state() == "done"
    assert (runs["pack"].folder / "done.json").stat().st_uid == SOMEBODY
    (start,) = runs["pack"].records("start")
    assert start["host"] == socket.gethostname()
    assert start["pid"] > 1  # of this machine, and not the first of a container

    if not shutil.which("ch-run"):
        pytest.skip("Charliecloud is not installed: only Docker's command was tried")
    # Charliecloud knows one user only, the one who starts it.
    given_to(os.getuid(), folder, scratch)
    unpacked = Container(kind="apptainer", image=str(image.unpacked()), workdir="/tmp")
    for step in ("check", "train"):
        started(unpacked, runs[step], scratch, folder)
        assert runs[step].state() == "done"
    assert (runs["train"].output("model") / "model.safetensors").is_file()
    # What was compiled for this processor lies on scratch.
    assert [path for path in (scratch / "labwright" / "home").rglob("*") if path.is_file()]
