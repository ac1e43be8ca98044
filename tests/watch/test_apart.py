"""The page and the training do not know of each other: whatever becomes of the page, the training ends as it would have."""

from __future__ import annotations

import threading
from functools import partial
from pathlib import Path

import httpx
import pytest

from labwright.testing.commands import until
from tests.kill.equal import differences
from tests.kill.ground import Ground, slowly, training
from tests.watch.served import Served, served


@pytest.mark.slow
def test_a_page_that_is_killed_leaves_the_training_as_it_was(tmp_path: Path) -> None:
    ground = Ground(tmp_path / "ground")
    unbroken = ground.start(ground.unbroken)
    assert unbroken.wait() == 0, unbroken.said()
    runs = ground.case("train")
    command = ground.start(runs, before=partial(slowly, tmp_path / "steps"))
    with served(runs, state=tmp_path) as server:
        told = threading.Event()
        reader = threading.Thread(target=read, args=(server, told))
        reader.start()
        assert told.wait(60), "the page never showed the training's curves"
        steps = len(training(runs).records("metric"))
        server.process.kill()
        server.process.wait()
        reader.join()
    until(lambda: len(training(runs).records("metric")) > steps)
    assert command.wait() == 0, command.said()
    assert differences(ground.unbroken, runs) == []
    assert not list(runs.rglob("*.token")), "the page writes nothing into runs"


def read(server: Served, told: threading.Event) -> None:
    """An open page; it sees curves, and is cut off when the server dies."""
    try:
        with httpx.stream("GET", f"{server.url}/api/events", headers=server.headers, timeout=60) as stream:
            for line in stream.iter_lines():
                if '"curves":[[' in line:
                    told.set()
    except httpx.TransportError:
        return
