"""The gradient-available ratio of every layer, strategies beside each other."""

import pandas as pd
from matplotlib.ticker import PercentFormatter

from mpdviz.analysis.seeds import over_seeds
from mpdviz.figures.axes import DEPTH, aside, layer_ticks, say_gaps
from mpdviz.figures.kinds import StudyFigure
from mpdviz.figures.paper.look import Look, legend
from mpdviz.figures.paper.study import Study
from mpdviz.figures.shown import Figure

ROOM = 24
"""Points that a column of two has room for."""
DODGE = 0.5
"""Share of the distance between layers over which the strategies' points are spread."""


def numbers(study: Study) -> pd.DataFrame:
    """Ratio (a share), averaged over timesteps, by variant and layer, summarised over seeds."""
    averaged = study["final"].groupby(["variant", "seed", "layer", "name"], sort=False)["available_ratio"]
    return over_seeds(averaged.mean().reset_index(), ["variant", "layer", "name"], "available_ratio")


def available_ratio(study: Study, look: Look) -> Figure:
    """Draw points joined by a line over the layers, a line a variant, its points a little aside."""
    values = numbers(study)
    looks = study.looks
    with look.settings():
        width = look.column if len(values) <= ROOM else look.page
        figure = Figure(figsize=look.size(width, 2.3), layout="constrained")
        axis = figure.subplots()
        for place, (variant, own) in enumerate(looks.items()):
            rows = values[values["variant"] == variant]
            axis.errorbar(
                rows["layer"] + aside(place, len(looks), DODGE),
                rows["mean"],
                yerr=rows["std"] if rows["std"].notna().any() else None,
                color=own.colour,
                ls=own.dashes,
                lw=0.6 * look.scale,
                marker=own.marker,
                ms=3.2 * look.scale,
                elinewidth=0.7 * look.scale,
                label=own.label,
            )
        layer_ticks(axis, values["layer"], 20)
        axis.set_ylim(0, 1)
        axis.yaxis.set_major_formatter(PercentFormatter(1, symbol=""))
        axis.set_xlabel(DEPTH)
        axis.set_ylabel("available ratio (%)")
        look.finish(axis)
        say_gaps(axis, values["mean"])
        legend(figure, [own.line() for own in looks.values()], look)
    return figure


def caption(study: Study) -> str:
    """What the figure shows."""
    return (
        "Share of the membrane potentials inside the gradient-available interval by layer, averaged over "
        f"timesteps: means over seeds, strategies side by side at each layer. {study.sources['final']} "
        f"{study.spread('Error bars', 'sample standard deviation')} {study.describe()}"
    )


FIGURE = StudyFigure(
    "available ratio by layer", available_ratio, numbers, caption, needs=("final",), by_looks=True
)
