"""What the page says about one run, as report sections in the order in which people want to know."""

from __future__ import annotations

import shlex
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from labwright.runs import energy, sections
from labwright.runs.run import Run
from labwright.runs.sections import Section
from labwright.watch import chapters
from labwright.watch.alive import Seen
from labwright.watch.follow import Follow
from labwright.watch.pace import in_words, time_left
from labwright.watch.story import Pace

MOST_BLOCKS, MOST_BARS = 900, 4
"""More parts than this share squares; of more kinds of progress the last are shown."""


def progress(follow: Follow, now: float | None = None) -> Section | None:
    """How far it is, what is left, whether it waits for data, and how busy the devices are."""
    story, running = follow.story, follow.state(now) == "running"
    bars = []
    for pace in _paces(follow)[-MOST_BARS:]:
        words = in_words(time_left(pace.seen, pace.total, now=time.time() if now is None else now) if running else None)
        bars.append({"title": pace.title, "done": pace.done, "total": pace.total, "words": words})
    if len(follow.parts) > 1:
        done = sum(state == "done" for state in story.parts.values())
        bars.append({"title": "parts", "done": done, "total": len(follow.parts), "words": ""})
    items = [*_pace_figures(follow), *_use_figures(follow)]
    return {"kind": "progress", "title": "Progress", "bars": bars, "items": items} if bars or items else None


def curves(follow: Follow) -> list[Section]:
    """A plot for each metric, training and validation in the same axes, with attempts and the best step marked."""
    story = follow.story
    plots: dict[str, dict[str, list[tuple[float, float]]]] = {}
    best: dict[str, list[list[Any]]] = {}
    for (part, phase, name), series in story.curves.items():
        line = f"{phase} {part}".strip()
        plots.setdefault(name, {})[line] = series.thinned()
        if part in story.best and phase == "validate" and (value := series.at(story.best[part])) is not None:
            best.setdefault(name, []).append([line, story.best[part], value])
    made = []
    for name, lines in sorted(plots.items(), key=lambda plot: (plot[0] != "loss", plot[0] == "learning_rate")):
        note = "; ".join(f"best so far, {line}: {value:.4g} at step {step}" for line, step, value in best.get(name, ()))
        shown = name.replace("_", " ")
        title = shown if len(lines) > 1 else f"{shown} · {next(iter(lines))}"
        section = sections.curves(title, lines, x="step", y=shown, marks=marks(story.first_steps), note=note)
        made.append({**section, "best": best.get(name, [])})
    return made


def marks(first_steps: Mapping[str, float]) -> list[float]:
    """Where attempts after the first began, by the first step that each recorded."""
    return [first_steps[stem] for stem in sorted(first_steps)][1:]


def pictures(follow: Follow, others: Sequence[Follow]) -> tuple[Section, Path] | None:
    """The last pictures of the newest other run that has some, until this one is done; with their folder."""
    if follow.done:
        return None
    for other in reversed(others):
        if other.pictures:
            section = other.pictures[-1]
            return {**section, "title": f"{section.get('title', '')} · of {other.run.name}"}, other.run.output()
    return None


def joules(follow: Follow) -> Section:
    """Joules so far by method; unlike methods are not added up."""
    items = []
    for method, total in energy.totals(follow.story.energy).items():
        if total is not None:
            rows = [row for row in follow.story.energy if row["method"] == method and row["joules"] is not None]
            scopes = ", ".join(dict.fromkeys(str(row["scope"]) for row in rows))
            amount, unit = energy.amount(total).rsplit(" ", 1)
            hours = f"{total / 3.6e6:.3g} kWh" if total >= 3.6e6 else f"{total / 3600:.3g} Wh"
            note = f"{hours}; covers {min(row['coverage'] for row in rows):.0%} of the time or more"
            items.append(sections.figure(method, amount, unit=unit, method=scopes, note=note))
    return sections.figures("Energy", items or [sections.figure("joules", None)])


def log(shown: Sequence[tuple[str, Sequence[str]]], *, opened: bool) -> Section | None:
    """The last lines that each process printed; ``opened``: the first of them unfolded."""
    files = [[name, list(lines)] for name, lines in shown]
    return {"kind": "log", "title": "Log", "files": files, "opened": opened} if files else None


def changes(run: Run, parent: Run | None) -> Section | None:
    """The options in which a run differs from the one before it of the same step."""
    if parent is None:
        return None
    here, there = (chapters.flat(one.options) | {"seed": one.description.get("seed")} for one in (run, parent))
    rows: list[list[sections.Cell]] = [
        [name, _text(there, name), _text(here, name)] for name in here | there if here.get(name) != there.get(name)
    ]
    title = f"What changed since {parent.name}"
    if not rows:
        return sections.text(title, "Options and seed are the same; what feeds it, or the step's version, differs.")
    return sections.table(title, ["option", "there", "here"], rows)


def parent_of(run: Run, others: Sequence[Run]) -> Run | None:
    """The newest run of the same step that is older than this one; the newest other where none is."""
    same = [one for one in others if one.step == run.step and one.folder != run.folder]
    same.sort(key=lambda one: str(one.description.get("created", "")))
    older = [one for one in same if str(one.description.get("created", "")) <= str(run.description.get("created", ""))]
    return (older or same)[-1] if same else None


def blocks(follow: Follow, now: float | None = None) -> Section | None:
    """A square for each part: done, running, failed or waiting."""
    if len(follow.parts) < 2:
        return None
    story, at_work = follow.story, set(follow.workers()) if follow.state(now) == "running" else set()
    states = []
    for part in follow.parts:
        state = story.parts.get(part, "waiting")
        if state == "begun":
            at_it = story.begun_in.get(part)
            state = "running" if at_it in at_work and at_it not in story.ends else "waiting"
        states.append(state)
    counts = Counter(states)
    size = -(-len(states) // MOST_BLOCKS)
    squares = []
    for begin in range(0, len(states), size):
        group = states[begin : begin + size]
        # A square of several parts shows what needs looking at first.
        state = next(one for one in ("failed", "running", "waiting", "done") if one in group)
        name = follow.parts[begin] if size == 1 else f"{follow.parts[begin]} … {follow.parts[begin + len(group) - 1]}"
        squares.append([name, state])
    failures = [f"{part}: {reason}" for part, reason in story.failures.items() if story.parts.get(part) == "failed"]
    counted = {state: counts[state] for state in ("done", "running", "failed", "waiting")}
    return {"kind": "blocks", "title": "Parts", "blocks": squares, "counts": counted, "note": "; ".join(failures[:5])}


def commands(run: Run, state: str, job: Seen | None = None) -> Section:
    """Commands to copy: follow the log, enter the job, stop it, go on, keep a page."""
    folder = shlex.quote(str(run.folder.resolve()))
    rows = [["follow what it prints", f"labwright logs {folder} -f"]]
    if job is not None:
        rows.append(["a shell beside it", f"labwright attach {folder}"])
        rows.append(["stop it gently", f"labwright cancel {folder}"])
    if state in ("stopped", "failed", "silent", "ready"):
        rows.append(["go on", f"labwright step {folder}"])
    rows.append(["keep a page of it", f"labwright report {folder}"])
    return {"kind": "commands", "title": "Commands", "commands": rows}


def details(follow: Follow) -> list[Section]:
    """Energy by stage, use of the machine, attempts, options, versions."""
    story = follow.story
    starts = list(story.starts.values())
    made = [
        chapters.energy(story.energy),
        *chapters.machine_use(list(story.usage), starts),
        chapters.findings(list(story.found)),
        chapters.attempts(starts, list(story.ends.values())),
        chapters.options(follow.run),
        chapters.versions(follow.run),
    ]
    return [section for section in made if section is not None]


def _paces(follow: Follow) -> list[Pace]:
    """How the work of the newest attempts gets on, that told of last at the end."""
    at_work = set(follow.workers())
    return [pace for pace in follow.story.paces.values() if pace.file in at_work]


def _pace_figures(follow: Follow) -> list[dict[str, Any]]:
    story = follow.story
    made = []
    for pace in _paces(follow)[-1:]:
        if (rate := _rate(pace.seen)) is not None:
            made.append(sections.figure("speed", rate, unit="/s", note=pace.title))
        for name, value in pace.fields.items():
            if value is not None and name != "joules":
                made.append(_data_wait(value) if name == "data_wait" else sections.figure(name.replace("_", " "), value))
    if story.saved is not None:
        made.append(sections.figure("last saved at step", story.saved["step"]))
    return made


def _data_wait(value: Any) -> dict[str, Any]:
    share = float(value.rstrip("%")) if isinstance(value, str) and value.rstrip("%").replace(".", "", 1).isdigit() else None
    note = "" if share is None else "bound by reading" if share >= 20 else "bound by computing"
    return sections.figure("waits for data", value, note=note)


def _rate(seen: Sequence[tuple[float, float]]) -> float | None:
    if len(seen) < 2 or seen[-1][0] <= seen[0][0]:
        return None
    return (seen[-1][1] - seen[0][1]) / (seen[-1][0] - seen[0][0])


def _use_figures(follow: Follow) -> list[dict[str, Any]]:
    """The newest usage sample."""
    if not follow.story.usage:
        return []
    last, made = follow.story.usage[-1], []
    for gpu in last["gpus"] or []:
        watts = f"{gpu['watts']:.0f} W" if gpu.get("watts") is not None else ""
        made.append(sections.figure(f"GPU {gpu.get('index')}", gpu.get("utilisation_percent"), unit="%", note=watts))
        if gpu.get("memory_bytes") is not None:
            made.append(sections.figure(f"GPU {gpu.get('index')} memory", gpu["memory_bytes"] / 2**30, unit="GiB"))
    if last["cpu_percent"] is not None:
        made.append(sections.figure("processor", last["cpu_percent"], unit="%", note="100 % is one core"))
    if last["memory_bytes"] is not None:
        made.append(sections.figure("memory", last["memory_bytes"] / 2**30, unit="GiB"))
    return made


def _text(values: Mapping[str, Any], name: str) -> str:
    return str(values[name]) if name in values else "–"
