"""Export trained members: one folder with all of them, the fold rule that says whose score counts for an event, and how to use it.

``model.json`` and ``best/`` are as in a training's own model folder, so that ``predict.checkpoint`` and ``train.start_from`` take it.
``example.safetensors`` has invented events and what the models say of them, for whoever brings the models to another program.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from labwright.data.sampler import generator
from labwright.events.folds import RULES, fold_of
from labwright.events.identity import Identity
from labwright.events.scoring.ensemble import Inputs, probabilities, score
from labwright.events.scoring.scores import COUNT, base_columns
from labwright.events.training.models import Models, load_models
from labwright.learn import tensors
from labwright.learn.cards import CARD, energy, exportable, table
from labwright.learn.model import MODEL
from labwright.runs.errors import FaultError
from labwright.runs.publish import publish
from labwright.runs.run import Run

EXAMPLE, DESCRIPTION, WEIGHTS = "example.safetensors", "model.json", "best"
EXPORTED = {CARD, EXAMPLE, DESCRIPTION, WEIGHTS}
"""What an export holds."""
EXAMPLE_EVENTS = 256
TOLERANCE = 1e-5
"""What another program may differ by."""


def export_weights(run: Run, to: Path) -> Path:
    """Write the best weights of all members, ``model.json``, an example and a model card to ``to``, in place of an earlier export.

    Raises:
        MissingError: the run is not a complete training.
        CommandError: ``to`` holds other files, which would be lost.
        FaultError: what was written does not score as the training's own models; nothing is published.
    """
    exportable(run, to, EXPORTED)
    trained = load_models(run.output(MODEL))
    with publish(to, "model") as temporary:
        (temporary / WEIGHTS).mkdir(parents=True)
        for name in (DESCRIPTION, *(f"{WEIGHTS}/{one.name}.safetensors" for one in trained.members)):
            (temporary / name).write_bytes((run.output(MODEL) / name).read_bytes())
        events = invented(trained.description, EXAMPLE_EVENTS)
        copied = load_models(temporary)
        expected = _said(trained, events)
        _compare(expected, _said(copied, events), temporary)
        tensors.write(temporary / EXAMPLE, _given(events) | expected)
        (temporary / CARD).write_text(_card(run, trained), encoding="utf-8")
    return to


def invented(told: Mapping[str, Any], count: int) -> Inputs:
    """Events that the models of a ``model.json`` accept, drawn from simple distributions; no data are in them."""
    random = generator(0, "events", "example")
    others, names = int(told["other_jets"]), told["ancillary"]

    def jets(number: int, least_gev: float) -> NDArray[np.float64]:
        pt = np.sort(least_gev + random.exponential(60.0, (count, number)), axis=1)[:, ::-1]
        eta, phi, share = random.uniform(-2.4, 2.4, pt.shape), random.uniform(-np.pi, np.pi, pt.shape), random.uniform(0.05, 0.2, pt.shape)
        return np.stack((pt, eta, phi, share * pt), axis=2)

    can, other = jets(4, 40.0), jets(others, 20.0)
    other = np.concatenate((other, other[..., :1] > 40.0), axis=2)
    there = random.integers(0, others + 1, count)
    other[np.arange(others) >= there[:, None]] = (0.0, 0.0, 0.0, 0.0, -1.0)
    known = {"year": np.full(count, 18.0), "n_selected": 4.0 + there, "n_tagged": np.full(count, 4.0)}
    further = [known[name] if name in known else random.normal(0.0, 2.0, count) for name in names]
    ancillary = np.stack(further, axis=1) if names else np.zeros((count, 0))
    identity = Identity(np.ones(count, np.uint32), np.arange(count, dtype=np.uint32) // 100 + 1, np.arange(count, dtype=np.uint64) + 1)
    return Inputs(can.astype(np.float32), other.astype(np.float32), ancillary.astype(np.float32), identity)


def _given(events: Inputs) -> dict[str, Tensor]:
    arrays = {name: getattr(events, name) for name in ("can_jets", "other_jets", "ancillary")}
    arrays |= {name: column.astype(np.int64) for name, column in events.identity._asdict().items()}
    return {name: torch.from_numpy(values) for name, values in arrays.items()}


def _said(models: Models, events: Inputs) -> dict[str, Tensor]:
    """Of each model the probabilities of all events; the fold of each event; the means over the models that never saw it."""
    found: dict[str, NDArray[Any]] = {
        f"model.{one.name}": probabilities(network, events[:3]) for one, network in zip(models.members, models.networks, strict=True)
    }
    foldings = dict.fromkeys(one.folding for one in models.members)
    found |= {f"fold.{folding.name}": fold_of(events.identity, folding).astype(np.int64) for folding in foldings}
    scores = score(models, events)
    found["mean"] = np.stack([scores[name] for name in base_columns(models.description["classes"])], axis=1)
    found[COUNT] = scores[COUNT].astype(np.int64)
    return {name: torch.from_numpy(values) for name, values in found.items()}


def _compare(expected: Mapping[str, Tensor], found: Mapping[str, Tensor], folder: Path) -> None:
    """Raise where two ensembles differ in a single bit."""
    for name, values in expected.items():
        if not torch.equal(values.nan_to_num(-1.0), found[name].nan_to_num(-1.0)):
            raise FaultError(
                f"{name} of the exported models differs from that of the trained ones",
                where=str(folder),
                todo="Export again; if it happens again, the training's folder is damaged.",
            )


def _card(run: Run, models: Models) -> str:
    told = models.description
    inputs = [
        [one["name"], one["dtype"], " × ".join(map(str, one["shape"])), ", ".join(one["columns"]), ", ".join(one.get("units", []))]
        for one in told["inputs"]
    ]
    rules = "\n".join(f"- {name}: {RULES[name]}." for name in dict.fromkeys(one.folding.kind for one in models.members))
    figures = [[one["member"], one["best_loss"], one["best_auc"]] for one in told["figures"]]
    scoring = "test" if models.members[0].folding.test else "validation"
    return f"""---
library_name: labwright
tags: [high-energy-physics, jets, k-fold]
---
# {run.description.get("name") or run.name}

{len(models.members)} models for four-jet events ({told["network"]["kind"]}, objective {told["objective"]}).
Trained by Labwright, run `{run.name}`, seed {run.description["seed"]}.

Each was trained without the events of its own fold. An event is scored by the models whose {scoring} fold it lies in, one of each
folding and seed, and the mean of these counts: scores are out of fold, also for events of the training.

## Inputs

{table(["name", "type", "shape", "columns", "units"], inputs)}

The four jets of `can_jets` stand by falling pt. The networks standardise their inputs themselves. Outputs are logits of the classes
{", ".join(told["classes"])}, then of the pairings 12|34, 13|24, 14|23; softmax of each makes probabilities.

## Fold rule

{rules}

`model.json` gives kind, k, offset and seed of each member's folding, and its fold.

## Use

In a study: `predict: {{checkpoint: THIS_FOLDER}}` scores the events of its pack; `train: {{start_from: THIS_FOLDER}}` goes on from these
weights. In Python:

```python
from pathlib import Path

from labwright.events.scoring.ensemble import Inputs, score
from labwright.events.identity import Identity
from labwright.events.training.models import load_models

models = load_models(Path("THIS_FOLDER"))
scores = score(models, Inputs(can_jets, other_jets, ancillary, Identity(run, lumi, event)))
```

The arrays are NumPy's, float32 as above, and uint32, uint32, uint64. `scores` maps names to columns: `p_<class>`, what follows from them,
`<name>_std` for the spread over the models, `n_models`.

Elsewhere: build the network from `model.json` and compare with `{EXAMPLE}`, which has {EXAMPLE_EVENTS} invented events: inputs,
`fold.<folding>`, `model.<member>` (what each model says of every event) and `mean` (over the models that count). They should agree
to {TOLERANCE:g}.

## Figures

Of each member on the fold that picked its best epoch.

{table(["member", "loss", "AUC"], figures)}

{energy(run)}
"""
