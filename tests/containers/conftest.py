"""The image, built once from the Containerfile on a Debian of our own, and stand-ins for programs that are not to be had."""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest

# Without a daemon, without control groups, and without a file system of layers.
STORED = ("--storage-driver", "vfs")
RUNNING = ("--runtime", "runc", "--cgroup-manager", "cgroupfs")
LIMITED = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024", "--pids-limit=-1")
INDICES = ("index-url", "extra-index-url")

DOCKER = """#!/bin/sh
[ "$1" = run ] || exit 64
shift
exec podman {options} run {limits} "$@"
"""
APPTAINER = """#!/bin/bash
[ "$1" = exec ] || exit 64
shift
binds=() words=()
while :; do
  case $1 in
    --home) binds+=("$2:$2") words+=("--set-env=HOME=$2") ;;
    --bind) binds+=("$2") ;;
    --env) words+=("--set-env=$2") ;;
    --pwd) words+=(--cd "$2") ;;
    *) break ;;
  esac
  shift 2
done
image=$1
shift
for bind in "${binds[@]}"; do
  IFS=: read -r source target mode <<< "$bind"
  mkdir -p "$image${target:-$source}"
  words+=(--bind "$source:${target:-$source}")
done
PATH=/opt/labwright/bin:$PATH USER=${USER:-root} exec ch-run "${words[@]}" "$image" -- "$@"
"""


class Image(NamedTuple):
    """The image in a store of its own."""

    id: str
    podman: tuple[str, ...]
    """podman with the store."""

    def unpacked(self) -> Path:
        """Its files, as a folder that can be written."""
        return Path(said(*self.podman, "image", "mount", self.id))


def said(*command: str | Path) -> str:
    """What a command prints; where it fails, the test does, with its last words."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command[0]} failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout.strip()


@pytest.fixture(scope="session")
def image(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """Built as a user builds it, but for the base and for where pip finds its packages."""
    if os.geteuid() != 0:
        pytest.skip("a base image cannot be made without being root")
    if missing := [name for name in ("podman", "runc", "debootstrap") if not shutil.which(name)]:
        pytest.skip(f"{' and '.join(missing)} is not installed")
    place = tmp_path_factory.mktemp("image")
    podman = ("podman", "--root", str(place / "store"), "--runroot", str(place / "run"), *STORED)
    try:
        _base(place / "base", podman)
        settings = place / "pip.conf"
        flags = ["--layers=false", "--isolation=chroot", "--network=host", "--build-arg", "BASE=localhost/base", *_pip(settings)]
        said(*podman, "build", *flags, "--file", repository / "Containerfile", "--iidfile", place / "id", repository)
        yield Image((place / "id").read_text(), podman)
    finally:
        shutil.rmtree(place, ignore_errors=True)


@pytest.fixture
def programs(image: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder first on the path with ``docker``, which is podman, and ``apptainer``, which is Charliecloud's ``ch-run``."""
    folder = tmp_path / "programs"
    folder.mkdir()
    options = " ".join([*image.podman[1:], *RUNNING])
    for name, text in {"docker": DOCKER.format(options=options, limits=" ".join(LIMITED)), "apptainer": APPTAINER}.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder


def _base(folder: Path, podman: tuple[str, ...]) -> None:
    """The smallest Debian with a Python, as the image ``base``."""
    said("debootstrap", "--variant=minbase", "--include=python3,python3-venv,ca-certificates", "bookworm", folder)
    with subprocess.Popen(["tar", "-C", folder, "-c", "."], stdout=subprocess.PIPE) as tar:
        subprocess.run([*podman, "import", "-", "localhost/base"], stdin=tar.stdout, check=True, capture_output=True)
    shutil.rmtree(folder)


def _pip(settings: Path) -> list[str]:
    """Flags that let pip inside find packages where pip out here does."""
    found: dict[str, str] = {}
    for line in said(sys.executable, "-m", "pip", "config", "list").splitlines():
        name, _, value = line.partition("=")
        found[name.rpartition(".")[2]] = str(ast.literal_eval(value))
    known = {name: found[name] for name in (*INDICES, "find-links", "cert", "trusted-host") if name in found}
    settings.write_text("[global]\n" + "".join(f"{name} = {value}\n" for name, value in known.items()))
    shown = {settings: "/etc/pip.conf"}
    for name, value in known.items():
        for word in value.split():
            path = Path(urlsplit(word).path) if word.startswith(("/", "file:")) else None
            if path and path.exists():
                # The files of an index lie beside its folder of names.
                path = path.parent if name in INDICES else path
                shown[path] = str(path)
    flags = [word for source, target in shown.items() for word in ("--volume", f"{source}:{target}:ro")]
    if {"find-links", "extra-index-url"} & known.keys():
        flags += ["--build-arg", f"PIP_EXTRA_INDEX_URL={known.get('extra-index-url', '')}"]
    return flags
