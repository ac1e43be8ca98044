"""Trained networks as files: find one by name or path, load its weights, leave it as ``output/model``.

A model folder holds ``model.safetensors`` and ``model.json``, which says what is needed to use the weights: network
options, normalisation, classes.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from labwright.learn import tensors
from labwright.learn.checkpoints import Checkpoints, first_valid, problem
from labwright.runs import publish
from labwright.runs.errors import DataError, MissingError
from labwright.runs.run import Run
from labwright.study.step import Job, Part, RawFile

MODEL = "model"
"""Name of the model folder in a run's output."""
_warn = logging.getLogger("labwright").warning


def resolve_checkpoint(spec: str, run: Run | None, part: str = "", say: Callable[[str], None] = _warn) -> tuple[Path, Path]:
    """The weights file that a ``checkpoint:`` option names, and the folder of the ``model.json`` that goes with it.

    Args:
        spec: ``best``, ``last`` or a step of ``run``; or the path of a run, a checkpoint folder, a model folder or a .safetensors
            file.
        run: the training whose checkpoints the names mean.
        part: of the training; may be left out where there is one only.
        say: is told when a damaged checkpoint is passed over for another.

    Raises:
        MissingError: there is no such checkpoint; those that exist are listed.
        DataError: it is damaged.
    """
    if spec not in ("best", "last") and not spec.isdecimal():
        path = Path(spec)
        weights = weights_at(path, part, say)
        inside = next((parent for parent in (path, *path.resolve().parents) if (parent / "step.json").is_file()), None)
        return weights, weights.parent if inside is None or (weights.parent / "model.json").is_file() else inside / "output" / MODEL
    if run is None:
        raise MissingError(
            f"{spec} names a checkpoint of a training, and there is none", where="checkpoint", todo="Train first, or give a path."
        )
    if spec == "best" and (run.output(MODEL) / "model.safetensors").is_file():
        return run.output(MODEL) / "model.safetensors", run.output(MODEL)
    return weights_at(find_checkpoint(spec, checkpoint_folder(run, part), say), part, say), run.output(MODEL)


def weights_at(path: Path, part: str, say: Callable[[str], None]) -> Path:
    """The weights file at a path: a run (its best), a checkpoint folder (the average where it has one), a model folder, or a file.

    Raises:
        MissingError: there is nothing of this kind.
        DataError: it is a damaged checkpoint.
    """
    if path.is_file() and path.suffix == ".safetensors":
        return path
    if (path / "step.json").is_file():
        exported = path / "output" / MODEL / "model.safetensors"
        return (
            exported if exported.is_file() else weights_at(find_checkpoint("best", checkpoint_folder(Run.open(path), part), say), part, say)
        )
    if (path / "state.json").is_file() and (wrong := problem(path)):
        raise DataError(f"the checkpoint is damaged: {wrong}", where=str(path), todo="Choose another one of the run.")
    for name in ("ema.safetensors", "model.safetensors"):
        if (path / name).is_file():
            return path / name
    what = (
        "this is neither a run, nor a checkpoint, nor a model folder, nor a .safetensors file"
        if path.exists()
        else "there is nothing at this path"
    )
    raise MissingError(what, where=str(path), todo="Give the folder of a run or of a checkpoint, or a .safetensors file.")


def checkpoint_folder(run: Run, part: str = "") -> Path:
    """Where a training keeps a part's checkpoints; the only part's where none is named.

    Raises:
        MissingError: there are none, or several and the named one is not among them.
    """
    folder = run.folder / "checkpoints"
    parts = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    chosen = part if part in parts else parts[0] if len(parts) == 1 else ""
    if not chosen:
        todo = f"It has the parts {', '.join(parts)}: give the path of one's checkpoint." if parts else "Train it first."
        raise MissingError(f"no checkpoints{f' of part {part}' if part else ''}", where=str(run.folder), todo=todo)
    return folder / chosen


def checkpoint_files(spec: str) -> list[RawFile]:
    """The files of a checkpoint that is given by path, for a step's ``sources``; none for ``best``, ``last`` or a step.

    Raises:
        MissingError: there is nothing at the path.
        DataError: it is a damaged checkpoint.
    """
    if spec in ("best", "last") or spec.isdecimal():
        return []
    weights, folder = resolve_checkpoint(spec, None)
    return counted(path for path in (weights, folder / "model.json") if path.is_file())


def counted(paths: Iterable[Path]) -> list[RawFile]:
    """Files that count by their content: two models of the same name and size are two models."""
    return [RawFile(path, path.name, path.stat().st_size, publish.digest(path)) for path in paths]


def load_weights(module: nn.Module, weights: Path) -> None:
    """Load a weights file into a network, strictly, in place.

    Raises:
        DataError: the file is not readable.
        StudyError: it is of another network.
    """
    tensors.into_module(module, tensors.read(weights), str(weights))


def read_model(folder: Path) -> dict[str, Any]:
    """What ``model.json`` says.

    Raises:
        MissingError: there is none.
        DataError: it is not readable.
    """
    try:
        content = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        return dict(content)
    except OSError as error:
        if not folder.exists():
            raise MissingError("there is no such folder", where=str(folder), todo="Name a run of train, or a model folder.") from error
        raise MissingError(
            "there is no model.json, which says how to use the weights", where=str(folder), todo="Keep it beside them."
        ) from error
    except (ValueError, TypeError) as error:
        raise DataError("model.json is not readable", where=str(folder)) from error


def export_model(job: Job[Any], part: Part, description: Mapping[str, Any]) -> None:
    """Leave the best checkpoint of a part as the model folder ``output/model``.

    Args:
        job: of the training.
        part: whose checkpoints are meant.
        description: what ``model.json`` shall say; ``step`` and ``figures`` of the checkpoint are added.
    """
    folder = job.checkpoints(part)
    best = find_checkpoint("best", folder, job.say)
    mark = next(mark for mark in Checkpoints(folder).best() if mark["step"] == int(best.name))
    content = {**description, "step": mark["step"], "figures": mark["figures"]}
    weights = tensors.read(weights_at(best, part.id, job.say))
    with job.output(MODEL, "model") as temporary:
        temporary.mkdir()
        tensors.write(temporary / "model.safetensors", weights)
        (temporary / "model.json").write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def copy_model(model: Path, to: Path, texts: Mapping[str, str]) -> None:
    """Publish a copy of a model folder at ``to``, with further text files beside (a model card).

    Raises:
        MissingError: there is no model folder.
    """
    read_model(model)
    with publish.publish(to, "model") as temporary:
        temporary.mkdir()
        for name in ("model.safetensors", "model.json"):
            (temporary / name).write_bytes((model / name).read_bytes())
        for name, text in texts.items():
            (temporary / name).write_text(text, encoding="utf-8")


def find_checkpoint(name: str, folder: Path, say: Callable[[str], None]) -> Path:
    """The checkpoint called ``best``, ``last`` or by its step, among those in ``folder``.

    A damaged one is passed over for the next best, or for the one before, and ``say`` is told.

    Raises:
        MissingError: there is none of that name; those that exist are listed.
        DataError: the named step is damaged.
    """
    own = Checkpoints(folder)
    steps = own.steps()
    found: Path | None = None
    if name == "best":
        found = first_valid([own.at(mark["step"]) for mark in own.best() if own.at(mark["step"]).is_dir()], say)
    elif name == "last":
        found = own.newest(say)
    elif name.isdecimal() and int(name) in steps:
        found = own.at(int(name))
        if wrong := problem(found):
            raise DataError(f"the checkpoint is damaged: {wrong}", where=str(found), todo="Choose another: best, last or a step.")
    if found is None:
        there = ", ".join(map(str, steps)) or "none"
        todo = f"There are the steps {there}." if steps else "Train first: there are no checkpoints yet."
        raise MissingError(f"there is no valid checkpoint {name}", where=str(folder), todo=todo)
    return found
