"""The surrogate's width at every layer and timestep while the network trains."""

import pandas as pd
from matplotlib.figure import Figure

from mpdviz.analysis.seeds import common_epochs, over_seeds
from mpdviz.figures.kinds import StudyFigure
from mpdviz.figures.paper.look import Look
from mpdviz.figures.paper.panels import few_timesteps, of_timesteps, over_epochs
from mpdviz.figures.paper.study import Study


def numbers(study: Study) -> pd.DataFrame:
    """Width by variant, layer, timestep and epoch: mean, sample std, least, greatest and n over seeds."""
    keys = ["variant", "layer", "name", "timestep", "epoch"]
    return over_seeds(common_epochs(few_timesteps(study, study["widths"])), keys, "kappa")


def widths(study: Study, look: Look) -> Figure:
    """Draw the widths, a panel a layer, a line a timestep."""
    return over_epochs(study, numbers(study), look, r"surrogate width $\kappa$ (potential)")


def caption(study: Study) -> str:
    """What the figure shows."""
    return (
        "Full width of the surrogate gradient by layer over training, after each epoch (widths.csv). "
        "Lines: means over seeds, from dark (t = 1) to light (t = T). "
        f"{of_timesteps(study, study['widths'])}"
        f"{study.spread('Bands', 'mean +- sample standard deviation')} {study.describe()}"
    )


FIGURE = StudyFigure(
    "surrogate width by layer and timestep over training",
    widths,
    numbers,
    caption,
    needs=("widths",),
    by_looks=True,
)
