from __future__ import annotations

import copy
import io
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from labwright.cells.findings import CATALOGUE, BadItem
from labwright.cells.frames import common_plane, pair_findings
from labwright.cells.source import scan
from labwright.cells.source_options import SourceOptions
from labwright.cells.tiff import Plane, plane, read_image, read_mask, scales
from labwright.runs.errors import Exit, MissingError

PATH = Path("01/t000.tif")
SHAPE = (12, 17)
RAMP = np.arange(SHAPE[0] * SHAPE[1]).reshape(SHAPE)


def encoded(pixels: np.ndarray[Any, Any], **options: Any) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, pixels, **{"photometric": "minisblack", **options})
    return stream.getvalue()


def refused(read: Any, data: bytes) -> BadItem:
    with pytest.raises(BadItem) as caught:
        read(PATH, data)
    return caught.value


@pytest.mark.parametrize(
    ("name", "masks"),
    [
        ("t98g_phase", None),
        ("u373_phase_resized", None),
        ("hela_nuclei", "{sequence}_ERR_SEG"),
        ("cancer_nuclei", "{sequence}_AUTO/SEG"),
        ("myoblast_phase", "{sequence}_AUTO/SEG"),
    ],
)
def test_real_frames_read_as_another_reader_reads_them(shared_data: Path, name: str, masks: str | None) -> None:
    ((_, frames),) = scan(SourceOptions(path=shared_data / "cells" / name, masks=masks)).sequences.items()
    common, odd = common_plane(name, "", {frame.frame: plane(frame.image) for frame in frames})
    assert odd == []
    for frame in frames[:: len(frames) // 4]:
        assert frame.mask is not None
        image, mask = read_image(frame.image), read_mask(frame.mask)
        with Image.open(frame.image) as foreign_image, Image.open(frame.mask) as foreign_mask:
            assert np.array_equal(image, np.asarray(foreign_image))
            assert np.array_equal(mask, np.asarray(foreign_mask))
        assert Plane(image.shape, image.dtype) == common == plane(frame.image)
        assert mask.dtype == np.uint16
        assert pair_findings("", image, mask) == []
        assert scales(frame.image) == (None, None)


@pytest.mark.parametrize(
    ("on_disk", "in_memory"),
    [
        ("bool", "uint8"),
        ("uint8", "uint8"),
        ("uint16", "uint16"),
        (">u2", "uint16"),
        ("int8", "float32"),
        ("int16", "float32"),
        ("uint32", "float32"),
        ("int32", "float32"),
        ("float16", "float32"),
        ("float32", "float32"),
        ("float64", "float32"),
    ],
)
def test_an_image_comes_in_one_of_three_types_with_its_values(on_disk: str, in_memory: str) -> None:
    pixels = (RAMP % 2 if on_disk == "bool" else RAMP % 120).astype(on_disk)
    image = read_image(PATH, encoded(pixels))
    assert image.dtype == np.dtype(in_memory)
    assert image.dtype.isnative
    assert np.array_equal(image, pixels)


@given(
    pixels=hnp.arrays(st.sampled_from([np.int8, np.int16, np.float16, np.uint16, np.float32]), SHAPE),
    compression=st.sampled_from([None, "zlib", "lzw"]),
)
def test_narrow_types_keep_each_value(pixels: np.ndarray[Any, Any], compression: str | None) -> None:
    data = encoded(pixels, compression=compression)
    if not np.isfinite(pixels).all():
        assert refused(read_image, data).finding == "CEL013"
    elif pixels.min() == pixels.max():
        assert refused(read_image, data).finding == "CEL014"
    else:
        assert np.array_equal(read_image(PATH, data), pixels)


@given(
    labels=hnp.arrays(st.sampled_from([np.uint8, np.uint16, np.uint32, np.int32, np.float32, np.float64]), SHAPE, elements={"min_value": 0})
)
def test_a_mask_keeps_each_label_or_is_refused(labels: np.ndarray[Any, Any]) -> None:
    data = encoded(labels)
    if not np.isfinite(labels).all():
        assert refused(read_mask, data).finding == "CEL013"
    elif (labels != np.floor(labels)).any() or labels.max() >= 2**32:
        assert refused(read_mask, data).finding == "CEL021"
    else:
        mask = read_mask(PATH, data)
        assert np.array_equal(mask, labels)
        assert mask.dtype == (np.uint16 if labels.max() < 2**16 else np.uint32)


@pytest.mark.parametrize(
    ("labels", "code", "words"),
    [
        (np.where(RAMP == 40, -1, RAMP).astype(np.int16), "CEL021", "such as -1"),
        (np.where(RAMP == 40, 0.5, RAMP).astype(np.float32), "CEL021", "row 2, column 6"),
        (np.where(RAMP == 40, np.nan, RAMP).astype(np.float32), "CEL013", "row 2, column 6"),
        (np.where(RAMP == 40, 2.0**33, RAMP), "CEL021", "8589934592"),
        (RAMP.astype(np.complex64), "CEL015", "complex64"),
    ],
)
def test_a_mask_that_holds_no_labels_is_refused_with_the_value_and_the_place(labels: np.ndarray[Any, Any], code: str, words: str) -> None:
    bad = refused(read_mask, encoded(labels))
    assert bad.finding == code
    assert words in bad.what


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "CEL010"),
        (b"<html>404 Not Found</html>", "CEL010"),
        (encoded(np.zeros((*SHAPE, 3), np.uint8), photometric="rgb"), "CEL011"),
        (encoded(np.zeros((*SHAPE, 4), np.uint8), photometric="rgb", extrasamples=["unassalpha"]), "CEL011"),
        (encoded(np.zeros((*SHAPE, 2), np.uint8), planarconfig="contig"), "CEL011"),
        (encoded(np.zeros((2, *SHAPE), np.uint8)), "CEL012"),
        (encoded(np.zeros((2, *SHAPE), np.uint16), imagej=True), "CEL012"),
        (encoded(RAMP.astype(np.complex128)), "CEL015"),
    ],
)
def test_what_is_no_grey_plane_is_refused_by_its_header(data: bytes, code: str) -> None:
    for read in (plane, read_image, read_mask):
        assert refused(read, data).finding == code


def test_an_image_is_refused_for_infinite_and_for_constant_pixels() -> None:
    infinite = refused(read_image, encoded(np.where(RAMP == 20, np.inf, RAMP)))
    assert (infinite.finding, "row 1, column 3" in infinite.what) == ("CEL013", True)
    assert refused(read_image, encoded(np.where(RAMP == 20, 1e300, RAMP))).finding == "CEL013"
    assert refused(read_image, encoded(np.full(SHAPE, 7, np.uint8))).finding == "CEL014"
    assert not read_mask(PATH, encoded(np.zeros(SHAPE, np.uint8))).any()


@pytest.mark.parametrize("compression", [None, "zlib", "lzw", "zstd"])
def test_a_file_cut_anywhere_is_refused(compression: str | None) -> None:
    pixels = np.random.default_rng(0).integers(0, 4096, (32, 40)).astype(np.uint16)
    data = encoded(pixels, compression=compression, rowsperstrip=8)
    for end in range(0, len(data) - 1, 23):
        assert refused(read_image, data[:end]).finding == "CEL010"
        assert refused(read_mask, data[:end]).finding == "CEL010"


@settings(max_examples=200)
@given(st.data())
def test_a_damaged_header_never_gets_past_as_another_error(data: st.DataObject) -> None:
    content = bytearray(encoded(RAMP.astype(np.uint16), compression="zlib"))
    for position in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=3)):
        content[position] = data.draw(st.integers(0, 255))
    for read in (plane, read_image, read_mask, scales):
        with suppress(BadItem):
            read(PATH, bytes(content))


def test_strips_that_were_never_written_are_missed_and_not_read_as_black() -> None:
    data = bytearray(encoded(RAMP.astype(np.uint16), compression="zlib", rowsperstrip=3))
    with tifffile.TiffFile(io.BytesIO(bytes(data))) as tif:
        counts = tif.pages.first.tags["StripByteCounts"]
    size = counts.valuebytecount // counts.count
    data[counts.valueoffset + size : counts.valueoffset + 2 * size] = bytes(size)
    bad = refused(read_mask, bytes(data))
    assert (bad.finding, bad.what) == ("CEL010", "the image is not all there, 1 of its 4 pieces missing")


def test_a_header_that_asks_for_all_memory_is_damage() -> None:
    data = bytearray(encoded(RAMP.astype(np.uint16), compression="zlib"))
    with tifffile.TiffFile(io.BytesIO(bytes(data))) as tif:
        for name in ("ImageWidth", "ImageLength"):
            tag = tif.pages.first.tags[name]
            data[tag.offset + 2 : tag.offset + 4] = (4).to_bytes(2, "little")
            data[tag.offset + 8 : tag.offset + 12] = (2**31).to_bytes(4, "little")
    assert refused(read_image, bytes(data)).finding == "CEL010"


def test_a_missing_file_is_missing_and_not_damaged(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=r"t000\.tif"):
        read_image(tmp_path / "t000.tif")


def test_a_bad_item_says_where_and_what_to_do_and_passes_through_a_pool() -> None:
    bad = refused(read_image, b"")
    again = copy.copy(bad)  # by the same protocol as a pool's pipe
    assert (again.finding, str(again), again.code) == ("CEL010", str(bad), Exit.DATA)
    assert str(bad).startswith("01/t000.tif: ")
    assert CATALOGUE["CEL010"].todo in str(bad)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, (None, None)),
        ({"imagej": True, "resolution": (1 / 0.65, 1 / 0.65), "metadata": {"unit": "um", "finterval": 300.0}}, (0.65, 300.0)),
        ({"imagej": True, "resolution": (1 / 0.65, 1 / 0.65), "metadata": {"unit": "\\u00B5m"}}, (0.65, None)),
        ({"imagej": True, "resolution": (2.0, 2.0), "metadata": {"unit": "pixel", "finterval": 5, "tunit": "min"}}, (None, 300.0)),
        ({"resolution": (1e4 / 0.072, 1e4 / 0.072), "resolutionunit": "CENTIMETER"}, (0.072, None)),
        ({"resolution": (1e4 / 0.072, 1e4 / 0.144), "resolutionunit": "CENTIMETER"}, (None, None)),
        ({"resolution": (72, 72), "resolutionunit": "INCH"}, (None, None)),
        ({"resolution": (300, 300), "resolutionunit": "INCH"}, (None, None)),
        (
            {
                "ome": True,
                "metadata": {
                    "PhysicalSizeX": 325.0,
                    "PhysicalSizeXUnit": "nm",
                    "PhysicalSizeY": 0.325,
                    "TimeIncrement": 2,
                    "TimeIncrementUnit": "min",
                },
            },
            (0.325, 120.0),
        ),
        ({"ome": True, "metadata": {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.7}}, (None, None)),
    ],
)
def test_scales_come_from_the_tags(options: dict[str, Any], expected: tuple[float | None, float | None]) -> None:
    found = scales(PATH, encoded(RAMP.astype(np.uint16), **options))
    assert [value is None for value in found] == [value is None for value in expected]
    assert [value for value in found if value] == pytest.approx([value for value in expected if value], rel=1e-6)
