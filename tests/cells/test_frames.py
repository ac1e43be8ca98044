from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from labwright.cells.frames import common_plane, pair_findings, repeat_findings
from labwright.cells.tiff import Plane

IMAGE = np.arange(10_000, dtype=np.uint16).reshape(100, 100) % 4000


def codes(image: NDArray[Any], mask: NDArray[Any] | None = None) -> list[str]:
    return [found.code for found in pair_findings("data/01/frame 0", image, mask)]


def test_the_plane_most_frames_have_is_the_sequences() -> None:
    small, large = Plane((8, 9), np.dtype(np.int16)), Plane((12, 9), np.dtype(np.int16))
    common, odd = common_plane("data", "01", {0: small, 3: large, 1: large, 2: small, 4: large})
    assert common == Plane((12, 9), np.dtype(np.float32))
    assert [(found.code, found.place) for found in odd] == [("CEL030", "data/01/frame 0"), ("CEL030", "data/01/frame 2")]
    assert "9×8" in odd[0].text
    assert "3 of the 5 frames have 9×12" in odd[0].text


def test_of_equally_frequent_planes_the_first_frames_counts() -> None:
    planes = {5: Plane((8, 9), np.dtype(np.uint8)), 4: Plane((8, 9), np.dtype(np.uint16))}
    common, odd = common_plane("data", "01", planes)
    assert common.dtype == np.uint16
    assert [(found.code, found.place) for found in odd] == [("CEL031", "data/01/frame 5")]


def test_types_that_are_stored_alike_are_alike() -> None:
    planes = {number: Plane((8, 9), np.dtype(dtype)) for number, dtype in enumerate(("int16", "float32", "float64", ">f4"))}
    assert common_plane("data", "01", planes) == (Plane((8, 9), np.dtype(np.float32)), [])


def test_equal_neighbours_are_found_and_equal_frames_further_apart_are_not() -> None:
    found = repeat_findings("data", "01", {10: "b", 2: "a", 9: "a", 11: "b", 12: "c", 13: "b"})
    assert [(one.code, one.place) for one in found] == [("CEL033", "data/01/frame 9"), ("CEL033", "data/01/frame 11")]


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_saturation_is_more_than_one_percent_at_a_cameras_highest_value(bits: int) -> None:
    image = IMAGE % 200
    image[0] = 2**bits - 1
    assert codes(image) == []
    image[1, 0] = 2**bits - 1
    assert codes(image) == ["CEL016"]
    assert codes(image.astype(np.float32)) == []
    assert codes(np.minimum(image, 2**bits - 2)) == []


def test_masks_that_look_wrong_are_told_apart() -> None:
    mask = np.zeros_like(IMAGE)
    assert codes(IMAGE, mask) == ["CEL022"]
    mask[10:20, 10:20] = mask[30:40, 30:40] = 255
    assert codes(IMAGE, mask) == []
    mask[60:70, 60:70] = 255
    assert codes(IMAGE, mask) == ["CEL024"]
    mask[0, 0] = 1
    assert codes(IMAGE, mask) == []
    assert codes(IMAGE, mask.astype(np.uint32) * 300) == ["CEL023"]
    assert codes(IMAGE, mask[:, 1:]) == ["CEL020"]


def test_what_one_image_shows_is_told_even_if_its_mask_does_not_fit() -> None:
    image = np.full_like(IMAGE, 4095)
    assert codes(image, np.zeros((3, 4), np.uint16)) == ["CEL016", "CEL020"]
