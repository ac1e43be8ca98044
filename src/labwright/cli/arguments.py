"""Words of a command line → values, for one verb of the table; mistakes are answered with the nearest right word."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import NoReturn

from labwright.cli.grammar import Argument, Verb
from labwright.cli.manifest import load
from labwright.cli.verbs import BY_NAME, VERBS
from labwright.runs.errors import CommandError
from labwright.study.messages import nearest

ALSO_CALLED = {"codes": "findings", "files": "sources"}
"""Words for a choice that are far from how it is spelled."""
_REQUIRED = "the following arguments are required: "


class _Parser(argparse.ArgumentParser):
    verb: Verb

    def error(self, message: str) -> NoReturn:
        if message.startswith(_REQUIRED):
            message = f"{message.removeprefix(_REQUIRED)} is missing"
        raise CommandError(message.removeprefix("argument "), where=f"labwright {self.verb.name}", todo=_see(self.verb))


def verb_named(name: str) -> Verb:
    """The verb of this name.

    Raises:
        CommandError: there is none; the nearest is named.
    """
    if name in BY_NAME:
        return BY_NAME[name]
    if name.endswith((".yaml", ".yml")):
        todo = f"To run this study: `labwright run {name}`."
    elif name in load()["recipes"]:
        todo = f"{name} is a recipe: `labwright list options --recipe {name}` shows its options, `labwright new {name}` begins a study."
    elif close := nearest(name, BY_NAME):
        todo = f"Did you mean `labwright {close}`?"
    else:
        todo = "`labwright help` lists them."
    raise CommandError(f"there is no verb {name!r}", todo=todo)


def parse(verb: Verb, words: Sequence[str]) -> argparse.Namespace:
    """Read the words that follow the verb; flags and positional arguments may stand in any order.

    Where the verb takes a command, that is all that follows ``--``.

    Raises:
        CommandError: a word is not known, missing, or not one of those an argument takes.
    """
    parser = _Parser(prog=f"labwright {verb.name}", add_help=False, allow_abbrev=False)
    parser.verb = verb
    command = next((argument for argument in verb.arguments if argument.kind == "command"), None)
    for argument in verb.arguments:
        if argument != command:
            _add(parser, argument)
    end = words.index("--") if command and "--" in words else len(words)
    found, rest = parser.parse_known_intermixed_args(list(words[:end]))
    if command:
        setattr(found, command.attribute, list(words[end + 1 :]))
    if rest:
        raise _unknown(verb, next((word for word in rest if word.startswith("-")), rest[0]))
    for argument in verb.arguments:
        _check_choice(verb, argument, getattr(found, argument.attribute))
    return found


def _add(parser: argparse.ArgumentParser, argument: Argument) -> None:
    if not argument.is_flag:
        nargs = argument.times or None
        parser.add_argument(argument.attribute, nargs=nargs, metavar=argument.value)
        return
    names = (argument.short, argument.name) if argument.short else (argument.name,)
    if not argument.value:
        parser.add_argument(*names, action="store_true", dest=argument.attribute)
    elif argument.times == "*":
        parser.add_argument(*names, action="append", default=[], dest=argument.attribute, metavar=argument.value)
    else:
        parser.add_argument(*names, dest=argument.attribute, metavar=argument.value, required=argument.required)


def _check_choice(verb: Verb, argument: Argument, value: str | None) -> None:
    if not argument.choices or value is None or value in argument.choices:
        return
    called = ALSO_CALLED.get(value, "")
    close = called if called in argument.choices else nearest(value, argument.choices)
    raise CommandError(
        f"{argument.name if argument.is_flag else argument.value} cannot be {value!r}",
        where=f"labwright {verb.name}",
        todo=(f"Did you mean {close!r}? " if close else "") + f"It takes {', '.join(argument.choices)}.",
    )


def _unknown(verb: Verb, word: str) -> CommandError:
    name, _, value = word.partition("=")
    flags = [flag.name for flag in verb.flags]
    if not word.startswith("-"):
        what, todo = f"there is one word too many: {word!r}", _see(verb)
    elif "." in name and "--set" in flags:
        what, todo = f"there is no flag {name}", f"Options are set with `--set {name.lstrip('-')}={value or 'VALUE'}`."
    elif close := nearest(name, flags):
        what, todo = f"there is no flag {name}", f"Did you mean {close}?"
    else:
        others = [other.name for other in VERBS if any(flag.name == name for flag in other.flags)]
        what, todo = f"there is no flag {name}", f"{', '.join(others[:4])} take it." if others else _see(verb)
    return CommandError(what, where=f"labwright {verb.name}", todo=todo)


def _see(verb: Verb) -> str:
    return f"`labwright help {verb.name}` shows how."
