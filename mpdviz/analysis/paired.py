"""Paired statistics over seeds: differences, intervals, Holm's correction, what could be seen (no torch)."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from mpdviz.analysis.seeds import interval, summarise

CONFIDENCE = 0.95
POWER = 0.8
"""Chance of telling a difference at which it counts as one that could have been seen."""
NEGLIGIBLE = 1e-12
"""Spread of differences under which they are the same but for rounding."""
COLUMNS = ("n", "seeds", "difference", "std", "low", "high", "p", "p_holm", "detectable")


@dataclass(frozen=True)
class Difference:
    """How far one arm lies above another, paired by seed; everything as a fraction."""

    seeds: tuple[int, ...]
    """Seeds that both have."""
    mean: float
    std: float
    low: float
    """Lower end of the 95 % confidence interval of the mean; NaN where none can be given."""
    high: float
    p: float = math.nan
    """Two-sided p of the paired t test; NaN where there is no interval."""

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
        reference: the same of the arm to compare with.
    """
    seeds = tuple(sorted(accuracy.keys() & reference.keys()))
    summary = summarise(accuracy[seed] - reference[seed] for seed in seeds)
    low = high = p = math.nan
    if summary.std > NEGLIGIBLE:
        from scipy.special import stdtr  # of `scipy.stats.t`, which takes half a second to import

        low, high = interval(summary.n, summary.mean, summary.std, CONFIDENCE)
        p = 2 * float(stdtr(summary.n - 1, -abs(summary.mean) / summary.std * math.sqrt(summary.n)))
    return Difference(seeds, summary.mean, summary.std, low, high, p)


def holm(values: Sequence[float]) -> list[float]:
    """Holm's adjusted p of a family; NaN stays NaN and is no member of it.

    The i-th smallest of m is multiplied by m - i + 1, capped at 1, and made no smaller than those before it
    (Holm 1979).
    """
    known = sorted((value, place) for place, value in enumerate(values) if not math.isnan(value))
    adjusted = [math.nan] * len(values)
    largest = 0.0
    for rank, (value, place) in enumerate(known):
        largest = max(largest, min(1.0, (len(known) - rank) * value))
        adjusted[place] = largest
    return adjusted


def detectable(n: int, std: float) -> float:
    """The smallest true difference that `n` pairs of this spread tell from none with 80 % power.

    The d at which the two-sided paired t test at 5 % rejects with probability 0.8: with q = t(0.975, n - 1),
    P(|T| > q) = 0.8 for T of the noncentral t distribution with n - 1 degrees of freedom and noncentrality
    d sqrt(n) / std (Cohen 1988). NaN for fewer than two pairs or without spread.
    """
    if n < 2 or not std > NEGLIGIBLE:
        return math.nan
    from scipy.special import nctdtr, stdtrit  # of `scipy.stats`, which takes half a second to import

    free = n - 1
    critical = float(stdtrit(free, (1 + CONFIDENCE) / 2))

    def power(noncentrality: float) -> float:
        lower, upper = (float(nctdtr(free, noncentrality, end)) for end in (-critical, critical))
        return 1 - upper + (0.0 if math.isnan(lower) else lower)  # SciPy's tail is NaN where it is nothing

    low, high = 0.0, 2 * critical + 10  # where the power is near 1, whatever n
    while low < (middle := (low + high) / 2) < high:  # until no number lies between
        low, high = (low, middle) if power(middle) >= POWER else (middle, high)
    return high * std / math.sqrt(n)


def family(accuracies: Mapping[str, Mapping[int, float]], reference: str) -> pd.DataFrame:
    """Every arm against one, as the family that Holm's correction is over.

    Args:
        accuracies: by arm and seed, as fractions.
        reference: the arm that the others are compared with.

    Returns:
        A row an arm but the reference: `arm, against`, `COLUMNS` and `sentence`; all but p as fractions.
    """
    others = [name for name in accuracies if name != reference]
    found = {name: compare(accuracies[name], accuracies[reference]) for name in others}
    adjusted = dict(zip(others, holm([one.p for one in found.values()]), strict=True))
    several = sum(not math.isnan(one.p) for one in found.values())
    rows = [
        {
            "arm": name,
            "against": reference,
            "n": one.n,
            "seeds": " ".join(map(str, one.seeds)),
            "difference": one.mean,
            "std": one.std,
            "low": one.low,
            "high": one.high,
            "p": one.p,
            "p_holm": adjusted[name],
            "detectable": detectable(one.n, one.std),
            "sentence": sentence(name, reference, one, adjusted[name], several),
        }
        for name, one in found.items()
    ]
    return pd.DataFrame(rows, columns=["arm", "against", *COLUMNS, "sentence"])


def sentence(
    name: str, reference: str, difference: Difference, adjusted: float = math.nan, several: int = 1
) -> str:
    """What can be said about a difference, in percentage points and no stronger than it was shown.

    Args:
        name: of the arm.
        reference: of the one it is compared with.
        difference: between them.
        adjusted: Holm's p, where it is one of several.
        several: how many comparisons Holm's p is over.
    """
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
        against = f"{_distance(name, reference, difference.mean, digits)} ({interval})"
        if several > 1 and adjusted > 1 - CONFIDENCE:
            return (
                f"{against}, but as one of {several} comparisons it may be chance (Holm p = {adjusted:.2g})"
            )
        return against
    least = 100 * detectable(difference.n, difference.std)
    seen = f"one of {least:.1f} points would have been seen four times in five"
    if least > 100:
        seen = f"so few seeds that differ so much could not have shown any (it would take {least:.0f} points)"
    return f"no difference between {name} and {reference} can be told ({interval}); {seen}"


def _distance(name: str, reference: str, mean: float, digits: int = 1) -> str:
    points = f"{100 * abs(mean):.{digits}f}"
    if float(points) == 0:
        return f"{name} equals {reference}"
    return f"{name} is {points} points {'above' if mean > 0 else 'below'} {reference}"


def _all_visible(difference: Difference, digits: int) -> bool:
    return all(round(100 * end, digits) != 0 for end in (difference.low, difference.high))
