"""The train step: a model for each fold, folding and seed. The loop itself is ``labwright.learn.loop``.

A part is a group of members that train as one stack, or a single member; which of the two is decided once, when the parts are
listed, and does not change what is learnt.
"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from labwright.events.findings import CATALOGUE
from labwright.events.folds import Member, members, prove
from labwright.events.network_options import PairformerOptions
from labwright.events.packing.classes import NONE
from labwright.events.packing.load import PackedEvents, load
from labwright.events.train_options import TrainOptions
from labwright.events.training import groups, origins, rates
from labwright.events.training.epochs import EPOCHS, write_epochs
from labwright.events.training.groups import members_of, part_of
from labwright.events.training.history import BEST, METRICS, History, chosen, ended, read_best, values_of
from labwright.events.training.members import PREFIX, row
from labwright.events.training.models import Which, description, write_models
from labwright.events.training.modes import choose
from labwright.events.training.rows import rows_of, usable
from labwright.events.training.task import EventsTask
from labwright.learn import tensors
from labwright.learn.checkpoints import Checkpoints
from labwright.learn.loop import fit
from labwright.learn.model import MODEL, find_checkpoint, weights_at
from labwright.learn.report import training_sections, write_metrics
from labwright.runs import sections
from labwright.runs.errors import DataError
from labwright.runs.publish import write_json
from labwright.runs.run import Run
from labwright.study.step import Figures, Job, Machine, Part, RawFile

SHARED = ("epochs", "precision", "device", "threads")


@lru_cache(maxsize=1)
def _events(folder: Path) -> PackedEvents:
    """The pack, read once by each worker for all its parts."""
    return load(Run.open(folder))


def sources(options: TrainOptions) -> Iterable[RawFile]:
    """The files of weights or of a training to go on from."""
    return origins.files(options, members(options))


def preview(options: TrainOptions, inputs: Mapping[str, Run]) -> list[str]:
    """What would be trained."""
    models = members(options)
    lines = [
        f"{len(models)} members of {options.network.kind}, {options.objective}: {', '.join(one.name for one in models[:6])}"
        + (", …" if len(models) > 6 else ""),
        f"{options.epochs} epochs, batches of {options.batch_size} to {rates.batch_size(options, options.epochs, 2**62)} events"
        + (f", then {options.finetune.epochs} of the output layer alone" if options.finetune.epochs else ""),
    ]
    if "pack" in inputs and inputs["pack"].done() is not None:
        events = load(inputs["pack"])
        counts = np.bincount(events.label.numpy()[events.labelled.numpy()], minlength=len(events.classes)).tolist()
        lines.append("classes: " + ", ".join(f"{name} {count:,}" for name, count in zip(events.classes, counts, strict=True)))
    return lines


def parts(job: Job[TrainOptions]) -> list[Part]:
    """Groups of members, by what the options say or a measurement tells; the journal has the measurement."""
    options: TrainOptions = job.options
    models = members(options)
    events = _events(job.inputs["pack"].folder)
    _proof(events, models, options)
    least = _least(job, events, models)
    most = min(options.max_members or len(models), len(models))
    mode = options.members if most > 1 else "apart"
    if mode == "auto" and isinstance(options.network, PairformerOptions) and options.network.dropout:
        # A stack draws what it leaves out otherwise than its members would alone.
        mode = "apart"
        job.record("members", mode=mode, members=most)
    elif mode == "auto":
        found = choose(options, events, least, most, job.machine.threads, job.machine.workers)
        job.record("members", **found)
        job.say(
            f"{most} members train {found['mode']}: {found['seconds_together']:.1f} s together, "
            f"{found['seconds_apart']:.1f} s apart by a short measurement" + ("" if found["measured"] else ", nearly a tie")
        )
        mode = found["mode"]
        most = found["stack"]
    size = most if mode == "together" else 1
    return [part_of(models, start, min(start + size, len(models))) for start in range(0, len(models), size)]


def _least(job: Job[TrainOptions], events: PackedEvents, models: Sequence[Member]) -> int:
    """The training events of the member that has fewest.

    Raises:
        DataError: they do not make a batch (EVT037).
    """
    options: TrainOptions = job.options
    counts = {one.name: len(rows.train) for one, rows in rows_of(events, models, options).items()}
    name, least = min(counts.items(), key=lambda pair: pair[1])
    if not rates.batch_size(options, 0, least):
        code = CATALOGUE["EVT037"]
        told = f"{least:,} events to train on, a batch has {options.batch_size:,}"
        job.finding(code.code, name, told, code.severity)
        raise DataError(f"{name} has {told}", where="train.batch_size", todo=code.todo)
    return least


def work(job: Job[TrainOptions], part: Part) -> Figures:
    """Train the members of a part."""
    options: TrainOptions = job.options
    events = _events(job.inputs["pack"].folder)
    rows = rows_of(events, members(options), options)
    models = members_of(options, part.id)
    if len(models) < len(members(options)):
        # Parts work side by side, and there are more of them than of cores, or nearly.
        job = copy.copy(job)
        job.machine = Machine(threads=1, workers=job.machine.workers)
    # What is done by member is none of the loop's business; the last stage is epochs like others.
    own: dict[str, Any] = {
        "clip_norm": None,
        "start_from": None,
        "epochs": options.epochs + options.finetune.epochs,
        "stop": options.stop.model_copy(update={"patience": None}),
    }
    with tempfile.TemporaryDirectory() as scratch:
        folder = job.checkpoints(part)
        if options.continue_from is not None and Checkpoints(folder).newest(lambda _: None) is None:
            own["continue_from"] = origins.gather(options, models, job.inputs["pack"], folder, Path(scratch))
        task = EventsTask(job, events, rows, models, part, origins.networks(options, models, events))
        return fit(task, options.model_copy(update=own), job, part)


def finish(job: Job[TrainOptions]) -> Figures:
    """Leave the weights of all members as ``output/model`` and the proof as ``output/folds.json``; report."""
    options: TrainOptions = job.options
    models, results = members(options), job.results()
    events = _events(job.inputs["pack"].folder)
    weights: dict[Which, dict[str, dict[str, Tensor]]] = {"best": {}, "last": {}}
    table: list[dict[str, Any]] = []
    epochs: dict[str, list[tuple[int, dict[str, Any]]]] = {}
    for part in results:
        folder = job.checkpoints(Part(part))
        last = tensors.read(weights_at(find_checkpoint("last", folder, job.say), part, job.say))
        last = {name: tensor for name, tensor in last.items() if name.startswith(PREFIX)}
        found = read_best(folder / BEST) if (folder / BEST).is_file() else History([], last, {})
        for place, one in enumerate(members_of(options, part)):
            values = values_of(found.validations, place, options.select.metric)
            end = ended(options.stop.patience, options.select, values)
            seen = found.validations if end is None else found.validations[: end + 1]
            weights["last"][one.name] = row(last if end is None else found.last, place)
            weights["best"][one.name] = row(found.best, place)
            epochs[one.name] = [(each.step, {name: figure[place] for name, figure in each.figures.items()}) for each in seen]
            best = seen[chosen(options.select, values[: len(seen)])] if seen else None
            table.append(
                {
                    "member": one.name,
                    "best_step": best.step if best else results[part]["steps"],
                    **{f"best_{name}": float(best.figures[name][place]) if best else None for name in METRICS},
                }
            )
    order = [one.name for one in models]
    table.sort(key=lambda one: order.index(one["member"]))
    told = description(options, models, events.classes, events.ancillary_names, events.other_jets.shape[1])
    with job.output(MODEL, "model") as temporary:
        write_models(temporary, {**told, "figures": table}, weights)
    write_json(job.run.output("folds.json"), _proof(events, models, options), "output")
    with job.output(EPOCHS) as path:
        write_epochs(path, {name: epochs[name] for name in order})
    with job.output("metrics.csv") as path:
        write_metrics(job.run, path)
    figures = _figures(results, table, job.run.energy())
    made = [*training_sections(job.run, figures), _members_section(table)]
    write_json(job.run.output("report.json"), {"sections": made}, "report")
    return figures


def _proof(events: PackedEvents, models: Sequence[Member], options: TrainOptions) -> dict[str, Any]:
    """That no model scores what it has seen; its counts by class are of events that are learnt from."""
    label = events.label.masked_fill(~usable(events, options), NONE)
    return prove(models, events.identity, label.numpy(), events.classes)


def _figures(results: Mapping[str, Mapping[str, Any]], table: Sequence[Mapping[str, Any]], energy: Sequence[Mapping[str, Any]]) -> Figures:
    """Of all members: means of their bests; seconds of all parts, which may have passed side by side; joules of the run.

    A part's own joules count all that its process has used so far, also for parts before it.
    """
    first = next(iter(results.values()))
    together = {part: groups.size(part) for part in results}
    joules = [row["joules"] for row in energy if row["joules"] is not None]
    known = {name: [one[name] for one in table if one[name] is not None] for name in ("best_loss", "best_auc")}
    return {
        "members": len(table),
        "parts": len(results),
        **{name: float(np.mean(values)) if values else None for name, values in known.items()},
        **{name: first[name] for name in SHARED},
        "parameters": first["parameters"] // next(iter(together.values())),
        "events_trained": sum(one["items_seen"] * together[part] for part, one in results.items()),
        "train_seconds": sum(one["train_seconds"] for one in results.values()),
        "joules": sum(joules) if joules else None,
        "reproducible": all(one["reproducible"] for one in results.values()),
    }


def _members_section(table: Sequence[Mapping[str, Any]]) -> sections.Section:
    return sections.table("Members", ["member", "best step", "loss", "AUC"], [list(one.values()) for one in table])
