"""The pack step: raw TIFFs → a pack with images, labels and targets, one array of each per sequence.

A part is a shard: a range of frames of one sequence. What cannot be read, or does not fit, is a finding; its
place in the arrays stays zero and its item has no split, so that a bad file moves no other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from labwright.cells.findings import CATALOGUE, BadItem, finding
from labwright.cells.frames import common_plane, pair_findings, repeat_findings
from labwright.cells.recipe import PackOptions
from labwright.cells.source import Frame, Listing, identity, raw_files, scan
from labwright.cells.target import border_core
from labwright.cells.tiff import Plane, image_dtype, plane, read_image, read_mask, scales
from labwright.cells.views import intensity
from labwright.data.findings import Finding
from labwright.data.splits import assign
from labwright.data.write import ArraySpec, Shard, content_digest, finish_pack, shards, write_shard
from labwright.runs import sections
from labwright.runs.errors import MissingError
from labwright.runs.publish import write_json
from labwright.runs.run import Run
from labwright.study.step import Figures, Part, RawFile

PACK = "pack.zarr"
NEED_LABELS = ("train", "validate")
_TEXT, _WHOLE, _REAL = pa.string(), pa.int64(), pa.float64()
COLUMNS = {"identity": _TEXT, "sequence": _TEXT, "frame": _WHOLE, "array": _TEXT, "index": _WHOLE, "split": _TEXT, "aside": _TEXT}
COLUMNS |= {"n_instances": _WHOLE, "mean": _REAL, "deviation": _REAL, "minimum": _REAL, "maximum": _REAL, "digest": _TEXT}
COLUMNS |= {"pixel_size_um": _REAL, "frame_interval_s": _REAL}
"""Columns of ``items.parquet``; ``aside`` is the code of the finding that keeps an item out of its split."""


@dataclass(frozen=True)
class Layout:
    """What the pack will hold, known from the files' names and headers."""

    listing: Listing
    specs: Mapping[str, tuple[ArraySpec, ArraySpec, ArraySpec]]
    """Images, labels and targets of each sequence."""
    findings: tuple[Finding, ...]
    """What the names and the headers of the files tell."""

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
        specs, findings = {}, list(listing.findings)
        compression = "zstd" if options.compression == "zstd" else None
        for sequence, frames in listing.sequences.items():
            planes = dict(_planes(frames))
            if not planes:
                continue
            common, odd = common_plane(listing.root, sequence, planes)
            findings += odd
            shape = (len(frames), *common.shape)
            specs[sequence] = (
                ArraySpec(f"images/{sequence}", shape, common.dtype.name, options.shard_frames, compression),
                ArraySpec(f"labels/{sequence}", shape, "uint32", options.shard_frames, compression),
                ArraySpec(f"targets/{sequence}", shape, "uint8", options.shard_frames, compression),
            )
        if not specs:
            raise MissingError("no image can be read", where=str(options.source.path), todo="Look at the first file with any image viewer.")
        _layouts[key] = Layout(listing, specs, tuple(findings))
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
    return [*lines, *(f"{one.severity} {one.code} {one.place}: {one.text}" for one in plan.findings)]


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
                arrays[2][number] = border_core(labels, job.options.target.width_px, by_size=job.options.target.by_size)
            rows.append({**row, "array": sequence, "index": shard.start + number})
        for spec, array in zip(specs, arrays, strict=True):
            file = next(one.file for one in shards(spec) if one.start == shard.start)
            write_shard(job.run.output(PACK) / file, spec, shard.start, array)
    return {"frames": rows}


def finish(job: Any) -> Figures:
    """Write metadata, items and manifest; the report counts what was packed and what was set aside."""
    plan = layout(job.options)
    for one in plan.findings:
        job.finding(one.code, one.place, one.text, one.severity)
    for sequence in sorted(plan.listing.sequences.keys() - plan.specs.keys()):
        one = finding("CEL010", f"{plan.listing.root}/{sequence}", "none of its images can be read")
        job.finding(one.code, one.place, one.text, one.severity)
    rows = [row for part in parts(job) for row in job.results()[part.id]["frames"]]
    for sequence in plan.specs:
        digests = {row["frame"]: row["file_digest"] for row in rows if row["sequence"] == sequence and row["file_digest"]}
        for one in repeat_findings(plan.listing.root, sequence, digests):
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
) -> tuple[dict[str, Any], NDArray[Any] | None, NDArray[Any] | None]:
    """One frame: its row, and its image and labels where both can be used."""
    name = identity(listing.root, frame.sequence, frame.frame)
    row: dict[str, Any] = {column: None for column in COLUMNS}
    row |= {"identity": name, "sequence": frame.sequence, "frame": frame.frame, "split": split, "file_digest": None}
    source = job.options.source
    labels = None
    try:
        data = _bytes(job, listing, frame.image)
        row["file_digest"] = hashlib.sha256(data).hexdigest()
        image = read_image(frame.image, data)
        if image.shape != spec.shape[1:] or image.dtype.name != spec.dtype:
            # The headers told already that this frame does not fit its sequence.
            return {**row, "split": None, "aside": "CEL030" if image.shape != spec.shape[1:] else "CEL031"}, None, None
        pixel_size, interval = scales(frame.image, data)
        row |= {"pixel_size_um": source.pixel_size_um or pixel_size, "frame_interval_s": source.frame_interval_s or interval}
        level = intensity(image)
        row |= {"mean": level.mean, "deviation": level.deviation, "minimum": float(image.min()), "maximum": float(image.max())}
        if frame.mask is not None:
            labels = read_mask(frame.mask, _bytes(job, listing, frame.mask))
        elif split in NEED_LABELS:
            raise BadItem("CEL002", f"split {split} needs a mask for each image")
    except BadItem as bad:
        job.finding(bad.finding, name, f"{bad.what} ({bad.where})" if bad.where else bad.what, CATALOGUE[bad.finding].severity)
        return {**row, "split": None, "aside": bad.finding}, None, None
    found = pair_findings(name, image, labels)
    for one in found:
        job.finding(one.code, one.place, one.text, one.severity)
    worst = next((one.code for one in found if one.severity == "error"), None)
    if worst is not None:
        return {**row, "split": None, "aside": worst}, None, None
    if labels is not None:
        row["n_instances"] = int(np.unique(labels[labels > 0]).size)
    row["digest"] = content_digest(image)
    return row, image, labels


def _bytes(job: Any, listing: Listing, path: Path) -> bytes:
    """A raw file's bytes, read once, for its digest and for decoding."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise MissingError(f"the file cannot be read ({error.strerror})", where=str(path), todo="Is it there, and may you read it?") from error
    job.source(path.relative_to(listing.base).as_posix(), path, hashlib.sha256(data).hexdigest())
    return data


def _planes(frames: Sequence[Frame]) -> Iterator[tuple[int, Plane]]:
    for frame in frames:
        try:
            header = plane(frame.image)
            image_dtype(header.dtype)
            yield frame.frame, header
        except BadItem:
            continue  # reading it will say what is wrong


def _table(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    return pa.table({name: pa.array([row[name] for row in rows], kind) for name, kind in COLUMNS.items()})
