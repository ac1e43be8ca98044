"""The pairformer: attention over jets that sees what two jets are to each other; then dijets, pairings and the event.

As in the particle transformer (Qu, Li and Qian 2022, arXiv:2202.03772) features of pairs are added to the scores; here they are passed
on as well. In each block jets look at jets, then the six dijets look at all jets but their own: the mass of the three together is what
tells a top quark. A pairing is read from sum and distance of its two dijets, which know no order, and the event from its three
pairings. Whatever goes in is the same for a turned, mirrored or flipped event, and so are the scores. Tensors are
(1, features, pixels, events) as in ``ghost_norm``, but nothing is normalised over a batch.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.functional import silu

from labwright.events.networks import attention
from labwright.events.networks import pair_features as physics
from labwright.events.networks.ghost_norm import GhostLinear, Pixels
from labwright.events.networks.pair_features import Jets, Momenta, Pairs

FEATURES = {"jet": 5, "pair": 11, "triple": 3, "view": 2, "event": 4}
NEAREST = 0.01
"""Jets are taken to be no closer than this in ΔR, where its logarithm is looked at."""


class Pairformer(nn.Module):
    """(can_jets, other_jets, ancillary) → (class logits, view logits).

    Args:
        classes: logits to give.
        ancillary: names of the ancillary inputs.
        width: features of a jet, a pair, a dijet and a pairing; a multiple of ``heads``.
        heads: of each attention.
        layers: blocks of attention.
        drop: share of the features between two layers that training leaves out at random.
    """

    def __init__(self, classes: int, ancillary: Sequence[str], width: int = 32, heads: int = 4, layers: int = 1, drop: float = 0.0) -> None:
        super().__init__()
        self.ancillary = tuple(ancillary)
        self.ghosts = 0
        """Without effect: there is no batch norm."""
        sizes = FEATURES | {"event": FEATURES["event"] + len(self.ancillary)}
        self.embed = nn.ModuleDict({name: GhostLinear(size, width, mirrored=False) for name, size in sizes.items()})
        self.mix = nn.ModuleDict({name: Linear(width, width) for name in ("jet", "pair", "triple")})
        self.among_jets = nn.ModuleList(Block(width, heads, drop) for _ in range(layers))
        self.to_dijets = nn.ModuleList(Block(width, heads, drop) for _ in range(layers))
        self.dijet = Linear(width, width)
        self.view = Perceptron(4 * width, 2 * width, width, drop)
        self.norms = nn.ModuleDict({name: Norm(width) for name in ("dijet", "view")})
        self.choose = Linear(width, 1)
        self.event = Perceptron(3 * width, width, width, drop)
        self.classify = Linear(width, classes)

    def inputs(self, can_jets: Tensor, other_jets: Tensor, ancillary: Tensor, ghosts: int = 1) -> dict[str, Pixels]:
        """What goes into each embedding; no gradient flows back into it."""
        # In double precision: what is lost in masses and angles would be magnified by the layers, differently for a turned event.
        precision = can_jets.dtype
        if can_jets.device.type != "mps":  # which has no such numbers
            can_jets, other_jets, ancillary = can_jets.double(), other_jets.double(), ancillary.double()
        jets = physics.jets(can_jets, other_jets, ghosts)
        pairs = physics.pairs(jets)
        dijets, whole = physics.dijets(jets, pairs), physics.quadjet(jets, pairs)
        event = _stack(whole.pt.log1p(), whole.mass.log1p(), whole.eta, jets.pt[:, :4].sum(1, keepdim=True).log1p())
        if self.ancillary:
            event = torch.cat((event, physics.ancillary(ancillary, self.ancillary, ghosts)), dim=1)
        to_whole = physics.angle_to_quadjet(jets, jets, whole)
        exact = {
            "jet": Pixels(_stack(jets.pt.log1p(), jets.eta, jets.mass.log1p(), jets.selected, to_whole), jets.present[:, None]),
            "pair": _pairs(jets, pairs, whole),
            "triple": _triples(jets, dijets, pairs),
            "view": Pixels(_views(dijets)),
            "event": Pixels(event),
        }
        return {
            name: Pixels(values.to(precision), None if present is None else present.to(precision))
            for name, (values, present) in exact.items()
        }

    def forward(self, can_jets: Tensor, other_jets: Tensor, ancillary: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of the classes (batch, classes) and of the three pairings (batch, 3).

        Args:
            can_jets: float32 (batch, 4, 4): pt, eta, phi, mass of the chosen jets, GeV and radians.
            other_jets: float32 (batch, m, 5): the same of the others with is_selected, -1 in padding; m may be 0.
            ancillary: float32 (batch, names).
        """
        inputs = self.inputs(can_jets, other_jets, ancillary)
        seen = {name: self.embed[name](pixels.values) for name, pixels in inputs.items()}
        jets, pairs, triples = (self.mix[name](silu(seen[name])) for name in ("jet", "pair", "triple"))
        pairs, triples = silu(pairs), silu(triples)
        dijets = self.dijet(pairs[:, :, :6])
        for among_jets, to_dijets in zip(self.among_jets, self.to_dijets, strict=True):
            jets = among_jets(jets, jets, Pixels(pairs, inputs["pair"].present))
            dijets = to_dijets(dijets, jets, Pixels(triples, inputs["triple"].present))
        dijets = self.norms["dijet"](dijets)
        one, two = dijets[:, :, ::2], dijets[:, :, 1::2]
        views = self.view(torch.cat((one + two, (one - two).abs(), seen["view"], seen["event"].expand(-1, -1, 3, -1)), dim=1))
        views = self.norms["view"](views)
        chosen = self.choose(views)
        best = (views * chosen.softmax(2)).sum(2, keepdim=True)
        event = self.event(torch.cat((best, views.mean(2, keepdim=True), seen["event"]), dim=1))
        return self.classify(silu(event))[0, :, 0].T, chosen[0, 0].T


class Linear(nn.Linear):
    """Mixes the features of each pixel: (ghosts, inputs, pixels, events) → (ghosts, outputs, pixels, events)."""

    def forward(self, pixels: Tensor) -> Tensor:
        mixed = torch.baddbmm(self.bias[:, None], self.weight.expand(len(pixels), -1, -1), pixels.flatten(2))
        return torch.unflatten(mixed, 2, pixels.shape[2:])


class Norm(nn.Module):
    """Root mean square over the features of each pixel to 1, times a learned scale (Zhang and Sennrich, 2019)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(width))

    def forward(self, pixels: Tensor) -> Tensor:
        size = pixels.square().mean(1, keepdim=True).add(1e-5).rsqrt()
        scaled: Tensor = pixels * size * self.scale[:, None, None]
        return scaled


class Perceptron(nn.Module):
    """Three layers over the features of each pixel, the last without activation."""

    def __init__(self, inputs: int, hidden: int, outputs: int, drop: float) -> None:
        super().__init__()
        self.drop = drop
        self.first, self.second, self.last = Linear(inputs, hidden), Linear(hidden, hidden), Linear(hidden, outputs)

    def forward(self, pixels: Tensor) -> Tensor:
        pixels = _dropped(self, silu(self.second(silu(self.first(pixels)))))
        result: Tensor = self.last(pixels)
        return result


class Block(nn.Module):
    """Queries look at values, then each by itself at what it has become; both are added to what it was."""

    def __init__(self, width: int, heads: int, drop: float) -> None:
        super().__init__()
        self.heads, self.drop = heads, drop
        self.norms = nn.ModuleDict({name: Norm(width) for name in ("query", "value", "step")})
        self.query, self.key, self.value = Linear(width, width), Linear(width, width), Linear(width, width)
        self.bias, self.pair = Linear(width, heads), Linear(width, width)
        self.passed, self.rise, self.fall = Linear(width, width), Linear(width, 2 * width), Linear(2 * width, width)
        for last in (self.passed, self.fall):
            # A block begins as nothing, so that few events do not first have to unlearn it.
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def forward(self, queries: Tensor, values: Tensor, pairs: Pixels) -> Tensor:
        """(…, queries, events) as they come in.

        Args:
            queries: (1, width, queries, events).
            values: (1, width, values, events).
            pairs: (…, queries · values, events), or, where the values are the queries, the pairs among them.
        """
        count = values.shape[2]
        among = pairs.values.shape[2] != queries.shape[2] * count
        assert pairs.present is not None
        allowed = attention.allowed(pairs.present, count, among)
        values = self.norms["value"](values)
        query, key, value, pair = (
            layer(one).unflatten(1, (self.heads, -1))
            for layer, one in (
                (self.query, self.norms["query"](queries)),
                (self.key, values),
                (self.value, values),
                (self.pair, pairs.values),
            )
        )
        score = attention.scores(self.bias(pairs.values), query * query.shape[2] ** -0.5, key, among)
        queries = queries + self.passed(attention.mixed(attention.shares(score, allowed, count), pair, value, among))
        result: Tensor = queries + self.fall(_dropped(self, silu(self.rise(self.norms["step"](queries)))))
        return result


def _dropped(of: Perceptron | Block, pixels: Tensor) -> Tensor:
    return functional.dropout(pixels, of.drop, of.training) if of.drop else pixels


def _pairs(jets: Jets, pairs: Pairs, whole: Momenta) -> Pixels:
    """Of each pair: mass, momentum, distances, its direction against the four jets, and pt and eta of the harder and the softer jet."""
    one, two = (torch.stack((jets.pt, jets.eta, jets.px, jets.py, jets.pz, jets.present), 1).index_select(2, index) for index in pairs[:2])
    px, py, pz = (one + two)[:, 2:5].unbind(1)
    pair = physics.momenta(px, py, pz, pairs.square)
    softer = one[:, :1] < two[:, :1]
    hard, soft = torch.where(softer, two[:, :2], one[:, :2]), torch.where(softer, one[:, :2], two[:, :2])
    distance = torch.hypot(pairs.delta_y, pairs.delta_phi).clamp_min(NEAREST).log()
    own = _stack(
        pair.mass.log1p(), pair.pt.log1p(), pair.eta, distance, pairs.delta_phi, pairs.delta_y, physics.angle_to_quadjet(jets, pair, whole)
    )
    values = torch.cat((own, hard[:, :1].log1p(), hard[:, 1:], soft[:, :1].log1p(), soft[:, 1:]), dim=1)
    return Pixels(values, one[:, 5:] * two[:, 5:])


def _triples(jets: Jets, dijets: Momenta, pairs: Pairs) -> Pixels:
    """Of each dijet with each jet: mass of the three, angle, distance in eta."""
    angle = physics.angle(dijets.px[:, :, None], dijets.py[:, :, None], jets.px[:, None], jets.py[:, None])
    delta_eta = (dijets.eta[:, :, None] - jets.eta[:, None]).abs()
    values = _stack(physics.triple_mass(jets, pairs).log1p(), angle, delta_eta)
    return Pixels(values.flatten(2, 3), physics.strangers(jets).flatten(1, 2)[:, None])


def _views(dijets: Momenta) -> Tensor:
    """Of each pairing: angle and distance in eta of its two dijets."""
    one, two = (Momenta(*(value[:, start::2] for value in dijets)) for start in (0, 1))
    return _stack(physics.angle(one.px, one.py, two.px, two.py), (one.eta - two.eta).abs())


def _stack(*features: Tensor) -> Tensor:
    return torch.stack(features, dim=1)
