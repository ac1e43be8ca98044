from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from ctc_metrics.metrics import det, seg
from ctc_metrics.utils.representations import count_acyclic_graph_correction_operations, match
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.optimize import linear_sum_assignment
from skimage.metrics import contingency_table

from labwright.cells.matching import greedy, overlap
from labwright.cells.metrics import FIGURES, FrameScores, score_frame, summarise
from labwright.runs.errors import DataError
from labwright.testing.rods import disturbed, rods

pairs_of_maps = hnp.array_shapes(min_dims=2, max_dims=2, max_side=12).flatmap(
    lambda shape: st.tuples(*(hnp.arrays(np.uint8, shape, elements=st.integers(0, 6)) for _ in range(2)))
)


def blocks(*numbers: int, px: int = 4) -> np.ndarray:
    """A row of cells, ``px`` by ``px`` pixels each."""
    return np.array([numbers], np.uint16).repeat(px, axis=0).repeat(px, axis=1)


def cells_of(labels: np.ndarray) -> list[np.ndarray]:
    return [labels == label for label in np.unique(labels) if label]


def instance_dice_by_hand(truth: np.ndarray, predicted: np.ndarray) -> float:
    ours, theirs = cells_of(truth), cells_of(predicted)
    scores = np.array([[2 * (g & p).sum() / (g.sum() + p.sum()) for p in theirs] for g in ours]).reshape(len(ours), len(theirs))
    total, matches = 0.0, 0
    while scores.size and scores.max() > 0.1:
        i, j = np.unravel_index(scores.argmax(), scores.shape)
        total, matches = total + scores[i, j], matches + 1
        scores[i], scores[:, j] = -1, -1
    return total / (len(ours) + len(theirs) - matches)


@given(pairs_of_maps)
def test_instance_dice_equals_the_rule_by_hand(maps: tuple[np.ndarray, np.ndarray]) -> None:
    truth, predicted = maps
    if truth.any() or predicted.any():
        assert score_frame(truth, predicted).instance_dice == pytest.approx(instance_dice_by_hand(truth, predicted), abs=1e-12)


@given(pairs_of_maps)
def test_f1_pq_and_matched_dice_equal_an_optimal_assignment(maps: tuple[np.ndarray, np.ndarray]) -> None:
    truth, predicted = maps
    ours, theirs = cells_of(truth), cells_of(predicted)
    iou = np.array([[(g & p).sum() / (g | p).sum() for p in theirs] for g in ours]).reshape(len(ours), len(theirs))
    i, j = linear_sum_assignment(np.where(iou > 0.5, iou, 0), maximize=True)
    matched = iou[i, j][iou[i, j] > 0.5]
    scores = score_frame(truth, predicted)
    cells = len(ours) + len(theirs)
    assert scores.f1 == pytest.approx(2 * len(matched) / cells if cells else 1)
    assert scores.pq == pytest.approx(2 * matched.sum() / cells if cells else 1)
    assert scores.matched_dice == (pytest.approx(np.mean(2 * matched / (1 + matched))) if len(matched) else None)


def test_f1_and_pq_equal_those_of_stardist() -> None:
    y, x = np.indices((60, 90))
    truth = np.where((y % 10 < 8) & (x % 15 < 12), y // 10 * 6 + x // 15 + 1, 0).astype(np.uint16)
    predicted = np.concatenate([np.roll(truth[10 * row : 10 * row + 10], shift, axis=1) for row, shift in enumerate((0, 1, 2, 3, 5, 6))])
    predicted[predicted == 8] = 0
    predicted[predicted == 15] = 16
    predicted[(predicted == 22) & (y % 2 == 0)] = 40
    scores = score_frame(truth, predicted)
    # stardist 0.9.2, matching(truth, predicted, thresh=0.5): tp, f1, panoptic_quality
    assert scores.counts.matches == 20
    assert scores.f1 == pytest.approx(0.5633803, abs=1e-6)
    assert scores.pq == pytest.approx(0.4531807, abs=1e-6)


def ctc_scores(frames: list[tuple[np.ndarray, np.ndarray]], folder: Path) -> tuple[float, float]:
    """SEG and DET of a film by py-ctcmetrics."""
    matches = []
    for truth, predicted in frames:
        for name, labels in (("truth.tif", truth), ("predicted.tif", predicted)):
            tifffile.imwrite(folder / name, labels.astype(np.int32))
        matches.append(match(str(folder / "truth.tif"), str(folder / "predicted.tif")))
    ours, theirs, mapped_ours, mapped_theirs, ious = (list(column) for column in zip(*matches, strict=True))
    operations = count_acyclic_graph_correction_operations(None, None, ours, theirs, mapped_ours, mapped_theirs)
    return seg(ours, ious), det(**operations)


@pytest.mark.parametrize("frames", [1, 4])
@pytest.mark.parametrize("shift_px", [1, 4])
def test_seg_and_det_equal_those_of_py_ctcmetrics(frames: int, shift_px: int, tmp_path: Path) -> None:
    truths = [rods(128, 60 - 10 * frame, seed=frame) for frame in range(frames)]
    film = [(truth, disturbed(truth, seed=frame, shift_px=shift_px)) for frame, truth in enumerate(truths)]
    group = summarise({"01": [score_frame(*frame) for frame in film]}, resamples=0)["overall"]
    assert min(group["splits"], group["missed"]) > 0
    assert (group["seg"], group["det"]) == pytest.approx(ctc_scores(film, tmp_path))


@pytest.mark.parametrize("spread", [1, 90_000_000])
@pytest.mark.parametrize("seed", [0, 1])
def test_overlaps_equal_the_contingency_table_of_scikit_image(seed: int, spread: int) -> None:
    truth = rods(128, 60, seed=seed)
    predicted = disturbed(truth, seed=seed)
    numbers = np.random.default_rng(seed).permutation(200)[: int(predicted.max()) + 1] + 1
    predicted = np.where(predicted > 0, numbers[predicted] * 3, 0)  # gaps in the numbers
    table = contingency_table(truth, predicted).toarray()
    present = np.unique(predicted[predicted > 0])
    found = overlap(truth.astype(np.uint64) * np.uint64(spread), predicted * spread)
    dense = np.zeros((len(found.truth_px), len(found.predicted_px)))
    dense[found.truth, found.predicted] = found.shared_px
    np.testing.assert_array_equal(dense, table[1:, present])
    np.testing.assert_array_equal(found.truth_px, table[1:].sum(axis=1))
    np.testing.assert_array_equal(found.predicted_px, table[:, present].sum(axis=0))


def test_two_empty_frames_score_one_and_say_so() -> None:
    scores = score_frame(blocks(0, 0), blocks(0, 0))
    assert (scores.instance_dice, scores.f1, scores.pq, scores.empty_both) == (1, 1, 1, True)
    assert (scores.matched_dice, scores.seg, scores.det) == (None, None, None)


def test_one_empty_side_scores_zero() -> None:
    missed, spurious = score_frame(blocks(1, 0), blocks(0, 0)), score_frame(blocks(0, 0), blocks(1, 0))
    assert (missed.instance_dice, missed.f1, missed.pq, missed.seg, missed.det) == (0, 0, 0, 0, 0)
    assert (spurious.instance_dice, spurious.f1, spurious.pq, spurious.seg, spurious.det) == (0, 0, 0, None, None)
    assert not missed.empty_both
    assert not spurious.empty_both


def test_missed_and_spurious_cells_count_as_zero() -> None:
    assert score_frame(blocks(1, 2, 0), blocks(1, 0, 7)).instance_dice == pytest.approx(1 / 3)


def test_a_dice_of_exactly_a_tenth_is_no_match() -> None:
    truth, predicted = np.zeros((1, 40), np.uint8), np.zeros((1, 40), np.uint8)
    truth[0, :10] = 1
    predicted[0, 9:19] = 1
    assert score_frame(truth, predicted).instance_dice == 0  # D = 2·1 / 20
    predicted[0, 18] = 0
    assert score_frame(truth, predicted).instance_dice == pytest.approx(2 / 19)


def test_the_best_pair_is_taken_first_though_another_choice_would_give_more() -> None:
    truth, predicted = np.zeros((1, 20), np.uint8), np.zeros((1, 20), np.uint8)
    truth[0, :4], truth[0, 4:10] = 1, 2
    predicted[0, :2], predicted[0, 2:9] = 1, 2
    # D: (2,2) 10/13, (1,1) 4/6, (1,2) 4/11
    assert score_frame(truth, predicted).instance_dice == pytest.approx((10 / 13 + 4 / 6) / 2)
    predicted[0, :10] = [1, 1, 1, 2, 2, 2, 2, 2, 2, 2]
    predicted[0, 0:3] = 0
    assert score_frame(truth, predicted).instance_dice == pytest.approx((12 / 13) / 2)


def test_of_equal_pairs_the_lower_truth_label_comes_first_then_the_lower_prediction() -> None:
    pairs = overlap(blocks(1, 1, 2, 2), blocks(0, 9, 9, 0))
    matched = greedy(pairs)
    np.testing.assert_array_equal(pairs.truth[matched], [0])
    pairs = overlap(blocks(0, 5, 5, 0), blocks(3, 3, 4, 4))
    np.testing.assert_array_equal(pairs.predicted[greedy(pairs)], [0])


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.uint32, np.uint64])
def test_any_integer_dtypes_may_meet(dtype: type) -> None:
    truth = rods(200, 240)
    assert 240 <= truth.max() <= 255
    predicted = disturbed(truth)
    assert score_frame(truth.astype(dtype), predicted.astype(np.int64)) == score_frame(truth, predicted)
    assert score_frame(truth, predicted.astype(dtype)) == score_frame(truth, predicted)


def test_labels_wrapped_at_255_lose_their_score_and_whole_ones_keep_it() -> None:
    truth = rods(256, 330)
    assert truth.max() > 300
    assert score_frame(truth, truth).instance_dice == 1
    assert score_frame(truth, truth.astype(np.uint8)).instance_dice < 0.9


@pytest.mark.parametrize("bad", [np.float32, np.float64, np.bool_])
def test_labels_that_are_not_integers_are_refused(bad: type) -> None:
    with pytest.raises(DataError, match="whole numbers"):
        score_frame(blocks(1, 2), blocks(1, 0).astype(bad))


def test_negative_labels_and_unequal_sizes_are_refused() -> None:
    with pytest.raises(DataError, match="negative"):
        score_frame(blocks(1, 2).astype(np.int16) - 2, blocks(1, 2))
    with pytest.raises(DataError, match="truth of size 4×8 and prediction of size 4×12"):
        score_frame(blocks(1, 2), blocks(1, 2, 3))


def film(seed: int, frames: int = 12) -> list[FrameScores]:
    return [
        score_frame(truth, disturbed(truth, seed=seed + k, shift_px=1 + k % 3))
        for k, truth in enumerate(rods(64, 20, seed=seed + k) for k in range(frames))
    ]


def test_instance_dice_is_the_mean_over_frames_and_the_others_are_pooled() -> None:
    crowded = score_frame(blocks(*range(1, 10)), blocks(*range(1, 10)))
    sparse = score_frame(blocks(1, 0, 0), blocks(0, 0, 2))
    empty = score_frame(blocks(0), blocks(0))
    group = summarise({"01": [crowded, sparse, empty]})["sequences"]["01"]
    assert group["instance_dice"] == pytest.approx((1 + 0 + 1) / 3)
    assert group["f1"] == pytest.approx(18 / 20)
    assert group["pq"] == pytest.approx(18 / 20)
    assert group["seg"] == pytest.approx(9 / 10)
    assert group["det"] == pytest.approx(1 - 11 / 100)
    assert (group["n_frames"], group["n_empty_both"], group["truth_cells"], group["missed"]) == (3, 1, 10, 1)


def test_overall_pools_all_frames_and_a_sequence_does_not_depend_on_the_others() -> None:
    films = {"01": film(0), "02": film(50, frames=5)}
    both = summarise(films, seed=3)
    assert both["sequences"]["02"] == summarise({"02": films["02"]}, seed=3)["overall"]
    assert both["overall"] == summarise({"x": films["01"] + films["02"]}, seed=3)["overall"]


def test_intervals_hold_the_figure_are_seeded_and_near_the_normal_approximation() -> None:
    frames = film(0, frames=40)
    group = summarise({"01": frames}, seed=1)["overall"]
    assert group == summarise({"01": frames}, seed=1)["overall"]
    assert group["intervals"] != summarise({"01": frames}, seed=2)["overall"]["intervals"]
    for name in FIGURES:
        low, high = group["intervals"][name]
        assert low < group[name] < high
    values = np.array([frame.instance_dice for frame in frames])
    low, high = group["intervals"]["instance_dice"]
    assert (high - low) / 2 == pytest.approx(1.96 * values.std() / len(values) ** 0.5, rel=0.15)


def test_no_interval_for_one_frame_or_when_not_asked_for() -> None:
    frames = film(0, frames=3)
    assert set(summarise({"01": frames[:1]})["overall"]["intervals"].values()) == {None}
    assert set(summarise({"01": frames}, resamples=0)["overall"]["intervals"].values()) == {None}


def test_a_summary_is_json_also_where_figures_are_undefined() -> None:
    nothing = score_frame(blocks(0), blocks(0))
    summary = summarise({"01": [nothing, nothing]})
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
    assert summary["overall"]["seg"] is None
    assert summary["overall"]["intervals"]["seg"] is None


@pytest.mark.parametrize("sequences", [{}, {"01": []}])
def test_nothing_to_score_is_an_error(sequences: dict[str, list[FrameScores]]) -> None:
    with pytest.raises(DataError, match="no frame"):
        summarise(sequences)
