"""HCR in the plain way: pixels in rows as in (events, features, pixels), one convolution a layer, whole pair matrices, autograd.

It has the parameters of our ``HCR`` under the same names, so that ``load_state_dict`` makes both the same function.
Norms hold the statistics of each ghost batch; the running ones, used by no training step here, are left alone.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import conv1d, silu

DIJETS = ((0, 1), (2, 3), (0, 2), (1, 3), (0, 3), (1, 2))
ONE, TWO = zip(*DIJETS, strict=True)
WIDTH, HEADS = 8, 2


class Norm(nn.Module):
    """Zero mean and unit spread in each ghost batch; pixels where ``mask`` is 0 do not count."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("statistics", torch.stack((torch.zeros(features), torch.ones(features))))

    def forward(self, x: Tensor, ghosts: int, mask: Tensor | None = None) -> Tensor:
        if not ghosts:
            return (x - self.statistics[0, :, None]) / self.statistics[1, :, None]
        cut = x.view(ghosts, -1, *x.shape[1:])
        if mask is None:
            mean = cut.mean(dim=(1, 3), keepdim=True)
            variance = (cut - mean).square().mean(dim=(1, 3), keepdim=True)
        else:
            weight = mask.view(ghosts, -1, 1, mask.shape[-1])
            count = weight.sum(dim=(1, 3), keepdim=True)
            mean = (cut * weight).sum(dim=(1, 3), keepdim=True) / count
            variance = ((cut - mean).square() * weight).sum(dim=(1, 3), keepdim=True) / count
        return ((cut - mean) / (variance + 1e-5).sqrt()).view_as(x)


class Conv(Norm):
    """A norm, then a convolution over ``taps`` pixels; mirrored ones give x and -x."""

    def __init__(self, inputs: int, outputs: int, taps: int = 1, mirrored: bool = True, bias: bool = True) -> None:
        super().__init__(inputs)
        self.taps, self.mirrored = taps, mirrored
        self.weight = nn.Parameter(torch.zeros(outputs // 2 if mirrored else outputs, taps * inputs))
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None

    def forward(self, x: Tensor, ghosts: int, mask: Tensor | None = None) -> Tensor:
        kernel = self.weight.unflatten(1, (self.taps, -1)).transpose(1, 2)
        x = conv1d(super().forward(x, ghosts, mask), kernel, stride=self.taps)
        if self.mirrored:
            x = torch.cat((x, -x), dim=1)
        return x if self.bias is None else x + self.bias[:, None]


class Scale(Norm):
    """A norm, then a factor and a shift for each feature."""

    def __init__(self, features: int) -> None:
        super().__init__(features)
        self.scale = nn.Parameter(torch.ones(features))
        self.shift = nn.Parameter(torch.zeros(features))

    def forward(self, x: Tensor, ghosts: int, mask: Tensor | None = None) -> Tensor:
        return super().forward(x, ghosts, mask) * self.scale[:, None] + self.shift[:, None]


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.query, self.value, self.pair = Scale(WIDTH), Scale(WIDTH), Scale(WIDTH)
        self.score = Scale(HEADS)
        self.mix = Conv(WIDTH, WIDTH)

    def forward(self, q0: Tensor, v: Tensor, pair: Tensor, once: Tensor, apart: Tensor, q_mask: Tensor | None, v_mask: Tensor, ghosts: int):
        """``once`` counts each pair once for the norm of the pairs; ``apart`` says which query may look at which value."""
        n, m = q0.shape[-1], v.shape[-1]
        q = self.query(q0, ghosts, q_mask).unflatten(1, (HEADS, -1))[..., :, None]
        v = self.value(v, ghosts, v_mask).unflatten(1, (HEADS, -1))[..., None, :]
        pair = self.pair(pair, ghosts, once).unflatten(1, (HEADS, -1)).unflatten(3, (n, m))
        score = (q * v + pair).sum(2).flatten(2)
        score = self.score(score, ghosts, apart)
        weight = score.masked_fill(apart == 0, -1e9).unflatten(2, (n, m)).softmax(3) * score.sigmoid().unflatten(2, (n, m))
        out = silu((weight[:, :, None] * (v + pair)).sum(4).flatten(1, 2))
        return silu(self.mix(out, ghosts, q_mask) + q0)


class Residual(nn.Module):
    def __init__(self, between: str) -> None:
        super().__init__()
        self.first, self.second = Conv(WIDTH, WIDTH, taps=3), Conv(WIDTH, WIDTH, taps=3)
        self.add_module(between, Conv(WIDTH, WIDTH))


class PlainHCR(nn.Module):
    def __init__(self, classes: int, ancillary: int = 4) -> None:
        super().__init__()
        inputs = {"jet": 4, "dijet": 4, "quadjet": 3, "other": 4, "pair": 3}
        self.embed = nn.ModuleDict({name: Conv(features, WIDTH) for name, features in inputs.items()})
        self.embed["ancillary"] = Conv(ancillary, WIDTH, bias=False)
        self.mix = nn.ModuleDict({name: Conv(WIDTH, WIDTH) for name in inputs})
        self.dijets, self.quadjets = Residual("jet"), Residual("dijet")
        self.among_jets, self.to_dijets = Attention(), Attention()
        self.choose = Conv(WIDTH, 1, mirrored=False, bias=False)
        self.classify = Conv(WIDTH, classes, mirrored=False)

    def forward(self, can_jets: Tensor, other_jets: Tensor, ancillary: Tensor, ghosts: int) -> tuple[Tensor, Tensor]:
        x = features(can_jets, other_jets, ancillary)
        masks = {"other": x["present"], "pair": x["once"]}
        extra = self.embed["ancillary"](x["ancillary"], 0)

        def embedded(name: str) -> Tensor:
            h = self.embed[name](x[name], 0)
            if name in ("jet", "other"):
                h = h + extra
            return self.mix[name](silu(h), ghosts, masks.get(name))

        j0, d0, q0 = embedded("jet"), embedded("dijet"), embedded("quadjet")
        j = silu(j0)
        d = self.dijets.first(triplets(j, silu(d0)), ghosts) + d0
        j = silu(self.dijets.jet(j, ghosts) + j0)
        d = silu(self.dijets.second(triplets(j, silu(d)), ghosts) + d0)

        n = x["other"].shape[-1]
        pair, other = silu(embedded("pair")), silu(embedded("other"))
        among, across = slice(None, n * n), slice(n * n, None)
        other = self.among_jets(
            other, other, pair[..., among], x["once"][..., among], x["apart"][..., among], x["present"], x["present"], ghosts
        )
        d = self.to_dijets(d, other, pair[..., across], x["once"][..., across], x["apart"][..., across], None, x["present"], ghosts)

        q = self.quadjets.first(symmetric_triplets(d, silu(q0)), ghosts) + q0
        d = silu(self.quadjets.dijet(d, ghosts) + d)
        q = silu(self.quadjets.second(symmetric_triplets(d, silu(q)), ghosts) + q0)
        views = self.choose(q, ghosts)
        event = (q * views.softmax(2)).sum(2, keepdim=True)
        return self.classify(event, ghosts)[..., 0], views[:, 0]


def triplets(jets: Tensor, dijets: Tensor) -> Tensor:
    """Jet, jet, dijet, jet, jet, dijet, …"""
    return torch.cat((jets.unflatten(2, (6, 2)), dijets[..., None]), dim=3).flatten(2)


def symmetric_triplets(dijets: Tensor, quadjets: Tensor) -> Tensor:
    """Mean, half distance, quadjet, …"""
    one, two = dijets.unflatten(2, (3, 2)).unbind(3)
    return torch.stack(((one + two) / 2, (one - two).abs() / 2, quadjets), dim=3).flatten(2)


def features(can_jets: Tensor, other_jets: Tensor, ancillary: Tensor) -> dict[str, Tensor]:
    """All inputs, of four-momenta in the precision of the jets: (events, features, pixels)."""
    can, other = can_jets, other_jets
    sign = torch.where(can[:, :1, 1] < 0, -1.0, 1.0)
    jets = torch.cat((can, other[..., :4]), dim=1)
    pt, eta, phi, mass = jets.unbind(2)
    eta = eta * sign
    selected = torch.cat((torch.ones_like(can[..., 0]), other[..., 4]), dim=1)
    present = (selected >= 0).float()
    n = pt.shape[1]

    def vector(pt: Tensor, eta: Tensor, phi: Tensor, mass: Tensor) -> Tensor:
        p = pt * eta.cosh()
        return torch.stack((pt * phi.cos(), pt * phi.sin(), pt * eta.sinh(), (p.square() + mass.square()).sqrt()), dim=-1)

    def pt_of(p: Tensor) -> Tensor:
        return p[..., :2].norm(dim=-1)

    def eta_of(p: Tensor) -> Tensor:
        return (p[..., 2] / pt_of(p)).asinh()

    def mass_of(p: Tensor) -> Tensor:
        return (p[..., 3].square() - p[..., :3].square().sum(-1)).clamp_min(0).sqrt()

    def phi_of(p: Tensor) -> Tensor:
        return torch.atan2(p[..., 1], p[..., 0])

    def dphi(one: Tensor, two: Tensor) -> Tensor:
        difference = (one - two).abs()
        return torch.minimum(difference, 2 * math.pi - difference)

    p = vector(pt, eta, phi, mass)
    dijet = p[:, ONE] + p[:, TWO]
    quadjet = p[:, :4].sum(1, keepdim=True)
    phi, phi_dijet, phi_quadjet = phi_of(p), phi_of(dijet), phi_of(quadjet)
    balanced = pt_of(quadjet) < 1e-3 * pt[:, :4].sum(1, keepdim=True)
    inside = [jet for dijet in DIJETS for jet in dijet]
    of = [number // 2 for number in range(12)]
    stranger = torch.tensor([[jet not in dijet for jet in range(n)] for dijet in DIJETS]).float()
    both = present[:, :, None] * present[:, None]
    apart = torch.cat(((both * (1 - torch.eye(n))).flatten(1), (present[:, None] * stranger).flatten(1)), dim=1)
    once = torch.cat((both.triu(1).flatten(1), (present[:, None] * stranger).flatten(1)), dim=1)
    jet_jet, dijet_jet = (p[:, :, None] + p[:, None]), (dijet[:, :, None] + p[:, None])
    pair_mass = torch.cat((mass_of(jet_jet).flatten(1), mass_of(dijet_jet).flatten(1)), dim=1)
    pair_dphi = torch.cat((dphi(phi[:, :, None], phi[:, None]).flatten(1), dphi(phi_dijet[:, :, None], phi[:, None]).flatten(1)), dim=1)
    kind = torch.cat((torch.zeros(len(p), n * n), torch.ones(len(p), 6 * n)), dim=1)
    extra = ancillary.clone()
    extra[:, 1] = (extra[:, 1] - 3).log()
    stacks = {
        "jet": (pt[:, inside].log1p(), eta[:, inside], dphi(phi[:, inside], phi_dijet[:, of]), mass[:, inside].log1p()),
        "dijet": (pt_of(dijet).log1p(), eta_of(dijet), dphi(phi_dijet, phi_quadjet).masked_fill(balanced, 0.0), mass_of(dijet).log1p()),
        "quadjet": tuple(one.expand(-1, 3) for one in (pt_of(quadjet).log1p(), eta_of(quadjet), mass_of(quadjet).log1p())),
        "other": (pt.log1p(), eta, selected, mass.log1p()),
        "pair": (pair_mass.log1p(), pair_dphi, kind),
    }
    result = {name: torch.stack([one.to(can_jets.dtype) for one in stack], dim=1) for name, stack in stacks.items()}
    return result | {"ancillary": extra[..., None], "present": present[:, None], "apart": apart[:, None], "once": once[:, None]}
