"""Sizes of common styles of papers and talks, and a strategy's colour, the same in every figure of a set."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mpdviz.errors import unknown_name
from mpdviz.figures.style import COLOURS, GRID, MARKERS, OF_STRATEGY, style


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

    @property
    def scale(self) -> float:
        """Lengths are relative to what 8-point text needs."""
        return self.font / 8

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
            "legend.fontsize": self.font - 1,
            "lines.linewidth": self.scale,
            "lines.markersize": 3.5 * self.scale,
            "axes.linewidth": 0.6 * self.scale,
            "errorbar.capsize": 1.2 * self.scale,
        }
        with style(), mpl.rc_context(sizes):
            yield

    def finish(self, axis: Axes) -> None:
        """Give ticks this style's size for good: a file is written under other settings."""
        axis.tick_params(which="both", labelsize=self.font - 1, width=0.6 * self.scale)
        axis.grid(**GRID | {"lw": GRID["lw"] * self.scale})
        axis.set_axisbelow(True)


LOOKS = {
    "ijcai": Look(column=3.3, page=7.0, font=8),
    "neurips": Look(column=5.5, page=5.5, font=8),
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


def colours(variants: Sequence[str]) -> dict[str, str]:
    """A colour for each of at most `len(COLOURS)` variants, in order; known strategies keep theirs."""
    known = {variant: OF_STRATEGY[variant] for variant in variants if variant in OF_STRATEGY}
    free = iter(colour for colour in COLOURS if colour not in known.values())
    return {variant: known[variant] if variant in known else next(free) for variant in variants}


def markers(variants: Sequence[str]) -> dict[str, str]:
    """A marker for each variant, so that grey prints tell them apart too."""
    return dict(zip(variants, MARKERS, strict=False))


def legend(figure: Figure, handles: Sequence[Any], look: Look, longest: int = 0) -> None:
    """A legend above the panels, in as many columns as its texts have room for."""
    texts = [handle.get_label() for handle in handles]
    letters = max(longest, *(len(text) for text in texts))
    entry = (letters * 0.55 + 5) * look.font / 72
    columns = max(1, min(len(texts), int(figure.get_figwidth() / entry)))
    figure.legend(handles=list(handles), loc="outside upper center", ncols=columns, columnspacing=1.2)


def line_handles(variants: Sequence[str]) -> list[Line2D]:
    """Legend entries of lines with the variants' colours."""
    return [Line2D([], [], color=colour, label=variant) for variant, colour in colours(variants).items()]
