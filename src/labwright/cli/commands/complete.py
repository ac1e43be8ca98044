"""``labwright complete install|uninstall|script [SHELL]``."""

from __future__ import annotations

import argparse

from labwright.cli import shells
from labwright.cli.manifest import refresh
from labwright.runs.errors import Exit


def run(arguments: argparse.Namespace) -> int:
    """Add or remove the block, and say in which file."""
    shell = arguments.shell or shells.shell_in_use()
    if arguments.action == "script":
        print(shells.script(shell), end="")
        return Exit.DONE
    path = shells.start_file(shell)
    if arguments.action == "install":
        refresh()
        changed = shells.install(path, shells.script(shell))
        print(f"completion for {shell} is in {path}" + ("; it works in shells opened from now on" if changed else ", as before"))
    else:
        changed = shells.uninstall(path)
        print(f"completion for {shell} was taken out of {path}" if changed else f"there is no completion in {path}")
    return Exit.DONE
