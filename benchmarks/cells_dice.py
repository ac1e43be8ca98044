"""Instance Dice of a 256² frame: one table of overlaps against a loop over pairs.

Ours is timed with all that :func:`score_frame` gives: F1, PQ, SEG and DET come from the same table.
"""

from __future__ import annotations

from reference import cells_dice as reference
from side_by_side import compare
from synthetic import frame, prediction

from labwright.cells.metrics import score_frame

truth = frame(256)
predicted = prediction(truth)
ours, theirs = score_frame(truth, predicted).instance_dice, reference.instance_dice(truth, predicted)
assert abs(ours - theirs) < 1e-12
print(f"Instance Dice {ours:.6f} in both")
compare(
    "scores of a frame, 256²",
    lambda: score_frame(truth, predicted),
    lambda: reference.instance_dice(truth, predicted),
    repeats=15,
    ours_per_turn=20,
)
