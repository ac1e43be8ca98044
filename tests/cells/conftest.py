"""A finished tiny study, whose network has learnt what there is to learn."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from labwright.runs.run import Run
from tests.cells.studies import LEARNING, conducted, tiny


class Trained(NamedTuple):
    """A study that is done; tests may add runs of their own beside it, and change nothing."""

    study: Path
    runs: dict[str, Run]
    sets: tuple[str, ...] = LEARNING


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    study = tiny(tmp_path_factory.mktemp("trained"))
    return Trained(study, conducted(study, *LEARNING))
