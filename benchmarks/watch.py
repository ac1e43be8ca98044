"""What the live page costs beside fifty trainings: CPU time and memory of the real server process, with one page open.

The journals are those of trainings that began two hours ago and write on at their usual pace: heartbeat and energy each 10 s,
progress each 5 s, a metric each 2 s. The reference reads all of them again for each second of watching.
"""

from __future__ import annotations

import json
import math
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
from reference.watch import summary

from labwright.runs.energy import totals
from labwright.runs.run import Run
from labwright.watch.follow import Follow

RUNS, SECONDS_AGO, TURNS, TURN_S, SETTLE_S = 50, 7200, 3, 20.0, 15.0
MOST_PERCENT, MOST_MB = 1.0, 80.0
USE = {"seconds": 10.0, "cpu_percent": 412.5, "processes": 9, "memory_bytes": 12 << 30, "read_bytes": 1 << 24, "written_bytes": 1 << 16}


def records(run: int, second: int, t: float) -> Iterator[dict[str, Any]]:
    """What run ``run`` writes in a second; the runs beat at different times."""
    if (second + run) % 2 == 0:
        step = second * 10
        values = {"loss": 2 * math.exp(-second / 3000) + 0.01 * (run % 7), "learning_rate": 1e-3}
        yield {"t": t, "kind": "metric", "phase": "train", "step": step, "epoch": second // 60, "part": "model", "values": values}
    if (second + run) % 5 == 0:
        told = {"epoch": second // 60, "loss": 0.25, "data_wait": "3%", "joules": second * 250.0}
        yield {"t": t, "kind": "progress", "title": "train model", "done": second * 10, "total": 200_000, **told}
    if (second + run) % 10 == 0:
        gpu = {"index": run % 8, "utilisation_percent": 93.0, "memory_bytes": 31 << 30, "watts": 310.5}
        yield {"t": t, "kind": "usage", **USE, "gpus": [gpu]}
        for method, scope, joules in (("NVML counter", f"GPU {run % 8}", 3105.0), ("RAPL", "CPU packages", 812.25)):
            measured = {"stage": "train", "joules": joules, "method": method, "scope": scope, "coverage": 1.0, "seconds": 10.0}
            yield {"t": t, "kind": "energy", **measured}
    if (second + run) % 120 == 0:
        values = {"instance_dice": 0.9 - math.exp(-second / 2000), "f1": 0.95 - math.exp(-second / 1500)}
        yield {"t": t, "kind": "metric", "phase": "validate", "step": second * 10, "epoch": second // 60, "part": "model", "values": values}


class Trainings:
    """Fifty run folders that grow."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.began = time.time() - SECONDS_AGO
        self.second = 0
        self.streams = []
        for run in range(RUNS):
            place = folder / f"train-{run:010x}"
            (place / "journal").mkdir(parents=True)
            description = {"recipe": "cells", "step": "train", "fingerprint": f"{run:x}", "options": {"learning_rate": run}, "seed": run}
            (place / "step.json").write_text(json.dumps({**description, "sweep": f"seed={run}", "created": f"2026-01-01T00:{run:02d}:00"}))
            (place / "parts.json").write_text('[{"id": "model", "cost": 1, "after": []}]')
            (place / "journal" / "0001.log").write_text("epoch done\n" * 500)
            stream = (place / "journal" / "0001.jsonl").open("w", buffering=1)
            start = {"attempt": 1, "share": "0/1", "rank": 0, "pid": 1, "host": "node", "argv": []}
            stream.write(json.dumps({"t": self.began, "kind": "start", **start}) + "\n")
            self.streams.append(stream)

    def write_until_now(self) -> None:
        while self.began + self.second < time.time():
            t = round(self.began + self.second, 3)
            for run, stream in enumerate(self.streams):
                for record in records(run, self.second, t):
                    stream.write(json.dumps(record, separators=(",", ":")) + "\n")
            self.second += 1


def ours(folder: Path) -> dict[str, dict[str, Any]]:
    """The same as the reference gives, of what the page's reader holds."""
    found = {}
    for path in sorted(folder.glob("*/step.json")):
        follow = Follow(Run.open(path.parent))
        while follow.look(at_once=True):
            continue
        curves = {"/".join(key): dict(series.items()) for key, series in follow.story.curves.items()}
        found[path.parent.name] = {"curves": curves, "joules": totals(follow.story.energy), "seen_at": follow.seen_at()}
    return found


def served(folder: Path) -> tuple[subprocess.Popen[str], str, str]:
    """The real command, its address and token."""
    server = subprocess.Popen([sys.executable, "-m", "labwright", "watch", str(folder)], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    address = server.stdout.readline().split()[-1]
    token = Path(server.stdout.readline().split()[-1]).read_text().strip()
    return server, address, token


def listen(address: str, token: str, received: list[int]) -> None:
    """One open page."""
    request = urllib.request.Request(f"{address}/api/events?run=", headers={"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request) as stream:
            for line in stream:
                received.append(len(line))
    except OSError:
        return


def cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system + times.children_user + times.children_system)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="labwright-watch-") as name:
        trainings = Trainings(Path(name) / "runs")
        trainings.write_until_now()
        size = sum(path.stat().st_size for path in trainings.folder.rglob("*.jsonl")) / 1e6
        assert ours(trainings.folder) == summary(trainings.folder), "the two readers tell different stories"
        server, address, token = served(trainings.folder)
        process, received = psutil.Process(server.pid), list[int]()
        threading.Thread(target=listen, args=(address, token, received), daemon=True).start()
        began = time.monotonic()
        while time.monotonic() - began < SETTLE_S:
            trainings.write_until_now()
            time.sleep(0.2)
        first_s = cpu_s(process)
        percents, sweeps, rss = [], [], []
        for _ in range(TURNS):
            before, began = cpu_s(process), time.monotonic()
            while time.monotonic() - began < TURN_S:
                trainings.write_until_now()
                rss.append(process.memory_info().rss / 1e6)
                time.sleep(0.2)
            percents.append(100 * (cpu_s(process) - before) / (time.monotonic() - began))
            start = time.process_time()
            summary(trainings.folder)
            sweeps.append(time.process_time() - start)
        server.terminate()
        server.wait()
    percent, sweep = statistics.median(percents), statistics.median(sweeps)
    turns = ", ".join(f"{one:.2f}" for one in percents)
    print(f"{RUNS} runs, {size:.0f} MB of journals; the page received {sum(received) / 1e6:.1f} MB in {len(received)} lines")
    print(f"reference: {1 / sweep:.2f} looks at all runs/s, {sweep:.2f} s of CPU time for each second of watching")
    print(f"ours:      {percent:.2f} % CPU (turns {turns}; allowed {MOST_PERCENT} %), {first_s:.1f} s of CPU to start and read all once")
    print(f"           {max(rss):.1f} MB resident at most (allowed {MOST_MB:.0f})")
    assert percent <= MOST_PERCENT, "watching takes more time than it may"
    assert max(rss) <= MOST_MB, "watching takes more memory than it may"
    print(f"ratio {100 * sweep / percent:.2f} — CPU to watch {RUNS} runs (ours {percent:.2f} % of a core, reference {100 * sweep:.0f} %)")


if __name__ == "__main__":
    main()
