"""The reader printed in the format's page reads what the writer wrote."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from labwright.data.write import ArraySpec, finish_pack, shards, write_shard

PAGE = Path(__file__).parents[2] / "docs/reference/packs.md"


@pytest.mark.parametrize(("shape", "dtype"), [((7, 5, 4), "uint16"), ((9, 2, 3, 4), "float32"), ((8,), "int64"), ((5, 3), "bool")])
def test_the_printed_reader_reads_a_pack(tmp_path: Path, shape: tuple[int, ...], dtype: str) -> None:
    (source,) = (block for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL) if "def read_item" in block)
    page: dict[str, Any] = {}
    exec(source, page)
    data = np.random.default_rng(0).integers(0, 2 if dtype == "bool" else 1000, shape).astype(dtype)
    spec = ArraySpec("images/01", shape, dtype, 3)
    for start, stop, file in shards(spec):
        write_shard(tmp_path / file, spec, start, data[start:stop])
    finish_pack(tmp_path, [spec], pa.table({"identity": [str(number) for number in range(len(data))]}), {})
    for item in range(len(data)):
        read = page["read_item"](tmp_path, "images/01", item)
        assert read.dtype == data.dtype
        np.testing.assert_array_equal(read, data[item])
    with pytest.raises(IndexError):
        page["read_item"](tmp_path, "images/01", len(data))
