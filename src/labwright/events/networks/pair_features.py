"""What networks see of jets: masses, momenta and angles of jets, of their pairs, and of pairs with a further jet.

Everything is a number that stays the same when the event is turned about the beam, mirrored in phi, or flipped in eta: angles are
taken between two things, and the sign of eta counts from the leading jet. Masses are sums of pair masses, which lose no
digits when jets fly close together. The last axis is the event and nothing loops over it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

DIJETS = ((0, 1), (2, 3), (0, 2), (1, 3), (0, 3), (1, 2))
"""The six pairs of the four chosen jets; two in a row make one of the three pairings."""
UNBALANCED = 1e-3
"""Below this share of the summed pt, the direction of the four jets together is rounding noise."""
TINY = 1e-12


class Jets(NamedTuple):
    """n jets, the four chosen ones first, each tensor (ghosts, n, events) of float32; GeV and radians."""

    pt: Tensor
    eta: Tensor
    """Positive for the leading jet."""
    phi: Tensor
    mass: Tensor
    selected: Tensor
    """1 for chosen and selected jets, else 0."""
    present: Tensor
    """1 where there is a jet, 0 in padding."""
    px: Tensor
    py: Tensor
    pz: Tensor


class Pairs(NamedTuple):
    """All pairs of n jets, ``DIJETS`` first, each tensor (ghosts, n (n - 1) / 2, events)."""

    first: Tensor
    """Index of one jet, (pairs,)."""
    second: Tensor
    square: Tensor
    """Mass squared."""
    delta_y: Tensor
    """Distance in rapidity, not negative."""
    delta_phi: Tensor
    """Angle about the beam, 0 to π."""


class Momenta(NamedTuple):
    """Sums of jets, each tensor (ghosts, sums, events)."""

    pt: Tensor
    eta: Tensor
    mass: Tensor
    px: Tensor
    py: Tensor


def jets(can_jets: Tensor, other_jets: Tensor, ghosts: int = 1) -> Jets:
    """Cut a batch into ghost batches, events last.

    Args:
        can_jets: float32 (batch, 4, 4): pt, eta, phi, mass.
        other_jets: float32 (batch, m, 5): pt, eta, phi, mass, is_selected, -1 in padding.
        ghosts: divides the batch.
    """
    chosen, other = (torch.unflatten(one, 0, (ghosts, -1)).permute(3, 0, 2, 1).contiguous() for one in (can_jets, other_jets))
    there = other[4] >= 0
    other = torch.where(there, other, 0.0)
    pt, eta, phi, mass = torch.cat((chosen, other[:4]), dim=2)
    one = torch.ones_like(chosen[0])
    leading = chosen[0].argmax(1, keepdim=True)
    eta = torch.where(eta.gather(1, leading) < 0, -eta, eta)
    return Jets(
        pt,
        eta,
        phi,
        mass,
        torch.cat((one, other[4]), dim=1),
        torch.cat((one, there.to(one.dtype)), dim=1),
        pt * phi.cos(),
        pt * phi.sin(),
        pt * eta.sinh(),
    )


def pairs(of: Jets) -> Pairs:
    """Masses and distances of all pairs.

    The scalar product of two four-momenta is taken as three terms that are never negative:
    mT₁mT₂(cosh Δy − 1) + (mT₁mT₂ − pT₁pT₂) + pT₁pT₂(1 − cos Δφ).
    """
    first, second = pair_indices(of.pt.shape[1], of.pt.device)
    squared = of.mass.square()
    transverse = (of.pt.square() + squared).sqrt()
    rapidity = (of.pz / transverse.clamp_min(TINY)).asinh()
    together = torch.stack((of.pt, of.phi, squared, transverse, rapidity))
    (pt1, phi1, m1, mt1, y1), (pt2, phi2, m2, mt2, y2) = together.index_select(2, first), together.index_select(2, second)
    delta_y = (y1 - y2).abs()
    delta_phi = phi1 - phi2
    delta_phi = (delta_phi - math.tau * torch.round(delta_phi / math.tau)).abs()
    pt, mt = pt1 * pt2, mt1 * mt2
    massive = (m1 * pt2.square() + m2 * pt1.square() + m1 * m2) / (mt + pt).clamp_min(TINY)
    product = 2.0 * (mt * (0.5 * delta_y).sinh().square() + pt * (0.5 * delta_phi).sin().square()) + massive
    return Pairs(first, second, m1 + m2 + 2.0 * product, delta_y, delta_phi)


def dijets(of: Jets, among: Pairs) -> Momenta:
    """The six dijets, in the order of ``DIJETS``."""
    first, second = among.first[:6], among.second[:6]
    px, py, pz = (one.index_select(1, first) + one.index_select(1, second) for one in (of.px, of.py, of.pz))
    return momenta(px, py, pz, among.square[:, :6])


def quadjet(of: Jets, among: Pairs) -> Momenta:
    """The four chosen jets together."""
    px, py, pz = (one[:, :4].sum(1, keepdim=True) for one in (of.px, of.py, of.pz))
    square = among.square[:, :6].sum(1, keepdim=True) - 2.0 * of.mass[:, :4].square().sum(1, keepdim=True)
    return momenta(px, py, pz, square)


def strangers(of: Jets) -> Tensor:
    """1 where a jet is there and no part of a dijet, (ghosts, 6, n, events)."""
    return of.present[:, None] * _outside(of.pt.shape[1], of.pt.device)[..., None]


def triple_mass(of: Jets, among: Pairs) -> Tensor:
    """Mass of each dijet with each jet, (ghosts, 6, n, events); without meaning for a jet with its own dijet."""
    count = of.pt.shape[1]
    squared = of.mass.square()
    with_first, with_second = (among.square.index_select(1, one) for one in dijet_jet_indices(count, of.pt.device))
    own = squared.index_select(1, among.first[:6]) + squared.index_select(1, among.second[:6])
    both = torch.unflatten(with_first + with_second, 1, (6, count))
    return (both + (among.square[:, :6] - own)[:, :, None] - squared[:, None]).clamp_min(0.0).sqrt()


def angle(px1: Tensor, py1: Tensor, px2: Tensor, py2: Tensor) -> Tensor:
    """The angle between two directions in the transverse plane, 0 to π."""
    return torch.atan2((px1 * py2 - py1 * px2).abs(), px1 * px2 + py1 * py2)


def angle_to_quadjet(of: Jets, one: Jets | Momenta, whole: Momenta) -> Tensor:
    """The angle of jets or dijets to the four jets together; 0 where those balance."""
    summed = of.pt[:, :4].sum(1, keepdim=True)
    return torch.where(whole.pt > UNBALANCED * summed, angle(one.px, one.py, whole.px, whole.py), 0.0)


def ancillary(values: Tensor, names: Sequence[str], ghosts: int = 1) -> Tensor:
    """Further inputs of an event, (batch, names) → (ghosts, names, 1, events); the number of jets goes in as ln(n - 3)."""
    columns = torch.unflatten(values, 0, (ghosts, -1)).transpose(1, 2).unbind(1)
    changed = [(one - 3).clamp_min(1.0).log() if name == "n_selected" else one for name, one in zip(names, columns, strict=True)]
    return torch.stack(changed, 1)[:, :, None]


def momenta(px: Tensor, py: Tensor, pz: Tensor, square: Tensor) -> Momenta:
    """Sums of jets by their momentum and their mass squared."""
    pt = torch.hypot(px, py)
    return Momenta(pt, (pz / pt.clamp_min(1e-6)).asinh(), square.clamp_min(0.0).sqrt(), px, py)


@cache
def pair_list(count: int) -> tuple[tuple[int, int], ...]:
    """All pairs of ``count`` jets, ``DIJETS`` first."""
    return DIJETS + tuple((i, j) for j in range(4, count) for i in range(j))


# What is kept must not remember that it was first asked for in inference: a training may be next, in the same process.
@cache
@torch.inference_mode(False)
def pair_indices(count: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """First and second jet of each pair, int64 (pairs,)."""
    first, second = torch.tensor(pair_list(count), device=device).T
    return first.contiguous(), second.contiguous()


@cache
@torch.inference_mode(False)
def square_indices(count: int, device: torch.device) -> Tensor:
    """Which pair two jets make, int64 (count · count,); 0 on the diagonal, where there is none."""
    return torch.tensor(_square(count), device=device).flatten()


@cache
@torch.inference_mode(False)
def pair_places(count: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Where a pair stands in the square of ``square_indices``, in both orders, int64 (pairs,)."""
    first, second = pair_indices(count, device)
    return first * count + second, second * count + first


@cache
@torch.inference_mode(False)
def dijet_jet_indices(count: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Which pair a jet makes with the first and with the second jet of a dijet, int64 (6 · count,)."""
    table = torch.tensor(_square(count), device=device)
    first, second = pair_indices(count, device)
    return table[first[:6]].flatten(), table[second[:6]].flatten()


@cache
@torch.inference_mode(False)
def _outside(count: int, device: torch.device) -> Tensor:
    """1 where a jet is no part of a dijet, float32 (6, count)."""
    table = [[float(jet not in dijet) for jet in range(count)] for dijet in DIJETS]
    return torch.tensor(table, device=device)


def _square(count: int) -> list[list[int]]:
    table = [[0] * count for _ in range(count)]
    for number, (i, j) in enumerate(pair_list(count)):
        table[i][j] = table[j][i] = number
    return table
