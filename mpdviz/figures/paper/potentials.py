"""Membrane potentials of one layer against the available interval, by strategy and timestep."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from mpdviz.figures.axes import NOT_MEASURED, shown_timesteps
from mpdviz.figures.density import clipped, edges, rebinned, visible_range
from mpdviz.figures.kinds import StudyFigure
from mpdviz.figures.paper.look import Look, legend
from mpdviz.figures.paper.study import Study
from mpdviz.figures.shown import Figure
from mpdviz.figures.style import INTERVAL, OUTLINE, OUTSIDE, THRESHOLD

MOST = 10
"""Timesteps that fit beside each other."""
NARROW = 0.75
"""Inches of a panel, with 8-point text, under which ticks like 0.5 and long titles would touch."""


def numbers(study: Study) -> pd.DataFrame:
    """The bars and intervals that the figure shows.

    Returns:
        Columns `variant, layer, name, timestep, left, right, density`, the potentials of all seeds pooled,
        and `v_th, lower, upper, available_ratio`, means over seeds, repeated in every bar of a panel.
    """
    table, histograms = (_of_layer(study, name) for name in ("recorded", "histograms"))
    ranges = [visible_range(*_of_variant(variant, table, histograms)) for variant in study.rows]
    low, high = min(low for low, _ in ranges), max(high for _, high in ranges)
    frames = []
    for variant in study.rows:
        rows, bins = _of_variant(variant, table, histograms)
        bars = rebinned(bins, low, high).merge(rows, on="timestep")
        bars.insert(0, "variant", variant)
        frames.append(bars)
    return pd.concat(frames, ignore_index=True)


def potentials(study: Study, look: Look) -> Figure:
    """Draw a row of panels a variant (four at most), a column a timestep (at most ten of them)."""
    bars = numbers(study)
    timesteps = sorted(bars["timestep"].unique())
    shape = len(study.rows), len(timesteps)
    with look.settings():
        width = look.page if len(timesteps) > 2 else look.column
        narrow = width / len(timesteps) < NARROW * look.scale
        figure = Figure(figsize=look.size(width, 1.2 * shape[0] + 1.1), layout="constrained")
        axes = figure.subplots(*shape, sharex=True, sharey=True, squeeze=False)
        for place, (row, variant) in enumerate(zip(axes, study.rows, strict=True)):
            own = study.looks[variant]
            for axis, timestep in zip(row, timesteps, strict=True):
                here = (bars["variant"] == variant) & (bars["timestep"] == timestep)
                share = _panel(axis, bars[here], own.colour, look)
                if narrow:  # on a slide, of which the height is given, too, no line can be spared
                    share = share.replace("% ", "%\n") if look.height is None else share.partition(" i")[0]
                head = f"$t={timestep}$\n" if place == 0 else ""
                axis.set_title(head + share, fontsize=look.small)
                axis.xaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 10] if narrow else [1, 2, 5, 10]))
            row[0].set_ylabel(own.label.replace(", ", "\n").replace(" ", "\n", 1), fontsize=look.small)
        axes[0, 0].set_xlim(bars["left"].min(), bars["right"].max())
        axes[0, 0].set_ylim(bottom=0)
        of_layer = f"layer {bars['layer'].iloc[0]} ({bars['name'].iloc[0]})"
        figure.supxlabel(f"potential $v$ before reset, {of_layer}", fontsize=look.font)
        figure.supylabel("density (1/potential)", fontsize=look.font)
        keys = [
            Patch(fc=INTERVAL, ec=OUTLINE, lw=0.4, label="available interval"),
            Patch(fc=OUTSIDE, ec=OUTLINE, lw=0.4, label="potentials outside"),
            Patch(fc="#808080", ec=OUTLINE, lw=0.4, label="inside (in colour, %)"),
            Line2D([], [], color=THRESHOLD, ls="--", lw=0.8 * look.scale, label="threshold"),
        ]
        legend(figure, keys, look)
    return figure


def caption(study: Study) -> str:
    """What the figure shows."""
    table, looks = _of_layer(study, "recorded"), study.looks
    left_out = [look.label for variant, look in looks.items() if variant not in study.rows]
    dropped = f"Not shown: {', '.join(left_out)}. " if left_out else ""
    shown, every = table["timestep"].nunique(), study["recorded"]["timestep"].nunique()
    some = f"{shown} of {every} timesteps shown. " if shown < every else ""
    return (
        f"Membrane potentials before reset in layer {study.layer} ({table['name'].iloc[0]}), by strategy "
        "and timestep. Recorded from the best checkpoint on the validation data, seeds pooled. Shaded: the "
        "gradient-available interval; coloured and in percent: the share of the potentials inside; dashed: "
        f"threshold. Interval and percentage are means over seeds; no error bars. {dropped}{some}"
        f"{study.describe()}"
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


def _panel(axis: Axes, bars: pd.DataFrame, colour: str, look: Look) -> str:
    """One strategy at one timestep; the share inside, in words."""
    first = bars.iloc[0]
    axis.axvspan(first["lower"], first["upper"], color=INTERVAL, lw=0, zorder=0.5)
    axis.stairs(bars["density"], edges(bars), fill=True, color=OUTSIDE)
    axis.stairs(*clipped(bars, first["lower"], first["upper"]), fill=True, color=colour)
    axis.stairs(bars["density"], edges(bars), color=OUTLINE, lw=0.5 * look.scale)
    axis.axvline(first["v_th"], color=THRESHOLD, ls="--", lw=0.8 * look.scale)
    axis.yaxis.set_major_locator(MaxNLocator(3))
    look.finish(axis)
    ratio = first["available_ratio"]
    if pd.isna(ratio):
        return NOT_MEASURED if bars["density"].any() else "none finite"
    return f"{100 * ratio:.0f} % inside"


FIGURE = StudyFigure(
    "membrane potentials of one layer and the available interval",
    potentials,
    numbers,
    caption,
    needs=("recorded", "histograms"),
)
