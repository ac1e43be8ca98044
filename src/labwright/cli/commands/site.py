"""``labwright site list|show|probe``: the sites there are, one as it is understood, or a new one from what a login node tells."""

from __future__ import annotations

import argparse
from pathlib import Path

from labwright.cli.tables import print_json, print_table
from labwright.runs.errors import CommandError, Exit, LabwrightError, MissingError


def run(arguments: argparse.Namespace) -> int:
    """Carry out one of the three."""
    if arguments.action != "show" and arguments.name:
        raise CommandError(f"`site {arguments.action}` takes no name", where="labwright site", todo="`labwright site show NAME` shows one.")
    if arguments.action != "probe" and arguments.to:
        raise CommandError("only `site probe` writes a file", where="--to")
    return {"list": _list, "show": _show, "probe": _probe}[arguments.action](arguments)


def _list(arguments: argparse.Namespace) -> int:
    from labwright.launch.site import load_site, sites, unknowns

    rows = []
    for name, path in sites().items():
        try:
            site = load_site(str(path))
        except LabwrightError as error:
            rows.append([name, "", f"cannot be read: {_first(error)}", "", str(path)])
        else:
            rows.append([name, site.kind, site.about, ", ".join(unknowns(site)), str(path)])
    print_table(["site", "kind", "about", "unknown", "file"], rows, json_mode=arguments.json)
    return Exit.DONE


def _first(error: LabwrightError) -> str:
    """The first of the mistakes in a file; where there are several, each has a line of its own below their number."""
    first = error.what.splitlines()[1:2] or [f"{error.where}  {error.what}"]
    return " ".join(first[0].split())


def _show(arguments: argparse.Namespace) -> int:
    from labwright.launch.site import load_site, shown, unknowns

    if not arguments.name:
        raise CommandError("which site?", where="labwright site show", todo="`labwright site list` names them.")
    site = load_site(arguments.name, asked="labwright site show")
    if arguments.json:
        print_json({"site": site.model_dump(mode="json"), "unknown": unknowns(site)})
    else:
        print(shown(site), end="")
    return Exit.DONE


def _probe(arguments: argparse.Namespace) -> int:
    from labwright.launch.probe import probe
    from labwright.launch.probe_file import text
    from labwright.launch.site import load_site, unknowns
    from labwright.runs.publish import publish

    found = probe()
    if not arguments.to:
        print(text(found), end="")
        return Exit.DONE
    path = Path(arguments.to)
    if path.exists():
        raise MissingError("there is a file already", where=str(path), todo="Name another one, or remove it.")
    with publish(path, "output") as temporary:
        temporary.write_text(text(found), encoding="utf-8")
    missing = unknowns(load_site(str(path)))
    if arguments.json:
        print_json({"file": str(path), "kind": found.kind, "unknown": missing, "silent": list(found.silent)})
    else:
        print(f"{path} is written" + (f"; write what is marked as unknown: {', '.join(missing)}" if missing else ""))
    return Exit.DONE
