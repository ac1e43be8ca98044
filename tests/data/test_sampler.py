"""What is drawn depends on (seed, epoch, index) and on nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labwright.data.sampler import batches, generator, order

SEEDS = st.integers(-(2**70), 2**70)
KEYS = st.lists(st.one_of(st.integers(-(2**70), 2**70), st.text(max_size=5)), max_size=4)


@given(SEEDS, st.integers(0, 10**6), st.integers(0, 300))
def test_an_epoch_is_a_permutation(seed: int, epoch: int, count: int) -> None:
    drawn = order(seed, epoch, count)
    assert drawn.dtype == np.int64
    assert sorted(drawn.tolist()) == list(range(count))


def test_the_values_are_pinned() -> None:
    """A change here changes what every study trains on: raise the version of the steps that draw."""
    assert order(7, 0, 12).tolist() == [6, 3, 5, 10, 8, 4, 0, 7, 11, 1, 9, 2]
    assert order(7, 1, 12).tolist() == [8, 6, 9, 11, 2, 3, 1, 7, 4, 0, 10, 5]
    raw = generator(7, "crop", 0, 3).bit_generator.random_raw(3)
    assert raw.tolist() == [6242467030853747385, 12702568855954977920, 12132483904349409274]


def test_epochs_and_seeds_differ() -> None:
    orders = {tuple(order(seed, epoch, 50)) for seed in range(20) for epoch in range(20)}
    assert len(orders) == 400


@given(SEEDS, KEYS, SEEDS, KEYS)
def test_other_keys_are_another_stream(seed: int, keys: list[int | str], other: int, others: list[int | str]) -> None:
    same = (seed, keys) == (other, others)
    assert (generator(seed, *keys).integers(2**62) == generator(other, *others).integers(2**62)) == same


@pytest.mark.parametrize(("one", "other"), [(("1",), (1,)), (("ab", "c"), ("a", "bc")), ((1, 2), (12,)), (("i1;",), (1,)), ((), ("",))])
def test_keys_do_not_run_together(one: tuple[int | str, ...], other: tuple[int | str, ...]) -> None:
    assert generator(0, *one).integers(2**62) != generator(0, *other).integers(2**62)


def test_numpy_integers_are_integers_and_fractions_are_refused() -> None:
    assert generator(1, np.int64(3)).integers(2**62) == generator(1, 3).integers(2**62)
    with pytest.raises(TypeError):
        generator(1, 0.5)  # type: ignore[arg-type]


@given(SEEDS, st.integers(0, 5), st.integers(0, 60), st.integers(1, 20), st.booleans(), st.randoms())
def test_a_batch_is_the_same_whatever_was_drawn_before(
    seed: int, epoch: int, count: int, batch_size: int, drop_last: bool, chance: np.random.Generator
) -> None:
    whole = batches(order(seed, epoch, count), batch_size, drop_last)
    asked = list(range(len(whole)))
    chance.shuffle(asked)
    for number in asked:
        generator(seed, "crop", number).random(5)
        again = batches(order(seed, epoch, count), batch_size, drop_last)[number]
        assert again.tolist() == whole[number].tolist()


@given(st.integers(0, 60), st.integers(1, 20))
def test_batches_cut_the_order(count: int, batch_size: int) -> None:
    drawn = order(0, 0, count)
    every = batches(drawn, batch_size, drop_last=False)
    full = batches(drawn, batch_size, drop_last=True)
    assert [item for batch in every for item in batch] == drawn.tolist()
    assert [batch.tolist() for batch in full] == [batch.tolist() for batch in every if len(batch) == batch_size]
