"""Loss and accuracy over training, training apart from validation, the last epochs enlarged."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter

from mpdviz.analysis.seeds import common_epochs, over_seeds
from mpdviz.figures.kinds import StudyFigure
from mpdviz.figures.paper.look import Look, legend
from mpdviz.figures.paper.study import Study
from mpdviz.figures.shown import Figure
from mpdviz.figures.style import OUTLINE

QUANTITIES = {"loss": "loss (nats)", "accuracy": "accuracy (%)"}
SPLITS = {"train": "training", "val": "validation"}
ENLARGED = 0.25
"""Share of the epochs, the last ones, that the inset shows."""
LEAST_EPOCHS = 5
"""Epochs from which on an inset shows more than the curves themselves."""
INSET = {"loss": (0.5, 0.5, 0.48, 0.46), "accuracy": (0.5, 0.13, 0.48, 0.46)}
"""Left, bottom, width and height in shares of the panel: where the curves of late epochs are not."""


def numbers(study: Study) -> pd.DataFrame:
    """By quantity, split, variant and epoch: mean, sample std, least, greatest and n over seeds."""
    table = common_epochs(study["metrics"])
    parts = [
        over_seeds(table, ["variant", "epoch"], f"{split}_{quantity}").assign(quantity=quantity, split=split)
        for quantity in QUANTITIES
        for split in SPLITS
    ]
    return pd.concat(parts, ignore_index=True)


def curves(study: Study, look: Look) -> Figure:
    """Draw a row of panels for the loss and one for the accuracy, a column a split."""
    values = numbers(study)
    with look.settings():
        figure = Figure(figsize=look.size(look.page, 4.0), layout="constrained")
        axes = figure.subplots(2, 2, sharex=True, sharey="row")
        for row, (quantity, label) in zip(axes, QUANTITIES.items(), strict=True):
            of_quantity = values[values["quantity"] == quantity]
            for axis, split in zip(row, SPLITS, strict=True):
                lines = of_quantity[of_quantity["split"] == split]
                _draw(axis, study, lines)
                axis.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
                look.finish(axis)
            row[0].set_ylabel(label)
            if quantity == "accuracy":
                row[0].yaxis.set_major_formatter(PercentFormatter(1, decimals=0, symbol=""))
            if values["epoch"].nunique() >= LEAST_EPOCHS:
                _make_room(row[0], of_quantity, quantity)
                for axis, split in zip(row, SPLITS, strict=True):
                    _enlarge(axis, study, of_quantity[of_quantity["split"] == split], quantity, look)
        for axis, split in zip(axes[0], SPLITS.values(), strict=True):
            axis.set_title(split)
        for axis in axes[1]:
            axis.set_xlabel("epoch")
        marker = {} if values["epoch"].nunique() == 1 else {"marker": ""}
        legend(figure, [own.line(**marker) for own in study.looks.values()], look)
        figure.align_ylabels()
    return figure


def _draw(axis: Axes, study: Study, lines: pd.DataFrame) -> None:
    """A line a variant, its band from the least to the greatest seed."""
    for variant, own in study.looks.items():
        line = lines[lines["variant"] == variant]
        marker = own.marker if len(line) == 1 else ""
        axis.plot(
            line["epoch"], line["mean"], ls=own.dashes, color=own.colour, marker=marker, label=own.label
        )
        if (line["n"] > 1).any():
            axis.fill_between(line["epoch"], line["min"], line["max"], color=own.colour, alpha=0.12, lw=0)


def _late(lines: pd.DataFrame, share: float) -> pd.DataFrame:
    """The last epochs, two at least."""
    epochs = np.unique(lines["epoch"])
    late: pd.DataFrame = lines[lines["epoch"] >= epochs[-max(2, round(share * len(epochs)))]]
    return late


def _make_room(axis: Axes, lines: pd.DataFrame, quantity: str) -> None:
    """Widen the scale so that the curves of the second half leave the inset's half of the panel free."""
    _, bottom, _, height = INSET[quantity]
    second, (low, high) = _late(lines, 0.55), axis.get_ylim()
    if quantity == "loss":
        high = max(high, low + (second["max"].max() - low) / (bottom - 0.04))
    else:
        low = min(low, high - (high - second["min"].min()) / (1 - bottom - height - 0.04))
    if not np.isfinite([low, high]).all():
        return
    axis.set_ylim(low, high)
    # No accuracy is below 0: the room made for the inset is no part of the scale.
    ticks = MaxNLocator(5, steps=[1, 2, 5, 10]).tick_values(low, high)
    axis.set_yticks([tick for tick in ticks if max(low, 0) <= tick <= high])


def _enlarge(axis: Axes, study: Study, lines: pd.DataFrame, quantity: str, look: Look) -> None:
    """The last epochs again, larger, in a corner of the panel."""
    late = _late(lines, ENLARGED)
    low, high = late["mean"].min(), late["mean"].max()
    if not np.isfinite([low, high]).all():
        return
    inset = axis.inset_axes(INSET[quantity])
    _draw(inset, study, late)
    margin = 0.15 * (high - low) or 0.01
    inset.set_ylim(low - margin, high + margin)
    inset.set_xlim(late["epoch"].min(), late["epoch"].max())
    inset.xaxis.set_major_locator(MaxNLocator(3, integer=True, min_n_ticks=1))
    inset.yaxis.set_major_locator(MaxNLocator(3))
    if quantity == "accuracy":
        decimals = 0 if high - low > 0.04 else 1
        inset.yaxis.set_major_formatter(PercentFormatter(1, decimals=decimals, symbol=""))
    look.finish(inset)
    inset.tick_params(pad=1.5, length=2)
    axis.indicate_inset_zoom(inset, edgecolor=OUTLINE, lw=0.5 * look.scale)


def caption(study: Study) -> str:
    """What the figure shows."""
    epochs = common_epochs(study["metrics"])["epoch"].nunique()
    inset = " Insets: the last epochs, enlarged." if epochs >= LEAST_EPOCHS else ""
    return (
        "Loss and accuracy over training (metrics.csv), on training data (left, while training) and "
        f"validation data (right, after each epoch): means over seeds.{inset} "
        f"{study.spread('Bands', 'least to greatest value')} {study.describe()}"
    )


FIGURE = StudyFigure(
    "loss and accuracy over training", curves, numbers, caption, needs=("metrics",), by_looks=True
)
