from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
from hypothesis import given
from hypothesis import strategies as st

from labwright.events.scoring.score_files import Blocks, Places, places, write_member, write_table
from labwright.events.scoring.scores import COUNT
from tests.events.studies import conducted, two
from tests.learn.fake import FakeJob

NAMES = ("p_S", COUNT)


def blocks(*lengths: int) -> Blocks:
    """Row i holds i, of i % 3 + 1 models."""
    whole = np.arange(sum(lengths), dtype=np.float32)
    parts = np.split(np.stack([whole, whole % 3 + 1], axis=1), np.cumsum(lengths)[:-1])
    return Blocks(parts, NAMES)


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.lists(st.integers(-1, 19)))
def test_rows_are_gathered_out_of_whatever_block_they_lie_in(lengths: list[int], asked: list[int]) -> None:
    own = blocks(*lengths)
    index = np.array([min(one, len(own) - 1) for one in asked], np.int64)
    found = own.gather(index)
    np.testing.assert_array_equal(found["p_S"], np.where(index < 0, np.nan, index).astype(np.float32))
    np.testing.assert_array_equal(found[COUNT], np.where(index < 0, 0, index % 3 + 1))
    assert found[COUNT].dtype == np.uint8


def test_rows_of_a_file_that_were_not_packed_point_nowhere() -> None:
    where = Places([], np.array([0, 0, 2, 2, 2], np.uint16), np.array([1, 4, 0, 2, 3]), np.array([7, 8, 9, 5, 6]))
    assert where.of(0, 0, 6).tolist() == [-1, 7, -1, -1, 8, -1]
    assert where.of(1, 0, 2).tolist() == [-1, -1]
    assert where.of(2, 2, 5).tolist() == [5, 6, -1]


def test_each_packed_row_is_found_in_its_file(tmp_path: Path) -> None:
    run = conducted(two(tmp_path))
    where = places(run)
    table = parquet.read_table(run.output("events.parquet"), columns=["file", "row"]).to_pydict()
    assert [(one.name, one.entries) for one in where.sources] == [("signal.root", 700), ("background.root", 900)]
    for source, entries in enumerate((700, 900)):
        found = where.of(source, 0, entries).tolist()
        assert [(table["file"][row], table["row"][row]) for row in found] == [(source, row) for row in range(entries)]


def test_tables_are_written_a_block_at_a_time(tmp_path: Path) -> None:
    job = FakeJob(tmp_path)
    write_table(job, blocks(3, 4))  # type: ignore[arg-type]
    file = parquet.ParquetFile(tmp_path / "output" / "scores.parquet")
    assert file.metadata.num_row_groups == 2
    assert file.read().to_pydict() == {"p_S": list(range(7)), COUNT: [1, 2, 3, 1, 2, 3, 1]}
    values = np.arange(6, dtype=np.float32).reshape(3, 2)
    write_member(job, "one", ("p_B", "p_S"), iter([(np.array([1, 4]), values[:2]), (np.array([6]), values[2:])]))  # type: ignore[arg-type]
    found = parquet.read_table(tmp_path / "output" / "members" / "one.parquet")
    assert found.to_pydict() == {"index": [1, 4, 6], "p_B": [0, 2, 4], "p_S": [1, 3, 5]}
