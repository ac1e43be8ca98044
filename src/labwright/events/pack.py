"""The pack step: trees and friends → a pack of events in random order, with ``events.parquet`` beside it.

A part is a range of rows of one file; it leaves a piece on disk. The end puts the pieces together, since only then repeated
events, sums of weights and the order are known. Neither workers nor ``read_events`` change a byte.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labwright.data.findings import Finding
from labwright.events import preview as source_preview
from labwright.events.findings import BadFile, finding
from labwright.events.pack_options import PackOptions
from labwright.events.packing.bind import Bound, bind
from labwright.events.packing.classes import assigned
from labwright.events.packing.columns import b_tag_findings, flag_findings, look, refuse_absent
from labwright.events.packing.pieces import Pieces, write_piece
from labwright.events.physics.regions import marked
from labwright.events.reading.files import opened
from labwright.events.source import Chunk, Listing, SourceFile, chunks, listing, raw_files, read
from labwright.events.table import EventTable
from labwright.runs import sections
from labwright.runs.errors import DataError
from labwright.runs.publish import digest, remove, write_json
from labwright.runs.run import Run
from labwright.study.messages import nearest
from labwright.study.step import Figures, Job, Part, RawFile

PIECES = "pieces"
SUMMARY = "summary.json"
"""Figures and findings of a pack that is whole; the last file of it."""


_listings: dict[Path, Listing] = {}


def _listing(job: Job[PackOptions]) -> Listing:
    """The files of a run, kept: every part of a worker asks for them."""
    if job.run.folder not in _listings:
        _listings.clear()
        _listings[job.run.folder] = listing(job.options.source)
    return _listings[job.run.folder]


def sources(options: PackOptions) -> Iterable[RawFile]:
    """Every file of events and of friends."""
    return raw_files(listing(options.source))


def preview(options: PackOptions, inputs: Mapping[str, Run]) -> list[str]:
    """What would be read, for each set of tags."""
    return source_preview.preview(options)


def parts(job: Job[PackOptions]) -> list[Part]:
    listed = _listing(job)
    refuse_absent(listed, job.options)
    found = chunks(listed, job.options.read_events)
    return [
        Part("-".join(f"{number:0{width}d}" for number, width in zip(chunk, (5, 12, 12), strict=True)), cost=_rows(chunk))
        for chunk in found
    ]


def work(job: Job[PackOptions], part: Part) -> Figures:
    """Read a range of rows, tell classes and weights, and publish them as a piece."""
    listed, options = _listing(job), job.options
    chunk = _chunk(part.id)
    file = listed.files[chunk.file]
    done: dict[str, Any] = {"events": 0, "overfull": 0, "clashes": [], "uuid": "", "b_tag": ""}
    try:
        with job.stage("pack"):
            _record_sources(job, listed, chunk)
            if not chunk.start:
                with opened(file.address, file.tree) as tree:
                    done["uuid"] = tree.uuid
                seen = look(listed, chunk.file, options.source)
                done["b_tag"] = seen.b_tag
                _tell(job, flag_findings(file, seen, options))
            table, ancillary = _with_ancillary(marked(read(listed, chunk, options.source), options.regions), options.ancillary)
            found = assigned(table, [one.tags for one in listed.files], options.classes)
    except BadFile as bad:
        where = "" if bad.where in ("", file.name, file.address) else f" ({bad.where})"
        job.finding(bad.finding, file.name, f"{bad.what}{where}")
        return done
    for one in table.findings:
        job.finding(one.code, one.place, one.text, one.severity)
    if len(table):
        with job.output(f"{PIECES}/{part.id}") as temporary:
            write_piece(temporary, table, found, ancillary)
    return done | {
        "events": len(table),
        "overfull": int(np.count_nonzero(table.extra["n_dropped"])),
        "clashes": [[*names, count] for names, count in found.clashes.items()],
    }


def finish(job: Job[PackOptions]) -> Figures:
    """Put the pieces together; report what is in the classes and what was left out."""
    summary = job.run.output(SUMMARY)
    if summary.is_file():
        # The pack was whole and only the end of the run is missing; its pieces may be gone.
        content = json.loads(summary.read_text(encoding="utf-8"))
    else:
        listed, results = _listing(job), job.results()
        # Names of parts sort by file and row.
        there = [name for name in sorted(results) if results[name]["events"]]
        b_tags = {chunk.file: result["b_tag"] for name, result in results.items() if not (chunk := _chunk(name)).start}
        told = [*listed.findings, *b_tag_findings(listed, b_tags, job.options.source), *_clash_findings(results)]
        if not there:
            raise _nothing_left(job, told)
        files = [_file(results, number, file) for number, file in enumerate(listed.files)]
        bound = bind(job, Pieces([job.run.output(f"{PIECES}/{name}") for name in there]), files)
        if not bound.events:
            raise _nothing_left(job, [*told, *bound.findings])
        content = _summary(bound, files, results, [*told, *bound.findings])
        write_json(job.run.output("report.json"), {"sections": _report(content)}, "report")
        write_json(summary, content, "pack")
    _tell(job, [Finding(*one) for one in content["findings"]])
    remove(job.run.output(PIECES))
    figures: Figures = content["figures"]
    return figures


def _nothing_left(job: Job[PackOptions], found: Iterable[Finding]) -> DataError:
    _tell(job, found)
    return DataError(
        "no event is left of all files", where=job.run.name, todo="The findings above say why; `labwright list findings` explains them."
    )


def _chunk(part: str) -> Chunk:
    """The rows that a part reads, which its name tells."""
    return Chunk(*(int(number) for number in part.split("-")))


def _rows(chunk: Chunk) -> int:
    """Its cost; a file that has no rows, or cannot be opened, costs a look."""
    return max(1, chunk.stop - chunk.start)


def _with_ancillary(table: EventTable, names: tuple[str, ...]) -> tuple[EventTable, NDArray[np.float32]]:
    """The events whose further inputs are numbers, and those inputs, (N, A); a finding tells of the others."""
    for name in names:
        if name not in table.extra:
            near = nearest(name, table.extra)
            text = f"there is no column {name!r} for pack.ancillary"
            raise BadFile("EVT012", f"{text}; did you mean {near!r}" if near else text)
    values = np.stack([table.extra[name] for name in names], axis=1) if names else np.zeros((len(table), 0))
    with np.errstate(over="ignore"):
        inputs = values.astype(np.float32)
    bad = ~np.isfinite(inputs)
    found = [
        finding("EVT023", table.files[table.file[0]], f"{name} of {mask.sum():,} events, first in row {table.row[np.argmax(mask)]}")
        for name, mask in zip(names, bad.T, strict=True)
        if mask.any()
    ]
    good = np.flatnonzero(~np.any(bad, axis=1))
    return replace(table.take(good), findings=(*table.findings, *found)), inputs[good]


def _record_sources(job: Job[PackOptions], listed: Listing, chunk: Chunk) -> None:
    """Digests of a file with its first rows, and of its share of the friends' files."""
    if chunk.start:
        return
    addresses = list(listed.raw)
    friends = addresses[len(listed.files) :]
    for address in (addresses[chunk.file], *friends[chunk.file :: len(listed.files)]):
        if Path(address).is_file():
            job.source(listed.raw[address], Path(address), digest(Path(address)))


def _clash_findings(results: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
    counts: dict[tuple[str, str], int] = {}
    for result in results.values():
        for first, second, count in result["clashes"]:
            counts[first, second] = counts.get((first, second), 0) + count
    for (first, second), count in sorted(counts.items()):
        yield finding("EVT031", f"{first}, {second}", f"{count:,} events fulfil what both ask for")


def _file(results: Mapping[str, Mapping[str, Any]], number: int, file: SourceFile) -> dict[str, Any]:
    """What predict and evaluate have to know of a file."""
    mine = {chunk: result for name, result in results.items() if (chunk := _chunk(name)).file == number}
    return {
        "name": file.name,
        "tree": file.tree,
        "tags": sorted(file.tags),
        "uuid": next(result["uuid"] for chunk, result in mine.items() if not chunk.start),
        "entries": max(chunk.stop for chunk in mine),
        "events": sum(result["events"] for result in mine.values()),
    }


def _summary(bound: Bound, files: list[dict[str, Any]], results: Mapping[str, Mapping[str, Any]], found: list[Finding]) -> dict[str, Any]:
    figures = {
        "events": bound.events,
        "labelled": sum(one.events for one in bound.classes),
        "rows": sum(file["entries"] for file in files),
        "files": len(files),
        "repeated": bound.repeated,
        **{f"events_{one.name}": one.events for one in bound.classes},
        "bytes": bound.bytes,
    }
    return {
        "figures": figures,
        "classes": [one.as_json() for one in bound.classes],
        "ancillary": bound.ancillary,
        "files": files,
        "overfull": sum(result["overfull"] for result in results.values()),
        "findings": [list(one) for one in found],
    }


def _report(content: Mapping[str, Any]) -> list[sections.Section]:
    classes = [
        [one[name] for name in ("name", "events", "raw_sum", "sum", "effective", "negative", "negative_share", "prescaled", "heavy")]
        for one in content["classes"]
    ]
    return [
        sections.figures("Pack", [sections.figure(name.replace("_", " "), value) for name, value in content["figures"].items()]),
        sections.table(
            "Classes",
            ["class", "events", "Σw as read", "Σw", "effective events", "negative", "their share of Σ|w|", "prescaled away", "too heavy"],
            classes,
            note="Effective events are (Σw)² / Σw².",
        ),
        sections.table(
            "Files",
            ["file", "tags", "rows", "four-jet events"],
            [[file["name"], ", ".join(file["tags"]), file["entries"], file["events"]] for file in content["files"]],
        ),
    ]


def _tell(job: Job[PackOptions], found: Iterable[Finding]) -> None:
    for one in found:
        job.finding(one.code, one.place, one.text, one.severity)
