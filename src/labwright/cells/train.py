"""The train step: a U-Net on border-core targets. The loop itself is ``labwright.learn.loop``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from labwright.cells import weights
from labwright.cells.metrics import score_frame
from labwright.cells.pack import PACK
from labwright.cells.recipe import InstanceOptions, TrainOptions
from labwright.cells.segment import Segmenter
from labwright.cells.views import OUTSIDE, Intensity, augment, nearest, network_scale, normalised, resized, scaled_shape, stacked, window
from labwright.data.packs import Pack
from labwright.data.sampler import IntArray, batches, generator, order
from labwright.learn.loop import fit
from labwright.learn.model import export_model
from labwright.learn.report import training_sections
from labwright.learn.task import Clock
from labwright.runs.errors import MissingError, Stopped
from labwright.runs.faults import fault
from labwright.runs.publish import write_json
from labwright.runs.run import Run
from labwright.study.step import Figures, Part

MODEL = Part("model")


class Batch(NamedTuple):
    """Views of frames: images (B, 1, h, w) float32, normalised; targets (B, h, w) uint8, ``OUTSIDE`` beyond the frame."""

    images: torch.Tensor
    targets: torch.Tensor


class CellsTask:
    """The ``Task`` of the cells recipe."""

    def __init__(self, job: Any) -> None:
        self.job = job
        self.options: TrainOptions = job.options
        self.pack = Pack.open(job.inputs["pack"].output(PACK))
        rows = self.pack.items.to_pylist()
        self.train = [row for row in rows if row["split"] == "train"]
        self.held_out = _spread([row for row in rows if row["split"] == "validate"], self.options.validate_items)
        if not self.train:
            raise MissingError("the pack has no items in split train", where="pack.split", todo="Name its sequences: split: {train: [\"01\"]}.")
        self.level = pack_intensity(self.train) if self.options.normalise == "pack" else None
        torch.manual_seed(job.seed)  # the network's first weights; everything later is drawn by (seed, step)
        self.module = weights.build(self.options.network)
        self.class_weights = torch.tensor(self.options.class_weights)

    def batches(self, epoch: int) -> list[IntArray]:
        """Views of one epoch: every training frame ``views_per_frame`` times."""
        views = order(self.job.seed, epoch, len(self.train) * self.options.views_per_frame)
        return batches(views % len(self.train), self.options.batch_size, drop_last=False)

    def load(self, items: IntArray, key: int) -> Batch:
        """Cut the views of a batch out of the mapped frames; ``key`` places them."""
        places = generator(self.job.seed, "crop", key).random((len(items), 2))
        images, targets = zip(*(self._view(self.train[item], place) for item, place in zip(items.tolist(), places, strict=True)), strict=True)
        if self.options.view.kind == "crop":
            shape = (self.options.view.size_px, self.options.view.size_px)
        else:
            multiple = self.module.multiple
            sides = (max(image.shape[axis] for image in images) for axis in (-2, -1))
            shape = tuple(-(-side // multiple) * multiple for side in sides)  # type: ignore[assignment]
        return Batch(stacked(images, shape, 0.0), stacked(targets, shape, OUTSIDE))

    def _view(self, row: Mapping[str, Any], place: NDArray[np.float64]) -> tuple[torch.Tensor, torch.Tensor]:
        image = self.pack.arrays[f"images/{row['array']}"][row["index"]]
        target = self.pack.arrays[f"targets/{row['array']}"][row["index"]]
        scale = network_scale(self.options.view, (image.shape[0], image.shape[1]))
        if self.options.view.kind == "crop":
            part = window((image.shape[0], image.shape[1]), round(self.options.view.size_px / scale), place)
            image, target = image[part], target[part]
        shape = scaled_shape((image.shape[0], image.shape[1]), scale)
        level = self.level or Intensity(row["mean"], row["deviation"] or 1.0)
        return resized(normalised(image, level)[None], shape)[0], torch.from_numpy(np.ascontiguousarray(nearest(target, shape)))

    def loss(self, batch: Batch, clock: Clock) -> tuple[torch.Tensor, Figures]:
        """Cross-entropy over the three classes, on augmented views."""
        images, targets = augment(batch.images, batch.targets, self.options.augment, generator(self.job.seed, "augment", clock.key))
        scores = self.module(images)
        loss = functional.cross_entropy(scores, targets.long(), weight=self.class_weights.to(scores.device), ignore_index=OUTSIDE)
        return loss, {}

    def validate(self) -> Figures:
        """Mean Instance Dice over the validation frames, whole, at their original size."""
        device = next(self.module.parameters()).device
        batch_size = self.options.validate_batch_size
        segmenter = Segmenter(self.module, self.module.multiple, self.options.view, InstanceOptions(), self.level, device, batch_size=batch_size)
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
    task = CellsTask(job)
    export_model(job, MODEL, weights.description(options.network, options.view, task.level))
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
