from __future__ import annotations

import itertools

import numpy as np
import pytest
import vector
from hypothesis import given
from hypothesis import strategies as st

from labwright.events.physics.pairings import PAIRINGS, chosen, dijets

# 60 and 40 GeV back to back in x, 50 and 30 GeV back to back in y, all massless at η = 0.
CROSS = np.array([[[60.0, 0, 0, 0], [50.0, 0, np.pi / 2, 0], [40.0, 0, np.pi, 0], [30.0, 0, -np.pi / 2, 0]]])


def test_dijets_of_a_cross_by_hand() -> None:
    found = dijets(CROSS)
    # m² = 2 pt₁ pt₂ (1 − cos Δφ): 12|34, 13|24, 14|23, the greater scalar sum of pt first (110|70, 100|80, 90|90).
    expected = [[6000**0.5, 2400**0.5], [9600**0.5, 6000**0.5], [3600**0.5, 4000**0.5]]
    np.testing.assert_allclose(found.mass[0], expected)
    np.testing.assert_allclose(found.pt[0], [[6100**0.5, 2500**0.5], [20, 20], [4500**0.5, 4100**0.5]])
    np.testing.assert_allclose(found.delta_r[0], [[np.pi / 2] * 2, [np.pi] * 2, [np.pi / 2] * 2])
    # px: 60 − 40, py: 50 − 30, E: 180.
    assert found.m4j[0] == pytest.approx((180**2 - 20**2 - 20**2) ** 0.5)


def test_the_order_of_run_3_is_by_the_vector_sum() -> None:
    jets = np.array([[[90.0, 0, 0, 0], [80.0, 0, np.pi, 0], [45.0, 0, 0, 0], [44.0, 0, 0.1, 0]]])
    by_scalar, by_vector = dijets(jets, "scalar_pt"), dijets(jets, "pt")
    # 12 are back to back: the scalar sum is 170, the vector sum 10; 34 are side by side.
    assert by_scalar.mass[0, 0, 0] > 150 > by_vector.mass[0, 0, 0]
    assert by_vector.mass[0, 0].tolist() == by_scalar.mass[0, 0, ::-1].tolist()


@given(st.integers(0, 2**32 - 1), st.permutations(range(4)))
def test_any_order_of_the_jets_gives_the_same_three_pairs_of_dijets(seed: int, order: list[int]) -> None:
    random = np.random.default_rng(seed)
    jets = np.stack([random.uniform(40, 400, 4), random.uniform(-2.4, 2.4, 4), random.uniform(-3, 3, 4), random.uniform(0, 20, 4)], -1)[
        None
    ]
    one, other = dijets(jets), dijets(jets[:, order])
    assert sorted(map(tuple, np.round(one.mass[0], 6))) == sorted(map(tuple, np.round(other.mass[0], 6)))
    np.testing.assert_allclose(one.m4j, other.m4j)


def test_dijets_are_those_of_vector() -> None:
    random = np.random.default_rng(1)
    shape = (200, 4)
    jets = np.stack(
        [random.uniform(40, 400, shape), random.normal(0, 1, shape), random.uniform(-3, 3, shape), random.uniform(0, 20, shape)], -1
    )
    theirs = vector.array({name: jets[..., place] for place, name in enumerate(("pt", "eta", "phi", "mass"))})
    found = dijets(jets)
    for number, pairing in enumerate(PAIRINGS):
        sums = [theirs[:, i] + theirs[:, j] for i, j in pairing]
        scalar = [jets[:, i, 0] + jets[:, j, 0] for i, j in pairing]
        lead = np.where(scalar[1] > scalar[0], sums[1].mass, sums[0].mass)
        np.testing.assert_allclose(found.mass[:, number, 0], lead, rtol=1e-9)
        np.testing.assert_allclose(np.sort(found.pt[:, number]), np.sort(np.stack([one.pt for one in sums], -1)), rtol=1e-9)


def test_each_jet_is_in_each_pairing_once() -> None:
    assert {frozenset(map(frozenset, pairing)) for pairing in PAIRINGS} == {
        frozenset([frozenset(pair), frozenset(range(4)) - frozenset(pair)]) for pair in itertools.combinations(range(4), 2)
    }


def test_chosen_takes_the_pairing_of_each_event() -> None:
    values = np.arange(12.0).reshape(2, 3, 2)
    assert chosen(values, np.array([2, 0])).tolist() == [[4, 5], [6, 7]]
