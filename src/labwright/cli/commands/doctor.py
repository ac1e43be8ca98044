"""``labwright doctor``: a line for each thing a run depends on, with what to do where it is not well."""

from __future__ import annotations

import argparse


def run(args: argparse.Namespace) -> int:
    """Print the check-up of this machine; 66 where something is bad, 0 otherwise."""
    from pathlib import Path

    from rich.console import Console
    from rich.text import Text

    from labwright.cli.tables import print_json
    from labwright.runs.checkup import checkup
    from labwright.runs.errors import Exit

    styles = {"ok": "green", "note": "dim", "warn": "yellow", "bad": "bold red"}
    console = Console(soft_wrap=True, highlight=False)
    facts = []
    for fact in checkup(Path.cwd()):
        facts.append(fact)
        if not args.json:
            todo = f" → {fact.todo}" if fact.todo else ""
            console.print(Text.assemble((f"{fact.mark:<5}", styles[fact.mark]), f"{fact.topic:<12}", fact.text, (todo, "bold")))
    code = Exit.MISSING if any(fact.mark == "bad" for fact in facts) else Exit.DONE
    if args.json:
        print_json({"code": int(code), "facts": [fact._asdict() for fact in facts]})
    return int(code)
