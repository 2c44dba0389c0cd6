"""What a report is made of: sections of blocks, plain data that the page's template lays out (no torch)."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pandas as pd


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    kind: ClassVar[str] = "text"
    words: str
    leads: bool = False
    """Whether it is the answer, in large letters."""


@dataclass(frozen=True)
class Facts:
    """Names and values: the card of a network."""

    kind: ClassVar[str] = "facts"
    values: Mapping[str, str]


@dataclass(frozen=True)
class Finding:
    """Something that is wrong, and what helps."""

    where: str
    what: str
    cause: str
    remedy: str
    source: str


@dataclass(frozen=True)
class Findings:
    """What is wrong, worst first."""

    kind: ClassVar[str] = "findings"
    found: Sequence[Finding]
    passed: str
    """How many checks passed, in words."""


@dataclass(frozen=True)
class Picture:
    """A chart with its title and caption."""

    kind: ClassVar[str] = "picture"
    title: str
    caption: str
    spec: Mapping[str, Any]
    """Vega-Lite."""


@dataclass(frozen=True)
class Explorer:
    """The map of a recording, and the potentials of its chosen cell under an interval that can be dragged."""

    kind: ClassVar[str] = "explorer"
    map: Picture
    distribution: Mapping[str, Any]
    """Vega-Lite without data."""
    layers: Sequence[Mapping[str, Any]]
    """`counts.layer_counts` of each layer."""
    start: tuple[int, int]
    """Layer and timestep, from 1, to show at first."""


@dataclass(frozen=True)
class Table:
    """A table that can be sorted by any column."""

    kind: ClassVar[str] = "table"
    title: str
    frame: pd.DataFrame
    folded: bool = False
    """Whether it is shown on demand only."""
    caption: str = ""

    @property
    def rows(self) -> list[list[tuple[str, str, bool]]]:
        """Of each cell: what it says, what it sorts by, whether it is a number."""
        return [
            [_cell(str(name), value) for name, value in row.items()] for row in self.frame.to_dict("records")
        ]

    @property
    def headings(self) -> list[str]:
        """Of the columns."""
        return [str(name).replace("_", " ") for name in self.frame.columns]


Block = Text | Facts | Findings | Picture | Explorer | Table


@dataclass(frozen=True)
class Section:
    """A part of the report with a heading of its own."""

    title: str
    blocks: Sequence[Block] = field(default_factory=list)


def _cell(name: str, value: Any) -> tuple[str, str, bool]:
    if value is None or value is pd.NA or (isinstance(value, float) and math.isnan(value)):
        return "not measured", "", False
    if isinstance(value, bool | str):
        return str(value), str(value), False
    if isinstance(value, int):
        return str(value), str(value), True
    share = "ratio" in name or name.endswith(("_rate", "accuracy", "share"))
    return (f"{100 * value:.1f} %" if share else f"{value:.4g}"), repr(float(value)), True
