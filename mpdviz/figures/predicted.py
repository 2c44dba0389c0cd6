"""What batch norm and decay predict of the potentials against what was observed, layer by layer."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from mpdviz.analysis.columns import of_prediction
from mpdviz.figures.axes import layer_ticks, say_nothing
from mpdviz.figures.kinds import RecordingFigure
from mpdviz.figures.shown import Figure
from mpdviz.figures.style import GRID, OBSERVED, PAGE_WIDTH, PREDICTIONS, style

QUANTITIES = {"mean": "mean\n(potential)", "std": "spread: std\n(potential)", "ratio": "available\nratio"}
"""Rows of panels and their labels."""

LEAST_SPAN = 0.02
"""Least range of a panel, so that rounding errors do not fill it."""
ROOM = 1.1
"""What a panel's range is multiplied by: the largest marker is larger than the usual margin."""


def numbers(table: pd.DataFrame) -> pd.DataFrame:
    """Observed and predicted values at the first, the second and the last timestep.

    Args:
        table: the main table.

    Returns:
        One row a layer, timestep and source, columns `layer, name, timestep, source, mean, std, ratio`; the
        source is `observed` or the name of a prediction, whose values are NaN where there is no batch norm.
    """
    timesteps = np.unique(table["timestep"])
    rows = table[table["timestep"].isin([*timesteps[:2], timesteps[-1]])]
    sources = {"observed": ["mean", "std", "available_ratio"]}
    for name in PREDICTIONS:
        sources[name] = [of_prediction(f"predicted_{value}", name) for value in QUANTITIES]
    by_source = [
        rows[["layer", "name", "timestep"]].assign(
            source=source,
            **{value: rows[column] for value, column in zip(QUANTITIES, columns, strict=True)},
        )
        for source, columns in sources.items()
    ]
    return pd.concat(by_source, ignore_index=True)


def predicted(table: pd.DataFrame) -> Figure:
    """Draw mean, spread and available ratio: observed as a line, each prediction as a marker.

    Args:
        table: the main table.

    Returns:
        The figure, not drawn yet, 7 inches wide.
    """
    values = numbers(table)
    timesteps = values["timestep"].unique()
    with style():
        figure = Figure(figsize=(PAGE_WIDTH, 5.0), layout="constrained")
        axes = figure.subplots(3, len(timesteps), sharex=True, sharey="row", squeeze=False)
        for column, timestep in zip(axes.T, timesteps, strict=True):
            column[0].set_title(f"$t={timestep}$")
            column[-1].set_xlabel("layer")
            for axis, quantity in zip(column, QUANTITIES, strict=True):
                _panel(axis, values[values["timestep"] == timestep], quantity)
        for axis, label in zip(axes[:, 0], QUANTITIES.values(), strict=True):
            axis.set_ylabel(label)
            low, high = axis.get_ylim()
            middle, half = (low + high) / 2, ROOM * max(high - low, LEAST_SPAN) / 2
            axis.set_ylim(middle - half, middle + half)
        axes[2, 0].yaxis.set_major_formatter(PercentFormatter(1))
        layer_ticks(axes[0, 0], values["layer"], 10)
        handles, labels = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=3)
        figure.align_ylabels()
    return figure


def _panel(axis: Axes, values: pd.DataFrame, quantity: str) -> None:
    """One quantity at one timestep."""
    observed = values[values["source"] == "observed"]
    axis.plot(observed["layer"], observed[quantity], "-", color=OBSERVED, marker=".", ms=4, label="measured")
    for source, (marker, size, colour) in PREDICTIONS.items():
        guess = values[values["source"] == source]
        if guess[quantity].isna().all():  # no batch norm to predict from
            continue
        axis.plot(
            guess["layer"],
            guess[quantity],
            marker,
            color=colour,
            mfc="none",
            ms=size,
            mew=0.8,
            label=f"predicted: {source}",
        )
    if values[quantity].isna().all():
        say_nothing(axis)
    axis.grid(**GRID)


def caption(table: pd.DataFrame) -> str:
    """What the figure shows."""
    timesteps = np.unique(table["timestep"])
    shown = np.unique([*timesteps[:2], timesteps[-1]])
    few = f"; t = {', '.join(map(str, shown))} of {len(timesteps)} timesteps"
    return (
        "Mean, standard deviation and available ratio of the membrane potentials by layer: measured (line) "
        "and as batch norm and decay, or of the last the recorded input currents, predict them (markers)"
        f"{few if len(shown) < len(timesteps) else ''}."
    )


FIGURE = RecordingFigure(
    "predicted against measured mean, spread and available ratio", predicted, numbers, caption=caption
)
