"""Batches come in order, errors come out where they belong, and leaving early never hangs."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labwright.data.gather import Prefetch, crops
from labwright.data.packs import Pack
from labwright.data.write import ArraySpec, finish_pack, shards, write_shard

Request = tuple[np.ndarray, int]


def requests(count: int) -> list[Request]:
    return [(np.array([number, number + 1]), number) for number in range(count)]


def load(items: np.ndarray, key: int) -> tuple[int, int]:
    return int(items.sum()), key


def prefetch_threads() -> int:
    return sum(thread.name == "prefetch" for thread in threading.enumerate())


@given(st.integers(0, 30), st.integers(1, 5))
def test_batches_come_in_order(count: int, depth: int) -> None:
    with Prefetch(load, requests(count), depth=depth) as batches:
        assert list(batches) == [(2 * number + 1, number) for number in range(count)]
        assert list(batches) == []
    assert prefetch_threads() == 0


def test_no_more_than_depth_batches_are_made_ahead() -> None:
    made: list[int] = []
    with Prefetch(lambda items, key: made.append(key), requests(20), depth=3) as batches:
        for taken in range(5):
            deadline = time.monotonic() + 5
            while len(made) < taken + 3 and time.monotonic() < deadline:
                time.sleep(0.001)
            time.sleep(0.01)
            assert made == list(range(taken + 3))
            next(batches)


@pytest.mark.parametrize("bad", [0, 3])
def test_an_error_comes_out_at_its_batch(bad: int) -> None:
    def fail(items: np.ndarray, key: int) -> int:
        if key == bad:
            raise OSError("the disk went away")
        return key

    with Prefetch(fail, requests(6)) as batches:
        assert [next(batches) for _ in range(bad)] == list(range(bad))
        with pytest.raises(OSError, match="went away"):
            next(batches)
        assert list(batches) == []
    assert prefetch_threads() == 0


def test_an_error_in_the_requests_comes_out_too() -> None:
    def broken() -> Iterator[Request]:
        yield from requests(2)
        raise KeyError("order")

    with Prefetch(load, broken()) as batches:
        assert [next(batches)[1], next(batches)[1]] == [0, 1]
        with pytest.raises(KeyError):
            next(batches)


@pytest.mark.parametrize("taken", [0, 1, 4])
def test_leaving_early_ends_the_thread(taken: int) -> None:
    with Prefetch(load, requests(1000), depth=2) as batches:
        for _ in range(taken):
            next(batches)
    assert prefetch_threads() == 0
    with pytest.raises(StopIteration):
        next(batches)


def test_leaving_by_an_error_of_the_consumer_ends_the_thread() -> None:
    def train() -> None:
        with Prefetch(load, requests(1000)) as batches:
            next(batches)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        train()
    assert prefetch_threads() == 0


def test_waiting_is_told_from_working() -> None:
    def slow(items: np.ndarray, key: int) -> int:
        time.sleep(0.02)
        return key

    with Prefetch(slow, requests(5)) as starved:
        assert starved.wait_share == 0.0
        for _ in starved:
            pass
    # The thread slept 0.1 s in all, and the consumer did nothing but wait for it.
    assert starved.wait_seconds > 0.05
    assert starved.wait_share > 0.5
    with Prefetch(load, requests(5)) as fed:
        for _ in fed:
            time.sleep(0.02)
    assert fed.busy_seconds >= 0.1
    assert fed.wait_share == fed.wait_seconds / (fed.wait_seconds + fed.busy_seconds)


def test_depth_is_at_least_one() -> None:
    with pytest.raises(ValueError, match="depth"):
        Prefetch(load, requests(1), depth=0)


@given(st.data(), st.integers(0, 2), st.integers(1, 3), st.integers(1, 5))
def test_crops_are_those_of_slicing(data: st.DataObject, leading: int, axes: int, count: int) -> None:
    side = st.integers(1, 6)
    space = tuple(data.draw(side) for _ in range(axes))
    shape = (*(data.draw(side) for _ in range(leading)), *space)
    items = [np.random.default_rng(number).integers(0, 255, shape, np.uint8) for number in range(count)]
    size = [data.draw(st.integers(1, length)) for length in space]
    corners = np.array([[data.draw(st.integers(0, length - part)) for length, part in zip(space, size, strict=True)] for _ in items])
    got = crops(items, corners, size)
    assert got.flags.c_contiguous
    assert got.shape == (count, *shape[:leading], *size)
    for crop, item, corner in zip(got, items, corners, strict=True):
        inside = tuple(np.arange(start, start + part) for start, part in zip(corner, size, strict=True))
        for channel in np.ndindex(shape[:leading]):
            np.testing.assert_array_equal(crop[channel], item[channel][np.ix_(*inside)])
    reused = np.empty_like(got)
    assert crops(items, corners, size, out=reused) is reused
    np.testing.assert_array_equal(reused, got)


@pytest.mark.parametrize("corner", [(-1, 0), (0, -4), (3, 0), (0, 5), (9, 9)])
def test_a_crop_that_reaches_out_is_an_error(corner: tuple[int, int]) -> None:
    with pytest.raises(IndexError, match="reaches out of an item"):
        crops([np.zeros((4, 6))], np.array([corner]), (2, 2))


def test_a_pack_is_gathered_through_the_thread(tmp_path: Path) -> None:
    data = np.random.default_rng(0).integers(0, 60000, (12, 2, 20, 30)).astype(np.uint16)
    spec = ArraySpec("images/01", data.shape, "uint16", 4)
    for start, stop, file in shards(spec):
        write_shard(tmp_path / file, spec, start, data[start:stop])
    finish_pack(tmp_path, [spec], pa.table({"identity": [str(number) for number in range(12)]}), {})
    images = Pack.open(tmp_path).arrays["images/01"]
    chosen = np.array([7, 0, 11])
    corners = np.array([[0, 1], [12, 22], [5, 5]])
    with Prefetch(lambda items, key: crops([images[item] for item in items], corners, (8, 8)), [(chosen, 0)]) as batches:
        (batch,) = batches
    expected = np.stack([data[item, :, y : y + 8, x : x + 8] for item, (y, x) in zip(chosen, corners, strict=True)])
    np.testing.assert_array_equal(batch, expected)
