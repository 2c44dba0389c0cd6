"""Tables that fit a width: columns drop out in an order of their own, names are shortened in the middle.

A number is never cut, and a row is one line; only words in the last column run on in lines of their own.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from rich.cells import cell_len
from rich.text import Text

from .output import console, printable, wrapped

GAP = 2
"""Spaces between columns."""
SHORT, SHORTEST = 12, 5
"""Characters that names keep before columns drop out, and behind that."""
ROOM, LEAST_ROOM = 60, 24
"""Characters that words have before columns drop out, and behind that."""


@dataclass(frozen=True)
class Column:
    """One column, its cells as text."""

    heading: str
    cells: Sequence[str]
    kind: Literal["number", "text", "name", "words"] = "number"
    """Numbers (to the right) and texts are never cut; names may be shortened; words, in the last column
    alone, may run on."""
    keep: int | None = None
    """The least of these drops out first, all columns that have it; None stays."""

    @property
    def natural(self) -> int:
        """Characters that it takes as it is."""
        return max(cell_len(text) for text in (self.heading, *self.cells))

    def least(self, *, hard: bool) -> int:
        """Characters that it can do with, in need and in hard need."""
        if self.kind in ("number", "text"):
            return self.natural
        need = (SHORT, SHORTEST) if self.kind == "name" else (ROOM, LEAST_ROOM)
        return min(self.natural, max(need[hard], cell_len(self.heading)))


def fit(columns: Sequence[Column], width: int) -> tuple[list[Column], list[int]]:
    """The columns that fit, and the characters that each gets."""
    kept = list(columns)
    while _total([column.least(hard=False) for column in kept]) > width:
        droppable = [column.keep for column in kept if column.keep is not None]
        if not droppable:
            break
        kept = [column for column in kept if column.keep != min(droppable)]
    widths = [column.natural for column in kept]
    for hard in (False, True):
        while _total(widths) > width:
            flexible = [i for i, column in enumerate(kept) if widths[i] > column.least(hard=hard)]
            if not flexible:
                break
            widths[max(flexible, key=lambda i: (kept[i].kind == "words", widths[i]))] -= 1
    return kept, widths


def print_table(
    columns: Sequence[Column], styles: Sequence[str] = (), breaks: Collection[int] = ()
) -> list[str]:
    """Print on stdout what fits.

    Args:
        columns: all there is to show.
        styles: of each row; none where empty.
        breaks: rows, from 0, that begin a group: an empty line goes before them.

    Returns:
        Headings of the columns that did not fit.
    """
    screen = console()
    kept, widths = fit(columns, screen.width)
    lines: list[tuple[str, list[str]]] = [("bold", [column.heading for column in kept])]
    for number, row in enumerate(zip(*(column.cells for column in kept), strict=True)):
        if number in breaks:
            lines.append(("", []))
        lines.append((styles[number] if styles else "", list(row)))
    for style, cells in lines:
        for line in _lines(kept, widths, cells):
            screen.print(Text(line, style), no_wrap=True, overflow="ignore", crop=False)
    return [column.heading for column in columns if not any(column is one for one in kept)]


def shortened(text: str, width: int) -> str:
    """`text` in `width` characters, its middle left out where it is longer."""
    if cell_len(text) <= width:
        return text
    gap = "…" if printable("…") else ".."
    tail = (width - len(gap) + 1) // 2
    head = width - len(gap) - tail
    end = text[-tail:] if tail else ""
    while cell_len(end) > tail:
        end = end[1:]
    start = text[:head]
    while cell_len(start) > head:
        start = start[:-1]
    return f"{start}{gap}{end}"


def _lines(columns: Sequence[Column], widths: Sequence[int], cells: Sequence[str]) -> list[str]:
    """A row: one line, and what words run on to below it."""
    line, below = "", list[str]()
    for column, width, raw in zip(columns, widths, cells, strict=False):
        text = "".join(letter if letter.isprintable() else "?" for letter in raw)
        if column.kind == "words":
            text, *more = [part.plain for part in wrapped(Text(text), width)]
            below = [" " * len(line) + part for part in more]
        elif column.kind == "name":
            text = shortened(text, width)
        pad = " " * (width - cell_len(text))
        line += (pad + text if column.kind == "number" else text + pad) + " " * GAP
    return [line.rstrip(), *below]


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + GAP * (len(widths) - 1)
