"""Figures: tables in, matplotlib figures out; one file a figure (no torch).

The module of a figure holds a function of its own name that draws it and `numbers`, with the same arguments,
that says what it shows. `FIGURES` lists them all, so that any can be drawn from `Tables` by name:

    tables = Tables.of(recording.layers)
    for path in figures.write(tables, folder, "pdf"): ...
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpdviz.errors import BadInput, unknown_name
from mpdviz.system.files import write_text

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from mpdviz.figures.tables import Tables


@dataclass(frozen=True)
class Kind:
    """One figure of the registry."""

    meaning: str
    inputs: tuple[str, ...] = ("table",)
    """What its functions take: names of attributes of `Tables`."""
    each_layer: bool = False
    """Whether it shows one layer, so that there is one figure a layer."""
    needs: str | None = None
    """Column of the main table without which there is nothing to show."""


FIGURES: dict[str, Kind] = {
    "ridge": Kind("potential distributions of all layers and timesteps", ("table", "histograms")),
    "ratio_map": Kind("available ratio, layers by timesteps"),
    "states": Kind("shares below, inside and above the available interval"),
    "what_if": Kind("available ratio and mean gain under other widths", ("table", "curves")),
    "predicted": Kind("predicted against observed mean, spread and available ratio"),
    "gradient_norm": Kind("gradient norm, zeros and direction over depth and time", needs="grad_norm"),
    "distribution": Kind("potential distribution of one layer", ("table", "histograms"), each_layer=True),
}
"""Figures by name, in the order in which they are written; modules are imported when drawn."""


def supported(tables: "Tables") -> list[str]:
    """Names of the figures that a recording has the columns for."""
    return [name for name, kind in FIGURES.items() if kind.needs is None or kind.needs in tables.table]


def draw(name: str, tables: "Tables") -> "Figure":
    """The named figure, not drawn yet; one of a layer (`Tables.layer`) where it is such a one.

    Raises:
        BadInput: unknown figure, or the recording lacks what it shows.
    """
    figure: Figure = _call(name, name, tables)
    return figure


def numbers(name: str, tables: "Tables") -> "pd.DataFrame":
    """What the named figure shows, as a table; raises like `draw`."""
    table: pd.DataFrame = _call(name, "numbers", tables)
    return table


def write(
    tables: "Tables", folder: Path, format_: str = "png", names: Iterable[str] | None = None
) -> Iterator[Path]:
    """Write figures as NAME.FORMAT, each beside its numbers in NAME.csv, and yield every path once written.

    A figure of one layer is written for every layer as NAME_layer01 and so on.

    Args:
        tables: the recording's tables.
        folder: an existing folder.
        format_: png, pdf or svg.
        names: figures to write; None writes all that the recording supports.

    Raises:
        BadInput: unknown figure or format, a figure without its columns, or a folder that refuses.
    """
    from mpdviz.figures.style import check_format, save

    check_format(format_)
    for name in supported(tables) if names is None else names:
        pieces = {name: tables}
        if _kind(name).each_layer:
            layers = sorted(tables.table["layer"].unique())
            pieces = {f"{name}_layer{number:02d}": tables.layer(number) for number in layers}
        for stem, piece in pieces.items():
            figure = draw(name, piece)
            write_text(folder / f"{stem}.csv", numbers(name, piece).to_csv(index=False))
            yield folder / f"{stem}.csv"
            yield save(figure, folder / f"{stem}.{format_}")


def _kind(name: str) -> Kind:
    if name not in FIGURES:
        raise unknown_name("figure", name, FIGURES)
    return FIGURES[name]


def _call(name: str, function: str, tables: "Tables") -> Any:
    kind = _kind(name)
    if kind.needs is not None and kind.needs not in tables.table:
        raise BadInput(f"figure {name!r} without column {kind.needs!r}", "record with gradients=True")
    module = import_module(f"mpdviz.figures.{name}")
    return getattr(module, function)(*(getattr(tables, attribute) for attribute in kind.inputs))
