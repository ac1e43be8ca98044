"""``labwright shell`` does what a job script of the site does, and then what was asked for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TWIN = '#!/bin/sh\necho "apptainer: $*"\nwhile [ "$1" != /opt/image ]; do shift; done; shift\nexec "$@"\n'
CONTAINER = "container: {kind: apptainer, image: /opt/image, binds: ['$SCRATCH:/data:ro']}\nscratch: $SCRATCH\n"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a site ``here`` on whose machine a twin of Apptainer is installed; it runs the command outside."""
    (tmp_path / "sites").mkdir()
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "apptainer").write_text(TWIN)
    (tmp_path / "tools" / "apptainer").chmod(0o755)
    return tmp_path


def shell(place: Path, site: str, *command: str) -> subprocess.CompletedProcess[str]:
    (place / "sites" / "here.yaml").write_text(f"kind: local\n{site}", encoding="utf-8")
    words = [sys.executable, "-m", "labwright", "shell", "here", *(["--", *command] if command else [])]
    given = {**os.environ, "PATH": f"{place / 'tools'}:{os.environ['PATH']}", "SCRATCH": str(place / "scratch"), "PYTHONPATH": path()}
    return subprocess.run(words, cwd=place, env=given, capture_output=True, text=True, check=False, input="echo typed $MODULE\n")


def path() -> str:
    """Where this labwright is imported from."""
    import labwright

    return str(Path(labwright.__file__).parents[1])


def test_a_container_opens_with_the_words_of_a_job(place: Path) -> None:
    done = shell(place, CONTAINER, "sh", "-c", 'echo "$MODULE $1" inside; exit 3', "-", "two  words")
    assert done.returncode == 3
    words, said = done.stdout.splitlines()
    assert f"exec --home {place}/scratch/labwright/home --bind {place}/scratch:/data:ro" in words
    assert f"--bind {place} --pwd {place}" in words
    assert said == " two  words inside"
    assert (place / "scratch" / "labwright" / "tmp").is_dir()


def test_without_a_container_it_is_the_set_up_shell(place: Path) -> None:
    done = shell(place, "setup: [export MODULE=loaded]\nenv: {COLOUR: '$MODULE red'}\n")
    assert done.stdout == "typed loaded\n"
    assert done.stderr == "labwright: site here is sites/here.yaml\n"
    done = shell(place, "setup: [export MODULE=loaded]\nenv: {COLOUR: '$MODULE red'}\n", "printenv", "COLOUR")
    assert done.stdout == "loaded red\n"


def test_a_setup_line_that_fails_ends_it(place: Path) -> None:
    done = shell(place, f"setup: ['true', 'false # module load apptainer']\n{CONTAINER}", "echo", "inside")
    assert done.returncode == 78
    assert "this setup line of site here failed: false # module load apptainer" in done.stderr
    assert "inside" not in done.stdout


def test_an_unknown_image_is_told_and_not_guessed(place: Path) -> None:
    done = shell(place, "container: {kind: docker, image: unknown}\nscratch: $SCRATCH\n")
    assert done.returncode == 78
    assert "container.image of site here is marked as unknown" in done.stderr
