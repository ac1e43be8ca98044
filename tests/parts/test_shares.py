"""All shares of a count together hold each part once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labwright.parts.shares import Share
from labwright.runs.errors import CommandError
from labwright.study.step import Part


@given(st.integers(0, 40), st.integers(1, 12))
def test_shares_hold_each_part_once_and_are_alike_in_size(parts: int, count: int) -> None:
    everything = [Part(str(number)) for number in range(parts)]
    shares = [Share(index, count).of(everything) for index in range(count)]
    assert sorted(part for share in shares for part in share) == sorted(everything)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@given(st.integers(0, 99), st.integers(1, 99))
def test_a_share_is_read_as_it_is_written(index: int, count: int) -> None:
    if index < count:
        assert Share.parse(str(Share(index, count))) == Share(index, count)
    else:
        with pytest.raises(CommandError):
            Share.parse(f"{index}/{count}")


@pytest.mark.parametrize("text", ["", "1", "/", "1/", "/2", "-1/2", "1/0", "a/b", "1/2/3", "1.0/2"])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(CommandError, match="0 to n-1"):
        Share.parse(text)


def test_without_a_share_all_parts_are_meant() -> None:
    parts = [Part("a"), Part("b")]
    assert Share().of(parts) == parts
