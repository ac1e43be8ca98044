from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from labwright.cells.instances import SHARED, Thresholds, instances, share_out, share_out_plain, survey, thresholds
from labwright.cells.target import BORDER, CORE, border_core
from labwright.testing.rods import rods

CROSS = ndimage.generate_binary_structure(2, 1)

class_maps = hnp.arrays(np.uint8, hnp.array_shapes(min_dims=2, max_dims=2, max_side=14), elements=st.sampled_from([0, 0, 1, 2, 2]))


def one_by_one(classes: np.ndarray, core_min_px: int, isolated_border_min_px: int) -> np.ndarray:
    """The rule, piece by piece, with a full distance transform for each core."""
    cores, _ = ndimage.label(classes == CORE, CROSS)
    small = np.flatnonzero(np.bincount(cores.ravel()) <= core_min_px)
    cores, core_count = ndimage.label((cores > 0) & ~np.isin(cores, small), CROSS)
    pieces, piece_count = ndimage.label(classes > 0, CROSS)
    labels = np.zeros(classes.shape, int)
    following = core_count + 1
    for number in range(1, piece_count + 1):
        piece = pieces == number
        present = np.unique(cores[piece & (cores > 0)])
        if len(present):
            distances = np.stack([ndimage.distance_transform_edt(cores != core) for core in present])
            labels[piece] = present[distances.argmin(axis=0)][piece]
        elif piece.sum() > isolated_border_min_px:
            labels[piece] = following
            following += 1
    return labels


@given(class_maps, st.integers(0, 4), st.integers(0, 6))
def test_equals_the_rule_worked_out_piece_by_piece(classes: np.ndarray, core_min_px: int, isolated_border_min_px: int) -> None:
    labels = instances(classes, core_min_px=core_min_px, isolated_border_min_px=isolated_border_min_px)
    np.testing.assert_array_equal(labels, one_by_one(classes, core_min_px, isolated_border_min_px))


@given(class_maps)
def test_the_kernels_equal_their_plain_references(classes: np.ndarray) -> None:
    cores, core_count = ndimage.label(classes == CORE, CROSS)
    pieces, piece_count = ndimage.label(classes > 0, CROSS)
    cores, pieces = cores.astype(np.uint32), pieces.astype(np.uint32)
    core_px, piece_px, piece_of = survey(cores, pieces, core_count, piece_count)
    np.testing.assert_array_equal(core_px[1:], np.bincount(cores.ravel(), minlength=core_count + 1)[1:])
    np.testing.assert_array_equal(piece_px[1:], np.bincount(pieces.ravel(), minlength=piece_count + 1)[1:])
    np.testing.assert_array_equal(piece_of[cores[cores > 0]], pieces[cores > 0])
    # Every piece that has a core is shared, some by a single one.
    numbers = np.arange(core_count + 1, dtype=np.uint32)
    owners = np.zeros(piece_count + 1, np.uint32)
    owners[piece_of[1:]] = SHARED
    fast, plain = np.empty(classes.shape, np.uint32), np.empty(classes.shape, np.uint32)
    share_out(cores, pieces, numbers, owners, fast)
    share_out_plain(cores, pieces, numbers, owners, plain)
    np.testing.assert_array_equal(fast, plain)


def test_a_border_pixel_stays_in_its_own_piece_though_a_foreign_core_is_nearer() -> None:
    classes = np.zeros((12, 30), np.uint8)
    classes[0:4, 0:4] = CORE
    classes[0:4, 26:30] = CORE
    classes[1, 4:26] = BORDER
    classes[3:8, 12:18] = CORE  # a third cell, one background row below the bridge between the two
    labels = instances(classes, core_min_px=3)
    np.testing.assert_array_equal(np.unique(labels[1]), [1, 2])
    np.testing.assert_array_equal(labels[1, 4:26], [1] * 11 + [2] * 11)


def test_a_tie_goes_to_the_lower_number_on_either_side() -> None:
    row = np.array([[CORE, CORE, BORDER, CORE, CORE]], np.uint8)
    np.testing.assert_array_equal(instances(row, core_min_px=0), [[1, 1, 1, 2, 2]])
    np.testing.assert_array_equal(instances(row.T, core_min_px=0).T, [[1, 1, 1, 2, 2]])


def test_thresholds_are_strict_and_small_cores_become_border() -> None:
    classes = np.zeros((20, 40), np.uint8)
    classes[2:7, 2:8] = CORE  # 30 px: too small; as border it is an isolated piece of 30 px
    classes[2:7, 12:18] = CORE
    classes[7, 12] = CORE  # 31 px
    classes[10:13, 2:7] = BORDER  # 15 px: dropped
    classes[10:14, 12:16] = BORDER  # 16 px: a cell
    labels = instances(classes)
    np.testing.assert_array_equal(labels[[2, 2, 10, 10], [12, 2, 2, 12]], [1, 2, 0, 3])


def test_a_single_core_takes_its_whole_piece_without_a_limit_of_distance() -> None:
    classes = np.full((40, 200), BORDER, np.uint8)
    classes[:8, :8] = CORE
    assert (instances(classes) == 1).all()


def test_a_perfect_network_gives_back_the_cells() -> None:
    truth = rods(256, 60)
    labels = instances(border_core(truth))
    assert labels.dtype == np.uint16
    assert labels.max() == truth.max()
    np.testing.assert_array_equal(labels > 0, truth > 0)
    assert all(len(np.unique(truth[(labels == number) & (border_core(truth) == CORE)])) == 1 for number in range(1, labels.max() + 1))
    majority = sum(int(np.bincount(truth[labels == number]).max()) for number in range(1, labels.max() + 1))
    assert majority / (truth > 0).sum() > 0.99


@pytest.mark.parametrize("shape", [(1, 1), (1, 17), (17, 1), (3, 5)])
def test_frames_without_cores_and_of_any_size(shape: tuple[int, int]) -> None:
    assert not instances(np.zeros(shape, np.uint8)).any()
    assert (instances(np.full(shape, BORDER, np.uint8), isolated_border_min_px=0) == 1).all()
    assert (instances(np.full(shape, CORE, np.uint8), core_min_px=0) == 1).all()


@pytest.mark.parametrize("side", [2 * 255, 2 * 256])
def test_more_than_65535_cells_are_counted_in_uint32(side: int) -> None:
    classes = np.zeros((side, side + 2), np.uint8)
    classes[::2, ::2] = CORE
    count = (side // 2) * (side // 2 + 1)
    labels = instances(classes, core_min_px=0)
    assert labels.dtype == (np.uint32 if count > 65535 else np.uint16)
    assert labels.max() == count == len(np.unique(labels)) - 1


@given(st.integers(0, 1000))
def test_classes_in_another_memory_order_give_the_same(seed: int) -> None:
    classes = np.random.default_rng(seed).integers(0, 3, (23, 31), dtype=np.uint8)
    np.testing.assert_array_equal(instances(np.asfortranarray(classes), core_min_px=2), instances(classes, core_min_px=2))


def test_thresholds_go_with_the_area() -> None:
    assert thresholds(1.0) == Thresholds(30, 15)
    assert thresholds(0.5) == Thresholds(7, 3)
    assert thresholds(2.0) == Thresholds(120, 60)
    assert thresholds(0.5, core_min_px=120, isolated_border_min_px=60) == Thresholds(30, 15)


def test_without_a_folder_for_compiled_code_it_works_and_says_so_once() -> None:
    code = """
import tempfile
def refuse(*_, **__): raise PermissionError(13, "read-only")
tempfile.TemporaryFile = refuse
import numpy as np
from labwright.cells.instances import instances
print(instances(np.pad(np.ones((12, 12), np.uint8), 2)).max())
"""
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert outcome.stdout == "1\n", outcome.stderr
    assert outcome.stderr.count("NUMBA_CACHE_DIR") == 1


def test_what_the_edge_cuts_off_may_be_smaller() -> None:
    classes = np.zeros((40, 40), np.uint8)
    classes[0:4, 4:8] = 1  # 16 px at the edge
    classes[20:24, 20:24] = 1  # as large, in the middle
    classes[36:40, 30:34] = 2  # border without a core, at the edge
    classes[30:34, 4:8] = 2
    limits = {"core_min_px": 20, "isolated_border_min_px": 20}
    assert instances(classes, **limits).max() == 0
    lenient = instances(classes, **limits, edge_share=0.5)
    assert lenient.max() == 2
    assert lenient[2, 6] == 1
    assert lenient[38, 32] == 2
    assert lenient[22, 22] == lenient[32, 6] == 0
