from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import uproot
from numpy.typing import NDArray

from labwright.events.physics.four_vectors import cartesian, mass
from labwright.events.physics.phase_space import boosted, massless, moving, two_body
from labwright.events.physics.regions import marked
from labwright.events.source_options import SourceOptions
from labwright.events.table import EventTable
from labwright.events.toy import MODEL, ratio, write_toy
from tests.events.trees import read_all

EVENTS = 8000


def options(folder: Path, *samples: str) -> SourceOptions:
    groups = [
        {"tags": f"label:{sample},year:{year}", "files": [f"toy_{sample}_{year}.root"]}
        for sample, year in itertools.product(samples, ("UL17", "UL18"))
    ]
    return SourceOptions.model_validate({"path": folder, "groups": groups, "jets": {"min_pt_gev": 40, "max_abs_eta": 2.4}})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("toy")
    write_toy(folder, "svb", EVENTS, seed=4)
    return folder


@pytest.fixture(scope="module")
def samples(folder: Path) -> dict[str, EventTable]:
    return {name: marked(read_all(options(folder, name), 50_000), "run2") for name in ("data", "ttbar", "HH", "ZH", "ZZ")}


def test_files_are_named_and_titled_as_toy(folder: Path) -> None:
    names = sorted(path.name for path in folder.iterdir())
    assert names == sorted(f"toy_{sample}_{year}.root" for sample in ("data", "ttbar", "HH", "ZH", "ZZ") for year in ("UL17", "UL18"))
    for name in names:
        with uproot.open(folder / name) as file:
            assert file["Events"].title.startswith("TOY events")


def test_what_is_read_is_what_was_made(samples: dict[str, EventTable]) -> None:
    for table in samples.values():
        assert table.findings == ()
        assert (table.can_jets[:, -1, 0] >= 40).all()
        assert (table.has("four_tag") ^ table.has("three_tag")).all()
        assert table.has("pass_hlt").all()
        np.testing.assert_allclose(table.extra["r_true"], ratio(table.can_jets, table.other_jets), rtol=1e-6)
    identities = [(run, event) for table in samples.values() for run, event in zip(table.run.tolist(), table.event.tolist(), strict=True)]
    assert len(set(identities)) == len(identities)
    assert {float(year) for table in samples.values() for year in table.extra["year"]} == {17.0, 18.0}
    assert (samples["HH"].has("four_tag")).all()
    assert len(samples["HH"]) == EVENTS // 5


def test_the_files_own_regions_and_weights_are_those_that_are_computed(folder: Path, samples: dict[str, EventTable]) -> None:
    data = read_all(options(folder, "data"), 50_000)
    np.testing.assert_array_equal(data.flags, samples["data"].flags)
    model = dict(zip(("probability", "fraction", "enhancement", "decay"), MODEL, strict=True))
    weighed = read_all(
        options(folder, "data").model_copy(
            update={"combinatoric_model": SourceOptions.model_validate({"combinatoric_model": model}).combinatoric_model}
        ),
        50_000,
    )
    np.testing.assert_allclose(weighed.extra["pseudo_tag_weight"], data.extra["pseudo_tag_weight"])


def test_bosons_lie_in_their_own_regions(samples: dict[str, EventTable]) -> None:
    for name, flag in (("HH", "HHSR"), ("ZH", "ZHSR"), ("ZZ", "ZZSR")):
        assert samples[name].has(flag).mean() > 0.75
    assert samples["data"].has("SR").mean() < 0.25


def chi_square(samples: dict[str, EventTable], region: str, name: str, bins: NDArray[np.float64], column: str | None) -> tuple[float, int]:
    """Four-tag data against the simulated part plus weighted three-tag data in one variable: chi² and bins."""
    data, ttbar = samples["data"], samples["ttbar"]

    def histogram(table: EventTable, flag: str, weight: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        chosen = table.has(flag) & table.has(region)
        value = table.column(name)[chosen]
        return np.histogram(value, bins, weights=weight[chosen])[0], np.histogram(value, bins, weights=weight[chosen] ** 2)[0]

    correction = np.ones(len(data)) if column is None else data.extra[column]
    seen, of_seen = histogram(data, "four_tag", data.weight)
    top, of_top = histogram(ttbar, "four_tag", ttbar.weight)
    rest, of_rest = histogram(data, "three_tag", data.weight * data.extra["pseudo_tag_weight"] * correction)
    variance = of_seen + of_top + of_rest
    filled = variance > 10
    return float(np.sum((seen - top - rest)[filled] ** 2 / variance[filled])), int(filled.sum())


@pytest.mark.parametrize("region", ["SB", "SR"])
@pytest.mark.parametrize(
    ("name", "bins"), [("m4j", np.linspace(200, 900, 11)), ("xW", np.linspace(-5, 5, 9)), ("n_selected", np.arange(3.5, 9))]
)
def test_the_known_ratio_closes_in_the_sideband_and_in_the_withheld_region(
    samples: dict[str, EventTable], region: str, name: str, bins: NDArray[np.float64]
) -> None:
    found, count = chi_square(samples, region, name, bins, "r_true")
    assert found < count + 4 * np.sqrt(2 * count)


@pytest.mark.parametrize("region", ["SB", "SR"])
def test_without_the_ratio_it_does_not_close(samples: dict[str, EventTable], region: str) -> None:
    found, count = chi_square(samples, region, "m4j", np.linspace(200, 900, 11), None)
    assert found > count + 5 * np.sqrt(2 * count)


def test_the_same_seed_gives_the_same_arrays_and_another_one_others(tmp_path: Path) -> None:
    def arrays(name: str, seed: int) -> dict[str, object]:
        (first, *_) = write_toy(tmp_path / name, "fvt", 300, seed)
        with uproot.open(first) as file:
            return {
                key: values.tolist()
                for key, values in zip(
                    *(lambda tree: (tree.keys(), tree.arrays(tree.keys(), library="ak", how=tuple)))(file["Events"]), strict=True
                )
            }

    one, again, other = arrays("a", 5), arrays("b", 5), arrays("c", 6)
    assert one == again
    assert one["jet_pt"] != other["jet_pt"]


def test_decays_conserve_momentum_and_have_their_masses() -> None:
    random = np.random.default_rng(0)
    parent = moving(random, np.full(500, 300.0), 50.0, 1.0)
    np.testing.assert_allclose(mass(parent), 300.0, rtol=1e-9)
    first, second = two_body(random, parent, 125.0, 91.0)
    np.testing.assert_allclose(first + second, parent, atol=1e-8)
    np.testing.assert_allclose(mass(first), 125.0, rtol=1e-6)
    np.testing.assert_allclose(mass(second), 91.0, rtol=1e-6)


def test_phase_space_is_massless_isotropic_and_of_the_total_mass() -> None:
    random = np.random.default_rng(1)
    bodies = massless(random, np.full(20_000, 500.0), 4)
    np.testing.assert_allclose(bodies[..., 3], np.linalg.norm(bodies[..., :3], axis=-1), rtol=1e-9)
    np.testing.assert_allclose(bodies.sum(axis=1), np.tile([0, 0, 0, 500.0], (20_000, 1)), atol=1e-6)
    cosine = bodies[:, 0, 2] / bodies[:, 0, 3]
    assert abs(cosine.mean()) < 4 * np.sqrt(1 / 3 / 20_000)
    # In massless n-body phase space the mass² of two of four bodies has the mean M² / 6: six pairs add up to M².
    pair = bodies[:, 0] + bodies[:, 1]
    assert (mass(pair) ** 2).mean() == pytest.approx(500**2 / 6, rel=0.02)


def test_a_boost_takes_a_body_at_rest_along() -> None:
    frame = cartesian(np.array([[80.0, 0.7, 1.0, 125.0]]))
    rest = np.array([[[0.0, 0, 0, 125.0]]])
    np.testing.assert_allclose(boosted(rest, frame)[0], frame, rtol=1e-12)
