"""Numbers and ranges, as people write folds and seeds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labwright.events.intervals import intervals


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("0-2", (0, 1, 2)), ("0 2 4", (0, 2, 4)), ("0-2 4-6 8", (0, 1, 2, 4, 5, 6, 8)), ("7", (7,)), ("3, 1", (3, 1)), ("2-2", (2,))],
)
def test_offsets_are_numbers_and_ranges_with_both_ends(text: str, numbers: tuple[int, ...]) -> None:
    assert intervals(text) == numbers


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no number"),
        ("2-0", "runs backwards; write '0-2'"),
        ("0-2 2", "2 is given twice"),
        ("0-", "'0-' is neither"),
        ("a", "'a' is neither"),
        ("-1", "'-1' is neither"),
        ("0--2", "neither"),
        ("0.5", "neither"),
        ("٣", "neither"),
    ],
)
def test_a_bad_piece_is_told(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        intervals(text)


@given(st.sets(st.integers(0, 200), min_size=1, max_size=20).map(sorted))
def test_numbers_survive_being_written(numbers: list[int]) -> None:
    assert intervals(" ".join(map(str, numbers))) == tuple(numbers)
    assert intervals(", ".join(f"{one}-{one}" for one in numbers)) == tuple(numbers)
