from __future__ import annotations

import numpy as np
import pytest
import torch

from labwright.events.export import invented
from labwright.events.folds import members, scored
from labwright.events.networks.build import build, prepare
from labwright.events.scoring import ensemble
from labwright.events.scoring.ensemble import outputs, score
from labwright.events.scoring.scores import COUNT
from labwright.events.train_options import TrainOptions
from labwright.events.training.models import Models

TOLD = {"objective": "svb", "classes": ["B", "S"], "ancillary": ["year", "n_selected"], "other_jets": 5}
EVENTS = invented(TOLD, 300)


@pytest.fixture(params=["hcr", "pairformer"])
def models(request: pytest.FixtureRequest) -> Models:
    """Two random foldings of two folds each, with first weights."""
    torch.set_num_threads(1)
    torch.manual_seed(1)
    options = TrainOptions.model_validate({"network": {"kind": request.param}, "folds": {"k": 2, "offsets": "0-1"}})
    networks = []
    for _ in members(options):
        network = build(options.network, 2, TOLD["ancillary"])
        prepare(network, *(torch.from_numpy(column) for column in EVENTS[:3]))
        networks.append(network.eval())
    return Models(members(options), networks, TOLD)


def test_each_event_is_scored_by_one_model_of_each_folding(models: Models) -> None:
    times = np.zeros(300, int)
    for one in outputs(models, EVENTS):
        np.testing.assert_array_equal(one.rows, np.flatnonzero(scored(one.member, EVENTS.identity)))
        np.testing.assert_allclose(one.values[:, :2].sum(axis=1), 1, rtol=1e-5)
        np.testing.assert_allclose(one.values[:, 2:].sum(axis=1), 1, rtol=1e-5)
        times[one.rows] += 1
    assert (times == 2).all()
    assert (score(models, EVENTS)[COUNT] == 2).all()


def test_batches_do_not_change_a_probability(models: Models) -> None:
    whole = list(outputs(models, EVENTS))
    for size in (1, 7, 150):
        for one, other in zip(whole, outputs(models, EVENTS, size), strict=True):
            np.testing.assert_allclose(other.values, one.values, atol=1e-5)


def test_whoever_waits_is_told_how_far_it_is_and_may_stop_it(models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ensemble, "CPU_EVENTS", 100)
    seen: list[int] = []
    list(outputs(models, EVENTS, 1000, seen.append))
    assert seen == sorted(seen)
    assert seen[0] == 0
    assert 600 - 100 <= seen[-1] < 600

    def stop(done: int) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        list(outputs(models, EVENTS, pause=stop))
