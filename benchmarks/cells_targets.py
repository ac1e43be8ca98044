"""Border-core targets of a 1024² frame: all cells at once against one erosion for each cell."""

from __future__ import annotations

import numpy as np
from reference import cells_targets as reference
from side_by_side import compare
from synthetic import frame

from labwright.cells.target import border_core

WIDTH_PX = 4

labels = frame(1024)
for width_px in (1, WIDTH_PX):
    np.testing.assert_array_equal(border_core(labels, width_px), reference.border_core(labels, width_px))
print("equal outputs: yes")
compare(
    "border-core target, 1024²",
    lambda: border_core(labels, WIDTH_PX),
    lambda: reference.border_core(labels, WIDTH_PX),
    repeats=9,
    ours_per_turn=20,
)
