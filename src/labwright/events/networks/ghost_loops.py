"""The linear map of normalised pixels as compiled loops; ``ghost_norm`` has the same in tensors.

Arrays are C-contiguous floats: pixels (ghosts, taps · inputs, pixels) and results (ghosts, outputs, pixels), weight (members, outputs,
taps · inputs) and bias (members, outputs), where the ghost batches of a member stand side by side; count (ghosts, 1); statistics
(ghosts, 2, inputs): mean and spread.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from labwright.events.networks.compiled import compiled

Floats = NDArray[Any]


@compiled
def _add_rows(into: Floats, factors: Floats, rows: Floats) -> None:
    """into += factors · rows, four rows at a time."""
    whole = len(rows) // 4 * 4
    for c in range(0, whole, 4):
        f0, f1, f2, f3 = factors[c], factors[c + 1], factors[c + 2], factors[c + 3]
        r0, r1, r2, r3 = rows[c], rows[c + 1], rows[c + 2], rows[c + 3]
        for e in range(len(into)):
            into[e] += (f0 * r0[e] + f1 * r1[e]) + (f2 * r2[e] + f3 * r3[e])
    for c in range(whole, len(rows)):
        factor, row = factors[c], rows[c]
        for e in range(len(into)):
            into[e] += factor * row[e]


@compiled
def _dot_rows(one: Floats, rows: Floats, into: Floats) -> None:
    """into += rows · one, four rows at a time."""
    whole = len(rows) // 4 * 4
    zero = one.dtype.type(0.0)
    for c in range(0, whole, 4):
        r0, r1, r2, r3 = rows[c], rows[c + 1], rows[c + 2], rows[c + 3]
        s0, s1, s2, s3 = zero, zero, zero, zero
        for e in range(len(one)):
            s0 += one[e] * r0[e]
            s1 += one[e] * r1[e]
            s2 += one[e] * r2[e]
            s3 += one[e] * r3[e]
        into[c] += s0
        into[c + 1] += s1
        into[c + 2] += s2
        into[c + 3] += s3
    for c in range(whole, len(rows)):
        row, s0 = rows[c], zero
        for e in range(len(one)):
            s0 += one[e] * row[e]
        into[c] += s0


@compiled
def linear(
    pixels: Floats, weight: Floats, bias: Floats, count: Floats, epsilon: float, taps: int, statistics: Floats, result: Floats
) -> None:
    """``result`` = weight · (pixels − mean) / spread + bias, and the ``statistics`` themselves."""
    ghosts, columns, length = pixels.shape
    inputs, outputs = columns // taps, weight.shape[1]
    folded = np.empty_like(weight[0, 0])
    for g in range(ghosts):
        of = g * len(weight) // ghosts
        for i in range(inputs):
            total = squares = pixels.dtype.type(0.0)
            for tap in range(taps):
                row = pixels[g, tap * inputs + i]
                for e in range(length):
                    total += row[e]
                    squares += row[e] * row[e]
            mean = total / count[g, 0]
            variance = squares / count[g, 0] - mean * mean
            statistics[g, 0, i] = mean
            statistics[g, 1, i] = np.sqrt(max(variance, 0.0) + epsilon)
        for o in range(outputs):
            shift = bias[of, o]
            for c in range(columns):
                folded[c] = weight[of, o, c] / statistics[g, 1, c % inputs]
                shift -= folded[c] * statistics[g, 0, c % inputs]
            result[g, o] = shift
            _add_rows(result[g, o], folded, pixels[g])


@compiled
def linear_back(
    gradient: Floats,
    pixels: Floats,
    weight: Floats,
    count: Floats,
    statistics: Floats,
    taps: int,
    into_pixels: Floats,
    into_weight: Floats,
    into_bias: Floats,
) -> None:
    """What a gradient of the result means for the inputs; adds to ``into_weight`` and ``into_bias``, which begin as zeros."""
    ghosts, columns, length = pixels.shape
    inputs, outputs = columns // taps, weight.shape[1]
    product, total = np.empty_like(weight[0]), np.empty_like(weight[0, :, 0])
    turned = np.empty_like(weight[0].T)
    slope, level = np.empty_like(statistics[0, 0]), np.empty_like(statistics[0, 0])
    for g in range(ghosts):
        of = g * len(weight) // ghosts
        product[:] = 0.0
        for o in range(outputs):
            one = gradient[g, o]
            summed = one.dtype.type(0.0)
            for e in range(length):
                summed += one[e]
            total[o] = summed
            _dot_rows(one, pixels[g], product[o])
        slope[:] = 0.0
        level[:] = 0.0
        for o in range(outputs):
            into_bias[of, o] += total[o]
            for c in range(columns):
                i = c % inputs
                mean, spread = statistics[g, 0, i], statistics[g, 1, i]
                # Product of the gradient with the normalised pixels.
                normalised = (product[o, c] - total[o] * mean) / spread
                into_weight[of, o, c] += normalised
                turned[c, o] = weight[of, o, c] / spread
                # Mean and spread depend on the pixels as well.
                slope[i] += weight[of, o, c] * normalised
                level[i] -= weight[of, o, c] * total[o]
        for i in range(inputs):
            mean, spread = statistics[g, 0, i], statistics[g, 1, i]
            slope[i] /= count[g, 0] * spread * spread
            level[i] = level[i] / (count[g, 0] * spread) + slope[i] * mean
        for c in range(columns):
            into, row = into_pixels[g, c], pixels[g, c]
            down, shift = slope[c % inputs], level[c % inputs]
            for e in range(length):
                into[e] = shift - down * row[e]
            _add_rows(into, turned[c], gradient[g])
