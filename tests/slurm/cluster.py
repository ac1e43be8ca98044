"""A real Slurm of two virtual nodes, as a test handles it: ask, wait with a limit, lose a node, write joules into the accounting."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

HERE = Path(__file__).resolve().parent
NODES = ("n1", "n2")
SECONDS = 60.0
"""How long a test waits for anything that Slurm or a short job does."""
WHOLE_S = 240.0
"""How long all jobs of a study may take on a busy machine."""


def missing() -> str:
    """Why no cluster can be started here; empty where one can."""
    # The daemons lie in folders that only root's shell searches.
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    absent = [tool for tool in ("sinfo", "slurmctld", "slurmd", "slurmdbd", "munged", "mariadbd") if not shutil.which(tool, path=path)]
    if absent:
        return f"{', '.join(absent)} not installed (Debian: slurm-wlm slurmdbd munge mariadb-server)"
    return "" if os.geteuid() == 0 else "a cluster is started by root only"


def until(condition: Callable[[], bool], seconds: float = SECONDS) -> None:
    """Wait for what only another program can tell, without keeping the machine busy with the question.

    Raises:
        TimeoutError: it did not come true.
    """
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"nothing came within {seconds} s")
        time.sleep(0.2)


class Cluster:
    """The running cluster; ``SLURM_CONF`` names it to every tool."""

    def __init__(self) -> None:
        done = subprocess.run([HERE / "start.sh"], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"start.sh ended with {done.returncode}: {done.stderr}")
        self.conf = Path(done.stdout.strip().rpartition("=")[2])
        self.folder = self.conf.parent

    def stop(self) -> None:
        subprocess.run([HERE / "stop.sh"], env={**os.environ, "SLURM_CONF": str(self.conf)}, check=True)

    def tool(self, *words: str | Path) -> str:
        """What one of Slurm's tools prints."""
        done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False, timeout=SECONDS)
        if done.returncode != 0:
            raise RuntimeError(f"{words[0]} ended with {done.returncode}: {done.stderr}")
        return done.stdout.strip()

    def batch(self, script: str, *options: str) -> str:
        """Queue one line of shell; returns the job's id."""
        return self.tool("sbatch", "--parsable", "--output=/dev/null", "--mem=100M", *options, f"--wrap={script}")

    def about(self, job: str) -> dict[str, str]:
        """What ``scontrol show job`` says of a job or of one task of an array: JobState, Restarts, NodeList, …"""
        words = self.tool("scontrol", "show", "--oneliner", "job", job).split()
        return dict(word.partition("=")[::2] for word in words if "=" in word)

    def until(self, job: str, *states: str, seconds: float = SECONDS) -> dict[str, str]:
        """Wait until a job is in one of the states, such as RUNNING; what is known of it then."""
        until(lambda: self.about(job)["JobState"] in states, seconds)
        return self.about(job)

    def drain(self) -> None:
        """Wait until no job is left, waiting or running."""
        until(lambda: not self.tool("squeue", "--noheader"), WHOLE_S)

    def ended(self, job: str, seconds: float = SECONDS) -> list[str]:
        """Wait until a job is over, in the accounting too; the states of all its attempts."""
        self.until(job, "COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "PREEMPTED", "NODE_FAIL", "DEADLINE", seconds=seconds)
        states: list[str] = []

        def told() -> bool:
            lines = self.tool("sacct", "--noheader", "--parsable2", "--allocations", "--duplicates", f"--jobs={job}", "--format=State,End")
            states[:] = [line.split("|")[0].split()[0] for line in lines.splitlines()]
            return bool(states) and "Unknown" not in lines

        until(told)
        return states

    def times(self, job: str) -> tuple[str, str]:
        """When the first task of a job began and the last ended, by the accounting."""
        rows = self.tool("sacct", "--noheader", "--parsable2", "--allocations", f"--jobs={job}", "--format=Start,End").splitlines()
        begins, ends = zip(*(row.split("|") for row in rows), strict=True)
        return min(begins), max(ends)

    def kick(self, job: str) -> None:
        """Let a job that was queued again start at once."""
        self.tool("scontrol", "update", f"JobId={job}", "StartTime=now")

    def lose(self, node: str) -> None:
        """The node's plug is pulled: its daemon, and every process of a job on it, is gone without a word.

        Slurm would find out after ``SlurmdTimeout``. It is told at once: with a timeout short enough for a test, a busy machine
        would be taken for a dead one.
        """
        daemon = psutil.Process(int((self.folder / f"slurmd.{node}.pid").read_text()))
        daemon.kill()
        payloads = [process for process in psutil.process_iter() if self._is_on(process, node)]
        # The keepers of steps first, else they would still report how their step ended.
        keepers = {parent for process in payloads for parent in process.parents() if parent.name() == "slurmstepd"}
        for process in (*keepers, *payloads):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        (self.folder / f"slurmd.{node}.pid").unlink(missing_ok=True)
        self.tool("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=lost")

    def bring_back(self, node: str) -> None:
        """Start the node again and wait until it takes jobs."""
        self.tool("slurmd", "-N", node)
        until(lambda: self.tool("sinfo", "--noheader", "--partition=main", f"--nodes={node}", "--format=%t") in ("idle", "mix", "alloc"))

    @contextlib.contextmanager
    def without_controller(self) -> Iterator[None]:
        """Nobody answers squeue and scontrol in here; jobs go on."""
        controller = psutil.Process(int((self.folder / "slurmctld.pid").read_text()))
        controller.terminate()
        until(lambda: not controller.is_running() or controller.status() == psutil.STATUS_ZOMBIE)
        try:
            yield
        finally:
            self.tool("slurmctld")
            until(lambda: subprocess.run(["scontrol", "ping"], capture_output=True, check=False).returncode == 0)

    def database(self, statement: str) -> str:
        """Run SQL in the accounting database."""
        socket = self.folder / "mysql" / "socket"
        return self.tool("mariadb", "--no-defaults", f"--socket={socket}", "--skip-column-names", "slurm_acct_db", f"--execute={statement}")

    def clear(self) -> None:
        """Nothing is left of the test before: no job, and both nodes at work."""
        self.tool("scancel", "--user=root")
        self.drain()
        for node in NODES:
            if not (self.folder / f"slurmd.{node}.pid").exists():
                self.bring_back(node)

    def _is_on(self, process: psutil.Process, node: str) -> bool:
        try:
            environment = process.environ()
        except psutil.Error:
            return False
        return environment.get("SLURMD_NODENAME") == node and environment.get("SLURM_CONF") == str(self.conf)
