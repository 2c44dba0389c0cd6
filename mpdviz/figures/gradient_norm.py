"""How the loss's gradient to the potentials fares over depth and time: norm, zeros, direction."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from mpdviz.figures.axes import DEPTH, layer_ticks, log_scale, say_nothing, shown_timesteps
from mpdviz.figures.kinds import RecordingFigure
from mpdviz.figures.shown import Figure
from mpdviz.figures.style import GRID, PAGE_WIDTH, style, timestep_colours

PANELS = {
    "grad_norm": r"norm of $\partial L/\partial v(t)$" + "\n(loss/potential)",
    "grad_zero_ratio": "potentials with\ngradient exactly 0",
    "grad_cosine": "cosine to gradient\nat $t+1$",
}
"""Columns of the main table, one a panel, and their labels."""


def numbers(table: pd.DataFrame) -> pd.DataFrame:
    """The gradient columns of the main table at the timesteps shown, at most ten of them."""
    rows = table[table["timestep"].isin(shown_timesteps(table))]
    return rows[["layer", "name", "timestep", *PANELS]].reset_index(drop=True)


def gradient_norm(table: pd.DataFrame) -> Figure:
    """Draw gradient norm, share of zeros and the cosine between timesteps over depth, a line a timestep.

    A norm of exactly 0, which has no logarithm, is a triangle on the lower edge.

    Args:
        table: the main table of a recording with gradients.

    Returns:
        The figure, not drawn yet, 7 inches wide.
    """
    values = numbers(table)
    timesteps = shown_timesteps(table)
    panels = [column for column in PANELS if column != "grad_cosine" or values[column].notna().any()]
    with style():
        figure = Figure(figsize=(PAGE_WIDTH, 1.4 * len(panels) + 0.8), layout="constrained")
        axes = figure.subplots(len(panels), 1, sharex=True)
        for axis, column in zip(axes, panels, strict=True):
            _panel(axis, values, column, timesteps)
        norm = axes[0]
        if (values["grad_norm"] > 0).any():
            log_scale(norm)
        axes[1].set_ylim(0, 1)
        axes[1].yaxis.set_major_formatter(PercentFormatter(1))
        layer_ticks(axes[-1], values["layer"], 30)
        axes[-1].set_xlabel(DEPTH)
        handles, labels = norm.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside right center")
        figure.align_ylabels()
    return figure


def _panel(axis: Axes, values: pd.DataFrame, column: str, timesteps: list[int]) -> None:
    """One column of the table, a line a timestep."""
    for timestep, colour in zip(timesteps, timestep_colours(len(timesteps)), strict=True):
        layers = values[values["timestep"] == timestep]
        drawn = layers[column].where(layers[column] != 0) if column == "grad_norm" else layers[column]
        axis.plot(layers["layer"], drawn, ".-", color=colour, ms=4, lw=0.8, label=f"$t={timestep}$")
        zero = layers[column] == 0
        if column == "grad_norm" and zero.any():
            edge = axis.get_xaxis_transform()
            axis.plot(
                layers["layer"][zero], zero[zero] * 0, "v", color=colour, ms=4, transform=edge, clip_on=False
            )
    if values[column].isna().all():
        say_nothing(axis)
    axis.set_ylabel(PANELS[column])
    axis.grid(**GRID)


def caption(table: pd.DataFrame) -> str:
    """What the figure shows."""
    shown, every = len(shown_timesteps(table)), table["timestep"].nunique()
    some = f" {shown} of {every} timesteps are shown." if shown < every else ""
    zeros = " Triangles on the lower edge: a norm of exactly 0." if (table["grad_norm"] == 0).any() else ""
    return (
        "Gradient of the loss with respect to the membrane potentials by layer, a line a timestep: its norm "
        "(logarithmic scale), the share of potentials where it is exactly 0, and, where there is a next "
        f"timestep, its cosine to the gradient there.{zeros}{some}"
    )


FIGURE = RecordingFigure(
    "gradient norm, zeros and direction over depth and time",
    gradient_norm,
    numbers,
    needs="grad_norm",
    caption=caption,
)
