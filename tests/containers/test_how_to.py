"""The page on containers shows sites that are valid, and the lines that come of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from labwright.launch.container import form_of, prelude, shell_words
from labwright.launch.site import Site, load_site

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RUN = Path("/project/study/runs/train-0123456789")


@pytest.fixture
def page(repository: Path) -> str:
    return (repository / "docs" / "how-to" / "run-in-apptainer.md").read_text(encoding="utf-8")


@pytest.fixture
def sites(page: str, tmp_path: Path) -> list[Site]:
    found = []
    for number, (_, text) in enumerate(block for block in BLOCK.findall(page) if block[0] == "yaml"):
        path = tmp_path / f"site{number}.yaml"
        path.write_text(text, encoding="utf-8")
        found.append(load_site(str(path)))
    return found


def test_the_sites_are_valid_and_start_something(sites: list[Site]) -> None:
    assert [(site.kind, site.container.kind, form_of(site.container.image)) for site in sites] == [
        ("slurm", "apptainer", "file"),
        ("local", "apptainer", "folder"),
        ("local", "docker", "digest"),
    ]
    assert all(shell_words(site.container, ["true"], site.scratch).endswith(" true") for site in sites)


def test_the_lines_shown_are_those_of_the_first_site(page: str, sites: list[Site]) -> None:
    (shown,) = (text for language, text in BLOCK.findall(page) if language == "text")
    container = sites[0].container
    words = shell_words(container, [container.python, "-m", "labwright", "step", str(RUN)], sites[0].scratch, binds=[RUN.parent])
    assert shown.splitlines() == [*prelude(container, sites[0].scratch), words]
