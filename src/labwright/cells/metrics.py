"""Scores of predicted instances against the truth: Instance Dice, F1, PQ, matched Dice, SEG and DET.

A frame is reduced to counts and sums, from which every figure is a ratio; sums over frames give the figures of a
sequence by the same formulas. Instance Dice alone is a mean over frames, as the AI-HERO 2 challenge has it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from labwright.cells.matching import Labels, dice, greedy, overlap
from labwright.runs.errors import DataError

FIGURES = ("instance_dice", "f1", "pq", "matched_dice", "seg", "det")
INTERVAL_METHOD = (
    "95 % percentile bootstrap over frames, {resamples} resamplings; "
    "frames of one film resemble each other, so the true uncertainty is larger"
)


@dataclass(frozen=True)
class Counts:
    """What is counted and summed in a frame."""

    truth_cells: int
    predicted_cells: int
    matches: int
    """Pairs with an IoU above 0.5; such a pair is the only one for both of its cells."""
    iou_sum: float
    """Over ``matches``."""
    dice_sum: float
    """Over ``matches``."""
    seg_sum: float
    """IoU over the cells of the truth that one predicted cell covers by more than half."""
    missed: int
    """Cells of the truth that no predicted cell covers by more than half (CTC: FN)."""
    spurious: int
    """Predicted cells that cover no cell of the truth by more than half (CTC: FP)."""
    splits: int
    """Cuts that would part predicted cells which cover several cells of the truth (CTC: NS)."""


@dataclass(frozen=True)
class FrameScores:
    """One frame's figures, each from 0 to 1, and the counts behind them.

    Where truth and prediction are both empty, ``instance_dice``, ``f1`` and ``pq`` are 1 by definition and
    ``empty_both`` is set. ``matched_dice`` is None without a match; ``seg`` and ``det`` without a cell in the truth.
    """

    instance_dice: float
    """Dice over greedily matched pairs, divided by matches, missed and spurious cells together."""
    f1: float
    """2 TP / (2 TP + FP + FN) at IoU above 0.5."""
    pq: float
    """Panoptic quality: IoU summed over the matches / (TP + FP/2 + FN/2), at IoU above 0.5."""
    matched_dice: float | None
    """Mean Dice of the pairs with IoU above 0.5: how well outlines fit where cells were found."""
    seg: float | None
    """CTC SEG: mean IoU over the cells of the truth, 0 for a missed one; spurious cells cost nothing."""
    det: float | None
    """CTC DET: 1 - min(A, A0) / A0, A = 5 splits + 10 missed + spurious, A0 = 10 per cell of the truth."""
    empty_both: bool
    counts: Counts


def score_frame(truth: Labels, predicted: Labels) -> FrameScores:
    """Compare one frame.

    Args:
        truth, predicted: (H, W) label maps of any integer dtypes, 0 background; each number is one cell.

    Returns:
        Figures and counts. Instance Dice follows the challenge: D = 2|G∩P| / (|G|+|P|); pairs are accepted from
        the highest D on while D > 0.1, each cell once; the sum of the accepted D is divided by the number of
        accepted pairs plus the cells left over on both sides. See :func:`labwright.cells.matching.greedy` for ties.

    Raises:
        DataError: the shapes differ, or a map is not of whole, non-negative numbers.
    """
    pairs = overlap(truth, predicted)
    pair_dice, shared = dice(pairs), pairs.shared_px
    truth_px, predicted_px = pairs.truth_px[pairs.truth], pairs.predicted_px[pairs.predicted]
    iou = shared / (truth_px + predicted_px - shared)
    matched = 3 * shared > truth_px + predicted_px  # IoU > 0.5 in whole numbers
    covered = 2 * shared > truth_px
    covering = len(np.unique(pairs.predicted[covered]))
    truth_cells, predicted_cells = len(pairs.truth_px), len(pairs.predicted_px)
    counts = Counts(
        truth_cells=truth_cells,
        predicted_cells=predicted_cells,
        matches=int(matched.sum()),
        iou_sum=float(iou[matched].sum()),
        dice_sum=float(pair_dice[matched].sum()),
        seg_sum=float(iou[covered].sum()),
        missed=truth_cells - int(covered.sum()),
        spurious=predicted_cells - covering,
        splits=int(covered.sum()) - covering,
    )
    accepted = greedy(pairs)
    cells = truth_cells + predicted_cells - len(accepted)
    figures = {name: _json(value) for name, value in _ratios(_columns([counts])[0]).items()}
    return FrameScores(
        instance_dice=float(pair_dice[accepted].sum()) / cells if cells else 1.0,
        empty_both=cells == 0,
        counts=counts,
        **figures,  # type: ignore[arg-type]
    )


def summarise(sequences: Mapping[str, Sequence[FrameScores]], *, resamples: int = 1000, seed: int = 0) -> dict[str, Any]:
    """Figures of each sequence and of all frames together.

    Instance Dice is the unweighted mean over frames; the others are computed from counts summed over frames, so a
    crowded frame weighs more. An interval is None where it was not asked for, or for fewer than two frames.

    Args:
        sequences: frames by name of their sequence.
        resamples: resamplings of frames for the 95 % intervals; 0 for none.
        seed: fixes the resamplings; each sequence has its own, whatever others there are.

    Returns:
        ``{"overall": group, "sequences": {name: group}, "interval_method": str}``; a group has the six figures (None
        where undefined), ``n_frames``, ``n_empty_both``, the summed counts, and ``intervals``: figure → [low, high] or None.

    Raises:
        DataError: a sequence has no frames, or there is none.
    """
    empty = [name for name, frames in sequences.items() if not frames]
    if empty or not sequences:
        raise DataError(
            "there is no frame to score", where=", ".join(empty), todo="Look whether predictions and truth carry the same names"
        )
    return {
        "overall": _group([frame for frames in sequences.values() for frame in frames], resamples, seed),
        "sequences": {name: _group(frames, resamples, seed) for name, frames in sequences.items()},
        "interval_method": INTERVAL_METHOD.format(resamples=resamples) if resamples else "not asked for",
    }


def _group(frames: Sequence[FrameScores], resamples: int, seed: int) -> dict[str, Any]:
    counts = _columns([frame.counts for frame in frames])
    means = np.array([frame.instance_dice for frame in frames])
    n_frames = len(frames)
    figures = {"instance_dice": means.mean(), **_ratios(counts.sum(axis=0))}
    intervals: dict[str, list[float] | None] = dict.fromkeys(FIGURES)
    if resamples and n_frames > 1:
        # How often each frame is drawn is all that matters, so sums over a resampling are one matrix product.
        draws = np.random.Generator(np.random.Philox(seed)).multinomial(n_frames, np.full(n_frames, 1 / n_frames), size=resamples)
        resampled = {"instance_dice": draws @ means / n_frames, **_ratios(draws @ counts)}
        intervals = {name: _interval(values) for name, values in resampled.items()}
    totals = dict(zip((field.name for field in fields(Counts)), counts.sum(axis=0).tolist(), strict=True))
    return {
        **{name: _json(value) for name, value in figures.items()},
        "n_frames": n_frames,
        "n_empty_both": sum(frame.empty_both for frame in frames),
        **{field.name: int(totals[field.name]) for field in fields(Counts) if field.type == "int"},
        "intervals": intervals,
    }


def _columns(counts: Sequence[Counts]) -> NDArray[np.float64]:
    """(frames, fields of Counts)."""
    return np.array([astuple(frame) for frame in counts], np.float64)


def _ratios(sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """The five figures that are ratios of sums; nan where undefined.

    Args:
        sums: (…, fields of Counts).
    """
    truth, predicted, matches, iou, matched_dice, seg, missed, spurious, splits = np.moveaxis(sums, -1, 0)
    repairs = np.minimum(5 * splits + 10 * missed + spurious, 10 * truth)
    return {
        "f1": _ratio(2 * matches, truth + predicted, empty=1.0),
        "pq": _ratio(2 * iou, truth + predicted, empty=1.0),
        "matched_dice": _ratio(matched_dice, matches, empty=np.nan),
        "seg": _ratio(seg, truth, empty=np.nan),
        "det": 1 - _ratio(repairs, 10 * truth, empty=np.nan),
    }


def _ratio(part: NDArray[np.float64], whole: NDArray[np.float64], *, empty: float) -> NDArray[np.float64]:
    return np.where(whole > 0, part / np.maximum(whole, 1), empty)


def _interval(values: NDArray[np.float64]) -> list[float] | None:
    defined = values[~np.isnan(values)]
    return [float(bound) for bound in np.percentile(defined, (2.5, 97.5))] if len(defined) else None


def _json(value: NDArray[np.float64]) -> float | None:
    return None if np.isnan(value) else float(value)
