"""How the loss's gradient to the potentials fares over depth, strategies together."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from mpdviz.analysis.seeds import over_seeds
from mpdviz.figures.kinds import StudyFigure
from mpdviz.figures.paper.look import Look, colours, legend, line_handles, markers
from mpdviz.figures.paper.study import Study
from mpdviz.figures.style import DEPTH, layer_ticks


def numbers(study: Study) -> pd.DataFrame:
    """Norm over all timesteps, sqrt(sum over t of |dL/dv(t)|^2), by variant and layer, over seeds."""
    table = study["gradients"]
    squares = table.assign(grad_norm=table["grad_norm"] ** 2)
    summed = squares.groupby(["variant", "seed", "layer", "name"], sort=False)["grad_norm"].sum(min_count=1)
    return over_seeds(np.sqrt(summed).reset_index(), ["variant", "layer", "name"], "grad_norm")


def gradient_by_depth(study: Study, look: Look) -> Figure:
    """Draw a line a variant over the layers, its band from the least to the greatest seed."""
    values = numbers(study)
    variants = study.variants
    with look.settings():
        figure = Figure(figsize=look.size(look.column, 2.1), layout="constrained")
        axis = figure.subplots()
        for variant, colour in colours(variants).items():
            rows = values[values["variant"] == variant]
            axis.plot(rows["layer"], rows["mean"], "-", marker=markers(variants)[variant], color=colour)
            if (rows["n"] > 1).any():
                axis.fill_between(rows["layer"], rows["min"], rows["max"], color=colour, alpha=0.2, lw=0)
        if (values["mean"] > 0).any():
            axis.set_yscale("log", nonpositive="mask")
        layer_ticks(axis, values["layer"], 20 if look.column > 5 else 10)
        axis.set_xlabel(DEPTH)
        axis.set_ylabel(r"norm of $\partial L/\partial v$ (loss/potential)")
        look.finish(axis)
        handles = line_handles(variants)
        for handle, marker in zip(handles, markers(variants).values(), strict=True):
            handle.set_marker(marker)
        legend(figure, handles, look)
    return figure


def caption(study: Study) -> str:
    """What the figure shows."""
    return (
        "Norm of the loss's gradient with respect to the membrane potentials of all timesteps, by layer: "
        f"root mean square over batches, means over seeds. {study.sources['gradients']} "
        f"{study.spread('Bands', 'least to greatest value')} {study.describe()}"
    )


FIGURE = StudyFigure("gradient norm by layer", gradient_by_depth, numbers, caption, needs=("gradients",))
