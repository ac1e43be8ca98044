"""What a step asks of the machine that runs it. Without effect on results: a study runs with other resources too."""

from __future__ import annotations

from labwright.study.options import Options, option


class Resources(Options):
    """What one process of a step may use; what is not given here is as the site has it for steps of that kind."""

    cpus: int | None = option(None, ge=1, effect=False)
    """Processor cores of one process."""
    memory_gb: float | None = option(None, gt=0, unit="GB", effect=False)
    """Main memory of one process (10⁹ bytes)."""
    gpus: int | None = option(None, ge=0, effect=False)
    """GPUs of one node; several train as one group, a process on each."""
    minutes: int | None = option(None, ge=1, unit="min", effect=False)
    """Time limit of one attempt. A step that needs longer saves, stops before the limit and goes on in the next attempt."""
    nodes: int | None = option(None, ge=1, effect=False)
    """Nodes that train together."""
    scratch_gb: float | None = option(None, gt=0, unit="GB", effect=False)
    """Disk on the node (10⁹ bytes)."""
    shares: int | None = option(None, ge=1, le=10_000, effect=False)
    """Into how many jobs of an array the parts of the step are dealt; 1 is one job for all."""
