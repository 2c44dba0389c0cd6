"""What another width would do: available ratio and mean gain of a rectangular surrogate, layer by layer."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter

from mpdviz.figures.axes import layer_labels, log_scale, plain, say_nothing, shown_timesteps
from mpdviz.figures.kinds import RecordingFigure
from mpdviz.figures.shown import Figure
from mpdviz.figures.style import NARROW, OBSERVED, PAGE_WIDTH, SMALLEST, style, timestep_colours

VALUES = {"available_ratio": "available\nratio", "mean_gain": "mean gain\n(1/potential)"}
"""Columns of the what-if table, one a panel of each layer, and their labels."""
COLUMNS = 5
"""Most layers side by side."""
WIDTHS = 48
"""About how many of a curve's widths are drawn, evenly over their logarithm."""
TOO_HIGH = 1.6
"""A peak so many times as high as the rest is cut off, and its height written down."""


def numbers(table: pd.DataFrame, curves: pd.DataFrame) -> pd.DataFrame:
    """The points that the figure shows, one row a layer, timestep and width.

    Args:
        table: the main table.
        curves: `whatif.curve` of its layers, one after the other.

    Returns:
        Columns `layer, name, timestep, kappa, available_ratio, mean_gain, own`: `own` is True in one row a
        layer and timestep, which holds what was recorded; its kappa is the width of its available interval.
        A layer without finite potentials has NaN throughout, one whose interval is not known in its own row.
    """
    rows = table[table["timestep"].isin(shown_timesteps(table))]
    recorded = rows[["layer", "name", "timestep"]].assign(
        kappa=rows["upper"] - rows["lower"],
        available_ratio=rows["available_ratio"],
        mean_gain=rows["mean_gain"],
        own=True,
    )
    points = curves[curves["timestep"].isin(rows["timestep"])]
    nth = points.groupby(["layer", "timestep"]).cumcount()
    wanted = np.unique(np.geomspace(1, nth.max() + 1, WIDTHS).round().astype(int)) - 1
    points = points.loc[nth.isin(wanted), list(recorded.columns[:-1])].assign(own=False)
    finite = rows[["layer", "timestep"]].assign(finite=rows["count"] > rows["nonfinite"])
    known = points.merge(finite, on=["layer", "timestep"], how="left")["finite"].to_numpy()
    points.loc[~known, ["available_ratio", "mean_gain"]] = np.nan
    return pd.concat([points, recorded]).sort_values(["layer", "timestep", "own", "kappa"], ignore_index=True)


def what_if(table: pd.DataFrame, curves: pd.DataFrame) -> Figure:
    """Draw ratio over gain for every layer, a line a timestep (at most ten of them), own widths as dots.

    Gains have a scale of their own in each layer.

    Args:
        table: the main table.
        curves: `whatif.curve` of its layers, one after the other.

    Returns:
        The figure, not drawn yet, at most 7 inches wide.
    """
    points = numbers(table, curves)
    labels, timesteps = layer_labels(table, 12), shown_timesteps(table)
    rows = -(-len(labels) // COLUMNS)
    columns = -(-len(labels) // rows)
    with style():
        width = max(PAGE_WIDTH * columns / COLUMNS, NARROW)
        figure = Figure(figsize=(width, 1.75 * rows + 0.75), layout="constrained")
        axes = figure.subplots(2 * rows, columns, sharex=True, squeeze=False)
        for axis in axes.flat:
            axis.set_axis_off()
        for index, (number, label) in enumerate(labels.items()):
            row, column = divmod(index, columns)
            pair = axes[2 * row : 2 * row + 2, column]
            pair[0].set_title(label, fontsize=7)
            for axis, (value, name) in zip(pair, VALUES.items(), strict=True):
                _panel(axis, points[points["layer"] == number], value, timesteps)
                axis.set_ylabel("" if column else name)
                axis.tick_params(labelleft=not column or axis is pair[1], labelbottom=False)
            pair[1].tick_params(labelbottom=index + columns >= len(labels))
            pair[0].set_ylim(0, 1)
            pair[0].yaxis.set_major_formatter(PercentFormatter(1))
            _scale_gain(pair[1], points[points["layer"] == number])
        axes[0, 0].set_xlim(points["kappa"].min(), points["kappa"].max())
        log_scale(axes[0, 0], "x")
        figure.supxlabel(r"full width $\kappa$ of a rectangular surrogate (potential)", fontsize=8)
        handles, texts = axes[0, 0].get_legend_handles_labels()
        figure.legend(
            handles, texts, loc="outside upper center", ncols=6, handlelength=1.4, columnspacing=1.4
        )
    return figure


def _scale_gain(axis: Axes, layer: pd.DataFrame) -> None:
    """From 0 to the highest gain, or under a peak that would flatten all the rest."""
    curve, own = (layer.loc[layer["own"] == kind, "mean_gain"] for kind in (False, True))
    axis.yaxis.set_major_locator(MaxNLocator(3))
    peak = np.nanmax([curve.max(), own.max(), 0.0])
    most = np.nanmax([1.25 * curve.quantile(0.9), 1.1 * own.max(), 0.0])
    if peak > TOO_HIGH * most > 0:
        axis.set_ylim(0, most)
        said = f"peak {plain(float(f'{peak:.2g}'))}"
        axis.text(0.97, 0.95, said, transform=axis.transAxes, ha="right", va="top", fontsize=SMALLEST)
    else:
        axis.set_ylim(0, 1.05 * peak or 1)


def _panel(axis: Axes, layer: pd.DataFrame, value: str, timesteps: list[int]) -> None:
    """A line a timestep, and a dot for what was recorded."""
    axis.set_axis_on()
    for timestep, colour in zip(timesteps, timestep_colours(len(timesteps)), strict=True):
        points = layer[layer["timestep"] == timestep]
        curve, recorded = points[~points["own"]], points[points["own"]]
        axis.plot(curve["kappa"], curve[value], color=colour, lw=0.8, label=f"$t={timestep}$")
        axis.plot(recorded["kappa"], recorded[value], "o", color=colour, ms=3, mec="white", mew=0.4, zorder=3)
    if layer[value].isna().all():
        say_nothing(axis)
    axis.plot([], [], "o", color=OBSERVED, ms=3, label="own width, as recorded")


def caption(table: pd.DataFrame, curves: pd.DataFrame) -> str:
    """What the figure shows."""
    shown, every = len(shown_timesteps(table)), table["timestep"].nunique()
    some = f" {shown} of {every} timesteps are shown." if shown < every else ""
    return (
        "Available ratio and mean gain that a rectangular surrogate of another full width kappa would have "
        "on the recorded potentials, by layer, a line a timestep; dots: its own width, as recorded. "
        f"Scales of the gain differ between layers; a peak beyond its panel has its height written in.{some}"
    )


FIGURE = RecordingFigure(
    "available ratio and mean gain under other widths",
    what_if,
    numbers,
    ("table", "curves"),
    caption=caption,
)
