"""Figures: tables in, matplotlib figures out; one file a figure (no torch).

The module of a figure holds its `FIGURE`, a `RecordingFigure`. `FIGURES` lists them all, so that any can be
drawn from `Tables` by name:

    tables = Tables.of(recording.layers)
    for path in figures.write(tables, folder, "pdf"): ...
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from mpdviz.errors import BadInput
from mpdviz.figures.kinds import RecordingFigure
from mpdviz.registry import Registry
from mpdviz.system.files import write_text

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

    from mpdviz.figures.tables import Tables

__all__ = ["FIGURES", "RecordingFigure", "caption", "draw", "numbers", "supported", "write"]

OURS = (
    "ridge",
    "ratio_map",
    "states",
    "what_if",
    "predicted",
    "spread_error",
    "gradient_norm",
    "distribution",
)
FIGURES: Registry[RecordingFigure] = Registry(
    "figure", "mpdviz.figures", {name: f"mpdviz.figures.{name}:FIGURE" for name in OURS}, RecordingFigure
)
"""Figures by name, in the order in which they are written."""


def supported(tables: "Tables") -> list[str]:
    """Names of the figures that a recording has the columns for."""
    return [name for name, figure in FIGURES.items() if figure.needs is None or figure.needs in tables.table]


def draw(name: str, tables: "Tables") -> "Figure":
    """The named figure, not drawn yet.

    Raises:
        BadInput: unknown figure, the recording lacks what it shows, or it shows one layer and `tables` are
            not of one (`Tables.layer`).
    """
    from mpdviz.figures.axes import entitle
    from mpdviz.figures.style import style

    kind, inputs = _found(name, tables)
    figure = kind.draw(*inputs)
    with style():
        entitle(figure, kind.meaning)
    return figure


def numbers(name: str, tables: "Tables") -> "pd.DataFrame":
    """What the named figure shows, as a table; raises like `draw`."""
    figure, inputs = _found(name, tables)
    return figure.numbers(*inputs)


def caption(name: str, tables: "Tables", origin: str = "") -> str:
    """What the named figure shows, in words, and of what; raises like `draw`.

    Args:
        name: of `FIGURES`.
        tables: the recording's tables.
        origin: network, strategy, data, split and n, as far as they are known: `origin.of`.
    """
    figure, inputs = _found(name, tables)
    shown = f"{figure.meaning[:1].upper()}{figure.meaning[1:]}."
    if figure.caption is not None:
        shown = figure.caption(*inputs)
    return f"{shown} {origin}".rstrip()


def write(
    tables: "Tables",
    folder: Path,
    format_: str = "png",
    names: Iterable[str] | None = None,
    *,
    origin: str = "",
) -> Iterator[Path]:
    """Write figures as NAME.FORMAT and yield every path once written.

    Each comes with its numbers in NAME.csv and its caption in NAME.txt. A figure of one layer is written for
    every layer as NAME_layer01 and so on.

    Args:
        tables: the recording's tables.
        folder: an existing folder.
        format_: png, pdf or svg.
        names: figures to write; None writes all that the recording supports.
        origin: see `caption`.

    Raises:
        BadInput: unknown figure or format, a figure without its columns, or a folder that refuses.
    """
    from mpdviz.figures.style import check_format, save

    check_format(format_)
    for name in supported(tables) if names is None else names:
        pieces = {name: tables}
        if FIGURES.find(name).each_layer:
            layers = sorted(tables.table["layer"].unique())
            pieces = {f"{name}_layer{number:02d}": tables.layer(number) for number in layers}
        for stem, piece in pieces.items():
            figure = draw(name, piece)
            texts = {
                "csv": numbers(name, piece).to_csv(index=False),
                "txt": caption(name, piece, origin) + "\n",
            }
            for suffix, text in texts.items():
                write_text(folder / f"{stem}.{suffix}", text)
                yield folder / f"{stem}.{suffix}"
            yield save(figure, folder / f"{stem}.{format_}")


def _found(name: str, tables: "Tables") -> "tuple[RecordingFigure, list[pd.DataFrame]]":
    """The named figure and what its functions take."""
    figure = FIGURES.find(name)
    if figure.needs is not None and figure.needs not in tables.table:
        raise BadInput(f"figure {name!r} without column {figure.needs!r}", "record with gradients=True")
    layers = tables.table["layer"].nunique()
    if figure.each_layer and layers != 1:
        raise BadInput(f"figure {name!r} shows one layer, not {layers}", "name one with `layer`")
    return figure, [getattr(tables, attribute) for attribute in figure.inputs]
