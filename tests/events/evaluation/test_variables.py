"""Variables of an event: names, values, units and ranges."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
import torch
import vector

from labwright.events.evaluation.variables import NAMES, Shown, available, axis, shown, variable
from labwright.events.metrics.histograms import Regular, Variable
from labwright.events.packing.bind import EVENTS
from labwright.runs.errors import StudyError

N = 50


class Packed(SimpleNamespace):
    """What of a pack the variables read."""

    def column(self, name: str) -> Any:
        return parquet.read_table(self.folder / "output" / EVENTS).column(name).to_numpy()


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Any:
    random = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("pack")
    (folder / "output").mkdir()
    jets = np.stack(
        [random.uniform(40, 300, (N, 4)), random.normal(0, 1, (N, 4)), random.uniform(-3, 3, (N, 4)), random.uniform(1, 30, (N, 4))], -1
    )
    others = np.where(np.arange(8)[None, :, None] < 3, [30.0, 0, 0, 5, 0], [0.0, 0, 0, 0, -1])
    columns = {
        "m4j": random.uniform(200, 800, N),
        "mine": random.normal(50, 10, N),
        "kind": ["data"] * N,
        "n_selected": random.integers(4, 8, N),
    }
    parquet.write_table(pa.table(columns), folder / "output" / EVENTS)
    return Packed(folder=folder, can_jets=torch.from_numpy(jets).float(), other_jets=torch.from_numpy(np.repeat(others, N, 0)).float())


def test_values_are_those_of_vector(packed: Any) -> None:
    jets = packed.can_jets.numpy().astype(np.float64)
    theirs = [vector.array({"pt": one[:, 0], "eta": one[:, 1], "phi": one[:, 2], "mass": one[:, 3]}) for one in jets.transpose(1, 0, 2)]
    np.testing.assert_allclose(variable("m_24", packed), (theirs[1] + theirs[3]).mass, rtol=1e-9)
    np.testing.assert_allclose(variable("dR_13", packed), theirs[0].deltaR(theirs[2]), rtol=1e-9)
    np.testing.assert_allclose(variable("pt_2", packed), theirs[1].pt)
    np.testing.assert_allclose(variable("s_t", packed), sum(one.pt for one in theirs))
    least = np.min([theirs[i].deltaR(theirs[j]) for i in range(4) for j in range(i)], axis=0)
    np.testing.assert_allclose(variable("dR_min", packed), least, rtol=1e-9)
    assert variable("n_others", packed).tolist() == [3.0] * N


def test_eta_counts_from_the_leading_jet(packed: Any) -> None:
    assert (variable("eta_1", packed) >= 0).all()
    flipped = Packed(**{**vars(packed), "can_jets": packed.can_jets * torch.tensor([1.0, -1, 1, 1])})
    for name in ("eta_1", "eta_3"):
        np.testing.assert_array_equal(variable(name, flipped), variable(name, packed))


def test_any_column_of_the_pack_is_a_variable(packed: Any) -> None:
    values = variable("mine", packed)
    assert values.dtype == np.float64
    seen = shown("mine", values)
    assert seen.title == "mine"
    assert np.mean((values >= seen.low) & (values <= seen.high)) > 0.9
    assert shown("mine", np.full(3, np.nan)).high > shown("mine", np.full(3, np.nan)).low
    assert shown("mine", np.ones(3)).high > 1


def test_labels_have_units_and_counts_have_whole_bins(packed: Any) -> None:
    assert shown("m4j", np.zeros(1)).title == "four-jet mass [GeV]"
    assert axis(shown("m4j", np.zeros(1)), 20) == Regular(20, 150, 1150)
    assert axis(Shown("jets", "", 4, 6, whole=True), 20) == Variable((3.5, 4.5, 5.5, 6.5))
    assert {"m4j", "n_selected", "pt_1", "dR_34"} <= set(available(packed)) < set(NAMES)
    for name in available(packed):
        values = variable(name, packed)
        assert values.shape == (N,)
        assert shown(name, values).low < shown(name, values).high


@pytest.mark.parametrize(("name", "guess"), [("pt1", "Did you mean 'pt_1'"), ("min", "Did you mean 'mine'"), ("zzzzzz", "There are pt_1")])
def test_an_unknown_variable_is_told_with_what_there_is(packed: Any, name: str, guess: str) -> None:
    with pytest.raises(StudyError) as caught:
        variable(name, packed)
    assert guess in str(caught.value)


def test_a_column_of_words_is_no_variable(packed: Any) -> None:
    with pytest.raises(StudyError, match="holds no numbers"):
        variable("kind", packed)
