"""Signal against multijet events: the networks of finished runs, and boosted trees on the very same folds, in one table.

    labwright run docs/results/hh4b.yaml --param data=FOLDER --step predict
    python benchmarks/events_networks.py runs/predict-…

For each member of the first run (folding, fold, seed) trees are trained on the events that the member was trained on, and score those
that it scores; scores of several members are averaged as those of networks are. The AUC is that of all events, unweighted, with DeLong's
95 % interval; "behind" is how far it lies below that of the first run, with the standard deviation of that over resamplings of the
events. Seconds and joules are those of training: of networks from the record of the run, of trees by the same meters here.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from reference.events_networks import pair_features, trees

from labwright.events.folds import TRAIN, Member, roles, scored
from labwright.events.metrics.auc import auc, copies, delong
from labwright.events.packing.load import PackedEvents, load
from labwright.events.scoring.scores import Scores, open_scores
from labwright.runs.energy import Energy, in_words, rows, totals
from labwright.runs.run import Run

RESAMPLES = 200
PUBLISHED = "SvB"
"""Column of the files with their authors' own score; on which of these events it was trained is not known."""


class Row(NamedTuple):
    """A line of the table."""

    name: str
    models: int | None
    parameters: int | None
    score: NDArray[Any]
    seconds: float | None
    energy: str


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="run of predict; all are of one pack")
    predictions = [open_scores(Run.open(folder)) for folder in parser.parse_args().runs]
    packs = {one.run.inputs["pack"].resolve() for one in predictions}
    if len(packs) != 1:
        parser.error("the runs are of different packs")
    torch.set_num_threads(1)
    events = load(Run.open(packs.pop()))
    positive = events.label.numpy() == events.classes.index("signal")
    table = [network(one) for one in predictions]
    table.append(boosted(events, predictions[0].members, positive))
    table.append(Row("published score", None, None, events.column(PUBLISHED), None, "—"))
    print(f"{events.n:,} events, {positive.sum():,} of them signal\n")
    print("| classifier | models | parameters | AUC | 95 % interval | behind | training, s | training, J |")
    print("|---|---|---|---|---|---|---|---|")
    for one in table:
        print(line(one, table[0], positive))


def network(scores: Scores) -> Row:
    """The line of a run of predict."""
    train = Run.open(scores.run.inputs["train"])
    done = train.done()
    assert done is not None
    options = train.options["network"]
    name = options["kind"] + ("" if options.get("attention", True) else " without attention")
    figures, score = done["figures"], scores.columns["p_signal"]
    return Row(name, len(scores.members), figures["parameters"], score, figures["train_seconds"], joules(train.energy()))


def boosted(events: PackedEvents, members: Iterable[Member], positive: NDArray[np.bool_]) -> Row:
    """The line of the trees; they are trained here, on one core."""
    records: list[dict[str, Any]] = []
    energy = Energy(lambda kind, **values: records.append({"kind": kind, **values}))
    total, count = np.zeros(events.n), np.zeros(events.n)
    models = list(members)
    start = time.perf_counter()
    with energy.stage("trees"):
        features = pair_features(events.can_jets.numpy())
        for one in models:
            train, score = roles(one, events.identity) == TRAIN, scored(one, events.identity)
            fitted = trees(features[train], positive[train], one.seed)
            total[score] += fitted.predict_proba(features[score])[:, 1]
            count[score] += 1
    seconds = time.perf_counter() - start
    energy.close()
    return Row("boosted trees", len(models), None, total / count, seconds, joules(rows(records)))


def joules(merged: list[dict[str, Any]]) -> str:
    """Of the stages named below, by method."""
    return in_words(merged) if len(totals(merged)) > 1 else in_words(merged).split(" by ")[0]


def line(row: Row, first: Row, positive: NDArray[np.bool_]) -> str:
    """In Markdown."""
    found = delong(row.score, positive)
    drawn = [copies(0, number, len(positive)) for number in range(RESAMPLES)] if row is not first else []
    apart = [auc(first.score, positive, weight) - auc(row.score, positive, weight) for weight in drawn]
    behind = auc(first.score, positive) - found.value
    cells = (
        row.name,
        "—" if row.models is None else str(row.models),
        "—" if row.parameters is None else f"{row.parameters:,}",
        f"{found.value:.4f}",
        f"{found.low:.4f}–{found.high:.4f}",
        f"{behind:.4f} ± {np.std(apart, ddof=1):.4f}" if apart else "—",
        "—" if row.seconds is None else f"{row.seconds:,.0f}",
        row.energy,
    )
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
