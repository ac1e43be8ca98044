"""Trained networks as files: load one by name or path, export one with its card."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from labwright.cells.recipe import InstanceOptions, NetworkOptions, ViewOptions
from labwright.cells.views import Intensity
from labwright.learn.model import copy_model, load_weights, read_model, resolve_checkpoint
from labwright.learn.unet import UNet
from labwright.runs.run import Run

CLASSES = ("background", "core", "border")


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
    module = build(NetworkOptions.model_validate(facts["network"]))
    load_weights(module, weights)
    level = Intensity(*facts["level"]) if facts.get("level") else None
    view, instances = ViewOptions.model_validate(facts["view"]), InstanceOptions.model_validate(facts["instances"])
    return Trained(module.to(device).eval(), view, instances, level, _source(weights, train))


def _source(weights: Path, train: Run | None) -> str:
    if train is not None and weights.is_relative_to(train.folder):
        return f"{train.name}/{weights.relative_to(train.folder).as_posix()}"
    return weights.as_posix()


def export_weights(run: Run, to: Path) -> Path:
    """Write ``model.safetensors``, ``model.json`` and a model card of a done training to the folder ``to``."""
    card = _card(run)
    copy_model(run.output("model"), to, {"README.md": card})
    return to


def _card(run: Run) -> str:
    figures = run.figures()
    rows = [f"| {name} | {value:.6g} |" if isinstance(value, float) else f"| {name} | {value} |" for name, value in figures.items()]
    joules = [
        f"| {row['stage']} | {'not measured' if row['joules'] is None else format(row['joules'], '.0f')} | {row['method']} | {row['scope']} |"
        for row in run.energy()
    ]
    return "\n".join(
        [
            "---",
            "library_name: labwright",
            "tags: [instance-segmentation, microscopy, border-core]",
            "---",
            f"# {run.description.get('name') or run.name}",
            "",
            "A U-Net that labels each pixel as background, core or border of a cell; cores become instances.",
            f"Trained by Labwright, run `{run.name}`, seed {run.description['seed']}.",
            "",
            "Input: one channel, float32, "
            + ("normalised by the frame's own mean and deviation." if run.options["normalise"] == "frame" else "normalised as `model.json` says."),
            "A score against silver or automatic labels is agreement with them, not accuracy.",
            "",
            "| figure | value |",
            "|---|---|",
            *rows,
            "",
            "| stage | joules | method | scope |",
            "|---|---|---|---|",
            *joules,
            "",
        ]
    )
