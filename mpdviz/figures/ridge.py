"""Potential distributions of all layers: a column a timestep, a ridge a layer, the intervals shaded."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from mpdviz.analysis.predict.normal import density
from mpdviz.figures.axes import layer_labels, shown_timesteps
from mpdviz.figures.density import clipped, edges, rebinned, visible_range
from mpdviz.figures.kinds import RecordingFigure
from mpdviz.figures.shown import Figure
from mpdviz.figures.style import (
    INSIDE,
    INTERVAL,
    NOTE,
    OUTLINE,
    OUTSIDE,
    PAGE_WIDTH,
    PREDICTIONS,
    THRESHOLD,
    style,
)

RIDGE = 0.85
"""Height of a layer's highest bar, in distances between layers."""


def numbers(table: pd.DataFrame, histograms: pd.DataFrame) -> pd.DataFrame:
    """Densities that the figure shows, one row a layer, timestep and bar.

    Args:
        table: the main table.
        histograms: `metrics.histogram` of its layers, one after the other.

    Returns:
        Columns `layer, name, timestep, left, right, density, lower, upper, v_th, predicted_density`: a bar's
        ends, the observed density, the available interval and threshold of the layer and timestep, and the
        density at the bar's middle of the normal law of Theorems 1 and 2 (NaN without a batch norm).
    """
    rows = table[table["timestep"].isin(shown_timesteps(table))]
    bars = rebinned(
        histograms[histograms["timestep"].isin(rows["timestep"])], *visible_range(rows, histograms)
    )
    of_layer = ["lower", "upper", "v_th", "predicted_mean", "predicted_std"]
    bars = bars.merge(rows[["layer", "timestep", *of_layer]], on=["layer", "timestep"])
    middle = (bars["left"] + bars["right"]) / 2
    spread = bars["predicted_std"].where(bars["predicted_std"] > 0)  # a point mass has no density
    bars["predicted_density"] = density(((middle - bars["predicted_mean"]) / spread).to_numpy()) / spread
    return bars.drop(columns=["predicted_mean", "predicted_std"])


def ridge(table: pd.DataFrame, histograms: pd.DataFrame) -> Figure:
    """Draw the potentials of every layer, at most ten timesteps of them.

    Each layer has a scale of its own, the same at all its timesteps.

    Args:
        table: the main table.
        histograms: `metrics.histogram` of its layers, one after the other.

    Returns:
        The figure, not drawn yet, 7 inches wide.
    """
    bars = numbers(table, histograms)
    labels, timesteps = layer_labels(table), shown_timesteps(table)
    with style():
        height = max(0.33, 0.6 - 0.03 * len(labels))
        layout = ConstrainedLayoutEngine(wspace=0.02, w_pad=0.02)
        figure = Figure(figsize=(PAGE_WIDTH, height * len(labels) + 1.0), layout=layout)
        axes = figure.subplots(1, len(timesteps), sharex=True, sharey=True, squeeze=False)[0]
        for axis, timestep in zip(axes, timesteps, strict=True):
            axis.set_title(f"$t={timestep}$")
        for row, number in enumerate(labels):
            layer = bars[bars["layer"] == number]
            highest = layer["density"].max() or layer["predicted_density"].max() or 1.0
            for axis, timestep in zip(axes, timesteps, strict=True):
                _ridge(axis, layer[layer["timestep"] == timestep], -row, RIDGE / highest)
        axes[0].set_yticks(-np.arange(len(labels)), list(labels.values()), va="bottom")
        axes[0].set_ylim(0.95 - len(labels), 1)
        axes[0].set_xlim(bars["left"].min(), bars["right"].max())
        axes[0].xaxis.set_major_locator(MaxNLocator(3 if len(timesteps) > 5 else 6, steps=[1, 2, 5, 10]))
        for axis in axes:
            axis.spines["left"].set_visible(False)
            axis.tick_params(left=False)
        figure.supxlabel("potential $v$ before reset; densities scaled to each layer's highest", fontsize=8)
        handles, texts = axes[0].get_legend_handles_labels()
        named = dict(zip(texts, handles, strict=True))
        figure.legend(named.values(), named.keys(), loc="outside upper center", ncols=5)
    return figure


def _ridge(axis: Axes, bars: pd.DataFrame, base: float, scale: float) -> None:
    """One layer at one timestep, standing on `base`; nothing where the layer has no such timestep."""
    if bars.empty:
        return
    first = bars.iloc[0]
    interval = (first["lower"], base), first["upper"] - first["lower"], 1.0
    shade = Rectangle(*interval, color=INTERVAL, lw=0, zorder=0.5, label="gradient-available interval")
    axis.add_patch(shade)
    if bars["density"].any():
        heights, ends = clipped(bars, first["lower"], first["upper"])
        for top, sides, colour, label in (
            (bars["density"], edges(bars), OUTSIDE, "potentials outside"),
            (heights, ends, INSIDE, "inside"),
        ):
            tops = base + scale * np.asarray(top)
            axis.stairs(tops, sides, baseline=base, fill=True, color=colour, label=label)
        axis.stairs(base + scale * bars["density"], edges(bars), baseline=base, color=OUTLINE, lw=0.3)
    else:
        middle = (bars["left"].iloc[0] + bars["right"].iloc[-1]) / 2
        axis.text(middle, base + 0.3, "not finite", ha="center", **NOTE)
    predicted = base + np.minimum(scale * bars["predicted_density"], 1)
    middles = (bars["left"] + bars["right"]) / 2
    axis.plot(
        middles, predicted, color=PREDICTIONS["paper"][2], lw=0.8, label="predicted by Theorems 1 and 2"
    )
    axis.vlines(first["v_th"], base, base + 1, color=THRESHOLD, ls="--", lw=0.6, label="threshold")


def caption(table: pd.DataFrame, histograms: pd.DataFrame) -> str:
    """What the figure shows."""
    shown, every = len(shown_timesteps(table)), table["timestep"].nunique()
    some = f" {shown} of {every} timesteps are shown." if shown < every else ""
    known = table["predicted_std"].notna().any()
    line = " Line: the normal law that Theorems 1 and 2 of MPD-AGL predict." if known else ""
    return (
        "Distributions of the membrane potentials before reset, layers from input (top) to output, each "
        "scaled to its highest bar. Shaded: the gradient-available interval; coloured: the potentials "
        f"inside; dashed: threshold.{line}{some}"
    )


FIGURE = RecordingFigure(
    "potential distributions of all layers", ridge, numbers, ("table", "histograms"), caption=caption
)
