"""The pack step: raw TIFFs → a pack with images, labels and targets, one array of each per sequence.

A part is a shard: a range of frames of one sequence. What cannot be read, or does not fit, is a finding; its
place in the arrays stays zero and its item has no split, so that a bad file moves no other.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from labwright.cells.findings import BadItem, finding
from labwright.cells.frames import common_plane, pair_findings, repeat_findings
from labwright.cells.pixels import intensity
from labwright.cells.recipe import PackOptions
from labwright.cells.source import Frame, Listing, identity, raw_files, scan, split_identity
from labwright.cells.target import border_core
from labwright.cells.tiff import Plane, image_dtype, plane, read_image, read_mask, scales
from labwright.data.findings import Finding
from labwright.data.splits import assign
from labwright.data.write import ArraySpec, Shard, content_digest, finish_pack, shards, write_shard
from labwright.runs import sections
from labwright.runs.errors import MissingError
from labwright.runs.publish import write_json
from labwright.runs.run import Run
from labwright.study.step import Figures, Job, Part, RawFile

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


def layout(options: PackOptions) -> Layout:
    """The layout that follows from the options and the files.

    Raises:
        MissingError: a folder is missing, or none of its images can be read.
        StudyError: two splits claim the same frame.
    """
    listing = scan(options.source)
    for frame in itertools.chain.from_iterable(listing.sequences.values()):
        assign(options.split, frame.sequence, frame.frame)
    specs, findings = {}, list(listing.findings)
    compression = None if options.compression == "none" else options.compression
    for sequence, frames in listing.sequences.items():
        planes = dict(_planes(frames))
        if not planes:
            findings.append(finding("CEL010", f"{listing.root}/{sequence}", "none of its images can be read"))
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
    return Layout(listing, specs, tuple(findings))


_layouts: dict[Path, Layout] = {}


def _layout_of(job: Job[PackOptions]) -> Layout:
    """The layout of a run, kept: every part of a worker asks for it, and it costs a look at each file's header."""
    if job.run.folder not in _layouts:
        _layouts.clear()
        _layouts[job.run.folder] = layout(job.options)
    return _layouts[job.run.folder]


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


def parts(job: Job[PackOptions]) -> list[Part]:
    return [Part(f"{sequence}-{shard.start:05d}", cost=shard.stop - shard.start) for sequence, shard in _layout_of(job).shards()]


def work(job: Job[PackOptions], part: Part) -> Figures:
    """Read the frames of one shard and publish its three files."""
    plan = _layout_of(job)
    sequence, shard = next(one for one in plan.shards() if f"{one[0]}-{one[1].start:05d}" == part.id)
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


def finish(job: Job[PackOptions]) -> Figures:
    """Write metadata, items and manifest; the report counts what was packed and what was set aside."""
    plan = _layout_of(job)
    results = job.results()
    rows = [row for part in parts(job) for row in results[part.id]["frames"]]
    digests: dict[str, dict[int, str]] = {}
    for row in rows:
        if row["file_digest"]:
            digests.setdefault(row["sequence"], {})[row["frame"]] = row["file_digest"]
    repeats = [one for sequence, of in digests.items() for one in repeat_findings(plan.listing.root, sequence, of)]
    for one in [*plan.findings, *repeats]:
        _tell(job, one)
    specs = [spec for three in plan.specs.values() for spec in three]
    attributes = {"recipe": "cells", "source": plan.listing.root, "target": job.options.target.model_dump()}
    finish_pack(job.run.output(PACK), specs, _table(rows), attributes)
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
    job: Job[PackOptions], listing: Listing, frame: Frame, spec: ArraySpec, split: str | None
) -> tuple[dict[str, Any], NDArray[Any] | None, NDArray[Any] | None]:
    """One frame: its row, and its image and labels where both can be used."""
    name = identity(listing.root, frame.sequence, frame.frame)
    row: dict[str, Any] = dict.fromkeys(COLUMNS)
    row |= {"identity": name, "sequence": frame.sequence, "frame": frame.frame, "split": split, "file_digest": None}
    source = job.options.source
    labels = None
    try:
        data, row["file_digest"] = raw_bytes(job, listing.base, frame.image)
        image = read_image(frame.image, data)
        if image.shape != spec.shape[1:] or image.dtype.name != spec.dtype:
            # The headers told already that this frame does not fit its sequence.
            return {**row, "split": None, "aside": "CEL030" if image.shape != spec.shape[1:] else "CEL031"}, None, None
        pixel_size, interval = scales(frame.image, data)
        row |= {"pixel_size_um": source.pixel_size_um or pixel_size, "frame_interval_s": source.frame_interval_s or interval}
        level = intensity(image)
        row |= {"mean": level.mean, "deviation": level.deviation, "minimum": float(image.min()), "maximum": float(image.max())}
        if frame.mask is not None:
            labels = read_mask(frame.mask, raw_bytes(job, listing.base, frame.mask)[0])
        elif split in NEED_LABELS:
            raise BadItem("CEL002", f"split {split} needs a mask for each image")
    except BadItem as bad:
        _tell(job, finding(bad.finding, name, f"{bad.what} ({Path(bad.where).name})" if bad.where else bad.what))
        return {**row, "split": None, "aside": bad.finding}, None, None
    found = pair_findings(name, image, labels)
    for one in found:
        _tell(job, one)
    worst = next((one.code for one in found if one.severity == "error"), None)
    if worst is not None:
        return {**row, "split": None, "aside": worst}, None, None
    if labels is not None:
        row["n_instances"] = int(np.unique(labels[labels > 0]).size)
    row["digest"] = content_digest(image)
    return row, image, labels


def raw_bytes(job: Job[Any], base: Path, path: Path) -> tuple[bytes, str]:
    """A raw file's bytes and their SHA-256, read once; the digest is recorded under the file's name below ``base``.

    Raises:
        MissingError: the file cannot be read.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise MissingError(
            f"the file cannot be read ({error.strerror})", where=str(path), todo="Is it there, and may you read it?"
        ) from error
    digest = hashlib.sha256(data).hexdigest()
    job.source(path.relative_to(base).as_posix(), path, digest)
    return data, digest


def _tell(job: Job[PackOptions], one: Finding) -> None:
    """Record a finding. An error in a frame that no split takes is only a note: to leave a bad frame out is one way to mend the data."""
    place = split_identity(one.place)
    left_out = place is not None and assign(job.options.split, *place) is None
    job.finding(one.code, one.place, one.text, "note" if left_out and one.severity == "error" else one.severity)


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
