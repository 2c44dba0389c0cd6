"""Predicted against measured spread of the potentials, by layer and timestep."""

from itertools import product
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mpdviz.analysis.seeds import over_seeds
from mpdviz.figures.axes import aside
from mpdviz.figures.kinds import StudyFigure
from mpdviz.figures.paper.look import Look, legend
from mpdviz.figures.paper.panels import few_timesteps, layer_panels, of_timesteps
from mpdviz.figures.paper.study import Study
from mpdviz.figures.style import OBSERVED

SOURCES = {"measured": "std", "predicted": "predicted_std"}
"""Columns of the main table; `observed` is a strategy's name."""
DODGE = 0.7
"""Share of the distance between timesteps over which the strategies are spread."""


def numbers(study: Study) -> pd.DataFrame:
    """Standard deviation by source, variant, layer and timestep, summarised over seeds."""
    keys = ["variant", "layer", "name", "timestep"]
    table = few_timesteps(study, study["final"])
    parts = [over_seeds(table, keys, column).assign(source=source) for source, column in SOURCES.items()]
    return pd.concat(parts, ignore_index=True)


def spread(study: Study, look: Look) -> Figure:
    """Draw measured spreads as filled markers with error bars, predicted ones hollow at the same places."""
    values = numbers(study)
    looks = study.looks
    timesteps = sorted(values["timestep"].unique())
    places = {timestep: place for place, timestep in enumerate(timesteps)}
    size = 2.6 * look.scale
    # Without a batch norm nothing is predicted.
    known = values.groupby("source")["mean"].transform("count") > 0
    known |= not known.any()
    values, sources = values[known], [*values.loc[known, "source"].unique()]
    kinds: dict[str, dict[str, Any]] = {
        "measured": {"ms": size},
        "predicted": {"ms": size * 1.5, "mfc": "none", "mew": 0.7 * look.scale},
    }
    with layer_panels(values, look, "timestep $t$", "std (potential)", own_scales=True) as (figure, axes):
        for nth, (variant, own) in enumerate(looks.items()):
            mine = values[values["variant"] == variant]
            for layer, source in product(axes, sources):
                rows = mine[(mine["layer"] == layer) & (mine["source"] == source)]
                axes[layer].errorbar(
                    rows["timestep"].map(places) + aside(nth, len(looks), DODGE),
                    rows["mean"],
                    yerr=rows["std"] if source == "measured" and rows["std"].notna().any() else None,
                    color=own.colour,
                    ls="none",
                    marker=own.marker,
                    elinewidth=0.6 * look.scale,
                    label=f"{variant} {source}",
                    **kinds[source],
                )
        handles = [own.line(ls="none") for own in looks.values()]
        for source in sources:
            handles.append(
                Line2D([], [], color=OBSERVED, ls="none", marker="o", label=source, **kinds[source])
            )
        legend(figure, handles, look)
    for axis in axes.values():
        axis.set_xlim(-0.5, len(timesteps) - 0.5)
        axis.set_xticks(range(len(timesteps)), list(map(str, timesteps)))
    return figure


def caption(study: Study) -> str:
    """What the figure shows."""
    return (
        "Standard deviation of the membrane potentials by layer and timestep: measured (filled) and as "
        "Theorems 1 and 2 of MPD-AGL predict it from batch norm and decay (hollow), means over seeds, "
        f"strategies side by side. Scales differ between panels. {of_timesteps(study, study['final'])}"
        f"{study.sources['final']} "
        f"{study.spread('Error bars', 'sample standard deviation')} {study.describe()}"
    )


FIGURE = StudyFigure(
    "predicted against measured spread of the potentials",
    spread,
    numbers,
    caption,
    needs=("final",),
    by_looks=True,
)
