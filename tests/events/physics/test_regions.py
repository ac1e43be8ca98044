from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labwright.events.physics.pairings import dijets
from labwright.events.physics.regions import (
    Plane,
    delta_r_window,
    flags_run2,
    flags_run3,
    marked,
    mass_window,
    plane_run2,
    plane_run3,
    r_hh,
    x_hh,
    x_zh,
    x_zz,
)
from labwright.events.table import BITS, EventTable
from labwright.testing.trees import write_root
from tests.events.trees import flat_jets, read_all, source


def plane(lead: float, sub: float) -> Plane:
    return Plane(np.zeros(1, np.int64), np.array([lead]), np.array([sub]), np.array([500.0]))


def names(flags: np.ndarray) -> set[str]:
    return {name for name, bit in BITS.items() if flags[0] & bit}


def jets(count: int, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    shape = (count, 4)
    pt = -np.sort(-random.uniform(40, 200, shape))
    return np.stack([pt, random.uniform(-2.4, 2.4, shape), random.uniform(-np.pi, np.pi, shape), random.uniform(2, 15, shape)], -1)


def table(four: np.ndarray, flags: int = 0) -> EventTable:
    count = len(four)
    others = np.tile(np.array([0, 0, 0, 0, -1], np.float32), (count, 8, 1))
    event = np.arange(count, dtype=np.uint64)
    zeros = np.zeros(count, np.uint32)
    return EventTable(
        four.astype(np.float32),
        others,
        zeros,
        zeros,
        event,
        np.ones(count),
        np.full(count, flags, np.uint16),
        zeros.astype(np.uint16),
        event.astype(np.int64),
    )


def test_distances_by_hand() -> None:
    lead, sub = np.array([140.0]), np.array([110.0])
    # (140 − 125·1.02) / 14 and (110 − 125·0.98) / 11
    assert x_hh(lead, sub) == pytest.approx(np.hypot(12.5 / 14, -12.5 / 11))
    # (140 − 91·1.02) / 14 and (110 − 91·0.98) / 11
    assert x_zz(lead, sub) == pytest.approx(np.hypot(47.18 / 14, 20.82 / 11))
    # H first: 12.5 / 14 with 20.82 / 11; Z first: 47.18 / 14 with −12.5 / 11. The first is nearer.
    assert x_zh(lead, sub) == pytest.approx(np.hypot(12.5 / 14, 20.82 / 11))
    assert r_hh(np.array([128.0]), np.array([124.0])) == pytest.approx(5.0)


def test_distances_are_zero_at_the_shifted_bosons() -> None:
    lead, sub = np.array([127.5]), np.array([122.5])
    assert x_hh(lead, sub) == 0
    assert x_zz(np.array([92.82]), np.array([89.18])) == pytest.approx(0, abs=1e-12)
    assert x_zh(np.array([92.82]), sub) == pytest.approx(0, abs=1e-12)
    assert x_zh(lead, np.array([89.18])) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("lead", "sub", "expected"),
    [
        (127.5, 122.5, {"SR", "HHSR"}),
        (92.82, 89.18, {"SR", "ZZSR"}),
        (127.5, 89.18, {"SR", "ZHSR"}),
        (92.82, 122.5, {"SR", "ZHSR"}),
        (60.0, 170.0, {"SB"}),
        (170.0, 60.0, {"SB"}),
        (51.9, 100.0, set()),
        (100.0, 173.1, set()),
        (400.0, 300.0, set()),
    ],
)
def test_regions_of_run_2(lead: float, sub: float, expected: set[str]) -> None:
    found = names(flags_run2(plane(lead, sub)))
    assert expected <= found
    assert ("SR" in found) == bool(found & {"HHSR", "ZHSR", "ZZSR"})
    assert not {"SR", "SB"} <= found
    assert found <= {"SR", "SB", "HHSR", "ZHSR", "ZZSR"}


@pytest.mark.parametrize(
    ("lead", "sub", "expected"),
    [
        (125.0, 120.0, {"SR", "HHSR"}),
        (154.9, 120.0, {"SR", "HHSR"}),
        (155.0, 120.0, {"CR", "SB"}),
        (179.9, 120.0, {"CR", "SB"}),
        (180.0, 120.0, set()),
    ],
)
def test_regions_of_run_3_are_a_circle_and_a_ring(lead: float, sub: float, expected: set[str]) -> None:
    assert names(flags_run3(plane(lead, sub))) == expected


@given(st.floats(1, 1000), st.floats(1, 1000))
def test_signal_region_and_sideband_never_overlap(lead: float, sub: float) -> None:
    found = names(flags_run2(plane(lead, sub)))
    assert not {"SR", "SB"} <= found
    assert ("SB" in found) <= bool(mass_window(np.array([lead]), np.array([sub]))[0])


def test_the_delta_r_window_by_hand() -> None:
    pairs = dijets(jets(1))._replace(m4j=np.array([500.0]), delta_r=np.array([[[0.3, 0.5], [1.0, 1.0], [1.79, 2.2]]]))
    # At 500 GeV: 0.22 < lead < 1.781 and 0.47 < sub < 2.1.
    assert delta_r_window(pairs)[0].tolist() == [[True, True], [True, True], [False, False]]
    boosted = pairs._replace(m4j=np.array([1300.0]))
    assert delta_r_window(boosted)[0].tolist() == [[True, True], [False, False], [False, False]]


def test_the_pairing_of_run_2_is_in_the_mass_window_where_one_is() -> None:
    four = jets(2000)
    event = np.arange(2000, dtype=np.uint64)
    found, pairs = plane_run2(four, event), dijets(four)
    window = mass_window(pairs.mass[..., 0], pairs.mass[..., 1])
    assert (mass_window(found.lead, found.sub) == window.any(axis=1)).all()
    narrow = window & delta_r_window(pairs).all(axis=2)
    one = narrow.sum(axis=1) == 1
    assert one.sum() > 50
    assert (found.pairing[one] == np.argmax(narrow, axis=1)[one]).all()


def test_equally_good_pairings_are_drawn_alike_and_the_same_each_time() -> None:
    four = np.tile(np.array([[[1000.0, 0, 0, 5], [1000.0, 0, 1, 5], [1000.0, 0, 2, 5], [1000.0, 0, 3, 5]]]), (3000, 1, 1))
    event = np.arange(3000, dtype=np.uint64)
    found = plane_run2(four, event).pairing
    # No pairing is in the mass window; two of the three are equal in the ΔR window.
    counts = np.bincount(found, minlength=3)
    best = counts[counts > 0]
    assert len(best) >= 2
    assert abs(best / best.sum() - 1 / len(best)).max() < 0.04
    assert (plane_run2(four[::-1], event[::-1]).pairing[::-1] == found).all()


def test_the_pairing_of_run_3_is_near_the_diagonal() -> None:
    four = jets(1000)
    found, pairs = plane_run3(four), dijets(four, "pt")
    distance = np.abs(pairs.mass[..., 0] - 125 / 120 * pairs.mass[..., 1]) / np.hypot(1, 125 / 120)
    ordered = np.sort(distance, axis=1)
    own = distance[np.arange(1000), found.pairing]
    clear = ordered[:, 1] - ordered[:, 0] > 30
    assert 100 < clear.sum() < 900
    assert (own[clear] == ordered[clear, 0]).all()
    assert (own <= ordered[:, 1]).all()
    # Where two are alike the dijets' momentum in the rest frame of all four decides.
    whole = pairs.m4j[:, None]
    lead, sub = pairs.mass[..., 0], pairs.mass[..., 1]
    momentum = np.sqrt((whole**2 - (lead + sub) ** 2) * (whole**2 - (lead - sub) ** 2)) / (2 * whole)
    two = np.argsort(distance, axis=1)[:, :2]
    faster = two[np.arange(1000), np.argmax(np.take_along_axis(momentum, two, 1), axis=1)]
    assert (found.pairing[~clear] == faster[~clear]).all()


def test_marked_replaces_the_regions_and_keeps_the_other_flags() -> None:
    before = table(jets(300), BITS["CR"] | BITS["SB"] | BITS["four_tag"])
    after = marked(before, "run2")
    assert after.has("four_tag").all()
    assert not after.has("CR").any()
    assert 0 < after.has("SR").sum() < 300
    assert {"m4j", "m_lead", "m_sub", "pairing", "x_hh", "x_zh", "x_zz"} <= set(after.extra)
    kept = marked(before, "file")
    assert (kept.flags == before.flags).all()
    np.testing.assert_array_equal(kept.extra["x_hh"], after.extra["x_hh"])
    assert {"r_hh", "m_lead"} <= set(marked(before, "run3").extra)


def test_the_regions_of_a_file_read_whole_are_those_of_a_file_read_in_pieces(tmp_path: Path) -> None:
    write_root(tmp_path / "a.root", flat_jets(jets(40)))
    options = source(tmp_path, "a.root")
    whole, pieces = (marked(read_all(options, rows), "run2") for rows in (100, 7))
    np.testing.assert_array_equal(whole.flags, pieces.flags)
    np.testing.assert_array_equal(whole.extra["pairing"], pieces.extra["pairing"])
