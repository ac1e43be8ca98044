"""The documentation names what is there: its links lead somewhere, its commands parse, its options and studies are valid."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from labwright.cli.arguments import parse, verb_named
from labwright.study.registry import recipe
from labwright.study.resolve import resolve
from labwright.study.run_options import RunOptions
from labwright.study.schema import walk

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "src").rglob("*.md")])
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
SECTIONS = ("pack", "check", "train", "predict", "merge", "evaluate", "run")
BASES = {
    "cells": "pack: {source: {kind: ctc, path: data}, split: {train: ['01'], validate: ['02']}}",
    "events": "pack: {source: {path: data}, classes: {background: {}, signal: {}}}",
}
"""The least that a study of each recipe says; a study on a page, or a part of one, comes on top of it."""

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())


def blocks(page: Path, *languages: str) -> Iterator[str]:
    yield from (body for language, body in BLOCK.findall(page.read_text(encoding="utf-8")) if language in languages)


def prose(page: Path) -> str:
    return BLOCK.sub("", page.read_text(encoding="utf-8"))


def commands(page: Path) -> Iterator[str]:
    """Every call of ``labwright`` on a page, from blocks and from running text."""
    lines = [line for body in blocks(page, "bash", "console") for line in body.splitlines()]
    for line in [*lines, *CODE.findall(prose(page))]:
        match = re.match(r"(?:\$ |srun )?(?:\.venv/bin/)?(labwright .*)", line)
        if match and not line.endswith(" "):  # what Tab would go on with
            yield match[1]


@pages
def test_links_lead_somewhere(page: Path) -> None:
    text = prose(page)
    local = [link.partition("#")[0] for link in LINK.findall(text) if not re.match(r"https?:|#", link)]
    lost = [link for link in local if not (page.parent / link).exists()]
    assert not lost


@pages
def test_commands_parse(page: Path) -> None:
    for command in commands(page):
        words = shlex.split(command, comments=True)[1:]
        if words[0] == "VERB" or words[0].startswith("-"):
            continue
        verb = verb_named(words[0])
        if words[1:]:  # a verb alone is the name of a command
            parse(verb, words[1:])


@pages
def test_options_exist(page: Path) -> None:
    known = {f"{step.name}.{option.path}" for name in BASES for step in recipe(name).steps for option in walk(step.options)}
    known |= {f"run.{option.path}" for option in walk(RunOptions)}
    named = set()
    for code in CODE.findall(prose(page)):
        found = re.match(rf"(?:--(?:set|sweep) )?'?((?:{'|'.join(SECTIONS)})(?:\.[a-z_]+)+)(?=$|[:= '])", code)
        if found and not found[1].endswith((".json", ".py", ".yaml", ".sh", ".txt", ".log", ".jsonl")):
            named.add(found[1])
    assert {name for name in named if not any(path == name or path.startswith(f"{name}.") for path in known)} == set()


@pages
def test_studies_are_valid(page: Path, tmp_path: Path) -> None:
    named = re.findall(
        rf"^recipe: ({'|'.join(BASES)})$|labwright new ({'|'.join(BASES)})\b", page.read_text(encoding="utf-8"), re.MULTILINE
    )
    name = "events" if any("events" in one for one in named) or "events" in page.name else "cells"
    base = tmp_path / "base.yaml"
    base.write_text(f"recipe: {name}\n{BASES[name]}\n")
    for number, body in enumerate(blocks(page, "yaml")):
        if re.match(rf"(recipe|parameters|{'|'.join(SECTIONS)}):", body):
            fragment = tmp_path / f"{number}.yaml"
            fragment.write_text(body)
            resolve([base, fragment])


def test_every_decision_is_listed() -> None:
    folder = ROOT / "docs" / "decisions"
    listed = set(LINK.findall((folder / "README.md").read_text(encoding="utf-8")))
    assert listed == {page.name for page in folder.glob("[0-9]*.md")}


def test_every_page_can_be_reached() -> None:
    reached: set[Path] = set()
    ahead = [ROOT / "README.md"]
    while ahead:
        page = ahead.pop()
        if page in reached:
            continue
        reached.add(page)
        links = (link.partition("#")[0] for link in LINK.findall(prose(page)) if not re.match(r"https?:|#", link))
        for target in ((page.parent / link).resolve() for link in links):
            if target.is_dir():
                ahead += target.glob("*.md")
            elif target.suffix == ".md" and target.is_file():
                ahead.append(target)
    assert {page for page in PAGES if (ROOT / "docs") in page.parents} - reached == set()
