"""Where members begin that do not begin anew: each with its own weights, or its own whole state, of another training.

Another member's would have seen what this one is judged on. So members are found by what they are, folding, fold and seed, whether they
trained together there or apart, and what does not fit is refused.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from pydantic import ValidationError
from torch import Tensor, nn

from labwright.events.folds import Member
from labwright.events.packing.load import PackedEvents
from labwright.events.train_options import TrainOptions
from labwright.events.training import history
from labwright.events.training.groups import members_of
from labwright.events.training.members import PREFIX
from labwright.events.training.models import load_models, model_files, model_folder
from labwright.learn import tensors
from labwright.learn.checkpoints import Checkpoints, problem, read_state
from labwright.learn.model import counted, find_checkpoint
from labwright.runs.errors import DataError, MissingError, StudyError
from labwright.runs.run import Run
from labwright.study.step import RawFile

SAME = ("objective", "network", "negative_weights", "select", "ema")
"""Options that a training has in common with the one that it continues, beside the folds of its members."""
POSITION = ("step", "epoch", "batch")
FILES = ("model.safetensors", "optimizer.safetensors", "ema.safetensors")
_warn = logging.getLogger("labwright").warning


class Origin(NamedTuple):
    """Where a member's state lies."""

    checkpoint: Path
    place: int
    """In the stack that it trained in."""


# ---- Weights alone ----


def networks(options: TrainOptions, models: Sequence[Member], events: PackedEvents) -> dict[str, nn.Module] | None:
    """The best networks of the training to start from, each for its member, by name; None where none is given.

    Raises:
        MissingError: it has not one of the members.
        StudyError: its network, inputs, classes or objective are others.
    """
    if options.start_from is None:
        return None
    found = load_models(model_folder(options.start_from))
    own = {
        "objective": options.objective,
        "classes": list(events.classes),
        "ancillary": list(events.ancillary_names),
        "network": options.network.model_dump(mode="json"),
    }
    _same(own, found.description, "start_from", options.start_from)
    _all_there(models, found.members, options.start_from)
    return {one.name: network for one, network in zip(found.members, found.networks, strict=True)}


# ---- The whole state ----


def files(options: TrainOptions, models: Sequence[Member]) -> list[RawFile]:
    """What ``start_from`` or ``continue_from`` name, for a step's ``sources``; none where neither is given."""
    if options.start_from is not None:
        return model_files(options.start_from)
    if options.continue_from is None:
        return []
    folders = list(dict.fromkeys(origin.checkpoint for origin in _origins(options, models).values()))
    read = [folder / name for folder in folders for name in (*FILES, "state.json")]
    read += [folder.parent / history.BEST for folder in folders]
    # Checkpoints of several parts have the same names; that of the part tells them apart.
    return [
        one._replace(name=f"{one.path.parent.parent.name}/{one.path.parent.name}/{one.name}") for one in counted(filter(Path.is_file, read))
    ]


def gather(options: TrainOptions, models: Sequence[Member], pack: Run, own: Path, folder: Path) -> Path:
    """Bring the states of some members together, as the checkpoint of a stack of them.

    Args:
        options: of this training, with ``continue_from``.
        models: of a part.
        pack: that it trains on.
        own: the part's folder of checkpoints, where the validations so far and each member's best are left.
        folder: for the checkpoint, as long as it is needed.

    Returns:
        The checkpoint's folder.

    Raises:
        MissingError: the other training has not one of the members, or no checkpoint of it.
        DataError: a checkpoint is damaged.
        StudyError: options or pack differ, or the members stand at different steps.
    """
    assert options.continue_from is not None
    run = _run(options.continue_from)
    told = _options(run)
    mine, other = options.model_dump(mode="json"), told.model_dump(mode="json")
    _same({name: mine[name] for name in SAME}, other, "continue_from", options.continue_from)
    if run.description.get("inputs", {}).get("pack", {}).get("fingerprint") != pack.fingerprint:
        todo = "Continue on the pack it was trained on; start_from takes the weights alone, whatever the pack."
        raise StudyError("the training to continue was made on another pack", where=str(options.continue_from), todo=todo)
    origins = _origins(options, models)
    states = [read_state(origins[one].checkpoint) for one in models]
    if len({tuple(state[name] for name in POSITION) for state in states}) > 1:
        steps = ", ".join(f"{one.name} at {state['step']}" for one, state in zip(models, states, strict=True))
        todo = "Take members: apart, or start_from."
        raise StudyError(f"the members to continue together stand at different steps: {steps}", where=str(run.folder), todo=todo)
    step = states[0]["step"]
    kept = _history(options, told, origins, step)
    there = [name for name in FILES if (origins[models[0]].checkpoint / name).is_file()]
    stacked = {name: _stacked([(tensors.read(one.checkpoint / name), one.place) for one in origins.values()]) for name in there}
    # Sums of the training curve since its last record are of all that trained together there.
    gathered = Checkpoints(folder / run.name)
    gathered.save(step, {name: (content, {}) for name, content in stacked.items()}, {**states[0], "sums": {}, "summed": 0.0})
    if kept is not None:
        own.mkdir(parents=True, exist_ok=True)
        history.write_best(own / history.BEST, kept)
    return gathered.at(step)


def _stacked(rows: Sequence[tuple[Mapping[str, Tensor], int]]) -> dict[str, Tensor]:
    """One row of each, (members, …); numbers, as the steps of an optimiser, are common to all."""
    first = rows[0][0]
    return {name: torch.stack([content[name][place] for content, place in rows]) if one.ndim else one for name, one in first.items()}


def _history(options: TrainOptions, told: TrainOptions, origins: Mapping[Member, Origin], step: int) -> history.History | None:
    """What is known of these members up to a step: their validations, on which rates and patience go by, and their best.

    Raises:
        StudyError: the best of one up to then was not kept, or its patience was at an end.
    """
    paths = [origin.checkpoint.parent / history.BEST for origin in origins.values()]
    if not all(path.is_file() for path in paths):
        return None
    found = [history.read_best(path) for path in paths]
    places = [origin.place for origin in origins.values()]
    past = [[one for one in each.validations if one.step <= step] for each in found]
    if len({tuple(one.step for one in each) for each in past}) > 1:
        raise StudyError("the members to continue were validated at different steps", where="continue_from", todo="Take members: apart.")
    best = []
    for (one, origin), each, before in zip(origins.items(), found, past, strict=True):
        values = history.values_of(each.validations, origin.place, options.select.metric)
        until = values[: len(before)]
        for patience in (told.stop.patience, options.stop.patience):
            if history.ended(patience, options.select, until) is not None:
                todo = "Raise stop.patience or leave it out." if patience == options.stop.patience else "Take start_from."
                raise StudyError(f"the training of {one.name} was ended by its patience of {patience}", where="continue_from", todo=todo)
        chosen = history.chosen(options.select, until)
        if history.chosen(options.select, values) == chosen:
            best.append((each.best, origin.place))
        elif before and before[chosen].step == step:
            best.append((_network(origin.checkpoint), origin.place))
        else:
            what = f"the best weights of {one.name} up to step {step}, those of step {before[chosen].step}, gave way to later ones"
            raise StudyError(what, where="continue_from", todo="Continue from the run, which is its newest checkpoint.")
    validations = [
        history.Validation(
            rows[0].step,
            {name: [row.figures[name][place] for row, place in zip(rows, places, strict=True)] for name in rows[0].figures},
        )
        for rows in zip(*past, strict=True)
    ]
    return history.History(validations, _stacked(best), {}) if validations else None


def _network(checkpoint: Path) -> dict[str, Tensor]:
    """The weights that are judged at a checkpoint, under the names of a single network."""
    averaged = checkpoint / "ema.safetensors"
    found = tensors.read(averaged if averaged.is_file() else checkpoint / "model.safetensors")
    return {name.removeprefix(PREFIX): one for name, one in found.items()}


def _origins(options: TrainOptions, models: Sequence[Member]) -> dict[Member, Origin]:
    """The checkpoint and the place in it of each member: the newest of its part, or those in the checkpoint that is named."""
    path = options.continue_from
    assert path is not None
    run = _run(path)
    told = _options(run)
    if (path / "state.json").is_file():
        if wrong := problem(path):
            raise DataError(f"the checkpoint is damaged: {wrong}", where=str(path), todo="Choose another one of the run.")
        checkpoints = {path.parent.name: path}
    else:
        folder = run.folder / "checkpoints"
        parts = sorted(one.name for one in folder.iterdir() if one.is_dir()) if folder.is_dir() else []
        needed = [part for part in parts if set(members_of(told, part)) & set(models)]
        checkpoints = {part: find_checkpoint("last", folder / part, _warn) for part in needed}
    there = {one: Origin(checkpoint, place) for part, checkpoint in checkpoints.items() for place, one in enumerate(members_of(told, part))}
    _all_there(models, list(there), path)
    return {one: there[one] for one in models}


def _run(path: Path) -> Run:
    """The run of a training at a path, or in which the checkpoint there lies."""
    for folder in (path, *path.absolute().parents[:3]):
        if (folder / "step.json").is_file():
            if (folder == path or (path / "state.json").is_file()) and Run.open(folder).step == "train":
                return Run.open(folder)
            break
    if not path.exists():
        raise MissingError("there is nothing at this path", where=str(path), todo="Give the folder of a run or of a checkpoint.")
    todo = "Give the run of a training, or a checkpoint in it; start_from takes weights alone."
    raise StudyError("this has no full state of a training whose folds are known", where=str(path), todo=todo)


def _options(run: Run) -> TrainOptions:
    try:
        return TrainOptions.model_validate(run.options)
    except ValidationError as error:
        raise StudyError("the training is of another version of Labwright", where=str(run.folder), todo="Take start_from.") from error


def _same(own: Mapping[str, Any], other: Mapping[str, Any], option: str, where: Path) -> None:
    """Refuse another training that differs, and say in what."""
    pairs = {name: (value, other.get(name)) for name, value in own.items() if value != other.get(name)}
    if pairs:
        told = "; ".join(f"{name} is {json.dumps(theirs)} there and {json.dumps(mine)} here" for name, (mine, theirs) in pairs.items())
        raise StudyError(f"the training of {option} differs: {told}", where=str(where), todo="Take its options and its pack's inputs.")


def _all_there(models: Sequence[Member], there: Sequence[Member], where: Path) -> None:
    missing = [one for one in models if one not in there]
    if missing:
        names = ", ".join(one.name for one in there)
        raise MissingError(
            f"the training to go on from has no {missing[0].name} of the same folds",
            where=str(where),
            todo=f"Take its folds, its folds.seed and its seeds, and its run, not a checkpoint of one part; here is {names or 'none'}.",
        )
