"""Scores of trained networks for events that were turned, mirrored, flipped, or had their dijets swapped: how far they differ.

    labwright run docs/results/hh4b.yaml --param data=FOLDER --step train
    python benchmarks/events_symmetry.py runs/train-…

Every model of the runs scores every event of its pack, whether it was trained on it or not. Turned angles are rounded to float32 before
they go in, as they are in any file. How much of a difference that rounding alone makes is seen from the events that differ most: from
the same weights in double precision, on the very same float32 angles, and then on angles turned in double precision and not rounded.
"""

from __future__ import annotations

import argparse
import copy
import math
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from labwright.events.packing.load import PackedEvents, load
from labwright.events.training.models import load_models, model_folder
from labwright.runs.run import Run

TOLERANCE, EVENTS, WORST, ANGLE = 1e-5, 2048, 100, 1.234
"""The angle of a turn, rad; no simple share of π."""
SWAPPED = [2, 3, 0, 1]
Change = Callable[[Tensor], Tensor]


def turned(jets: Tensor) -> Tensor:
    """About the beam; the padding of other jets stays as it is."""
    phi = torch.where(jets[..., 0] > 0, (jets[..., 2] + ANGLE + math.pi) % math.tau - math.pi, 0.0)
    return torch.cat((jets[..., :2], phi[..., None], jets[..., 3:]), dim=-1)


def opposite(column: int) -> Change:
    """With the other sign in one column."""
    return lambda jets: torch.cat((jets[..., :column], -jets[..., column : column + 1], jets[..., column + 1 :]), dim=-1)


CHANGES: dict[str, tuple[Change, Change]] = {
    "turned about the beam": (turned, turned),
    "mirrored in phi": (opposite(2), opposite(2)),
    "flipped in eta": (opposite(1), opposite(1)),
    "dijets swapped": (lambda jets: jets[:, SWAPPED], lambda jets: jets),
}
"""What is done to the chosen and to the other jets, float64."""


@torch.inference_mode()
def difference(network: nn.Module, events: PackedEvents, change: tuple[Change, Change], rows: Tensor, rounded: bool = True) -> Tensor:
    """The greatest difference of any p of an event, in the precision of the network, (rows,).

    Args:
        change: what is done to the chosen and to the other jets.
        rows: int64, events to look at.
        rounded: round what was changed to float32 first.
    """
    precision = next(network.parameters()).dtype
    found = []
    for some in rows.split(EVENTS):
        before, extra = [events.can_jets[some], events.other_jets[some]], events.ancillary[some].to(precision)
        after = [of(one.double()) for of, one in zip(change, before, strict=True)]
        if rounded:
            after = [one.float() for one in after]
        p, q = (network(*(one.to(precision) for one in jets), extra)[0].softmax(1) for jets in (before, after))
        found.append((p - q).abs().amax(1))
    return torch.cat(found)


def main() -> None:
    """Print the table, and where the differences of turned events come from."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="run of train")
    torch.set_num_threads(1)
    found: dict[str, list[Tensor]] = {name: [] for name in CHANGES}
    worst: list[Tensor] = []
    for folder in parser.parse_args().runs:
        events = load(Run.open(Run.open(folder).inputs["pack"].resolve()))
        for network in load_models(model_folder(folder), "last").networks:
            for name, change in CHANGES.items():
                found[name].append(difference(network, events, change, torch.arange(events.n)))
            most = found["turned about the beam"][-1].topk(min(WORST, events.n))
            precise, turn = copy.deepcopy(network).double(), CHANGES["turned about the beam"]
            exact = [difference(precise, events, turn, most.indices, rounded) for rounded in (True, False)]
            worst.append(torch.stack((most.values.double(), *exact)))
    print(f"| change | largest difference of p, {len(worst)} models | of {sum(map(len, found[name])):,} over {TOLERANCE:g} |")
    print("|---|---|---|")
    for name, apart in found.items():
        print(f"| {name} | {float(torch.cat(apart).max()):.1e} | {int((torch.cat(apart) > TOLERANCE).sum())} |")
    plain, rounded, exact = torch.cat(worst, 1)
    print(f"\nOf the {WORST} events of each model that differ most when turned:")
    print(f"float32 network: largest {float(plain.max()):.1e}, median {float(plain.median()):.1e}")
    print(f"float64 network, angles rounded to float32: largest {float(rounded.max()):.1e}, median {float(rounded.median()):.1e}")
    print(f"float64 network, angles not rounded: largest {float(exact.max()):.1e}")


if __name__ == "__main__":
    main()
