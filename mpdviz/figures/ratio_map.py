"""Heat map of the gradient-available ratio: layers from top to bottom, timesteps from left to right."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from mpdviz.analysis.limits import Limits
from mpdviz.analysis.words import percent
from mpdviz.figures.axes import NOT_MEASURED, layer_labels
from mpdviz.figures.kinds import RecordingFigure
from mpdviz.figures.shown import Figure
from mpdviz.figures.style import FRAME, NARROW, PAGE_WIDTH, UNKNOWN, style

ROOM = 15
"""Most timesteps whose cells hold a number."""
ENOUGH = Limits().starved
"""Share from which on all is well, as `mpdviz check` has it."""


def numbers(table: pd.DataFrame) -> pd.DataFrame:
    """The available ratio as a share: a row a layer (`layer, name`), a column a timestep (`t=1`, ...)."""
    cells = table.pivot(index=["layer", "name"], columns="timestep", values="available_ratio")
    return cells.sort_index().rename(columns="t={}".format).rename_axis(columns=None).reset_index()


def ratio_map(table: pd.DataFrame) -> Figure:
    """Draw which share of the potentials gets its spike gradient, on a scale from 0 to 100 %.

    The smallest share is framed where it is too small.

    Args:
        table: the main table.

    Returns:
        The figure, not drawn yet, at most 7 inches wide.
    """
    ratio = numbers(table).drop(columns=["layer", "name"]).to_numpy(np.float64)
    layers, timesteps = ratio.shape
    with style():
        width = min(max(0.42 * timesteps + 2.4, NARROW), PAGE_WIDTH)
        figure = Figure(figsize=(width, max(0.19 * layers, 1.0) + 0.9), layout="constrained")
        axis = figure.subplots()
        mesh = axis.pcolormesh(np.ma.masked_invalid(ratio), cmap="viridis", vmin=0, vmax=1)
        axis.set_facecolor(UNKNOWN)
        if timesteps <= ROOM:
            _write_cells(axis, mesh, ratio)
        axis.set_ylim(layers, 0)
        axis.set_yticks(np.arange(layers) + 0.5, list(layer_labels(table).values()))
        locator = MaxNLocator(ROOM, integer=True, steps=[1, 2, 5, 10])
        marks = np.asarray(locator.tick_values(1, timesteps))
        ticks = marks[(marks >= 1) & (marks <= timesteps)]
        axis.set_xticks(ticks - 0.5, [f"{t:.0f}" for t in ticks])
        axis.tick_params(length=0)
        axis.spines[:].set_visible(False)
        axis.set_xlabel("timestep $t$")
        axis.set_ylabel("layer")
        bar = figure.colorbar(mesh, ax=axis, format=PercentFormatter(1, decimals=0, symbol=""), aspect=25)
        bar.set_label("available ratio (%)")
        bar.outline.set_visible(False)
        _explain(figure, axis, ratio)
    return figure


def _write_cells(axis: Axes, mesh: QuadMesh, ratio: NDArray[np.float64]) -> None:
    """Each share in percent, in whichever of black and white has more contrast (WCAG) to its colour."""
    luminance = mesh.to_rgba(ratio)[..., :3] ** 2.2 @ np.array([0.2126, 0.7152, 0.0722])
    for (row, column), share in np.ndenumerate(ratio):
        dark = np.isfinite(share) and luminance[row, column] < 0.18
        text = f"{100 * share:.1f}" if np.isfinite(share) else "–"
        axis.text(
            column + 0.5,
            row + 0.52,
            text,
            color="white" if dark else "black",
            fontsize=6.5,
            ha="center",
            va="center",
        )


def _explain(figure: Figure, axis: Axes, ratio: NDArray[np.float64]) -> None:
    """Frame the smallest share if it is too small; say what frame and grey mean, above the map."""
    entries: list[Patch] = []
    if (ratio < ENOUGH).any():
        row, column = np.unravel_index(np.nanargmin(ratio), ratio.shape)
        frame = Rectangle((float(column), float(row)), 1, 1, fill=False, ec=FRAME, lw=1.6, clip_on=False)
        axis.add_patch(frame)
        entries.append(
            Patch(fill=False, ec=FRAME, lw=1.6, label=f"smallest share, below {percent(ENOUGH, 0)}")
        )
    if not np.isfinite(ratio).all():
        entries.append(Patch(color=UNKNOWN, label=NOT_MEASURED))
    if entries:
        figure.legend(handles=entries, loc="outside upper center", ncols=3)


def caption(table: pd.DataFrame) -> str:
    """What the figure shows."""
    ratio = table["available_ratio"]
    framed = f" Framed: the smallest share, below {percent(ENOUGH, 0)}." if (ratio < ENOUGH).any() else ""
    unknown = f" Grey: {NOT_MEASURED}." if ratio.isna().any() else ""
    return (
        "Share of the membrane potentials inside the gradient-available interval, in percent, layers from "
        f"input (top) to output by timesteps; colours from 0 to 100 %.{framed}{unknown}"
    )


FIGURE = RecordingFigure("available ratio by layer and timestep", ratio_map, numbers, caption=caption)
