"""What a network gets is what was packed, event for event."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as parquet
import pytest
import torch

from labwright.events.folds import members, prove, roles, scored
from labwright.events.packing.bind import EVENTS
from labwright.events.packing.classes import NONE
from labwright.events.packing.load import PackedEvents, load
from labwright.events.train_options import TrainOptions
from labwright.runs.errors import DataError, MissingError
from labwright.runs.run import Run
from tests.events.studies import conducted, two

CLASSES = {"B": {"tags": "label:B", "norm": 2}, "S": {"tags": "label:S", "where": ["SR"], "norm": 1}}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    signal = {"SR": np.arange(700) % 7 != 0, "kl": 2.45}
    return conducted(two(tmp_path_factory.mktemp("load"), signal=signal, classes=CLASSES, regions="file"))


@pytest.fixture(scope="module")
def packed(run: Run) -> PackedEvents:
    return load(run)


def test_tensors_have_the_shapes_that_networks_take(packed: PackedEvents) -> None:
    assert packed.n == 1600
    assert packed.can_jets.shape == (1600, 4, 4)
    assert packed.other_jets.shape == (1600, 8, 5)
    assert packed.ancillary.shape == (1600, 4)
    assert {packed.can_jets.dtype, packed.other_jets.dtype, packed.ancillary.dtype, packed.weight.dtype} == {torch.float32}
    assert packed.classes == ("B", "S")
    assert packed.ancillary_names == ("year", "n_selected", "xW", "xbW")


def test_rows_are_those_of_the_table(packed: PackedEvents, run: Run) -> None:
    table = parquet.read_table(run.output(EVENTS))
    for name, tensor in (("label", packed.label), ("weight", packed.weight), ("flags", packed.flags), ("xbW", packed.ancillary[:, 3])):
        assert np.allclose(table.column(name).to_numpy(), tensor.numpy())
    assert np.array_equal(table.column("event").to_numpy(), packed.identity.event)
    assert packed.identity.event.dtype == np.uint64


def test_events_of_no_class_are_marked_and_weigh_nothing(packed: PackedEvents) -> None:
    assert int((~packed.labelled).sum()) == 100
    assert (packed.weight[~packed.labelled] == 0).all()
    assert (packed.label[~packed.labelled] == NONE).all()
    assert torch.equal(packed.has("SR") & (torch.from_numpy(packed.column("file")) == 0), packed.label == 1)


def test_a_column_is_read_by_name(packed: PackedEvents) -> None:
    kl = packed.column("kl")
    assert np.isnan(kl[packed.column("file") == 1]).all()
    assert set(kl[packed.column("file") == 0].tolist()) == {2.45}
    with pytest.raises(DataError, match="Did you mean 'xbW'"):
        packed.column("xbw")


def test_the_loaded_identity_deals_every_event_once(packed: PackedEvents) -> None:
    mine = members(TrainOptions())
    assert (sum(scored(one, packed.identity).astype(int) for one in mine) == 1).all()
    told = prove(mine, packed.identity, packed.label.numpy(), packed.classes)
    assert told["distinct"] == 1600
    assert len(set(roles(mine[0], packed.identity).tolist())) == 2


def test_without_further_inputs_there_are_none(tmp_path: Path) -> None:
    assert load(conducted(two(tmp_path, ancillary=[]))).ancillary.shape == (1600, 0)


def test_a_table_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    run = conducted(two(tmp_path))
    path = run.output(EVENTS)
    parquet.write_table(parquet.read_table(path).slice(1), path)
    with pytest.raises(DataError, match="the table has 1599 events, the arrays have 1600"):
        load(run)
    path.unlink()
    with pytest.raises(MissingError, match="table of the pack's events is not there"):
        load(run)
