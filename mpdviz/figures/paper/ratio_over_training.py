"""The gradient-available ratio of every layer and timestep while the network trains."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from mpdviz.analysis.seeds import common_epochs, over_seeds
from mpdviz.figures.kinds import StudyFigure
from mpdviz.figures.paper.look import Look
from mpdviz.figures.paper.panels import few_timesteps, of_timesteps, over_epochs
from mpdviz.figures.paper.study import Study


def numbers(study: Study) -> pd.DataFrame:
    """Ratio (a share) by variant, layer, timestep and epoch, summarised over seeds like `widths.numbers`."""
    keys = ["variant", "layer", "name", "timestep", "epoch"]
    return over_seeds(common_epochs(few_timesteps(study, study["mpd"])), keys, "available_ratio")


def ratio_over_training(study: Study, look: Look) -> Figure:
    """Draw the ratios, a panel a layer, a line a timestep."""
    figure = over_epochs(study, numbers(study), look, "available ratio (%)")
    for axis in figure.axes:
        axis.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g}"))
    return figure


def caption(study: Study) -> str:
    """What the figure shows."""
    return (
        "Share of the membrane potentials inside the gradient-available interval by layer over training, on "
        "the same batch of validation data after each epoch (mpd.csv). "
        "Lines: means over seeds, from dark (t = 1) to light (t = T). "
        f"{of_timesteps(study, study['mpd'])}"
        f"{study.spread('Bands', 'mean +- sample standard deviation')} {study.describe()}"
    )


FIGURE = StudyFigure(
    "available ratio by layer and timestep over training",
    ratio_over_training,
    numbers,
    caption,
    needs=("mpd",),
    by_looks=True,
)
