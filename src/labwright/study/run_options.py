"""The ``run`` section of every study: how and where its runs are made."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from labwright.study.options import Options, option


class LocalOptions(Options):
    """This machine."""

    kind: Literal["local"] = option("local", effect=False)
    """Where the steps run: `local` is this machine."""
    workers: int = option(0, ge=0, effect=False)
    """Processes that work on parts at once; 0 takes one per core that this process may use."""
    threads: int = option(0, ge=0, effect=False)
    """Threads of the numeric libraries in a training; 0 takes one per core. Recorded, and used again by each attempt."""


class RunOptions(Options):
    """How and where the runs of a study are made."""

    seed: int = option(0, ge=0, lt=2**63)
    """Where all randomness starts; another seed makes another run."""
    on: LocalOptions = option(LocalOptions(), effect=False)
    """The machine, or the cluster, that does the work."""
    folder: Path | None = option(None, effect=False)
    """Where run folders lie, for example on scratch or group storage. Unset: `runs` beside the study."""
    name: str = option("", effect=False)
    """A free name for lists and pages."""
    tags: tuple[str, ...] = option((), effect=False)
    """Free words for lists and pages."""
