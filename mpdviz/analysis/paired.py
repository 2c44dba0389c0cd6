"""Paired statistics over seeds: means, Student-t intervals, and a sentence that claims no more (no torch)."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from mpdviz.analysis.seeds import summarise

CONFIDENCE = 0.95
NEGLIGIBLE = 1e-12
"""Spread of differences under which they are the same but for rounding."""


@dataclass(frozen=True)
class Difference:
    """How far one strategy lies above another, paired by seed; everything as a fraction."""

    seeds: tuple[int, ...]
    """Seeds that both have."""
    mean: float
    std: float
    low: float
    """Lower end of the 95 % confidence interval of the mean; NaN where none can be given."""
    high: float

    @property
    def n(self) -> int:
        """Number of pairs."""
        return len(self.seeds)


def compare(accuracy: Mapping[int, float], reference: Mapping[int, float]) -> Difference:
    """Mean of the differences at the seeds that both have, with its confidence interval.

    The interval is d +- t(0.975, n - 1) s / sqrt(n), with d and s the mean and sample standard deviation of
    the n differences (Student 1908). Two seeds at least are needed, and differences that are not all
    the same: no spread at a handful of seeds is a coincidence of accuracies being counts, not certainty.

    Args:
        accuracy: accuracy by seed.
        reference: the same of the strategy to compare with.
    """
    seeds = tuple(sorted(accuracy.keys() & reference.keys()))
    summary = summarise(accuracy[seed] - reference[seed] for seed in seeds)
    low = high = math.nan
    if summary.std > NEGLIGIBLE:
        from scipy import stats  # half a second that a summary without an interval need not wait for

        first, second = ([values[seed] for seed in seeds] for values in (accuracy, reference))
        low, high = map(float, stats.ttest_rel(first, second).confidence_interval(CONFIDENCE))
    return Difference(seeds, summary.mean, summary.std, low, high)


def sentence(name: str, reference: str, difference: Difference) -> str:
    """What can be said about a difference, in percentage points and no stronger than its interval."""
    if difference.n == 0:
        return f"{name} and {reference} have no finished seed in common"
    distance = _distance(name, reference, difference.mean)
    if difference.n == 1:
        return f"{distance} at seed {difference.seeds[0]}; no interval can be given for one seed"
    if math.isnan(difference.low):
        return (
            f"{distance} at every one of {difference.n} seeds; no interval can be given for differences "
            "without spread"
        )
    told = difference.low > 0 or difference.high < 0
    # An end that rounds to zero would look like no difference.
    digits = next(d for d in (1, 2, 3, 4) if d == 4 or not told or _all_visible(difference, d))
    low, high = (f"{100 * end:.{digits}f}" for end in (difference.low, difference.high))
    interval = f"95 % CI {low} to {high}, n={difference.n} seeds"
    if told:
        return f"{_distance(name, reference, difference.mean, digits)} ({interval})"
    return f"no difference between {name} and {reference} can be told ({interval})"


def _distance(name: str, reference: str, mean: float, digits: int = 1) -> str:
    points = f"{100 * abs(mean):.{digits}f}"
    if float(points) == 0:
        return f"{name} equals {reference}"
    return f"{name} is {points} points {'above' if mean > 0 else 'below'} {reference}"


def _all_visible(difference: Difference, digits: int) -> bool:
    return all(round(100 * end, digits) != 0 for end in (difference.low, difference.high))
