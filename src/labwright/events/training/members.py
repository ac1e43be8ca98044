"""k networks as one: their weights are stacked along a first axis, and one call runs all of them, each on a batch of its own.

Adam and its like work number by number, so that one optimiser over the stack is k optimisers. What is not number by number, the
norm that gradients are clipped to and the learning rate, is done here by rows: before the step each member's gradient is scaled, and
where rates differ each member keeps, after it, as much of its step as its rate is of the common one, which is exact as a step is
linear in the rate.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

PREFIX = "network."
"""Before a network's own names in the state of its stack."""
Output = tuple[Tensor, Tensor]


class Stack(nn.Module):
    """k networks of one make; parameters and buffers are (k, …), under the names that they have in one network.

    Args:
        networks: at least one; they are not changed.
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = len(networks)
        self.network = copy.deepcopy(networks[0])
        states = [network.state_dict() for network in networks]
        for name, module in self.network.named_modules():
            own = f"{name}." if name else ""
            for key, parameter in module.named_parameters(recurse=False):
                stacked = torch.stack([state[own + key] for state in states])
                setattr(module, key, nn.Parameter(stacked, requires_grad=parameter.requires_grad))
            for key, _ in module.named_buffers(recurse=False):
                setattr(module, key, torch.stack([state[own + key] for state in states]))

    def forward(self, *inputs: Tensor) -> Output:
        """Each member on its own events.

        Args:
            inputs: of the network, each with members in front, (k, batch, …).

        Returns:
            Class logits (k, batch, classes) and view logits (k, batch, 3).
        """
        parameters, buffers = dict(self.network.named_parameters()), dict(self.network.named_buffers())

        def one(
            parameters: Mapping[str, Tensor], buffers: Mapping[str, Tensor], inputs: tuple[Tensor, ...]
        ) -> tuple[Output, dict[str, Tensor]]:
            state = {**parameters, **buffers}
            output: Output = functional_call(self.network, state, inputs)
            return output, {name: state[name] for name in buffers}

        if self.members == 1:
            alone, own = ({name: tensor[0] for name, tensor in tensors.items()} for tensors in (parameters, buffers))
            output, changed = one(alone, own, tuple(one[0] for one in inputs))
            output, changed = (output[0][None], output[1][None]), {name: tensor[None] for name, tensor in changed.items()}
        else:
            output, changed = vmap(one, randomness="different")(parameters, buffers, inputs)
        if self.training:
            with torch.no_grad():
                for name, buffer in buffers.items():
                    buffer.copy_(changed[name])
        return output

    def set_ghosts(self, count: int) -> None:
        """Ghost batches of each training batch from now on; 0 uses the running statistics."""
        self.network.ghosts = count  # type: ignore[assignment]

    def tensors(self) -> dict[str, Tensor]:
        """A copy of all weights, (k, …) by the names of a single network."""
        return {name: tensor.detach().cpu().clone() for name, tensor in self.network.state_dict().items()}


def row(tensors: Mapping[str, Tensor], index: int) -> dict[str, Tensor]:
    """The weights of one member out of a stack's, by the names of a single network."""
    return {name.removeprefix(PREFIX): tensor[index].clone() for name, tensor in tensors.items()}


def by_member(
    optimizer: torch.optim.Optimizer,
    stack: Stack,
    factors: Callable[[], Sequence[float]],
    frozen: Callable[[], Collection[str]] = tuple,
    clip_norm: float | None = None,
) -> None:
    """Let an optimiser over a stack take the steps that k optimisers would take.

    Args:
        optimizer: whose step is linear in its learning rate.
        stack: whose parameters it has.
        factors: what the learning rate of each member is multiplied by, (k,); asked before each step.
        frozen: names of those parameters, as in one network, that stay as they are; asked before each step.
        clip_norm: each member's gradient is scaled down to this norm where it is longer.
    """
    before: dict[str, Tensor] = {}
    rates: list[float] = []
    common: list[float] = []

    def learning() -> dict[str, nn.Parameter]:
        return {name: parameter for name, parameter in stack.network.named_parameters() if parameter.grad is not None}

    @torch.no_grad()
    def begin(*_: Any) -> None:
        rates[:] = factors()
        own, fixed = learning(), set(frozen())
        apart = any(rate != rates[0] for rate in rates)
        before.update({name: one.clone() for name, one in own.items() if name in fixed or apart})
        common[:] = [group["lr"] for group in optimizer.param_groups]
        if not apart:
            for group in optimizer.param_groups:
                group["lr"] *= rates[0]
        if clip_norm is not None and own:
            clip(list(own.values()), clip_norm)

    @torch.no_grad()
    def end(*_: Any) -> None:
        own, fixed = learning(), set(frozen())
        for name, old in before.items():
            parameter = own[name]
            if name in fixed:
                parameter.copy_(old)
            else:
                share = _column(torch.tensor(rates, dtype=old.dtype, device=old.device), old)
                parameter.copy_(torch.where(share == 1.0, parameter, old + share * (parameter - old)))
        before.clear()
        for group, rate in zip(optimizer.param_groups, common, strict=True):
            group["lr"] = rate

    optimizer.register_step_pre_hook(begin)
    optimizer.register_step_post_hook(end)


def clip(parameters: Sequence[Tensor], norm: float) -> Tensor:
    """Scale the gradient of each member down to ``norm`` where it is longer, in place, as ``torch.nn.utils.clip_grad_norm_``.

    Returns:
        The norms before, (k,).
    """
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    lengths = torch.stack([torch.linalg.vector_norm(gradient.flatten(1), dim=1) for gradient in gradients])
    total: Tensor = torch.linalg.vector_norm(lengths, dim=0)
    scale = (norm / (total + 1e-6)).clamp_max(1.0)
    for gradient in gradients:
        gradient.mul_(_column(scale, gradient))
    return total


def _column(values: Tensor, like: Tensor) -> Tensor:
    """(k,) → (k, 1, 1, …), to go with a stacked tensor."""
    return values.view(-1, *[1] * (like.ndim - 1))
