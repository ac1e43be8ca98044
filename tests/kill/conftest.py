"""The study to kill, with its unbroken runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import pytest

from tests.kill.ground import Ground, tally


@pytest.fixture(scope="session")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    """The study; it ran once from end to end."""
    made = Ground(tmp_path_factory.mktemp("ground"))
    command = made.start(made.unbroken, before=partial(tally, made.folder / "tally.json"))
    assert command.wait() == 0, command.said()
    return made


@pytest.fixture(scope="session")
def reached(ground: Ground) -> Mapping[str, int]:
    """How often an unbroken run of the study comes to each fault point."""
    return dict(json.loads(Path(ground.folder / "tally.json").read_text(encoding="utf-8")))
