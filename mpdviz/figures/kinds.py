"""What a figure is: one object that knows what it means, what it shows and how it is drawn.

Ours are the `FIGURE` of their modules; a figure of another package is the same class and an entry point.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from mpdviz.figures.paper.look import Look
    from mpdviz.figures.paper.study import Study


@dataclass(frozen=True)
class RecordingFigure:
    """A figure of one recording; entry points are of the group `mpdviz.figures`."""

    meaning: str
    draw: "Callable[..., Figure]"
    """Takes the tables named in `inputs`; gives the figure, not drawn yet."""
    numbers: "Callable[..., pd.DataFrame]"
    """Takes the same; gives what the figure shows, as a table."""
    inputs: tuple[str, ...] = ("table",)
    """Names of attributes of `Tables`."""
    each_layer: bool = False
    """Whether it shows one layer, so that there is one figure a layer."""
    needs: str | None = None
    """Column of the main table without which there is nothing to show."""
    caption: "Callable[..., str] | None" = None
    """Takes the same as `draw`; gives what the figure shows, in sentences; None: its meaning says it."""


@dataclass(frozen=True)
class StudyFigure:
    """A figure of several runs; entry points are of the group `mpdviz.paper_figures`."""

    meaning: str
    draw: "Callable[[Study, Look], Figure]"
    """Gives the figure, not drawn yet, in sizes of a style."""
    numbers: "Callable[[Study], pd.DataFrame]"
    """What the figure shows, as a table."""
    caption: "Callable[[Study], str]"
    """What the figure shows, in words: data, strategies, seeds, n, error bars."""
    needs: tuple[str, ...]
    """Tables of the study without which there is nothing to show."""
    lacking: "Callable[[Study], str | None] | None" = None
    """Asked where these tables are there: why there is nothing to show all the same, or None."""
    by_looks: bool = False
    """Whether strategies are told apart by colour and marker alone, so that there must not be too many."""
