"""The shell lines around a payload, the same for every launcher: task, setup, environment, caches, container, signals.

The script stays outside the container. It hands signals on, waits for the payload to save and leave, and keeps its exit code in
``$code``; what 75 ("run me again") means is for the launcher's own lines after these.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Sequence

from labwright.launch import container as containers
from labwright.launch.job import Job, seen_from
from labwright.launch.site import Site, need

_NAME = re.compile(r"\$(\w+|\{\w+\})")


def lines(job: Job, site: Site, *, index: str = "0", start: str = "", extra_env: dict[str, str] | None = None) -> list[str]:
    """The body of a job script, from the choice of the task to ``code=…``.

    Args:
        job: what to start.
        site: the habits of the place.
        index: a shell word that is the number of the task, such as ``$SLURM_ARRAY_TASK_ID``.
        start: words before the payload, such as ``srun --ntasks=8``.
        extra_env: further environment variables, by the launcher.
    """
    if job.tasks[0].verb != "step":
        # What is no run has nothing to be kept there.
        site = site.model_copy(update={"runs_root": ""})
    return [
        "set -u",
        *_task(job, site, index),
        *_setup(site),
        *environment(site, extra_env or {}),
        *_here(job, site),
        *_payload(job, site, start),
        *_back(site),
    ]


def expanding(text: str) -> str:
    """A shell word in which ``$NAME`` is filled in where the script runs, and nothing else is."""
    pieces, end = [], 0
    for match in _NAME.finditer(text):
        pieces += [_literal(text[end : match.start()]), match[0]]
        end = match.end()
    return f'"{"".join(pieces)}{_literal(text[end:])}"'


def python(site: Site) -> str:
    """The interpreter of the payload, as the site has it."""
    return site.python or (site.container.python if site.in_container else sys.executable)


def environment(site: Site, extra: dict[str, str]) -> list[str]:
    """``export`` lines: the site's variables, caches off home, paths of raw data."""
    variables = {**site.env, **containers.environment(site.container, site.scratch), **extra}
    if site.data_root:
        variables["LABWRIGHT_PATHS"] = ":".join(f"{here}={there}" for here, there in site.data_root.items())
    made = [f"export {name}={expanding(need(value, f'env.{name}', site))}" for name, value in variables.items()]
    folders = [f'"${{{name}}}"' for name in variables if name.endswith(("CACHEDIR", "TMPDIR", "CACHE_DIR"))]
    return made + ([f"mkdir -p {' '.join(folders)}"] if folders else [])


def _task(job: Job, site: Site, index: str) -> list[str]:
    """``$run`` is the run folder as this side sees it, ``$words`` what follows it in the payload."""
    folders = [seen_from(task.run, site.runs_root) for task in job.tasks]
    words = [" ".join(task.words) for task in job.tasks]
    if not job.is_array:
        return [f"run={expanding(folders[0])}", f"words={shlex.quote(words[0])}"]
    quote = expanding if site.runs_root else shlex.quote
    return [
        f"task={index}",
        "runs=(",
        *(f"  {quote(folder)}" for folder in folders),
        ")",
        "words=(",
        *(f"  {shlex.quote(word)}" for word in words),
        ")",
        "run=${runs[$task]} words=${words[$task]}",
    ]


def _setup(site: Site) -> list[str]:
    """The site's own lines; the first that fails is shown and ends the job with 78."""
    made = []
    for line in site.setup:
        # Module systems and activate scripts are not written for `set -u`.
        said = shlex.quote(f"labwright: this setup line of site {site.name} failed: {line}")
        made += ["set +u", "{ " + need(line, "setup", site), f"}} || {{ echo {said} >&2; exit 78; }}", "set -u"]
    return made


def _here(job: Job, site: Site) -> list[str]:
    """Where whole runs stay on the execute side: take the description there."""
    if not site.runs_root:
        return []
    return [
        f"runs_root={expanding(need(site.runs_root, 'runs_root', site))}",
        f"back=({' '.join(shlex.quote(str(task.run)) for task in job.tasks)})",
        "home=${back[${task:-0}]}",
        'mkdir -p "$run"',
        '[ -e "$run/step.json" ] || cp "$home/step.json" "$run/step.json"',
    ]


def _payload(job: Job, site: Site, start: str) -> list[str]:
    command = _in_container(site, [python(site), "-m", "labwright", job.tasks[0].verb])
    ahead = f"{start} " if start else ""
    return [
        "child= told=",
        # The payload saves and leaves with 75; `wait` comes back early whenever a signal was handed on.
        """trap 'told=yes; [ -z "$child" ] || kill -TERM "$child" 2>/dev/null' TERM USR1 INT""",
        f'{ahead}{command} "$run" $words &',
        'child=$!; [ -z "$told" ] || kill -TERM "$child"',
        "while :; do",
        "  told=",
        '  wait "$child"; code=$?',
        '  [ -n "$told" ] || break',
        "done",
        "trap - TERM USR1 INT",
        # A payload that is told to stop before it listens is ended by the signal itself, and has begun nothing.
        '[ "$code" -ne 143 ] || code=75',
    ]


def _in_container(site: Site, words: Sequence[str]) -> str:
    if not site.in_container:
        return " ".join(shlex.quote(word) for word in words)
    return containers.shell_words(site.container, words, site.scratch)


def _back(site: Site) -> list[str]:
    """Bring home what tells of the run: journal, findings, tables, report, ``done.json``."""
    if not site.runs_root:
        return []
    bring = _in_container(site, [python(site), "-m", "labwright", "bring"])
    return [f'{bring} "$run" "$home" || echo "labwright: the run stays at $run; nothing could be brought back" >&2']


def _literal(text: str) -> str:
    return re.sub(r'([\\"$`])', r"\\\1", text)
