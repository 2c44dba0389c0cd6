"""Membrane potential distribution of one layer, a panel a timestep, with the available interval shaded."""

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mpdviz.figures.style import INTERVAL, OUTLINE, PAGE_WIDTH, POTENTIAL, THRESHOLD, style

COLUMNS = 5
"""Panels in a row."""
BARS = 60
"""About how many bars the shown range is divided into."""


def distribution(table: pd.DataFrame, histogram: pd.DataFrame) -> Figure:
    """Draw the potentials of one layer.

    Args:
        table: the layer's rows of the main table, one a timestep.
        histogram: the layer's `metrics.histogram`.

    Returns:
        The figure, not drawn yet, 7 inches wide.
    """
    timesteps = len(table)
    columns = min(timesteps, COLUMNS)
    rows = -(-timesteps // columns)
    low, high = _visible_range(table, histogram)
    with style():
        width = max(PAGE_WIDTH * columns / COLUMNS, PAGE_WIDTH * 0.7)  # the legend needs that much
        figure = Figure(figsize=(width, 1.5 * rows + 0.9), layout="constrained")
        axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for axis in axes.flat[timesteps:]:
            axis.set_axis_off()
        for axis, (_, row) in zip(axes.flat, table.iterrows(), strict=False):
            _panel(axis, row, histogram[histogram["timestep"] == row["timestep"]], low, high)
        axes[0, 0].set_xlim(low, high)
        for axis in axes.flat[max(timesteps - columns, 0) : timesteps]:
            axis.set_xlabel("potential $v$")
            axis.tick_params(labelbottom=True)
        for axis in axes[:, 0]:
            axis.set_ylabel("density")
        first = table.iloc[0]
        figure.suptitle(f"Layer {first['layer']}: {first['name']}", fontsize=9)
        handles, labels = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    return figure


def _panel(axis: Axes, row: pd.Series, histogram: pd.DataFrame, low: float, high: float) -> None:
    edges, density = _rebin(histogram, low, high)
    axis.axvspan(
        row["lower"], row["upper"], color=INTERVAL, alpha=0.3, lw=0, label="gradient-available interval"
    )
    axis.stairs(density, edges, fill=True, color=POTENTIAL, alpha=0.8, label="potentials before reset")
    axis.stairs(density, edges, color=OUTLINE, lw=0.8)
    axis.axvline(row["v_th"], color=THRESHOLD, ls="--", lw=0.9, label="threshold $v_{th}$")
    axis.set_title(
        rf"$t={row['timestep']}$   $\kappa={row['kappa']:.3g}$"
        + "\n"
        + f"{row['available_ratio']:.1%} available"
    )
    axis.set_ylim(bottom=0)
    sns.despine(ax=axis)


def _visible_range(table: pd.DataFrame, histogram: pd.DataFrame) -> tuple[float, float]:
    """Where all but the outermost 0.1 % of every timestep's potentials lie, and all intervals."""
    inner = histogram[np.isfinite(histogram["density"])]
    share = inner.groupby("timestep")["count"].transform(lambda count: count.cumsum() / max(count.sum(), 1))
    bulk = inner[(share > 0.001) & (share < 0.999)]
    ends = bulk if len(bulk) else inner[inner["count"] > 0]
    low = min(ends["left"].min(), table["lower"].min()) if len(ends) else table["lower"].min()
    high = max(ends["right"].max(), table["upper"].max()) if len(ends) else table["upper"].max()
    margin = 0.05 * (high - low)
    return low - margin, high + margin


def _rebin(
    histogram: pd.DataFrame, low: float, high: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Edges and densities of the finite bins, joined in twos, fours, ... to about `BARS` over the range."""
    inner = histogram[np.isfinite(histogram["density"])]
    counts, left = inner["count"].to_numpy(), inner["left"].to_numpy()
    width = left[1] - left[0]
    joined = 2 ** max(round(np.log2((high - low) / width / BARS)), 0)
    total = max(histogram["count"].sum(), 1)
    density = counts.reshape(-1, joined).sum(1) / (total * width * joined)
    return np.append(left[::joined], inner["right"].iloc[-1]), density
