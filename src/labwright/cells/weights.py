"""Trained networks as files: load one by name or path, export one with its card."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from labwright.cells.pixels import Intensity
from labwright.cells.recipe import InstanceOptions, NetworkOptions, ViewOptions
from labwright.learn.cards import CARD, energy, exportable, table
from labwright.learn.model import copy_model, load_weights, read_model, resolve_checkpoint
from labwright.learn.unet import UNet
from labwright.runs.errors import DataError
from labwright.runs.run import Run

CLASSES = ("background", "core", "border")
EXPORTED = {"model.safetensors", "model.json", CARD}
"""The files of an exported model."""


@dataclass(frozen=True)
class Trained:
    """A network with what it has to be fed."""

    module: UNet
    view: ViewOptions
    instances: InstanceOptions
    level: Intensity | None
    source: str
    """Where the weights came from, for the record; within the training's run it is named from that on, so that runs may move."""


def description(network: NetworkOptions, view: ViewOptions, instances: InstanceOptions, level: Intensity | None) -> dict[str, Any]:
    """What ``model.json`` says beside the weights; :func:`load` reads it back."""
    return {
        "recipe": "cells",
        "network": network.model_dump(mode="json"),
        "view": view.model_dump(mode="json"),
        "instances": instances.model_dump(mode="json"),
        "level": list(level) if level else None,
        "classes": list(CLASSES),
    }


def build(network: NetworkOptions) -> UNet:
    """The U-Net of the recipe: one channel in, three classes out."""
    return UNet(in_channels=1, out_channels=len(CLASSES), widths=network.widths)


def load(checkpoint: str, train: Run | None, device: torch.device) -> Trained:
    """The network that ``checkpoint`` names.

    Args:
        checkpoint: ``best``, ``last`` or a step of the run ``train``; or the path of a model folder, a checkpoint or a run.
        train: the run that named checkpoints belong to.
        device: where the network shall be.

    Raises:
        MissingError: there is no such checkpoint.
        DataError: the files do not fit their manifest or the network.
    """
    weights, model_folder = resolve_checkpoint(checkpoint, train)
    facts = read_model(model_folder)
    try:
        module = build(NetworkOptions.model_validate(facts["network"]))
        view, instances = ViewOptions.model_validate(facts["view"]), InstanceOptions.model_validate(facts["instances"])
        level = Intensity(*map(float, facts["level"])) if facts["level"] else None
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            "model.json does not describe a network of the recipe cells",
            where=str(model_folder),
            todo="Name the model folder that a training of cells left, or one that labwright export weights wrote.",
        ) from error
    load_weights(module, weights)
    return Trained(module.to(device).eval(), view, instances, level, _source(weights, train))


def _source(weights: Path, train: Run | None) -> str:
    if train is not None and weights.is_relative_to(train.folder):
        return f"{train.name}/{weights.relative_to(train.folder).as_posix()}"
    return weights.as_posix()


def export_weights(run: Run, to: Path) -> Path:
    """Write ``model.safetensors``, ``model.json`` and a model card to the folder ``to``, in place of an earlier export.

    Raises:
        MissingError: the run is not a complete training.
        CommandError: ``to`` holds other files, which would be lost.
    """
    exportable(run, to, EXPORTED)
    copy_model(run.output("model"), to, {CARD: _card(run)})
    return to


def _card(run: Run) -> str:
    level = "mean and deviation of all training frames" if run.options["normalise"] == "pack" else "the frame's own mean and deviation"
    return f"""---
library_name: labwright
tags: [instance-segmentation, microscopy, border-core]
---
# {run.description.get("name") or run.name}

A U-Net that labels each pixel of a microscope image as background, core or border of a cell; cores become instances.
Trained by Labwright, run `{run.name}`, seed {run.description["seed"]}.

- Input: one channel, float32, normalised by {level}; `model.json` has the rest.
- Output: three scores for each pixel: {", ".join(CLASSES)}.
- Use it in a study: `predict: {{checkpoint: THIS_FOLDER}}`, or `train: {{start_from: THIS_FOLDER}}` to go on from its weights.

## Figures

Of the training and its validation split. A score against silver or automatic labels is agreement with them, not accuracy.

{table(["figure", "value"], run.figures().items())}

{energy(run)}
"""
