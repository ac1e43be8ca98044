"""The hierarchical combinatoric residual network: jets → dijets → quadjets → event.

Four jets pair up in three ways. The network builds the six dijets from their jets, the three quadjets from their dijets, weighs the
three ways against each other, and classifies their weighted mean. A thousand parameters do, because the structure of the event is in
the wiring. Scores stay the same when the event is turned about the beam, mirrored in phi or flipped in eta, when the jets
come in another order, and when padding moves. Tensors are (ghosts, features, pixels, events), see ``ghost_norm``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from labwright.events.networks import attention
from labwright.events.networks import pair_features as physics
from labwright.events.networks.ghost_norm import GhostLinear, GhostNorm, Pixels, active
from labwright.events.networks.pair_features import Jets, Momenta, Pairs

HEADS = 2
FEATURES = {"jet": 4, "dijet": 4, "quadjet": 3, "other": 4, "pair": 3}


class HCR(nn.Module):
    """(can_jets, other_jets, ancillary) → (class logits, view logits).

    With width 8, four ancillary inputs and 2, 3, 4, 5 classes it has 1034, 1043, 1052, 1061 parameters, and 726, 735, 744, 753
    without attention.

    Args:
        classes: logits to give.
        ancillary: names of the ancillary inputs.
        width: features of a pixel, even.
        attention: let dijets attend to all jets; without, the other jets are not looked at.
    """

    def __init__(self, classes: int, ancillary: Sequence[str], width: int = 8, attention: bool = True) -> None:
        super().__init__()
        self.ancillary = tuple(ancillary)
        self.attention = attention
        self.ghosts = 0
        """Ghost batches of a training batch; 0 uses the running statistics."""
        names = list(FEATURES) if attention else ["jet", "dijet", "quadjet"]
        self.embed = nn.ModuleDict({name: GhostLinear(FEATURES[name], width) for name in names})
        self.mix = nn.ModuleDict({name: GhostLinear(width, width) for name in names})
        if self.ancillary:
            self.embed["ancillary"] = GhostLinear(len(self.ancillary), width, bias=False)
        self.dijets, self.quadjets = DijetBlock(width), QuadjetBlock(width)
        if attention:
            self.among_jets, self.to_dijets = Attention(width), Attention(width)
        self.choose = GhostLinear(width, 1, mirrored=False, bias=False)
        self.classify = GhostLinear(width, classes, mirrored=False)

    def inputs(self, can_jets: Tensor, other_jets: Tensor, ancillary: Tensor, ghosts: int = 1) -> dict[str, Pixels]:
        """What goes into each embedding; no gradient flows back into it."""
        jets = physics.jets(can_jets, other_jets if self.attention else other_jets[:, :0], ghosts)
        pairs = physics.pairs(jets)
        dijets, whole = physics.dijets(jets, pairs), physics.quadjet(jets, pairs)
        result = {
            "jet": Pixels(_jets_of_dijets(jets, dijets, pairs)),
            "dijet": Pixels(_stack(dijets.pt.log1p(), dijets.eta, physics.angle_to_quadjet(jets, dijets, whole), dijets.mass.log1p())),
            "quadjet": Pixels(_stack(whole.pt.log1p(), whole.eta, whole.mass.log1p())),
        }
        if self.attention:
            result["other"] = Pixels(_stack(jets.pt.log1p(), jets.eta, jets.selected, jets.mass.log1p()), jets.present[:, None])
            result["pair"] = _pairs_with_dijets(jets, dijets, pairs)
        if self.ancillary:
            result["ancillary"] = Pixels(physics.ancillary(ancillary, self.ancillary, ghosts))
        return result

    def forward(self, can_jets: Tensor, other_jets: Tensor, ancillary: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of the classes (batch, classes) and of the three pairings (batch, 3).

        Args:
            can_jets: float32 (batch, 4, 4): pt, eta, phi, mass of the chosen jets, GeV and radians.
            other_jets: float32 (batch, m, 5): the same of the others with is_selected, -1 in padding; m may be 0.
            ancillary: float32 (batch, names).
        """
        live = self.training and self.ghosts > 0
        inputs = self.inputs(can_jets, other_jets, ancillary, math.gcd(len(can_jets), self.ghosts) if live else 1)
        extra = self.embed["ancillary"](inputs["ancillary"].values) if self.ancillary else None
        embedded = {name: self._embedded(name, inputs[name], extra if name in ("jet", "other") else None, live) for name in self.mix}
        dijets = self.dijets(embedded["jet"], embedded["dijet"], live)
        if self.attention:
            present, known = inputs["other"].present, inputs["pair"].present
            assert present is not None
            assert known is not None
            sizes = [known.shape[2] - 6 * present.shape[2], 6 * present.shape[2]]
            among, across = map(Pixels, active(embedded["pair"], known).split_with_sizes(sizes, 2), known.split_with_sizes(sizes, 2))
            jets = Pixels(active(embedded["other"], present), present)
            jets = Pixels(self.among_jets(jets, jets, among, live) * present, present)
            dijets = self.to_dijets(Pixels(dijets), jets, across, live)
        quadjets = self.quadjets(dijets, embedded["quadjet"], live)
        views = self.choose(quadjets, live)
        event = (quadjets * views.softmax(2)).sum(2, keepdim=True)
        return _events_first(self.classify(event, live)), _events_first(views)

    def _embedded(self, name: str, pixels: Pixels, extra: Tensor | None, live: bool) -> Tensor:
        values = self.embed[name](pixels.values)
        values = active(values if extra is None else values + extra, pixels.present)
        result: Tensor = self.mix[name](values, live, pixels.present)
        return result


class DijetBlock(nn.Module):
    """Two residual layers that read each dijet with its two jets."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = GhostLinear(width, width, taps=3), GhostLinear(width, width, taps=3)
        self.jet = GhostLinear(width, width)

    def forward(self, jets: Tensor, dijets: Tensor, live: bool) -> Tensor:
        """Embedded jets (…, 12, events), of each dijet the harder one in the first half, and dijets (…, 6, events) → dijets."""
        active = silu(jets)
        result = self.first(_triplets(active, silu(dijets)), live) + dijets
        active = silu(self.jet(active, live) + jets)
        return silu(self.second(_triplets(active, silu(result)), live) + dijets)


class QuadjetBlock(nn.Module):
    """Two residual layers that read each quadjet with the mean and the distance of its dijets, which know no order."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.second = GhostLinear(width, width, taps=3), GhostLinear(width, width, taps=3)
        self.dijet = GhostLinear(width, width)

    def forward(self, dijets: Tensor, quadjet: Tensor, live: bool) -> Tensor:
        """Dijets (…, 6, events), and the embedded sum of all jets (…, 1, events) → quadjets (…, 3, events)."""
        quadjets = quadjet.expand(-1, -1, 3, -1)
        result = self.first(_symmetric_triplets(dijets, silu(quadjets)), live) + quadjets
        dijets = silu(self.dijet(dijets, live) + dijets)
        return silu(self.second(_symmetric_triplets(dijets, silu(result)), live) + quadjets)


class Attention(nn.Module):
    """Two heads without projections. The features of a pair are added to the product of query and value, and to the value passed on."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.query, self.value, self.pair = GhostNorm(width), GhostNorm(width), GhostNorm(width)
        self.score = GhostNorm(HEADS)
        self.mix = GhostLinear(width, width)

    def forward(self, queries: Pixels, values: Pixels, pairs: Pixels, live: bool) -> Tensor:
        """Queries that have looked at the values, (…, queries, events).

        Args:
            queries: (…, queries, events).
            values: (…, values, events).
            pairs: (…, queries · values, events), or, where the values are the queries, the pairs among them.
        """
        count = values.values.shape[2]
        among = pairs.values.shape[2] != queries.values.shape[2] * count
        assert pairs.present is not None
        allowed = attention.allowed(pairs.present, count, among)
        query, value, pair = (
            norm(one.values, live, one.present).unflatten(1, (HEADS, -1))
            for norm, one in ((self.query, queries), (self.value, values), (self.pair, pairs))
        )
        score = self.score(attention.scores(pair.sum(2), query, value, among) * allowed, live, allowed)
        weight = attention.shares(score, allowed, count) * score.sigmoid()
        passed = active(attention.mixed(weight, pair, value, among), queries.present)
        return silu(self.mix(passed, live, queries.present) + queries.values)


def _triplets(jets: Tensor, dijets: Tensor) -> Tensor:
    return torch.cat((jets[:, :, :6], jets[:, :, 6:], dijets), dim=1)


def _symmetric_triplets(dijets: Tensor, quadjets: Tensor) -> Tensor:
    one, two = dijets[:, :, ::2], dijets[:, :, 1::2]
    return torch.cat((0.5 * (one + two), 0.5 * (one - two).abs(), quadjets), dim=1)


def _jets_of_dijets(jets: Jets, dijets: Momenta, pairs: Pairs) -> Tensor:
    """The harder jet of each dijet, then the softer one: ln pt, eta, angle to the dijet, ln mass; (ghosts, 4, 12, events)."""
    one, two = (torch.stack((jets.pt, jets.eta, jets.mass, jets.px, jets.py), 1).index_select(2, index[:6]) for index in pairs[:2])
    softer = (one[:, :1] < two[:, :1]).expand_as(one)
    pt, eta, mass, px, py = torch.cat((torch.where(softer, two, one), torch.where(softer, one, two)), dim=2).unbind(1)
    px_dijet, py_dijet = dijets.px.repeat(1, 2, 1), dijets.py.repeat(1, 2, 1)
    return _stack(pt.log1p(), eta, physics.angle(px, py, px_dijet, py_dijet), mass.log1p())


def _pairs_with_dijets(jets: Jets, dijets: Momenta, pairs: Pairs) -> Pixels:
    """All pairs of jets, then each dijet with each jet: ln mass, angle, and which of the two it is."""
    angle = physics.angle(dijets.px[:, :, None], dijets.py[:, :, None], jets.px[:, None], jets.py[:, None]).flatten(1, 2)
    triple = physics.triple_mass(jets, pairs).flatten(1, 2)
    kind = torch.cat((torch.zeros_like(pairs.square), torch.ones_like(triple)), dim=1)
    mass = torch.cat((pairs.square.clamp_min(0.0).sqrt(), triple), dim=1)
    known = jets.present.index_select(1, pairs.first) * jets.present.index_select(1, pairs.second)
    strangers = physics.strangers(jets)
    return Pixels(
        _stack(mass.log1p(), torch.cat((pairs.delta_phi, angle), dim=1), kind),
        torch.cat((known, strangers.flatten(1, 2)), dim=1)[:, None],
    )


def _stack(*features: Tensor) -> Tensor:
    return torch.stack(features, dim=1)


def _events_first(pixels: Tensor) -> Tensor:
    """(ghosts, features, 1, events) or (ghosts, 1, pixels, events) → (batch, numbers)."""
    return pixels.flatten(1, 2).transpose(1, 2).flatten(0, 1)
