"""Ghost batch norm (Hoffer et al., 2017) and the linear map behind it, as one operation.

A batch is normalised in pieces, ghost batches, each by its own mean and spread; small pieces shake the features as small
batches do. Tensors are (ghosts, features, pixels, events): a matrix product over the features then runs over long contiguous rows,
five times as fast on a CPU as a convolution over (events, features, pixels).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import silu

from labwright.events.networks import ghost_loops as loops
from labwright.events.networks.compiled import array, looped

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

    The running mean and spread follow the batches. Their buffer is replaced, never written into, so that the module works under
    ``torch.func.functional_call`` and ``vmap``: the new buffer is then found in the dictionary of the call.

    Args:
        inputs: features of a pixel.
        outputs: features of a result; even when mirrored.
        taps: pixels side by side that make one result; they share mean and spread.
        mirrored: learn half of the rows of the matrix, the others are their negatives. With a bias and an activation behind it, both signs
            of a feature then go on (concatenated ReLU, Shang et al., 2016).
        bias: add a learned number to each output.
    """

    statistics: Tensor
    """Running mean and spread, (2, inputs)."""

    def __init__(self, inputs: int, outputs: int, *, taps: int = 1, mirrored: bool = True, bias: bool = True) -> None:
        super().__init__()
        self.taps, self.mirrored = taps, mirrored
        self.momentum = MOMENTUM
        bound = (taps * inputs) ** -0.5
        rows = outputs // 2 if mirrored else outputs
        self.weight = nn.Parameter(torch.empty(rows, taps * inputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(outputs).uniform_(-bound, bound)) if bias else None
        self.register_buffer("statistics", _standard(inputs))

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

    statistics: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.taps = 1
        self.momentum = MOMENTUM
        self.scale = nn.Parameter(torch.ones(features))
        self.shift = nn.Parameter(torch.zeros(features))
        self.register_buffer("statistics", _standard(features))

    def forward(self, pixels: Tensor, live: bool = False, present: Tensor | None = None) -> Tensor:
        """As ``GhostLinear.forward``."""
        return normalised_linear(self, pixels, torch.diag(self.scale), self.shift, live, present)


def normalised_linear(
    norm: GhostLinear | GhostNorm, pixels: Tensor, weight: Tensor, bias: Tensor, live: bool, present: Tensor | None
) -> Tensor:
    """``weight`` (outputs, taps · inputs) times the normalised pixels plus ``bias`` (outputs,); ``norm`` keeps the running statistics."""
    ghosts, _, width, events = pixels.shape
    if live:
        if present is None:
            count = pixels.new_full((ghosts, 1), norm.taps * width * events)
        else:
            count = norm.taps * present.sum((2, 3)).clamp_min(1.0)
        result, statistics = _LiveLinear.apply(pixels, weight[None], bias[None], count, norm.taps)
        norm.statistics = torch.lerp(norm.statistics, statistics.mean(0), norm.momentum)
        return result
    mean, spread = norm.statistics.repeat(1, norm.taps)
    # The mean is not folded into the bias: of a year, say, nothing but rounding would be left.
    centred = (pixels - mean[:, None, None]).flatten(2)
    return torch.baddbmm(bias[:, None], (weight / spread).expand(ghosts, -1, -1), centred).unflatten(2, (width, events))


def _over_members(info: Any, dims: tuple[int | None, ...], *inputs: Any) -> tuple[tuple[Tensor, Tensor], tuple[int, int]]:
    """The rule of ``torch.func.vmap``: ghost batches of all members side by side, a row of weights for each member."""
    *tensors, taps = inputs
    folded = [
        (one.expand(info.batch_size, *one.shape) if dim is None else one.movedim(dim, 0)).flatten(0, 1)
        for one, dim in zip(tensors, dims[:-1], strict=True)
    ]
    result, statistics = _LiveLinear.apply(*folded, taps)
    return (result.unflatten(0, (info.batch_size, -1)), statistics.unflatten(0, (info.batch_size, -1))), (0, 0)


class _LiveLinear(torch.autograd.Function):
    """The live case with its derivative by hand: autograd would walk over the pixels twice as often.

    Mean and spread are folded into the matrix of each ghost batch, so that the normalised pixels are never written. What the derivative
    needs of them follows from its own small product with the pixels. Weights are (members, outputs, taps · inputs), biases
    (members, outputs): the ghost batches of a member stand side by side.
    """

    vmap = staticmethod(_over_members)

    @staticmethod
    def forward(pixels: Tensor, weight: Tensor, bias: Tensor, count: Tensor, taps: int) -> tuple[Tensor, Tensor]:
        if not looped(pixels):
            return live_linear(pixels, weight, bias, count, taps)
        statistics = pixels.new_empty(len(pixels), 2, pixels.shape[1] // taps)
        result = pixels.new_empty(len(pixels), weight.shape[1], *pixels.shape[2:])
        loops.linear(_rows(pixels), *map(array, (weight, bias, count)), EPSILON, taps, array(statistics), _rows(result))
        return result, statistics

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        pixels, weight, _, count, ctx.taps = inputs
        ctx.mark_non_differentiable(output[1])
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(pixels, weight, count, output[1])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        pixels, weight, count, statistics = ctx.saved_tensors
        gradient = gradients[0]
        if gradient is None:
            return (None,) * 5
        if not looped(gradient) or not looped(pixels):
            return (*live_linear_back(gradient, pixels, weight, count, statistics, ctx.taps), None, None)
        into = torch.empty_like(pixels, memory_format=torch.contiguous_format), torch.zeros_like(weight), weight.new_zeros(weight.shape[:2])
        loops.linear_back(
            _rows(gradient), _rows(pixels), *map(array, (weight, count, statistics)), ctx.taps, _rows(into[0]), *map(array, into[1:])
        )
        return (*into, None, None)


def live_linear(pixels: Tensor, weight: Tensor, bias: Tensor, count: Tensor, taps: int) -> tuple[Tensor, Tensor]:
    """The live case in tensors: result, and statistics (ghosts, 2, inputs)."""
    flat = pixels.flatten(2)
    weight, bias = (one.repeat_interleave(len(pixels) // len(one), 0) for one in (weight, bias))
    mean = _over_taps(flat.sum(2), taps) / count
    squares = _over_taps(torch.linalg.vector_norm(flat, dim=2).square(), taps) / count
    spread = torch.addcmul(squares, mean, mean, value=-1).clamp_min(0.0).add(EPSILON).sqrt()
    folded = weight / _each_tap(spread, taps)[:, None]
    shift = torch.baddbmm(bias[:, :, None], folded, _each_tap(mean, taps)[:, :, None], alpha=-1)
    result = torch.baddbmm(shift, folded, flat).view(len(pixels), weight.shape[1], *pixels.shape[2:])
    return result, torch.stack((mean, spread), 1)


def live_linear_back(
    gradient: Tensor, pixels: Tensor, weight: Tensor, count: Tensor, statistics: Tensor, taps: int
) -> tuple[Tensor, Tensor, Tensor]:
    """What a gradient of the result of ``live_linear`` means for pixels, weight and bias."""
    members = len(weight)
    weight = weight.repeat_interleave(len(pixels) // members, 0)
    gradient, flat = gradient.flatten(2), pixels.flatten(2)
    mean, inverse = _each_tap(statistics[:, 0], taps), _each_tap(statistics[:, 1].reciprocal(), taps)
    into_bias = gradient.sum(2)
    # Product with the normalised pixels.
    into_weight = torch.baddbmm(torch.bmm(gradient, flat.mT), into_bias[:, :, None], mean[:, None], alpha=-1) * inverse[:, None]
    # Mean and spread depend on the pixels as well: two numbers for each ghost batch and feature.
    by_mean = _each_tap(_over_taps(torch.bmm(into_bias[:, None], weight)[:, 0], taps) / count, taps)
    by_spread = _each_tap(_over_taps((weight * into_weight).sum(1), taps) / count, taps)
    slope = by_spread * inverse.square()
    level = torch.addcmul(slope * mean, by_mean, inverse, value=-1)
    into_pixels = torch.baddbmm(level[:, :, None], (weight * inverse[:, None]).mT, gradient)
    into_pixels = torch.addcmul(into_pixels, slope[:, :, None], flat, value=-1)
    return into_pixels.view(pixels.shape), *(one.unflatten(0, (members, -1)).sum(1) for one in (into_weight, into_bias))


def _rows(pixels: Tensor) -> NDArray[Any]:
    """(ghosts, features, all pixels of all events)."""
    return array(pixels, *pixels.shape[:2], -1)


def active(pixels: Tensor, present: Tensor | None) -> Tensor:
    """SiLU of the pixels, 0 where nothing is present."""
    if present is None:
        return silu(pixels)
    result: Tensor = _ActiveWherePresent.apply(pixels, present)
    return result


class _ActiveWherePresent(torch.autograd.Function):
    """Two operations that share their memory: what is largest in a network is not written twice."""

    generate_vmap_rule = True

    @staticmethod
    def forward(pixels: Tensor, present: Tensor) -> Tensor:
        return silu(pixels).mul_(present)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        pixels, present = ctx.saved_tensors
        return torch.ops.aten.silu_backward(gradients[0], pixels).mul_(present), None


def _over_taps(values: Tensor, taps: int) -> Tensor:
    return values if taps == 1 else values.unflatten(1, (taps, -1)).sum(1)


def _each_tap(values: Tensor, taps: int) -> Tensor:
    return values if taps == 1 else values.repeat(1, taps)


def _standard(features: int) -> Tensor:
    return torch.stack((torch.zeros(features), torch.ones(features)))
