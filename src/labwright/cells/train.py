"""The train step: a U-Net on border-core targets. The loop itself is ``labwright.learn.loop``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from labwright.cells import weights
from labwright.cells.metrics import score_frame, summarise
from labwright.cells.pack import PACK
from labwright.cells.pixels import Intensity, nearest
from labwright.cells.recipe import TrainOptions
from labwright.cells.segment import Segmenter
from labwright.cells.views import CHANCES, OUTSIDE, augment, network_scale, normalised, resized, scaled_shape, stacked
from labwright.data.packs import Pack
from labwright.data.sampler import IntArray, batches, generator, order
from labwright.learn import devices
from labwright.learn.loop import fit
from labwright.learn.model import export_model
from labwright.learn.report import training_sections, write_metrics
from labwright.learn.resume import origin_files
from labwright.learn.task import Clock
from labwright.runs.errors import MissingError, Stopped
from labwright.runs.faults import fault
from labwright.runs.publish import write_json
from labwright.runs.run import Run
from labwright.study.step import Figures, Job, Part, RawFile

MODEL = Part("model")
Rows = list[dict[str, Any]]


class Batch(NamedTuple):
    """Views of frames, in host memory."""

    images: torch.Tensor
    """(B, 1, h, w) float32, normalised."""
    targets: torch.Tensor
    """(B, h, w) uint8, ``OUTSIDE`` beyond the frame."""
    chances: NDArray[np.float64]
    """(B, 7) in [0, 1): what the augmentation draws from."""


class CellsTask:
    """The ``Task`` of the cells recipe.

    Raises:
        MissingError: a split that the training needs is empty.
    """

    def __init__(self, job: Job[TrainOptions]) -> None:
        self.job = job
        self.options: TrainOptions = job.options
        self.pack = Pack.open(job.inputs["pack"].output(PACK))
        rows = self.pack.items.to_pylist()
        self.train = _split(rows, "train", 'Name its sequences: pack: {split: {train: ["01"]}}.')
        self.held_out: Rows = []
        if self.options.validate != "never":
            held_out = _split(rows, "validate", 'Name its sequences, pack: {split: {validate: ["02"]}}, or set train.validate to never.')
            self.held_out = _spread(held_out, self.options.validate.max_items)
        self.level = level_of(self.options, self.train)
        torch.manual_seed(job.seed)  # the network's first weights; everything later is drawn by (seed, step, item)
        network = weights.build(self.options.network)
        self.module: nn.Module = network
        self.multiple = network.multiple
        self.canvas = self._canvas()
        self.class_weights = torch.tensor(self.options.class_weights)

    def _canvas(self) -> tuple[int, int]:
        """The one shape of all views: that of the largest, square for crops so that each quarter turn fits, padded for the network."""
        shapes = {self.pack.arrays[f"images/{row['array']}"].shape[1:] for row in self.train}
        height, width = np.max([self._window(shape)[1] for shape in shapes], axis=0).tolist()
        if self.options.view.kind == "crop":
            height = width = max(height, width)
        return -(-height // self.multiple) * self.multiple, -(-width // self.multiple) * self.multiple

    def batches(self, epoch: int) -> list[IntArray]:
        """Views of one epoch: every training frame ``views_per_frame`` times; view v shows frame v modulo the number of frames."""
        views = order(self.job.seed, epoch, len(self.train) * self.options.views_per_frame)
        return batches(views, self.options.batch_size, drop_last=False)

    def load(self, items: IntArray, key: int) -> Batch:
        """Cut the views of a batch out of the mapped frames; what is drawn for a view depends on ``key`` and on its number only."""
        chances = np.stack([generator(key, item).random(CHANCES) for item in items.tolist()])
        rows = [self.train[item % len(self.train)] for item in items.tolist()]
        views = [self._view(row, place) for row, place in zip(rows, chances[:, :2].tolist(), strict=True)]
        images, targets = zip(*views, strict=True)
        return Batch(stacked(images, self.canvas, 0.0), stacked(targets, self.canvas, OUTSIDE), chances[:, 2:])

    def _view(self, row: Mapping[str, Any], place: Sequence[float]) -> tuple[torch.Tensor, torch.Tensor]:
        """One view (1, h, w) and its target (h, w); ``place`` in [0, 1) says where it lies."""
        image = self.pack.arrays[f"images/{row['array']}"][row["index"]]
        target = self.pack.arrays[f"targets/{row['array']}"][row["index"]]
        window, shape = self._window(image.shape)
        corner = [int(chance * (length - size + 1)) for chance, length, size in zip(place, image.shape, window, strict=True)]
        region = tuple(slice(start, start + size) for start, size in zip(corner, window, strict=True))
        pixels = resized(normalised(image[region], self.level or Intensity(row["mean"], row["deviation"]))[None], shape)[0]
        return pixels, torch.from_numpy(nearest(target[region], shape).copy())

    def _window(self, shape: tuple[int, ...]) -> tuple[tuple[int, int], tuple[int, int]]:
        """What a view takes of a frame, and its shape for the network; a whole frame is a crop as large as the frame."""
        side, scale = self.options.view.size_px, network_scale(self.options.view, shape)
        window = min(shape[0], round(side / scale)), min(shape[1], round(side / scale))
        height, width = scaled_shape(window, scale)
        return window, (min(height, side), min(width, side))

    def loss(self, batch: Batch, clock: Clock) -> tuple[torch.Tensor, Figures]:
        """Cross-entropy over the three classes, on augmented views."""
        device = devices.of(self.module)
        images, targets = augment(batch.images.to(device), batch.targets.to(device), self.options.augment, batch.chances)
        scores = self.module(images)
        loss = functional.cross_entropy(scores, targets.long(), weight=self.class_weights.to(scores.device), ignore_index=OUTSIDE)
        return loss, {}

    def validate(self) -> Figures:
        """Figures over the validation frames, whole, at their original size, by the formulas of the evaluate step."""
        assert self.options.validate != "never"
        batch_size = self.options.validate.batch_size or self.options.batch_size
        segmenter = Segmenter(
            self.module,
            self.multiple,
            self.options.view,
            self.options.instances,
            self.level,
            devices.of(self.module),
            batch_size=batch_size,
        )
        scores = []
        for start in range(0, len(self.held_out), batch_size):
            if self.job.stopping():
                raise Stopped("stopped between two validation batches")
            fault("train:in-validate")
            rows = self.held_out[start : start + batch_size]
            images = [self.pack.arrays[f"images/{row['array']}"][row["index"]] for row in rows]
            levels = [Intensity(row["mean"], row["deviation"]) for row in rows]
            for row, labels in zip(rows, segmenter.labels(images, levels), strict=True):
                scores.append(score_frame(self.pack.arrays[f"labels/{row['array']}"][row["index"]], labels))
        overall = summarise({"validate": scores}, resamples=0)["overall"]
        return {name: overall[name] for name in ("instance_dice", "f1")}


def level_of(options: TrainOptions, rows: Rows) -> Intensity | None:
    """The one intensity of the training frames, where the options ask for it; None normalises each frame by itself."""
    return pack_intensity(rows) if options.normalise == "pack" else None


def pack_intensity(rows: Rows) -> Intensity:
    """Mean and deviation over all pixels of frames of equal weight."""
    means = np.array([row["mean"] for row in rows])
    squares = np.array([row["deviation"] for row in rows]) ** 2 + means**2
    return Intensity(float(means.mean()), float(np.sqrt(max(squares.mean() - means.mean() ** 2, 0.0))) or 1.0)


def sources(options: TrainOptions) -> Iterable[RawFile]:
    """The files of weights or of a training to go on from."""
    return origin_files(options, MODEL)


def preview(options: TrainOptions, inputs: Mapping[str, Run]) -> list[str]:
    """What would be trained on."""
    lines = [f"U-Net {'-'.join(map(str, options.network.widths))}, {options.epochs} epochs of batches of {options.batch_size}"]
    if "pack" in inputs:
        counts = Pack.open(inputs["pack"].output(PACK)).items.column("split").value_counts().to_pylist()
        lines.append("splits: " + ", ".join(f"{count['values']} {count['counts']}" for count in counts if count["values"]))
    return lines


def parts(job: Job[TrainOptions]) -> list[Part]:
    return [MODEL]


def work(job: Job[TrainOptions], part: Part) -> Figures:
    return fit(CellsTask(job), job.options, job, part)


def finish(job: Job[TrainOptions]) -> Figures:
    """Leave the chosen weights as ``output/model``, the metric series as CSV, and the report."""
    options: TrainOptions = job.options
    results = job.results()[MODEL.id]
    rows = _split(Pack.open(job.inputs["pack"].output(PACK)).items.to_pylist(), "train", "")
    export_model(job, MODEL, weights.description(options.network, options.view, options.instances, level_of(options, rows)))
    with job.output("metrics.csv") as path:
        write_metrics(job.run, path)
    figures = {**results, **joules_per_item(job.run, results)}
    write_json(job.run.output("report.json"), {"sections": training_sections(job.run, figures)}, "report")
    return figures


def joules_per_item(run: Run, results: Mapping[str, Any]) -> dict[str, float | None]:
    """Joules for each view that this run trained on, over all attempts, without validation; None where nothing was measured."""
    joules = sum(row["joules"] for row in run.energy() if row["stage"] == "train" and row["joules"] is not None)
    return {"joules_per_frame_trained": joules / results["items_seen"] if joules and results["items_seen"] else None}


def _split(rows: Rows, name: str, todo: str) -> Rows:
    found = [row for row in rows if row["split"] == name]
    if not found:
        raise MissingError(f"the pack has no items in split {name}", where="pack.split", todo=todo)
    return found


def _spread(rows: Rows, most: int | None) -> Rows:
    """At most so many rows, evenly spread over all."""
    if most is None or len(rows) <= most:
        return rows
    return [rows[i * len(rows) // most] for i in range(most)]
