"""The bundled sample is what its README says, small enough for the repository, and unchanged in its values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from labwright.cells.source import scan
from labwright.cells.source_options import SourceOptions
from labwright.data.splits import parse
from labwright.study.resolve import resolve

LIMIT_BYTES = 6_000_000
COLUMNS = {"01": slice(None, 288), "02": slice(288, None), "03": slice(None, 288)}
FRAMES = {"01": range(20), "02": range(28, 37), "03": range(32, 37)}


@pytest.fixture
def sample(repository: Path) -> Path:
    return repository / "src" / "labwright" / "cells" / "sample"


def test_it_fits_into_the_repository(sample: Path) -> None:
    assert sum(path.stat().st_size for path in sample.rglob("*") if path.is_file()) <= LIMIT_BYTES


def test_every_frame_has_its_mask(sample: Path) -> None:
    listing = scan(SourceOptions(path=sample / "data"))
    assert not listing.findings
    assert {name: [one.frame for one in frames] for name, frames in listing.sequences.items()} == {
        name: list(frames) for name, frames in FRAMES.items()
    }
    for frame in (one for frames in listing.sequences.values() for one in frames):
        assert frame.mask is not None
        image, mask = tifffile.imread(frame.image), tifffile.imread(frame.mask)
        assert (image.shape, image.dtype, mask.dtype) == (mask.shape, np.uint16, np.uint16)
        assert mask.any()


def test_no_frame_is_in_two_splits_of_its_study(sample: Path) -> None:
    split = resolve([sample / "study.yaml"]).steps["pack"].split  # type: ignore[attr-defined]
    claims = [
        (name, frame)
        for selectors in split.values()
        for name, frames in FRAMES.items()
        for frame in frames
        if any(parse(selector).matches(name, frame) for selector in selectors)
    ]
    assert len(claims) == len(set(claims)) == sum(map(len, FRAMES.values()))


def test_values_are_those_of_the_original(sample: Path, shared_data: Path) -> None:
    original = shared_data / "cells" / "t98g_phase"
    for name, frames in FRAMES.items():
        for frame in frames:
            for ours, theirs in (
                (f"{name}/t{frame:03}.tif", f"01/t{frame:03}.tif"),
                (f"{name}_ST/SEG/man_seg{frame:03}.tif", f"01_ST/SEG/man_seg{frame:03}.tif"),
            ):
                assert np.array_equal(tifffile.imread(sample / "data" / ours), tifffile.imread(original / theirs)[:, COLUMNS[name]]), ours
