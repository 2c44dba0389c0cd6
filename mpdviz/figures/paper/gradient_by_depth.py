"""How the loss's gradient to the potentials fares over depth, strategies together."""

import numpy as np
import pandas as pd

from mpdviz.analysis.seeds import over_seeds
from mpdviz.figures.axes import DEPTH, aside, layer_ticks, log_scale, say_gaps
from mpdviz.figures.kinds import StudyFigure
from mpdviz.figures.paper.look import Look, legend
from mpdviz.figures.paper.study import Study
from mpdviz.figures.shown import Figure

DODGE = 0.3
"""Share of the distance between layers over which the strategies' points are spread."""


def numbers(study: Study) -> pd.DataFrame:
    """Norm over all timesteps, sqrt(sum over t of |dL/dv(t)|^2), by variant and layer, over seeds."""
    table = study["gradients"]
    squares = table.assign(grad_norm=table["grad_norm"] ** 2)
    summed = squares.groupby(["variant", "seed", "layer", "name"], sort=False)["grad_norm"].sum(min_count=1)
    return over_seeds(np.sqrt(summed).reset_index(), ["variant", "layer", "name"], "grad_norm")


def gradient_by_depth(study: Study, look: Look) -> Figure:
    """Draw a line a variant over the layers, its band from the least to the greatest seed."""
    values = numbers(study)
    with look.settings():
        figure = Figure(figsize=look.size(look.column, 2.3), layout="constrained")
        axis = figure.subplots()
        for place, (variant, own) in enumerate(study.looks.items()):
            rows = values[values["variant"] == variant]
            at = rows["layer"] + aside(place, len(study.looks), DODGE)
            axis.plot(at, rows["mean"], ls=own.dashes, marker=own.marker, color=own.colour)
            if (rows["n"] > 1).any():
                axis.fill_between(at, rows["min"], rows["max"], color=own.colour, alpha=0.15, lw=0)
        if (values["mean"] > 0).any():
            log_scale(axis)
        layer_ticks(axis, values["layer"], 20 if look.column > 5 else 10)
        axis.set_xlabel(DEPTH)
        axis.set_ylabel(r"norm of $\partial L/\partial v$ (loss/potential)")
        look.finish(axis)
        say_gaps(axis, values["mean"])
        legend(figure, [own.line() for own in study.looks.values()], look)
    return figure


def caption(study: Study) -> str:
    """What the figure shows."""
    return (
        "Norm of the loss's gradient with respect to the membrane potentials of all timesteps, by layer: "
        "root mean square over batches, means over seeds; logarithmic scale, on which a norm of 0 has no "
        f"place. {study.sources['gradients']} "
        f"{study.spread('Bands', 'least to greatest value')} {study.describe()}"
    )


FIGURE = StudyFigure(
    "gradient norm by layer", gradient_by_depth, numbers, caption, needs=("gradients",), by_looks=True
)
