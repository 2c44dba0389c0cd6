"""Membrane potentials of one layer against the available interval, by strategy and timestep."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from mpdviz.figures.density import edges, rebinned, visible_range
from mpdviz.figures.kinds import StudyFigure
from mpdviz.figures.paper.look import Look, colours, legend
from mpdviz.figures.paper.study import Study
from mpdviz.figures.style import OBSERVED, THRESHOLD, shown_timesteps

MOST = 10
"""Timesteps that fit beside each other."""
NARROW = 0.6
"""Inches of a panel under which labels of ticks like 0.5 would touch."""


def numbers(study: Study) -> pd.DataFrame:
    """The bars and intervals that the figure shows.

    Returns:
        Columns `variant, layer, name, timestep, left, right, density`, the potentials of all seeds pooled,
        and `v_th, lower, upper, available_ratio`, means over seeds, repeated in every bar of a panel.
    """
    table, histograms = (_of_layer(study, name) for name in ("recorded", "histograms"))
    ranges = [visible_range(*_of_variant(variant, table, histograms)) for variant in study.variants]
    low, high = min(low for low, _ in ranges), max(high for _, high in ranges)
    frames = []
    for variant in study.variants:
        rows, bins = _of_variant(variant, table, histograms)
        bars = rebinned(bins, low, high).merge(rows, on="timestep")
        bars.insert(0, "variant", variant)
        frames.append(bars)
    return pd.concat(frames, ignore_index=True)


def potentials(study: Study, look: Look) -> Figure:
    """Draw a row of panels a variant, a column a timestep (at most ten of them)."""
    bars = numbers(study)
    timesteps = sorted(bars["timestep"].unique())
    shape = len(study.variants), len(timesteps)
    with look.settings():
        width = look.page if len(timesteps) > 2 else look.column
        figure = Figure(figsize=look.size(width, 1.15 * shape[0] + 0.9), layout="constrained")
        axes = figure.subplots(*shape, sharex=True, sharey=True, squeeze=False)
        for index, (variant, colour) in enumerate(colours(study.variants).items()):
            row = axes[index]
            for axis, timestep in zip(row, timesteps, strict=True):
                here = (bars["variant"] == variant) & (bars["timestep"] == timestep)
                _panel(axis, bars[here], colour, look)
                steps = [1, 2, 10] if width / len(timesteps) < NARROW else [1, 2, 5, 10]
                axis.xaxis.set_major_locator(MaxNLocator(3, steps=steps))
                if index == 0:
                    axis.set_title(f"$t={timestep}$\n{axis.get_title()}", fontsize=look.font - 1)
            row[0].set_ylabel(variant.replace(", ", "\n"), fontsize=look.font - 1)
        axes[0, 0].set_xlim(bars["left"].min(), bars["right"].max())
        axes[0, 0].set_ylim(bottom=0)
        of_layer = f"layer {bars['layer'].iloc[0]} ({bars['name'].iloc[0]})"
        figure.supxlabel(f"potential $v$ before reset, {of_layer}", fontsize=look.font)
        figure.supylabel("density (1/potential)", fontsize=look.font)
        interval = Line2D([], [], color=OBSERVED, ls="--", label="gradient-available interval")
        threshold = Line2D([], [], color=THRESHOLD, ls=":", label="threshold $v_{th}$")
        legend(figure, [interval, threshold], look)
    return figure


def caption(study: Study) -> str:
    """What the figure shows."""
    table = _of_layer(study, "recorded")
    return (
        f"Membrane potentials before reset in layer {study.layer} ({table['name'].iloc[0]}), by strategy "
        "and timestep. Recorded from the best checkpoint on the validation data, seeds pooled. Dashed: ends "
        "of the gradient-available interval; dotted: threshold. Percentages: potentials inside the interval. "
        f"Interval and percentage are means over seeds; no error bars. {study.describe()}"
    )


def _of_layer(study: Study, name: str) -> pd.DataFrame:
    table = study[name]
    rows = table[table["layer"] == study.layer]
    return rows[rows["timestep"].isin(shown_timesteps(rows, MOST))]


def _of_variant(
    variant: str, table: pd.DataFrame, histograms: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Means of the main table's rows, and the histograms pooled."""
    values = ["v_th", "lower", "upper", "available_ratio"]
    rows = table[table["variant"] == variant].groupby("timestep", as_index=False)[values].mean()
    bins = histograms[histograms["variant"] == variant]
    # By place, not by edges: those follow each seed's threshold where a strategy moves it.
    place = bins.groupby(["seed", "timestep"]).cumcount()
    keys = ["layer", "name", "timestep", place.rename("place")]
    columns = {"left": "mean", "right": "mean", "count": "sum", "density": "first"}
    pooled = bins.groupby(keys).agg(columns).reset_index().drop(columns="place")
    total = pooled.groupby("timestep")["count"].transform("sum").clip(lower=1)
    bounded = pooled["density"].notna()
    pooled["density"] = (pooled["count"] / total / (pooled["right"] - pooled["left"])).where(bounded)
    return rows, pooled


def _panel(axis: Axes, bars: pd.DataFrame, colour: str, look: Look) -> None:
    first = bars.iloc[0]
    axis.stairs(bars["density"], edges(bars), fill=True, color=colour, alpha=0.6)
    for end in (first["lower"], first["upper"]):
        axis.axvline(end, color=OBSERVED, ls="--", lw=0.8 * look.scale)
    axis.axvline(first["v_th"], color=THRESHOLD, ls=":", lw=0.9 * look.scale)
    ratio = first["available_ratio"]
    share = "none finite" if pd.isna(ratio) else f"{ratio:.0%}"
    axis.set_title(share, fontsize=look.font - 1)
    axis.yaxis.set_major_locator(MaxNLocator(3))
    look.finish(axis)


FIGURE = StudyFigure(
    "potentials of a layer against the available interval",
    potentials,
    numbers,
    caption,
    needs=("recorded", "histograms"),
)
