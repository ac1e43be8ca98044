"""Which events a member trains on, in which order, and which pick its best epoch: rows of the pack."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from labwright.data.sampler import IntArray, generator, order
from labwright.events.folds import TRAIN, VALIDATE, Member, roles
from labwright.events.packing.load import PackedEvents
from labwright.events.train_options import TrainOptions
from labwright.events.training import losses


class Rows(NamedTuple):
    """What a member trains on and what picks its best epoch: rows of the pack."""

    train: IntArray
    validate: IntArray


class Epoch(Sequence[IntArray]):
    """The batches of an epoch; the order is drawn when the first is asked for, as the loop asks every epoch for its length."""

    def __init__(self, seeds: Sequence[int], rows: Sequence[IntArray], epoch: int, size: int, least: int) -> None:
        self.seeds, self.rows, self.epoch, self.size, self.least = seeds, rows, epoch, size, least

    def __len__(self) -> int:
        return self.least // self.size

    @cached_property
    def _drawn(self) -> IntArray:
        """(members, events of the least of them)."""
        orders = (order(seed, self.epoch, len(one))[: self.least] for seed, one in zip(self.seeds, self.rows, strict=True))
        return np.stack([one[places] for one, places in zip(self.rows, orders, strict=True)])

    def __getitem__(self, index: Any) -> Any:
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self._drawn[:, index * self.size : (index + 1) * self.size]


def rows_of(events: PackedEvents, models: Iterable[Member], options: TrainOptions) -> dict[Member, Rows]:
    """The rows of each member, of the events that are ``usable``."""
    mask = usable(events, options).numpy()
    found = {}
    for one in models:
        role = roles(one, events.identity)
        found[one] = Rows(np.flatnonzero(mask & (role == TRAIN)), np.flatnonzero(mask & (role == VALIDATE)))
    return found


def usable(events: PackedEvents, options: TrainOptions) -> Tensor:
    """Which events a member may train on or be judged on, bool (N,): those of a class; for FvT no four-tag data of the signal region."""
    found = events.labelled
    if options.objective == "fvt":
        found = found & ~losses.blinded(events.label, events.has("SR"), events.classes)
    if options.negative_weights == "drop":
        found = found & (events.weight >= 0)
    return found


def seed_of(seed: int, member: Member) -> int:
    """All that is random of a member, its first weights and its order of events, whoever it trains together with; 63 bits."""
    return int(generator(seed, "member", member.name).bit_generator.random_raw()) >> 1


def spread(rows: IntArray, most: int | None) -> IntArray:
    """At most so many rows, evenly spread over all."""
    return rows if most is None or len(rows) <= most else rows[np.arange(most) * len(rows) // most]
