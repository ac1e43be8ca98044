"""What only shows in pixels that can be read: a mask beside its image, and the frames of a sequence beside each other."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from labwright.cells.findings import finding
from labwright.cells.source import identity
from labwright.cells.tiff import Plane, image_dtype
from labwright.data.findings import Finding

CAMERA_BITS = (8, 10, 12, 14, 16)
SATURATED_SHARE = 0.01
FOREGROUND_OBJECTS = 3
"""From this many separate objects with one and the same label on, a mask is taken for a foreground mask."""


def pair_findings(place: str, image: NDArray[Any], mask: NDArray[Any] | None) -> list[Finding]:
    """What is wrong with one image (H, W) and its mask (H, W), where it has one.

    CEL016 saturated, CEL020 different sizes, CEL022 no cell, CEL023 labels above 16 bits, CEL024 one label for
    separate objects. ``place`` is the item's identity.
    """
    findings = _saturation(place, image)
    if mask is None:
        return findings
    if mask.shape != image.shape:
        return [*findings, finding("CEL020", place, f"the image has {_size(image.shape)} pixels, its mask {_size(mask.shape)}")]
    highest = int(mask.max())
    if highest == 0:
        return [*findings, finding("CEL022", place, "the mask has no cell")]
    if highest > np.iinfo(np.uint16).max:
        findings.append(finding("CEL023", place, f"the highest label is {highest:,}; the mask is kept with 32 bits"))
    if not np.any((mask != 0) & (mask != highest)):
        objects = ndimage.label(mask)[1]
        if objects >= FOREGROUND_OBJECTS:
            findings.append(finding("CEL024", place, f"{objects} separate objects all have the label {highest}"))
    return findings


def common_plane(root: str, sequence: str, planes: Mapping[int, Plane]) -> tuple[Plane, list[Finding]]:
    """The size and pixel type of a sequence, and a finding for each frame that has another.

    Args:
        root: the source folder's name.
        sequence: the sequence's name.
        planes: of each image by frame number, as ``tiff.plane`` gives them; not empty.

    Returns:
        The plane of most frames (of equals the one that comes first), with its pixel type in memory; CEL030
        for other sizes, CEL031 for other types. The majority decides, so that one odd frame is set aside and not all the others.
    """
    stored = {number: Plane(plane.shape, image_dtype(plane.dtype)) for number, plane in sorted(planes.items())}
    common, count = Counter(stored.values()).most_common(1)[0]
    findings = []
    for number, plane in stored.items():
        place, others = identity(root, sequence, number), f"{count} of the {len(planes)} frames"
        if plane.shape != common.shape:
            findings.append(finding("CEL030", place, f"the frame has {_size(plane.shape)} pixels, {others} have {_size(common.shape)}"))
        elif plane.dtype != common.dtype:
            findings.append(finding("CEL031", place, f"the frame has {plane.dtype} pixels, {others} have {common.dtype}"))
    return common, findings


def repeat_findings(root: str, sequence: str, digests: Mapping[int, str]) -> list[Finding]:
    """CEL033 for each frame whose image has the same digest as that of the frame before it; ``digests`` by frame number."""
    return [
        finding("CEL033", identity(root, sequence, after), f"the image is the same as that of frame {before}")
        for before, after in itertools.pairwise(sorted(digests))
        if digests[before] == digests[after]
    ]


def _saturation(place: str, image: NDArray[Any]) -> list[Finding]:
    """More than 1 % of the pixels have the highest value of some camera; a float image has no such value."""
    highest = image.max()
    if image.dtype.kind == "f" or int(highest) + 1 not in {2**bits for bits in CAMERA_BITS}:
        return []
    share = np.count_nonzero(image == highest) / image.size
    return [finding("CEL016", place, f"{share:.1%} of the pixels are {highest}")] if share > SATURATED_SHARE else []


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}×{shape[0]}"
