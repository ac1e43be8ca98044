"""The predict step: instance masks for splits of the pack or for a folder of images, one part per range of frames."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from labwright.cells import weights
from labwright.cells.findings import CATALOGUE, BadItem
from labwright.cells.pack import PACK, raw_bytes
from labwright.cells.pixels import Intensity, nearest
from labwright.cells.recipe import PredictOptions
from labwright.cells.segment import Segmenter
from labwright.cells.source import identity, raw_files, scan
from labwright.cells.source_options import SourceOptions
from labwright.cells.tiff import read_image
from labwright.data.packs import Pack
from labwright.learn.devices import inference
from labwright.learn.model import checkpoint_files
from labwright.runs import sections
from labwright.runs.errors import MissingError, Stopped
from labwright.runs.publish import write_json
from labwright.runs.run import Run
from labwright.study.step import Figures, Job, Part, RawFile

PART_FRAMES = 64
"""So many frames at most are predicted again after a kill."""
IN_PACK = "pack"
"""Stands for the truth of a frame whose mask is in the pack."""


@dataclass(frozen=True)
class Item:
    """One frame to predict. Files are named below the source's base folder."""

    identity: str
    sequence: str
    frame: int
    split: str | None
    index: int | None
    """Where the image lies in the pack; None for one in a folder."""
    image: str | None
    """The image's file; None for one in the pack."""
    truth: str | None
    """Where its mask is: ``IN_PACK`` or a file; None where there is none."""
    name: str
    """The image's own name, without its ending."""
    level: Intensity | None
    """The image's intensity, where it is known."""


def sources(options: PredictOptions) -> Iterable[RawFile]:
    """The folder's images, where a folder is predicted, and the files of a checkpoint given by path."""
    return [*(raw_files(scan(options.source)) if options.source else ()), *checkpoint_files(str(options.checkpoint))]


def preview(options: PredictOptions, inputs: Mapping[str, Run]) -> list[str]:
    """What would be predicted, a line a sequence."""
    if options.source is None and "pack" not in inputs:
        return [f"the frames of {', '.join(options.splits)}, when the pack is made"]
    items = list_items(options, inputs)
    names = sorted({item.sequence for item in items})
    return [f"{sum(item.sequence == name for item in items)} frames of {name} → {name}_RES/mask*.tif" for name in names]


def list_items(options: PredictOptions, inputs: Mapping[str, Run]) -> list[Item]:
    """What there is to predict, by sequence and frame.

    Raises:
        MissingError: a split has no items.
    """
    return _in_folder(options.source) if options.source is not None else _in_pack(options, inputs)


def _in_folder(source: SourceOptions) -> list[Item]:
    listing = scan(source)
    return [
        Item(
            identity=identity(listing.root, name, frame.frame),
            sequence=name,
            frame=frame.frame,
            split=None,
            index=None,
            image=frame.image.relative_to(listing.base).as_posix(),
            truth=frame.mask.relative_to(listing.base).as_posix() if frame.mask else None,
            name=frame.image.stem,
            level=None,
        )
        for name, frames in listing.sequences.items()
        for frame in frames
    ]


def _in_pack(options: PredictOptions, inputs: Mapping[str, Run]) -> list[Item]:
    rows = Pack.open(inputs["pack"].output(PACK)).items.to_pylist()
    splits = {row["split"] for row in rows if row["split"]}
    absent = [split for split in options.splits if split not in splits]
    if absent:
        todo = f"The pack has the splits {', '.join(sorted(splits))}."
        raise MissingError(f"split {absent[0]} has no items", where="predict.splits", todo=todo)
    return [
        Item(
            identity=row["identity"],
            sequence=row["sequence"],
            frame=row["frame"],
            split=row["split"],
            index=row["index"],
            image=None,
            truth=IN_PACK if row["n_instances"] is not None else None,
            name=f"t{row['frame']:04d}",
            level=Intensity(row["mean"], row["deviation"]),
        )
        for row in rows
        if row["split"] in options.splits
    ]


def parts(job: Job[PredictOptions]) -> list[Part]:
    items = list_items(job.options, job.inputs)
    counts = {item.sequence: sum(other.sequence == item.sequence for other in items) for item in items}
    return [
        Part(f"{sequence}-{start:05d}", cost=min(PART_FRAMES, count - start))
        for sequence, count in counts.items()
        for start in range(0, count, PART_FRAMES)
    ]


def work(job: Job[PredictOptions], part: Part) -> Figures:
    """Predict some frames of one sequence; each mask is published by itself."""
    options: PredictOptions = job.options
    sequence, _, start = part.id.rpartition("-")
    items = [item for item in list_items(options, job.inputs) if item.sequence == sequence]
    digits = max(3, len(str(items[-1].frame)))
    items = items[int(start) : int(start) + PART_FRAMES]
    frames = _Frames(job)
    rows: list[dict[str, Any]] = []
    unread: list[dict[str, Any]] = []
    with inference(options.precision, job.machine.threads) as device:
        trained = weights.load(str(options.checkpoint), job.inputs.get("train"), device.torch_device)
        for file in checkpoint_files(str(options.checkpoint)):
            job.source(file.name, file.path, file.sha256)
        segmenter = Segmenter(
            module=trained.module,
            multiple=trained.module.multiple,
            view=trained.view,
            options=options.instances or trained.instances,
            level=trained.level,
            device=device.torch_device,
            tile_px=options.tile_px,
            halo_px=options.halo_px,
            batch_size=options.batch_size,
            autocast=device.autocast,
            stage=job.stage,
        )
        for first in range(0, len(items), options.batch_size):
            if job.stopping():
                raise Stopped("stopped between two batches of frames")
            with job.stage("read"):
                read = [(item, frames.image(item)) for item in items[first : first + options.batch_size]]
            unread += [_told(item) for item, image in read if image is None]
            seen = [(item, image) for item, image in read if image is not None]
            masks = segmenter.labels([image for _, image in seen], [item.level for item, _ in seen])
            for (item, _), labels in zip(seen, list(masks), strict=True):
                file_name = f"{sequence}_RES/mask{item.frame:0{digits}d}.tif"
                with job.stage("write"):
                    _publish(job, file_name, labels)
                    if options.challenge_files:
                        _publish(job, f"challenge/{sequence}/{item.name}_256.tif", nearest(labels, (256, 256)))
                rows.append({**_told(item), "file": file_name, "cells": int(np.count_nonzero(np.unique(labels)))})
            job.progress(len(rows) + len(unread), len(items), f"predict {part.id}")
    return {"frames": rows, "unread": unread, "weights": trained.source, "precision": device.precision, "device": str(device.torch_device)}


class _Frames:
    """The images of a job, from its pack or from its folder."""

    def __init__(self, job: Job[PredictOptions]) -> None:
        self.job = job
        self.base = base_folder(job.options)
        self.pack = None if self.base else Pack.open(job.inputs["pack"].output(PACK))

    def image(self, item: Item) -> NDArray[Any] | None:
        """(H, W); None for one that cannot be used, which becomes a finding."""
        if self.pack is not None and item.index is not None:
            return self.pack.arrays[f"images/{item.sequence}"][item.index]
        assert self.base is not None
        assert item.image is not None
        path = self.base / item.image
        try:
            return read_image(path, raw_bytes(self.job, self.base, path)[0])
        except BadItem as bad:
            self.job.finding(bad.finding, item.identity, bad.what, CATALOGUE[bad.finding].severity)
            return None


def base_folder(options: PredictOptions) -> Path | None:
    """The folder below which the images and masks of a predicted folder are named; None where splits of the pack are predicted."""
    return scan(options.source).base if options.source else None


def _told(item: Item) -> dict[str, Any]:
    """What ``predictions.json`` says of a frame."""
    return {name: getattr(item, name) for name in ("identity", "sequence", "frame", "split", "index", "image", "truth")}


def _publish(job: Job[PredictOptions], name: str, labels: NDArray[np.unsignedinteger]) -> None:
    with job.output(name) as path:
        write_labels(path, labels)


def write_labels(path: Path, labels: NDArray[np.unsignedinteger]) -> None:
    """A compressed TIFF, uint16 or uint32 by the highest label; a label never wraps."""
    kind = np.uint16 if labels.max(initial=0) <= np.iinfo(np.uint16).max else np.uint32
    tifffile.imwrite(path, labels.astype(kind), compression="zlib", metadata=None)


def finish(job: Job[PredictOptions]) -> Figures:
    """Write ``predictions.json``, which pairs masks with frames, and the report."""
    if job.options.source is not None:
        for one in scan(job.options.source).findings:
            if one.code != "CEL004":  # nobody needs masks here
                job.finding(one.code, one.place, one.text, one.severity)
    results = job.results()
    done = [results[part.id] for part in parts(job)]
    rows = [row for result in done for row in result["frames"]]
    unread = [row for result in done for row in result["unread"]]
    write_json(job.run.output("predictions.json"), {"weights": done[0]["weights"], "frames": rows, "unread": unread}, "output")
    energy = [row for row in job.run.energy() if row["joules"]]
    figures = {
        "frames": len(rows),
        "cells": sum(row["cells"] for row in rows),
        "unreadable": len(unread),
        **_joules_per_frame(energy, len(rows)),
        **{name: done[0][name] for name in ("precision", "device", "weights")},
    }
    method = " and ".join(sorted({row["method"] for row in energy}))
    items = [sections.figure(name.replace("_", " "), value, method=method if "joules" in name else "") for name, value in figures.items()]
    columns = ["identity", "split", "cells", "file"]
    report = [
        sections.figures("Prediction", items),
        sections.table("Predicted frames", columns, [[row[name] for name in columns] for row in rows]),
    ]
    write_json(job.run.output("report.json"), {"sections": report}, "report")
    return figures


def _joules_per_frame(energy: Sequence[Mapping[str, Any]], frames: int) -> dict[str, float | None]:
    """Joules for each frame, of the whole step and of its stages; None where nothing was measured."""
    if not energy or not frames:
        return {"joules_per_frame": None}
    stages = dict.fromkeys(row["stage"] for row in energy)
    spent = {stage: sum(row["joules"] for row in energy if row["stage"] == stage) for stage in stages}
    return {
        "joules_per_frame": sum(spent.values()) / frames,
        **{f"joules_per_frame_{stage}": joules / frames for stage, joules in spent.items()},
    }
