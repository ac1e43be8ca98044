from __future__ import annotations

import itertools

import numpy as np
import pytest
import vector
from hypothesis import given
from hypothesis import strategies as st

from labwright.events.top import top_variables


def events(count: int, seed: int, places: int = 4) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)

    def draw(jets: int) -> np.ndarray:
        shape = (count, jets)
        return np.stack(
            [random.uniform(40, 200, shape), random.normal(0, 1, shape), random.uniform(-3, 3, shape), random.uniform(0, 20, shape)], -1
        )

    others = np.concatenate([draw(places), random.integers(0, 2, (count, places, 1))], axis=-1)
    others[random.random((count, places)) < 0.4] = [0, 0, 0, 0, -1]
    return draw(4), others


def test_a_perfect_top_by_hand() -> None:
    """W → two massless jets of 40.2 GeV back to back; the third jet along y with m_bW = 173."""
    # m_bW² = (80.4 + p)² − p² = 80.4² + 160.8 p
    p = (173.0**2 - 80.4**2) / 160.8
    can = np.array([[[p, 0, np.pi / 2, 0], [40.2, 0, 0, 0], [40.2, 0, np.pi, 0], [900.0, 2.4, -1.0, 0]]])
    none = np.array([[[0.0, 0, 0, 0, -1]]])
    x_w, x_bw = top_variables(can, none)
    assert (x_w[0], x_bw[0]) == pytest.approx((0, 0), abs=1e-9)


def test_every_triple_is_tried() -> None:
    can, others = events(30, 3)
    x_w, x_bw = top_variables(can, others)
    for number in range(30):
        kept = others[number][others[number][:, 4] == 1][:, :4]
        jets = [vector.obj(pt=pt, eta=eta, phi=phi, mass=mass) for pt, eta, phi, mass in np.concatenate([can[number], kept])]
        best = min(
            (
                ((w.mass - 80.4) / (0.10 * w.mass), ((w + jets[b]).mass - 173) / (0.05 * (w + jets[b]).mass))
                for j, k in itertools.combinations(range(len(jets)), 2)
                for w in [jets[j] + jets[k]]
                for b in range(4)
                if b not in (j, k)
            ),
            key=lambda pair: pair[0] ** 2 + pair[1] ** 2,
        )
        assert (x_w[number], x_bw[number]) == pytest.approx(best, rel=1e-6)


@given(st.integers(0, 2**31), st.permutations(range(4)), st.permutations(range(4)))
def test_the_order_of_the_jets_does_not_matter(seed: int, first: list[int], second: list[int]) -> None:
    can, others = events(5, seed)
    for one, other in zip(top_variables(can, others), top_variables(can[:, first], others[:, second]), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9)


def test_jets_that_are_not_selected_take_no_part() -> None:
    can, others = events(20, 1)
    loose = others.copy()
    loose[..., 4] = np.where(loose[..., 4] == 1, 0, loose[..., 4])
    empty = np.zeros_like(others[:, :0])
    for one, other in zip(top_variables(can, loose), top_variables(can, empty), strict=True):
        np.testing.assert_array_equal(one, other)


def test_no_events_and_massless_triples_are_numbers_too() -> None:
    can, others = events(3, 2)
    assert top_variables(can[:0], others[:0])[0].shape == (0,)
    same = np.tile(np.array([100.0, 0.5, 0.5, 0.0]), (1, 4, 1))
    assert np.isfinite(top_variables(same, others[:1, :0])).all()
