"""What figures write on their axes: layers, timesteps, plain numbers, titles, and what was not measured."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from mpdviz.figures.style import NOTE

DEPTH = "layer, from input to output"
"""Label of an axis of layers."""
NOT_MEASURED = "not measured"
"""Where there is nothing to draw."""
MOST_TIMESTEPS = 10
"""Timesteps that colours or columns can tell apart."""


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


def layer_ticks(axis: Axes, layers: pd.Series, most: int) -> None:
    """Mark layer numbers on the x axis, every one or as many evenly spread as `most`."""
    numbers = np.unique(layers)
    axis.set_xticks(numbers[:: -(-len(numbers) // most)])
    axis.set_xlim(numbers[0] - 0.6, numbers[-1] + 0.6)


def aside(place: int, count: int, width: float) -> float:
    """How far the `place`-th, from 0, of `count` things at one place is moved so that they fill `width`."""
    return width * ((place + 0.5) / count - 0.5)


def log_scale(axis: Axes, which: str = "y") -> None:
    """A logarithmic axis whose labels are plain numbers, two of them at least."""
    getattr(axis, f"set_{which}scale")("log", nonpositive="mask")
    side = getattr(axis, f"{which}axis")
    low, high = side.get_view_interval()
    decades = np.log10(high / low) if 0 < low < high else 1
    side.set_major_locator(LogLocator(subs=(1.0,) if decades > 2 else (1.0, 2.0, 5.0), numticks=6))
    side.set_major_formatter(FuncFormatter(lambda value, _: plain(value)))
    side.set_minor_formatter(NullFormatter())


def plain(value: float) -> str:
    """A number without powers that would have to be set in small: 0.01, 200, 1e-7."""
    mantissa, _, exponent = f"{value:g}".partition("e")
    return f"{mantissa}e{int(exponent)}" if exponent else mantissa


def say_nothing(axis: Axes) -> None:
    """Write in the middle of an empty panel that there is nothing to show."""
    axis.text(0.5, 0.5, NOT_MEASURED, transform=axis.transAxes, ha="center", **NOTE)


def say_gaps(axis: Axes, values: pd.Series) -> None:
    """Say in a panel of these values that what is missing, if anything, was not measured."""
    if values.isna().all():
        say_nothing(axis)
    elif values.isna().any():
        axis.text(0.02, 0.04, f"gaps: {NOT_MEASURED}", transform=axis.transAxes, **NOTE)


def entitle(figure: Figure, text: str, size: float = 9) -> None:
    """Write what a figure shows on its top, above the legend where that is on top too; keep its own title."""
    text = text[:1].upper() + text[1:]
    # A title of the figure itself would lie upon a legend outside the panels.
    on_top = [legend for legend in figure.legends if legend._outside_loc == "upper"]  # type: ignore[attr-defined]
    if on_top:
        on_top[0].set_title(text, FontProperties(size=size))
    elif figure.get_suptitle() == "":
        figure.suptitle(text, fontsize=size)
