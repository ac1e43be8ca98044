from __future__ import annotations

import numpy as np
import pytest
import vector
from hypothesis import given
from hypothesis import strategies as st

from labwright.events.physics.four_vectors import cartesian, delta_r, mass, mass_from_energy, pt

JET = st.tuples(st.floats(1, 2000), st.floats(-5, 5), st.floats(-3.1, 3.1), st.floats(0, 300))


@given(st.lists(st.tuples(JET, JET), min_size=1, max_size=6))
def test_sums_masses_and_distances_are_those_of_vector(pairs: list[tuple[tuple[float, ...], tuple[float, ...]]]) -> None:
    jets = np.array(pairs)
    theirs = vector.array({name: jets[..., place] for place, name in enumerate(("pt", "eta", "phi", "mass"))})
    ours = cartesian(jets)
    both, sums = theirs[:, 0] + theirs[:, 1], ours.sum(axis=1)
    np.testing.assert_allclose(pt(sums), both.pt, rtol=1e-9, atol=1e-6)
    # Two parallel massless jets: a difference of large numbers, by whatever formula.
    np.testing.assert_allclose(mass(sums) ** 2, both.mass2, rtol=1e-9, atol=1e-9 * float(np.max(sums[:, 3] ** 2)))
    np.testing.assert_allclose(delta_r(jets[:, 0], jets[:, 1]), theirs[:, 0].deltaR(theirs[:, 1]), rtol=1e-9, atol=1e-9)


def test_two_massless_jets_back_to_back_have_twice_their_momentum_as_mass() -> None:
    jets = np.array([[[50.0, 0, 0, 0], [50.0, 0, np.pi, 0]]])
    assert mass(cartesian(jets).sum(axis=1)) == pytest.approx(100.0)


def test_a_distance_goes_the_short_way_round() -> None:
    assert delta_r(np.array([1, 0.0, 3.0]), np.array([1, 0.0, -3.0])) == pytest.approx(2 * np.pi - 6)


def test_mass_of_an_energy_is_never_the_root_of_a_negative_number() -> None:
    pt_, eta = np.array([30.0, 30.0]), np.array([1.0, 1.0])
    energy = np.hypot(np.array([30.0, 30.0]) * np.cosh(eta), np.array([5.0, 0.0])) - np.array([0, 1e-3])
    np.testing.assert_allclose(mass_from_energy(pt_, eta, energy), [5.0, 0.0], atol=1e-6)
