"""The gradient-available ratio of every layer, strategies side by side."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import PercentFormatter

from mpdviz.analysis.seeds import over_seeds
from mpdviz.figures.kinds import StudyFigure
from mpdviz.figures.paper.look import Look, colours, legend
from mpdviz.figures.paper.study import Study
from mpdviz.figures.style import DEPTH, layer_ticks

MOST_BARS = 24
"""Bars that a column of two has room for."""


def numbers(study: Study) -> pd.DataFrame:
    """Ratio (a share), averaged over timesteps, by variant and layer, summarised over seeds."""
    averaged = study["final"].groupby(["variant", "seed", "layer", "name"], sort=False)["available_ratio"]
    return over_seeds(averaged.mean().reset_index(), ["variant", "layer", "name"], "available_ratio")


def available_ratio(study: Study, look: Look) -> Figure:
    """Draw a group of bars for every layer, one a variant."""
    values = numbers(study)
    variants = study.variants
    with look.settings():
        width = look.column if len(values) <= MOST_BARS else look.page
        figure = Figure(figsize=look.size(width, 2.1), layout="constrained")
        axis = figure.subplots()
        bar = 0.8 / len(variants)
        for index, (variant, colour) in enumerate(colours(variants).items()):
            rows = values[values["variant"] == variant]
            at = rows["layer"] + (index - (len(variants) - 1) / 2) * bar
            error = rows["std"].to_numpy(np.float64) if rows["std"].notna().any() else None
            lines = {"elinewidth": 0.7 * look.scale}
            axis.bar(
                at,
                rows["mean"],
                bar,
                yerr=error,
                error_kw=lines,
                color=colour,
                ec="white",
                lw=0.3,
                label=variant,
            )
        layer_ticks(axis, values["layer"], 20)
        axis.set_ylim(0, 1)
        axis.yaxis.set_major_formatter(PercentFormatter(1, symbol=""))
        axis.set_xlabel(DEPTH)
        axis.set_ylabel("available ratio (%)")
        look.finish(axis)
        legend(figure, [Patch(color=c, label=variant) for variant, c in colours(variants).items()], look)
    return figure


def caption(study: Study) -> str:
    """What the figure shows."""
    return (
        "Share of the membrane potentials inside the gradient-available interval by layer, averaged over "
        f"timesteps: means over seeds. {study.sources['final']} "
        f"{study.spread('Error bars', 'sample standard deviation')} {study.describe()}"
    )


FIGURE = StudyFigure("available ratio by layer", available_ratio, numbers, caption, needs=("final",))
