"""Reference pages in Markdown, from the same table and manifest as help and completion.

    python -m labwright.cli.pages docs/reference      # after a change of verbs or options: these pages and the manifest

A test compares the pages in the repository with what this writes.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from labwright.cli.grammar import Verb
from labwright.cli.helptext import EXIT_CODES, meaning, shown, spelling, usage
from labwright.cli.manifest import SHIPPED, build, shipped_recipes, write_shipped
from labwright.cli.verbs import VERBS
from labwright.launch.site import BUNDLED, Habits, Queue, load_site, unknowns
from labwright.study.options import Options
from labwright.study.schema import walk

NOTE = "<!-- Written by `python -m labwright.cli.pages docs/reference`; change the source, not this page. -->"


def pages(manifest: dict[str, Any]) -> dict[str, str]:
    """File name → text of every page."""
    texts = {"command-line.md": "\n".join(_command_line(manifest)) + "\n"}
    for name, recipe in manifest["recipes"].items():
        texts[f"options-{name}.md"] = "\n".join(_options(name, recipe)) + "\n"
    texts["sites.md"] = "\n".join(_sites()) + "\n"
    return texts


def _command_line(manifest: dict[str, Any]) -> Iterator[str]:
    yield from ("# The command line", "", NOTE, "")
    yield "`labwright help VERB` prints the same on the terminal, `labwright help --all --filter WORD` searches in all of it."
    yield "Options of a study are no flags: they are set in its file or with `--set`. They are listed by recipe:"
    yield ", ".join(f"[{name}](options-{name}.md)" for name in manifest["recipes"]) + "."
    yield ""
    for group in dict.fromkeys(verb.group for verb in VERBS):
        yield from (f"## {group}", "")
        for verb in VERBS:
            if verb.group == group:
                yield from _verb(verb)
    yield from ("## Exit codes", "", "| code | meaning |", "|---|---|")
    yield from (f"| {code} | {words} |" for code, words in EXIT_CODES)
    yield from ("", "## Environment variables", "", "| variable | meaning |", "|---|---|")
    yield "| `LABWRIGHT_TRACE` | set to anything: show the traceback of a fault of ours, which otherwise goes to a file |"
    yield "| `LABWRIGHT_STOP_AFTER_S` | `labwright step` saves, stops and leaves with 75 after so many seconds; job scripts set it |"
    yield "| `LABWRIGHT_PATHS` | `/here=/there:…`: raw data named below `/here` lie below `/there`; job scripts set it |"
    yield "| `LABWRIGHT_RANKS` | `slurm`: the processes of this Slurm step train together; job scripts set it |"
    yield "| `LABWRIGHT_WATTS_PER_CORE` | what a busy core is taken to draw where nothing can be measured |"
    yield "| `XDG_CONFIG_HOME` | `labwright/sites` below it holds your sites; `~/.config` by default |"
    yield "| `XDG_STATE_HOME` | where your submissions are listed for `labwright status`; `~/.local/state` by default |"
    yield "| `XDG_CACHE_HOME` | where the recipes of other packages are remembered for help and completion; `~/.cache` by default |"


def _verb(verb: Verb) -> Iterator[str]:
    yield from (f"### {verb.name}", "", verb.help[0].upper() + verb.help[1:] + "." + (f" {verb.note}" if verb.note else ""), "")
    yield from ("```text", usage(verb), "```", "")
    if verb.arguments:
        yield from ("| argument | meaning |", "|---|---|")
        yield from (f"| `{_cell(spelling(argument))}` | {_cell(meaning(argument))} |" for argument in verb.arguments)
        yield ""
    yield from ("```bash", verb.example, "```", "")


def _options(name: str, recipe: dict[str, Any]) -> Iterator[str]:
    yield from (f"# Options of the recipe {name}", "", NOTE, "", recipe["doc"], "")
    explained = {step["name"]: step["doc"] for step in recipe["steps"]} | {"run": "How and where runs are made; the same in every recipe."}
    for step, doc in explained.items():
        yield from (f"## {step}", "", doc, "")
        yield from ("| option | type | default | unit | meaning |", "|---|---|---|---|---|")
        for option in recipe["options"]:
            if option["path"].partition(".")[0] == step:
                yield _row(option)
        yield ""
    yield "Options with *no effect* change no result: they stay out of fingerprints, and a run is found again whatever they are."


def _sites() -> Iterator[str]:
    yield from ("# Sites", "", NOTE, "")
    yield "A site is a small YAML file with one cluster's habits, so that a study says nothing about the cluster. `--on NAME` looks for"
    yield "`NAME.yaml` in `./sites`, in the folder `sites` beside the study, in `~/.config/labwright/sites`, and among those that come with"
    yield "Labwright; a path to a file does as well. `labwright site list` shows all, `labwright site show NAME` what one means."
    yield from (
        "",
        "A value that only the site's users can tell is the word `unknown`: a job that needs it is refused, and nothing is guessed.",
    )
    yield "`labwright site probe --to sites/NAME.yaml` writes a file from what a login node tells."
    yield ""
    yield "A site's file is code that you trust: its `setup` lines are run, on the machines that work and by `labwright shell`. A study"
    yield "folder that somebody gave you may hold one under the name of a site that you know, in its folder `sites`; `submit`, `run` and"
    yield "`shell` print which file it is where it did not come with Labwright. Read it first."
    yield from ("", "## Sites that come with Labwright", "", "| site | kind | about | unknown |", "|---|---|---|---|")
    for path in sorted(BUNDLED.glob("*.yaml")):
        site = load_site(str(path))
        unknown = ", ".join(f"`{name}`" for name in unknowns(site))
        yield f"| [{site.name}](../../src/labwright/launch/sites/{path.name}) | {site.kind} | {_cell(site.about)} | {unknown} |"
    yield from ("", "`--on local`, `--on slurm` and `--on htcondor` mean the three generic ones.", "")
    yield from ("## A site", "", "| option | type | default | unit | meaning |", "|---|---|---|---|---|")
    yield from _site_rows(Habits)
    yield from ("", "## A queue", "", "The queues are named by kind of step (`cpu`, `gpu`) or by step, which goes first.", "")
    yield from ("| option | type | default | unit | meaning |", "|---|---|---|---|---|")
    yield from _site_rows(Queue, "queues.KIND")


def _site_rows(model: type[Options], prefix: str = "") -> Iterator[str]:
    # Nothing of a site changes a result, so that no row needs to say so.
    yield from (_row({**asdict(option), "effect": True}) for option in walk(model, prefix))


def _row(option: dict[str, Any]) -> str:
    default = "required" if option["required"] else f"`{_cell(shown(option['default']))}`"
    when = f" (with `{option['when']}`)" if option["when"] else ""
    mark = "" if option["effect"] else " *No effect.*"
    return f"| `{option['path']}`{when} | {_cell(option['type'])} | {default} | {option['unit']} | {_cell(option['doc'])}{mark} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    write_shipped(Path(SHIPPED))
    for file, text in pages(build(shipped_recipes())).items():
        Path(sys.argv[1], file).write_text(text, encoding="utf-8")
