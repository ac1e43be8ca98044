"""What SvB and FvT minimise, and what follows from their outputs."""

from __future__ import annotations

import torch
from torch.nn import functional

from labwright.events.training.losses import blinded, fvt, signed, svb, weighted_mean

FVT = ("d4", "d3", "t4", "t3")


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def test_svb_is_the_weighted_cross_entropy_of_each_member() -> None:
    logits, label, weight = drawn(3, 20, 5), torch.arange(60).reshape(3, 20) % 5, drawn(3, 20).abs()
    found = weighted_mean(svb(logits, label), weight)
    for member in range(3):
        each = functional.cross_entropy(logits[member], label[member], reduction="none")
        torch.testing.assert_close(found[member], (each * weight[member]).sum() / weight[member].sum())


def test_no_event_of_the_signal_region_moves_the_logit_of_d4() -> None:
    logits = drawn(2, 40, 4).requires_grad_()
    label = torch.arange(80).reshape(2, 40) % 4
    inside = torch.arange(40).expand(2, 40) % 3 == 0
    weighted_mean(fvt(logits, label, inside, FVT), torch.ones(2, 40)).sum().backward()
    assert logits.grad is not None
    assert torch.all(logits.grad[inside][:, 0] == 0)
    assert torch.all(logits.grad[~inside][:, 0] != 0)
    seen = inside & (label != 0)
    assert torch.all(logits.grad[seen][:, 1:] != 0)
    assert torch.all(logits.grad[inside & (label == 0)] == 0), "four-tag data in the signal region are blinded"


def test_outside_of_the_signal_region_fvt_is_a_cross_entropy_over_four_classes() -> None:
    logits, label = drawn(30, 4), torch.arange(30) % 4
    torch.testing.assert_close(
        fvt(logits, label, torch.zeros(30, dtype=torch.bool), FVT), functional.cross_entropy(logits, label, reduction="none")
    )


def test_inside_it_is_one_over_the_other_three() -> None:
    logits, label = drawn(30, 4), torch.arange(30) % 3 + 1
    expected = functional.cross_entropy(logits[:, 1:], label - 1, reduction="none")
    torch.testing.assert_close(fvt(logits, label, torch.ones(30, dtype=torch.bool), FVT), expected)


def test_only_four_tag_data_of_the_signal_region_are_blinded() -> None:
    label, inside = torch.tensor([0, 0, 1, 2]), torch.tensor([True, False, True, True])
    assert blinded(label, inside, FVT).tolist() == [True, False, False, False]


def test_negative_weights_are_kept_dropped_or_made_positive() -> None:
    weight = torch.tensor([1.0, -2.0])
    assert [signed(weight, how).tolist() for how in ("keep", "drop", "absolute")] == [[1, -2], [1, 0], [1, 2]]


def test_a_batch_without_weight_has_no_loss_rather_than_no_number() -> None:
    assert weighted_mean(torch.ones(3), torch.zeros(3)).item() == 0.0


def test_weights_that_cancel_do_not_blow_up_the_loss() -> None:
    assert abs(weighted_mean(torch.tensor([1.0, 2.0]), torch.tensor([1.0, -1.0])).item()) < 1e3
