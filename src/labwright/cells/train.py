"""The train step: a U-Net on border-core targets. The loop itself is ``labwright.learn.loop``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from labwright.cells import weights
from labwright.cells.metrics import score_frame
from labwright.cells.pack import PACK
from labwright.cells.recipe import TrainOptions
from labwright.cells.segment import Segmenter
from labwright.cells.views import CHANCES, OUTSIDE, Intensity, augment, nearest, network_scale, normalised, resized, scaled_shape, stacked
from labwright.data.gather import crops
from labwright.data.packs import Pack
from labwright.data.sampler import IntArray, batches, generator, order
from labwright.learn import devices
from labwright.learn.loop import fit
from labwright.learn.model import export_model
from labwright.learn.report import training_sections, write_metrics
from labwright.learn.task import Clock
from labwright.runs.errors import MissingError, Stopped
from labwright.runs.faults import fault
from labwright.runs.publish import write_json
from labwright.runs.run import Run
from labwright.study.step import Figures, Part

MODEL = Part("model")
Frames = Sequence[NDArray[Any]]


class Batch(NamedTuple):
    """Views of frames, in host memory."""

    images: torch.Tensor
    """(B, 1, h, w) float32, normalised."""
    targets: torch.Tensor
    """(B, h, w) uint8, ``OUTSIDE`` beyond the frame."""
    chances: NDArray[np.float64]
    """(B, 7) in [0, 1): what the augmentation draws from."""


class CellsTask:
    """The ``Task`` of the cells recipe."""

    def __init__(self, job: Any) -> None:
        self.job = job
        self.options: TrainOptions = job.options
        self.pack = Pack.open(job.inputs["pack"].output(PACK))
        rows = self.pack.items.to_pylist()
        self.train = [row for row in rows if row["split"] == "train"]
        held_out = [row for row in rows if row["split"] == "validate"]
        self.held_out = [] if self.options.validate == "never" else _spread(held_out, self.options.validate.max_items)
        if not self.train:
            raise MissingError("the pack has no items in split train", where="pack.split", todo="Name its sequences: split: {train: [\"01\"]}.")
        self.level = level_of(self.options, self.train)
        torch.manual_seed(job.seed)  # the network's first weights; everything later is drawn by (seed, step, item)
        self.module: nn.Module = weights.build(self.options.network)
        self.multiple = self.module.multiple
        self.class_weights = torch.tensor(self.options.class_weights)

    def batches(self, epoch: int) -> list[IntArray]:
        """Views of one epoch: every training frame ``views_per_frame`` times; view v shows frame v modulo the number of frames."""
        views = order(self.job.seed, epoch, len(self.train) * self.options.views_per_frame)
        return batches(views, self.options.batch_size, drop_last=False)

    def load(self, items: IntArray, key: int) -> Batch:
        """Cut the views of a batch out of the mapped frames."""
        rows = [self.train[item % len(self.train)] for item in items.tolist()]
        images = [self.pack.arrays[f"images/{row['array']}"][row["index"]] for row in rows]
        targets = [self.pack.arrays[f"targets/{row['array']}"][row["index"]] for row in rows]
        levels = [self.level or Intensity(row["mean"], row["deviation"] or 1.0) for row in rows]
        chances = np.stack([generator(key, item).random(CHANCES) for item in items.tolist()])
        cut = self._crops(images, targets, levels, chances[:, :2]) if self.options.view.kind == "crop" else self._frames(images, targets, levels)
        return Batch(*cut, chances[:, 2:])

    def _crops(self, images: Frames, targets: Frames, levels: list[Intensity], places: NDArray[np.float64]) -> tuple[torch.Tensor, torch.Tensor]:
        side, scale = self.options.view.size_px, self.options.view.scale
        space = np.array([image.shape for image in images])
        height, width = np.minimum(space.min(axis=0), round(side / scale)).tolist()
        corners = (places * (space - (height, width) + 1)).astype(np.int64)
        shape = tuple(min(length, side) for length in scaled_shape((height, width), scale))
        pixels = [normalised(crop, level) for crop, level in zip(crops(images, corners, (height, width)), levels, strict=True)]
        classes = [torch.from_numpy(nearest(crop, shape)) for crop in crops(targets, corners, (height, width))]
        return stacked(list(resized(torch.stack(pixels), shape)), (side, side), 0.0), stacked(classes, (side, side), OUTSIDE)

    def _frames(self, images: Frames, targets: Frames, levels: list[Intensity]) -> tuple[torch.Tensor, torch.Tensor]:
        pixels, classes = [], []
        for image, target, level in zip(images, targets, levels, strict=True):
            shape = scaled_shape(image.shape, network_scale(self.options.view, image.shape))
            pixels.append(resized(normalised(image, level)[None], shape)[0])
            classes.append(torch.from_numpy(nearest(target, shape).copy()))
        height, width = (-(-max(view.shape[axis] for view in pixels) // self.multiple) * self.multiple for axis in (-2, -1))
        return stacked(pixels, (height, width), 0.0), stacked(classes, (height, width), OUTSIDE)

    def loss(self, batch: Batch, clock: Clock) -> tuple[torch.Tensor, Figures]:
        """Cross-entropy over the three classes, on augmented views."""
        device = devices.of(self.module)
        images, targets = augment(batch.images.to(device), batch.targets.to(device), self.options.augment, batch.chances)
        scores = self.module(images)
        loss = functional.cross_entropy(scores, targets.long(), weight=self.class_weights.to(scores.device), ignore_index=OUTSIDE)
        return loss, {}

    def validate(self) -> Figures:
        """Mean Instance Dice over the validation frames, whole, at their original size."""
        assert self.options.validate != "never"
        batch_size = self.options.validate.batch_size or self.options.batch_size
        segmenter = Segmenter(self.module, self.multiple, self.options.view, self.options.instances, self.level, devices.of(self.module), batch_size=batch_size)
        scores = []
        for start in range(0, len(self.held_out), batch_size):
            if self.job.stopping():
                raise Stopped("stopped between two validation batches")
            fault("train:in-validate")
            for row in self.held_out[start : start + batch_size]:
                image = self.pack.arrays[f"images/{row['array']}"][row["index"]]
                labels = next(segmenter.labels([image], [Intensity(row["mean"], row["deviation"] or 1.0)]))
                scores.append(score_frame(self.pack.arrays[f"labels/{row['array']}"][row["index"]], labels))
        return {"instance_dice": float(np.mean([score.instance_dice for score in scores])), "f1": float(np.mean([score.f1 for score in scores]))}


def level_of(options: TrainOptions, rows: list[dict[str, Any]]) -> Intensity | None:
    """The one intensity of the training frames, where the options ask for it; None normalises each frame by itself."""
    return pack_intensity(rows) if options.normalise == "pack" else None


def pack_intensity(rows: list[dict[str, Any]]) -> Intensity:
    """Mean and deviation over all pixels of frames of equal weight."""
    means = np.array([row["mean"] for row in rows])
    squares = np.array([row["deviation"] for row in rows]) ** 2 + means**2
    return Intensity(float(means.mean()), float(np.sqrt(max(squares.mean() - means.mean() ** 2, 0.0))) or 1.0)


def preview(options: TrainOptions, inputs: Mapping[str, Run]) -> list[str]:
    """What would be trained on."""
    lines = [f"U-Net {'-'.join(map(str, options.network.widths))}, {options.epochs} epochs of batches of {options.batch_size}"]
    if "pack" in inputs:
        counts = Pack.open(inputs["pack"].output(PACK)).items.column("split").value_counts().to_pylist()
        lines.append("splits: " + ", ".join(f"{count['values']} {count['counts']}" for count in counts if count["values"]))
    return lines


def parts(job: Any) -> list[Part]:
    return [MODEL]


def work(job: Any, part: Part) -> Figures:
    return fit(CellsTask(job), job.options, job, part)


def finish(job: Any) -> Figures:
    """Leave the chosen weights as ``output/model``, the metric series as CSV, and the report."""
    options: TrainOptions = job.options
    results = job.results()[MODEL.id]
    rows = [row for row in Pack.open(job.inputs["pack"].output(PACK)).items.to_pylist() if row["split"] == "train"]
    export_model(job, MODEL, weights.description(options.network, options.view, options.instances, level_of(options, rows)))
    with job.output("metrics.csv") as path:
        write_metrics(job.run, path)
    figures = {**results, **joules_per_item(job.run, results)}
    write_json(job.run.output("report.json"), {"sections": training_sections(job.run, figures)}, "report")
    return figures


def joules_per_item(run: Run, results: Mapping[str, Any]) -> dict[str, float | None]:
    """Joules for each view trained on, over all attempts; None where nothing was measured."""
    joules = [row["joules"] for row in run.energy() if row["stage"] == "train" and row["joules"] is not None]
    views = results.get("items_seen")
    return {"joules_per_frame_trained": sum(joules) / views if joules and views else None}


def _spread(rows: list[dict[str, Any]], most: int | None) -> list[dict[str, Any]]:
    """At most so many rows, evenly spread over all."""
    if most is None or len(rows) <= most:
        return rows
    return [rows[i * len(rows) // most] for i in range(most)]
