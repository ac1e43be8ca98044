"""Cut the bundled sample of the cells recipe out of the `t98g_phase` sequence, without changing a value.

    python tools/make_sample.py SEQUENCES_FOLDER src/labwright/cells/sample/data

SEQUENCES_FOLDER holds `01/tNNN.tif` and `01_ST/SEG/man_segNNN.tif`. Frames keep their numbers. Images are
stored as reversible JPEG 2000, because Deflate leaves these 16-bit images at 88 % of their size and
the sample above the 6 MB that it may take in the repository; masks are stored as Deflate with a predictor.
"""

from __future__ import annotations

import argparse
import io
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tifffile

LIMIT_BYTES = 6_000_000


class Cut(NamedTuple):
    """One sequence of the sample: which frames, and which columns of them."""

    name: str
    frames: range
    columns: slice


CUTS = (
    Cut("01", range(20), slice(None, 288)),  # training
    Cut("02", range(28, 37), slice(288, None)),  # validation: another time and another place
    Cut("03", range(32, 37), slice(None, 288)),  # test: another time, the place of the training
)
IMAGE: dict[str, Any] = {"compression": "jpeg2000", "compressionargs": {"reversible": True, "level": 0, "resolutions": 3}}
MASK: dict[str, Any] = {"compression": "zlib", "compressionargs": {"level": 9}, "predictor": True}


def tiff(plane: np.ndarray, coding: dict[str, Any]) -> bytes:
    """One-strip TIFF of a plane (height, width); raises if it does not read back as it was."""
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, plane, rowsperstrip=plane.shape[0], metadata=None, software=False, **coding)
    buffer.seek(0)
    if not np.array_equal(tifffile.imread(buffer), plane):
        raise RuntimeError(f"{coding['compression']} is not lossless here")
    return buffer.getvalue()


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("source", type=Path)
    arguments.add_argument("target", type=Path)
    given = arguments.parse_args()
    total = 0
    for cut in CUTS:
        for frame in cut.frames:
            for source, target, coding in (
                (f"01/t{frame:03}.tif", f"{cut.name}/t{frame:03}.tif", IMAGE),
                (f"01_ST/SEG/man_seg{frame:03}.tif", f"{cut.name}_ST/SEG/man_seg{frame:03}.tif", MASK),
            ):
                plane = tifffile.imread(given.source / source)[:, cut.columns]
                data = tiff(np.ascontiguousarray(plane), coding)
                path = given.target / target
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
                total += len(data)
    print(f"{total:,} bytes")
    if total > LIMIT_BYTES:
        raise SystemExit(f"more than {LIMIT_BYTES:,} bytes: take fewer frames")


if __name__ == "__main__":
    main()
