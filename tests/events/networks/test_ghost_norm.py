"""Ghost batch norm against torch's own batch norm and convolution, with its derivative, its masks and its running statistics."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.func import functional_call, vmap
from torch.nn.functional import batch_norm, conv1d, silu

from labwright.events.networks import ghost_norm
from labwright.events.networks.ghost_norm import EPSILON, GhostLinear, GhostNorm, active

GHOSTS, INPUTS, PIXELS, EVENTS = 3, 4, 5, 8


def pixels(features: int = INPUTS, seed: int = 0) -> Tensor:
    drawn = torch.Generator().manual_seed(seed)
    scale = torch.arange(1.0, features + 1.0, dtype=torch.float64)[:, None, None]
    return 2.0 * scale + scale * torch.randn(GHOSTS, features, PIXELS, EVENTS, generator=drawn, dtype=torch.float64)


def some(seed: int = 1) -> Tensor:
    return (torch.rand(GHOSTS, 1, PIXELS, EVENTS, generator=torch.Generator().manual_seed(seed)) < 0.6).double()


def layer(**more: object) -> GhostLinear:
    torch.manual_seed(2)
    return GhostLinear(INPUTS, 6, **more).double()  # type: ignore[arg-type]


@pytest.fixture(params=["loops", "tensors"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiled loops as on a CPU, or tensors as on a GPU."""
    if request.param == "tensors":
        monkeypatch.setattr(ghost_norm, "looped", lambda _: False)


@pytest.mark.parametrize("mirrored", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_each_ghost_batch_is_batch_norm_and_a_convolution(mirrored: bool, bias: bool) -> None:
    ours = layer(mirrored=mirrored, bias=bias)
    result = ours(pixels(), live=True)
    assert ours.weight.shape == (3 if mirrored else 6, INPUTS)
    for ghost, one in zip(result, pixels(), strict=True):
        normal = batch_norm(one.permute(2, 0, 1), None, None, training=True, eps=EPSILON)
        expected = conv1d(normal, ours.weight[..., None])
        expected = torch.cat((expected, -expected), dim=1) if mirrored else expected
        expected = expected if ours.bias is None else expected + ours.bias[:, None]
        torch.testing.assert_close(ghost.permute(2, 0, 1), expected)


def test_taps_share_mean_and_spread() -> None:
    ours = layer(taps=3)
    side_by_side = pixels(3 * INPUTS)
    triplets = side_by_side.unflatten(1, (3, INPUTS))
    spread, mean = torch.var_mean(triplets, dim=(1, 3, 4), correction=0, keepdim=True)
    normal = ((triplets - mean) / (spread + EPSILON).sqrt()).flatten(1, 2)
    rows = torch.einsum("of,gfpe->gope", ours.weight, normal)
    assert ours.bias is not None
    torch.testing.assert_close(ours(side_by_side, live=True), torch.cat((rows, -rows), 1) + ours.bias[:, None, None])


def test_what_is_absent_does_not_count() -> None:
    ours, present = layer(), some()
    result = ours(pixels() * present, True, present)
    for ghost in range(GHOSTS):
        there = present[ghost, 0].bool()
        alone = layer()(pixels()[ghost][:, there][None, :, None], live=True)
        torch.testing.assert_close(result[ghost][:, there], alone[0, :, 0])


@pytest.mark.parametrize(("taps", "masked"), [(1, False), (3, False), (1, True)])
def test_the_derivative_is_that_of_finite_differences(taps: int, masked: bool) -> None:
    ours = layer(taps=taps)
    present = some() if masked else None
    inputs = (pixels(taps * INPUTS), ours.weight.detach(), torch.ones(6, dtype=torch.float64))

    def through(values: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        values = values if present is None else values * present
        result: Tensor = functional_call(ours, {"weight": weight, "bias": bias}, (values, True, present))
        return result if present is None else result * present

    assert torch.autograd.gradcheck(through, tuple(one.requires_grad_() for one in inputs), fast_mode=True)


def test_scale_and_shift_are_learned() -> None:
    norm = GhostNorm(INPUTS).double()
    normal = norm(pixels(), live=True)
    torch.testing.assert_close(normal.mean((2, 3)), torch.zeros(GHOSTS, INPUTS, dtype=torch.float64))
    torch.testing.assert_close(normal.square().mean((2, 3)), torch.ones(GHOSTS, INPUTS, dtype=torch.float64), rtol=1e-4, atol=0)
    with torch.no_grad():
        norm.scale.fill_(3.0)
        norm.shift.fill_(-1.0)
    torch.testing.assert_close(norm(pixels(), live=True), 3.0 * normal - 1.0)


def test_running_statistics_follow_the_batches_by_a_tenth_and_normalise_what_is_not_live() -> None:
    norm = GhostNorm(INPUTS).double()
    expected = norm.statistics.clone()
    for seed in range(3):
        norm(pixels(seed=seed), live=True)
        variance, mean = torch.var_mean(pixels(seed=seed), dim=(2, 3), correction=0)
        expected = 0.9 * expected + 0.1 * torch.stack((mean.mean(0), (variance + EPSILON).sqrt().mean(0)))
    torch.testing.assert_close(norm.statistics, expected)
    settled = norm(pixels(seed=9))
    torch.testing.assert_close(settled, (pixels(seed=9) - expected[0, :, None, None]) / expected[1, :, None, None])
    torch.testing.assert_close(norm.statistics, expected)


def test_a_large_constant_leaves_no_rounding() -> None:
    year = GhostLinear(1, 2, bias=False)
    year.statistics = torch.tensor([[2018.0], [1.0]])
    assert torch.equal(year(torch.full((1, 1, 1, 7), 2018.0)), torch.zeros(1, 2, 1, 7))


def test_statistics_of_stacked_layers_are_found_in_the_dictionary_of_the_call() -> None:
    norm = GhostNorm(INPUTS).double()
    batches = torch.stack([pixels(seed=seed) for seed in range(3)])

    def one(statistics: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        state = {"statistics": statistics}
        result: Tensor = functional_call(norm, state, (values, True))
        return result, state["statistics"]

    before = norm.statistics.clone()
    results, changed = vmap(one)(before.expand(3, -1, -1), batches)
    assert torch.equal(norm.statistics, before)
    for seed in range(3):
        alone = GhostNorm(INPUTS).double()
        torch.testing.assert_close(results[seed], alone(pixels(seed=seed), live=True))
        torch.testing.assert_close(changed[seed], alone.statistics)


def test_activation_is_silu_where_something_is() -> None:
    values, present = pixels().requires_grad_(), some()
    torch.testing.assert_close(active(values, present), silu(values) * present)
    assert torch.equal(active(values, None), silu(values))
    assert torch.autograd.gradcheck(lambda one: active(one, present), (values,), fast_mode=True)
