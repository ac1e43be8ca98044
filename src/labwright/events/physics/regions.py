"""Signal regions, sideband and control region in the plane of the two dijet masses.

Run 2 follows CMS HIG-22-011 (ZZ and ZH to four b quarks, arXiv:2403.20241), Run 3 the circles of the HH to four b quarks
analyses with the pairing of CMS HIG-20-005 (arXiv:2202.09617).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from labwright.events.physics.four_vectors import Floats, Real
from labwright.events.physics.pairings import Dijets, chosen, dijets
from labwright.events.table import BITS, EventTable

Z_MASS_GEV, H_MASS_GEV = 91.0, 125.0
SHIFT = {"lead": 1.02, "sub": 0.98}
"""The leading dijet is reconstructed too heavy, the other too light."""
REGION_BITS = BITS["SB"] | BITS["SR"] | BITS["CR"] | BITS["HHSR"] | BITS["ZHSR"] | BITS["ZZSR"]
Mask = NDArray[np.bool_]


class Plane(NamedTuple):
    """The mass plane of N events, in the pairing that was chosen."""

    pairing: NDArray[np.int64]
    """(N,) index into ``pairings.PAIRINGS``."""
    lead: Real
    """(N,) GeV."""
    sub: Real
    m4j: Real


def pull(mass: Real, nominal_gev: float, which: Literal["lead", "sub"]) -> Real:
    """(m − b·M) / (0.1 m), the distance from a boson mass M in resolutions; b is 1.02 for the leading, 0.98 for the other dijet."""
    with np.errstate(divide="ignore"):
        return (mass - nominal_gev * SHIFT[which]) / (0.1 * mass)


def x_hh(lead: Real, sub: Real) -> Real:
    """Distance from (H, H): the quadrature sum of the two pulls."""
    return np.hypot(pull(lead, H_MASS_GEV, "lead"), pull(sub, H_MASS_GEV, "sub"))


def x_zz(lead: Real, sub: Real) -> Real:
    """Distance from (Z, Z)."""
    return np.hypot(pull(lead, Z_MASS_GEV, "lead"), pull(sub, Z_MASS_GEV, "sub"))


def x_zh(lead: Real, sub: Real) -> Real:
    """Distance from (Z, H) or (H, Z), whichever is nearer."""
    z_first = np.hypot(pull(lead, Z_MASS_GEV, "lead"), pull(sub, H_MASS_GEV, "sub"))
    h_first = np.hypot(pull(lead, H_MASS_GEV, "lead"), pull(sub, Z_MASS_GEV, "sub"))
    return np.minimum(z_first, h_first)


def r_hh(lead: Real, sub: Real) -> Real:
    """Run 3: distance in GeV from (125, 120)."""
    return np.hypot(lead - 125.0, sub - 120.0)


def mass_window(lead: Real, sub: Real) -> Mask:
    """52 < lead < 180 and 50 < sub < 173 GeV, the frame of the sideband."""
    return (lead > 52) & (lead < 180) & (sub > 50) & (sub < 173)


def delta_r_window(pairs: Dijets) -> Mask:
    """Whether each dijet is as wide as its boson's boost lets expect, (N, 3, 2).

    360/m4j − 0.5 < ΔR_lead < 653/m4j + 0.475 and 235/m4j < ΔR_sub < 875/m4j + 0.35 below 1250 GeV, ΔR < 1 above
    (ATLAS, arXiv:1804.06174, eq. 1).
    """
    with np.errstate(divide="ignore"):
        inverse = 1.0 / pairs.m4j[:, None]
    lead, sub = pairs.delta_r[..., 0], pairs.delta_r[..., 1]
    low = np.stack(
        [(lead > 360 * inverse - 0.5) & (lead < 653 * inverse + 0.475), (sub > 235 * inverse) & (sub < 875 * inverse + 0.35)], axis=-1
    )
    return np.where((pairs.m4j < 1250)[:, None, None], low, pairs.delta_r < 1)


def plane_run2(can_jets: Floats, event: NDArray[np.uint64]) -> Plane:
    """The pairing of greatest rank, 10·mass window + ΔR window of each dijet + a draw between 0.1 and 0.9.

    The draw decides between pairings that are equally good. It is a hash of the event number and the pairing, so that it is the same
    wherever and however often the event is read.
    """
    pairs = dijets(can_jets, "scalar_pt")
    window = mass_window(pairs.mass[..., 0], pairs.mass[..., 1])
    rank = 10 * window + delta_r_window(pairs).sum(axis=-1) + (0.1 + 0.8 * _draw(event))
    return _plane(pairs, np.argmax(rank, axis=1))


def plane_run3(can_jets: Floats) -> Plane:
    """The pairing nearest to the line lead/sub = 125/120; where two are within 30 GeV of it, that with faster dijets.

    d = |m_lead − c·m_sub| / √(1 + c²) with c = 125/120; fast is the momentum of the dijets in the rest frame of all four
    jets, p* = √λ(m4j², m_lead², m_sub²) / 2 m4j (CMS HIG-20-005, arXiv:2202.09617).
    """
    pairs = dijets(can_jets, "pt")
    slope = H_MASS_GEV / 120.0
    lead, sub, whole = pairs.mass[..., 0], pairs.mass[..., 1], pairs.m4j[:, None]
    distance = np.abs(lead - slope * sub) / np.hypot(1, slope)
    # All three have the same m4j, so that the momentum orders as the triangle function does.
    momentum = (whole**2 - (lead + sub) ** 2) * (whole**2 - (lead - sub) ** 2)
    near = distance < distance.min(axis=1, keepdims=True) + 30
    # At most the two nearest compete.
    near &= np.argsort(np.argsort(distance, axis=1, kind="stable"), axis=1) < 2
    return _plane(pairs, np.argmax(np.where(near, momentum, -np.inf), axis=1))


def flags_run2(plane: Plane) -> NDArray[np.uint16]:
    """Bits SR = ZZSR (x_ZZ < 2.6) or ZHSR (x_ZH < 1.9) or HHSR (x_HH < 1.9); SB = mass window without SR."""
    lead, sub = plane.lead, plane.sub
    parts = {"ZZSR": x_zz(lead, sub) < 2.6, "ZHSR": x_zh(lead, sub) < 1.9, "HHSR": x_hh(lead, sub) < 1.9}
    signal = np.logical_or.reduce(list(parts.values()))
    return _bits({**parts, "SR": signal, "SB": mass_window(lead, sub) & ~signal})


def flags_run3(plane: Plane) -> NDArray[np.uint16]:
    """Bits SR and HHSR inside the circle of 30 GeV; CR between it and that of 55 GeV, which is the sideband SB too."""
    radius = r_hh(plane.lead, plane.sub)
    signal, ring = radius < 30, (radius >= 30) & (radius < 55)
    return _bits({"SR": signal, "HHSR": signal, "CR": ring, "SB": ring})


def marked(table: EventTable, kind: Literal["run2", "run3", "file"]) -> EventTable:
    """The events with region flags of this kind, and the mass plane as further columns.

    ``file`` keeps the flags of the file. New columns: ``m4j``, ``m_lead``, ``m_sub`` [GeV], ``pairing`` (0, 1, 2), ``x_hh``,
    ``x_zh``, ``x_zz``; for Run 3 ``r_hh`` [GeV] in place of the last three.
    """
    plane = plane_run3(table.can_jets) if kind == "run3" else plane_run2(table.can_jets, table.event)
    lead, sub = plane.lead, plane.sub
    extra = {"m4j": plane.m4j, "m_lead": lead, "m_sub": sub, "pairing": plane.pairing.astype(np.float64)}
    if kind == "run3":
        extra["r_hh"] = r_hh(lead, sub)
    else:
        extra |= {"x_hh": x_hh(lead, sub), "x_zh": x_zh(lead, sub), "x_zz": x_zz(lead, sub)}
    flags = table.flags
    if kind != "file":
        found = flags_run3(plane) if kind == "run3" else flags_run2(plane)
        flags = (flags & np.uint16(~REGION_BITS & 0xFFFF)) | found
    return replace(table, flags=flags, extra={**table.extra, **extra})


def _plane(pairs: Dijets, pairing: NDArray[np.int64]) -> Plane:
    masses = chosen(pairs.mass, pairing)
    return Plane(pairing, masses[:, 0], masses[:, 1], pairs.m4j)


def _bits(parts: dict[str, Mask]) -> NDArray[np.uint16]:
    flags = np.zeros(len(next(iter(parts.values()))), np.uint16)
    for name, mask in parts.items():
        flags |= np.where(mask, np.uint16(BITS[name]), np.uint16(0))
    return flags


def _draw(event: NDArray[np.uint64]) -> Real:
    """A number in [0, 1) for each event and pairing, (N, 3): the mixing function of SplitMix64 (Steele et al., OOPSLA 2014)."""
    with np.errstate(over="ignore"):
        mixed: NDArray[Any] = event.astype(np.uint64)[:, None] * np.uint64(3) + np.arange(1, 4, dtype=np.uint64)
        mixed = mixed * np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed ^= mixed >> np.uint64(31)
    return (mixed >> np.uint64(11)).astype(np.float64) / 2**53
