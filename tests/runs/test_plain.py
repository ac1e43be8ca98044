"""Whatever makes a number, JSON holds a number; what JSON has not is null."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labwright.runs.plain import encoder

encode = encoder()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON)
def test_json_values_come_back_as_they_were(value: object) -> None:
    assert json.loads(encode(value)) == value


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (float("nan"), None),
        (float("-inf"), None),
        ({"a": [1.5, float("nan"), (float("inf"),)]}, {"a": [1.5, None, [None]]}),
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (np.float32("nan"), None),
        (Path("a/b"), "a/b"),
    ],
    ids=str,
)
def test_what_json_has_not(value: object, expected: object) -> None:
    assert json.loads(encode(value)) == expected


def test_a_file_name_that_is_not_utf8_survives() -> None:
    name = b"t\xff.tif".decode(errors="surrogateescape")
    assert json.loads(encode(name)) == name
