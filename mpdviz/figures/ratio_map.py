"""Heat map of the gradient-available ratio: layers from top to bottom, timesteps from left to right."""

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from mpdviz.figures.style import NARROW, PAGE_WIDTH, THRESHOLD, layer_labels, style

ROOM = 15
"""Most timesteps whose cells hold a number."""
STEP = 0.05
"""The colours' range starts and ends on multiples of this."""
UNKNOWN = "#DDDDDD"


def numbers(table: pd.DataFrame) -> pd.DataFrame:
    """The available ratio as a share: a row a layer (`layer, name`), a column a timestep (`t=1`, ...)."""
    cells = table.pivot(index=["layer", "name"], columns="timestep", values="available_ratio")
    return cells.sort_index().rename(columns=lambda timestep: f"t={timestep}").reset_index()


def ratio_map(table: pd.DataFrame) -> Figure:
    """Draw which share of the potentials gets its spike gradient; the smallest share is framed.

    Args:
        table: the main table.

    Returns:
        The figure, not drawn yet, at most 7 inches wide.
    """
    ratio = numbers(table).drop(columns=["layer", "name"]).to_numpy(np.float64)
    layers, timesteps = ratio.shape
    with style():
        width = min(max(0.42 * timesteps + 2.4, NARROW), PAGE_WIDTH)
        figure = Figure(figsize=(width, max(0.19 * layers, 0.8) + 0.9), layout="constrained")
        axis = figure.subplots()
        low, high = _colour_range(ratio)
        mesh = axis.pcolormesh(np.ma.masked_invalid(ratio), cmap="cividis", vmin=low, vmax=high)
        axis.set_facecolor(UNKNOWN)
        if timesteps <= ROOM:
            _write_cells(axis, mesh, ratio)
        axis.set_ylim(layers, 0)
        axis.set_yticks(np.arange(layers) + 0.5, list(layer_labels(table).values()))
        wanted = [t for t in MaxNLocator(ROOM, integer=True).tick_values(1, timesteps) if 1 <= t <= timesteps]
        shown = range(1, timesteps + 1) if timesteps <= ROOM else wanted
        axis.set_xticks(np.array(shown) - 0.5, [f"{t:.0f}" for t in shown])
        axis.tick_params(length=0)
        axis.spines[:].set_visible(False)
        axis.set_xlabel("timestep $t$")
        axis.set_ylabel("layer")
        bar = figure.colorbar(mesh, ax=axis, format=PercentFormatter(1, decimals=0), aspect=25)
        bar.set_label("potentials in the gradient-\navailable interval")
        bar.outline.set_visible(False)
        _explain(figure, axis, ratio)
    return figure


def _colour_range(ratio: NDArray[np.float64]) -> tuple[float, float]:
    """The data's range, rounded outwards to whole steps; 0 to 1 where there are no data."""
    if not np.isfinite(ratio).any():
        return 0.0, 1.0
    low = math.floor(np.nanmin(ratio) / STEP) * STEP
    return low, max(math.ceil(np.nanmax(ratio) / STEP) * STEP, low + 2 * STEP)


def _write_cells(axis: Axes, mesh: QuadMesh, ratio: NDArray[np.float64]) -> None:
    """Each share in percent, in whichever of black and white stands out on its colour."""
    for (row, column), share in np.ndenumerate(ratio):
        red, green, blue, _ = mesh.to_rgba(share)
        colour = "black" if 0.3 * red + 0.59 * green + 0.11 * blue > 0.5 else "white"
        text = f"{100 * share:.1f}" if np.isfinite(share) else "–"
        axis.text(
            column + 0.5,
            row + 0.52,
            text,
            color=colour if np.isfinite(share) else "black",
            fontsize=6.5,
            ha="center",
            va="center",
        )


def _explain(figure: Figure, axis: Axes, ratio: NDArray[np.float64]) -> None:
    """Frame the smallest share and say what frame, figures and grey mean, under the map."""
    entries: list[Patch | Line2D] = []
    if np.isfinite(ratio).any():
        row, column = np.unravel_index(np.nanargmin(ratio), ratio.shape)
        frame = {"facecolor": "none", "edgecolor": THRESHOLD, "linewidth": 1.6}
        axis.add_patch(Rectangle((float(column), float(row)), 1, 1, clip_on=False, zorder=3, **frame))
        entries.append(Patch(label="smallest share", **frame))
    if ratio.shape[1] <= ROOM:
        entries.append(Line2D([], [], ls="none", label="figures in percent"))
    if not np.isfinite(ratio).all():
        entries.append(Patch(color=UNKNOWN, label="no finite potentials"))
    figure.legend(handles=entries, loc="outside lower center", ncols=3)
