"""Variables of an event for plots and closure: their values, names, units and usual ranges."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet

from labwright.events.metrics.histograms import Axis, Regular, Variable
from labwright.events.packing.bind import EVENTS
from labwright.events.packing.load import PackedEvents
from labwright.events.physics.four_vectors import Real, cartesian, delta_r, mass
from labwright.events.table import ETA, MASS, PT, SELECTED
from labwright.runs.errors import StudyError
from labwright.study.messages import listed, nearest

COLUMN_RANGE = (0.005, 0.995)
"""Quantiles between which a column is shown whose range nobody knows."""
PAIRS = tuple(itertools.combinations(range(4), 2))


class Shown(NamedTuple):
    """How a variable is shown."""

    label: str
    unit: str = ""
    low: float = 0.0
    high: float = 1.0
    whole: bool = False
    """Whether it counts something; its bins are whole numbers then."""

    @property
    def title(self) -> str:
        """``four-jet mass [GeV]``."""
        return f"{self.label} [{self.unit}]" if self.unit else self.label


class _Known(NamedTuple):
    shown: Shown
    values: Callable[[PackedEvents], Real] | None = None
    """None: a column of the pack."""


def _jets(packed: PackedEvents) -> Real:
    return packed.can_jets.numpy().astype(np.float64)


def _of_jet(jet: int, column: int) -> Callable[[PackedEvents], Real]:
    return lambda packed: _jets(packed)[:, jet, column]


def _outward(jet: int) -> Callable[[PackedEvents], Real]:
    """η of a jet, counted positive towards the side of the leading jet."""

    def values(packed: PackedEvents) -> Real:
        eta = _jets(packed)[..., ETA]
        return np.where(eta[:, 0] < 0, -eta[:, jet], eta[:, jet])

    return values


def _pair_mass(first: int, second: int) -> Callable[[PackedEvents], Real]:
    def values(packed: PackedEvents) -> Real:
        vectors = cartesian(_jets(packed))
        return mass(vectors[:, first] + vectors[:, second])

    return values


def _pair_distance(first: int, second: int) -> Callable[[PackedEvents], Real]:
    return lambda packed: delta_r(_jets(packed)[:, first], _jets(packed)[:, second])


def _least_distance(packed: PackedEvents) -> Real:
    found: Real = np.min([_pair_distance(*pair)(packed) for pair in PAIRS], axis=0)
    return found


def _scalar_sum(packed: PackedEvents) -> Real:
    found: Real = _jets(packed)[..., PT].sum(axis=1)
    return found


def _others(packed: PackedEvents) -> Real:
    return (packed.other_jets[..., SELECTED] >= 0).sum(dim=1).numpy().astype(np.float64)


_KNOWN: Mapping[str, _Known] = {
    "m4j": _Known(Shown("four-jet mass", "GeV", 150, 1150)),
    "m_lead": _Known(Shown("mass of the leading dijet", "GeV", 40, 200)),
    "m_sub": _Known(Shown("mass of the other dijet", "GeV", 40, 200)),
    **{
        f"pt_{jet + 1}": _Known(Shown(f"pT of jet {jet + 1}", "GeV", 40, high), _of_jet(jet, PT))
        for jet, high in enumerate((400, 300, 200, 140))
    },
    **{f"eta_{jet + 1}": _Known(Shown(f"η of jet {jet + 1}, leading jet at η > 0", "", -2.5, 2.5), _outward(jet)) for jet in range(4)},
    **{f"mass_{jet + 1}": _Known(Shown(f"mass of jet {jet + 1}", "GeV", 0, 50 - 10 * jet), _of_jet(jet, MASS)) for jet in range(4)},
    **{f"m_{i + 1}{j + 1}": _Known(Shown(f"mass of jets {i + 1} and {j + 1}", "GeV", 0, 600), _pair_mass(i, j)) for i, j in PAIRS},
    **{f"dR_{i + 1}{j + 1}": _Known(Shown(f"ΔR of jets {i + 1} and {j + 1}", "", 0, 5), _pair_distance(i, j)) for i, j in PAIRS},
    "dR_min": _Known(Shown("least ΔR of two of the four jets", "", 0, 3), _least_distance),
    "s_t": _Known(Shown("scalar sum of the four pT", "GeV", 160, 860), _scalar_sum),
    "n_selected": _Known(Shown("selected jets", "", 4, 10, whole=True)),
    "n_others": _Known(Shown("jets beside the four", "", 0, 8, whole=True), _others),
    "xW": _Known(Shown("xW", "", -10, 10)),
    "xbW": _Known(Shown("xbW", "", -10, 10)),
    "x_hh": _Known(Shown("x_HH", "", 0, 8)),
    "x_zh": _Known(Shown("x_ZH", "", 0, 8)),
    "x_zz": _Known(Shown("x_ZZ", "", 0, 10)),
    "r_hh": _Known(Shown("distance from (125, 120) GeV", "GeV", 0, 60)),
    "r_true": _Known(Shown("known ratio", "", 0.2, 2.6)),
}
NAMES = tuple(_KNOWN)
"""Variables that have a range of their own; besides them there is every column of ``events.parquet``."""


def variable(name: str, packed: PackedEvents) -> Real:
    """The values of a variable, float64 (N,): one of ``NAMES`` or any column of the pack; NaN where an event has none.

    Raises:
        StudyError: there is none of that name, or it holds no numbers.
    """
    known = _KNOWN.get(name)
    if known is not None and known.values is not None:
        return known.values(packed)
    require([name], packed.folder)
    return packed.column(name).astype(np.float64)


def require(names: Iterable[str], folder: Path) -> None:
    """Each of these is a variable of the pack in this run folder; a look at its table's head, before anything is read.

    Raises:
        StudyError: there is none of that name, or it holds no numbers.
    """
    table = _table(folder)
    for name in names:
        if (known := _KNOWN.get(name)) is not None and known.values is not None:
            continue
        if name not in table.names:
            there = [*(one for one, known in _KNOWN.items() if known.values is not None), *table.names]
            near = nearest(name, there)
            raise StudyError(
                f"there is no variable {name!r}",
                where="evaluate.variables",
                todo=f"Did you mean {near!r}?" if near else f"There are {listed(there, 80)}.",
            )
        kind = table.field(name).type
        if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
            raise StudyError(f"the column {name!r} holds no numbers", where="evaluate.variables", todo="Name another.")


def shown(name: str, values: Real) -> Shown:
    """Label, unit and range of a variable; of a column that is not in ``NAMES`` the range comes from its values, (N,)."""
    if name in _KNOWN:
        return _KNOWN[name].shown
    finite = values[np.isfinite(values)]
    low, high = np.quantile(finite, COLUMN_RANGE).tolist() if len(finite) else (0.0, 1.0)
    return Shown(name.replace("_", " "), "", low, high if high > low else low + 1.0)


def axis(one: Shown, bins: int) -> Axis:
    """An axis of so many bins over the range; a bin for each number where it counts something."""
    if one.whole:
        return Variable(tuple(number - 0.5 for number in range(int(one.low), int(one.high) + 2)))
    return Regular(bins, one.low, one.high)


def columns(packed: PackedEvents) -> list[str]:
    """Names of the columns of ``events.parquet``."""
    found: list[str] = _table(packed.folder).names
    return found


def available(packed: PackedEvents) -> list[str]:
    """Those of ``NAMES`` that the pack has."""
    there = set(columns(packed))
    return [name for name, known in _KNOWN.items() if known.values is not None or name in there]


def _table(folder: Path) -> pa.Schema:
    return parquet.read_schema(folder / "output" / EVENTS)
