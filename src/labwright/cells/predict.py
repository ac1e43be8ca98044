"""The predict step: instance masks for splits of the pack or for a folder of images, one part per sequence."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tifffile
from numpy.typing import NDArray

from labwright.cells import weights
from labwright.cells.findings import CATALOGUE, BadItem
from labwright.cells.pack import PACK
from labwright.cells.recipe import PredictOptions
from labwright.cells.segment import Segmenter
from labwright.cells.source import identity, raw_files, scan
from labwright.cells.tiff import read_image
from labwright.cells.views import Intensity, nearest
from labwright.data.packs import Pack
from labwright.learn.devices import inference
from labwright.learn.model import checkpoint_files
from labwright.runs import sections
from labwright.runs.errors import MissingError, Stopped
from labwright.runs.publish import digest, write_json
from labwright.runs.run import Run
from labwright.study.step import Figures, Part, RawFile


class Item(NamedTuple):
    """One frame to predict. ``truth`` says where its mask is: the index in the pack, or a file; None where there is none."""

    identity: str
    sequence: str
    frame: int
    split: str | None
    name: str
    index: int | None
    image: Path | None
    level: Intensity | None
    truth: str | None


def sources(options: PredictOptions) -> Iterable[RawFile]:
    """The folder's images, where a folder is predicted, and the files of a checkpoint given by path."""
    return [*(raw_files(scan(options.source)) if options.source else ()), *checkpoint_files(options.checkpoint)]


def preview(options: PredictOptions, inputs: Mapping[str, Run]) -> list[str]:
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
    if options.source is not None:
        listing = scan(options.source)
        return [
            Item(
                identity(listing.root, frame.sequence, frame.frame), frame.sequence, frame.frame, None, frame.image.stem, None, frame.image, None,
                str(frame.mask) if frame.mask else None,
            )
            for frame in itertools.chain.from_iterable(listing.sequences.values())
        ]
    rows = Pack.open(inputs["pack"].output(PACK)).items.to_pylist()
    chosen = [row for row in rows if row["split"] in options.splits]
    absent = [split for split in options.splits if all(row["split"] != split for row in chosen)]
    if absent:
        there = sorted({row["split"] for row in rows if row["split"]})
        raise MissingError(f"split {absent[0]} has no items", where="predict.splits", todo=f"The pack has the splits {', '.join(there)}.")
    return [
        Item(
            row["identity"], row["sequence"], row["frame"], row["split"], f"t{row['frame']:04d}", row["index"], None,
            Intensity(row["mean"], row["deviation"] or 1.0), "pack" if row["n_instances"] is not None else None,
        )
        for row in chosen
    ]


def parts(job: Any) -> list[Part]:
    items = list_items(job.options, job.inputs)
    names = sorted({item.sequence for item in items})
    return [Part(name, cost=sum(item.sequence == name for item in items)) for name in names]


def work(job: Any, part: Part) -> Figures:
    """Predict one sequence and publish its folder of masks."""
    options: PredictOptions = job.options
    items = [item for item in list_items(options, job.inputs) if item.sequence == part.id]
    digits = max(3, len(str(max(item.frame for item in items))))
    rows = []
    with inference(options.precision, job.machine.threads) as device:
        trained = weights.load(options.checkpoint, job.inputs.get("train"), device.torch_device)
        segmenter = Segmenter(
            trained.module, trained.module.multiple, trained.view, options.instances or trained.instances, trained.level, device.torch_device,
            options.tile_px, options.halo_px, options.batch_size, device.autocast, job.stage,
        )
        with job.output(f"{part.id}_RES") as folder:
            folder.mkdir()
            for item, labels in _predicted(job, segmenter, items):
                with job.stage("write"):
                    name = f"mask{item.frame:0{digits}d}.tif"
                    write_labels(folder / name, labels)
                    if options.challenge_files:
                        (folder / "challenge").mkdir(exist_ok=True)
                        write_labels(folder / "challenge" / f"{item.name}_256.tif", nearest(labels, (256, 256)))
                count = int(len(np.unique(labels)) - (labels == 0).any())
                file = f"{part.id}_RES/{name}"
                known = {key: getattr(item, key) for key in ("identity", "sequence", "frame", "split", "index", "truth")}
                rows.append({**known, "image": str(item.image) if item.image else None, "file": file, "cells": count})
                job.progress(len(rows), len(items), f"predict {part.id}")
    return {"frames": rows, "weights": trained.source, "precision": device.precision, "device": str(device.torch_device)}


def _predicted(job: Any, segmenter: Segmenter, items: Sequence[Item]) -> Iterator[tuple[Item, NDArray[np.unsignedinteger]]]:
    """Labels of each readable frame; frames of one shape go through the network together."""
    pack = Pack.open(job.inputs["pack"].output(PACK)) if "pack" in job.inputs and job.options.source is None else None
    for batch in _batched(items, segmenter.batch_size):
        if job.stopping():
            raise Stopped("stopped between two batches of frames")
        with job.stage("read"):
            images = [(item, image) for item in batch if (image := _image(job, pack, item)) is not None]
        for _, same in itertools.groupby(images, key=lambda pair: pair[1].shape):
            pairs = list(same)
            levels = [item.level for item, _ in pairs]
            known = [level for level in levels if level is not None]
            labels = segmenter.labels([image for _, image in pairs], known if len(known) == len(levels) else None)
            yield from zip([item for item, _ in pairs], labels, strict=True)


def _image(job: Any, pack: Pack | None, item: Item) -> NDArray[Any] | None:
    if pack is not None:
        return pack.arrays[f"images/{item.sequence}"][item.index or 0]
    assert item.image is not None
    try:
        job.source(f"{item.image.parent.name}/{item.image.name}", item.image, digest(item.image))
        return read_image(item.image)
    except BadItem as bad:
        job.finding(bad.finding, item.identity, bad.what, CATALOGUE[bad.finding].severity)
        return None


def write_labels(path: Path, labels: NDArray[np.unsignedinteger]) -> None:
    """A compressed TIFF, uint16 or uint32 by the highest label; a label never wraps."""
    kind = np.uint16 if labels.max(initial=0) <= np.iinfo(np.uint16).max else np.uint32
    tifffile.imwrite(path, labels.astype(kind), compression="zlib", metadata=None)


def finish(job: Any) -> Figures:
    results = [job.results()[part.id] for part in parts(job)]
    rows = [row for result in results for row in result["frames"]]
    write_json(job.run.output("predictions.json"), {"weights": results[0]["weights"], "frames": rows}, "output")
    joules = [row for row in job.run.energy() if row["joules"] is not None]
    total = sum(row["joules"] for row in joules)
    figures = {
        "frames": len(rows),
        "cells": sum(row["cells"] for row in rows),
        "unreadable": sum(part.cost for part in parts(job)) - len(rows),
        "joules_per_frame": total / len(rows) if joules and rows else None,
        "precision": results[0]["precision"],
        "device": results[0]["device"],
        "weights": results[0]["weights"],
    }
    method = ", ".join(sorted({row["method"] for row in joules}))
    report = [
        sections.figures(
            "Prediction", [sections.figure(name.replace("_", " "), value, method=method if "joules" in name else "") for name, value in figures.items()]
        ),
        sections.table("Predicted frames", ["identity", "split", "cells", "file"], [[row["identity"], row["split"], row["cells"], row["file"]] for row in rows]),
    ]
    write_json(job.run.output("report.json"), {"sections": report}, "report")
    return figures


def _batched(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
