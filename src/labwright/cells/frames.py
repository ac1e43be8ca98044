"""What is suspicious in pixels that can be read, and what the frames of a sequence have in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from labwright.cells.findings import BadItem, finding
from labwright.cells.tiff import Plane, image_dtype, plane
from labwright.data.findings import Finding

CAMERA_BITS = (8, 10, 12, 14, 16)
SATURATED_SHARE = 0.01
FOREGROUND_OBJECTS = 3
"""From this many separate objects with one and the same label on, a mask is taken for a foreground mask."""


def common_plane(images: Iterable[Path]) -> Plane | None:
    """Size (H, W) and pixel type in memory of most of the images, by their headers; of equals the first.

    None where no header can be read. The majority decides, so that one odd frame is set aside and not all the others.
    """
    counts: Counter[Plane] = Counter()
    for path in images:
        try:
            found = plane(path)
            counts[Plane(found.shape, image_dtype(found.dtype))] += 1
        except BadItem:
            continue
    return counts.most_common(1)[0][0] if counts else None


def inspect_image(image: NDArray[Any], place: str) -> list[Finding]:
    """CEL016, saturated: more than 1 % of the pixels of a whole-number image (H, W) have the highest value of a camera."""
    highest = image.max()
    if image.dtype.kind == "f" or int(highest) + 1 not in {2**bits for bits in CAMERA_BITS}:
        return []
    share = np.count_nonzero(image == highest) / image.size
    return [finding("CEL016", place, f"{share:.1%} of the pixels are {highest}")] if share > SATURATED_SHARE else []


def inspect_mask(mask: NDArray[Any], place: str) -> list[Finding]:
    """CEL022 no cell, CEL023 labels above 16 bits, CEL024 one label for separate objects, in a mask (H, W)."""
    highest = int(mask.max())
    if highest == 0:
        return [finding("CEL022", place, "the mask has no cell")]
    findings = []
    if highest > np.iinfo(np.uint16).max:
        findings.append(finding("CEL023", place, f"the highest label is {highest:,}; the mask is kept with 32 bits"))
    if not np.any((mask != 0) & (mask != highest)):
        objects = ndimage.label(mask)[1]
        if objects >= FOREGROUND_OBJECTS:
            findings.append(finding("CEL024", place, f"{objects} separate objects all have the label {highest}"))
    return findings
