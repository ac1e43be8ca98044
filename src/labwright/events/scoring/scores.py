"""Scores of a run of predict or merge: what its columns are, how they follow from the models' outputs, how they are read.

``output/scores.parquet`` has a row for each packed event, in the order of the pack. A column is the mean over the models that score the
event (one for each folding and seed), ``<column>_std`` their sample spread, NaN where there is one model only; ``n_models`` counts them.

p_<class> are the softmax of the class logits, q_1234, q_1324 and q_1423 that of the pairings. What is a model's own, as FvT, is derived
model by model and then averaged; what is a decision about an event (``tt_vs_mj``, ``passMinPs``, ``ps_<class>``) is derived from the means
and has no spread.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow.parquet as parquet
from numpy.typing import NDArray

from labwright.events.folds import Member, member
from labwright.events.training.losses import VIEWS, signals
from labwright.runs.errors import DataError, MissingError, StudyError
from labwright.runs.run import Run
from labwright.study.messages import listed, nearest

Objective = Literal["svb", "fvt"]
Floats = NDArray[np.floating[Any]]
TABLE = "scores.parquet"
DESCRIPTION = "scores.json"
MEMBERS = "members"
COUNT = "n_models"
LEAST = 1e-6
"""No probability is divided by less: where a model gives three-tag data no more than this, a ratio says nothing any more."""
LEAST_SIGNAL = 0.01
"""An event passes ``passMinPs`` where the probability of a signal is greater."""
NOT_LARGEST, NOT_PASSED = -1.0, -2.0
"""``ps_<class>`` of an event that is more like another signal, and of one that does not pass ``passMinPs``."""


def base_columns(classes: Sequence[str]) -> list[str]:
    """What a network gives: ``p_<class>``, then the pairings."""
    return [*(f"p_{name}" for name in classes), *VIEWS]


def derive(objective: Objective, classes: Sequence[str], p: Floats) -> dict[str, Floats]:
    """What follows from the probabilities of one model.

    ``svb``: ``p_sig`` is the sum over the signals, ``p_bkg`` over the others. ``fvt``: ``FvT`` = (p_d4 − p_t4) / p_d3, which may be
    negative, ``p_m4`` = p_d4 − p_t4, ``p_m3`` = p_d3 − p_t3, ``p_data`` = p_d4 + p_d3, ``p_ttbar`` = p_t4 + p_t3, ``p_4b`` = p_d4 + p_t4,
    ``p_3b`` = p_d3 + p_t3; without top pairs p_t4 and p_t3 are 0, so that FvT = p_d4 / p_d3. No division is by less than ``LEAST``.

    Args:
        objective: of the training.
        classes: names in the order of ``p``.
        p: softmax over all classes, (…, classes).

    Returns:
        By name, (…) each; none of the names is that of a class, whose own column stands for itself.
    """
    of = {name: p[..., number] for number, name in enumerate(classes)}
    if objective == "fvt":
        none = np.zeros_like(of["d4"])
        d4, d3, t4, t3 = (of.get(name, none) for name in ("d4", "d3", "t4", "t3"))
        found = {"FvT": (d4 - t4) / np.maximum(d3, LEAST), "p_m4": d4 - t4, "p_m3": d3 - t3}
        found |= {"p_data": d4 + d3, "p_ttbar": t4 + t3, "p_4b": d4 + t4, "p_3b": d3 + t3}
    else:
        of_signal = np.isin(np.arange(len(classes)), signals(classes))
        found = {"p_sig": p[..., of_signal].sum(-1), "p_bkg": p[..., ~of_signal].sum(-1)}
    return {name: values for name, values in found.items() if name.removeprefix("p_") not in classes}


def decide(objective: Objective, classes: Sequence[str], p: Floats) -> dict[str, Floats]:
    """What is said of an event by its mean probabilities; nothing for ``fvt``.

    ``tt_vs_mj`` = p_ttbar / (p_ttbar + p_multijet), where there are these classes (multijet may be called data or qcd);
    ``passMinPs``, 1 or 0, whether any signal has more than ``LEAST_SIGNAL``; ``ps_<class>`` for each signal, the sum over the signals
    where this one is the largest, else ``NOT_LARGEST``, and ``NOT_PASSED`` for events that do not pass.

    Args:
        objective: of the training.
        classes: names in the order of ``p``.
        p: means over the models, (…, classes).
    """
    if objective == "fvt":
        return {}
    of = {name: p[..., number] for number, name in enumerate(classes)}
    found: dict[str, Floats] = {}
    multijet = next((of[name] for name in ("multijet", "data", "qcd") if name in of), None)
    if "ttbar" in of and multijet is not None:
        found["tt_vs_mj"] = of["ttbar"] / np.maximum(of["ttbar"] + multijet, LEAST)
    chosen = signals(classes)
    if chosen:
        each = p[..., chosen]
        unknown = np.isnan(each).any(axis=-1)
        passed = (each > LEAST_SIGNAL).any(axis=-1)
        total, largest = each.sum(-1), each.argmax(-1)
        found["passMinPs"] = np.where(unknown, np.nan, passed)
        for place, number in enumerate(chosen):
            values = np.where(passed, np.where(largest == place, total, NOT_LARGEST), NOT_PASSED)
            found[f"ps_{classes[number]}"] = np.where(unknown, np.nan, values)
    return found


def columns(objective: Objective, classes: Sequence[str]) -> list[str]:
    """The columns of ``scores.parquet`` in their order: means, decisions, spreads, ``n_models``.

    Raises:
        StudyError: a class has the name of what is derived from several.
    """
    none = np.zeros((0, len(classes)))
    sums = {name: [""] for name in ("m4", "m3", "data", "ttbar", "4b", "3b")}
    if objective == "svb":
        chosen = signals(classes)
        sums = {"sig": [classes[number] for number in chosen], "bkg": [name for place, name in enumerate(classes) if place not in chosen]}
    if clash := [name for name in classes if sums.get(name, [name]) != [name]]:
        raise StudyError(
            f"p_{clash[0]} would be both the probability of a class and a sum over classes",
            where=f"pack.classes.{clash[0]}",
            todo="Give the class another name.",
        )
    means = [*base_columns(classes), *derive(objective, classes, none)]
    return [*means, *decide(objective, classes, none), *(f"{name}_std" for name in means), COUNT]


class Columns(Mapping[str, NDArray[Any]]):
    """The columns of a Parquet file, each read when it is asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._names = tuple(parquet.read_schema(path).names)

    def __getitem__(self, name: str) -> NDArray[Any]:
        if name not in self._names:
            near = nearest(name, self._names)
            todo = f"Did you mean {near!r}?" if near else f"It has {listed(self._names, 60)}."
            raise DataError(f"there is no score {name!r}", where=str(self.path), todo=todo)
        # A copy, since Arrow's own memory must not be written.
        return np.array(parquet.read_table(self.path, columns=[name]).column(name).to_numpy())

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


@dataclass(frozen=True)
class Scores:
    """The scores of N packed events; row i is that of the pack.

    Args:
        run: of predict or merge.
        description: ``scores.json``.
    """

    run: Run
    description: Mapping[str, Any]

    @cached_property
    def columns(self) -> Mapping[str, NDArray[Any]]:
        """float32 (N,) each, ``n_models`` uint8; read from disk whenever asked for. DataError where there is none of the name."""
        return Columns(self.run.output(TABLE))

    @property
    def n(self) -> int:
        return int(self.description["events"])

    @property
    def name(self) -> str:
        """Of the friend."""
        return str(self.description["name"])

    @property
    def objective(self) -> Objective:
        found: Objective = self.description["objective"]
        return found

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(self.description["classes"])

    @cached_property
    def members(self) -> tuple[Member, ...]:
        """The models that score; each has a file of its own."""
        return tuple(member(one) for one in self.description["members"])

    def of_member(self, one: Member) -> Mapping[str, NDArray[Any]]:
        """``index``, int64, rows of the pack in rising order, and :func:`base_columns`, float32, of the events that a model scores."""
        return Columns(self.run.output(f"{MEMBERS}/{one.name}.parquet"))


def pack_of(run: Run) -> Run:
    """The pack whose events a run of predict scored; of a run of merge that of the runs it merged.

    Raises:
        MissingError: it is not where it was.
    """
    for name, folder in run.inputs.items():
        if name == "pack":
            return Run.open(folder)
        # Any of the merged runs will do: they have one pack.
        if (folder / "step.json").is_file() and (below := Run.open(folder)).step in ("predict", "merge"):
            return pack_of(below)
    raise MissingError("the pack that was scored is not there", where=run.name, todo="Copy the runs that this one was made from as well.")


def open_scores(run: Run) -> Scores:
    """The scores that a run of predict or merge left.

    Raises:
        MissingError: it left none.
        DataError: their description is damaged.
    """
    path = run.output(DESCRIPTION)
    try:
        found = Scores(run, json.loads(path.read_text(encoding="utf-8")))
        _ = found.n, found.name, found.objective, found.classes, found.members
    except OSError as error:
        raise MissingError("this run has no scores", where=str(path), todo="Name a done run of predict or merge.") from error
    except (ValueError, TypeError, KeyError) as error:
        raise DataError("this does not describe scores", where=str(path), todo="Run predict again.") from error
    if not run.output(TABLE).is_file():
        raise MissingError("the scores are not there", where=str(run.output(TABLE)), todo="Run predict again.")
    return found
