"""From values of single seeds to what is said and shown of them together."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

STATISTICS = ("mean", "std", "min", "max", "count")
"""What pandas computes over seeds; its std is that of a sample (ddof = 1; NaN for one seed)."""


@dataclass(frozen=True)
class Summary:
    """Values of one strategy over seeds."""

    n: int
    mean: float
    std: float
    """Sample standard deviation (n - 1); NaN for fewer than two seeds."""


def summarise(values: Iterable[float]) -> Summary:
    """Mean and sample standard deviation; NaN of what too few values do not have."""
    summary = pd.Series(list(values), dtype=float).agg([*STATISTICS])
    return Summary(int(summary["count"]), float(summary["mean"]), float(summary["std"]))


def interval(n: int, mean: float, std: float, confidence: float = 0.95) -> tuple[float, float]:
    """Confidence interval of the mean of `n` values, mean +- t s / sqrt(n) (Student 1908); NaN for n < 2."""
    if n < 2:
        return math.nan, math.nan
    # The quantile of `scipy.stats.t`, which takes half a second to import.
    from scipy.special import stdtrit

    reach = float(stdtrit(n - 1, (1 + confidence) / 2)) * std / math.sqrt(n)
    return mean - reach, mean + reach


def over_seeds(frame: pd.DataFrame, keys: Sequence[str], value: str) -> pd.DataFrame:
    """Mean, sample standard deviation (ddof = 1; NaN for one seed), least, greatest and number over seeds.

    Args:
        frame: a table of a study with one row a seed and combination of `keys`.
        keys: columns to keep apart.
        value: the column to summarise.

    Returns:
        Columns `*keys, mean, std, min, max, n` in the order in which the keys' combinations first appear.
    """
    summary = frame.groupby(list(keys), sort=False)[value].agg([*STATISTICS])
    return summary.rename(columns={"count": "n"}).reset_index()


def common_epochs(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of epochs that every seed of their variant reached, so that a mean never changes its n."""
    seeds = frame.groupby("variant")["seed"].transform("nunique")
    there = frame.groupby(["variant", "epoch"])["seed"].transform("nunique")
    return frame[there == seeds]
