"""Predicted against observed spread of the potentials, by layer and timestep."""

from itertools import product

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mpdviz.analysis.seeds import over_seeds
from mpdviz.figures.kinds import StudyFigure
from mpdviz.figures.paper.look import Look, colours, legend, line_handles, markers
from mpdviz.figures.paper.panels import layer_panels
from mpdviz.figures.paper.study import Study
from mpdviz.figures.style import OBSERVED

SOURCES = {"observed": "std", "predicted": "predicted_std"}
"""Columns of the main table."""


def numbers(study: Study) -> pd.DataFrame:
    """Standard deviation by source, variant, layer and timestep, summarised over seeds."""
    keys = ["variant", "layer", "name", "timestep"]
    parts = [
        over_seeds(study["final"], keys, column).assign(source=source) for source, column in SOURCES.items()
    ]
    return pd.concat(parts, ignore_index=True)


def spread(study: Study, look: Look) -> Figure:
    """Draw observed spreads as filled markers with error bars, predicted ones as dashed lines; over t."""
    values = numbers(study)
    variants = study.variants
    xlabel, ylabel = "timestep $t$", "spread: std (potential)"
    with layer_panels(values, look, xlabel, ylabel) as (figure, axes):
        for (variant, colour), marker in zip(
            colours(variants).items(), markers(variants).values(), strict=True
        ):
            rows = values[values["variant"] == variant]
            for layer, source in product(axes, SOURCES):
                line = rows[(rows["layer"] == layer) & (rows["source"] == source)]
                style = "--" if source == "predicted" else "none"
                shape = marker if source == "observed" else ("_" if len(line) == 1 else "")
                axes[layer].errorbar(
                    line["timestep"].to_numpy(),
                    line["mean"].to_numpy(),
                    yerr=line["std"] if line["std"].notna().any() else None,
                    color=colour,
                    ls=style,
                    marker=shape,
                    ms=2.2 * look.scale,
                    elinewidth=0.6 * look.scale,
                    label=f"{variant} {source}",
                )
        for axis in axes.values():
            axis.margins(x=0.08)
        kinds = [
            Line2D([], [], color=OBSERVED, ls="none", marker="o", ms=2.2 * look.scale, label="observed"),
            Line2D([], [], color=OBSERVED, ls="--", label="predicted"),
        ]
        legend(figure, [*line_handles(variants), *kinds], look)
    return figure


def caption(study: Study) -> str:
    """What the figure shows."""
    return (
        "Standard deviation of the membrane potentials by layer and timestep: observed (markers) and as "
        "Theorems 1 and 2 of MPD-AGL predict it from batch norm and decay (dashed), means over seeds. "
        f"{study.sources['final']} "
        f"{study.spread('Error bars', 'sample standard deviation')} {study.describe()}"
    )


FIGURE = StudyFigure(
    "predicted against observed spread by layer and timestep", spread, numbers, caption, needs=("final",)
)
