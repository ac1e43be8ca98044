"""Whether a run is alive, in one word and in plain ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from labwright.runs.sections import Section
from labwright.watch.follow import Follow

Seen = Mapping[str, Any]
"""How a scheduler sees the job of a run: id, state, reason, host."""
_ADVICE = {
    "silent": "A process at work gives a sign of life each 10 s, so this one was killed, or its machine or its disk is out of reach. "
    "What it saved is safe; the same command goes on from there.",
    "stopped": "What it saved is safe; the same command goes on from there.",
    "damaged": "The run was complete, and files of its output are missing or of another size since. Copy it again, or make it again.",
    "stale": "Raw files changed after this run read them. Remove it with `labwright clean --stale`, then run again.",
    "ready": "Nothing is at work on it.",
}


def state_of(follow: Follow, job: Seen | None, now: float | None = None) -> str:
    """One word: the journal's; where no process of the run is at work and its job waits, the scheduler's."""
    state, start = follow.state(now), follow.story.newest()
    waiting = job["state"] if job is not None and job.get("state") in ("queued", "held") else ""
    if waiting and state in ("ready", "stopped", "silent", "failed"):
        return "resuming" if waiting == "queued" and state in ("stopped", "silent") else str(waiting)
    if state == "running" and start and start["attempt"] > 1 and not _working(follow, start["file"]):
        return "resuming"
    return state


def alive(follow: Follow, job: Seen | None, now: float | None = None) -> Section:
    """Is it alive: the state, the last sign of life, which attempt, and why, in plain words."""
    state, start = state_of(follow, job, now), follow.story.newest()
    facts = []
    if start is not None:
        facts.append(f"attempt {start['attempt']} of {max(len(follow.story.starts), start['attempt'])}")
        at_work = follow.workers()
        facts.append(f"{len(at_work)} processes" if len(at_work) > 1 else f"process {start['pid']} on {start['host']}")
    facts += [f"{count} {severity}s found" for severity, count in sorted(follow.story.findings.items())]
    words = [*_reasons(follow, state), *([_ADVICE[state]] if state in _ADVICE else []), *_job_words(job)]
    seen_at = follow.seen_at()
    seen = "last sign of life" if state in ("running", "resuming", "silent") else "ended"
    return {"kind": "state", "title": "", "state": state, "seen": seen, "seen_at": seen_at, "facts": facts, "words": words}


def _working(follow: Follow, stem: str) -> bool:
    return stem in follow.story.first_steps or any(pace.file == stem for pace in follow.story.paces.values())


def _reasons(follow: Follow, state: str) -> list[str]:
    """What the processes that ended otherwise than well said at their end."""
    if state in ("running", "resuming", "done"):
        return []
    ends = [record for record in follow.last_records().values() if record["kind"] == "end" and record["code"] != 0]
    said = dict.fromkeys(f"{record['reason'] or 'no reason given'} (exit code {record['code']})" for record in ends)
    return list(said)[:3]


def _job_words(job: Seen | None) -> list[str]:
    if job is None or job.get("state") in (None, "", "unknown"):
        return []
    reason = f": {job['reason']}" if job.get("reason") else ""
    return [f"The scheduler says of job {job.get('id', '')}: {job['state']}{reason}."]
