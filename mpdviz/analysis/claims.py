"""What MPD-AGL says of available shares, held against runs: observed beside the closed form (no torch)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mpdviz.analysis.seeds import over_seeds

FIRST, LATER = "1", "> 1"
"""The two steps that MPD-AGL tells apart: Theorem 1 is of t = 1, Theorem 2 of all later timesteps."""
SHARES = {
    "available": "available_ratio",
    "closed_form": "predicted_ratio",
    "correlated": "predicted_ratio_correlated",
}
"""Columns of the main table: observed; what the theorems say of the same interval; the same with the reset
and the recorded correlation of the currents."""


@dataclass(frozen=True, eq=False)
class Claims:
    """Available shares of runs by variant and mode."""

    layers: pd.DataFrame
    """A row a variant, mode (`eval`, `train`), layer and timestep: `variant, mode, layer, name, timestep, n`
    (seeds), `kappa`, means over seeds of `SHARES`, and `available_std` (sample standard deviation)."""
    steps: pd.DataFrame
    """A row a variant, mode and step, `1` or `> 1`: `n` and the same shares, averaged over layers and
    timesteps within a seed."""
    strategies: Mapping[str, str]
    """Of each variant."""
    described: str
    """Data, network, strategies and seeds."""
    sentences: tuple[str, ...]
    """What can be said: which strategy has more inside, and how far the closed form is off."""


def claims(rows: pd.DataFrame, runs: pd.DataFrame, described: str = "") -> Claims:
    """Sum up the main tables of runs.

    Args:
        rows: the main tables one after the other, with `variant, seed, mode` in front.
        runs: a row a run: `variant, strategy`, and columns of the settings that differ besides.
        described: data, network, strategies and seeds in words.
    """
    step = np.where(rows["timestep"] == 1, FIRST, LATER)
    apart = rows.assign(step=step)
    keys = ["variant", "mode", "layer", "name", "timestep"]
    layers = _summarised(apart, keys)
    kappa = apart.groupby(keys, sort=False)["kappa"].mean().reset_index()
    layers = layers.merge(kappa, on=keys)[[*keys, "n", "kappa", *SHARES, "available_std"]]
    each = apart.groupby(["variant", "mode", "step", "seed"], sort=False)[list(SHARES.values())].mean()
    steps = _summarised(each.reset_index(), ["variant", "mode", "step"])
    strategies = dict(zip(runs["variant"], runs["strategy"], strict=True))
    return Claims(layers, steps, strategies, described, (*_between(layers, runs), *_off(layers)))


def _summarised(rows: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    found = over_seeds(rows, keys, SHARES["available"])[[*keys, "n", "mean", "std"]]
    found = found.rename(columns={"mean": "available", "std": "available_std"})
    for name in ("closed_form", "correlated"):
        mean = over_seeds(rows, keys, SHARES[name])[[*keys, "mean"]].rename(columns={"mean": name})
        found = found.merge(mean, on=keys)
    return found[[*keys, "n", *SHARES, "available_std"]]


def _between(layers: pd.DataFrame, runs: pd.DataFrame) -> list[str]:
    """Of variants that differ in nothing but the strategy: which has more inside, where."""
    named = runs.drop_duplicates("variant").set_index("variant")
    settings = [name for name in named.columns if name not in ("strategy", "seed")]
    pairs: dict[tuple[str, str], list[tuple[str, str, str]]] = {}
    groups: dict[str, list[str]] = {}
    for row in named.reset_index().to_dict("records"):
        where = ", ".join(f"{name}={row[name]}" for name in settings)
        groups.setdefault(where, []).append(row["variant"])
    for where, (first, *rest) in groups.items():
        for other in rest:
            strategies = str(named.loc[other, "strategy"]), str(named.loc[first, "strategy"])
            pairs.setdefault(strategies, []).append((where, other, first))
    return [
        _more(layers, strategies, found, mode)
        for strategies, found in pairs.items()
        for mode in dict.fromkeys(layers["mode"])
    ]


def _more(
    layers: pd.DataFrame, strategies: tuple[str, str], pairs: Sequence[tuple[str, str, str]], mode: str
) -> str:
    """Where one strategy has more inside than another, over all settings that both were trained with."""
    own = layers[layers["mode"] == mode].set_index(["variant", "layer", "timestep"])["available"]
    gaps = {where: (own[other] - own[first]).dropna() for where, other, first in pairs}
    gaps = {where: gap for where, gap in gaps.items() if len(gap)}
    if not gaps:
        return f"{mode}: available shares of {strategies[0]} and {strategies[1]} were not measured"
    total = sum(len(gap) for gap in gaps.values())
    above = sum(int((gap > 0).sum()) for gap in gaps.values())
    told = (
        f"{mode}: {strategies[0]} has more inside its interval than {strategies[1]} at {above} of {total} "
        "layers and timesteps"
    )
    if len(gaps) == 1:
        mean = 100 * next(iter(gaps.values())).mean()
        return f"{told}, {mean:+.1f} points on average"
    means = {where: 100 * gap.mean() for where, gap in gaps.items()}
    more = [f"{where} ({mean:+.1f})" for where, mean in means.items() if mean > 0]
    listed = f": {'; '.join(more)}" if more else ""
    return f"{told}, on average at {len(more)} of {len(gaps)} settings (points){listed}"


def _off(layers: pd.DataFrame) -> list[str]:
    """How far predictions are off, by mode."""
    told = []
    for mode in dict.fromkeys(layers["mode"]):
        rows = layers[layers["mode"] == mode]
        parts = []
        for name, words in (
            ("closed_form", "the closed form is off"),
            ("correlated", "the prediction with correlated currents"),
        ):
            gap = (100 * (rows[name] - rows["available"])).abs().dropna()
            if len(gap):
                parts.append(f"{words} by {gap.median():.1f} points (median), {gap.max():.1f} at most")
        if parts:
            told.append(f"{mode}: {'; '.join(parts)}")
        else:
            told.append(f"{mode}: nothing is predicted of these networks")
    return told


def modes(frames: Sequence[tuple[str, int, str, pd.DataFrame]]) -> pd.DataFrame:
    """Main tables of (variant, seed, mode) one after the other, as `claims` takes them."""
    tagged = [table.assign(variant=v, seed=seed, mode=mode) for v, seed, mode, table in frames]
    return pd.concat(tagged, ignore_index=True)
