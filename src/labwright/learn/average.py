"""An exponential moving average of a network's weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from labwright.learn.tensors import Named, of_module


class Average:
    """a ← d·a + (1 - d)·w after each step, of all parameters and of floating buffers (batch statistics).

    The decay d is min(decay, (1 + step) / (10 + step)), so that an early average forgets the first random weights
    (as TensorFlow's ``ExponentialMovingAverage`` with ``num_updates``).
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.decay = decay
        self._module = module
        self._live: dict[str, Tensor] = {name: tensor for name, tensor in of_module(module)[0].items() if tensor.is_floating_point()}
        self.tensors: dict[str, Tensor] = {name: tensor.detach().clone() for name, tensor in self._live.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after ``step`` steps (from 1)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(list(self.tensors.values()), list(self._live.values()), 1 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The module holds the average during the block, and its own weights again after it."""
        self._exchange()
        try:
            yield
        finally:
            self._exchange()

    def complete(self) -> tuple[dict[str, Tensor], dict[str, str]]:
        """The averaged network as ``tensors.of_module`` gives one: with its counters, and the names of tied tensors."""
        own, tied = of_module(self._module)
        return own | self.tensors, tied

    @torch.no_grad()
    def load(self, tensors: Named) -> None:
        """Take over a saved average."""
        for name, tensor in self.tensors.items():
            tensor.copy_(tensors[name])

    @torch.no_grad()
    def _exchange(self) -> None:
        for name, live in self._live.items():
            own = live.clone()
            live.copy_(self.tensors[name])
            self.tensors[name].copy_(own)
