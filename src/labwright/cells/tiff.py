"""Read one plane from one TIFF file, or say in one sentence why it cannot be used.

Pixel types on disk → in memory. The result depends on the type alone, never on the values, so that the
frames of a sequence stay alike:

- images: uint8, uint16 and float32 stay; bool → uint8; int8, int16 and float16 → float32, which holds each of their values
  exactly; wider integers and float64 → float32, rounded to its 24 bits (a relative error below 6e-8, far
  below what a detector resolves);
- masks: every type of whole numbers → uint16, or uint32 where a label is above 65,535.
"""

from __future__ import annotations

import io
import logging
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import numpy as np
import tifffile
from numpy.typing import NDArray

from labwright.cells.findings import BadItem
from labwright.runs.errors import MissingError

MOST_PIXELS = 2**30
"""A header that claims a larger plane (32,768²) is taken for damaged before memory is asked for."""

# A damaged file makes tifffile log lines of its own; the user gets one sentence from here instead.
logging.getLogger("tifffile").addHandler(logging.NullHandler())


class Plane(NamedTuple):
    """What a file's header says: ``shape`` (H, W) in pixels and the pixel type on disk."""

    shape: tuple[int, int]
    dtype: np.dtype[Any]


def plane(path: Path, data: bytes | None = None) -> Plane:
    """Read the header only. Arguments and errors as :func:`read_image`, as far as a header shows them."""
    with _opened(path, data) as tif:
        page = _only_plane(tif)
        return Plane((page.imagelength, page.imagewidth), np.dtype(page.dtype))


def image_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The pixel type in memory of an image with ``dtype`` on disk, a real number's."""
    if dtype.kind == "b":
        return np.dtype(np.uint8)
    if dtype in (np.uint8, np.uint16):
        return dtype.newbyteorder("=")
    return np.dtype(np.float32)


def read_image(path: Path, data: bytes | None = None) -> NDArray[Any]:
    """One image, (H, W), uint8, uint16 or float32.

    Args:
        path: the file.
        data: its bytes, where they have been read already (to hash them).

    Raises:
        BadItem: CEL010 damaged, CEL011 colour, CEL012 several planes, CEL013 NaN or infinite, CEL014 constant, CEL015 type.
        MissingError: the file is not there or cannot be read.
    """
    with _opened(path, data) as tif:
        pixels = _only_plane(tif).asarray()
        dtype = image_dtype(pixels.dtype)
        with np.errstate(over="ignore"):
            image = np.ascontiguousarray(pixels, dtype)
        if dtype.kind == "f" and not (finite := np.isfinite(image)).all():
            raise BadItem("CEL013", f"{_count(~finite)} pixels are NaN or infinite, {_first(~finite)}")
        if image.min() == image.max():
            raise BadItem("CEL014", f"every pixel is {image.flat[0]}")
    return image


def read_mask(path: Path, data: bytes | None = None) -> NDArray[Any]:
    """One label mask, (H, W), 0 = background; uint16, or uint32 where a label is above 65,535.

    Arguments as :func:`read_image`.

    Raises:
        BadItem: CEL010 damaged, CEL011 colour, CEL012 several planes, CEL013 NaN or infinite, CEL015 type, CEL021 negative,
            fractional or too large labels.
        MissingError: the file is not there or cannot be read.
    """
    with _opened(path, data) as tif:
        labels = _only_plane(tif).asarray()
        if labels.dtype.kind == "f":
            if (bad := ~np.isfinite(labels)).any():
                raise BadItem("CEL013", f"{_count(bad)} pixels are NaN or infinite, {_first(bad)}")
            if (bad := labels != np.floor(labels)).any():
                raise BadItem("CEL021", f"{_count(bad)} pixels are fractional (such as {labels[bad][0]:g}), {_first(bad)}")
        if labels.dtype.kind in "if" and (bad := labels < 0).any():
            raise BadItem("CEL021", f"{_count(bad)} pixels are negative (such as {labels[bad][0]:g}), {_first(bad)}")
        highest = int(labels.max())
        if highest > np.iinfo(np.uint32).max:
            raise BadItem("CEL021", f"the highest label is {highest}, more than 32 bits hold")
        return np.ascontiguousarray(labels, np.uint16 if highest <= np.iinfo(np.uint16).max else np.uint32)


def scales(path: Path, data: bytes | None = None) -> tuple[float | None, float | None]:
    """Side of a pixel in µm and time between frames in s, as far as the tags say; None for what they do not.

    OME metadata come first, then ImageJ's, then the plain resolution tags. A resolution meant for
    printing (72 to 1200 dpi, 353 to 21 µm) is not a pixel size, nor are unequal sides.
    Arguments and errors as :func:`read_image`, as far as a header shows them.
    """
    with _opened(path, data) as tif:
        page = _only_plane(tif)
        if tif.is_ome and tif.ome_metadata:
            found = _ome_scales(tif.ome_metadata)
        elif tif.is_imagej and tif.imagej_metadata:
            imagej = tif.imagej_metadata
            unit = _LENGTHS_UM.get(str(imagej.get("unit", "")))
            interval = imagej.get("finterval")
            seconds = float(interval) * _TIMES_S.get(str(imagej.get("tunit", "s")), np.nan) if isinstance(interval, int | float) else None
            found = (_resolution(page, unit) if unit else None), seconds
        else:
            unit = {2: 25_400.0, 3: 10_000.0}.get(int(page.tags.valueof("ResolutionUnit", 2)))
            size = _resolution(page, unit) if unit else None
            found = (size if size and size < PRINT_UM else None), None
        return _positive(found[0]), _positive(found[1])


PRINT_UM = 20.0
_LENGTHS_UM = {"nm": 1e-3, "µm": 1.0, "μm": 1.0, "um": 1.0, "micron": 1.0, "microns": 1.0, "mm": 1e3, "cm": 1e4, "m": 1e6, "inch": 25_400.0}
_LENGTHS_UM |= {"\\u00B5m": 1.0, "\\u00b5m": 1.0}  # ImageJ escapes the sign
_TIMES_S = {"ms": 1e-3, "msec": 1e-3, "s": 1.0, "sec": 1.0, "min": 60.0, "h": 3600.0, "hour": 3600.0}


def _ome_scales(text: str) -> tuple[float | None, float | None]:
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError:
        return None, None
    pixels = next((node.attrib for node in root.iter() if node.tag.rpartition("}")[2] == "Pixels"), {})
    x, y = (
        _number(pixels.get(f"PhysicalSize{axis}")) * _LENGTHS_UM.get(pixels.get(f"PhysicalSize{axis}Unit", "µm"), np.nan) for axis in "XY"
    )
    seconds = _number(pixels.get("TimeIncrement")) * _TIMES_S.get(pixels.get("TimeIncrementUnit", "s"), np.nan)
    return _side(x, y), seconds


def _resolution(page: tifffile.TiffPage, unit_um: float) -> float | None:
    sides = []
    for axis in "XY":
        numerator, denominator = page.tags.valueof(f"{axis}Resolution", (0, 1))
        sides.append(unit_um * denominator / numerator if numerator else np.nan)
    return _side(*sides)


def _side(x: float, y: float) -> float | None:
    """The side of a square pixel; None where x and y differ by more than 1 %, or one is not known."""
    return (x + y) / 2 if abs(x - y) <= 0.01 * x else None


def _number(text: str | None) -> float:
    return float(text) if text and re.fullmatch(r"[\d.]+(?:[eE][-+]?\d+)?", text) else np.nan


def _positive(value: float | None) -> float | None:
    return float(value) if value and np.isfinite(value) and value > 0 else None


@contextmanager
def _opened(path: Path, data: bytes | None) -> Iterator[tifffile.TiffFile]:
    """Open the file; inside, whatever a broken file makes a decoder raise becomes CEL010."""
    try:
        stream = io.BytesIO(data) if data is not None else path.open("rb")
    except OSError as error:
        raise MissingError(
            f"the file cannot be read ({error.strerror})", where=str(path), todo="Is it there, and may you read it?"
        ) from error
    with stream:
        try:
            with tifffile.TiffFile(stream, name=path.name) as tif:
                yield tif
        except BadItem as error:
            raise BadItem(error.finding, error.what, where=str(path)) from None
        except Exception as error:
            # tifffile and the codecs raise some twenty kinds of error on damaged files, plain ones among them.
            reason = " ".join(str(error).split())[:120] or type(error).__name__
            raise BadItem("CEL010", f"the TIFF file cannot be decoded ({reason})", where=str(path)) from error


def _only_plane(tif: tifffile.TiffFile) -> tifffile.TiffPage:
    page = tif.pages.first
    samples = page.samplesperpixel
    if page.photometric in (tifffile.PHOTOMETRIC.RGB, tifffile.PHOTOMETRIC.YCBCR) or samples > 1:
        raise BadItem("CEL011", f"the image has {samples} channels a pixel")
    # ImageJ writes a stack above 4 GB as one page and tells the number in its description.
    hidden = (tif.imagej_metadata or {}).get("images", 1) if tif.is_imagej else 1
    planes = max(len(tif.pages), int(hidden), page.imagedepth)
    if planes > 1:
        raise BadItem("CEL012", f"the file holds {planes} planes")
    if page.imagelength * page.imagewidth == 0 or page.imagelength * page.imagewidth > MOST_PIXELS or page.dtype is None:
        raise BadItem("CEL010", f"its header gives an image of {page.imagewidth}×{page.imagelength} pixels of type {page.dtype}")
    if np.dtype(page.dtype).kind not in "biuf":
        raise BadItem("CEL015", f"the pixels are {page.dtype}")
    # A decoder would fill the pieces that an interrupted writer never wrote with zeros, and say nothing.
    pieces, end = math.prod(page.chunked), tif.filehandle.size
    whole = sum(size > 0 and start + size <= end for start, size in zip(page.dataoffsets, page.databytecounts, strict=False))
    if whole < pieces:
        raise BadItem("CEL010", f"the image is not all there, {pieces - whole} of its {pieces} pieces missing")
    return page


def _count(bad: NDArray[np.bool_]) -> str:
    return f"{np.count_nonzero(bad):,} of {bad.size:,}"


def _first(bad: NDArray[np.bool_]) -> str:
    row, column = np.unravel_index(int(bad.argmax()), bad.shape)
    return f"first at row {row}, column {column}"
