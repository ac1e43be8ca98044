"""One run as a page shows it: its panels in order, as trees. The report and the live page differ only in how they bring them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from labwright.runs import sections
from labwright.runs.energy import in_words as joules_in_words
from labwright.runs.sections import Section
from labwright.watch import panels
from labwright.watch.alive import Seen, alive, state_of
from labwright.watch.draw import draw
from labwright.watch.follow import Follow
from labwright.watch.tree import Node, node

Panels = dict[str, list[Node]]
ORDER = ("alive", "progress", "own", "curves", "pictures", "energy", "log", "changes", "parts", "siblings", "commands", "details")
SIBLING_COLUMNS = ("run", "point", "state", "done", "figures", "energy")
MOST_SIBLINGS = 200


def view(
    follow: Follow,
    others: Sequence[Follow],
    *,
    log: Sequence[tuple[str, Sequence[str]]],
    job: Seen | None = None,
    details: Callable[[], Sequence[Section]] | None = None,
    now: float | None = None,
) -> Panels:
    """The panels of a run by key, in the order in which people want to know.

    Args:
        follow: the run, read.
        others: the other runs of its folder, newest last.
        log: file names and last lines, as ``Logs.shown``.
        job: how a scheduler sees it.
        details: makes what is folded away at the end; by default from what was followed.
        now: seconds since 1970, the clock by default.
    """
    run, output = follow.run, follow.run.output()
    own = run.sections() if follow.done else []
    marks = panels.marks(follow.story.first_steps)
    runs = [one.run for one in others]
    folded = details or (lambda: panels.details(follow))
    makers: dict[str, Callable[[], Iterable[Section | None]]] = {
        "alive": lambda: [alive(follow, job, now)],
        "progress": lambda: [] if follow.done else [panels.progress(follow, now)],
        "own": lambda: ({**section, "marks": marks} if section.get("x") == "step" else section for section in own),
        "curves": lambda: [] if own else panels.curves(follow),
        "energy": lambda: [panels.joules(follow)],
        "log": lambda: [panels.log(log, opened=not follow.done)],
        "changes": lambda: [panels.changes(run, panels.parent_of(run, runs))],
        "parts": lambda: [panels.blocks(follow, now)],
        "siblings": lambda: [siblings(follow, others, now)],
        "commands": lambda: [panels.commands(run, state_of(follow, job, now), job)],
    }
    shown = {key: _drawn(make, output) for key, make in makers.items()}
    borrowed = panels.pictures(follow, others)
    shown["pictures"] = [draw(*borrowed)] if borrowed else []
    summary = node("summary", "Energy, use of the machine, attempts, options, versions")
    shown["details"] = [node("details", summary, *_drawn(folded, output))]
    return {key: shown[key] for key in ORDER}


def _drawn(make: Callable[[], Iterable[Section | None]], output: Path) -> list[Node]:
    try:
        return [draw(section, output) for section in make() if section is not None]
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, OSError) as error:
        # A run of another version, or a foreign one, must not keep the rest of the page from its reader.
        return [node("section", node("p", f"This cannot be shown: {type(error).__name__}: {error}", class_="note"))]


def siblings(follow: Follow, others: Sequence[Follow], now: float | None = None) -> Section | None:
    """The runs of the same step as a table: the points of a sweep, or what was tried with other options."""
    same = [one for one in (*others, follow) if one.run.step == follow.run.step]
    if len(same) < 2:
        return None
    same.sort(key=lambda one: str(one.run.description.get("created", "")))
    rows = [_sibling(one, follow, now) for one in same[-MOST_SIBLINGS:]]
    note = f"The newest {MOST_SIBLINGS} of {len(same)}." if len(same) > MOST_SIBLINGS else ""
    return sections.table(f"Runs of {follow.run.step}", SIBLING_COLUMNS, rows, note)


def _sibling(one: Follow, here: Follow, now: float | None) -> list[sections.Cell]:
    mark = " (this one)" if one is here else ""
    point = str(one.run.description.get("sweep") or "")
    energy = joules_in_words(one.story.energy) if one.story.energy else ""
    return [f"{one.run.name}{mark}", point, one.state(now), f"{100 * done_share(one):.0f} %", _figures(one), energy]


def done_share(follow: Follow) -> float:
    """How much of a run is done, 0 to 1: by its parts, and within the last by its pace."""
    if follow.done:
        return 1.0
    story = follow.story
    done = sum(state == "done" for state in story.parts.values())
    pace = next(reversed(story.paces.values()), None)
    within = pace.done / pace.total if pace is not None and pace.total > 0 else 0.0
    count = len(follow.parts)
    if count > 1:
        return min(1.0, done / count)
    return min(1.0, max(within, float(done)))


def _figures(follow: Follow) -> str:
    """The figures that tell runs of a step apart: of the best validation, else the first of the run."""
    figures: Mapping[str, object] = (follow.done or {}).get("figures", {})
    numbers = {name: value for name, value in figures.items() if isinstance(value, (int, float)) and not isinstance(value, bool)}
    best = {name: value for name, value in numbers.items() if name.startswith("best_") and name != "best_step"}
    if not numbers:
        for (part, phase, name), series in follow.story.curves.items():
            if phase == "validate" and part in follow.story.best and (value := series.at(follow.story.best[part])) is not None:
                best[f"best_{name}"] = value
    return ", ".join(f"{name.removeprefix('best_').replace('_', ' ')} {value:.4g}" for name, value in list((best or numbers).items())[:3])
