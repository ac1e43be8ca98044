"""A classifier two-sample test: whether a small network can tell two weighted samples apart (Lopez-Paz and Oquab, arXiv:1610.06545).

The network is trained on some folds and judged on the other. Its area under the ROC curve is 0.5 where the samples are the same, for
any network; it is above where it has found a difference. The area is taken fold by fold and averaged: scores of different networks
are not comparable, and pooling them pulls the area below 0.5.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from labwright.data.sampler import generator, order
from labwright.events.metrics.auc import bootstrap, delong

FOLDS = 5
HIDDEN = 48
EPOCHS = 8
BATCH_EVENTS = 1024
LEARNING_RATE = 5e-3
CLIP = 6.0
"""Standard deviations from which on a feature is the same for all events."""
Real = NDArray[np.float64]


class Difference(NamedTuple):
    """How well two samples can be told apart."""

    auc: float
    sigma: float
    """By DeLong, for weighted events."""
    sigma_bootstrap: float
    """By resampled events; NaN where none were asked for."""
    scores: Real
    """(N,) out of fold; comparable within a fold only."""

    @property
    def pull(self) -> float:
        """(AUC − 0.5) / σ: 0 ± 1 for equal samples."""
        return (self.auc - 0.5) / self.sigma if self.sigma else math.nan


def told_apart(features: Real, first: NDArray[np.bool_], weight: Real, *, seed: int, resamples: int = 0) -> Difference:
    """Train on four folds of five, judge on the fifth, in turn.

    Weights may be negative: they enter loss and area with their sign, and take away what other events have too much.

    Args:
        features: (N, F), finite.
        first: (N,) whether an event is of the first sample.
        weight: (N,).
        seed: of folds, first weights and order.
        resamples: of the bootstrap.
    """
    fold = order(seed, 0, len(first)) % FOLDS
    inputs = torch.from_numpy(_standardised(features)).float()
    target = torch.from_numpy(first.astype(np.float32))
    scores = np.zeros(len(first))
    found = []
    for number in range(FOLDS):
        judged = fold == number
        balanced = np.where(judged, 0.0, weight)
        for side in (first, ~first):
            # Each sample counts for as much, so that only its shape is told.
            balanced[side] *= np.count_nonzero(~judged) / 2 / balanced[side].sum()
        network = _trained(inputs, target, torch.from_numpy(balanced).float(), np.flatnonzero(~judged), seed, number)
        with torch.no_grad():
            scores[judged] = network(inputs[judged])[:, 0].double().numpy()
        own = scores[judged], first[judged], weight[judged]
        area = delong(*own)
        found.append((area.value, area.std, bootstrap(*own, resamples=resamples, seed=seed).std if resamples else math.nan))
    aucs, sigmas, resampled = np.array(found).T
    return Difference(float(aucs.mean()), _of_mean(sigmas), _of_mean(resampled), scores)


def _of_mean(sigmas: Real) -> float:
    """Of the mean over the folds, which share no event that they judge."""
    return float(np.sqrt((sigmas**2).sum()) / FOLDS)


def _standardised(features: Real) -> Real:
    spread = features.std(axis=0)
    found: Real = np.clip((features - features.mean(axis=0)) / np.where(spread > 0, spread, 1.0), -CLIP, CLIP)
    return found


def _trained(inputs: Tensor, target: Tensor, weight: Tensor, rows: NDArray[Any], seed: int, fold: int) -> nn.Module:
    """A network of two hidden layers after a few passes; the rate falls to nothing as a cosine."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(generator(seed, "c2st", fold).bit_generator.random_raw()) >> 1)
        network = nn.Sequential(nn.Linear(inputs.shape[1], HIDDEN), nn.SiLU(), nn.Linear(HIDDEN, HIDDEN), nn.SiLU(), nn.Linear(HIDDEN, 1))
    optimizer = torch.optim.Adam(network.parameters(), LEARNING_RATE)
    batches = -(-len(rows) // BATCH_EVENTS)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS * batches)
    for epoch in range(EPOCHS):
        drawn = torch.from_numpy(rows[order(seed + fold, epoch, len(rows))])
        for batch in torch.split(drawn, BATCH_EVENTS):
            logits = network(inputs[batch])[:, 0]
            loss = functional.binary_cross_entropy_with_logits(logits, target[batch], weight[batch])
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
    return network
