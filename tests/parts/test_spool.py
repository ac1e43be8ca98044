"""What workers record reaches the journal: all of it, once, and whatever kills them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from labwright.parts.spool import Spool, left_behind, writer


@pytest.fixture
def journal() -> list[tuple[str, dict[str, Any]]]:
    return []


@pytest.fixture
def spool(tmp_path: Path, journal: list[tuple[str, dict[str, Any]]]) -> Spool:
    return Spool(tmp_path / "workers", lambda kind, **fields: journal.append((kind, fields)))


def steps(journal: list[tuple[str, dict[str, Any]]]) -> list[int]:
    return [fields["step"] for _, fields in journal]


def test_records_are_brought_over_while_workers_work_and_once(
    tmp_path: Path, spool: Spool, journal: list[tuple[str, dict[str, Any]]]
) -> None:
    spool.carry()
    first, second = writer(tmp_path / "workers"), writer(tmp_path / "workers")
    first("metric", step=1, values={"loss": 0.5})
    spool.carry()
    assert journal == [("metric", {"t": journal[0][1]["t"], "step": 1, "values": {"loss": 0.5}})]
    second("metric", step=2)
    first("metric", step=3)
    first("progress", step=4)
    spool.carry()
    spool.carry()
    assert sorted(steps(journal)) == [1, 2, 3]
    spool.close()
    assert not (tmp_path / "workers").exists()
    assert sorted(steps(journal)) == [1, 2, 3]


def test_a_line_that_a_killed_worker_tore_is_left_out(tmp_path: Path, spool: Spool, journal: list[tuple[str, dict[str, Any]]]) -> None:
    writer(tmp_path / "workers")("metric", step=1)
    (path,) = (tmp_path / "workers").iterdir()
    whole = json.dumps({"t": 1.0, "kind": "metric", "step": 2}).encode()
    with path.open("ab") as stream:
        stream.write(whole[:10])
        stream.flush()
        spool.carry()
        assert steps(journal) == [1]
        stream.write(whole[10:] + b"\n" + whole[:7])
    spool.close()
    assert steps(journal) == [1, 2]


def test_of_workers_that_an_earlier_attempt_left_only_what_may_be_told_twice_counts(
    tmp_path: Path, journal: list[tuple[str, dict[str, Any]]]
) -> None:
    write = writer(tmp_path / "workers")
    write("energy", step=1)
    write("metric", step=2)
    left_behind(tmp_path / "workers", lambda kind, **fields: journal.append((kind, fields)))
    assert steps(journal) == [2]
    assert not (tmp_path / "workers").exists()
    left_behind(tmp_path / "workers", lambda kind, **fields: journal.append((kind, fields)))
    assert steps(journal) == [2]
