"""One run of a job of the twin pool: its folder, its files in and out, its process."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple


class Ended(NamedTuple):
    """How a process ended."""

    code: int | None
    """None where a signal ended it."""
    signal: int = 0


class Starter:
    """What HTCondor's starter and shadow do for one run of a job."""

    def __init__(self, ad: Mapping[str, str], folder: Path, spool: Path) -> None:
        """``folder``: the job's own on the machine that works; ``spool``: where its checkpoints are kept on the submit side."""
        self.ad, self.folder, self.spool = ad, folder, spool
        self.home = Path(ad.get("initialdir", "."))
        self.travels = ad.get("should_transfer_files", "NO").upper() == "YES"

    def bring_in(self) -> str:
        """Make the folder and lay files into it: those of the submit side, and over them the last checkpoint; what is missing, if any."""
        self.folder.mkdir(parents=True)
        if not self.travels:
            return ""
        shutil.copy(self.ad["executable"], self.folder / "condor_exec.exe")
        for name in _names(self.ad.get("transfer_input_files", "")):
            if not (self.home / name).exists():
                return f"{self.home / name}: No such file or directory"
            _copy(self.home / name, self.folder / Path(name).name)
        if self.spool.exists():
            _copy(self.spool, self.folder)
        return ""

    def start(self, slot: str) -> subprocess.Popen[bytes]:
        """Start the job, with little of an environment."""
        program = self.folder / "condor_exec.exe" if self.travels else Path(self.ad["executable"])
        words = [str(program), *shlex.split(self.ad.get("arguments", ""))]
        kept = {name: os.environ[name] for name in ("PATH", "USER", "PYTHONPATH", "LABWRIGHT_FAULT") if name in os.environ}
        # The pool's own machine has the interpreter of the tests first.
        kept["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", os.defpath)])
        variables = {**kept, "_CONDOR_SCRATCH_DIR": str(self.folder), "_CONDOR_SLOT": slot, "TMPDIR": str(self.folder)}
        out, err = self._printed()
        with out.open("ab") as to, err.open("ab") as errors:
            return subprocess.Popen(
                words,
                cwd=self.folder if self.travels else self.home,
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=to,
                stderr=errors,
                start_new_session=True,
            )

    def kill(self, process: subprocess.Popen[bytes], number: signal.Signals) -> None:
        """End the job with all its processes."""
        os.killpg(process.pid, number)
        process.wait()

    def ended(self, process: subprocess.Popen[bytes]) -> Ended:
        code = process.wait()
        return Ended(code) if code >= 0 else Ended(None, -code)

    def is_checkpoint(self, ended: Ended) -> bool:
        """Whether it left to have its files kept, and to be started again here."""
        return self.travels and "checkpoint_exit_code" in self.ad and ended.code == int(self.ad["checkpoint_exit_code"])

    def keep_checkpoint(self) -> None:
        """Copy ``transfer_checkpoint_files`` to the submit side, where they replace the last checkpoint."""
        new = self.spool.with_name(f"{self.spool.name}.tmp")
        for name in _names(self.ad["transfer_checkpoint_files"]):
            _copy(self.folder / name, new / name)
        if self.spool.exists():
            shutil.rmtree(self.spool)
        new.rename(self.spool)

    def bring_home(self) -> str:
        """Copy ``transfer_output_files`` by their last names into the initial folder, and what was printed; what is missing, if any."""
        if not self.travels:
            return ""
        out, err = self._printed()
        shutil.copy(out, self.home / self.ad["output"])
        shutil.copy(err, self.home / self.ad["error"])
        for name in _names(self.ad.get("transfer_output_files", "")):
            if not (self.folder / name).exists():
                return f"{self.folder / name}: No such file or directory"
            _copy(self.folder / name, self.home / Path(name).name)
        return ""

    def forget(self) -> None:
        """Remove the job's folder, as HTCondor does however a run ends."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _printed(self) -> tuple[Path, Path]:
        if self.travels:
            return self.folder / "_condor_stdout", self.folder / "_condor_stderr"
        return self.home / self.ad["output"], self.home / self.ad["error"]


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _copy(source: Path, target: Path) -> None:
    """A file, or a folder into one that may be there already; neither keeps its times."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True, copy_function=shutil.copy)
    else:
        shutil.copy(source, target)
