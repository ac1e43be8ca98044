"""An event is known by its numbers, and what is drawn for it follows from them alone."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labwright.events.identity import Identity, draw, groups, philox


def events(count: int, start: int = 1, run: int = 1) -> Identity:
    """Events numbered in a row, as simulation does."""
    return Identity(
        np.full(count, run, np.uint32), np.arange(count, dtype=np.uint32) // 100, np.arange(start, start + count, dtype=np.uint64)
    )


identities = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 20)), min_size=1, max_size=60).map(
    lambda rows: Identity(*(np.array(column, kind) for column, kind in zip(zip(*rows, strict=True), ("u4", "u4", "u8"), strict=True)))
)


@pytest.mark.parametrize(
    ("counter", "key", "result"),
    [
        # The known answers that Random123 ships (kat_vectors, philox4x32 10).
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_the_hash_gives_the_published_answers(counter: tuple[int, ...], key: tuple[int, int], result: tuple[int, ...]) -> None:
    a, b, c, d = (np.array([word], np.uint64) for word in counter)
    assert tuple(int(word[0]) for word in philox((a, b, c, d), key)) == result


def test_a_draw_depends_on_the_event_alone() -> None:
    some = events(200_000, start=2**33)
    whole = draw(some, "word", 1)
    rows = np.random.default_rng(1).permutation(200_000)[:500]
    assert np.array_equal(draw(some.of(rows), "word", 1), whole[rows])
    assert not np.array_equal(draw(some, "word", 2)[:100], whole[:100])
    assert not np.array_equal(draw(some, "word", "1")[:100], whole[:100])


@given(identities)
def test_groups_are_equal_events(some: Identity) -> None:
    rows = list(zip(*(column.tolist() for column in some), strict=True))
    found = groups(some)
    assert sorted(set(found.tolist())) == list(range(len(set(rows))))
    assert all((found[i] == found[j]) == (rows[i] == rows[j]) for i, j in itertools.combinations(range(len(rows)), 2))
