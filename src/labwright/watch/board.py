"""The runs that a page shows: found in a few folders, followed together, known to the browser by numbers that say nothing."""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from labwright.runs.errors import LabwrightError
from labwright.runs.run import Run
from labwright.watch.alive import Seen, state_of
from labwright.watch.follow import Follow
from labwright.watch.logs import Logs
from labwright.watch.pace import span, time_left
from labwright.watch.tree import Node, node
from labwright.watch.view import Panels, done_share, view

FIND_EVERY_S = 5.0
JOBS_EVERY_S = 60.0
SHARE_OF_TIME = 0.004
"""How much of one core looking may take: the longer a look took, the longer the pause after it."""
LEAST_PAUSE_S = 1.0
TURN_S, SLOW_TURN_S = 5.0, 30.0

Jobs = Callable[[], Mapping[str, Seen]]
"""How schedulers see the runs, by the absolute path of the run folder."""


class Board:
    """All methods may be called from any thread, one at a time."""

    def __init__(self, folders: Sequence[Path], *, keep: Callable[[Run], bool] = lambda _: True, jobs: Jobs | None = None) -> None:
        """
        Args:
            folders: folders of runs, or run folders.
            keep: which of the runs found there to show.
            jobs: asked now and then; what it raises is passed over.
        """
        self.folders = [folder.resolve() for folder in folders]
        self.runs: dict[str, Follow] = {}
        """By id, in the order in which they were found."""
        self._keep, self._ask_jobs = keep, jobs
        self._known: dict[Path, str] = {}
        self._seen: Mapping[str, Seen] = {}
        self._logs: dict[str, Logs] = {}
        self._find_due = self._look_due = self._jobs_due = 0.0
        self._lock = threading.Lock()

    def look(self) -> None:
        """Read what is new of all runs, unless it is too early for the time that this takes."""
        with self._lock:
            if (now := time.monotonic()) < self._look_due:
                return
            began = time.thread_time()
            if now >= self._find_due:
                with contextlib.suppress(OSError):
                    self._find()
                self._find_due = now + FIND_EVERY_S
            for follow in self.runs.values():
                # A disk that went away takes only its own runs out of sight.
                with contextlib.suppress(OSError):
                    follow.look()
            self._look_due = now + pause_after(time.thread_time() - began)
        if self._ask_jobs is not None and now >= self._jobs_due:
            self._jobs_due = now + JOBS_EVERY_S
            # A scheduler's tools may take long: nothing waits for them.
            threading.Thread(target=self._ask_schedulers, args=(self._ask_jobs,), daemon=True).start()

    def names(self) -> dict[str, str]:
        """Names of all runs by id, those at work first, then by the last sign of life."""
        order = {"running": 0, "silent": 1}
        with self._lock:
            found = sorted(self.runs.items(), key=lambda one: (order.get(one[1].state(), 2), -(one[1].seen_at() or 0.0)))
            return {id_: follow.run.name for id_, follow in found}

    def overview(self) -> list[Node]:
        """A line for each run, by folder, in the order in which they were begun."""
        with self._lock:
            groups: dict[Path, list[tuple[str, Follow]]] = {}
            for id_, follow in sorted(self.runs.items(), key=lambda one: str(one[1].run.description.get("created", ""))):
                groups.setdefault(follow.run.folder.parent, []).append((id_, follow))
            return [self._group(folder, found) for folder, found in groups.items()]

    def panels(self, id_: str, known: object = None) -> tuple[object, Panels] | None:
        """The panels of one run, and a mark of what they were made from; None where that is ``known`` already.

        Raises:
            KeyError: there is no run of this id.
        """
        with self._lock:
            follow = self.runs[id_]
            logs = self._logs.setdefault(id_, Logs(follow.run.folder))
            with contextlib.suppress(OSError):
                follow.look(at_once=True)
                logs.look(follow.workers())
            state = follow.state()
            # Words about time and the other runs move on too, but slowly.
            turn = int(time.monotonic() / (TURN_S if state == "running" else SLOW_TURN_S))
            mark = (id_, follow.story.version, logs.version, state, turn)
            if mark == known:
                return None
            others = [one for one in self.runs.values() if one is not follow and one.run.folder.parent == follow.run.folder.parent]
            return mark, view(follow, others, log=logs.shown(), job=self._job(follow))

    def _ask_schedulers(self, jobs: Jobs) -> None:
        with contextlib.suppress(LabwrightError, OSError):
            self._seen = dict(jobs())

    def _find(self) -> None:
        for folder in self.folders:
            paths = [folder / "step.json"] if (folder / "step.json").is_file() else sorted(folder.glob("[!.]*/step.json"))
            for path in paths:
                if path.parent not in self._known:
                    self._add(path.parent)
        for folder, id_ in list(self._known.items()):
            if id_ and not (folder / "step.json").exists():
                del self._known[folder], self.runs[id_]
                self._logs.pop(id_, None)

    def _add(self, folder: Path) -> None:
        try:
            run = Run.open(folder)
        except (LabwrightError, OSError):
            return
        self._known[folder] = id_ = secrets.token_hex(6) if self._keep(run) else ""
        if id_:
            self.runs[id_] = Follow(run)

    def _job(self, follow: Follow) -> Seen | None:
        return self._seen.get(str(follow.run.folder))

    def _group(self, folder: Path, found: Sequence[tuple[str, Follow]]) -> Node:
        first = found[0][1].run.description
        title = str(first.get("name") or folder.parent.name)
        return node("div", node("h2", title, title=str(folder)), *(self._line(id_, follow) for id_, follow in found), class_="group")

    def _line(self, id_: str, follow: Follow) -> Node:
        run, state = follow.run, state_of(follow, self._job(follow))
        share = done_share(follow)
        pace = next(reversed(follow.story.paces.values()), None)
        left = time_left(pace.seen, pace.total, time.time()) if pace is not None and state == "running" else None
        words = f"{span(left[1])} left" if left is not None else state
        return node(
            "a",
            node("span", class_=f"dot {state}"),
            node("span", run.step, node("small", str(run.description.get("sweep") or run.name.rpartition("-")[2])), class_="who"),
            node("span", words, class_="words"),
            node("progress", value=round(share, 3), max=1) if 0 < share < 1 else None,
            href=f"#run={id_}",
            data_id=id_,
            title=run.name,
        )


def pause_after(cost_s: float) -> float:
    """How long to wait after what cost so much CPU time."""
    return max(LEAST_PAUSE_S, cost_s / SHARE_OF_TIME)
