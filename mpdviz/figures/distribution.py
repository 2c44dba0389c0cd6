"""Membrane potential distribution of one layer, a panel a timestep, with the available interval shaded."""

import pandas as pd
from matplotlib.axes import Axes

from mpdviz.figures.axes import NOT_MEASURED
from mpdviz.figures.density import clipped, edges, rebinned, visible_range
from mpdviz.figures.kinds import RecordingFigure
from mpdviz.figures.shown import Figure
from mpdviz.figures.style import INSIDE, INTERVAL, NARROW, OUTLINE, OUTSIDE, PAGE_WIDTH, THRESHOLD, style

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
        figure.legend(handles, labels, loc="outside lower center", ncols=4 if width > NARROW else 2)
    return figure


def _panel(axis: Axes, row: pd.Series, bars: pd.DataFrame) -> None:
    axis.axvspan(
        row["lower"], row["upper"], color=INTERVAL, lw=0, zorder=0.5, label="gradient-available interval"
    )
    axis.stairs(bars["density"], edges(bars), fill=True, color=OUTSIDE, label="potentials outside")
    axis.stairs(
        *clipped(bars, row["lower"], row["upper"]), fill=True, color=INSIDE, label="potentials inside"
    )
    axis.stairs(bars["density"], edges(bars), color=OUTLINE, lw=0.5)
    axis.axvline(row["v_th"], color=THRESHOLD, ls="--", lw=0.9, label="threshold")
    ratio, kappa = row["available_ratio"], row["kappa"]
    inside = f"available ratio {NOT_MEASURED}" if pd.isna(ratio) else f"{100 * ratio:.1f} % inside"
    width = "" if pd.isna(kappa) else rf"   $\kappa={kappa:.3g}$"
    axis.set_title(f"$t={row['timestep']}${width}\n{inside}")


def caption(table: pd.DataFrame, histogram: pd.DataFrame) -> str:
    """What the figure shows."""
    first = table.iloc[0]
    return (
        f"Membrane potentials before reset in layer {first['layer']} ({first['name']}), a panel a timestep. "
        "Shaded: the gradient-available interval, of width kappa; coloured and in percent: the share of the "
        "potentials inside; dashed: threshold."
    )


FIGURE = RecordingFigure(
    "potential distribution of one layer",
    distribution,
    numbers,
    ("table", "histograms"),
    each_layer=True,
    caption=caption,
)
