"""The ``run`` section of every study: how and where its runs are made."""

from __future__ import annotations

from pathlib import Path

from labwright.study.options import Options, option
from labwright.study.resources import Resources


class PlaceOptions(Options):
    """The machine, or the cluster."""

    kind: str = option("local", min_length=1, effect=False)
    """Where the steps run: `local` (this machine), `slurm`, `htcondor`, or the name of a site; `submit --on` goes first."""
    workers: int = option(0, ge=0, effect=False)
    """Processes that work on parts at once; 0 takes one per core that this process may use."""
    threads: int = option(0, ge=0, effect=False)
    """Threads of the numeric libraries in a training; 0 takes one per core. Recorded, and used again by each attempt."""
    resources: dict[str, Resources] = option(default_factory=dict, effect=False)
    """What the steps ask of a cluster, by step: `{train: {gpus: 4, minutes: 600}, predict: {shares: 8}}`."""


class RunOptions(Options):
    """How and where the runs of a study are made."""

    seed: int = option(0, ge=0, lt=2**63)
    """Where all randomness starts; another seed makes another run."""
    on: PlaceOptions = option(PlaceOptions(), effect=False)
    """The machine, or the cluster, that does the work."""
    folder: Path | None = option(None, effect=False)
    """Where run folders lie, for example on scratch or group storage. Unset: `runs` beside the study."""
    name: str = option("", effect=False)
    """A free name for lists and pages."""
    tags: tuple[str, ...] = option((), effect=False)
    """Free words for lists and pages."""
