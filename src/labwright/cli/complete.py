"""What the shells ask at each press of Tab: the words so far → candidates, each with a word of help.

Answers come from the table of verbs, the manifest and listings of folders; a study file is scanned as text.
Nothing here imports YAML, pydantic or a recipe.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from labwright.cli import scan
from labwright.cli.grammar import INNER, Argument, Verb
from labwright.cli.verbs import BY_NAME, VERBS

Candidate = tuple[str, str]
STUDY_ENDINGS = (".yaml", ".yml")
LAUNCHERS = (("local", "this machine"), ("slurm", "any Slurm cluster"), ("htcondor", "any HTCondor pool"))
EXPORTED = (("weights", "safetensors and a model card"), ("results", "what a run made, published"))
JOB_FILES = (("sbatch", "for Slurm"), ("condor", "for HTCondor"), ("dagman", "for HTCondor, all steps as one DAG"))


def answer(words: list[str]) -> int:
    """Print the candidates for ``SHELL LINE-OR-WORDS…``, a line each, the help after a tab.

    bash hands over the line up to the cursor, because it breaks words at ``=`` and ``:``; the others hand over words.
    """
    try:
        shell, *given = words
        typed = scan.split(given[0]) if shell == "bash" else given
        found = list(candidates(typed[1:]))
        if shell == "bash":
            # bash replaces only what follows the last break, so that is all it may be given.
            broken = max(typed[-1].rfind("="), typed[-1].rfind(":")) + 1
            found = [(value[broken:], help_text) for value, help_text in found]
        sys.stdout.write("".join(f"{value}\t{help_text}\n" for value, help_text in found))
    except Exception:
        # A broken answer must not write into the line that the user is typing.
        if os.environ.get("LABWRIGHT_TRACE"):
            raise
    return 0


def candidates(words: list[str]) -> Iterator[Candidate]:
    """Candidates for the last of ``words`` (those after ``labwright``; it may be empty or half typed)."""
    *before, current = words or [""]
    if not before:
        yield from _beginning(current, [(verb.name, verb.help) for verb in VERBS if verb.group != INNER])
        return
    verb = BY_NAME.get(before[0])
    if verb is None:
        return
    flag, positionals = _read(verb, before[1:])
    context = _Context(verb, before[1:], positionals)
    if flag is not None:
        yield from _values(flag, current, context)
    elif current.startswith("--") and "=" in current:
        name, _, value = current.partition("=")
        named = _flag(verb, name)
        if named is not None and named.value:
            yield from ((f"{name}={one}", help_text) for one, help_text in _values(named, value, context))
    elif current.startswith("-"):
        yield from _beginning(current, _flags(verb, before))
    else:
        argument = _positional(verb, len(positionals))
        if argument is not None:
            yield from _values(argument, current, context)


class _Context:
    """What the line says already: the study it names and the recipe that follows."""

    def __init__(self, verb: Verb, words: list[str], positionals: list[str]) -> None:
        self.verb, self.words, self.positionals = verb, words, positionals
        places = [word for word in positionals if word.endswith(STUDY_ENDINGS)]
        places += [os.path.join(word, "study.yaml") for word in positionals if os.path.isdir(word)]
        self.studies = [place for place in places if os.path.isfile(place)] or [place for place in ("study.yaml",) if os.path.isfile(place)]

    def value(self, flag: str) -> str:
        for index, word in enumerate(self.words):
            if word == flag and index + 1 < len(self.words):
                return self.words[index + 1]
            if word.startswith(f"{flag}="):
                return word.partition("=")[2]
        return ""

    def recipes(self) -> list[dict[str, Any]]:
        """The recipe of the line, or all where it names none."""
        from labwright.cli.manifest import load

        known: dict[str, dict[str, Any]] = load()["recipes"]
        named = self.value("--recipe") or next(filter(None, map(scan.recipe, self.studies)), "")
        return [known[named]] if named in known else list(known.values())

    def runs_folder(self) -> str:
        given = self.value("--runs")
        if given:
            return given
        for place in self.positionals:
            if os.path.isdir(place):
                return os.path.join(place, "runs") if os.path.isdir(os.path.join(place, "runs")) else place
        study = self.studies[0] if self.studies else ""
        return os.path.join(os.path.dirname(study), scan.runs_folder(study) if study else "runs")


def _read(verb: Verb, words: list[str]) -> tuple[Argument | None, list[str]]:
    """The flag that waits for its value, if one does, and the positional words so far."""
    waiting, positionals = None, []
    for word in words:
        if waiting is not None:
            waiting = None
        elif word.startswith("-"):
            flag = _flag(verb, word)
            waiting = flag if flag is not None and flag.value else None
        else:
            positionals.append(word)
    return waiting, positionals


def _flag(verb: Verb, word: str) -> Argument | None:
    return next((flag for flag in verb.flags if word in (flag.name, flag.short) and word), None)


def _flags(verb: Verb, before: list[str]) -> list[Candidate]:
    return [(flag.name, flag.help) for flag in verb.flags if flag.times == "*" or flag.name not in before]


def _positional(verb: Verb, index: int) -> Argument | None:
    arguments = verb.positionals
    if index < len(arguments):
        return arguments[index]
    return arguments[-1] if arguments and arguments[-1].times in ("*", "+") else None


def _values(argument: Argument, current: str, context: _Context) -> Iterator[Candidate]:
    if argument.choices:
        yield from _beginning(current, [(choice, "") for choice in argument.choices])
    elif argument.kind in ("study", "place"):
        yield from _paths(current, STUDY_ENDINGS)
    elif argument.kind in ("folder", "file"):
        yield from _paths(current, ("",) if argument.kind == "file" else ())
    elif argument.kind == "verb":
        yield from _beginning(current, [(verb.name, verb.help) for verb in VERBS])
    elif argument.kind == "site":
        yield from _paths(current, STUDY_ENDINGS) if "/" in current else _beginning(current, [*LAUNCHERS, *_sites(context)])
    elif argument.kind in ("export", "to"):
        yield from _exported(argument.kind, current, context)
    elif argument.kind == "recipe":
        from labwright.cli.manifest import load

        yield from _beginning(current, [(name, recipe["doc"]) for name, recipe in load()["recipes"].items()])
    elif argument.kind == "ready":
        from labwright.cli.manifest import load

        known = load()["recipes"]
        named = [known[word] for word in context.positionals if word in known]
        yield from _beginning(current, [one for recipe in named or known.values() for one in recipe.get("studies", {}).items()])
    elif argument.kind == "finding":
        from labwright.cli.manifest import load

        yield from _beginning(current, [(code, page["title"]) for code, page in load()["findings"].items()])
    elif argument.kind == "step":
        yield from _beginning(current, [(step["name"], step["doc"]) for recipe in context.recipes() for step in recipe["steps"]])
    elif argument.kind == "option":
        yield from _options(current, context)
    elif argument.kind == "parameter":
        yield from _parameters(current, context)
    elif argument.kind == "run":
        yield from _paths(current, ()) if "/" in current else _runs(current, context)


def _sites(context: _Context) -> Iterator[Candidate]:
    """Sites by name, of the folders in which :mod:`labwright.launch.site` looks."""
    configuration = os.environ.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
    shipped = os.path.join(os.path.dirname(os.path.dirname(__file__)), "launch")
    beside = [os.path.dirname(study) for study in context.studies]
    for home in ("", *beside, os.path.join(configuration, "labwright"), shipped):
        folder = os.path.join(home, "sites")
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
            if name.endswith(".yaml"):
                yield name.removesuffix(".yaml"), scan.about(os.path.join(folder, name))


def _exported(kind: str, current: str, context: _Context) -> Iterator[Candidate]:
    """What ``export`` takes: ``weights`` or ``results`` and runs, or studies; and where they go."""
    of_runs = context.positionals[:1] in (["weights"], ["results"])
    if kind == "to":
        yield from _paths(current, ()) if of_runs else _beginning(current, JOB_FILES)
    elif of_runs:
        yield from _paths(current, ()) if "/" in current else _runs(current, context)
    else:
        yield from _beginning(current, list(EXPORTED) if not context.positionals else [])
        yield from _paths(current, STUDY_ENDINGS)


def _options(current: str, context: _Context) -> Iterator[Candidate]:
    path, equals, value = current.partition("=")
    options = _by_path(context.recipes())
    if equals:
        option = options.get(path)
        if option is None:
            return
        default = "" if option["required"] else _text(option["default"])
        offered = [(one, "default" if one == default else "") for one in dict.fromkeys([*option["choices"], default]) if one]
        # Several values of a sweep stand behind one another; the last is completed.
        done = value[: value.rfind(",") + 1] if context.words[-1:] == ["--sweep"] else ""
        yield from ((f"{path}={done}{one}", help_text) for one, help_text in _beginning(value[len(done) :], offered))
    elif "." not in path:
        yield from _beginning(path, [(f"{name}.", "") for name in dict.fromkeys(one.partition(".")[0] for one in options)])
    else:
        yield from _beginning(path, [(f"{name}=", _explained(option)) for name, option in options.items()])


def _by_path(recipes: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Options by path; where several kinds of a section share one, it takes the words of all."""
    found: dict[str, dict[str, Any]] = {}
    for recipe in recipes:
        # Capitals in a path stand for a name or a place that the study gives.
        for option in (one for one in recipe["options"] if one["path"].islower()):
            known = found.setdefault(option["path"], option)
            if known is not option:
                found[option["path"]] = {**known, "choices": list(dict.fromkeys([*known["choices"], *option["choices"]]))}
    return found


def _explained(option: dict[str, Any]) -> str:
    default = "required" if option["required"] else f"default {_text(option['default']) or 'empty'}"
    unit = f" {option['unit']}" if option["unit"] else ""
    return f"{option['type']}, {default}{unit}; {option['doc']}"


def _text(value: Any) -> str:
    import json

    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _parameters(current: str, context: _Context) -> Iterator[Candidate]:
    name, equals, value = current.partition("=")
    known = {one.name: one for study in context.studies for one in scan.parameters(study)}
    if not equals:
        yield from _beginning(
            name, [(f"{one.name}=", f"{one.type}, default {one.default or 'none'}; {one.help}") for one in known.values()]
        )
    elif name in known and known[name].type == "path" and value:
        yield from ((f"{name}={one}", help_text) for one, help_text in _paths(value, ("",)))
    elif name in known and known[name].default:
        yield from _beginning(current, [(f"{name}={known[name].default}", "default")])


def _runs(current: str, context: _Context) -> Iterator[Candidate]:
    folder = context.runs_folder()
    # A run was first said by its step.json; newest first is what is looked for.
    names = (
        [name for name in os.listdir(folder) if os.path.isfile(os.path.join(folder, name, "step.json"))] if os.path.isdir(folder) else []
    )
    step = context.verb.step or context.value("--step")
    for name in sorted(names, key=lambda name: -os.path.getmtime(os.path.join(folder, name))):
        if name.startswith(current) and name.rpartition("-")[0] != step:
            yield name, "done" if os.path.isfile(os.path.join(folder, name, "done.json")) else "not complete"


def _paths(current: str, endings: tuple[str, ...]) -> Iterator[Candidate]:
    """Folders, and files with one of the endings, that begin as ``current`` does; ``~`` is understood."""
    head, tail = os.path.split(current)
    shown_head = current[: len(current) - len(tail)]
    try:
        entries = sorted(os.scandir(os.path.expanduser(head) or "."), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        if not entry.name.startswith(tail) or (entry.name.startswith(".") and not tail):
            continue
        if entry.is_dir():
            yield f"{shown_head}{entry.name}/", ""
        elif entry.name.endswith(endings):
            yield f"{shown_head}{entry.name}", ""


def _beginning(current: str, offered: Iterable[Candidate]) -> Iterator[Candidate]:
    seen = set()
    for value, help_text in offered:
        if value.startswith(current) and value not in seen:
            seen.add(value)
            yield value, help_text
