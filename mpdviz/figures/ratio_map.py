"""Heat map of the gradient-available ratio: layers from top to bottom, timesteps from left to right."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, PercentFormatter

from mpdviz.figures.style import NARROW, PAGE_WIDTH, THRESHOLD, layer_labels, style

ROOM = 15
"""Most timesteps whose cells hold a number."""
LEAST_SPAN = 0.1
"""Least range of the colours, so that a network without differences does not look as if it had some."""
UNKNOWN = "#DDDDDD"


def numbers(table: pd.DataFrame) -> pd.DataFrame:
    """The available ratio of each layer (rows `layer, name`) and timestep (columns), as a share."""
    cells = table.pivot(index=["layer", "name"], columns="timestep", values="available_ratio")
    return cells.sort_index().rename(columns=lambda timestep: f"t={timestep}").reset_index()


def ratio_map(table: pd.DataFrame) -> Figure:
    """Draw which share of the potentials gets its spike gradient, layer by layer; the worst cell is framed.

    Args:
        table: the main table.

    Returns:
        The figure, not drawn yet, at most 7 inches wide.
    """
    shown = numbers(table)
    ratio = shown.filter(like="t=").set_axis(shown["layer"]).to_numpy(np.float64)
    layers, timesteps = ratio.shape
    scale = _scale(ratio)
    with style():
        width = min(max(0.45 * timesteps + 2.2, NARROW), PAGE_WIDTH)
        figure = Figure(figsize=(width, 0.2 * layers + 1.1), layout="constrained")
        axis = figure.subplots()
        colours = ScalarMappable(scale, "cividis")
        colours.cmap.set_bad(UNKNOWN)
        axis.pcolormesh(ratio)
    return figure
