"""The pack step: raw TIFFs → a pack with images, labels and targets, one array of each per sequence.

A part is a shard: a range of frames of one sequence. What cannot be read, or does not fit, is a finding; its
place in the arrays stays zero and its item has no split, so that a bad file moves no other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from labwright.cells.findings import BadItem, finding
from labwright.cells.recipe import PackOptions
from labwright.cells.source import Frame, Listing, identity, raw_files, scan
from labwright.cells.target import border_core, border_core_by_size
from labwright.cells.tiff import inspect_image, inspect_mask, read_image, read_mask, scales
from labwright.cells.views import intensity
from labwright.data.findings import Finding
from labwright.data.splits import assign
from labwright.data.write import ArraySpec, Shard, content_digest, finish_pack, shards, write_shard
from labwright.runs import sections
from labwright.runs.errors import MissingError
from labwright.runs.publish import digest, write_json
from labwright.runs.run import Run
from labwright.study.step import Figures, Part, RawFile

PACK = "pack.zarr"
NEED_LABELS = ("train", "validate")


@dataclass(frozen=True)
class Layout:
    """What the pack will hold, known before any frame but the first of each sequence is read."""

    listing: Listing
    specs: Mapping[str, tuple[ArraySpec, ArraySpec, ArraySpec]]
    """Images, labels and targets of each sequence."""

    def shards(self) -> Iterator[tuple[str, Shard]]:
        for sequence, (images, _, _) in self.specs.items():
            for shard in shards(images):
                yield sequence, shard

    def frames(self, sequence: str, shard: Shard) -> Sequence[Frame]:
        return self.listing.sequences[sequence][shard.start : shard.stop]


_layouts: dict[str, Layout] = {}


def layout(options: PackOptions) -> Layout:
    """The layout that follows from the options and the files; kept, as every part of a worker asks for it.

    Raises:
        MissingError: a folder is missing, or none of its images can be read.
    """
    key = options.model_dump_json()
    if key not in _layouts:
        listing = scan(options.source)
        specs = {}
        for sequence, frames in listing.sequences.items():
            first = _first_readable(frames)
            if first is None:
                continue
            shape = (len(frames), *first.shape)
            compression = "zstd" if options.compression == "zstd" else None
            specs[sequence] = (
                ArraySpec(f"images/{sequence}", shape, first.dtype.name, options.shard_frames, compression),
                ArraySpec(f"labels/{sequence}", shape, "uint32", options.shard_frames, compression),
                ArraySpec(f"targets/{sequence}", shape, "uint8", options.shard_frames, compression),
            )
        if not specs:
            raise MissingError("no image can be read", where=str(options.source.path), todo="Look at the first file with any image viewer.")
        _layouts[key] = Layout(listing, specs)
    return _layouts[key]


def sources(options: PackOptions) -> Iterable[RawFile]:
    """Every image and mask that the pack is made of."""
    return raw_files(scan(options.source))


def preview(options: PackOptions, inputs: Mapping[str, Run]) -> list[str]:
    """What would be read and made, a line a sequence."""
    lines = []
    plan = layout(options)
    for sequence, (images, _, _) in plan.specs.items():
        frames = plan.listing.sequences[sequence]
        masks = sum(frame.mask is not None for frame in frames)
        megabytes = np.prod(images.shape) * (np.dtype(images.dtype).itemsize + 5) / 1e6
        height, width = images.shape[1:]
        lines.append(f"{sequence}: {len(frames)} frames of {width}×{height} {images.dtype}, {masks} masks → {megabytes:.1f} MB")
    return [*lines, *(f"{one.severity} {one.code} {one.place}: {one.text}" for one in plan.listing.findings)]


def parts(job: Any) -> list[Part]:
    return [Part(f"{sequence}-{shard.start:05d}", cost=shard.stop - shard.start) for sequence, shard in layout(job.options).shards()]


def work(job: Any, part: Part) -> Figures:
    """Read the frames of one shard and publish its three files."""
    plan = layout(job.options)
    sequence, shard = next((sequence, shard) for sequence, shard in plan.shards() if f"{sequence}-{shard.start:05d}" == part.id)
    specs = plan.specs[sequence]
    arrays = [np.zeros((shard.stop - shard.start, *spec.shape[1:]), spec.dtype) for spec in specs]
    rows = []
    with job.stage("pack"):
        for number, frame in enumerate(plan.frames(sequence, shard)):
            split = assign(job.options.split, sequence, frame.frame)
            row, image, labels = _read(job, plan.listing, frame, specs[0], split)
            if image is not None:
                arrays[0][number] = image
            if labels is not None:
                arrays[1][number] = labels
                arrays[2][number] = _target(labels, job.options)
            rows.append({**row, "array": sequence, "index": shard.start + number})
        for spec, array in zip(specs, arrays, strict=True):
            file = next(one.file for one in shards(spec) if one.start == shard.start)
            write_shard(job.run.output(PACK) / file, spec, shard.start, array)
    return {"frames": rows}


def finish(job: Any) -> Figures:
    """Write metadata, items and manifest; the report counts what was packed and what was set aside."""
    plan = layout(job.options)
    for one in plan.listing.findings:
        job.finding(one.code, one.place, one.text, one.severity)
    rows = [row for part in parts(job) for row in job.results()[part.id]["frames"]]
    for one in _repeated(rows):
        job.finding(one.code, one.place, one.text, one.severity)
    specs = [spec for three in plan.specs.values() for spec in three]
    finish_pack(job.run.output(PACK), specs, _table(rows), {"recipe": "cells", "source": plan.listing.root, "target": job.options.target.model_dump()})
    used = [row for row in rows if row["split"]]
    counts = {split: sum(row["split"] == split for row in used) for split in job.options.split}
    figures = {
        "items": len(rows),
        **{f"items_{split}": count for split, count in counts.items()},
        "set_aside": sum(row["aside"] is not None for row in rows),
        "cells": sum(row["n_instances"] or 0 for row in used),
        "bytes": sum(path.stat().st_size for path in job.run.output(PACK).rglob("*") if path.is_file()),
    }
    report = [
        sections.figures("Pack", [sections.figure(name.replace("_", " "), value) for name, value in figures.items()]),
        sections.table(
            "Frames",
            ["identity", "split", "set aside", "cells", "mean", "deviation"],
            [[row["identity"], row["split"], row["aside"], row["n_instances"], row["mean"], row["deviation"]] for row in rows],
        ),
    ]
    write_json(job.run.output("report.json"), {"sections": report}, "report")
    return figures


def _read(
    job: Any, listing: Listing, frame: Frame, spec: ArraySpec, split: str | None
) -> tuple[dict[str, Any], NDArray[Any] | None, NDArray[np.uint32] | None]:
    name = identity(listing.root, frame.sequence, frame.frame)
    row: dict[str, Any] = {"identity": name, "sequence": frame.sequence, "frame": frame.frame, "split": split, "aside": None, "n_instances": None}
    row |= {"mean": None, "deviation": None, "minimum": None, "maximum": None, "digest": None, "pixel_size_um": None, "frame_interval_s": None}
    options = job.options.source
    image = labels = None
    try:
        job.source(frame.image.relative_to(listing.base).as_posix(), frame.image, digest(frame.image))
        image = read_image(frame.image)
        _fits(image, spec)
        pixel_size, interval = scales(frame.image)
        row |= {"pixel_size_um": options.pixel_size_um or pixel_size, "frame_interval_s": options.frame_interval_s or interval}
        level = intensity(image)
        row |= {"mean": level.mean, "deviation": level.deviation, "minimum": float(image.min()), "maximum": float(image.max())}
        found = inspect_image(image, name)
        if frame.mask is not None:
            job.source(frame.mask.relative_to(listing.base).as_posix(), frame.mask, digest(frame.mask))
            labels = read_mask(frame.mask)
            if labels.shape != image.shape:
                raise BadItem("CEL020", f"the image has {_size(image)} pixels, the mask {_size(labels)}", where=str(frame.mask))
            row["n_instances"] = len(np.unique(labels[labels > 0]))
            found += inspect_mask(labels, name)
        elif split in NEED_LABELS:
            raise BadItem("CEL002", f"split {split} needs a mask for each image", where=str(frame.image))
        row["digest"] = content_digest(image, *([labels] if labels is not None else []))
        for one in found:
            job.finding(one.code, one.place, one.text, one.severity)
    except BadItem as bad:
        job.finding(bad.finding, name, f"{bad.what} ({bad.where})" if bad.where else bad.what, finding(bad.finding, "", "").severity)
        return {**row, "split": None, "aside": bad.finding}, None, None
    return row, image, None if labels is None else labels.astype(np.uint32)


def _fits(image: NDArray[Any], spec: ArraySpec) -> None:
    if image.shape != spec.shape[1:]:
        height, width = spec.shape[1:]
        raise BadItem("CEL030", f"the frame has {_size(image)} pixels, its sequence {width}×{height}")
    if image.dtype.name != spec.dtype:
        raise BadItem("CEL031", f"the frame is {image.dtype.name}, its sequence {spec.dtype}")


def _target(labels: NDArray[np.uint32], options: PackOptions) -> NDArray[np.uint8]:
    make = border_core_by_size if options.target.by_size else border_core
    return make(labels, options.target.width_px)


def _first_readable(frames: Sequence[Frame]) -> NDArray[Any] | None:
    for frame in frames:
        try:
            return read_image(frame.image)
        except BadItem:
            continue
    return None


def _repeated(rows: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    for before, row in zip(rows, rows[1:], strict=False):
        if row["digest"] and row["digest"] == before["digest"] and row["sequence"] == before["sequence"]:
            yield finding("CEL033", row["identity"], f"equal to {before['identity']}")


def _table(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    text, whole, real = pa.string(), pa.int64(), pa.float64()
    types = {"identity": text, "sequence": text, "frame": whole, "array": text, "index": whole, "split": text, "aside": text}
    types |= {"n_instances": whole, "mean": real, "deviation": real, "minimum": real, "maximum": real, "digest": text}
    types |= {"pixel_size_um": real, "frame_interval_s": real}
    return pa.table({name: pa.array([row[name] for row in rows], kind) for name, kind in types.items()})


def _size(array: NDArray[Any]) -> str:
    return f"{array.shape[1]}×{array.shape[0]}"
