"""The rows of a sweep, or the one study there is, as ``run``, ``submit``, ``plan`` and ``export`` take them."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from labwright.cli import places
from labwright.runs.errors import CommandError, LabwrightError
from labwright.study.messages import listed, nearest

if TYPE_CHECKING:
    from labwright.launch.compose import Row
    from labwright.launch.prepare import Prepared
    from labwright.launch.site import Site
    from labwright.study.resolve import Study


def studies(arguments: argparse.Namespace) -> dict[tuple[str, ...], Study]:
    """Every row resolved, before anything is done with the first: what the sweep sets → the study."""
    from labwright.study.sweep import label, sweep

    return {tuple(sets): replace(places.resolved(arguments, sets), label=label(sets)) for sets in sweep(arguments.sweep) or [[]]}


def check_step(study: Study, step: str | None) -> None:
    """Refuse a ``--step`` that the recipe has not.

    Raises:
        CommandError: the nearest step is named.
    """
    names = [one.name for one in study.recipe.steps]
    if step is not None and step not in names:
        close = nearest(step, names)
        raise CommandError(
            f"recipe {study.recipe.name} has no step {step!r}",
            where="--step",
            todo=(f"Did you mean {close}? " if close else "") + f"Its steps are {listed(names)}.",
        )


def planned(arguments: argparse.Namespace, resolved: Sequence[Study], step: str | None) -> list[Row]:
    """Each study with its plan, for one step or for all."""
    from labwright.study.plan import plan

    check_step(resolved[0], step)
    runs = places.runs_option(arguments)
    return [(study, plan(study, runs=runs, chosen=places.chosen(arguments, study), steps=[step] if step else None)) for study in resolved]


def prepared(arguments: argparse.Namespace, on: str | None, *, gpus: str | None = None, kind: str | None = None) -> Prepared:
    """What would be queued for the study, or the sweep, of the command line; refused where options or gates forbid it.

    Args:
        on: the site; None for the study's own.
        gpus: ``--gpu``.
        kind: a scheduler whose generic site is taken where ``on`` is None and the study's site is of another kind.
    """
    from labwright.launch.prepare import prepare, site_of

    resolved = list(studies(arguments).values())
    site = site_of(on, resolved[0])
    if kind is not None and on is None and site.kind != kind:
        site = site_of(kind, resolved[0])
    if gpus is not None:
        if site.kind != "local":
            todo = "Say in run.on.resources how many a step needs."
            raise CommandError(f"the GPUs of site {site.name} are dealt out by its scheduler", where="--gpu", todo=todo)
        site = site.model_copy(update={"gpus": _numbers(gpus)})
    say_file(site)
    return prepare(planned(arguments, resolved, arguments.step), site, step=arguments.step, runs=places.runs_option(arguments))


def _numbers(text: str) -> tuple[int, ...]:
    words = [word.strip() for word in text.split(",")]
    if not all(word.isdecimal() for word in words):
        raise CommandError(f"{text!r} is not a list of numbers", where="--gpu", todo="Write them as `nvidia-smi` does: --gpu 1,3.")
    return tuple(dict.fromkeys(map(int, words)))


def say_file(site: Site) -> None:
    """Name on standard error the file of a site that did not come with Labwright: lines in it are carried out."""
    if site.file and not site.is_bundled:
        print(f"labwright: site {site.name} is {site.file}", file=sys.stderr)


def print_refusal(error: LabwrightError | None) -> None:
    """Say beside files that are only shown what keeps them from being queued."""
    if error:
        print(f"labwright: submit would refuse this now: {error}", file=sys.stderr)


def print_texts(texts: Mapping[str, str], place: Path) -> None:
    """Files, each under its name."""
    for name, text in texts.items():
        print(f"==> {short(place / name)} <==")
        print(text, end="" if text.endswith("\n") else "\n")


def short(path: Path) -> str:
    """A path as one would write it from here."""
    return min(os.path.relpath(path), str(path), key=len)
