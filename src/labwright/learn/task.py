"""What a recipe gives to the training loop: a network, batches, a loss and a validation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol, TypeVar

from torch import Tensor, nn

from labwright.data.sampler import IntArray, generator
from labwright.study.step import Figures

B = TypeVar("B")


class Clock(NamedTuple):
    """Where in the training a batch stands."""

    epoch: int
    """Counted from 0."""
    step: int
    """Steps done before this one."""
    progress: float
    """Steps done over steps in all, from 0 to below 1."""
    key: int
    """The step's random key, see ``step_key``."""
    items: IntArray | None = None
    """All items of the step, of which ``loss`` may be given a piece."""


class Task(Protocol[B]):
    """One network to train. The loop calls nothing else, and a task holds nothing that changes but its module.

    ``module``: the network, built under ``torch.manual_seed(job.seed)``; k members that train together are one
    stacked module. While ``fit`` runs it stands on the device, wrapped for precision and for several devices,
    so that ``loss`` and ``validate`` simply call ``self.module(…)``.

    ``batches(epoch)``: the global batches of an epoch, item numbers of shape (batch,), or (members, batch). A pure
    function: it is asked again on every resume, and once for each epoch at the start, for its length.

    ``load(items, key)``: gather the items, in the prefetch thread, as host memory. With several devices or
    ``accumulate`` it gets only a part of a batch, always with the key of the whole step; what is drawn for each item from
    ``generator(key, item)`` therefore does not depend on how a batch is divided.

    ``loss(batch, clock)``: move to the device (``devices.of(self.module)``), augment there, run the network; the mean loss over
    the items as a scalar tensor, and figures for the training curve (scalars, tensors preferred: they need no waiting).
    torch's own random state (dropout) is set from the key before each call.

    ``optimizer(options, parameters)`` may be there too, in place of ``schedules.optimizer``: whose members have rates of their own
    gives it hooks. So may ``out_of_patience()``: asked after each validation whether to end, by a task whose members wait one by one.

    ``validate()``: figures of the validation split, of which the options name the selecting one. It runs without
    gradients and in evaluation mode; between its batches it calls ``fault("train:in-validate")`` and, when
    ``job.stopping()``, raises ``Stopped``.
    """

    module: nn.Module

    def batches(self, epoch: int) -> Sequence[IntArray]: ...
    def load(self, items: IntArray, key: int) -> B: ...
    def loss(self, batch: B, clock: Clock) -> tuple[Tensor, Figures]: ...
    def validate(self) -> Figures: ...


def step_key(seed: int, epoch: int, index: int) -> int:
    """The random key of batch ``index`` of an epoch, 63 bits: equal on every device, new in each epoch."""
    raw = generator(seed, "step", epoch, index).bit_generator.random_raw()
    return int(raw) >> 1
