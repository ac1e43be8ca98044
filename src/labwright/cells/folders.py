"""Score any folder of masks against any other, without a study; masks are paired by frame number."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from labwright.cells.evaluate import row_of, score_pair
from labwright.cells.metrics import summarise
from labwright.cells.tiff import read_mask
from labwright.runs.errors import DataError, MissingError

_NUMBERED = re.compile(r"(?!\.).*?(\d+)(?:_256)?\.tiff?", re.IGNORECASE)
"""The last number of a name, less the size that the challenge puts behind it."""


def evaluate_folders(predictions: Path, truth: Path, size: str = "original", *, bootstrap: int = 1000, seed: int = 0) -> dict[str, Any]:
    """Scores of ``predictions`` against ``truth``.

    Args:
        predictions: folder with a TIFF label map a frame (``mask012.tif``, ``t0012_256.tif``, …).
        truth: folder with known label maps, numbered alike; every one of them needs a prediction.
        size: ``original``, or ``256`` to bring both sides to 256×256 first.

    Returns:
        ``{"summary": …, "frames": [{"frame": 12, …}], "unused_predictions": 0}``; see :func:`labwright.cells.metrics.summarise`.

    Raises:
        MissingError: a folder, or predictions for some frames, are not there.
        DataError: a number stands for two files, or the sizes of a pair differ.
    """
    predicted, known = numbered(predictions), numbered(truth)
    missing = sorted(known.keys() - predicted.keys())
    if missing:
        raise MissingError(
            f"{len(missing)} of {len(known)} frames have no prediction, the first is frame {missing[0]}",
            where=str(predictions),
            todo="Predict them, or leave their masks out.",
        )
    rows, scores = [], []
    for frame in sorted(known):
        pair = read_mask(known[frame]), read_mask(predicted[frame])
        if size != "256" and pair[0].shape != pair[1].shape:
            raise DataError(
                f"frame {frame} has {pair[1].shape[1]}×{pair[1].shape[0]} pixels, its known mask {pair[0].shape[1]}×{pair[0].shape[0]}",
                where=str(predicted[frame]),
                todo="Compare masks of one size, or both at 256×256 with --size 256.",
            )
        scores.append(score_pair(size, pair))
        rows.append({"frame": frame, **row_of(scores[-1])})
    return {
        "summary": summarise({truth.name: scores}, resamples=bootstrap, seed=seed),
        "frames": rows,
        "unused_predictions": len(predicted.keys() - known.keys()),
    }


def numbered(folder: Path) -> dict[int, Path]:
    """Label maps of a folder by the number in their name (``t0012_256.tif`` is frame 12).

    Raises:
        MissingError: there is no such folder, or no numbered TIFF in it.
        DataError: a number is there twice.
    """
    if not folder.is_dir():
        raise MissingError("there is no such folder", where=str(folder), todo="Name the folder that holds the masks themselves.")
    found: dict[int, Path] = {}
    for path in sorted(folder.iterdir()):
        match = _NUMBERED.fullmatch(path.name)
        if match is None:
            continue
        number = int(match[1])
        if number in found:
            text = f"frame {number} is there twice, as {found[number].name} and {path.name}"
            raise DataError(text, where=str(folder), todo="Remove one of the two.")
        found[number] = path
    if not found:
        todo = "Name the folder that holds the masks themselves, such as 01_RES."
        raise MissingError("there is no numbered TIFF", where=str(folder), todo=todo)
    return found
