"""``labwright shell SITE``: the container in which a site's payloads run, to look around in; without one, the site's set-up shell."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from labwright.cli.rows import say_file
from labwright.runs.errors import MissingError

if TYPE_CHECKING:
    from labwright.launch.site import Site

SHELL = ("sh", "-c", "exec $(command -v bash || command -v sh)")
"""Not every image has bash."""


def run(arguments: argparse.Namespace) -> NoReturn:
    """Become a shell that has done what a job script of the site does before its payload; its exit code is that of the command."""
    from labwright.launch.site import load_site

    site = load_site(arguments.site, asked="labwright shell")
    say_file(site)
    script = lines(site, arguments.command or SHELL, interactive=sys.stdin.isatty())
    try:
        os.execvp("bash", ["bash", "-c", "\n".join(script)])
    except OSError as error:
        raise MissingError(f"bash cannot be started: {error.strerror}", where="labwright shell") from error


def lines(site: Site, command: tuple[str, ...] | list[str], *, interactive: bool) -> list[str]:
    """Setup, variables and folders as before a payload, and the command in its place; the current folder is seen inside.

    Raises:
        StudyError: a value that is needed is marked as unknown, or a container has no folder for caches.
        MissingError: the image is named by a tag, and its registry cannot be reached.
    """
    from labwright.launch import container as containers
    from labwright.launch import registry, script
    from labwright.launch.site import need

    here, inside = Path.cwd(), site.container
    if site.in_container:
        image, _ = registry.pinned(need(inside.image, "container.image", site), None)
        inside = inside.model_copy(update={"image": image, "workdir": inside.workdir or str(here)})
    folders = [need(folder, "data_root", site) for folder in site.data_root.values()]
    start = containers.shell_words(inside, (), site.scratch, binds=[here, *folders], env=site.env, interactive=interactive)
    return [*script.setup(site), *script.environment(site, {}), f"exec {start} {shlex.join(command)}"]
