"""How far the observed potentials lie from a prediction: bounds from the histogram alone (no torch).

The histogram gives the observed distribution function F exactly at its edges, from the left and from the
right, because values lying on an edge are counted apart; between two edges F is only known to rise from
one value to the other. The prediction P is known everywhere. So each distance comes as a number and a
bound on what the histogram's resolution can hide.
"""

import math
from dataclasses import dataclass

import numpy as np

from mpdviz.accumulations.histogram import EDGES, PER_UNIT, Counts, Floats
from mpdviz.analysis.predict import Prediction


@dataclass(frozen=True, eq=False)
class Distances:
    """Distances between observed and predicted potentials, each `[T]`; NaN where nothing was recorded."""

    ks: Floats
    """Largest |F - P| next to a histogram edge: at most the Kolmogorov-Smirnov distance."""
    ks_bound: Floats
    """At least the Kolmogorov-Smirnov distance."""
    wasserstein: Floats
    """Wasserstein-1 distance in observed standard deviations, F linear between edges."""
    wasserstein_error: Floats
    """At least its distance from the Wasserstein-1 distance of the potentials themselves."""


def between(
    cells: Counts, unit: float, minimum: Floats, maximum: Floats, std: Floats, prediction: Prediction
) -> Distances:
    """Distances of the recorded potentials to a prediction.

    Kolmogorov-Smirnov, sup |F - P|. In a bin where F rises from a to b and P from c to d, both monotone,

        max(|a - c|, |b - d|) <= sup |F - P| <= max(b - c, d - a)

    The lower bound is a limit that F - P attains, so the largest of each over all bins bracket the true one.

    Wasserstein-1, the integral of |F - P|. Within a bin of width w both are taken as linear, which has a
    closed form; beyond the outer edges F is taken as linear out to the extremes observed, and beyond these
    the area under the prediction's tails is exact. A monotone function is off its chord by at most w/2
    times its rise in area, a smooth one by at most w^2/8 times the integral of its |second derivative|,
    which for a normal component is 2 / (sqrt(2 pi) std). So the error is at most

        sum over bins of w/2 (b - a)
        + mean over components of w/2 min(1, w / (sqrt(8 pi) std))
        + sum over the two outer bins of w/2 (d - c)

    where the first sum, at most unit / 128, dominates unless potentials lie beyond the outer edges. Distance
    and error are divided by the observed standard deviation.

    Args:
        cells: histogram `[T, CELLS]`, as `accumulations.histogram` counts.
        unit: the unit of the histogram's edges.
        minimum: smallest potential `[T]`.
        maximum: largest potential `[T]`.
        std: standard deviation `[T]` of the potentials; the Wasserstein distance is NaN where all are equal.
        prediction: for the same T timesteps.
    """
    edges, width = EDGES * unit, unit / PER_UNIT
    lowest, highest = np.minimum(minimum, edges[0]), np.maximum(maximum, edges[-1])
    widths = np.full((len(cells), len(edges) + 1), width)
    widths[:, 0], widths[:, -1] = edges[0] - lowest, highest - edges[-1]

    total = cells.sum(1, keepdims=True)
    observed = np.cumsum(cells, 1) / np.where(total > 0, total, np.nan)
    a, b = _bin_ends(observed[:, 1::2], observed[:, :-1:2], np.zeros(len(cells)), np.ones(len(cells)))

    at_edge = prediction.cdf(edges)
    before_edge = at_edge - prediction.mass(edges)
    infinity = np.full(len(cells), np.inf)
    below, above = prediction.ratio(-infinity, lowest), prediction.ratio(highest, infinity)
    c, d = _bin_ends(at_edge, before_edge, below, 1 - above)

    left, right = np.abs(a - c), np.abs(b - d)
    ks = np.maximum(left, right).max(1)
    ks_bound = np.maximum(np.maximum(b - c, d - a).max(1), ks)

    # The area between two chords; where they cross it is that of two triangles.
    apart = left + right
    crossing = np.minimum((a - c) * (b - d), 0)
    area = widths / 2 * (apart + 2 * np.divide(crossing, apart, out=np.zeros_like(apart), where=apart != 0))
    wasserstein = area.sum(1) + prediction.distance_outside(lowest, highest)

    error = (widths / 2 * (b - a)).sum(1)
    error += (width / 2 / np.maximum(1, math.sqrt(8 * math.pi) * prediction.stds / width)).mean(1)
    error += (widths / 2 * (d - c))[:, [0, -1]].sum(1)

    scale = np.where(maximum > minimum, std, np.nan)
    return Distances(ks, ks_bound, wasserstein / scale, error / scale)


def _bin_ends(at_edge: Floats, before_edge: Floats, first: Floats, last: Floats) -> tuple[Floats, Floats]:
    # A distribution function's values [T, E + 1] where each bin begins, and where it ends.
    return np.column_stack([first, at_edge]), np.column_stack([before_edge, last])
