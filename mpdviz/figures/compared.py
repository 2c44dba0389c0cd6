"""Several networks over depth: available ratio, mean gain, firing rate, gradient norm, foreign widths."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from mpdviz.figures.axes import DEPTH, entitle, layer_ticks, log_scale
from mpdviz.figures.shown import Figure
from mpdviz.figures.style import GRID, PAGE_WIDTH, Appearance, appearances, style

PANELS = {
    "available_ratio": "available\nratio",
    "mean_gain": "mean gain\n(1/potential)",
    "firing_rate": "firing rate",
    "grad_norm": r"norm of $\partial L/\partial v$" + "\n(loss/potential)",
}
"""Columns of the compared table, one a panel, and their labels."""
MOST_CROSSED = 3
"""Networks beyond which foreign widths would be more lines than can be told apart."""


def numbers(sides: pd.DataFrame, cross: pd.DataFrame) -> pd.DataFrame:
    """The points that the figure shows, one row a layer, network and network whose widths they are.

    Args:
        sides: `analysis.sides.sides`.
        cross: `analysis.sides.cross` of the same networks.

    Returns:
        Columns `layer, potentials, widths, available_ratio, mean_gain, firing_rate, grad_norm`; rates and
        norms do not change with another's widths and are NaN there. Foreign widths are means over timesteps.
    """
    keys = ["layer", "potentials", "widths"]
    as_recorded = sides.assign(potentials=sides["checkpoint"], widths=sides["checkpoint"])[[*keys, *PANELS]]
    if sides["checkpoint"].nunique() > MOST_CROSSED:
        return as_recorded.reset_index(drop=True)
    foreign = cross[cross["potentials"] != cross["widths"]]
    values = ["available_ratio", "mean_gain"]
    groups = foreign.groupby(keys, sort=False)[values]
    means = groups.mean().where(groups.count() == groups.size().to_frame().to_numpy())
    points = pd.concat([as_recorded, means.reset_index()])
    return points.sort_values("layer", kind="stable", ignore_index=True)


def compared(sides: pd.DataFrame, cross: pd.DataFrame, strategies: Mapping[str, str] | None = None) -> Figure:
    """Draw a line a network over depth; thin, hollow, its potentials under another's widths (up to three).

    Args:
        sides: `analysis.sides.sides`.
        cross: `analysis.sides.cross` of the same networks.
        strategies: those of the networks, by their labels, where known; they decide how a network looks.

    Returns:
        The figure, not drawn yet, 7 inches wide.
    """
    points = numbers(sides, cross)
    looks = appearances(dict.fromkeys(points["potentials"]), strategies or {})
    panels = [column for column in PANELS if points[column].notna().any()]
    with style():
        figure = Figure(figsize=(PAGE_WIDTH, 1.4 * len(panels) + 1.0), layout="constrained")
        axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
        for axis, column in zip(axes, panels, strict=True):
            _panel(axis, points, column, looks)
        layer_ticks(axes[-1], points["layer"], 30)
        axes[-1].set_xlabel(DEPTH)
        foreign = (points["potentials"] != points["widths"]).any()
        handles, texts = axes[0].get_legend_handles_labels()
        figure.legend(handles, texts, loc="outside upper center", ncols=3, handlelength=2.6)
        entitle(
            figure,
            "networks side by side, and under each other's widths" if foreign else "networks side by side",
        )
        figure.align_ylabels()
    return figure


def caption(sides: pd.DataFrame, cross: pd.DataFrame, origins: Mapping[str, str]) -> str:
    """What the figure shows.

    Args:
        sides: `analysis.sides.sides`.
        cross: `analysis.sides.cross` of the same networks.
        origins: what each network is and what it was recorded over, by its label; empty where not known.
    """
    points = numbers(sides, cross)
    foreign = (points["potentials"] != points["widths"]).any()
    means = " Thin, hollow: potentials of one under the widths of the other, means over timesteps."
    panels = (
        "Available ratio, mean gain, firing rate and, where recorded, gradient norm by layer, all timesteps"
    )
    networks = " ".join(f"{label}: {text.rstrip('.')}." for label, text in origins.items() if text)
    return f"{panels} together, networks side by side.{means if foreign else ''} {networks}".rstrip()


def _panel(axis: Axes, points: pd.DataFrame, column: str, looks: Mapping[str, Appearance]) -> None:
    """One column, a line for every pair of potentials and widths that has it."""
    for keys, line in points.groupby(["potentials", "widths"], sort=False):
        potentials, widths = map(str, keys)
        if line[column].isna().all():
            continue
        as_recorded = potentials == widths
        axis.plot(
            line["layer"],
            line[column],
            ls=looks[potentials].dashes,
            color=looks[potentials].colour,
            marker=looks[widths].marker,
            ms=4,
            mfc=None if as_recorded else "white",
            lw=1.1 if as_recorded else 0.5,
            label=potentials if as_recorded else f"{potentials} under widths of {widths}",
        )
    if column == "grad_norm" and (points[column].dropna() > 0).all():
        log_scale(axis)
    if column in ("available_ratio", "firing_rate"):
        axis.set_ylim(0, 1 if column == "available_ratio" else None)
        axis.yaxis.set_major_formatter(PercentFormatter(1))
    axis.set_ylabel(PANELS[column])
    axis.grid(**GRID)
