"""What the sampler costs: CPU time of one whole tick (use of the tree, energy, two journal records), as a share of a core.

The tree is that of a data-parallel training with workers: eight processes of four threads each. The reference
looks at the same tree with psutil alone, whose cost grows with all processes of the machine.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil
from reference import usage_sampler as reference

from labwright.runs.energy import Energy
from labwright.runs.journal import Journal, read_file
from labwright.runs.processes import CpuTime, Use, tree, uses
from labwright.runs.usage import Sampler

TICKS, TURNS, WORKERS, INTERVAL_S = 40, 5, 8, 10.0
WORKER = """
import sys, threading
for _ in range(3):
    threading.Thread(target=threading.Event().wait, daemon=True).start()
print(flush=True)
sys.stdin.read()
"""


def cpu_s(call: Callable[[], object]) -> float:
    """CPU seconds of one call, in user and kernel, over TICKS calls."""
    start = time.process_time()
    for _ in range(TICKS):
        call()
    return (time.process_time() - start) / TICKS


def look() -> tuple[list[Use], float]:
    """What the sampler looks at."""
    pids = tree()
    return uses(pids), CpuTime().seconds(pids)


def assert_equal() -> None:
    """Both see the same processes, with the same memory where nothing moves it, and the same CPU time."""
    (ours, cpu_seconds), theirs = look(), reference.sample()
    assert {use.pid for use in ours} == set(theirs), "the trees differ"
    assert all(use.memory_bytes == theirs[use.pid][1] for use in ours if use.pid != os.getpid()), "the memory differs"
    assert abs(cpu_seconds - sum(seconds for seconds, _ in theirs.values())) < 0.1, "the CPU time differs"


def main() -> None:
    workers = [subprocess.Popen([sys.executable, "-c", WORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(WORKERS)]
    for worker in workers:
        assert worker.stdout is not None
        worker.stdout.readline()
    assert_equal()
    seconds: dict[str, list[float]] = {"reference": [], "look": [], "tick": []}
    with tempfile.TemporaryDirectory(prefix="labwright-sampler-") as name:
        journal = Journal(Path(name) / "0001.jsonl")
        energy = Energy(journal.record)
        sampler = Sampler(journal.record, energy, INTERVAL_S)
        for _ in range(TURNS):
            for what, call in (("reference", reference.sample), ("look", look), ("tick", sampler.tick)):
                seconds[what].append(cpu_s(call))
        energy.close()
        journal.close()
        assert sum(record["kind"] == "usage" for record in read_file(journal.path)) == TICKS * TURNS
    for worker in workers:
        worker.communicate()
    ms = {what: 1e3 * statistics.median(column) for what, column in seconds.items()}
    share, ratio = 1e-3 * ms["tick"] / INTERVAL_S, ms["reference"] / ms["look"]
    print(f"reference: {1e3 / ms['reference']:,.0f} looks in a second of CPU time")
    print(f"processes: {1 + WORKERS} in the tree, {len(psutil.pids())} on the machine")
    print(f"one whole tick: {ms['tick']:.2f} ms each {INTERVAL_S:g} s, {share:.4%} of a core ({TICKS * TURNS} ticks; allowed is 0.1 %)")
    print(f"ratio {ratio:.2f} — one look at the process tree, CPU time (ours {ms['look']:.2f} ms, reference {ms['reference']:.2f} ms)")


if __name__ == "__main__":
    main()
