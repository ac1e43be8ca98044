"""Instances of a 512² frame from its classes: nearest core against ring growing.

The two break ties differently, so single border pixels may differ: equal must be the foreground, the number of
cells and the pixels of each core, and the Instance Dice between them is at least 0.98.
"""

from __future__ import annotations

import numpy as np
from reference import cells_instances as reference
from side_by_side import compare
from synthetic import classes as synthetic_classes

from labwright.cells.instances import instances, thresholds
from labwright.cells.metrics import score_frame

classes = synthetic_classes(512)
limits = thresholds(0.5, core_min_px=120, isolated_border_min_px=60)
ours = instances(classes, core_min_px=limits.core_min_px, isolated_border_min_px=limits.isolated_border_min_px)
theirs = reference.instances(classes, limits.core_min_px, limits.isolated_border_min_px)
agreement = score_frame(theirs, ours).instance_dice
assert ours.max() == theirs.max() >= 300
np.testing.assert_array_equal(ours > 0, theirs > 0)
np.testing.assert_array_equal((ours == theirs)[classes == 1], True)
assert agreement >= 0.98
print(f"same foreground, {ours.max()} cells in both, Instance Dice between them {agreement:.4f}")
compare(
    "border-core classes to instances, 512², one core",
    lambda: instances(classes, core_min_px=limits.core_min_px, isolated_border_min_px=limits.isolated_border_min_px),
    lambda: reference.instances(classes, limits.core_min_px, limits.isolated_border_min_px),
    repeats=31,
    ours_per_turn=3,
)
