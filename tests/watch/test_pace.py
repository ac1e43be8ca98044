"""The time that is left, and how sure that is."""

from __future__ import annotations

import pytest

from labwright.watch.pace import in_words, span, time_left


def test_a_steady_pace_leaves_no_doubt() -> None:
    assert time_left([(float(t), 2.0 * t) for t in range(10)], total=100, now=9.0) == (41.0, 41.0)


def test_time_passes_since_the_last_point() -> None:
    assert time_left([(0.0, 0.0), (10.0, 10.0)], total=30, now=15.0) == (15.0, 15.0)


def test_a_pace_that_changed_gives_a_range() -> None:
    slow, fast = [(float(t), 1.0 * t) for t in range(10)], [(10.0 + t, 10.0 + 5 * t) for t in range(10)]
    left = time_left([*slow, *fast], total=155, now=19.0)
    assert left is not None
    assert left[0] == pytest.approx(100 / 5)
    assert left[1] > 30


@pytest.mark.parametrize("seen", [[], [(0.0, 1.0)], [(0.0, 1.0), (5.0, 1.0)], [(3.0, 1.0), (3.0, 2.0)]], ids=str)
def test_where_nothing_moved_nothing_is_foretold(seen: list[tuple[float, float]]) -> None:
    assert time_left(seen, 10, now=6.0) is None
    assert in_words(None) == ""


@pytest.mark.parametrize(
    ("left", "words"),
    [
        ((0.2, 0.5), "nearly done"),
        ((40.0, 42.0), "about 42 s left"),
        ((240.0, 540.0), "4 to 9 min left"),
        ((60.0, 540.0), "60 s to 9 min left"),
        ((7000.0, 7100.0), "about 1 h 58 min left"),
    ],
)
def test_it_is_said_in_words(left: tuple[float, float], words: str) -> None:
    assert in_words(left) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (89, "89 s"), (90, "2 min"), (5399, "90 min"), (5400, "1 h 30 min"), (86400, "24 h 00 min"), (190800, "2 d 5 h")],
)
def test_spans_have_two_digits(seconds: float, words: str) -> None:
    assert span(seconds) == words
