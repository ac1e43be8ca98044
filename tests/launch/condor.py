"""What tests of HTCondor share: a pool of twins, studies that are composed for it, and HTCondor's own parsers."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from labwright.launch import submission
from labwright.launch.compose import compose
from labwright.launch.htcondor import HTCondor
from labwright.launch.job import Job
from labwright.launch.launcher import Seen
from labwright.launch.prepare import Prepared, create_runs, write
from labwright.launch.site import Site
from labwright.launch.submission import Submission
from labwright.study.plan import plan
from labwright.study.resolve import Study
from labwright.testing.schedulers_condor import Pool

# HTCondor's own library, which is built for Linux only.
htcondor2 = pytest.importorskip("htcondor2")
classad2 = pytest.importorskip("classad2")


def pool_site(**values: Any) -> Site:
    """A pool without a shared file system; its machine has the interpreter of the tests."""
    return Site(kind="htcondor", name="twins", python=sys.executable, shared_files=False, **values)


def evaluate(expression: str, facts: Mapping[str, Any]) -> Any:
    """The value of a ClassAd expression, by HTCondor's own library."""
    ad = classad2.ClassAd(dict(facts))
    ad["ItsValue"] = classad2.ExprTree(expression)
    return ad.eval("ItsValue")


def make_pool(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Pool:
    """A pool whose tools are first on PATH."""
    made = Pool(folder / "pool", evaluate)
    monkeypatch.setenv("PATH", f"{made.folder / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("XDG_STATE_HOME", str(folder / "state"))
    return made


class Sent:
    """A study that was submitted."""

    def __init__(self, studies: Study | Sequence[Study], site: Site, *, steps: Sequence[str] | None = None) -> None:
        studies = [studies] if isinstance(studies, Study) else list(studies)
        rows = [(study, plan(study, steps=steps)) for study in studies]
        runs = rows[0][1][0].folder.parent
        self.prepared = Prepared(tuple(rows), tuple(compose(rows, site)), site, runs)
        self.site, self.runs = site, runs
        self.launcher = HTCondor()
        create_runs(self.prepared)
        begun = submission.begin(runs, site=site.name, kind="htcondor", study="study.yaml", jobs=self.prepared.jobs)
        self.folder = begun.folder
        write(self.prepared.texts(begun.folder), begun.folder)

    @property
    def jobs(self) -> tuple[Job, ...]:
        return self.prepared.jobs

    @property
    def submission(self) -> Submission:
        return submission.read(self.folder)

    def rewrite(self, name: str, old: str, new: str) -> None:
        """Change the text of a rendered file before it is queued."""
        path = self.folder / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def queue(self) -> Sent:
        self.launcher.submit(self.submission, self.jobs, self.site)
        return self

    def seen(self) -> dict[str, Seen]:
        """How its tasks stand, by the job's name, and the task's number where it has several."""
        jobs = self.submission.jobs
        seen = self.launcher.poll(jobs)
        return {
            job.name if len(job.tasks) == 1 else f"{job.name}/{index}": seen[job.key(index)]
            for job in jobs
            for index in range(len(job.tasks))
        }

    def states(self) -> dict[str, str]:
        return {name: one.state for name, one in self.seen().items()}


def parsed(path: Path) -> Any:
    """A submit description, by HTCondor's own parser."""
    return htcondor2.Submit(path.read_text(encoding="utf-8"))


def foreign_events(path: Path) -> list[Any]:
    """The events of a log, by HTCondor's own parser."""
    found = []
    with htcondor2.JobEventLog(str(path)) as log:
        events = log.events(stop_after=0)
        while True:
            try:
                found.append(next(events))
            except StopIteration:
                return found
