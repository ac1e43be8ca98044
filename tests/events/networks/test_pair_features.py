"""Masses, momenta and angles in single precision against four-vectors in double."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch
from torch import Tensor

from labwright.events.networks import pair_features as physics
from labwright.events.physics.four_vectors import cartesian, mass, pt
from tests.events.networks.test_build import events

GHOSTS, N, OTHERS = 2, 40, 5
SEEN = events(N, 1)
JETS = physics.jets(SEEN.can, SEEN.other, GHOSTS)
PAIRS = physics.pairs(JETS)
VECTORS = cartesian(np.concatenate((SEEN.can.numpy(), SEEN.other.numpy()[..., :4]), axis=1))
# Eta counts from the leading jet.
VECTORS[..., 2] *= np.where(SEEN.can[:, 0, 1].numpy() < 0, -1.0, 1.0)[:, None]
THERE = np.concatenate((np.ones((N, 4), bool), SEEN.other[..., 4].numpy() >= 0), axis=1)


def listed(values: Tensor) -> np.ndarray:
    """(ghosts, …, events) → (batch, …)."""
    return torch.movedim(values, -1, 1).flatten(0, 1).numpy()


def test_all_pairs_are_there_once_and_dijets_first() -> None:
    pairs = physics.pair_list(4 + OTHERS)
    assert pairs[:6] == ((0, 1), (2, 3), (0, 2), (1, 3), (0, 3), (1, 2))
    assert sorted(pairs) == sorted(combinations(range(4 + OTHERS), 2))


def test_pair_masses() -> None:
    first, second = PAIRS.first.numpy(), PAIRS.second.numpy()
    there = THERE[:, first] & THERE[:, second]
    np.testing.assert_allclose(np.sqrt(listed(PAIRS.square))[there], mass(VECTORS[:, first] + VECTORS[:, second])[there], rtol=2e-6)


def test_jets_that_nearly_touch_keep_their_mass() -> None:
    """m² = E² − p² would leave no digit in single precision."""
    can = torch.tensor([[[500.0, 2.4, 1.0, 0.0], [400.0, 2.401, 1.001, 0.0], [50.0, 0.0, -2.0, 5.0], [45.0, -1.0, 2.0, 5.0]]])
    close = physics.pairs(physics.jets(can, torch.zeros(1, 0, 5)))
    np.testing.assert_allclose(close.square[0, 0, 0].sqrt().item(), np.sqrt(500.0 * 400.0 * 2e-6), rtol=1e-3)


def test_angles_are_the_shorter_way_round() -> None:
    phi = SEEN.can[..., 2].double().numpy()
    one, two = phi[:, PAIRS.first[:6]], phi[:, PAIRS.second[:6]]
    expected = np.abs(np.angle(np.exp(1j * (one - two))))
    np.testing.assert_allclose(listed(PAIRS.delta_phi)[:, :6], expected, atol=1e-6)
    whole = physics.quadjet(JETS, PAIRS)
    total = VECTORS[:, :4].sum(axis=1)
    own = np.angle(np.exp(1j * (np.arctan2(VECTORS[..., 1], VECTORS[..., 0]) - np.arctan2(total[:, 1], total[:, 0])[:, None])))
    np.testing.assert_allclose(listed(physics.angle_to_quadjet(JETS, JETS, whole))[THERE], np.abs(own)[THERE], atol=1e-5)


def test_the_direction_of_balanced_jets_is_no_noise() -> None:
    can = torch.tensor([[[100.0, 0.5, 0.3, 5.0], [100.0, 0.2, 0.3 - np.pi, 5.0], [60.0, 0.1, 1.0, 5.0], [60.0, -1.0, 1.0 - np.pi, 5.0]]])
    jets = physics.jets(can.float(), torch.zeros(1, 0, 5))
    assert not physics.angle_to_quadjet(jets, jets, physics.quadjet(jets, physics.pairs(jets))).any()


def test_dijets_quadjet_and_triples() -> None:
    dijets, whole = physics.dijets(JETS, PAIRS), physics.quadjet(JETS, PAIRS)
    summed = np.stack([VECTORS[:, i] + VECTORS[:, j] for i, j in physics.DIJETS], axis=1)
    total = VECTORS[:, :4].sum(axis=1, keepdims=True)
    for ours, theirs in ((dijets, summed), (whole, total)):
        np.testing.assert_allclose(listed(ours.mass), mass(theirs), rtol=3e-6)
        np.testing.assert_allclose(listed(ours.pt), pt(theirs), rtol=2e-5)
        np.testing.assert_allclose(listed(ours.eta), np.arcsinh(theirs[..., 2] / pt(theirs)), atol=2e-5)
    triples = mass(summed[:, :, None] + VECTORS[:, None])
    stranger = listed(physics.strangers(JETS)).astype(bool)
    assert stranger.sum() == sum(2 * 6 + 6 * (there.sum() - 4) for there in THERE)
    np.testing.assert_allclose(listed(physics.triple_mass(JETS, PAIRS))[stranger], triples[stranger], rtol=3e-6)


@pytest.mark.parametrize(("given", "expected"), [(4.0, 0.0), (5.0, np.log(2.0)), (11.0, np.log(8.0)), (0.0, 0.0)])
def test_the_number_of_jets_goes_in_as_a_logarithm(given: float, expected: float) -> None:
    values = torch.tensor([[18.0, given], [17.0, given]])
    result = physics.ancillary(values, ("year", "n_selected"))
    np.testing.assert_allclose(result[0, :, 0].numpy(), [[18.0, 17.0], [expected, expected]], rtol=1e-6)


def test_constants_made_in_inference_serve_a_training() -> None:
    physics.pair_indices.cache_clear()
    with torch.inference_mode():
        physics.pairs(JETS)
    weight = torch.ones(1, 9, 1, requires_grad=True)
    weight.index_select(1, physics.pair_indices(4 + OTHERS, torch.device("cpu"))[0]).sum().backward()
    assert weight.grad is not None
