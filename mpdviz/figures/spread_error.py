"""Why the spread that the paper predicts is off: what each thing that it leaves out adds, layer by layer."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from mpdviz.analysis.decomposition import PARTS
from mpdviz.figures.axes import layer_ticks, say_gaps
from mpdviz.figures.kinds import RecordingFigure
from mpdviz.figures.shown import Figure
from mpdviz.figures.style import GRID, OBSERVED, PAGE_WIDTH, SPREAD_PARTS, style


def numbers(spread: pd.DataFrame) -> pd.DataFrame:
    """`decomposition.spread_error` at the first, the second and the last timestep."""
    timesteps = np.unique(spread["timestep"])
    return spread[spread["timestep"].isin([*timesteps[:2], timesteps[-1]])]


def spread_error(spread: pd.DataFrame) -> Figure:
    """Draw a stacked bar a layer, parts that add over zero and parts that take away under it.

    Args:
        spread: `decomposition.spread_error`.

    Returns:
        The figure, not drawn yet, 7 inches wide.
    """
    shown = numbers(spread)
    timesteps = shown["timestep"].unique()
    with style():
        figure = Figure(figsize=(PAGE_WIDTH, 2.8), layout="constrained")
        axes = figure.subplots(1, len(timesteps), sharex=True, sharey=True, squeeze=False)[0]
        for axis, timestep in zip(axes, sorted(timesteps), strict=True):
            axis.set_title(f"$t={timestep}$")
            axis.set_xlabel("layer")
            _panel(axis, shown[shown["timestep"] == timestep])
        axes[0].set_ylabel("std less the paper's\n(potential)")
        layer_ticks(axes[0], shown["layer"], 10)
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=len(PARTS) + 1)
    return figure


def _panel(axis: Axes, rows: pd.DataFrame) -> None:
    """The parts of one timestep, and their sum; nothing of a layer that lacks one, which leads nowhere."""
    sums = rows[list(PARTS)].sum(axis=1, skipna=False)
    known = rows[sums.notna()]
    over, under = np.zeros(len(known)), np.zeros(len(known))
    for part in PARTS:
        value = known[part].to_numpy(np.float64)
        foot = np.where(value > 0, over, under)
        axis.bar(known["layer"], value, 0.8, bottom=foot, color=SPREAD_PARTS[part], label=part)
        over, under = over + np.maximum(value, 0), under + np.minimum(value, 0)
    total = rows["observed"] - rows["paper"]
    axis.plot(rows["layer"], total, "_", color=OBSERVED, ms=7, mew=1.2, label="observed")
    axis.axhline(0, color=OBSERVED, lw=0.6)
    say_gaps(axis, sums)
    axis.grid(**GRID)
    axis.set_axisbelow(True)


def caption(spread: pd.DataFrame) -> str:
    """What the figure shows."""
    timesteps = np.unique(spread["timestep"])
    shown = np.unique([*timesteps[:2], timesteps[-1]])
    few = f"; t = {', '.join(map(str, shown))} of {len(timesteps)} timesteps"
    return (
        "Standard deviation of the membrane potentials less the one that Theorems 1 and 2 of MPD-AGL "
        "predict, by layer: observed (dash), and what each thing that the theorems leave out adds to it: all "
        "past inputs, each channel's and timestep's own mean and variance of the current, its correlation "
        f"over time, the reset, and the rest{few if len(shown) < len(timesteps) else ''}."
    )


FIGURE = RecordingFigure(
    "what the predicted spread leaves out", spread_error, numbers, ("spread",), caption=caption
)
