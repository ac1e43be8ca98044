"""The benchmarks of events compare like with like: what they assert before they time anything."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch


@pytest.fixture
def benchmarks(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Scripts of the folder can be imported as they import each other."""
    monkeypatch.syspath_prepend(str(repository / "benchmarks"))
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def script(name: str) -> ModuleType:
    return importlib.import_module(name)


@pytest.mark.parametrize("seed", [0, 1, 2])  # with 2 the jets of an event balance, and the direction of all four means nothing
def test_the_plain_network_is_the_same_function(benchmarks: None, seed: int) -> None:
    script("events_training").check(seed)


def test_a_stack_is_its_members(benchmarks: None) -> None:
    script("events_members").check()


def test_the_trees_see_what_no_turn_changes(benchmarks: None) -> None:
    (jets, _, _), _ = script("events_training").events(0, 200)
    features = script("reference.events_networks").pair_features
    seen = features(jets.numpy())
    assert seen.shape == (200, 84)
    for name, (change, _) in script("events_symmetry").CHANGES.items():
        if name != "dijets swapped":  # trees are given jets by falling pt
            torch.testing.assert_close(torch.tensor(features(change(jets.double()).numpy())), torch.tensor(seen), atol=1e-3, rtol=1e-3)


def test_a_changed_event_is_compared_with_the_unchanged_one(benchmarks: None) -> None:
    training, symmetry = script("events_training"), script("events_symmetry")
    network = training.both(0)[0].eval().double()
    pack, rows = script("events_members").packed(256), torch.arange(256)
    for change in symmetry.CHANGES.values():
        assert symmetry.difference(network, pack, change, rows, rounded=False).max() < 1e-12
    harder = [lambda jets: jets * jets.new_tensor((2.0, 1.0, 1.0, 1.0, 1.0)[: jets.shape[-1]])] * 2
    assert symmetry.difference(network, pack, harder, rows).max() > 1e-3
