"""What SvB and FvT minimise, and what follows from their outputs.

SvB: weighted cross-entropy over all classes. FvT: the same over four-tag data, three-tag data and top pairs of both (d4, d3, t4,
t3), where nobody has looked at the four-tag data of the signal region: there d4 is no class, neither in the sum nor in the softmax.
All functions take any leading axes, as (members, batch, classes).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

VIEWS = ("q_1234", "q_1324", "q_1423")
"""Names of the weights of the three pairings."""
BACKGROUNDS = ("data", "multijet", "ttbar", "qcd")
BLIND = "d4"
LEAST_SHARE = 1e-3
"""Of the absolute weights: a batch whose negative weights nearly cancel the others is divided by no less."""


def signed(weight: Tensor, negative: Literal["keep", "drop", "absolute"]) -> Tensor:
    """The weights as the loss takes them, of the same shape; ``drop`` makes negative ones 0."""
    match negative:
        case "keep":
            return weight
        case "drop":
            return weight.clamp_min(0.0)
        case "absolute":
            return weight.abs()


def blinded(label: Tensor, signal_region: Tensor, classes: Sequence[str]) -> Tensor:
    """Four-tag data in the signal region, which FvT must not see, bool, of the shape of ``label``."""
    return signal_region & (label == classes.index(BLIND))


def svb(logits: Tensor, label: Tensor) -> Tensor:
    """−ln p of each event's class.

    Args:
        logits: (…, batch, classes).
        label: int64 (…, batch).
    """
    return -logits.log_softmax(-1).gather(-1, label[..., None])[..., 0]


def fvt(logits: Tensor, label: Tensor, signal_region: Tensor, classes: Sequence[str]) -> Tensor:
    """−ln p of each event's class, without d4 in the signal region: its logit gets a gradient of exactly zero there.

    Args:
        logits: (…, batch, classes).
        label: int64 (…, batch).
        signal_region: bool (…, batch).
        classes: names in the order of the logits.

    Returns:
        (…, batch); 0 for four-tag data in the signal region, which is not to be learnt from.
    """
    blind = torch.tensor([name == BLIND for name in classes], device=logits.device)
    seen = logits.masked_fill(signal_region[..., None] & blind, float("-inf"))
    return svb(seen, label).masked_fill(blinded(label, signal_region, classes), 0.0)


def weighted_mean(values: Tensor, weight: Tensor, whole: Tensor | None = None) -> Tensor:
    """Σ w·v / Σ w over the last axis; 0 where all weights are 0.

    Args:
        values, weight: (…, events).
        whole: weights of the batch that these events are a piece of; the means of its pieces, each times the share of its events,
            add up to the mean of the batch.
    """
    every = weight if whole is None else whole * (weight.shape[-1] / whole.shape[-1])
    total, absolute = every.sum(-1), every.abs().sum(-1)
    return (values * weight).sum(-1) / torch.maximum(total, LEAST_SHARE * absolute).clamp_min(torch.finfo(values.dtype).tiny)


def signals(classes: Sequence[str]) -> list[int]:
    """Classes that count as signal where nobody says so: all but the first and those with a background's name."""
    return [number for number, name in enumerate(classes) if number and name not in BACKGROUNDS]


def separating(objective: str, classes: Sequence[str], probabilities: Tensor) -> Tensor:
    """What tells positives from negatives, (…, classes) → (…): the signal's share, or four-tag from three-tag data."""
    if objective == "fvt":
        four, three = probabilities[..., classes.index("d4")], probabilities[..., classes.index("d3")]
        return four / (four + three)
    return probabilities[..., signals(classes)].sum(-1)


def positive(objective: str, classes: Sequence[str]) -> Tensor:
    """Which classes count as positive, bool (classes,)."""
    chosen = [classes.index("d4")] if objective == "fvt" else signals(classes)
    return torch.isin(torch.arange(len(classes)), torch.tensor(chosen))


def compared(objective: str, classes: Sequence[str]) -> Tensor:
    """Which classes enter the AUC, bool (classes,): for FvT the data, else all."""
    return torch.tensor([objective != "fvt" or name in ("d4", "d3") for name in classes])
