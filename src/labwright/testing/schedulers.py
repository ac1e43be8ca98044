"""Twins of a scheduler's tools: executables with a written history, for tests of whatever talks to a scheduler.

Each twin answers its calls as it was told, one call after the other, and writes down with which words it was called. Whatever a real
scheduler does now and then (an empty answer, a late one, none) can so be had at will.
"""

from __future__ import annotations

import os
import shlex
from itertools import islice
from pathlib import Path
from typing import NamedTuple


class Answer(NamedTuple):
    """What a tool does when it is called."""

    prints: str = ""
    complains: str = ""
    """On its error channel."""
    code: int = 0
    after_s: float = 0.0


class Twins:
    """A folder of executables that go before the real ones in ``PATH``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def path(self) -> str:
        """The value for ``PATH``."""
        return f"{self.folder}{os.pathsep}{os.environ.get('PATH', os.defpath)}"

    def answers(self, tool: str, *answers: Answer | str) -> None:
        """Let a tool give these answers one after the other, and the last one ever after; a text is what it prints."""
        book = self._book(tool)
        for number, answer in enumerate(answers):
            given = Answer(answer) if isinstance(answer, str) else answer
            for name, text in given._asdict().items():
                (book / f"{name}-{number}").write_text(str(text), encoding="utf-8")
        last = len(answers) - 1
        self.runs(
            tool,
            f'n=$((number < {last} ? number : {last})) code=$(<"$book/code-$n")',
            'sleep "$(<"$book/after_s-$n")"',
            'cat "$book/prints-$n"; cat "$book/complains-$n" >&2',
            'exit "$code"',
        )

    def runs(self, tool: str, *lines: str) -> None:
        """Let a tool do lines of bash, which know ``$number``, how often it was called before."""
        book = self._book(tool)
        (book / "calls").write_text("")
        (book / "count").write_text("0")
        executable = self.folder / tool
        text = [
            "#!/bin/bash",
            f"book={shlex.quote(str(book))}",
            # Several processes may call at once.
            'exec 9>>"$book/lock"; flock 9',
            'number=$(cat "$book/count"); echo "$((number + 1))" >"$book/count"',
            """printf '%s\\0' "$#" "$@" >>"$book/calls\"""",
            "exec 9>&-",
            *lines,
        ]
        executable.write_text("\n".join(text) + "\n", encoding="utf-8")
        executable.chmod(0o755)

    def calls(self, tool: str) -> list[list[str]]:
        """With which words a tool was called, in order."""
        words = iter((self._book(tool) / "calls").read_text(encoding="utf-8").split("\0")[:-1])
        return [list(islice(words, int(count))) for count in words]

    def _book(self, tool: str) -> Path:
        book = self.folder / f".{tool}"
        book.mkdir(exist_ok=True)
        return book


def slurm(folder: Path) -> Twins:
    """Twins of Slurm's tools: a queue that takes all jobs, as 1001, 1002 and so on, and knows of none."""
    twins = Twins(folder)
    twins.runs("sbatch", 'echo "$((1001 + number))"')
    for tool in ("squeue", "sacct", "scontrol", "scancel"):
        twins.answers(tool, "")
    # The options, then the command, once for each task, with a number of its own.
    twins.runs(
        "srun",
        "count=1",
        "while [[ ${1-} == --* ]]; do [[ $1 == --ntasks=* ]] && count=${1#*=}; shift; done",
        "pids=() code=0; trap 'kill -USR1 \"${pids[@]}\"' USR1",
        "for ((rank = 0; rank < count; rank++)); do",
        '  SLURM_PROCID=$rank SLURM_LOCALID=$rank SLURM_NTASKS=$count SLURM_NODEID=0 SLURM_STEP_TASKS_PER_NODE=$count "$@" & pids+=($!)',
        "done",
        'for pid in "${pids[@]}"; do',
        '  while wait "$pid"; one=$?; kill -0 "$pid" 2>/dev/null; do :; done',
        "  ((one > code)) && code=$one",
        "done",
        'exit "$code"',
    )
    return twins
