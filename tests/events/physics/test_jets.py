from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from labwright.events.physics.jets import Jets, candidates, others, select
from labwright.events.table import PADDING


def event(*jets: tuple[float, ...], places: int = 8) -> Jets:
    """One event of (pt, eta, tag) jets; the mass is a tenth of pt, phi their number."""
    filled = [*jets, *[(0.0, 0.0, 0.0)] * (places - len(jets))]
    pt, eta, tag = (np.array([values]) for values in zip(*filled, strict=True))
    there = np.array([[True] * len(jets) + [False] * (places - len(jets))])
    return Jets(pt, eta, np.arange(places, dtype=float)[None], pt / 10, there, tag)


MANY = event((200, 2.5, 0.99), (100, 0, 0.9), (90, 1, 0.1), (80, -2.4, 0.8), (60, 0, 0.7), (50, 0.5, 0.95), (39, 0, 0.99), (30, 3, 0.0))


def test_the_four_of_highest_tag_among_the_selected_by_pt() -> None:
    selection = select(MANY)
    assert (selection.n_selected[0], selection.n_tagged[0], selection.enough[0]) == (5, 4, True)
    four = candidates(MANY, selection)
    assert four.shape == (1, 4, 4)
    assert four.dtype == np.float32
    # Not 200 (beyond 2.4), not 39 (below 40 GeV), not 90 (least tag).
    assert four[0, :, 0].tolist() == [100, 80, 60, 50]


def test_the_others_by_pt_with_a_mark_for_the_selected_and_one_for_the_empty() -> None:
    rest, dropped = others(MANY, select(MANY), max_others=6)
    assert rest[0, :, 0].tolist() == [200, 90, 39, 30, 0, 0]
    assert rest[0, :, 4].tolist() == [0, 1, 0, 0, PADDING, PADDING]
    assert rest.dtype == np.float32
    assert dropped.tolist() == [0]


def test_jets_beyond_the_places_are_those_of_least_pt_and_are_counted() -> None:
    rest, dropped = others(MANY, select(MANY), max_others=3)
    assert rest[0, :, 0].tolist() == [200, 90, 39]
    assert dropped.tolist() == [1]
    none, all_dropped = others(MANY, select(MANY), max_others=0)
    assert none.shape == (1, 0, 5)
    assert all_dropped.tolist() == [4]
    fewer, _ = others(MANY, select(MANY), max_others=12, min_pt_gev=35)
    assert fewer[0, :, 0].tolist() == [200, 90, 39, *[0] * 9]


def test_without_tags_the_four_of_greatest_pt() -> None:
    jets = MANY._replace(tag=None)
    selection = select(jets)
    assert candidates(jets, selection)[0, :, 0].tolist() == [100, 90, 80, 60]
    assert selection.n_tagged[0] == 0


def test_the_regression_changes_the_four_and_their_order_not_the_choice() -> None:
    jets = MANY._replace(factor=np.where(MANY.pt == 50, 3.0, 1.0))
    four = candidates(jets, select(jets))
    assert four[0, :, 0].tolist() == [150, 100, 80, 60]
    np.testing.assert_allclose(four[0, 0, 3], 15.0)


def test_an_event_with_three_selected_jets_is_not_enough() -> None:
    jets = event((100, 0, 1), (90, 0, 1), (80, 0, 1), (39, 0, 1))
    assert not select(jets).enough[0]
    assert select(jets, min_pt_gev=30).enough[0]


def test_a_tag_that_is_no_number_is_the_least() -> None:
    jets = event((100, 0, np.nan), (90, 0, 0.1), (80, 0, 0.1), (70, 0, 0.1), (60, 0, 0.1))
    assert candidates(jets, select(jets))[0, :, 0].tolist() == [90, 80, 70, 60]


@given(st.integers(0, 2**31), st.permutations(range(8)))
def test_the_order_in_the_file_does_not_matter(seed: int, order: list[int]) -> None:
    random = np.random.default_rng(seed)
    shape = (5, 8)
    tag = random.choice([0.0, 1.0], shape)  # ties, as a tagger with working points gives them
    jets = Jets(
        random.uniform(20, 200, shape),
        random.normal(0, 1.5, shape),
        random.uniform(-3, 3, shape),
        random.uniform(1, 9, shape),
        random.random(shape) < 0.9,
        tag,
    )
    turned = jets._replace(**{name: getattr(jets, name)[:, order] for name in ("pt", "eta", "phi", "mass", "there", "tag")})
    one, other = select(jets), select(turned)
    assert one.n_selected.tolist() == other.n_selected.tolist()
    enough = one.enough
    np.testing.assert_array_equal(candidates(jets, one)[enough], candidates(turned, other)[enough])
    np.testing.assert_array_equal(others(jets, one)[0][enough], others(turned, other)[0][enough])
