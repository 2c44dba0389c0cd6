"""Sizes and letters of common styles of papers and talks."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mpdviz.errors import unknown_name
from mpdviz.figures.style import GRID, SERIF, SMALLEST, style

ROW = 0.14
"""Height in inches of a row of a legend, with 8-point text."""


@dataclass(frozen=True)
class Look:
    """One style: widths in inches, sizes in points."""

    column: float
    """Width of a small figure."""
    page: float
    """Width of a large one."""
    font: float
    height: float | None = None
    """Height of every figure; None: as high as it needs."""
    serif: bool = False
    """Whether the document is set in Times or its like."""

    @property
    def scale(self) -> float:
        """Lengths are relative to what 8-point text needs."""
        return self.font / 8

    @property
    def small(self) -> float:
        """Points of ticks, legends and notes."""
        return max(self.font - 1, SMALLEST)

    def size(self, width: float, height: float) -> tuple[float, float]:
        """Width and height of a figure whose height would be `height` inches with 8-point text."""
        return width, self.height or height * self.scale

    @contextmanager
    def settings(self) -> Iterator[None]:
        """The figures' common settings with this style's sizes."""
        sizes: dict[Any, Any] = {
            "font.size": self.font,
            "axes.titlesize": self.font,
            "axes.labelsize": self.font,
            "legend.fontsize": self.small,
            "legend.title_fontsize": self.font,
            "xtick.labelsize": self.small,
            "ytick.labelsize": self.small,
            "lines.linewidth": self.scale,
            "lines.markersize": 3.5 * self.scale,
            "axes.linewidth": 0.6 * self.scale,
            "errorbar.capsize": 1.2 * self.scale,
        }
        with style(serif=self.serif), mpl.rc_context(sizes):
            yield

    def finish(self, axis: Axes) -> None:
        """Give ticks this style's size and letters for good: a file is written under other settings."""
        ticks: dict[str, Any] = {"labelsize": self.small, "width": 0.6 * self.scale}
        if self.serif:
            ticks["labelfontfamily"] = SERIF
        axis.tick_params(which="both", **ticks)
        axis.grid(**GRID | {"lw": GRID["lw"] * self.scale})
        axis.set_axisbelow(True)


LOOKS = {
    "ijcai": Look(column=3.3, page=7.0, font=8, serif=True),
    "neurips": Look(column=5.5, page=5.5, font=8, serif=True),
    "talk": Look(column=13.333, page=13.333, font=16, height=7.5),
}
"""Two-column pages, one-column pages, 16:9 slides."""


def get(name: str) -> Look:
    """A style by its name.

    Raises:
        BadInput: unknown name.
    """
    if name not in LOOKS:
        raise unknown_name("style", name, LOOKS)
    return LOOKS[name]


def legend(figure: Figure, handles: Sequence[Any], look: Look) -> None:
    """A legend above the panels, in columns as its texts have room for; the panels keep their height."""
    texts = [str(handle.get_label()) for handle in handles]
    entry = (max(map(len, texts)) * 0.5 + 5) * look.font / 72
    columns = max(1, min(len(texts), int(figure.get_figwidth() / entry)))
    if look.height is None:
        below = -(-len(texts) // columns) - 1
        figure.set_figheight(figure.get_figheight() + below * ROW * look.scale)
    figure.legend(
        handles=list(handles), loc="outside upper center", ncols=columns, columnspacing=1.2, handlelength=2.6
    )
