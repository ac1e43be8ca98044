"""What the two descriptions of the image say, and that the lock file fits the package."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools.make_lock import extras

DESCRIPTIONS = ("Containerfile", "apptainer.def")


@pytest.fixture
def project(repository: Path) -> dict[str, Any]:
    return tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture
def lock(repository: Path) -> dict[str, str]:
    lines = (repository / "requirements" / "lock.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if not line.startswith("#"))


def instructions(repository: Path) -> list[tuple[str, str]]:
    """Word and rest of each instruction of the Containerfile."""
    text = (repository / "Containerfile").read_text(encoding="utf-8")
    joined = re.sub(r"\\\n\s*", "", "\n".join(line for line in text.splitlines() if not line.startswith("#")))
    return [(line.partition(" ")[0], line.partition(" ")[2]) for line in joined.splitlines() if line]


def sections(repository: Path) -> dict[str, str]:
    """The sections of the Apptainer definition, and its head under ''."""
    text = (repository / "apptainer.def").read_text(encoding="utf-8")
    parts = re.split(r"^%(\w+)\n", text, flags=re.MULTILINE)
    return {"": parts[0], **dict(zip(parts[1::2], parts[2::2], strict=True))}


def test_the_base_is_an_argument_and_names_one_release(repository: Path) -> None:
    said = instructions(repository)
    assert said[:2] == [("ARG", "BASE=docker.io/library/python:3.11.14-slim-bookworm"), ("FROM", "${BASE}")]
    assert "From: {{ BASE }}" in sections(repository)[""]
    assert "BASE=python:3.11.14-slim-bookworm\n" in sections(repository)["arguments"]
    for name in DESCRIPTIONS:
        assert ":latest" not in (repository / name).read_text(encoding="utf-8")


def test_nobody_is_root_and_nothing_is_secret(repository: Path) -> None:
    said = instructions(repository)
    assert [rest for word, rest in said if word == "USER"] == ["labwright"]
    assert {rest.partition("=")[0] for word, rest in said if word == "ARG"} == {"BASE", "PIP_EXTRA_INDEX_URL"}
    assert [rest.partition("=")[0] for word, rest in said if word == "ENV"] == ["PATH"]
    # Nothing of the folder gets in but what is installed from it.
    assert not [word for word, _ in said if word in ("COPY", "ADD")]
    assert "rm -r /src" in sections(repository)["post"]


def test_the_image_says_what_it_is_and_starts_labwright(repository: Path, project: dict[str, Any]) -> None:
    said = instructions(repository)
    labels = " ".join(rest for word, rest in said if word == "LABEL")
    for text in (labels.replace('="', " "), sections(repository)["labels"]):
        assert f"org.opencontainers.image.licenses {project['license']}" in text
        assert f"org.opencontainers.image.source {project['urls']['Source']}" in text
    assert ("ENTRYPOINT", '["python", "-m", "labwright"]') in said
    assert sections(repository)["runscript"].strip() == 'exec python -m labwright "$@"'


def test_both_install_the_same_from_the_lock_file(repository: Path, project: dict[str, Any]) -> None:
    (steps,) = [rest for word, rest in instructions(repository) if word == "RUN"]
    post = sections(repository)["post"]
    installs = re.findall(r"pip install [^&\n]*", post)
    assert len(installs) == 2
    for install in installs:
        assert install in steps
        assert "--constraint /src/requirements/lock.txt" in install
    assert f'"/src[{",".join(sorted(set(extras(project)) - {"learn"}))}]"' in installs[-1]  # cells has learn in it


def test_the_steps_are_a_valid_shell_script(repository: Path) -> None:
    for name in ("post", "environment", "runscript", "test"):
        subprocess.run(["sh", "-n"], input=sections(repository)[name], text=True, check=True)


def test_what_the_definition_copies_is_there(repository: Path) -> None:
    copied = [line.split() for line in sections(repository)["files"].splitlines() if line.strip()]
    assert copied
    for source, target in copied:
        assert (repository / source).exists()
        assert target == f"/src/{source}"


def test_what_the_build_needs_is_sent_to_it(repository: Path) -> None:
    sent = [
        line.removeprefix("!/") for line in (repository / ".dockerignore").read_text(encoding="utf-8").splitlines() if line.startswith("!")
    ]
    copied = [line.split()[0] for line in sections(repository)["files"].splitlines() if line.strip()]
    assert sorted(sent) == sorted(copied)


def test_the_lock_file_has_one_version_of_all_that_users_install(project: dict[str, Any], lock: dict[str, str]) -> None:
    # Where this fails: python tools/make_lock.py requirements/lock.txt
    versions = {canonicalize_name(name): version for name, version in lock.items()}
    wanted = [*project["dependencies"], *(line for extra in extras(project) for line in project["optional-dependencies"][extra])]
    for requirement in map(Requirement, wanted):
        if requirement.name != project["name"]:
            assert requirement.specifier.contains(versions[canonicalize_name(requirement.name)]), requirement


def test_the_lock_file_has_the_torch_of_the_tests(repository: Path, lock: dict[str, str]) -> None:
    assert f"torch=={lock['torch']}" in (repository / "requirements" / "ci.txt").read_text(encoding="utf-8").split()
    assert "torchvision" not in lock
