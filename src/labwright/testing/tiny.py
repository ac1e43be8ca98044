"""A tiny valid time-lapse data set with masks, and a study that trains on it within seconds."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

BACKGROUND, CELL, NOISE = 1000.0, 3000.0, 60.0


def tiny_sequences(
    folder: Path, sequences: Sequence[str] = ("01", "02"), frames: int = 6, size: int = 64, cells: int = 5, seed: int = 0
) -> Path:
    """Write sequences in the layout of the Cell Tracking Challenge: ``01/t000.tif`` and ``01_GT/SEG/man_seg000.tif``.

    Each sequence shows bright discs that wander and never touch; a disc keeps its label over time.

    Args:
        folder: the data folder, made if need be.
        frames: frames of each sequence.
        size: side of a frame in pixels.
        cells: discs in each frame, labels 1 to ``cells``.
        seed: the same seed gives the same bytes.

    Returns:
        ``folder``.
    """
    for number, sequence in enumerate(sequences):
        generator = np.random.Generator(np.random.Philox(key=[seed, number]))
        images, masks = folder / sequence, folder / f"{sequence}_GT" / "SEG"
        images.mkdir(parents=True)
        masks.mkdir(parents=True)
        for frame, labels in enumerate(_discs(generator, frames, size, cells)):
            image = generator.normal(np.where(labels > 0, CELL, BACKGROUND), NOISE).clip(0, 65535).astype(np.uint16)
            write_tiff(images / f"t{frame:03d}.tif", image)
            write_tiff(masks / f"man_seg{frame:03d}.tif", labels)
    return folder


def _discs(generator: np.random.Generator, frames: int, size: int, cells: int) -> Iterator[NDArray[np.uint16]]:
    """Each disc circles within its own tile of the frame."""
    columns = int(np.ceil(np.sqrt(cells)))
    tile = size / columns
    centres = [((index // columns + 0.5) * tile, (index % columns + 0.5) * tile) for index in range(cells)]
    radii, phases = generator.uniform(0.28, 0.36, cells) * tile, generator.uniform(0, 2 * np.pi, cells)
    y, x = np.mgrid[:size, :size]
    for frame in range(frames):
        labels = np.zeros((size, size), np.uint16)
        for index, (row, column) in enumerate(centres):
            angle = phases[index] + 0.5 * frame
            dy, dx = y - row - 0.1 * tile * np.sin(angle), x - column - 0.1 * tile * np.cos(angle)
            labels[dy**2 + dx**2 < radii[index] ** 2] = index + 1
        yield labels


def write_tiff(path: Path, pixels: NDArray[np.generic]) -> None:
    """Write one grey plane, zlib-compressed."""
    tifffile.imwrite(path, pixels, compression="zlib", photometric="minisblack")


def tiny_study(folder: Path, data: Path) -> Path:
    """Write ``folder/study.yaml``, a study of the cells recipe on :func:`tiny_sequences`; returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    study = folder / "study.yaml"
    study.write_text(
        f"""recipe: cells
pack:
  source: {{kind: ctc, path: {json.dumps(str(data))}}}
  split: {{train: ["01"], validate: ["02"]}}
  shard_frames: 2
train:
  epochs: 2
  batch_size: 4
  network: {{widths: [4, 8]}}
  view: {{kind: crop, size_px: 32}}
evaluate: {{bootstrap: 20, overlays: 1}}
run: {{seed: 1}}
""",
        encoding="utf-8",
    )
    return study
