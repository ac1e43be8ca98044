"""``labwright check``: run the check step, and show what it found with what to do about it."""

from __future__ import annotations

import argparse

from labwright.cli import places
from labwright.cli.commands.run import Row, conduct_row
from labwright.cli.main import tell
from labwright.cli.manifest import load
from labwright.cli.tables import print_json, print_table
from labwright.parts.job import titled
from labwright.runs.errors import Exit
from labwright.runs.run import Run

STEP = "check"
SEVERITIES = ("error", "warning", "note")


def run(arguments: argparse.Namespace) -> int:
    """Exit with 65 where a finding is an error."""
    row = Row((), places.resolved(arguments))
    conduct_row(row, arguments, STEP, quiet=arguments.quiet or arguments.json)
    if row.error and not arguments.json:
        return tell(row.error, as_json=False)
    findings = Run.open(row.results[-1].folder).findings() if not row.error else []
    findings.sort(key=lambda one: SEVERITIES.index(one["severity"]))
    code = Exit.DATA if any(one["severity"] == "error" for one in findings) else row.code
    pages = load()["findings"]
    todos = {one["code"]: pages.get(one["code"], {}).get("todo", "") for one in findings}
    if arguments.json:
        print_json({**row.as_json(), "code": int(code), "findings": [{**one, "todo": todos[one["code"]]} for one in findings]})
        return code
    if findings:
        print_table(
            ["code", "severity", "place", "what"],
            [
                [one["code"], one["severity"], one["place"], titled(pages.get(one["code"], {}).get("title", ""), one["text"])]
                for one in findings
            ],
            title="Findings",
        )
        print()
        for name, todo in todos.items():
            print(f"{name}: {todo}")
    counts = [(sum(one["severity"] == severity for one in findings), severity) for severity in SEVERITIES]
    print(", ".join(f"{count} {severity}{'' if count == 1 else 's'}" for count, severity in counts))
    return code
