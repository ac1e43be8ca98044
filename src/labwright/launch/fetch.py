"""Fetch runs from where they were made, by rsync over ssh, with checksums.

Whoever sees ``done.json`` sees all that it tells of: it is fetched last. What was left out makes a run partial, which its folder
says (:mod:`labwright.runs.light`) before anything else is seen of it.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from labwright.launch.site import GENERIC, UNKNOWN, Site
from labwright.runs import light
from labwright.runs.errors import CommandError, FaultError, MissingError, StudyError
from labwright.runs.publish import TEMPORARY, disk_said, make_folder
from labwright.runs.run import Run
from labwright.study.messages import listed

LAST = "done.json"
WORDS = tuple(kind for kind in light.KINDS if kind not in light.ALWAYS)
"""What can be asked for; the rest always comes along."""
_NOT_THERE = (12, 23, 255)
"""rsync's codes for a source that cannot be read, and for a host that does not answer."""
_NAME_IT = "Name a study file, its folder or a folder of runs, by its path there; the host is the site's `login`."
_WHOLE = ("--exclude=/*/claim.lock", "--include=/*/", "--include=/*/**", "--exclude=*")


class Fetched(NamedTuple):
    """One run that lies here now."""

    run: Run
    kept_at: str
    """Where the whole run is kept; empty where it is whole here."""
    problems: tuple[str, ...]
    """What does not fit its manifest."""


def fetch(site: Site, places: Sequence[str], to: Path, only: Sequence[str] = ()) -> list[Fetched]:
    """Fetch all runs of a folder, and verify those that are complete.

    Args:
        site: ``login`` is the host; a generic or local site without one is this machine.
        places: where the folder of runs may be, as its path is there; the first that holds runs is taken.
        to: the folder for the runs here; what is there already, by checksum, is not sent again.
        only: kinds of files (:data:`WORDS`); everything by default.

    Raises:
        CommandError: there is no such kind; or another run has the place of one that would come.
        MissingError: rsync or ssh is not installed here, the host cannot be reached, or there is no run.
        StudyError: the site is elsewhere and does not say on which host.
    """
    _refuse_nowhere(site)
    if wrong := [word for word in only if word not in light.KINDS]:
        raise CommandError(f"there is no kind {wrong[0]!r} of files", where="--only", todo=f"It takes {listed(WORDS)}.")
    source, there = _runs_there(site, places)
    with disk_said(to):
        make_folder(to)
    ours = [f"--include=/{_literal(name)}/" for name in there] + ["--exclude=/*"]
    _refuse_others(source, to, ours)
    partial_there = {name for name, files in there.items() if light.PARTIAL in files}
    if only:
        for name in there.keys() - partial_there:
            if light.kept_at(to / name) or not (to / name / LAST).exists():
                light.mark(to / name, f"{source.rstrip('/')}/{name}")
    temporaries = f"--exclude={TEMPORARY}*"
    _rsync(source, to, temporaries, f"--exclude=/*/{LAST}", *ours[:-1], "--exclude=/*", *(_filters(only) if only else _WHOLE))
    _rsync(source, to, *ours, f"--include=/*/{LAST}", "--exclude=*")
    if not only:
        for name in there.keys() - partial_there:
            (to / name / light.PARTIAL).unlink(missing_ok=True)
    return [_judged(Run.open(to / name)) for name in there]


def _refuse_nowhere(site: Site) -> None:
    """What lies here must not pass for what lies at a cluster."""
    elsewhere = site.kind != "local" and site.name not in GENERIC.values()
    if site.login == UNKNOWN or (elsewhere and not site.login):
        raise StudyError(
            f"site {site.name} does not say from which host its runs are fetched",
            where=site.file or site.name,
            todo=f"In a copy of that file, sites/{site.name}.yaml, write `login: HOST`: its name as ssh takes it.",
        )


def _runs_there(site: Site, places: Sequence[str]) -> tuple[str, dict[str, set[str]]]:
    """The source as rsync takes it, and by run which of the files that tell of runs there are."""
    refusals: list[MissingError] = []
    for place in places:
        source = f"{site.login}:{place}/" if site.login else f"{place}/"
        try:
            listing = _call(
                "--recursive",
                "--list-only",
                "--include=/*/",
                "--include=/*/step.json",
                f"--include=/*/{light.PARTIAL}",
                "--exclude=*",
                source,
            )
        except MissingError as error:
            refusals.append(error)
            continue
        found: dict[str, set[str]] = {}
        for line in listing.splitlines():
            # Permissions, size, date, time, name.
            folder, _, file = line.split(maxsplit=4)[-1].rpartition("/")
            found.setdefault(folder, set()).add(file)
        runs = {name: files for name, files in found.items() if "step.json" in files and not name.startswith(TEMPORARY)}
        if runs:
            return source, runs
    if len(refusals) == len(places):
        raise refusals[0]
    raise MissingError("there is no run", where=_where(site, places[0]), todo=_NAME_IT)


def _refuse_others(source: str, to: Path, ours: Sequence[str]) -> None:
    """What lies here under the name of a run that comes must be a copy of it: the description of a run is written once."""
    differing = _call(
        "--recursive",
        "--checksum",
        "--dry-run",
        "--existing",
        "--out-format=%n",
        *ours,
        "--include=/*/step.json",
        "--exclude=*",
        source,
        str(to),
    )
    names = [line.rpartition("/")[0] for line in differing.splitlines() if line.endswith("/step.json")]
    if names:
        raise CommandError(
            f"another run has the same name here: {listed(names)}", where="--to", todo="Name a folder that holds no runs of this machine."
        )


def _judged(run: Run) -> Fetched:
    return Fetched(run, light.kept_at(run.folder), tuple(run.verify(checksums=True)) if run.done() else ())


def _filters(only: Sequence[str]) -> Iterator[str]:
    """The patterns of these kinds, and of those that always come, as rsync takes them."""
    kinds = dict.fromkeys([*light.ALWAYS, *only])
    if "output" not in kinds:
        yield from (f"--exclude={name}" for name in sorted(light.BULK))
    yield f"--include=/*/{light.PARTIAL}"
    for kind in kinds:
        for pattern in light.KINDS[kind]:
            yield f"--include=/*/{re.sub(r'[*]{2}/[*]', '**', pattern)}"
    yield "--include=*/"
    yield "--exclude=*"


def _rsync(source: str, to: Path, *filters: str) -> None:
    # What came in part goes on where it broke off, and has not its final name until then.
    partial = f"--partial-dir={TEMPORARY}pull"
    _call("--archive", "--no-owner", "--no-group", "--checksum", partial, "--prune-empty-dirs", *filters, source, str(to))


def _call(*words: str) -> str:
    try:
        done = subprocess.run(["rsync", *words], capture_output=True, text=True, errors="replace", check=False, stdin=subprocess.DEVNULL)
    except FileNotFoundError as error:
        raise MissingError("rsync is not installed here", where="labwright pull", todo="Install the package rsync.") from error
    if done.returncode == 0:
        return done.stdout
    lines = [line for line in done.stderr.strip().splitlines() if not line.startswith("rsync error")]
    said = lines[0] if lines else f"rsync failed with exit code {done.returncode}"
    source = next((word for word in words if not word.startswith("-")), "")
    if "Failed to exec" in done.stderr:
        raise MissingError("ssh is not installed here", where="labwright pull", todo="Install the package openssh-client.")
    if done.returncode in _NOT_THERE:
        raise MissingError(said, where=source, todo=_NAME_IT)
    raise FaultError(said, where=source, todo="Try again; what came is kept.")


def _literal(name: str) -> str:
    """A name in which rsync sees no pattern."""
    return re.sub(r"([\\*?\[])", r"\\\1", name)


def _where(site: Site, place: str) -> str:
    return f"{site.login}:{place}" if site.login else place
