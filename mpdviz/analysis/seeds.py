"""From rows of single seeds to what a figure shows of them."""

from collections.abc import Sequence

import pandas as pd


def over_seeds(frame: pd.DataFrame, keys: Sequence[str], value: str) -> pd.DataFrame:
    """Mean, sample standard deviation (ddof = 1; NaN for one seed), least, greatest and number over seeds.

    Args:
        frame: a table of a study with one row a seed and combination of `keys`.
        keys: columns to keep apart.
        value: the column to summarise.

    Returns:
        Columns `*keys, mean, std, min, max, n` in the order in which the keys' combinations first appear.
    """
    summary = frame.groupby(list(keys), sort=False)[value].agg(["mean", "std", "min", "max", "count"])
    return summary.rename(columns={"count": "n"}).reset_index()


def common_epochs(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of epochs that every seed of their variant reached, so that a mean never changes its n."""
    seeds = frame.groupby("variant")["seed"].transform("nunique")
    there = frame.groupby(["variant", "epoch"])["seed"].transform("nunique")
    return frame[there == seeds]
