"""A study that is submitted to the cluster as its users do it, beside the runs of the same study that nobody disturbed."""

from __future__ import annotations

import contextlib
import io
import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from labwright.cli.main import main
from labwright.runs.run import Run, runs_in
from labwright.testing.commands import Command
from tests.kill.ground import OPTIONS, Ground, training
from tests.slurm.cluster import WHOLE_S, Cluster, until

SITE = """
kind: slurm
about: The two nodes; a training may be pre-empted, all else not
queues:
  cpu: {partition: main, resources: {cpus: 1, memory_gb: 1, minutes: 10}}
  train: {partition: low, resources: {cpus: 1, memory_gb: 1, minutes: 10}}
# The nodes have no name that leads to them.
env: {MASTER_ADDR: 127.0.0.1, GLOO_SOCKET_IFNAME: lo}
signal_before_s: 60
"""


class Queued:
    """Runs of a study that jobs work on."""

    def __init__(self, slurm: Cluster, ground: Ground, *sets: str, begin: str = "pack") -> None:
        """Nothing is submitted yet; all steps before ``begin`` are done."""
        self.slurm, self.ground = slurm, ground
        self.runs = ground.case(begin)
        self.options = [word for one in (*OPTIONS, *sets) for word in ("--set", one)]
        (ground.folder / "sites").mkdir(exist_ok=True)
        (ground.folder / "sites" / "two.yaml").write_text(SITE, encoding="utf-8")

    def submit(self, *words: str) -> dict[str, str]:
        """``labwright submit``; the ids of the jobs by name."""
        answer = call("submit", self.ground.study, "--runs", self.runs, "--on", "two", *self.options, *words, "--json")
        return {row["job"]: row["id"] for row in answer["jobs"]}

    @property
    def training(self) -> Run:
        return training(self.runs)

    def learned(self, step: int) -> None:
        """Wait until the training has done so many steps."""
        until(lambda: any(record["step"] >= step for record in self.training.records("metric")), WHOLE_S)

    @contextlib.contextmanager
    def held(self) -> Iterator[list[psutil.Process]]:
        """The training's processes stand still in here, so that what is to happen to them happens in their middle."""
        words = ["-m", "labwright", "step", str(self.training.folder)]
        found = [process for process in psutil.process_iter(["cmdline"]) if (process.info["cmdline"] or [])[1:5] == words]
        for process in found:
            process.suspend()
        try:
            yield found
        finally:
            for process in found:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.resume()

    def finish(self) -> list[Run]:
        """Wait until no job is left; the runs, all of which have to be done."""
        self.slurm.drain()
        states = {run.name: run.state() for run in runs_in(self.runs)}
        assert set(states.values()) == {"done"}, f"{states}\n{self.printed()}"
        return runs_in(self.runs)

    def printed(self) -> str:
        """What the job scripts and the runs printed."""
        files = [*sorted(self.runs.glob("**/slurm-*.out")), *sorted(self.runs.glob("*/journal/*.log"))]
        return "\n".join(f"--- {path.relative_to(self.runs)}\n{path.read_text(encoding='utf-8', errors='replace')}" for path in files)


def unbroken(folder: Path, *sets: str, step: str = "") -> Ground:
    """A study with its runs of an undisturbed ``labwright run``, all or up to a step."""
    ground = Ground(folder)
    options = [word for one in (*OPTIONS, *sets) for word in ("--set", one)]
    upto = ["--step", step] if step else []
    command = Command(["run", ground.study, "--runs", ground.unbroken, *upto, *options], folder / "said")
    assert command.wait(WHOLE_S) == 0, command.said()
    return ground


def signalled(process: psutil.Process, number: signal.Signals) -> bool:
    """Whether a signal waits for a process that stands still."""
    (pending,) = re.findall(r"^ShdPnd:\s*(\w+)", Path(f"/proc/{process.pid}/status").read_text(), re.MULTILINE)
    return bool(int(pending, 16) >> (number - 1) & 1)


def call(*words: str | Path) -> Any:
    """What a command of ``labwright`` answers with ``--json``."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(word) for word in words])
    assert code == 0, f"labwright {words[0]} ended with {code}: {out.getvalue()}{err.getvalue()}"
    return json.loads(out.getvalue())
