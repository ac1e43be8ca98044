from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from imagecodecs import png_decode

from labwright.cells.overlay import BOTH, GAP_PX, LONGEST_SIDE_PX, PREDICTION, TRUTH, outlines, write_overlay


def drawn(path: Path, *arrays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The left and the right half of the picture."""
    write_overlay(path, *arrays)
    picture = png_decode(path.read_bytes())
    width = (picture.shape[1] - GAP_PX) // 2
    return picture[:, :width], picture[:, width + GAP_PX :]


def square(start: int, stop: int, size: int = 40) -> np.ndarray:
    labels = np.zeros((size, size), np.uint16)
    labels[start:stop, start:stop] = 1
    return labels


def test_outlines_are_the_cells_own_edge_pixels_also_where_cells_touch() -> None:
    labels = np.array([[0, 0, 0, 0, 0], [1, 1, 1, 2, 2], [1, 1, 1, 2, 2], [1, 1, 1, 2, 2]])
    assert outlines(labels).astype(int).tolist() == [[0, 0, 0, 0, 0], [1, 1, 1, 1, 1], [0, 0, 1, 1, 0], [0, 0, 1, 1, 0]]


def test_known_masks_are_yellow_predicted_ones_cyan_and_both_white(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 900, (40, 40)).astype(np.uint16)
    plain, picture = drawn(tmp_path / "a.png", image, square(5, 20), square(5, 30))
    assert tuple(picture[19, 10]) == TRUTH
    assert tuple(picture[29, 10]) == PREDICTION
    assert tuple(picture[5, 5]) == BOTH
    inside = ~(outlines(square(5, 20)) | outlines(square(5, 30)))
    assert np.array_equal(picture[inside], plain[inside])


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_the_image_is_shown_from_dark_to_bright_whatever_its_range(tmp_path: Path, dtype: str) -> None:
    image = (np.linspace(0, 200, 1600).reshape(40, 40) + 20).astype(dtype)
    plain, _ = drawn(tmp_path / "a.png", image, square(0, 1), square(0, 1))
    assert (plain.min(), plain.max()) == (0, 255)
    assert (plain == plain[..., :1]).all()


def test_a_large_frame_is_thinned_out_and_keeps_closed_outlines(tmp_path: Path) -> None:
    size = 2 * LONGEST_SIDE_PX + 10
    labels = square(300, 901, size)
    _, picture = drawn(tmp_path / "a.png", np.eye(size, dtype=np.float32), labels, np.zeros_like(labels))
    assert max(picture.shape) <= LONGEST_SIDE_PX
    yellow = (picture == TRUTH).all(axis=2)
    side = len(range(300, 901, 3))
    assert yellow.sum() == 4 * side - 4
