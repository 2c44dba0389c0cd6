"""Membrane potential distribution of one layer, a panel a timestep, with the available interval shaded."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mpdviz.figures.density import edges, rebinned, visible_range
from mpdviz.figures.kinds import RecordingFigure
from mpdviz.figures.style import (
    INTERVAL,
    NARROW,
    NOT_MEASURED,
    OUTLINE,
    PAGE_WIDTH,
    POTENTIAL,
    THRESHOLD,
    style,
)

COLUMNS = 5
"""Panels in a row."""


def numbers(table: pd.DataFrame, histogram: pd.DataFrame) -> pd.DataFrame:
    """The layer's histogram in its finest bins, of which the figure joins neighbours into bars."""
    return histogram[histogram["timestep"].isin(table["timestep"])]


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
    low, high = visible_range(table, histogram)
    bars = rebinned(numbers(table, histogram), low, high)
    with style():
        width = max(PAGE_WIDTH * columns / COLUMNS, NARROW)
        figure = Figure(figsize=(width, 1.5 * rows + 0.9), layout="constrained")
        axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for axis in axes.flat[timesteps:]:
            axis.set_axis_off()
        for axis, (_, row) in zip(axes.flat, table.iterrows(), strict=False):
            _panel(axis, row, bars[bars["timestep"] == row["timestep"]])
        axes[0, 0].set_xlim(low, high)
        axes[0, 0].set_ylim(bottom=0)
        for axis in axes.flat[max(timesteps - columns, 0) : timesteps]:
            axis.set_xlabel("potential $v$")
            axis.tick_params(labelbottom=True)
        for axis in axes[:, 0]:
            axis.set_ylabel("density (1/potential)")
        first = table.iloc[0]
        figure.suptitle(f"Layer {first['layer']}: {first['name']}", fontsize=9)
        handles, labels = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3)
    return figure


def _panel(axis: Axes, row: pd.Series, bars: pd.DataFrame) -> None:
    axis.axvspan(
        row["lower"], row["upper"], color=INTERVAL, alpha=0.3, lw=0, label="gradient-available interval"
    )
    axis.stairs(
        bars["density"], edges(bars), fill=True, color=POTENTIAL, alpha=0.8, label="potentials before reset"
    )
    axis.stairs(bars["density"], edges(bars), color=OUTLINE, lw=0.8)
    axis.axvline(row["v_th"], color=THRESHOLD, ls="--", lw=0.9, label="threshold $v_{th}$")
    ratio, kappa = row["available_ratio"], row["kappa"]
    available = f"available ratio {NOT_MEASURED}" if pd.isna(ratio) else f"{ratio:.1%} available"
    width = "" if pd.isna(kappa) else rf"   $\kappa={kappa:.3g}$"
    axis.set_title(f"$t={row['timestep']}${width}\n{available}")


FIGURE = RecordingFigure(
    "potential distribution of one layer", distribution, numbers, ("table", "histograms"), each_layer=True
)
