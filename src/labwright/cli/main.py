"""``labwright VERB …``: find the verb, parse its words, carry it out, and leave with the right exit code.

Only what the verb at hand needs is imported. Whatever a user can cause ends in one clear line; anything
else is our fault (70), and its traceback goes to a file.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence

from labwright.cli import STOPPED
from labwright.runs.errors import DeniedError, Exit, LabwrightError


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        # A file's name may be no text at all; that must not break the line that names it.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if words[:1] == ["__complete"]:
        from labwright.cli.complete import answer

        return answer(words[1:])
    try:
        code = _guarded(words)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # The reader of a pipe (head, less) has seen enough. The interpreter would complain once more when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return int(Exit.DONE)


def _guarded(words: list[str]) -> int:
    """Carry out the words; every error but that of a closed pipe ends in a line and a code."""
    try:
        return int(_carry_out(words))
    except LabwrightError as error:
        return tell(_by_verb(error, words), as_json="--json" in words)
    except KeyboardInterrupt:
        print(STOPPED, file=sys.stderr)
        return int(Exit.AGAIN)
    except BrokenPipeError:
        raise
    except Exception as error:
        if isinstance(error, OSError):
            from pathlib import Path

            from labwright.runs.publish import disk_error

            sentence = disk_error(error, Path(os.fsdecode(error.filename or ".")))
            if isinstance(sentence, LabwrightError):
                return tell(_by_verb(sentence, words), as_json="--json" in words)
        if isinstance(error, ModuleNotFoundError):
            from labwright.cli.absent import not_installed

            if absent := not_installed(error):
                return tell(absent, as_json="--json" in words)
        return _our_fault(error, words)


def _by_verb(error: LabwrightError, words: list[str]) -> LabwrightError:
    """The error; where a place cannot be written, with the option by which this verb takes another."""
    from labwright.cli.verbs import BY_NAME

    verb = BY_NAME.get(words[0])
    if verb is None or not isinstance(error, DeniedError):
        return error
    flags = [f"{flag.name} {flag.value}" for name in ("--to", "--runs") for flag in verb.flags if flag.name == name and flag.value]
    other = f"name another place with {flags[0]}" if flags else "name another place"
    return DeniedError(error.what, where=error.where, todo=f"Change its permissions, or {other}.")


def tell(error: LabwrightError, *, as_json: bool) -> int:
    """Say what is wrong, as a line on standard error or as JSON on standard output; returns the exit code."""
    if as_json:
        import json

        print(json.dumps({"code": int(error.code), "error": describe(error)}, indent=1, ensure_ascii=False))
    elif error.code == Exit.AGAIN:
        print(f"labwright: {error}", file=sys.stderr)
    else:
        print(f"labwright: error: {error}", file=sys.stderr)
    return int(error.code)


def describe(error: LabwrightError) -> dict[str, str]:
    """An error as JSON."""
    return {"what": error.what, "where": error.where, "todo": error.todo}


def _carry_out(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help"):
        from labwright.cli.helptext import overview

        print(overview())
        return Exit.DONE if words else Exit.COMMAND
    if words[0] in ("-V", "--version"):
        from labwright import __version__

        print(f"labwright {__version__}")
        return Exit.DONE
    from labwright.cli.verbs import BY_NAME

    asked = words[: words.index("--")] if "--" in words else words
    if words[0] in BY_NAME and ("-h" in asked or "--help" in asked):
        from labwright.cli.helptext import verb_help

        print(verb_help(BY_NAME[words[0]]))
        return Exit.DONE

    import importlib

    from labwright.cli.arguments import parse, verb_named

    verb = verb_named(words[0])
    arguments = parse(verb, words[1:])
    arguments.short_form = verb.step
    command = importlib.import_module(f"labwright.cli.commands.{verb.module or verb.name}")
    return int(command.run(arguments))


def _our_fault(error: Exception, words: list[str]) -> int:
    import tempfile
    import traceback

    from labwright import __version__

    if os.environ.get("LABWRIGHT_TRACE"):
        traceback.print_exception(error)
    with tempfile.NamedTemporaryFile("w", prefix="labwright-fault-", suffix=".txt", delete=False, encoding="utf-8") as stream:
        stream.write(f"labwright {__version__}, python {sys.version}\nlabwright {' '.join(words)}\n\n")
        traceback.print_exception(error, file=stream)
    fault = LabwrightError(
        f"this is our fault and not yours: {type(error).__name__}: {error}",
        todo=f"The traceback is in {stream.name}; please send it with a report. LABWRIGHT_TRACE=1 shows it here.",
    )
    return tell(fault, as_json="--json" in words)
