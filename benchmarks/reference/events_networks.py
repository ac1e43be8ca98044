"""Boosted trees on what two jets are to each other: the usual strong answer to tables of a few dozen numbers.

Trees cut one number at a time and know nothing of three equivalent pairings, so each event is put in an order first: the dijets of a
pairing by transverse momentum, the pairings by how alike their two masses are.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

Floats = NDArray[np.float64]
PAIRINGS = (((0, 1), (2, 3)), ((0, 2), (1, 3)), ((0, 3), (1, 2)))
HIGGS_GEV = (1.02 * 125.0, 0.98 * 125.0)
"""Masses at which the dijets of two Higgs bosons are seen, that of greater momentum first."""
SETTINGS: dict[str, Any] = {
    "max_iter": 600,
    "learning_rate": 0.04,
    "max_leaf_nodes": 15,
    "min_samples_leaf": 100,
    "l2_regularization": 5.0,
    "max_features": 0.3,
}
"""Small trees, many of them, each split among a third of the numbers: what suits some 30,000 events."""


def trees(features: Floats, positive: NDArray[np.bool_], seed: int) -> HistGradientBoostingClassifier:
    """Trees trained on events of both classes, which count the same in sum.

    Args:
        features: of :func:`pair_features`, (N, features).
        positive: which events are signal, (N,).
        seed: of the features that each split may look at.
    """
    weight = np.where(positive, 0.5 / positive.mean(), 0.5 / (~positive).mean())
    return HistGradientBoostingClassifier(**SETTINGS, early_stopping=False, random_state=seed).fit(features, positive, sample_weight=weight)


def pair_features(jets: NDArray[np.float32]) -> Floats:
    """What the trees are given.

    Args:
        jets: pt, eta, phi, mass of four jets by falling pt, GeV and radians, (N, 4, 4).

    Returns:
        (N, 84), which do not change when an event is turned about the beam, mirrored or flipped.
    """
    pt, eta, phi, mass = np.moveaxis(jets.astype(np.float64), 2, 0)
    eta = np.where(eta[:, :1] < 0, -eta, eta)
    px, py, pz = pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)
    four = np.stack((np.sqrt(px**2 + py**2 + pz**2 + mass**2), px, py, pz), axis=2)
    one, two = np.array(PAIRINGS).reshape(6, 2).T
    dijets, whole = four[:, one] + four[:, two], four.sum(axis=1, keepdims=True)
    dijet_pt, dijet_mass, dijet_eta = _pt(dijets), _mass(dijets), _eta(dijets)
    delta_eta, delta_phi = np.abs(eta[:, one] - eta[:, two]), _angle(phi[:, one], phi[:, two])
    delta_r = np.hypot(delta_eta, delta_phi)
    plain = [pt, eta, dijet_mass, delta_r, delta_eta, dijet_pt, _pt(whole), _mass(whole), _eta(whole)]

    views = [one.reshape(-1, 3, 2) for one in (dijet_pt, dijet_mass, delta_r, dijet_eta, np.arctan2(dijets[..., 2], dijets[..., 1]))]
    harder = np.argsort(-views[0], axis=2)
    views = [np.take_along_axis(one, harder, axis=2) for one in views]
    unlike = np.abs(views[1][..., 0] - views[1][..., 1] * HIGGS_GEV[0] / HIGGS_GEV[1])
    alike = np.argsort(unlike, axis=1)
    view_pt, view_mass, view_r, view_eta, view_phi = (np.take_along_axis(one, alike[..., None], axis=1) for one in views)
    x_hh = np.sqrt((((view_mass - HIGGS_GEV) / (0.1 * view_mass + 1.0)) ** 2).sum(axis=2))
    apart = np.abs(view_eta[..., 0] - view_eta[..., 1]), _angle(view_phi[..., 0], view_phi[..., 1])
    ordered = [
        *(one.reshape(-1, 6) for one in (view_mass, view_pt, view_r)),
        np.sort(unlike, axis=1),
        x_hh,
        x_hh.min(1, keepdims=True),
        *apart,
    ]

    close = np.argmin(delta_r, axis=1)[:, None]
    of_closest = [np.take_along_axis(values, place, axis=1) for values in (delta_r, dijet_mass) for place in (close, close ^ 1)]
    summary = [np.sort(dijet_mass, axis=1), np.sort(delta_r, axis=1), np.abs(eta).mean(1, keepdims=True), pt.sum(1, keepdims=True)]
    return np.concatenate([*plain, *ordered, *of_closest, *summary], axis=1)


def _pt(momenta: Floats) -> Floats:
    return np.hypot(momenta[..., 1], momenta[..., 2])


def _mass(momenta: Floats) -> Floats:
    return np.sqrt(np.maximum(momenta[..., 0] ** 2 - (momenta[..., 1:] ** 2).sum(axis=-1), 0.0))


def _eta(momenta: Floats) -> Floats:
    return np.arcsinh(momenta[..., 3] / np.maximum(_pt(momenta), 1e-6))


def _angle(one: Floats, two: Floats) -> Floats:
    """Between two directions about the beam, 0 to π."""
    return np.abs((one - two + np.pi) % (2 * np.pi) - np.pi)
