"""xW and xbW are those of the best triple of an independent four-vector package."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import vector
from hypothesis import given
from hypothesis import strategies as st

from labwright.events.physics.jets import Jets, Selection, select
from labwright.events.physics.top import top_variables


def events(count: int, seed: int, *, tagged: bool = True, places: int = 8) -> Jets:
    """Events of four to eight jets, some of them too soft to be selected, with a regression."""
    random = np.random.default_rng(seed)
    shape = (count, places)
    pt = random.uniform(40, 200, shape)
    pt[:, 4:] *= random.choice([0.1, 1.0], (count, places - 4))
    there = np.arange(places) < random.integers(4, places + 1, count)[:, None]
    jets = Jets(pt, random.normal(0, 0.7, shape).clip(-2.3, 2.3), random.uniform(-3, 3, shape), random.uniform(0, 20, shape), there)
    return jets._replace(tag=random.uniform(0, 1, shape), factor=random.uniform(0.8, 1.2, shape)) if tagged else jets


def single(four: list[list[float]], tag: list[float]) -> tuple[Jets, Selection]:
    columns = np.array(four).T[:, None]
    jets = Jets(*columns, np.ones((1, len(four)), bool), np.array([tag]))
    return jets, select(jets)


def test_a_perfect_top_by_hand() -> None:
    """W → two massless jets of 40.2 GeV back to back; the b jet along y with m_bW = 173."""
    # m_bW² = (80.4 + p)² − p² = 80.4² + 160.8 p
    p = (173.0**2 - 80.4**2) / 160.8
    jets = single([[p, 0, np.pi / 2, 0], [40.2, 0, 0, 0], [40.2, 0, np.pi, 0], [900.0, 2.3, -1.0, 0]], [0.8, 0.3, 0.2, 0.9])
    assert top_variables(*jets) == (pytest.approx(0, abs=1e-9), pytest.approx(0, abs=1e-9))


def test_the_w_is_scaled_to_its_mass_for_m_bw_and_not_for_xw() -> None:
    p = (173.0**2 - 80.4**2) / 160.8
    heavy = single([[p, 0, np.pi / 2, 0], [50.0, 0, 0, 0], [50.0, 0, np.pi, 0], [900.0, 2.3, -1.0, 0]], [0.8, 0.3, 0.2, 0.9])
    x_w, x_bw = top_variables(*heavy)
    assert (x_w[0], x_bw[0]) == pytest.approx(((100 - 80.4) / 10, 0), abs=1e-9)


@pytest.mark.parametrize("tagged", [True, False])
def test_every_triple_is_tried(tagged: bool) -> None:
    jets = events(40, 3, tagged=tagged)
    selection = select(jets)
    four = selection.enough
    jets, selection = jets.take(four), Selection._make(one[four] for one in selection)
    x_w, x_bw = top_variables(jets, selection)
    for number in range(len(jets.pt)):
        order = selection.order[number, : selection.n_selected[number]]
        own = [vector.obj(**{name: getattr(jets, name)[number, place] for name in ("pt", "eta", "phi", "mass")}) for place in order]
        factor = [1.0 if jets.factor is None else jets.factor[number, place] for place in order]
        triples = [
            (b, j, k)
            for b, j, k in itertools.permutations(range(len(own)), 3)
            if (b < j < k and b < 3 and j >= 2 if tagged else b < 4 and j < k)
        ]
        found = []
        for b, j, k in triples:
            w = own[j] + own[k]
            m_bw = (own[b].scale(factor[b]) + w.scale(80.4 / w.mass)).mass
            found.append(((w.mass - 80.4) / (0.10 * w.mass), (m_bw - 173) / (0.05 * m_bw)))
        best = min(found, key=lambda pair: pair[0] ** 2 + pair[1] ** 2)
        assert (x_w[number], x_bw[number]) == pytest.approx(best, rel=1e-6)


@given(st.integers(0, 2**31), st.permutations(range(8)), st.booleans())
def test_the_order_in_the_file_does_not_matter(seed: int, order: list[int], tagged: bool) -> None:
    jets = events(5, seed, tagged=tagged)
    turned = Jets._make(None if one is None else one[:, order] for one in jets)
    enough = select(jets).enough
    for one, other in zip(*(top_variables(*_enough(some, enough)) for some in (jets, turned)), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9)


def _enough(jets: Jets, rows: np.ndarray) -> tuple[Jets, Selection]:
    return jets.take(rows), Selection._make(one[rows] for one in select(jets))


def test_jets_that_are_not_selected_take_no_part() -> None:
    jets = events(20, 1)
    selection = select(jets)
    alone = jets._replace(there=selection.selected)
    for one, other in zip(*(top_variables(*_enough(some, selection.enough)) for some in (jets, alone)), strict=True):
        np.testing.assert_array_equal(one, other)


def test_no_events_and_massless_triples_are_numbers_too() -> None:
    jets = events(3, 2)
    none = np.zeros(3, bool)
    assert top_variables(*_enough(jets, none))[0].shape == (0,)
    same = single([[100.0, 0.5, 0.5, 0.0]] * 4, [0.9, 0.8, 0.7, 0.6])
    assert np.isfinite(top_variables(*same)).all()
