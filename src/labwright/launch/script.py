"""The shell lines around a payload, the same for every launcher: task, setup, environment, caches, container, signals.

The script stays outside the container. It hands signals on, waits for the payload to save and leave, and keeps its exit code in
``$code``; what 75 ("run me again") means is for the launcher's own lines after these. ``$stop`` holds the names of the signals
that came, ``$run`` the run folder, ``$home`` the same run on the submit side, ``$task`` the task's number.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from labwright.launch import container as containers
from labwright.launch.job import Job, seen_from
from labwright.launch.site import Site, need
from labwright.launch.words import expanding
from labwright.parts.shares import Share
from labwright.runs.errors import FaultError
from labwright.study.elsewhere import VARIABLE, moved

_FREE_PORT = 'import socket; free = socket.create_server(("127.0.0.1", 0)); print(free.getsockname()[1])'


def lines(
    job: Job,
    site: Site,
    *,
    index: str = "0",
    choice: Sequence[str] = (),
    words: str = "",
    start: str = "",
    log: str = "",
    before: Sequence[str] = (),
    extra_env: Mapping[str, str] | None = None,
    handed_on: Sequence[str] = (),
) -> list[str]:
    """The body of a job script, from the traps to ``$code``.

    Args:
        job: what to start.
        site: the habits of the place.
        index: a shell word that is the number of the task, such as ``$SLURM_ARRAY_TASK_ID``.
        choice: lines that set ``$home`` and ``$run`` where that does not go by the number of the task.
        words: what follows the run folder in the payload, where that does not either.
        start: words before the payload, such as ``srun --ntasks=8``.
        log: name of a file in ``$home/jobs`` to which all that is printed goes from then on, as inside of double quotes.
        before: lines of the launcher right before the payload.
        extra_env: further environment variables, by the launcher.
        handed_on: names of variables that ``before`` or ``start`` set, for containers that hide the environment.
    """
    if job.tasks[0].verb != "step":
        # What is no run has nothing to be kept there.
        site = site.model_copy(update={"runs_root": ""})
    return [
        "set -u",
        *_traps(),
        *(choice or _task(job, site, index)),
        *([f'exec >>"$home/jobs/{log}" 2>&1'] if log else []),
        *setup(site),
        *environment(site, extra_env or {}),
        *before,
        *_there(site),
        *_payload(job, site, start, words or _words(job), [*site.env, *(extra_env or {}), *handed_on]),
        *_back(job, site),
    ]


def python(site: Site) -> str:
    """The interpreter of the payload, as the site has it; it may hold variables of the execute side."""
    inside = need(site.container.python, "container.python", site) if site.in_container else sys.executable
    return need(site.python, "python", site) or inside


def environment(site: Site, extra: Mapping[str, str]) -> list[str]:
    """Lines that set the site's variables, the places of raw data and ``extra``, and make and name the folders of caches."""
    made = [f"export {name}={expanding(need(value, f'env.{name}', site))}" for name, value in {**site.env, **extra}.items()]
    if site.data_root:
        places = [f"{shlex.quote(here)}={expanding(need(there, 'data_root', site))}" for here, there in site.data_root.items()]
        made.append(f"export {VARIABLE}={':'.join(places)}")
    return [*made, *containers.prelude(site.container, need(site.scratch, "scratch", site), kept={**site.env, **extra})]


def deadline(job: Job, site: Site) -> dict[str, str]:
    """The variable by which an attempt ends by itself before its limit; none where there is no limit."""
    if not job.resources.minutes:
        return {}
    limit = job.resources.minutes * 60
    return {"LABWRIGHT_STOP_AFTER_S": str(max(limit - site.signal_before_s, limit // 2))}


def ranks(count: int, interpreter: str) -> list[str]:
    """A shell function that starts what follows it once for each GPU of this machine, by the variables of ``torchrun``.

    ``torchrun`` itself would turn every exit code but 0 into 1, and "run me again" with them.
    """
    return [
        "ranks() {",
        "  local rank pids=() one told= code=0",
        f"  export WORLD_SIZE={count} LOCAL_WORLD_SIZE={count} MASTER_ADDR=127.0.0.1",
        f"  MASTER_PORT=$({expanding(interpreter)} -c {shlex.quote(_FREE_PORT)}); export MASTER_PORT",
        """  trap 'told=yes; kill -USR1 "${pids[@]}" 2>/dev/null' TERM USR1 INT""",
        "  for ((rank = 0; rank < WORLD_SIZE; rank++)); do",
        '    RANK=$rank LOCAL_RANK=$rank "$@" &',
        '    pids+=("$!"); [ -z "$told" ] || kill -USR1 "$!"',
        "  done",
        '  for rank in "${!pids[@]}"; do',
        "    while :; do",
        "      told=",
        '      wait "${pids[rank]}"; one=$?',
        '      [ -n "$told" ] || break',
        "    done",
        # All leave with the same code, but one that was killed.
        "    ((one > code)) && code=$one",
        "  done",
        '  return "$code"',
        "}",
    ]


def _traps() -> list[str]:
    return [
        "# Signals go on to the payload, which saves what it has and leaves with 75.",
        "stop= child= caught=",
        # USR1, whatever came: it may be said twice, while a second TERM would end the payload before it has saved.
        'hand_on() { stop="$stop $1" caught=1; [ -z "$child" ] || kill -USR1 "$child" 2>/dev/null; }',
        *(f"trap 'hand_on {name}' {name}" for name in ("TERM", "USR1", "INT")),
    ]


def _task(job: Job, site: Site, index: str) -> list[str]:
    """``$run`` is the run folder as this side sees it, ``$home`` as the other side does."""
    count = _deal(job)
    made = [f"task={index}"] if job.is_array else []
    place = "$task" if count == 1 else f"$((task / {count}))"
    made += _table("home", [shlex.quote(str(run)) for run in job.runs], place)
    if not site.runs_root:
        return [*made, "run=$home"]
    root = need(site.runs_root, "runs_root", site)
    return [*made, *_table("run", [expanding(seen_from(run, root)) for run in job.runs], place)]


def _table(name: str, values: Sequence[str], place: str) -> list[str]:
    """A variable that has one value, or another for each task."""
    if len(values) == 1:
        return [f"{name}={values[0]}"]
    return [f"{name}s=(", *(f"  {value}" for value in values), ")", f"{name}=${{{name}s[{place}]}}"]


def _deal(job: Job) -> int:
    """Into how many shares each run is dealt; the tasks have to be all shares of each run in turn."""
    first = job.tasks[0].share
    count = first.count if first else 1
    shares = [Share(index, count) for index in range(count)] if first else [None]
    if job.tasks != tuple(job.tasks[0]._replace(run=run, share=share) for run in job.runs for share in shares):
        raise FaultError("the tasks of an array are not the shares of its runs in turn", where=job.name)
    return count


def _words(job: Job) -> str:
    """What follows the run folder in the payload."""
    share = job.tasks[0].share
    if share is None or not job.is_array:
        return " ".join(job.tasks[0].words)
    return f'--share "{"$task" if len(job.runs) == 1 else f"$((task % {share.count}))"}/{share.count}"'


def setup(site: Site) -> list[str]:
    """The site's own lines; the first that fails is shown and ends the job with 78."""
    made = []
    for line in site.setup:
        said = shlex.quote(f"labwright: this setup line of site {site.name} failed: {line}")
        # Module systems and activate scripts are not written for `set -u`; the colon is for a line that is only a comment.
        made += ["set +u", "{ :", need(line, "setup", site), f"}} || {{ echo {said} >&2; exit 78; }}", "set -u"]
    return made


def _there(site: Site) -> list[str]:
    """Where whole runs stay on the execute side: take the description of the run there."""
    if not site.runs_root:
        return []
    return [
        'mkdir -p "$run"',
        # By rename: other tasks of the array look for it too.
        'if [ ! -e "$run/step.json" ]; then',
        '  new=$(mktemp "$run/.tmp-step.XXXXXX") && cp -p "$home/step.json" "$new" && mv "$new" "$run/step.json" || exit 66',
        "fi",
    ]


def _payload(job: Job, site: Site, start: str, follows: str, env: Iterable[str]) -> list[str]:
    words = [start, _inside(job, site, env), expanding(python(site)), "-m labwright", job.tasks[0].verb, '"$run"', follows]
    return [
        "# The payload; a signal that came before it began is enough to leave it.",
        "code=75",
        'if [ -z "$stop" ]; then',
        f"  {' '.join(filter(None, words))} &",
        "  child=$!",
        '  [ -z "$stop" ] || kill -USR1 "$child"',
        "  code=127",
        "  while :; do",
        "    caught=",
        '    wait "$child"; now=$?',
        # A signal ends `wait` early, and may come just when there is nothing left to wait for (127).
        '    [ "$now" -eq 127 ] || code=$now',
        '    [ "$now" -gt 128 ] && [ -n "$caught" ] || break',
        "  done",
        # A payload that had not yet begun dies of the signal; nothing is lost.
        '  case $code in 130|138|143) [ -z "$stop" ] || code=75 ;; esac',
        "fi",
        "child=",
    ]


def _back(job: Job, site: Site) -> list[str]:
    """Bring home what tells of the run: journal, findings, tables, report, ``done.json``."""
    if not site.runs_root:
        return []
    words = [_inside(job, site, site.env), expanding(python(site)), '-m labwright bring "$run" "$home"']
    return [f'{" ".join(filter(None, words))} || echo "labwright: the run stays at $run; nothing could be brought back" >&2']


def _inside(job: Job, site: Site, env: Iterable[str]) -> str:
    """The words that start something in the site's container; none where there is no container."""
    if not site.in_container:
        return ""
    need(site.container.image, "container.image", site)
    runs: list[Path | str] = sorted({folder.parent for folder in (*job.runs, *job.inputs)})
    there: list[Path | str] = [need(site.runs_root, "runs_root", site)] if site.runs_root else []
    raw = [_moved(folder, site) for folder in job.raw]
    return containers.shell_words(site.container, (), site.scratch, binds=[*runs, *there, *raw], env=dict.fromkeys([*env, VARIABLE]))


def _moved(folder: Path, site: Site) -> Path | str:
    """A folder of raw files as the execute side sees it; a text, with variables in it, where the site says so."""
    there = str(moved(str(folder), site.data_root))
    return folder if there == str(folder) else there
