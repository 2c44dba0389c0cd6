"""Loss and accuracy over training."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, PercentFormatter

from mpdviz.analysis.seeds import common_epochs, over_seeds
from mpdviz.figures.kinds import StudyFigure
from mpdviz.figures.paper.look import Look, colours, legend, line_handles
from mpdviz.figures.paper.study import Study
from mpdviz.figures.style import OBSERVED

QUANTITIES = {"loss": "loss (nats)", "accuracy": "accuracy (%)"}
SPLITS = {"train": "-", "val": "--"}
"""Line styles."""


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
    """Draw a panel for the loss and one for the accuracy, one above the other where the page is narrow."""
    values = numbers(study)
    narrow = look.column < 5
    with look.settings():
        figure = Figure(figsize=look.size(look.column, 3.4 if narrow else 2.3), layout="constrained")
        axes = figure.subplots(*((2, 1) if narrow else (1, 2)), sharex=True)
        for axis, (quantity, label) in zip(axes, QUANTITIES.items(), strict=True):
            for variant, colour in colours(study.variants).items():
                for split, style in SPLITS.items():
                    of_split = values[(values["quantity"] == quantity) & (values["split"] == split)]
                    line = of_split[of_split["variant"] == variant]
                    marker = "." if len(line) == 1 else ""
                    axis.plot(line["epoch"], line["mean"], style, color=colour, marker=marker, label=variant)
                    if (line["n"] > 1).any():
                        edges = {"color": colour, "alpha": 0.2, "lw": 0}
                        axis.fill_between(line["epoch"], line["min"], line["max"], **edges)
            axis.set_ylabel(label)
            axis.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
            look.finish(axis)
        axes[1].yaxis.set_major_formatter(PercentFormatter(1, symbol=""))
        for axis in axes[1:] if narrow else axes:
            axis.set_xlabel("epoch")
        names = {"train": "training", "val": "validation"}
        splits = [Line2D([], [], color=OBSERVED, ls=SPLITS[split], label=names[split]) for split in SPLITS]
        legend(figure, [*line_handles(study.variants), *splits], look)
        figure.align_ylabels()
    return figure


def caption(study: Study) -> str:
    """What the figure shows."""
    return (
        "Loss and accuracy over training (metrics.csv), on training data (solid, while training) and "
        "validation data (dashed, after each epoch): means over seeds. "
        f"{study.spread('Bands', 'least to greatest value')} {study.describe()}"
    )


FIGURE = StudyFigure("loss and accuracy over training", curves, numbers, caption, needs=("metrics",))
