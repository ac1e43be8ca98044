"""TOY events with known truth: invented, made of flat phase space and smearing. They stand for no experiment and no theory.

Bosons: HH (125, 125), ZH (91, 125), ZZ (91, 91) with a pair mass of 1.05·(m₁ + m₂) + Exp(180), each boson decaying to two jets.
Multijet events: four massless bodies with a mass of 180 + Exp(230). Both: system pt Exp(40), rapidity Gauss(0.9) [GeV].
Jets: pt times Gauss(1, 0.10), η and φ plus Gauss(0.02), jet mass pt·(0.04 + 0.12·Beta(2, 4)). All four need pt ≥ 40 and |η| ≤ 2.4.
Others: Poisson(1.8) jets of pt 20 + Exp(35), η Gauss(1.6), φ flat.

Let f be the density of multijet events that pass and w(n) the combinatoric weight of ``MODEL`` for n untagged jets. All samples of
the background are thinned from f, so that their densities are known at each event:

    three-tag data  d3 = f·(1 + s)             its simulated part  t3 = f·s
    four-tag data   d4 = f·w·(r + 1.3·s)       its simulated part  t4 = f·w·1.3·s

with r = exp(0.5·tanh((S − 330)/110) + 0.4·tanh((R − 1)/0.35)), S the sum of the four pt, R the least ΔR between two of the
four jets, and s = 0.25·exp(−(xW² + xbW²)/2), which makes the second part look like top pairs. After weighting d3 by w, as
``pseudoTagWeight`` does, the answer that FvT has to find, (d4 − t4) / (w·d3), is ``r_true`` = r / (1 + s), in each event of each file.
The simulated files hold three times the data's events with weight 1/3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import awkward as ak
import numpy as np
import uproot
from numpy.typing import NDArray

from labwright.data.sampler import generator
from labwright.events.physics.four_vectors import Floats, Real, delta_r
from labwright.events.physics.jcm import pseudo_tag_weight
from labwright.events.physics.jets import Jets, Selection
from labwright.events.physics.pairings import PAIRINGS
from labwright.events.physics.phase_space import boosted, massless, moving, two_body
from labwright.events.physics.regions import flags_run2, plane_run2
from labwright.events.physics.top import top_variables
from labwright.events.table import BITS, SELECTED
from labwright.events.toy_jets import MAX_ABS_ETA, MAX_OTHERS, MIN_PT_GEV, radiation, smeared
from labwright.runs.publish import publish

MODEL = (0.25, 1.0, 0.5, 1.0)
"""Probability, fraction, enhancement and decay of the combinatoric weight."""
TOP_SHARE, TOP_FOUR_TAG = 0.25, 1.3
SIMULATED = 3
"""How many times the data's events the simulation has."""
YEARS = {"UL17": 0.4, "UL18": 0.6}
BOSONS = {"HH": (125.0, 125.0), "ZH": (91.0, 125.0), "ZZ": (91.0, 91.0)}
TITLE = "TOY events: invented, no measurement and no simulation of one"
_BLOCK = 20_000


class Sample(NamedTuple):
    """Toy events: what a reader would make of them, and whether they have four tags."""

    four: Real
    """(N, 4, 4) pt, eta, phi, mass, by falling pt."""
    rest: Real
    """(N, 8, 5) the other jets."""
    four_tag: NDArray[np.bool_]


def ratio(can_jets: Floats, other_jets: Floats) -> Real:
    """``r_true``, the known answer for FvT, (N,).

    Args:
        can_jets: (N, 4, ≥ 4).
        other_jets: (N, M, 5).
    """
    return _ratio(can_jets) / (1 + _top_share(can_jets, other_jets))


def write_toy(folder: Path, kind: Literal["svb", "fvt"], events: int, seed: int) -> list[Path]:
    """Write TOY files ``toy_<sample>_<year>.root``, each with a flat tree ``Events``.

    ``data`` has three-tag and four-tag events, the signal region of the latter included, so that a closure can be graded; ``ttbar``
    is the simulated part of both. With ``svb`` there are ``HH``, ``ZH`` and ``ZZ`` too. Branches: ``jet_{pt,eta,phi,mass,btag}``, flags,
    ``weight``, ``pseudoTagWeight``, ``r_true``, ``run``, ``luminosityBlock``, ``event``. The same arguments give the same arrays. To be
    read with source.jets {min_pt_gev: 40, max_abs_eta: 2.4}, which say what a selected jet is.

    Args:
        folder: made if need be.
        kind: what the files are for.
        events: three-tag multijet events of the data; the other samples follow from it, a signal has a fifth.
        seed: any integer.

    Returns:
        The files, in order of sample and year.
    """
    folder.mkdir(parents=True, exist_ok=True)
    samples = {"data": (_background(events, seed, "data"), 1.0), "ttbar": (_background(events, seed, "ttbar"), 1.0 / SIMULATED)}
    if kind == "svb":
        samples |= {name: (_signal(events // 5, seed, name), 0.01) for name in BOSONS}
    files = []
    for number, (name, (sample, weight)) in enumerate(samples.items()):
        random = generator(seed, "toy", name, "files")
        order = random.permutation(len(sample.four))
        edges = np.round(np.cumsum([0.0, *YEARS.values()]) * len(order)).astype(int)
        for place, year in enumerate(YEARS):
            rows = order[edges[place] : edges[place + 1]]
            files.append(folder / f"toy_{name}_{year}.root")
            _write(files[-1], Sample._make(array[rows] for array in sample), weight, run=1000 * (number + 1) + place, random=random)
    return files


def _background(events: int, seed: int, name: str) -> Sample:
    """Data or its simulated part: each component thinned from multijet events of its own."""

    def r(four: Real, rest: Real) -> Real:
        return _ratio(four) * _weight(rest)

    def s(four: Real, rest: Real) -> Real:
        return _top_share(four, rest)

    def s_four(four: Real, rest: Real) -> Real:
        return TOP_FOUR_TAG * _top_share(four, rest) * _weight(rest)

    # The most that each density can be, in units of f; the weight of nine untagged jets is the greatest there is.
    most = float(pseudo_tag_weight(np.arange(MAX_OTHERS + 2), *MODEL).max())
    parts: list[tuple[str, bool, float, Callable[[Real, Real], Real]]] = [
        ("t3", False, TOP_SHARE, s),
        ("t4", True, TOP_FOUR_TAG * TOP_SHARE * most, s_four),
    ]
    copies = SIMULATED
    if name == "data":
        parts += [("m3", False, 1.0, lambda four, rest: np.ones(len(four))), ("m4", True, float(np.exp(0.9)) * most, r)]
        copies = 1
    found = []
    for part, four_tag, bound, density in parts:
        random = generator(seed, "toy", name, part)
        for four, rest in _passing(random, _multijets, round(copies * events * bound)):
            kept = random.uniform(0, bound, len(four)) < density(four, rest)
            found.append(Sample(four[kept], rest[kept], np.full(np.count_nonzero(kept), four_tag)))
    return Sample._make(np.concatenate(arrays) for arrays in zip(*found, strict=True))


def _signal(events: int, seed: int, name: str) -> Sample:
    masses = BOSONS[name]
    random = generator(seed, "toy", name)

    def decays(random: np.random.Generator, count: int) -> Real:
        parent = moving(random, 1.05 * sum(masses) + random.exponential(180, count), 40.0, 0.9)
        pairs = (two_body(random, boson, 0.0, 0.0) for boson in two_body(random, parent, *masses))
        return np.stack([jet for pair in pairs for jet in pair], axis=1)

    blocks = list(_passing(random, decays, events))
    four, rest = (np.concatenate(arrays) for arrays in zip(*blocks, strict=True))
    return Sample(four, rest, np.ones(len(four), bool))


def _multijets(random: np.random.Generator, count: int) -> Real:
    whole = 180 + random.exponential(230, count)
    at_rest = massless(random, whole, 4)
    return boosted(at_rest, moving(random, whole, 40.0, 0.9))


def _passing(random: np.random.Generator, make: Callable[[np.random.Generator, int], Real], count: int) -> Iterator[tuple[Real, Real]]:
    """Exactly ``count`` events that pass, in blocks: candidates (n, 4, 4) and other jets (n, 8, 5)."""
    while count > 0:
        four = smeared(random, make(random, _BLOCK))
        four = four[np.all((four[..., 0] >= MIN_PT_GEV) & (np.abs(four[..., 1]) <= MAX_ABS_ETA), axis=1)][:count]
        count -= len(four)
        yield four, radiation(random, len(four))


def _ratio(four: Floats) -> Real:
    nearest = np.min([delta_r(four[:, i], four[:, j]) for pairing in PAIRINGS for i, j in pairing], axis=0)
    scalar = four[..., 0].astype(np.float64).sum(axis=1)
    found: Real = np.exp(0.5 * np.tanh((scalar - 330) / 110) + 0.4 * np.tanh((nearest - 1) / 0.35))
    return found


def _top_share(four: Floats, rest: Floats) -> Real:
    x_w, x_bw = _top_variables(four, rest)
    return TOP_SHARE * np.exp(-(x_w**2 + x_bw**2) / 2)


def _top_variables(four: Floats, rest: Floats) -> tuple[Real, Real]:
    """xW and xbW as if there were no tags, which tell nothing of a toy's tops."""
    pt, eta, phi, mass = np.moveaxis(np.concatenate([four, rest[..., :4]], axis=1), -1, 0)
    selected = np.concatenate([np.ones(four.shape[:2], bool), rest[..., SELECTED] == 1], axis=1)
    order, count = np.argsort(~selected, axis=1, kind="stable"), selected.sum(axis=1)
    return top_variables(Jets(pt, eta, phi, mass, selected), Selection(order, selected, count >= 4, count, np.zeros_like(count)))


def _weight(rest: Floats) -> Real:
    """The combinatoric weight: of the four jets one is untagged, or would be one."""
    return pseudo_tag_weight(1 + np.sum(rest[..., SELECTED] == 1, axis=1), *MODEL)


def _write(path: Path, sample: Sample, weight: float, run: int, random: np.random.Generator) -> None:
    four, rest, four_tag = sample
    count = len(four)
    rows = np.arange(count)
    tag = np.concatenate([random.uniform(0.7, 1.0, (count, 4)), random.uniform(0.0, 0.3, (count, MAX_OTHERS))], axis=1)
    # The fourth of a three-tag event is the one that comes nearest to a tag.
    fourth = random.integers(0, 4, count)
    tag[rows, fourth] = np.where(four_tag, tag[rows, fourth], random.uniform(0.35, 0.55, count))
    jets = np.concatenate([four, rest[..., :4]], axis=1)
    order = np.argsort(-jets[..., 0], axis=1, kind="stable")
    jets, tag = np.take_along_axis(jets, order[..., None], axis=1), np.take_along_axis(tag, order, axis=1)
    there = jets[..., 0] > 0
    lengths = there.sum(axis=1)
    lists = {"pt": jets[..., 0], "eta": jets[..., 1], "phi": jets[..., 2], "mass": jets[..., 3], "btag": tag}
    event = np.arange(1, count + 1, dtype=np.uint64)
    regions = flags_run2(plane_run2(four, event))
    flags = {name: (regions & BITS[name]) != 0 for name in ("SB", "SR", "HHSR", "ZHSR", "ZZSR")}
    flags |= {"fourTag": four_tag, "threeTag": ~four_tag, "passHLT": np.ones(count, bool)}
    columns = {
        "run": np.full(count, run, np.uint32),
        "luminosityBlock": (rows // 1000 + 1).astype(np.uint32),
        "event": event,
        "weight": np.full(count, weight, np.float32),
        "pseudoTagWeight": np.where(four_tag, 1.0, _weight(rest)),
        "r_true": ratio(four, rest),
        **dict(zip(("xW", "xbW"), _top_variables(four, rest), strict=True)),
    }
    with publish(path, "output") as temporary, uproot.recreate(temporary) as file:
        jet = ak.zip({name: ak.unflatten(values[there].astype(np.float32), lengths) for name, values in lists.items()})
        file.mktree("Events", {"jet": jet.type, **{name: values.dtype for name, values in {**columns, **flags}.items()}}, title=TITLE)
        file["Events"].extend({"jet": jet, **columns, **flags})
