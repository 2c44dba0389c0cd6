"""Histograms made ready for drawing: the range worth showing, and bins joined to what print can resolve."""

import numpy as np
import pandas as pd

BARS = 60
"""About how many bars the shown range is divided into."""


def visible_range(table: pd.DataFrame, histograms: pd.DataFrame) -> tuple[float, float]:
    """Where all but the outermost 0.1 % of each layer's and timestep's potentials lie, and all intervals."""
    inner = histograms[np.isfinite(histograms["density"])]
    counts = inner.groupby(["layer", "timestep"])["count"]
    share = counts.cumsum() / counts.transform("sum").clip(lower=1)
    bulk = inner[(share > 0.001) & (share < 0.999)]
    ends = bulk if len(bulk) else inner[inner["count"] > 0]
    # Where neither a potential nor an interval is known, all of the histogram.
    shown = [ends, table.rename(columns={"lower": "left", "upper": "right"})]
    known = [frame for frame in shown if frame["left"].notna().any()] or [inner]
    low = min(frame["left"].min() for frame in known)
    high = max(frame["right"].max() for frame in known)
    margin = 0.05 * (high - low)
    return float(low - margin), float(high + margin)


def rebinned(histograms: pd.DataFrame, low: float, high: float) -> pd.DataFrame:
    """The bounded bins that touch [low, high], joined in twos, fours, ... to about `BARS` over that range.

    Args:
        histograms: `metrics.histogram` of one layer or several.
        low: lower end of the range, in units of potential.
        high: its upper end.

    Returns:
        Columns `layer, name, timestep, left, right, density`; densities are per unit of potential, over all
        finite potentials, those outside the range included.
    """
    inner = histograms[np.isfinite(histograms["density"])]
    frames = []
    for _, bins in inner.groupby(["layer", "timestep"]):
        width = bins["right"].iloc[0] - bins["left"].iloc[0]
        joined = 2 ** max(round(np.log2((high - low) / width / BARS)), 0)
        wide = bins.iloc[::joined][["layer", "name", "timestep", "left"]].copy()
        wide["right"] = bins["right"].iloc[joined - 1 :: joined].to_numpy()
        wide["density"] = bins["density"].to_numpy().reshape(-1, joined).mean(1)
        frames.append(wide[(wide["right"] > low) & (wide["left"] < high)])
    bars: pd.DataFrame = pd.concat(frames, ignore_index=True)
    return bars


def edges(bars: pd.DataFrame) -> list[float]:
    """Edges `[B + 1]` of the B bars of one layer and timestep."""
    return [*bars["left"], bars["right"].iloc[-1]]


def clipped(bars: pd.DataFrame, lower: float, upper: float) -> tuple[list[float], list[float]]:
    """Densities `[B]` and edges `[B + 1]` of the parts of one layer's and timestep's bars in [lower, upper].

    No bars where they have none in common, or the interval is not known.
    """
    inner = bars[(bars["right"] > lower) & (bars["left"] < upper)]
    if inner.empty:
        return [], [0.0]
    return [*inner["density"]], [float(edge) for edge in np.clip(edges(inner), lower, upper)]
