"""Splits: which items train, which validate; and the proof that none leaks into another.

A split is a list of selectors: ``01`` (a whole sequence), ``01:0-19`` (frames 0 to 19, both included),
``01:0-9,20-29`` (several ranges), ``01:7`` (one frame); the name may be a pattern (``0*``). A sequence is
whatever groups items that are alike, a field of view or a plate; a frame is an item's number in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as compute

from labwright.data import findings
from labwright.data.findings import Finding
from labwright.runs.errors import StudyError

EXAMPLES = "Write '01', '01:0-19' or '01:0-9,20-29'."
Selectors = Mapping[str, Sequence[str]]
_RANGES = re.compile(r"\d+(-\d+)?(,\d+(-\d+)?)*")


class Selector(NamedTuple):
    """One selector: a sequence's name or pattern, and inclusive frame ranges (none: every frame)."""

    pattern: str
    ranges: tuple[tuple[int, int], ...]

    def matches(self, sequence: str, frame: int) -> bool:
        # The name itself first: a folder may be called 'a[1]'.
        if self.pattern != sequence and not fnmatchcase(sequence, self.pattern):
            return False
        return not self.ranges or any(first <= frame <= last for first, last in self.ranges)


@lru_cache
def parse(text: str) -> Selector:
    """Read one selector; StudyError where it is none."""
    pattern, colon, tail = text.rpartition(":")
    if not colon:
        pattern, tail = tail, ""
    ranges: list[tuple[int, int]] = []
    if not pattern or (colon and not _RANGES.fullmatch(tail)):
        raise StudyError("this selects no frames", where=f"selector {text!r}", todo=EXAMPLES)
    for part in tail.split(",") if tail else ():
        first, _, last = part.partition("-")
        ranges.append((int(first), int(last or first)))
    backwards = [f"{first}-{last}" for first, last in ranges if last < first]
    if backwards:
        raise StudyError(f"the frames {backwards[0]} run backwards", where=f"selector {text!r}", todo=EXAMPLES)
    return Selector(pattern, tuple(ranges))


def assign(selectors: Selectors, sequence: str, frame: int) -> str | None:
    """The split of one item, None where it is in no split; StudyError where two splits claim it."""
    claims = [split for split, texts in selectors.items() if any(parse(text).matches(sequence, frame) for text in texts)]
    if len(claims) > 1:
        where, what = f"{sequence}, frame {frame}", f"the splits {' and '.join(claims)} both select it"
        raise StudyError(what, where=where, todo="Change the selectors so that each item is in one split at most.")
    return claims[0] if claims else None


def coverage(items: pa.Table, selectors: Selectors, labelled: Iterable[str] = ()) -> list[Finding]:
    """What the splits lack: selectors without items, splits without items, without labels or all constant; unused items.

    Args:
        items: columns ``identity``, ``sequence``, ``frame`` and ``split``; ``labelled`` and ``constant`` (bool) where known.
        selectors: the splits of the study.
        labelled: splits that need labels.
    """
    found = []
    sequences = sorted(set(items.column("sequence").to_pylist()))
    there = f"the sequences are {', '.join(sequences[:20])}{' …' if len(sequences) > 20 else ''}" if sequences else "there are no sequences"
    keys = list(zip(items.column("sequence").to_pylist(), items.column("frame").to_pylist(), strict=True))
    for split, texts in selectors.items():
        mine = items.filter(compute.equal(items.column("split"), split))
        if not mine.num_rows:
            found.append(findings.EMPTY_SPLIT.at(split, f"split {split} has no items; {there}"))
        for text in texts:
            if mine.num_rows and not any(parse(text).matches(sequence, frame) for sequence, frame in keys):
                found.append(findings.UNMATCHED_SELECTOR.at(split, f"selector {text!r} matches nothing; {there}"))
        if "constant" in items.column_names and mine.num_rows and all(mine.column("constant").to_pylist()):
            found.append(findings.CONSTANT_SPLIT.at(split, f"all {mine.num_rows} items are constant"))
        if split in set(labelled) and "labelled" in items.column_names:
            bare = mine.filter(_false(mine, "labelled")).column("identity").to_pylist()
            found += [findings.UNLABELLED_SPLIT.at(identity, f"no labels, and split {split} needs them") for identity in bare]
    unused = items.column("split").null_count
    if unused:
        found.append(findings.UNUSED_ITEMS.at("items", f"{unused} of {items.num_rows} items belong to no split"))
    return found


def leaks(items: pa.Table, min_gap_frames: int) -> list[Finding]:
    """Where what is learnt on one split is already known on another.

    Args:
        items: columns ``identity`` and ``split`` (null: in none); ``sequence`` and ``frame`` where there are sequences,
            ``digest`` (of the content) and ``constant`` where known. A check whose columns are absent is left out.
        min_gap_frames: frames that must lie, left out, between two splits of one sequence; with 0, neighbours may be apart.
    """
    used = items.filter(compute.is_valid(items.column("split")))
    columns = set(items.column_names)
    found: list[Finding] = []
    if {"sequence", "frame"} <= columns:
        found += _sequence_leaks(used, min_gap_frames)
    if "digest" in columns:
        found += _content_leaks(used)
    return found


def _sequence_leaks(used: pa.Table, min_gap_frames: int) -> list[Finding]:
    ordered = used.select(["sequence", "frame", "split"]).sort_by(
        [("sequence", "ascending"), ("frame", "ascending"), ("split", "ascending")]
    )
    names, frames, splits = (ordered.column(name).to_numpy() for name in ordered.column_names)
    edges = [0, *(np.flatnonzero(names[1:] != names[:-1]) + 1).tolist(), len(names)]
    found = []
    for start, stop in pairwise(edges):
        frame, split = frames[start:stop], splits[start:stop]
        sides = sorted(set(split.tolist()))
        if len(sides) < 2:
            continue
        sequence = str(names[start])
        found.append(findings.SAME_SEQUENCE.at(sequence, f"sequence {sequence} lies in the splits {' and '.join(sides)}"))
        # The closest two items of two splits are always neighbours in the order of frames.
        between = np.diff(frame) - 1
        close = np.flatnonzero((split[1:] != split[:-1]) & (between < min_gap_frames))
        if close.size:
            at = int(close[np.argmin(between[close])])
            left, right = (f"frame {frame[place]} ({split[place]})" for place in (at, at + 1))
            left_out = max(int(between[at]), 0)
            text = f"{left} and {right}: {left_out} frames left out between, not {min_gap_frames}; {close.size} such places"
            found.append(findings.NEIGHBOURING_FRAMES.at(sequence, text))
    return found


def _content_leaks(used: pa.Table) -> list[Finding]:
    if "constant" in used.column_names:
        # Two black frames are alike and give nothing away; they are findings of their own.
        used = used.filter(_false(used, "constant"))
    used = used.filter(compute.is_valid(used.column("digest")))
    grouped = used.group_by("digest", use_threads=False).aggregate([("split", "count_distinct"), ("split", "list"), ("identity", "list")])
    found = []
    for group in grouped.filter(compute.greater(grouped.column("split_count_distinct"), 1)).to_pylist():
        alike = [f"{identity} ({split})" for identity, split in zip(group["identity_list"], group["split_list"], strict=True)]
        found.append(findings.SAME_CONTENT.at(group["identity_list"][0], f"the same content: {', '.join(alike)}"))
    return found


def _false(items: pa.Table, column: str) -> pa.ChunkedArray:
    """Where a mark is false; one that is unknown is."""
    return compute.invert(compute.fill_null(items.column(column), False))
