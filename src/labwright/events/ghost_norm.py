"""Ghost batch norm (Hoffer et al., 2017) and the linear map behind it, as one operation.

A batch is normalised in pieces, ghost batches, each by its own mean and spread; small pieces shake the features as small
batches do. Tensors are (ghosts, features, pixels, events): a matrix product over the features then runs over long contiguous rows,
five times as fast on a CPU as a convolution over (events, features, pixels).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

EPSILON = 1e-5
"""Added to a variance before its root is taken."""
MOMENTUM = 0.1
"""Share of the new statistics in the running ones."""


class Pixels(NamedTuple):
    """Inputs of an embedding."""

    values: Tensor
    """(ghosts, features, pixels, events)."""
    present: Tensor | None = None
    """1 where there is something, 0 elsewhere, (ghosts, 1, pixels, events); None: everywhere."""


class GhostLinear(nn.Module):
    """Normalise the features, then mix them: (ghosts, taps · inputs, pixels, events) → (ghosts, outputs, pixels, events), floats.

    The running mean and spread follow the batches as buffers that are replaced, never written into, so that the module works
    under ``torch.func.functional_call`` and ``vmap``: the changed buffers are then found in the dictionary of the call.

    Args:
        inputs: features of a pixel.
        outputs: features of a result; even when mirrored.
        taps: pixels side by side that make one result; they share mean and spread.
        mirrored: learn half of the rows of the matrix, the others are their negatives. With a bias and an activation behind it, both signs
            of a feature then go on (concatenated ReLU, Shang et al., 2016).
        bias: add a learned number to each output.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, inputs: int, outputs: int, *, taps: int = 1, mirrored: bool = True, bias: bool = True) -> None:
        super().__init__()
        self.taps, self.mirrored = taps, mirrored
        self.momentum = MOMENTUM
        bound = (taps * inputs) ** -0.5
        rows = outputs // 2 if mirrored else outputs
        self.weight = nn.Parameter(torch.empty(rows, taps * inputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(outputs).uniform_(-bound, bound)) if bias else None
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("spread", torch.ones(inputs))

    def forward(self, pixels: Tensor, live: bool = False, present: Tensor | None = None) -> Tensor:
        """Normalise by the batch's own statistics (``live``), or by the running ones.

        Args:
            present: (ghosts, 1, pixels, events), 1 where there is something and 0 elsewhere. What is absent must be 0 in ``pixels``, and
                its result must go nowhere.
        """
        weight = torch.cat((self.weight, -self.weight)) if self.mirrored else self.weight
        bias = weight.new_zeros(len(weight)) if self.bias is None else self.bias
        return normalised_linear(self, pixels, weight, bias, live, present)


class GhostNorm(nn.Module):
    """Normalise the features, then scale and shift each: the shape stays."""

    mean: Tensor
    spread: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.taps = 1
        self.momentum = MOMENTUM
        self.scale = nn.Parameter(torch.ones(features))
        self.shift = nn.Parameter(torch.zeros(features))
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("spread", torch.ones(features))

    def forward(self, pixels: Tensor, live: bool = False, present: Tensor | None = None) -> Tensor:
        """As ``GhostLinear.forward``."""
        return normalised_linear(self, pixels, torch.diag(self.scale), self.shift, live, present)


def normalised_linear(
    norm: GhostLinear | GhostNorm, pixels: Tensor, weight: Tensor, bias: Tensor, live: bool, present: Tensor | None
) -> Tensor:
    """``weight`` (outputs, taps · inputs) times the normalised pixels plus ``bias`` (outputs,); ``norm`` keeps the running statistics."""
    ghosts, _, width, events = pixels.shape
    flat = pixels.reshape(ghosts, -1, width * events)
    if live:
        if present is None:
            count = flat.new_full((ghosts, 1), norm.taps * width * events)
        else:
            count = norm.taps * present.reshape(ghosts, -1).sum(1, keepdim=True).clamp_min(1.0)
        result, mean, spread = _LiveLinear.apply(flat, weight, bias, count, norm.taps)
        norm.mean = torch.lerp(norm.mean, mean.detach().mean(0), norm.momentum)
        norm.spread = torch.lerp(norm.spread, spread.detach().mean(0), norm.momentum)
    else:
        folded = weight / norm.spread.repeat(norm.taps)
        shift = bias - folded @ norm.mean.repeat(norm.taps)
        result = torch.baddbmm(shift[:, None], folded.expand(ghosts, -1, -1), flat)
    return result.reshape(ghosts, -1, width, events)


class _LiveLinear(torch.autograd.Function):
    """The live case with its derivative by hand: autograd would walk over the pixels twice as often.

    Mean and spread are folded into the matrix of each ghost batch, so that the normalised pixels are never written. What the derivative
    needs of them follows from the small product of its own with the pixels.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(pixels: Tensor, weight: Tensor, bias: Tensor, count: Tensor, taps: int) -> tuple[Tensor, Tensor, Tensor]:
        total = _over_taps(pixels.sum(2), taps)
        squares = _over_taps(torch.linalg.vector_norm(pixels, dim=2).square(), taps)
        mean = total / count
        spread = (squares / count - mean.square()).clamp_min(0.0).add(EPSILON).sqrt()
        folded = weight / spread.repeat(1, taps)[:, None]
        shift = bias[:, None] - folded @ mean.repeat(1, taps)[:, :, None]
        return torch.baddbmm(shift, folded, pixels), mean, spread

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor, Tensor]) -> None:
        pixels, weight, _, count, ctx.taps = inputs
        _, mean, spread = output
        ctx.mark_non_differentiable(mean, spread)
        ctx.save_for_backward(pixels, weight, count, mean, spread)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        gradient = gradients[0]
        pixels, weight, count, mean, spread = ctx.saved_tensors
        taps = ctx.taps
        wide_mean, inverse = mean.repeat(1, taps), spread.reciprocal().repeat(1, taps)
        into_bias = gradient.sum(2)
        into_weight = torch.bmm(gradient, pixels.transpose(1, 2)) - into_bias[:, :, None] * wide_mean[:, None]
        into_weight = into_weight * inverse[:, None]
        # The mean and the spread depend on the pixels as well: two numbers for each ghost batch and feature.
        by_mean = (_over_taps(into_bias @ weight, taps) / count).repeat(1, taps)
        by_spread = (_over_taps((weight * into_weight).sum(1), taps) / count).repeat(1, taps)
        slope = -by_spread * inverse.square()
        level = -by_mean * inverse - slope * wide_mean
        folded = weight * inverse[:, None]
        into_pixels = torch.baddbmm(level[:, :, None], folded.transpose(1, 2), gradient) + slope[:, :, None] * pixels
        return into_pixels, into_weight.sum(0), into_bias.sum(0), None, None


def _over_taps(values: Tensor, taps: int) -> Tensor:
    return values.reshape(len(values), taps, -1).sum(1)
