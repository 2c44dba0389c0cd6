"""Where the potentials lie: shares below, inside and above the available interval, a bar a layer."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MultipleLocator, PercentFormatter

from mpdviz.figures.axes import NOT_MEASURED, layer_labels
from mpdviz.figures.kinds import RecordingFigure
from mpdviz.figures.shown import Figure
from mpdviz.figures.style import ABOVE, BELOW, INSIDE, NARROW, NOTE, PAGE_WIDTH, SMALLEST, style

STATES = {
    "below_ratio": ("below the interval", BELOW, "white"),
    "available_ratio": ("inside: gets its spike gradient", INSIDE, "black"),
    "above_ratio": ("above the interval", ABOVE, "black"),
}
"""Columns of the main table: what they mean, colour, colour of the text upon it."""
PANELS = 4
"""Most timesteps with a panel each; beyond, one panel shows all timesteps together."""
ROOM = 0.11
"""Least share whose bar holds a number."""


def numbers(table: pd.DataFrame) -> pd.DataFrame:
    """The shares that the figure shows.

    Returns:
        Columns `layer, name, timestep, below_ratio, available_ratio, above_ratio`; beyond `PANELS` timesteps
        one row a layer, the shares weighted by the timesteps' finite potentials, `timestep` holding `all`.
    """
    shares = list(STATES)
    if table["timestep"].nunique() <= PANELS:
        return table[["layer", "name", "timestep", *shares]].sort_values(["layer", "timestep"])
    finite = (table["count"] - table["nonfinite"]).where(table["available_ratio"].notna(), 0)
    potentials = table[shares].mul(finite, axis=0).assign(finite=finite)
    layers = potentials.groupby([table["layer"], table["name"]]).sum()
    averaged = layers[shares].div(layers["finite"].replace(0, np.nan), axis=0).reset_index()
    averaged.insert(2, "timestep", "all")
    return averaged


def states(table: pd.DataFrame) -> Figure:
    """Draw the three shares of every layer, a panel a timestep where there are few timesteps.

    Args:
        table: the main table.

    Returns:
        The figure, not drawn yet, at most 7 inches wide.
    """
    shares = numbers(table)
    labels, timesteps = layer_labels(table), shares["timestep"].unique()
    with style():
        width = PAGE_WIDTH if len(timesteps) > 1 else NARROW
        figure = Figure(figsize=(width, max(0.19 * len(labels), 0.5) + 1.0), layout="constrained")
        axes = figure.subplots(1, len(timesteps), sharex=True, sharey=True, squeeze=False)[0]
        for axis, timestep in zip(axes, timesteps, strict=True):
            _panel(axis, shares[shares["timestep"] == timestep])
            axis.set_title("all timesteps" if timestep == "all" else f"$t={timestep}$")
        axes[0].set_yticks(range(len(labels)), list(labels.values()))
        axes[0].set_ylim(len(labels) - 0.5, -0.5)
        axes[0].set_xlim(0, 1)
        axes[0].xaxis.set_major_formatter(PercentFormatter(1, symbol=""))
        axes[0].xaxis.set_major_locator(MultipleLocator(0.5 if len(timesteps) > 1 else 0.2))
        figure.supxlabel("share of the finite potentials (%)", fontsize=8)
        handles, texts = axes[0].get_legend_handles_labels()
        figure.legend(handles, texts, loc="outside upper center", ncols=3)
    return figure


def _panel(axis: Axes, shares: pd.DataFrame) -> None:
    """One stacked bar a layer, from the top; where nothing was measured, words instead."""
    rows = np.arange(len(shares))
    left = np.zeros(len(shares))
    for column, (label, colour, ink) in STATES.items():
        share = shares[column].to_numpy(np.float64)
        bars = axis.barh(rows, share, 0.8, left=left, color=colour, ec="white", lw=0.4, label=label)
        texts = [f"{100 * part:.0f}" if part >= ROOM else "" for part in share]
        axis.bar_label(bars, texts, label_type="center", color=ink, fontsize=SMALLEST)
        left += np.nan_to_num(share)
    for row in rows[shares["available_ratio"].isna()]:
        axis.text(0.02, row, NOT_MEASURED, **NOTE)
    axis.tick_params(axis="y", length=0)


def caption(table: pd.DataFrame) -> str:
    """What the figure shows."""
    together = ", all timesteps together" if table["timestep"].nunique() > PANELS else " and timestep"
    return (
        "Shares of the finite membrane potentials below, inside and above the gradient-available interval, "
        f"in percent, by layer{together}; a number stands where its bar has room for it."
    )


FIGURE = RecordingFigure(
    "shares below, inside and above the available interval", states, numbers, caption=caption
)
