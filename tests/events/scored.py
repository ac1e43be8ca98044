"""Runs of predict made by hand: true folds, made-up scores that depend on the model and the event alone."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from labwright.data.sampler import generator
from labwright.events.folds import Member, members, scored
from labwright.events.packing.load import load
from labwright.events.scoring import score_files
from labwright.events.scoring.means import Means
from labwright.events.scoring.scores import DESCRIPTION, Objective, base_columns, columns
from labwright.events.train_options import TrainOptions
from labwright.runs.publish import manifest, write_json
from labwright.runs.run import Run
from tests.learn.fake import FakeJob


def models(offsets: str = "0", *, kind: str = "random", seeds: str = "0", word: str = "fold") -> list[Member]:
    """The models that a training of three folds has."""
    folds = {"kind": kind, "k": 3, "offsets": offsets, "seed": word}
    return members(TrainOptions.model_validate({"folds": folds, "seeds": seeds}))


def scored_run(
    runs: Path,
    pack: Run,
    own: Sequence[Member],
    *,
    objective: Objective = "svb",
    name: str = "SvB",
    description: Mapping[str, Any] | None = None,
) -> Run:
    """A done run of predict below ``runs``; ``description`` goes over what ``scores.json`` says."""
    events = load(pack)
    told = {
        "name": name,
        "objective": objective,
        "classes": list(events.classes),
        "events": events.n,
        "pack": {"run": pack.name, "fingerprint": pack.fingerprint},
        "members": [{**one.as_json(), "training": {"run": "train-0123456789"}} for one in own],
        "files": [],
        **(description or {}),
    }
    mark = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
    folder = runs / f"predict-{mark[:10]}"
    inputs = {"pack": {"fingerprint": pack.fingerprint, "folder": os.path.relpath(pack.folder, folder)}}
    options = {"name": name}
    write_json(
        folder / "step.json",
        {"recipe": "events", "step": "predict", "fingerprint": mark, "options": options, "inputs": inputs, "created": mark},
        "step",
    )
    job: Any = FakeJob(folder)
    job.run = Run.open(folder)
    base = base_columns(told["classes"])
    means = Means(objective, told["classes"], events.n)
    for one in own:
        index = np.flatnonzero(scored(one, events.identity))
        # Of every event the same number comes, whatever run the model is in.
        draws = generator(3, one.name).random((events.n, len(base)))[index]
        p, q = draws[:, :-3], draws[:, -3:]
        values = np.concatenate([p / p.sum(1, keepdims=True), q / q.sum(1, keepdims=True)], axis=1).astype(np.float32)
        means.add(index, values)
        score_files.write_member(job, one.name, base, [(index, values)])
    table = np.stack([values.astype(np.float32) for values in means.columns().values()], axis=1)
    score_files.write_table(job, score_files.Blocks([table], columns(objective, told["classes"])))
    write_json(folder / "output" / DESCRIPTION, told, "output")
    done = {"figures": {}, "findings": {}, "energy": [], "attempts": 1, "output": manifest(folder / "output")}
    write_json(folder / "done.json", done, "done")
    return Run.open(folder)
