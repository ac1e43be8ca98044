"""Help as text, from the table of verbs and the manifest; no parser and nothing heavy is loaded for it."""

from __future__ import annotations

import os
import re
import textwrap
from collections.abc import Iterator
from typing import Any

from labwright import __version__
from labwright.cli.grammar import INNER, Argument, Verb
from labwright.cli.verbs import VERBS
from labwright.runs.errors import CommandError

EXIT_CODES = (
    (0, "done"),
    (64, "wrong command"),
    (65, "the data have findings of severity error"),
    (66, "missing input"),
    (70, "our fault"),
    (75, "stopped early, run the same command again"),
    (78, "wrong study"),
)


def overview() -> str:
    """What ``labwright --help`` prints."""
    lines = [f"labwright {__version__}: from raw measurements to an evaluated model, with one file and one command", ""]
    lines += ["usage: labwright VERB …", ""]
    groups = dict.fromkeys(verb.group for verb in VERBS if verb.group != INNER)
    for group in groups:
        lines.append(group)
        lines += _rows([(verb.name, verb.help) for verb in VERBS if verb.group == group], 10)
        lines.append("")
    lines += ["`labwright help VERB` explains a verb, `labwright help --all` every option of every recipe.", ""]
    lines.append("Exit codes: " + ", ".join(f"{code} {meaning}" for code, meaning in EXIT_CODES) + ".")
    return "\n".join(_folded(lines))


def usage(verb: Verb) -> str:
    """``labwright run STUDY… [--step STEP] …`` in one line."""
    words = ["labwright", verb.name]
    words += [_positional(argument) for argument in verb.positionals]
    for flag in verb.flags:
        text = spelling(flag)
        words.append(text if flag.required else f"[{text}]{'…' if flag.times == '*' else ''}")
    return " ".join(words)


def spelling(argument: Argument) -> str:
    """How an argument is written: ``STUDY``, ``--set OPTION=VALUE``, ``-f, --follow``."""
    if not argument.is_flag:
        return argument.value
    names = f"{argument.short}, {argument.name}" if argument.short else argument.name
    return f"{names} {argument.value}" if argument.value else names


def meaning(argument: Argument) -> str:
    """The help of an argument with the words that it takes."""
    return f"{argument.help}: {', '.join(argument.choices)}" if argument.choices else argument.help


def verb_help(verb: Verb) -> str:
    """What ``labwright VERB --help`` prints."""
    lines = [f"usage: {usage(verb)}", "", verb.help[0].upper() + verb.help[1:] + "." + (f" {verb.note}" if verb.note else ""), ""]
    rows = [(spelling(argument), meaning(argument)) for argument in verb.arguments]
    lines += _rows([*rows, ("-h, --help", "show this")], min(max((len(name) for name, _ in rows), default=10), 28))
    if verb.example:
        lines += ["", f"Example: {verb.example}"]
    return "\n".join(_folded(lines))


def everything(manifest: dict[str, Any], pattern: str = "") -> str:
    """Every verb, argument, recipe, step and option, a line each, so that a filter and ``grep`` can pick among them.

    Raises:
        CommandError: the pattern is not a regular expression.
    """
    return "\n".join(matching(_every_line(manifest), pattern))


def matching(lines: Iterator[str] | list[str], pattern: str) -> list[str]:
    """The lines in which the regular expression occurs, whatever the case.

    Raises:
        CommandError: the pattern is not a regular expression.
    """
    try:
        found = re.compile(pattern, re.IGNORECASE)
    except re.error as error:
        raise CommandError(
            f"{pattern!r} is not a regular expression: {error}", where="--filter", todo="Put a backslash before ( [ * + ?"
        ) from None
    return [line for line in lines if found.search(line)]


def option_facts(option: dict[str, Any]) -> str:
    """Type, default and unit of an option: ``whole number ≥ 1, default 100, in epochs``."""
    facts = [option["type"], "required" if option["required"] else f"default {shown(option['default'])}"]
    if option["unit"]:
        facts.append(f"in {option['unit']}")
    if option["when"]:
        facts.append(f"with {option['when']}")
    if not option["effect"]:
        facts.append("no effect on results")
    return ", ".join(facts)


def shown(value: Any) -> str:
    """A default as it would stand in a study file."""
    import json

    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)


def _every_line(manifest: dict[str, Any]) -> Iterator[str]:
    for verb in VERBS:
        if verb.group == INNER:
            continue
        yield f"labwright {verb.name} — {verb.help}"
        for argument in verb.arguments:
            yield f"labwright {verb.name} {spelling(argument)} — {meaning(argument)}"
    for name, recipe in manifest["recipes"].items():
        yield f"recipe {name} — {recipe['doc']}"
        for step in recipe["steps"]:
            needs = f" (needs {', '.join(step['needs'])})" if step["needs"] else ""
            yield f"step {name} {step['name']}{needs} — {step['doc']}"
        for option in recipe["options"]:
            yield f"option {name} {option['path']} ({option_facts(option)}) — {option['doc']}"


def _positional(argument: Argument) -> str:
    text = f"{{{'|'.join(argument.choices)}}}" if argument.choices else argument.value
    return {"?": f"[{text}]", "+": f"{text} [{text}…]", "*": f"[{text}…]"}.get(argument.times, text)


def _rows(rows: list[tuple[str, str]], width: int) -> list[str]:
    lines = []
    for name, text in rows:
        if len(name) > width:
            lines += [f"  {name}", " " * (width + 4) + text]
        else:
            lines.append(f"  {name:<{width}}  {text}")
    return lines


def _folded(lines: list[str]) -> list[str]:
    """Lines folded at the width of the terminal, the rest of a row below its text."""
    try:
        columns = min(os.get_terminal_size().columns, 120)
    except OSError:
        columns = 100
    folded = []
    for line in lines:
        start = len(line) - len(line.lstrip())
        gap = line.find("  ", start)
        indent = gap + len(line[gap:]) - len(line[gap:].lstrip()) if gap > 0 else start
        folded += textwrap.wrap(line, max(columns, 60), subsequent_indent=" " * indent, break_on_hyphens=False) or [""]
    return folded
