"""What all tests share: the repository's folder, and the folder of sample data where there is one."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def repository() -> Path:
    return Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared_data(repository: Path) -> Path:
    """Real data beside the repository, more of it than can be bundled."""
    folder = repository.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("there is no ../shared/data beside this repository")
    return folder
