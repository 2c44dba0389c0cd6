"""A panel a layer: what the figures that show every layer and timestep have in common."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mpdviz.figures.paper.look import Look, colours, legend, line_handles
from mpdviz.figures.paper.study import Study
from mpdviz.figures.style import layer_labels

PANEL = 1.3
"""Least width of a panel in inches, and its height, with 8-point text."""
LIGHTEST = 0.55
"""Share of white in the lightest tint."""


@contextmanager
def layer_panels(
    table: pd.DataFrame, look: Look, xlabel: str, ylabel: str
) -> Iterator[tuple[Figure, dict[int, Axes]]]:
    """A figure and its axes by layer number, for lines to be drawn into; they share their scales.

    Args:
        table: rows of all layers.
        look: sizes.
        xlabel: under the panels.
        ylabel: left of them.
    """
    labels = layer_labels(table, 15)
    most = int(look.page / (PANEL * look.scale))
    rows = -(-len(labels) // most)
    columns = -(-len(labels) // rows)
    with look.settings():
        width = look.page if columns > 2 else look.column
        figure = Figure(figsize=look.size(width, PANEL * rows + 0.7), layout="constrained")
        axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for axis in axes.flat[len(labels) :]:
            axis.set_axis_off()
        named = dict(zip(labels, axes.flat, strict=False))
        yield figure, named
        for index, (number, axis) in enumerate(named.items()):
            axis.set_title(labels[number], fontsize=look.font - 1)
            axis.xaxis.set_major_locator(MaxNLocator(3, integer=True, min_n_ticks=1))
            axis.yaxis.set_major_locator(MaxNLocator(3))
            axis.tick_params(labelbottom=index + columns >= len(labels))
            look.finish(axis)
        figure.supxlabel(xlabel, fontsize=look.font)
        figure.supylabel(ylabel, fontsize=look.font)


def tints(colour: str, timesteps: int) -> list[str]:
    """`colour` for t = 1, lighter and lighter to t = T."""
    base = np.array(mpl.colors.to_rgb(colour))
    whites = np.linspace(0, LIGHTEST, timesteps)
    return [mpl.colors.to_hex(base + white * (1 - base)) for white in whites]


def over_epochs(study: Study, values: pd.DataFrame, look: Look, ylabel: str) -> Figure:
    """Lines over training epochs: a panel a layer, a colour a variant, its tints the timesteps.

    Args:
        study: whose variants are shown.
        values: columns `variant, layer, name, timestep, epoch, mean, std`.
        look: sizes.
        ylabel: of the values.
    """
    with layer_panels(values, look, "epoch", ylabel) as (figure, axes):
        for variant, colour in colours(study.variants).items():
            timesteps = sorted(values["timestep"].unique())
            shades = dict(zip(timesteps, tints(colour, len(timesteps)), strict=True))
            rows = values[values["variant"] == variant]
            # The last timesteps first: t = 1, the darkest, stays on top.
            for timestep, layer in product(reversed(timesteps), axes):
                axis, shade = axes[layer], shades[timestep]
                line = rows[(rows["layer"] == layer) & (rows["timestep"] == timestep)]
                marker = "." if len(line) == 1 else ""
                label = f"{variant} t={timestep}"
                axis.plot(line["epoch"], line["mean"], color=shade, marker=marker, label=label)
                if line["std"].notna().any():
                    low, high = line["mean"] - line["std"], line["mean"] + line["std"]
                    axis.fill_between(line["epoch"], low, high, color=shade, alpha=0.15, lw=0)
        legend(figure, line_handles(study.variants), look)
    return figure
