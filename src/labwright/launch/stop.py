"""Stop tasks gently, whatever scheduler has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from labwright.launch.launcher import UNKNOWN, launcher
from labwright.launch.status import Placed
from labwright.launch.submission import Submitted
from labwright.runs.errors import LabwrightError


class Stop(NamedTuple):
    """A job, tasks of which were to be stopped, and what came of it."""

    job: Submitted
    numbers: tuple[int, ...]
    was: tuple[str, ...]
    """The states that the scheduler named, each once."""
    error: LabwrightError | None = None
    """Why it was not stopped."""

    @property
    def is_lost(self) -> bool:
        """Whether it could not be stopped, but for all that is known it may be over."""
        return self.error is not None and set(self.was) == {UNKNOWN}


def stop(tasks: Sequence[Placed]) -> list[Stop]:
    """Tell these tasks to save and end, but for those that are over; one that is refused keeps no other from it."""
    by_job: dict[Submitted, list[Placed]] = {}
    for one in tasks:
        if one.is_living or one.seen.state == UNKNOWN:
            by_job.setdefault(one.job, []).append(one)
    stops = []
    # What waits goes first, so that it does not start when what it waits for ends.
    for job, own in reversed(by_job.items()):
        numbers = tuple(one.number for one in own)
        error = None
        try:
            launcher(job.kind).cancel(job, None if len(numbers) == len(job.tasks) else numbers)
        except LabwrightError as refusal:
            error = refusal
        # Of these nothing may ever be heard again; the mark tells that somebody gave them up.
        if unheard := [one.number for one in own if one.seen.state == UNKNOWN]:
            job.mark_cancelled(unheard)
        stops.append(Stop(job, numbers, tuple(dict.fromkeys(one.seen.state for one in own)), error))
    return stops[::-1]
