"""The same event again is told from another event of the same number."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from labwright.events.identity import Identity
from labwright.events.packing.repeats import content_number, repeats


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 1), st.integers(0, 4), st.integers(0, 2)), max_size=40))
def test_copies_point_to_the_first_and_namesakes_differ_from_one_before(rows: list[tuple[int, int, int, int]]) -> None:
    columns = [np.array([row[place] for row in rows], kind) for place, kind in enumerate(("u4", "u4", "u8", "u8"))]
    found = repeats(Identity(*columns[:3]), columns[3])
    for number, row in enumerate(rows):
        assert found.copy_of[number] == rows.index(row)
        before = [other for other in rows[:number] if other[:3] == row[:3]]
        assert found.namesake[number] == bool(before and before[0] != row)


def test_content_tells_jets_apart_to_the_last_bit() -> None:
    jets = np.random.default_rng(1).normal(50, 10, (500, 4, 4)).astype(np.float32)
    assert len(np.unique(content_number(jets))) == 500
    assert np.array_equal(content_number(jets), content_number(jets.copy()))
    for jet, part in itertools.product(range(4), range(4)):
        other = jets[:1].copy()
        other[0, jet, part] = np.nextafter(other[0, jet, part], np.float32(1e9))
        assert content_number(other)[0] != content_number(jets[:1])[0]
