"""What all figures share: colours that colour-blind eyes and grey prints tell apart, sizes, names, saving."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mpdviz.errors import BadInput
from mpdviz.system.files import write_atomically

try:
    import matplotlib as mpl  # which reads the variable as it is imported
except ValueError:
    named = os.environ.get("MPLBACKEND")
    raise BadInput(
        f"environment variable MPLBACKEND is {named!r}, which matplotlib does not know", "unset it"
    ) from None
from matplotlib.axes import Axes
from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7F4F24")
"""Okabe & Ito's palette for networks and strategies, brown in place of yellow, which vanishes on white."""
BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, _ = COLOURS
OF_STRATEGY = {"mpd-agl": BLUE, "fixed": VERMILION}
"""The two strategies that nearly every comparison has keep their colours whatever else is shown."""
POTENTIAL, OUTLINE, INTERVAL, THRESHOLD = SKY, BLUE, ORANGE, VERMILION
ABOVE = "#F2CBE1"  # a tint of the palette's purple: in grey it must differ from the orange beside it
UNKNOWN = "#DDDDDD"
"""Where there is nothing to colour by."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
"""One for each colour, so that grey prints tell them apart too."""
OBSERVED = "#222222"
PREDICTIONS = {
    "paper": ("o", 3.8, BLUE),
    "mixture": ("s", 5.6, VERMILION),
    "time": ("x", 2.2, GREEN),
    "reset": ("+", 4.6, PURPLE),
}
"""Marker, size in points and colour of each prediction; markers that lie upon each other stay visible."""

GRID: dict[str, Any] = {"axis": "y", "lw": 0.3, "color": "#CCCCCC"}
DEPTH = "layer, from input to output"
"""Label of an axis of layers."""
NOTE: dict[str, Any] = {"fontsize": 6, "style": "italic", "va": "center"}
"""Text where there is nothing to draw."""
NOT_MEASURED = "not measured"
"""What it says."""
PAGE_WIDTH = 7.0
"""Width in inches of the text of a two-column page."""
NARROW = 0.7 * PAGE_WIDTH
"""Least width that the legends need."""
MOST_TIMESTEPS = 10
"""Timesteps that colours or columns can tell apart."""
FORMATS = ("png", "pdf", "svg")


@contextmanager
def style() -> Iterator[None]:
    """Print-ready settings inside the block: 8-point text, embedded fonts, no chart junk."""
    settings: dict[Any, Any] = {
        "font.size": 8,
        "axes.titlesize": 8,
        "axes.labelsize": 8,
        "legend.fontsize": 7,
        "legend.frameon": False,
        "xtick.labelsize": 7,
        "ytick.labelsize": 7,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.linewidth": 0.6,
        "xtick.major.width": 0.6,
        "ytick.major.width": 0.6,
        "lines.linewidth": 1.0,
        "figure.dpi": 120,
        "savefig.dpi": 300,
        "pdf.fonttype": 42,  # TrueType: Type 3 fonts are refused by conference checkers
        "svg.fonttype": "none",
        "svg.hashsalt": "mpdviz",  # the same figure gives the same bytes
    }
    with mpl.rc_context(settings):
        yield


def timestep_colours(timesteps: int) -> list[str]:
    """A colour for each of so many timesteps, from dark to light, light ones still seen on white."""
    return [mpl.colors.to_hex(colour) for colour in mpl.colormaps["viridis"](np.linspace(0, 0.88, timesteps))]


def shown_timesteps(table: pd.DataFrame, most: int = MOST_TIMESTEPS) -> list[int]:
    """The timesteps of a table, or `most` of them evenly spread from the first to the last."""
    timesteps = np.unique(table["timestep"])
    places = np.linspace(0, len(timesteps) - 1, min(most, len(timesteps)))
    return [int(timestep) for timestep in timesteps[places.round().astype(int)]]


def layer_labels(table: pd.DataFrame, most: int = 20) -> dict[int, str]:
    """Number and name of each layer in execution order; a name beyond `most` characters keeps its end."""

    def shorten(name: str) -> str:
        tail = name[1 - most :]
        return name if len(name) <= most else "…" + tail[tail.find(".") + 1 :]

    layers = table.drop_duplicates("layer").sort_values("layer")
    return {
        int(number): f"{number}  {shorten(name)}"
        for number, name in zip(layers["layer"], layers["name"].astype(str), strict=True)
    }


def say_nothing(axis: Axes) -> None:
    """Write in the middle of an empty panel that there is nothing to show."""
    axis.text(0.5, 0.5, NOT_MEASURED, transform=axis.transAxes, ha="center", **NOTE)


def layer_ticks(axis: Axes, layers: pd.Series, most: int) -> None:
    """Mark layer numbers on the x axis, every one or as many evenly spread as `most`."""
    numbers = np.unique(layers)
    axis.set_xticks(numbers[:: -(-len(numbers) // most)])
    axis.set_xlim(numbers[0] - 0.6, numbers[-1] + 0.6)


def check_format(name: str) -> None:
    """Refuse a format that `save` does not write.

    Raises:
        BadInput: `name` is not in `FORMATS`.
    """
    if name not in FORMATS:
        raise BadInput(f"figure format {name!r}", f"choose one of: {', '.join(FORMATS)}")


def save(figure: Figure, path: Path) -> Path:
    """Write `figure` to `path`, its format from the suffix.

    Raises:
        BadInput: an unknown format, or a file that cannot be written.
    """
    kind = path.suffix.removeprefix(".")
    check_format(kind)
    # No creation date, so that the same figure gives the same bytes.
    metadata = {"png": {}, "pdf": {"CreationDate": None}, "svg": {"Date": None}}[kind]
    with style():
        write_atomically(path, lambda file: figure.savefig(file, format=kind, metadata=metadata))
    return path
