"""List the images and masks of a source folder, paired by frame number. No pixel is read here.

A frame's number is the number in its file name, whatever its zero padding: ``t7.tif``, ``t007.tif``
and ``t0007.tif`` are frame 7. Nothing is ever paired by sort order.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from labwright.cells.findings import finding
from labwright.cells.source_options import SourceOptions
from labwright.data.findings import Finding
from labwright.runs.errors import DataError, MissingError
from labwright.study.messages import nearest
from labwright.study.step import RawFile

DEFAULT_MASKS = {"ctc": ("{sequence}_GT/SEG", "{sequence}_ST/SEG"), "challenge": ("{sequence}_GT",)}
_TIFF = re.compile(r"(?!\._).+\.tiff?", re.IGNORECASE)  # macOS leaves ._t000.tif beside t000.tif
_IDENTITY = re.compile(r"[^/]+/([^/]+)/frame (\d+)")
_IMAGE = re.compile(r"t(\d+)\.tiff?", re.IGNORECASE)
_MASK = re.compile(r"(?:man_seg|man_track|mask|t)(\d+)\.tiff?", re.IGNORECASE)


class Frame(NamedTuple):
    """One time point of one sequence. ``mask`` is None where there is none; whether that matters the split decides."""

    sequence: str
    frame: int
    image: Path
    mask: Path | None


@dataclass(frozen=True)
class Listing:
    """What lies in a source folder.

    ``root`` is the source folder's name, the first word of every identity. ``sequences`` is ordered by
    name, its frames by number. Frames set aside are in ``findings`` only, but their files are in ``files``
    (relative to ``base``), because mending them has to change a fingerprint.
    """

    base: Path
    root: str
    sequences: Mapping[str, tuple[Frame, ...]]
    findings: tuple[Finding, ...]
    files: tuple[Path, ...]


def identity(root: str, sequence: str, frame: int) -> str:
    """The name by which an item is known everywhere: ``t98g/01/frame 12``."""
    return f"{root}/{sequence}/frame {frame}"


def split_identity(name: str) -> tuple[str, int] | None:
    """The sequence and the frame number of an identity; None where it is none (a finding may lie in a whole sequence)."""
    match = _IDENTITY.fullmatch(name)
    return (match[1], int(match[2])) if match else None


def scan(options: SourceOptions) -> Listing:
    """List the sequences that ``options`` name.

    Raises:
        MissingError: the folder, a named sequence or a named mask folder is not there; says what is there instead.
        DataError: a folder's name is no text.
    """
    path = Path(os.path.abspath(options.path))
    if not path.is_dir():
        there = _folders(path.parent) if path.parent.is_dir() else []
        raise MissingError("there is no such source folder", where=str(path), todo=_instead(path.name, there, path.parent))
    # A folder of frames is a sequence by itself; its parent is then the source, so that its items keep their identity.
    base, available = (path.parent, [path.name]) if _holds(path, _IMAGE) else (path, _folders(path, _IMAGE))
    patterns = (options.masks,) if options.masks else DEFAULT_MASKS[options.kind]
    mask_folders = {name: _mask_folder(base, name, patterns) for name in available}
    # Masks may be named like images; a folder of masks is no sequence of its own.
    chosen = _choose(options.sequences, [name for name in available if base / name not in mask_folders.values()], path)
    if options.masks and not any(mask_folders[name] for name in chosen):
        raise _no_masks(base, chosen[0], options.masks)

    for name in (base.name, *chosen):
        # It becomes part of identities, which go into tables and JSON.
        if not name.isprintable():
            raise DataError("the folder's name is not readable text", where=ascii(name), todo="Rename the folder.")

    sequences: dict[str, tuple[Frame, ...]] = {}
    findings: list[Finding] = []
    files: list[Path] = []
    for name in chosen:
        folder = mask_folders[name]
        images, masks = _Files(base / name, _IMAGE), _Files(folder, _MASK)
        aside = images.twice | masks.twice
        sequences[name] = tuple(
            Frame(name, number, paths[0], masks.numbers.get(number, [None])[0])
            for number, paths in sorted(images.numbers.items())
            if number not in aside
        )
        if folder is None:
            findings.append(_unlabelled(base, name, patterns))
        findings += _findings(images, masks, base.name, name)
        files += [*images.all(), *masks.all()]
    return Listing(base, base.name, sequences, tuple(findings), tuple(files))


def raw_files(listing: Listing) -> list[RawFile]:
    """Every image and mask file of the listing, named relative to its base folder, with its size in bytes.

    Raises:
        MissingError: a file has gone, or is a link to nowhere.
    """
    try:
        return [RawFile(path, path.relative_to(listing.base).as_posix(), path.stat().st_size) for path in listing.files]
    except OSError as error:
        raise MissingError(
            "the file cannot be read", where=str(error.filename), todo="Is it a link to a place that is not mounted?"
        ) from error


class _Files:
    """The frame files of one folder by number; ``strays`` are TIFFs that are not named as frames."""

    def __init__(self, folder: Path | None, names: re.Pattern[str]) -> None:
        self.folder = folder
        self.numbers: dict[int, list[Path]] = {}
        self.strays: list[str] = []
        for entry in _entries(folder) if folder else ():
            if match := names.fullmatch(entry.name):
                self.numbers.setdefault(int(match[1]), []).append(Path(entry.path))
            elif _TIFF.fullmatch(entry.name):
                self.strays.append(entry.name)
        self.twice = {number for number, paths in self.numbers.items() if len(paths) > 1}

    def all(self) -> list[Path]:
        return [path for _, paths in sorted(self.numbers.items()) for path in paths]


def _findings(images: _Files, masks: _Files, root: str, sequence: str) -> Iterator[Finding]:
    for kind, found in (("image", images), ("mask", masks)):
        for number in sorted(found.twice):
            names = " and ".join(path.name for path in found.numbers[number])
            yield finding("CEL003", identity(root, sequence, number), f"{names} both claim to be the {kind} of frame {number}")
        if found.strays and found.folder:
            text = f"not read in {found.folder.name}: {_some(found.strays)}"
            yield finding("CEL005", f"{root}/{sequence}", text)
    for number in sorted(masks.numbers.keys() - images.numbers.keys()):
        yield finding("CEL001", identity(root, sequence, number), f"{masks.numbers[number][0].name} has no image t{number:03d}.tif")
    first, last = min(images.numbers), max(images.numbers)
    gaps = [(a + 1, b - 1) for a, b in itertools.pairwise(sorted(images.numbers)) if b > a + 1]
    if gaps:
        missing = sum(end - start + 1 for start, end in gaps)
        text = f"{missing} missing between frames {first} and {last}: {_some([str(a) if a == b else f'{a}-{b}' for a, b in gaps])}"
        yield finding("CEL032", f"{root}/{sequence}", text)


def _choose(wanted: Sequence[str], available: Sequence[str], path: Path) -> list[str]:
    if not available:
        raise MissingError(
            "there is no sequence: no folder holds images tNNN.tif", where=str(path), todo=_instead("", _folders(path), path)
        )
    for name in wanted:
        if name not in available:
            raise MissingError(f"there is no sequence {name!r} with images tNNN.tif", where=str(path), todo=_instead(name, available, path))
    return sorted(set(wanted)) or list(available)


def _mask_folder(base: Path, sequence: str, patterns: Sequence[str]) -> Path | None:
    """The first of the folders ``patterns`` name that holds masks."""
    folders = (base / pattern.replace("{sequence}", sequence) for pattern in patterns)
    return next((folder for folder in folders if folder.is_dir() and _holds(folder, _MASK)), None)


def _patterns_there(base: Path, sequence: str) -> list[str]:
    """Values of ``source.masks`` that would find masks of the sequence."""
    beside = [name for name in _folders(base) if name.startswith(f"{sequence}_")]
    inner = [f"{name}/{part}" for name in beside for part in ("SEG", "TRA", "") if (base / name / part).is_dir()]
    return [f"{{sequence}}{name.removeprefix(sequence).rstrip('/')}" for name in inner if _holds(base / name, _MASK)]


def _no_masks(base: Path, sequence: str, pattern: str) -> MissingError:
    wanted = pattern.replace("{sequence}", sequence)
    return MissingError(
        f"there is no mask folder {wanted!r}", where=str(base), todo=_instead(pattern, _patterns_there(base, sequence), base)
    )


def _unlabelled(base: Path, sequence: str, patterns: Sequence[str]) -> Finding:
    tried = " or ".join(pattern.replace("{sequence}", sequence) for pattern in patterns)
    text = f"there is no {tried}"
    if there := _patterns_there(base, sequence):
        text += f"; to take the masks that are there, set source.masks to {' or '.join(map(repr, there))}"
    return finding("CEL004", f"{base.name}/{sequence}", text)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """The files of a folder by name (links to nowhere too, so that they are missed and not overlooked)."""
    try:
        with os.scandir(folder) as entries:
            return sorted((entry for entry in entries if not entry.is_dir()), key=lambda entry: entry.name)
    except OSError as error:
        raise _unreadable(folder) from error


def _holds(folder: Path, names: re.Pattern[str]) -> bool:
    return any(names.fullmatch(entry.name) for entry in _entries(folder))


def _folders(folder: Path, holding: re.Pattern[str] | None = None) -> list[str]:
    """Names of the folders in ``folder``, of those with a file named like ``holding`` if that is given."""
    try:
        names = sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    except OSError as error:
        raise _unreadable(folder) from error
    return [name for name in names if holding is None or _holds(folder / name, holding)]


def _unreadable(folder: Path) -> MissingError:
    return MissingError("the folder cannot be read", where=str(folder), todo="Change its permissions, or name another with source.path.")


def _instead(wanted: str, there: Sequence[str], folder: Path) -> str:
    if not there:
        return f"{folder} has none at all." if folder.is_dir() else f"{folder} is not there either."
    near = nearest(wanted, there)
    guess = f"Did you mean {near!r}? " if near else ""
    return f"{guess}In {folder} there are: {_some(there)}."


def _some(names: Sequence[str], most: int = 8) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
