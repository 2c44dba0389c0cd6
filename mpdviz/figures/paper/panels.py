"""A panel a layer: what the figures that show every layer and timestep have in common."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from mpdviz.figures.axes import layer_labels, say_gaps, shown_timesteps
from mpdviz.figures.paper.look import Look, legend
from mpdviz.figures.paper.study import Study
from mpdviz.figures.shown import Figure
from mpdviz.figures.style import OBSERVED, shade

PANEL = 1.3
"""Least width of a panel in inches, and its height, with 8-point text."""
LINES = 12
"""Lines that one panel keeps apart."""
LIGHTEST = 0.8
"""Tint of the last timestep, of `style.shade`."""


@contextmanager
def layer_panels(
    table: pd.DataFrame, look: Look, xlabel: str, ylabel: str, *, own_scales: bool = False
) -> Iterator[tuple[Figure, dict[int, Axes]]]:
    """A figure and its axes by layer number, for lines to be drawn into.

    Args:
        table: rows of all layers; `mean` is what is drawn.
        look: sizes.
        xlabel: under the panels.
        ylabel: left of them.
        own_scales: whether each panel has a scale of its own for its values.
    """
    labels = layer_labels(table, 12 if own_scales else 15)
    most = int(look.page / (PANEL * look.scale))
    rows = -(-len(labels) // most)
    columns = -(-len(labels) // rows)
    with look.settings():
        width = look.page if columns > 2 else look.column
        figure = Figure(figsize=look.size(width, PANEL * rows + 0.9), layout="constrained")
        axes = figure.subplots(rows, columns, sharex=True, sharey=not own_scales, squeeze=False)
        for axis in axes.flat[len(labels) :]:
            axis.set_axis_off()
        named = dict(zip(labels, axes.flat, strict=False))
        yield figure, named
        for index, (number, axis) in enumerate(named.items()):
            axis.set_title(labels[number], fontsize=look.small)
            axis.xaxis.set_major_locator(MaxNLocator(3, integer=True, min_n_ticks=1))
            axis.yaxis.set_major_locator(MaxNLocator(3))
            axis.tick_params(labelbottom=index + columns >= len(labels))
            look.finish(axis)
            say_gaps(axis, table.loc[table["layer"] == number, "mean"])
        figure.supxlabel(xlabel, fontsize=look.font)
        figure.supylabel(ylabel, fontsize=look.font)


def few_timesteps(study: Study, table: pd.DataFrame) -> pd.DataFrame:
    """The rows of the first, the last and as many timesteps between as lines can be told apart."""
    most = max(2, LINES // len(study.variants))
    return table[table["timestep"].isin(shown_timesteps(table, most))]


def of_timesteps(study: Study, table: pd.DataFrame) -> str:
    """For captions: which timesteps are shown, where not all are."""
    shown = shown_timesteps(few_timesteps(study, table))
    if len(shown) == table["timestep"].nunique():
        return ""
    return f"Timesteps shown: {', '.join(map(str, shown))} of {study.config.timesteps}. "


def over_epochs(study: Study, values: pd.DataFrame, look: Look, ylabel: str) -> Figure:
    """Lines over training epochs: a panel a layer, a colour and dashes a variant, its tints the timesteps.

    Args:
        study: whose variants are shown.
        values: columns `variant, layer, name, timestep, epoch, mean, std`.
        look: sizes.
        ylabel: of the values.
    """
    timesteps = sorted(values["timestep"].unique())
    lightness = {t: -LIGHTEST * place / max(len(timesteps) - 1, 1) for place, t in enumerate(timesteps)}
    with layer_panels(values, look, "epoch", ylabel) as (figure, axes):
        for variant, own in study.looks.items():
            rows = values[values["variant"] == variant]
            # The last timesteps first: t = 1, the darkest, stays on top.
            for timestep, layer in product(reversed(timesteps), axes):
                axis, colour = axes[layer], shade(own.colour, lightness[timestep])
                line = rows[(rows["layer"] == layer) & (rows["timestep"] == timestep)]
                axis.plot(
                    line["epoch"],
                    line["mean"],
                    color=colour,
                    ls=own.dashes,
                    marker=own.marker if len(line) == 1 else "",
                    label=f"{variant} t={timestep}",
                )
                if line["std"].notna().any():
                    low, high = line["mean"] - line["std"], line["mean"] + line["std"]
                    axis.fill_between(line["epoch"], low, high, color=colour, alpha=0.15, lw=0)
        marker = {} if values["epoch"].nunique() == 1 else {"marker": ""}
        handles = [own.line(**marker) for own in study.looks.values()]
        if len(timesteps) > 1:
            ends = (timesteps[0], timesteps[-1])
            handles += [Line2D([], [], color=shade(OBSERVED, lightness[t]), label=f"$t={t}$") for t in ends]
        legend(figure, handles, look)
    return figure
